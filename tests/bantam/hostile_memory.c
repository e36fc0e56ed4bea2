// SPDX-License-Identifier: BSD-2-Clause
// Addresses and sizes that are wrong in every way, given to every system call that takes one: an error number, the
// program goes on, and what it owns is as before. Linux says which number.
#include "tests/bantam/children.h"

IMAGE("hostile_memory");

#define KERNEL_IMAGE 0xffffffff80100000ull
#define DIRECT_MAP 0xffff888000000000ull
#define NOT_CANONICAL 0x800000000000ull
#define USER_TOP 0x7ffffffff000ull // the first address that no program can have
#define ANONYMOUS (MAP_PRIVATE | MAP_ANONYMOUS)
#define PAGE 4096ull

static const uint64_t bad_addresses[] = {
    0,
    1,
    0x1000,
    KERNEL_IMAGE,
    DIRECT_MAP,
    DIRECT_MAP + 0x100000,
    NOT_CANONICAL,
    USER_TOP,
    USER_TOP - 1,
    ~0ull,
    ~7ull,
    0xffff800000000000ull,
    0x7fffffffffffull,
    0xffff7fffffffffffull,
};
#define BAD_ADDRESSES (sizeof bad_addresses / sizeof *bad_addresses)

static int fds[2];
static const uint64_t read_only[512] = {1};

static int64_t sys(uint64_t number, uint64_t a, uint64_t b, uint64_t c)
{
    return syscall6(number, a, b, c, 8, 0, 0); // 8: the size of a signal set, of which rt_sigaction wants to hear
}

// Everything that reads from bad memory, or writes to it.
static unsigned faults_at(uint64_t bad)
{
    unsigned wrong = 0;
    wrong += sys(SYS_write, (uint64_t)fds[1], bad, 8) != -EFAULT;
    wrong += sys(SYS_read, (uint64_t)fds[0], bad, 8) != -EFAULT;
    wrong += sys(SYS_execve, bad, 0, 0) != -EFAULT;
    wrong += sys(SYS_uname, bad, 0, 0) != -EFAULT;
    wrong += sys(SYS_open, bad, 0, 0) != -EFAULT;
    if (bad == 0)
        return wrong; // the others take NULL for nothing
    wrong += sys(SYS_rt_sigaction, 10, bad, 0) != -EFAULT;
    wrong += sys(SYS_rt_sigprocmask, 0, bad, 0) != -EFAULT;
    wrong += sys(SYS_nanosleep, bad, 0, 0) != -EFAULT;
    const char *path = "/no/such/program";
    const uint64_t argv[] = {bad, 0};
    int64_t by_argv = sys(SYS_execve, (uint64_t)path, bad, 0),
            by_word = sys(SYS_execve, (uint64_t)path, (uint64_t)argv, 0);
    wrong += by_argv != -EFAULT && by_argv != -ENOENT; // whichever it looks at first
    wrong += by_word != -EFAULT && by_word != -ENOENT;
    return wrong;
}

static unsigned write_faults_at(uint64_t bad)
{
    unsigned wrong = 0;
    wrong += sys(SYS_pipe, bad, 0, 0) != -EFAULT;
    wrong += sys(SYS_rt_sigaction, 10, 0, bad) != -EFAULT;
    wrong += sys(SYS_rt_sigprocmask, 0, 0, bad) != -EFAULT;
    wrong += sys(SYS_clock_gettime, 1, bad, 0) != -EFAULT;
    int pid = fork();
    if (pid == 0)
        _exit(5);
    wrong += sys(SYS_wait4, (uint64_t)pid, bad, 0) != -EFAULT; // the child is gone, as on Linux
    return wrong;
}

static void bad_pointers(void)
{
    CHECK_EQ(pipe(fds), 0);
    CHECK_EQ(write(fds[1], "precious", 8), 8);
    unsigned wrong = 0;
    for (size_t i = 0; i < BAD_ADDRESSES; i++)
        wrong += faults_at(bad_addresses[i]);
    CHECK_EQ(wrong, 0);
    wrong = 0;
    for (size_t i = 1; i < BAD_ADDRESSES; i++)
        wrong += write_faults_at(bad_addresses[i]);
    wrong += write_faults_at((uint64_t)read_only);
    CHECK_EQ(wrong, 0);
    CHECK_EQ(read(fds[0], (void *)read_only, 8), -EFAULT);
    CHECK_EQ(*(const volatile uint64_t *)read_only, 1);
    char bytes[8] = {0};
    CHECK_EQ(read(fds[0], bytes, 8), 8); // nothing has been taken out
    CHECK(!memcmp(bytes, "precious", 8));
    close(fds[0]), close(fds[1]);
}

// A range whose first pages are there, and whose last is not, or is the kernel's.
static void half_bad(void)
{
    char *two = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, ANONYMOUS, -1, 0);
    CHECK(!is_error(two));
    CHECK_EQ(munmap(two + PAGE, 2 * PAGE), 0);
    CHECK_EQ(pipe(fds), 0);
    CHECK_EQ(write(fds[1], "0123456789abcdef", 16), 16);
    char *end = two + PAGE;
    CHECK_EQ(read(fds[0], end, 16), -EFAULT);
    CHECK_EQ(clock_gettime(1, (struct timespec *)(end - 8)), -EFAULT);
    CHECK_EQ(sys(SYS_uname, (uint64_t)end - 100, 0, 0), -EFAULT);
    for (unsigned i = 0; i < 16; i++)
        end[-1 - (int)i] = 'x';
    CHECK_EQ(sys(SYS_open, (uint64_t)end - 16, 0, 0), -EFAULT); // a path without an end
    CHECK_EQ(sys(SYS_write, (uint64_t)fds[1], USER_TOP - 4, 8), -EFAULT);
    close(fds[0]), close(fds[1]);
    CHECK_EQ(munmap(two, PAGE), 0);
}

static int64_t map(uint64_t where, uint64_t size, unsigned flags)
{
    return (int64_t)mmap((void *)where, size, PROT_READ | PROT_WRITE, ANONYMOUS | flags, -1, 0);
}

static void bad_mappings(void)
{
    CHECK_EQ(map(0, 0, 0), -EINVAL);
    CHECK_EQ(map(0, ~0ull, 0), -ENOMEM);
    CHECK_EQ(map(0, ~0ull - PAGE + 1, 0), -ENOMEM);
    CHECK_EQ(map(0, USER_TOP + PAGE, 0), -ENOMEM);
    CHECK_EQ(map(0, 1ull << 63, 0), -ENOMEM);
    CHECK_EQ(map(0x40000001, PAGE, MAP_FIXED), -EINVAL);
    CHECK_EQ(map(USER_TOP, PAGE, MAP_FIXED), -ENOMEM);
    CHECK_EQ(map(USER_TOP - PAGE, 2 * PAGE, MAP_FIXED), -ENOMEM);
    CHECK_EQ(map(KERNEL_IMAGE, PAGE, MAP_FIXED), -ENOMEM);
    CHECK_EQ(map(DIRECT_MAP, PAGE, MAP_FIXED), -ENOMEM);
    CHECK_EQ(map(NOT_CANONICAL, PAGE, MAP_FIXED), -ENOMEM);
    CHECK_EQ(munmap((void *)1, PAGE), -EINVAL);
    CHECK_EQ(munmap((void *)0x40000000, 0), -EINVAL);
    CHECK_EQ(munmap((void *)KERNEL_IMAGE, PAGE), -EINVAL);
    CHECK_EQ(munmap((void *)DIRECT_MAP, PAGE), -EINVAL);
    CHECK_EQ(munmap((void *)0x40000000, ~0ull), -EINVAL);
    CHECK_EQ(munmap((void *)(USER_TOP - PAGE), 2 * PAGE), -EINVAL);
    CHECK_EQ(munmap((void *)0x40000000, PAGE), 0); // nothing is there: nothing is wrong
    uint64_t end = brk(0);
    CHECK_EQ(brk(~0ull), end);
    CHECK_EQ(brk(USER_TOP + PAGE), end);
    CHECK_EQ(brk(KERNEL_IMAGE), end);
    CHECK_EQ(brk(1), end);
    CHECK_EQ(brk(0), end);
    CHECK_EQ(brk(end + 3 * PAGE), end + 3 * PAGE);
    *(volatile char *)(end + 2 * PAGE) = 1;
    CHECK_EQ(brk(end), end);
}

// More mappings than a kernel may want to keep: each works or is refused, and what was made can be unmapped again.
static void many_mappings(void)
{
    unsigned made = 0, wrong = 0;
    uint64_t base = 0x200000000;
    for (; made < 1000 && map(base + made * 2 * PAGE, PAGE, MAP_FIXED) > 0; made++)
        *(volatile char *)(base + made * 2 * PAGE) = (char)made;
    CHECK(made >= 16);
    for (unsigned i = 0; i < made; i++) {
        wrong += *(volatile char *)(base + i * 2 * PAGE) != (char)i;
        wrong += munmap((void *)(base + i * 2 * PAGE), PAGE) != 0;
    }
    CHECK_EQ(wrong, 0);
}

// A page that has gone is gone, for system calls too, and comes back as zeros.
static void gone(void)
{
    uint64_t at = 0x300000000;
    CHECK_EQ(map(at, PAGE, MAP_FIXED), at);
    *(volatile uint64_t *)at = 5;
    CHECK_EQ(munmap((void *)at, PAGE), 0);
    CHECK_EQ(clock_gettime(1, (struct timespec *)at), -EFAULT);
    CHECK_EQ(map(at, PAGE, MAP_FIXED), at);
    CHECK_EQ(*(volatile uint64_t *)at, 0);
    *(volatile uint64_t *)at = 6;
    CHECK_EQ(map(at, PAGE, MAP_FIXED), at); // over itself
    CHECK_EQ(*(volatile uint64_t *)at, 0);
    CHECK_EQ(munmap((void *)at, PAGE), 0);
}

static void bad_numbers(void)
{
    int status;
    CHECK_EQ(read(-1, &status, 1), -EBADF);
    CHECK_EQ(read(77777, &status, 1), -EBADF);
    CHECK_EQ(write(0x7fffffff, &status, 1), -EBADF);
    CHECK_EQ(close(-1), -EBADF);
    CHECK_EQ(dup(1000000), -EBADF);
    CHECK_EQ(dup2(1, -1), -EBADF);
    CHECK_EQ(dup2(1, 0x40000000), -EBADF);
    CHECK_EQ(waitpid(-1, &status, 0), -ECHILD);
    CHECK_EQ(waitpid(0x7fffffff, &status, 0), -ECHILD);
    CHECK_EQ(kill(getpid(), 65), -EINVAL);
    CHECK_EQ(kill(getpid(), -1), -EINVAL);
    CHECK_EQ(kill(0x3fffffff, 0), -ESRCH);
    CHECK_EQ(sys(SYS_rt_sigaction, SIGKILL, (uint64_t) & (struct sigaction){0}, 0), -EINVAL);
    CHECK_EQ(sys(SYS_rt_sigaction, 0, (uint64_t) & (struct sigaction){0}, 0), -EINVAL);
    CHECK_EQ(sys(SYS_rt_sigaction, 65, (uint64_t) & (struct sigaction){0}, 0), -EINVAL);
    CHECK_EQ(sys(0x7fffffff, 0, 0, 0), -ENOSYS);
    CHECK_EQ(sys(1000, 0, 0, 0), -ENOSYS);
    struct timespec bad[] = {{-1, 0}, {0, -1}, {0, 1000000000}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_EQ(nanosleep(&bad[i], NULL), -EINVAL);
    CHECK_EQ(execve("/no/such/program", NULL, NULL), -ENOENT);
    CHECK_EQ(execve("", NULL, NULL), -ENOENT);
}

int image_main(void)
{
    bad_pointers();
    half_bad();
    bad_mappings();
    many_mappings();
    gone();
    bad_numbers();
    return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
// fork() copies: whatever is written behind it, on either side, in whatever kind of memory, only the writer sees. What
// a child saw comes back as its exit status.
#include "guest/bantam/user/lib.h"

IMAGE("fork");

#define PAGE 4096
#define PAGES 40 // more than a kernel may want to flush one by one
#define ANONYMOUS (MAP_PRIVATE | MAP_ANONYMOUS)

static unsigned data = 1;               // in .data
static unsigned zeros[PAGES][PAGE / 4]; // in .bss
static volatile unsigned sink;

static int status_of(int pid)
{
    int status = -1;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return status;
}

// The child writes everywhere, the parent's memory is as before.
static void child_writes(unsigned *heap, unsigned *mapped)
{
    unsigned local = 4;
    int pid = fork();
    if (pid == 0) {
        bool same = data == 1 && heap[0] == 2 && mapped[0] == 3 && local == 4 && zeros[PAGES - 1][5] == 0;
        data = heap[0] = mapped[0] = local = zeros[PAGES - 1][5] = 77;
        same = same && data == 77 && heap[0] == 77 && mapped[0] == 77 && *(volatile unsigned *)&local == 77;
        _exit(same ? 10 : 11);
    }
    CHECK_EQ(status_of(pid), 10 << 8);
    CHECK_EQ(data, 1);
    CHECK_EQ(heap[0], 2);
    CHECK_EQ(mapped[0], 3);
    CHECK_EQ(*(volatile unsigned *)&local, 4);
    CHECK_EQ(zeros[PAGES - 1][5], 0);
}

// The parent writes while the child waits at a pipe, and the child sees what was before.
static void parent_writes(void)
{
    int fds[2];
    char go = 0;
    for (unsigned i = 0; i < PAGES; i++)
        zeros[i][0] = i;
    CHECK_EQ(pipe(fds), 0);
    int pid = fork();
    if (pid == 0) {
        unsigned wrong = read(fds[0], &go, 1) != 1;
        for (unsigned i = 0; i < PAGES; i++)
            wrong += zeros[i][0] != i;
        _exit(wrong ? 1 : 0);
    }
    for (unsigned i = 0; i < PAGES; i++)
        zeros[i][0] = 1000 + i;
    CHECK_EQ(write(fds[1], &go, 1), 1);
    CHECK_EQ(status_of(pid), 0);
    unsigned wrong = 0;
    for (unsigned i = 0; i < PAGES; i++)
        wrong += zeros[i][0] != 1000 + i;
    CHECK_EQ(wrong, 0);
    close(fds[0]);
    close(fds[1]);
}

// A page that nobody else has any more is written where it is; a chain of forks, each of which writes.
static void generations(void)
{
    for (unsigned i = 0; i < 20; i++) {
        unsigned before = ++data;
        int pid = fork();
        if (pid == 0) {
            data += 100;
            int grandchild = fork();
            if (grandchild == 0) {
                data += 1000;
                _exit(data == before + 1100 ? 5 : 6);
            }
            int status = 0;
            waitpid(grandchild, &status, 0);
            _exit(status == 5 << 8 && data == before + 100 ? 7 : 8);
        }
        CHECK_EQ(status_of(pid), 7 << 8);
        CHECK_EQ(data, before);
    }
    data = 1;
}

// The kernel writes into a shared page (read() into it) as the program would.
static void kernel_writes(unsigned *mapped)
{
    int fds[2];
    unsigned value = 99;
    CHECK_EQ(pipe(fds), 0);
    mapped[1] = 5;
    int pid = fork();
    if (pid == 0) {
        bool ok = write(fds[1], &value, 4) == 4 && read(fds[0], mapped + 1, 4) == 4 && mapped[1] == 99;
        _exit(ok ? 0 : 1);
    }
    CHECK_EQ(status_of(pid), 0);
    CHECK_EQ(mapped[1], 5);
    close(fds[0]);
    close(fds[1]);
}

// Registers that a system call keeps are the same in both.
static void registers(void)
{
    uint64_t rbx, r12, r13, r14, r15, result;
    __asm__ volatile("movq $0x1111, %%rbx; movq $0x2222, %%r12; movq $0x3333, %%r13; movq $0x4444, %%r14;"
                     "movq $0x5555, %%r15; syscall; movq %%rbx, %1; movq %%r12, %2; movq %%r13, %3; movq %%r14, %4;"
                     "movq %%r15, %5"
                     : "=a"(result), "=m"(rbx), "=m"(r12), "=m"(r13), "=m"(r14), "=m"(r15)
                     : "a"(SYS_fork)
                     : "rbx", "r12", "r13", "r14", "r15", "rcx", "r11", "memory");
    bool ok = rbx == 0x1111 && r12 == 0x2222 && r13 == 0x3333 && r14 == 0x4444 && r15 == 0x5555;
    if (result == 0)
        _exit(ok ? 0 : 1);
    CHECK_EQ(status_of((int)result), 0);
    CHECK(ok);
}

static void pids(void)
{
    int parent = getpid();
    int pid = fork();
    if (pid == 0)
        _exit(getppid() == parent && getpid() != parent ? 0 : 1);
    CHECK(pid > 0 && pid != parent);
    CHECK_EQ(status_of(pid), 0);
}

int image_main(void)
{
    unsigned *heap = (unsigned *)brk(0);
    CHECK_EQ(brk((uint64_t)heap + PAGE), (uint64_t)heap + PAGE);
    unsigned *mapped = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, ANONYMOUS, -1, 0);
    CHECK(!is_error(mapped));
    heap[0] = 2;
    mapped[0] = 3;
    child_writes(heap, mapped);
    parent_writes();
    generations();
    kernel_writes(mapped);
    registers();
    pids();
    return 0;
}

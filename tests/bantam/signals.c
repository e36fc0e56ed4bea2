// SPDX-License-Identifier: BSD-2-Clause
// Handlers: of faults, which change where the program goes on; of kill(), in a loop, in a system call, blocked for a
// while; what siginfo and ucontext say, by Linux's layout.
#include "guest/bantam/user/lib.h"

IMAGE("signals");

#define SA_SIGINFO 4u
#define SIGUSR1 10
#define SIGUSR2 12
#define FPE_INTDIV 1
#define SEGV_MAPERR 1
#define SEGV_ACCERR 2
#define UC_RBX 11 // words of struct ucontext
#define UC_RAX 13
#define UC_RIP 16
#define UC_FLAGS 17
#define UC_TRAPNO 20
#define UC_CR2 22
#define FIRST_GREG 5

struct siginfo {
    int signo, error, code, pad;
    uint64_t address;
};

static volatile unsigned handled;
static volatile char *volatile nothing = (volatile char *)8;
static volatile struct siginfo seen;
static volatile uint64_t seen_trapno, seen_cr2, seen_rsp;

static uint64_t *greg(void *context, unsigned which)
{
    return (uint64_t *)context + FIRST_GREG + which;
}

// Past an instruction of `skip` bytes, which the faulting code has put into rbx.
static void skip_it(int signal, struct siginfo *info, void *context)
{
    uint64_t rsp;
    __asm__ volatile("movq %%rsp, %0" : "=r"(rsp));
    handled++;
    seen.signo = signal == info->signo ? signal : -1;
    seen.code = info->code;
    seen.address = info->address;
    seen_trapno = *greg(context, UC_TRAPNO);
    seen_cr2 = *greg(context, UC_CR2);
    seen_rsp = rsp;
    *greg(context, UC_RIP) += *greg(context, UC_RBX);
    *greg(context, UC_RAX) = 0x1234;
}

static int handle(int signal, void (*handler)(int, struct siginfo *, void *), uint64_t flags)
{
    return signal_set(signal, (void (*)(int))(void *)handler, flags | SA_SIGINFO);
}

static void faults(void)
{
    handled = 0;
    CHECK_EQ(handle(SIGFPE, skip_it, 0), 0);
    CHECK_EQ(handle(SIGSEGV, skip_it, 0), 0);
    uint64_t rax, at, rcx = 77;
    __asm__ volatile("leaq 1f(%%rip), %1; xorl %%edx, %%edx; xorl %%ecx, %%ecx; movl $5, %%eax; movl $2, %%ebx;"
                     "1: divl %%ecx; movl %%ecx, %k2"
                     : "=&a"(rax), "=&r"(at), "=&r"(rcx)
                     :
                     : "rbx", "rcx", "rdx", "memory");
    CHECK_EQ(handled, 1);
    CHECK_EQ(rax, 0x1234);
    CHECK_EQ(rcx, 0);
    CHECK_EQ(seen.signo, SIGFPE);
    CHECK_EQ(seen.code, FPE_INTDIV);
    CHECK_EQ(seen.address, at);
    CHECK_EQ(seen_trapno, 0);
    char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    __asm__ volatile("movl $2, %%ebx; movb %%al, (%1)" : "=&a"(rax) : "D"(page + 5) : "rbx", "memory");
    CHECK_EQ(handled, 2);
    CHECK_EQ(seen.signo, SIGSEGV);
    CHECK_EQ(seen.code, SEGV_ACCERR);
    CHECK_EQ(seen.address, (uint64_t)page + 5);
    CHECK_EQ(seen_cr2, (uint64_t)page + 5);
    CHECK_EQ(seen_trapno, 14);
    munmap(page, 4096);
    __asm__ volatile("movl $2, %%ebx; movb (%1), %%al" : "=&a"(rax) : "D"(page + 6) : "rbx", "memory");
    CHECK_EQ(handled, 3);
    CHECK_EQ(seen.code, SEGV_MAPERR);
    CHECK_EQ(seen.address, (uint64_t)page + 6);
}

// Many in a row: frames and masks come back as they were.
static void fault_storm(void)
{
    handled = 0;
    uint64_t rax, sum = 0;
    for (unsigned i = 0; i < 300; i++) {
        __asm__ volatile("movl $2, %%ebx; movb %%al, (%1)" : "=&a"(rax) : "D"(8ul) : "rbx", "memory");
        sum += rax == 0x1234;
    }
    CHECK_EQ(handled, 300);
    CHECK_EQ(sum, 300);
}

static void count(int signal)
{
    handled += signal == SIGUSR1 ? 1 : 100;
}

static void to_self(void)
{
    handled = 0;
    CHECK_EQ(signal_set(SIGUSR1, count, 0), 0);
    CHECK_EQ(kill(getpid(), SIGUSR1), 0);
    CHECK_EQ(handled, 1); // before kill() comes back
    CHECK_EQ(signal_set(SIGUSR1, SIG_IGN, 0), 0);
    CHECK_EQ(kill(getpid(), SIGUSR1), 0);
    CHECK_EQ(handled, 1);
    CHECK_EQ(kill(getpid(), SIGCHLD), 0); // ignored by default
    CHECK_EQ(signal_set(SIGKILL, count, 0), -EINVAL);
    CHECK_EQ(signal_set(0, count, 0), -EINVAL);
}

static int64_t mask(int how, uint64_t set, uint64_t *old)
{
    return syscall6(SYS_rt_sigprocmask, (uint64_t)how, (uint64_t)&set, (uint64_t)old, 8, 0, 0);
}

static void blocked(void)
{
    const uint64_t usr1 = 1ull << (SIGUSR1 - 1);
    uint64_t old = 1;
    handled = 0;
    signal_set(SIGUSR1, count, 0);
    CHECK_EQ(mask(0, usr1, &old), 0);
    CHECK_EQ(old & usr1, 0);
    kill(getpid(), SIGUSR1);
    kill(getpid(), SIGUSR1);
    CHECK_EQ(handled, 0);
    CHECK_EQ(mask(1, usr1, &old), 0);
    CHECK_EQ(old, usr1);
    CHECK_EQ(handled, 1); // two of a kind are one
    CHECK_EQ(mask(7, usr1, &old), -EINVAL);
}

// A handler that a loop without a system call sees.
static void in_a_loop(void)
{
    int parent = getpid(), pid, status;
    handled = 0;
    signal_set(SIGUSR1, count, 0);
    pid = fork();
    if (pid == 0) {
        kill(parent, SIGUSR1);
        _exit(0);
    }
    while (!handled)
        ;
    CHECK_EQ(handled, 1);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
}

// What a read() gives during which a signal comes, and some time later a byte.
static int64_t interrupted_read(uint64_t flags)
{
    const struct timespec while_it_sleeps = {0, 50000000};
    int fds[2], parent = getpid(), status;
    char got = 0;
    handled = 0;
    signal_set(SIGUSR1, count, flags);
    if (pipe(fds))
        return 0;
    int pid = fork();
    if (pid == 0) {
        syscall3(SYS_nanosleep, (uint64_t)&while_it_sleeps, 0, 0);
        kill(parent, SIGUSR1);
        syscall3(SYS_nanosleep, (uint64_t)&while_it_sleeps, 0, 0);
        write(fds[1], "r", 1);
        _exit(0);
    }
    int64_t result = read(fds[0], &got, 1);
    waitpid(pid, &status, 0);
    close(fds[0]), close(fds[1]);
    return handled == 1 ? result : 0;
}

// On a busy host the reader may come too late for the signal: some tries.
static void in_a_call(void)
{
    int64_t result = 0;
    for (unsigned i = 0; i < 5 && result != -EINTR; i++)
        result = interrupted_read(0);
    CHECK_EQ(result, -EINTR);
    CHECK_EQ(interrupted_read(SA_RESTART), 1);
}

// An ignored or blocked fault would come for ever: it ends the program. And no way back is the end, too.
static void hopeless(void)
{
    for (unsigned how = 0; how < 3; how++) {
        int status = 0, pid = fork();
        if (pid == 0) {
            uint64_t old;
            if (how == 0)
                signal_set(SIGSEGV, SIG_IGN, 0);
            else if (how == 1)
                mask(0, 1ull << (SIGSEGV - 1), &old);
            else
                signal_set(SIGSEGV, (void (*)(int))0x0000900000000000, 0);
            *nothing = 1;
            _exit(0);
        }
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK_EQ(status & 0x7f, SIGSEGV);
    }
    int status = 0, pid = fork();
    if (pid == 0) {
        signal_set(SIGUSR1, count, 0);
        __asm__ volatile("movl $64, %%esp; int3" : : : "memory"); // no stack for a frame
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK((status & 0x7f) == SIGTRAP);
}

static void inherited(void)
{
    handled = 0;
    signal_set(SIGUSR2, count, 0);
    int status = 0, pid = fork();
    if (pid == 0) {
        kill(getpid(), SIGUSR2);
        _exit((int)handled);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 100 << 8);
    CHECK_EQ(handled, 0);
}

int image_main(void)
{
    faults();
    fault_storm();
    to_self();
    blocked();
    in_a_loop();
    in_a_call();
    hopeless();
    inherited();
    return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
// wait4() and how a process can end: exit codes, signals of its own making and of others', WNOHANG, no children, many
// children, children of children.
#include "guest/bantam/user/lib.h"

IMAGE("wait");

#define CORE 0x80 // Linux may say that it wrote a core file
#define MANY 60

static volatile char *volatile nothing = (volatile char *)16;

static int status_of(int pid)
{
    int status = -1;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return (status & 0x7f) ? status & ~CORE : status;
}

static void divide(void)
{
    __asm__ volatile("divl %0" : : "r"(0), "a"(1), "d"(0));
}

static void touch_nothing(void)
{
    *nothing = 1;
}

static void touch_kernel(void)
{
    *(volatile char *)0xffffffff80100000;
}

static void not_an_instruction(void)
{
    __asm__ volatile("ud2");
}

static void privileged(void)
{
    __asm__ volatile("cli");
}

static void not_canonical(void)
{
    *(volatile char *)0x0000900000000000;
}

static void jump_away(void)
{
    ((void (*)(void))0x0000700000000000)();
}

static void (*volatile text)(void) = divide;

static void write_text(void)
{
    *(volatile char *)(uint64_t)text = 0;
}

static void run_data(void)
{
    static char code[] = {(char)0xc3};
    ((void (*)(void))(uint64_t)code)();
}

static void breakpoint(void)
{
    __asm__ volatile("int3");
}

static void die_of(void (*how)(void), int signal)
{
    int pid = fork();
    if (pid == 0) {
        how();
        _exit(99);
    }
    CHECK_EQ(status_of(pid), signal);
}

static void exit_codes(void)
{
    const int codes[] = {0, 1, 42, 255, 256 + 7, -1};
    for (unsigned i = 0; i < sizeof codes / sizeof *codes; i++) {
        int pid = fork();
        if (pid == 0)
            _exit(codes[i]);
        CHECK_EQ(status_of(pid), (codes[i] & 0xff) << 8);
    }
}

static void no_children(void)
{
    int status = 7;
    CHECK_EQ(waitpid(-1, &status, 0), -ECHILD);
    CHECK_EQ(waitpid(-1, &status, WNOHANG), -ECHILD);
    CHECK_EQ(status, 7);
    int pid = fork();
    if (pid == 0)
        _exit(0);
    CHECK_EQ(waitpid(getpid(), &status, 0), -ECHILD); // not a child
    CHECK_EQ(status_of(pid), 0);
    CHECK_EQ(waitpid(pid, &status, 0), -ECHILD); // only once
}

static void nohang(void)
{
    int fds[2], status = 7;
    char go;
    CHECK_EQ(pipe(fds), 0);
    int pid = fork();
    if (pid == 0) {
        read(fds[0], &go, 1);
        _exit(3);
    }
    CHECK_EQ(waitpid(pid, &status, WNOHANG), 0);
    CHECK_EQ(status, 7);
    write(fds[1], "x", 1);
    while (waitpid(pid, &status, WNOHANG) == 0)
        sched_yield();
    CHECK_EQ(status, 3 << 8);
    close(fds[0]), close(fds[1]);
}

static void many(void)
{
    static int pids[MANY];
    unsigned sum = 0, wrong = 0, n = 0;
    for (; n < MANY; n++) {
        pids[n] = fork();
        if (pids[n] == 0)
            _exit((int)n);
        if (pids[n] < 0)
            break;
    }
    CHECK_EQ(n, MANY);
    for (unsigned i = 0; i < n; i++) {
        int status = 0, pid = waitpid(-1, &status, 0), index = status >> 8;
        wrong += index < 0 || index >= MANY || pids[index] != pid;
        sum += (unsigned)index;
    }
    CHECK_EQ(wrong, 0);
    CHECK_EQ(sum, MANY * (MANY - 1) / 2);
}

// A child that ends before its own child: the orphan goes on, and is nobody's to wait for here.
static void orphan(void)
{
    int fds[2];
    char got = 0;
    CHECK_EQ(pipe(fds), 0);
    int pid = fork();
    if (pid == 0) {
        int parent = getpid();
        if (fork() == 0) {
            while (getppid() == parent)
                sched_yield();
            write(fds[1], "o", 1);
            _exit(9);
        }
        _exit(0);
    }
    CHECK_EQ(status_of(pid), 0);
    CHECK_EQ(read(fds[0], &got, 1), 1);
    CHECK_EQ(got, 'o');
    CHECK_EQ(waitpid(-1, NULL, 0), -ECHILD);
    close(fds[0]), close(fds[1]);
}

static void killed(void)
{
    int fds[2];
    char c;
    CHECK_EQ(pipe(fds), 0);
    int sleeping = fork();
    if (sleeping == 0) {
        read(fds[0], &c, 1); // nobody writes
        _exit(1);
    }
    int running = fork();
    if (running == 0)
        for (;;)
            ;
    CHECK_EQ(kill(sleeping, 0), 0);
    CHECK_EQ(kill(sleeping, SIGKILL), 0);
    CHECK_EQ(kill(running, 15), 0);
    CHECK_EQ(status_of(sleeping), SIGKILL);
    CHECK_EQ(status_of(running), 15);
    CHECK_EQ(kill(running, SIGKILL), -ESRCH);
    CHECK_EQ(kill(getpid(), 99), -EINVAL);
    close(fds[0]), close(fds[1]);
}

int image_main(void)
{
    exit_codes();
    no_children();
    die_of(divide, SIGFPE);
    die_of(touch_nothing, SIGSEGV);
    die_of(touch_kernel, SIGSEGV);
    die_of(not_an_instruction, SIGILL);
    die_of(privileged, SIGSEGV);
    die_of(not_canonical, SIGSEGV);
    die_of(jump_away, SIGSEGV);
    die_of(write_text, SIGSEGV);
    die_of(run_data, SIGSEGV);
    die_of(breakpoint, SIGTRAP);
    nohang();
    many();
    orphan();
    killed();
    return 0;
}

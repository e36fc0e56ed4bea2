// SPDX-License-Identifier: BSD-2-Clause
// pid 1 as do= says: the ways in which a machine ends or does not. spin, touch (memory, over and over), calls (system
// calls), forks (and waits) and sleep never end; exit (with status=), crash, jump (into the kernel) and eat (memory)
// do. Without do= it is a test: each of the ends, in a child.
#include "tests/bantam/children.h"

IMAGE("first");

#define PAGES 64
#define PAGE 4096

static void spin(void)
{
    for (;;)
        __asm__ volatile("");
}

static void touch(void)
{
    static volatile char pages[PAGES * PAGE];
    for (unsigned i = 0;; i++)
        pages[i % PAGES * PAGE]++;
}

static void calls(void)
{
    for (;;)
        getpid();
}

static void forks(void)
{
    for (int status;;) {
        int pid = fork();
        if (pid == 0)
            _exit(0);
        if (pid < 0 || waitpid(pid, &status, 0) != pid)
            panic("fork: %d", pid);
    }
}

static void sleep(void)
{
    for (;;)
        nanosleep(&(struct timespec){.tv_sec = 1000}, NULL);
}

static void end(void)
{
    _exit((int)option_u64("status", 7));
}

static void crash(void)
{
    __asm__ volatile("ud2");
}

static void jump(void)
{
    __asm__ volatile("jmp *%0" : : "r"(0xffffffff80100000ull));
}

static void eat(void)
{
    for (;;) {
        volatile char *more = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (is_error((void *)more))
            _exit(3);
        *more = 1;
    }
}

static const struct {
    const char *name;
    void (*act)(void);
    int status; // 0: it does not end; -1: not to be tried on Linux
} acts[] = {
    {"spin", spin, 0},
    {"touch", touch, 0},
    {"calls", calls, 0},
    {"forks", forks, 0},
    {"sleep", sleep, 0},
    {"exit", end, EXITED(7)},
    {"crash", crash, KILLED_BY(SIGILL)},
    {"jump", jump, KILLED_BY(SIGSEGV)},
    {"eat", eat, -1},
};

int image_main(void)
{
    const char *wanted = option("do");
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
        if (wanted && !strcmp(acts[i].name, wanted)) {
            print("# %s\n", wanted);
            acts[i].act();
        } else if (!wanted && acts[i].status > 0) {
            int status = wait_status_of(acts[i].act);
            check_record(status == acts[i].status, acts[i].name, (uint64_t)status, (uint64_t)acts[i].status);
        }
    }
    return wanted ? 2 : 0;
}

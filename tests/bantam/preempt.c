// SPDX-License-Identifier: BSD-2-Clause
// Who computes without a system call does not keep the others from running, and keeps all of its registers; and time
// goes on, never back.
#include "guest/bantam/user/lib.h"

IMAGE("preempt");

#define WORKERS 4

// A sum by registers only, which a lost or mixed-up register would spoil.
static uint64_t work(uint64_t seed, unsigned n)
{
    uint64_t a = seed, b = seed ^ 0x9e3779b97f4a7c15, c = 1, d = 2;
    for (unsigned i = 0; i < n; i++) {
        a = a * 6364136223846793005 + 1442695040888963407;
        b ^= a >> 17;
        c += b;
        d = (d << 7 | d >> 57) + c;
    }
    return a ^ b ^ c ^ d;
}

static int64_t now(void)
{
    struct timespec t = {0};
    if (syscall3(SYS_clock_gettime, 1, (uint64_t)&t, 0)) // no check: how often it is called depends on speed
        panic("no clock");
    return t.tv_sec * 1000000000 + t.tv_nsec;
}

// Workers that only compute, and one process that must get its turn between them: it ends them.
static void loops(void)
{
    int pids[WORKERS];
    for (unsigned i = 0; i < WORKERS; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            for (;;)
                work(i, 1000);
    }
    for (unsigned i = 0; i < 3; i++)
        sched_yield();
    for (unsigned i = 0; i < WORKERS; i++) {
        int status = 0;
        CHECK_EQ(kill(pids[i], SIGKILL), 0);
        CHECK_EQ(waitpid(pids[i], &status, 0), pids[i]);
        CHECK_EQ(status, SIGKILL);
    }
}

// Long enough for some turns on any engine that runs at speed: until the clock says so.
static void results(void)
{
    uint64_t want[WORKERS];
    int pids[WORKERS];
    for (unsigned i = 0; i < WORKERS; i++)
        want[i] = work(i, 20000);
    for (unsigned i = 0; i < WORKERS; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            unsigned wrong = 0;
            int64_t until = now() + 60000000;
            while (now() < until)
                wrong += work(i, 20000) != want[i];
            _exit(wrong ? 1 : 0);
        }
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        int status = -1;
        CHECK_EQ(waitpid(pids[i], &status, 0), pids[i]);
        CHECK_EQ(status, 0);
    }
}

#define TICK_CALLS 10000000u // far more than a process makes between two ticks

static void clock(void)
{
    int64_t last = now(), backwards = 0, start = last;
    for (unsigned i = 0; i < 200; i++) {
        int64_t t = now();
        backwards += t < last;
        last = t;
    }
    CHECK_EQ(backwards, 0);
    for (unsigned i = 0; last == start && i < TICK_CALLS; i++) // Linux may have no clock but its ticks
        last = now();
    CHECK(last > start);
    const struct timespec wait = {0, 30000000};
    start = now();
    CHECK_EQ(syscall3(SYS_nanosleep, (uint64_t)&wait, 0, 0), 0);
    int64_t took = now() - start;
    CHECK(took >= 30000000);
    const struct timespec bad = {0, 1000000000};
    CHECK_EQ(syscall3(SYS_nanosleep, (uint64_t)&bad, 0, 0), -EINVAL);
}

int image_main(void)
{
    loops();
    results();
    clock();
    return 0;
}

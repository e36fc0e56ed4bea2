// SPDX-License-Identifier: BSD-2-Clause
// Memory until there is no more. mb= of memory is what each of the greedy processes wants; where that is more than
// there is, the kernel ends who asks, tells its parent so, has all of it back, and everybody else is as before. With
// the default it fits, and all end well: so on Linux. few=1: once.
#include "tests/bantam/children.h"

IMAGE("abuse_memory");

#define ROUNDS 2
#define MB 0x100000ull
#define OURS 0x20000ull
#define PAGE 4096ull
#define PIECES 8 // mappings

static uint64_t mb;

// Writes to each page of so many MiB, in some mappings; then looks at all.
static void take(uint64_t megabytes)
{
    uint64_t size = megabytes * MB / PIECES, wrong = 0;
    volatile uint64_t *pieces[PIECES];
    for (unsigned p = 0; p < PIECES; p++) {
        pieces[p] = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (is_error((void *)pieces[p]))
            _exit(3);
        for (uint64_t at = 0; at < size; at += PAGE)
            pieces[p][at / 8] = at + p;
    }
    for (unsigned p = 0; p < PIECES; p++) {
        for (uint64_t at = 0; at < size; at += PAGE)
            wrong += pieces[p][at / 8] != at + p;
    }
    _exit(wrong ? 4 : 5);
}

static void greedy(void)
{
    take(mb);
}

static void greedy_by_break(void)
{
    uint64_t end = brk(0), wanted = end + mb * MB;
    if (brk(wanted) != wanted)
        _exit(3);
    for (uint64_t at = end; at < wanted; at += PAGE)
        *(volatile char *)at = 1;
    _exit(5);
}

// What everybody can have when the greedy ones are gone.
static void modest(void)
{
    take(mb < 16 ? 1 : mb / 8);
}

// Two processes write to what they share: there is enough of it for one.
static void greedy_by_fork(void)
{
    uint64_t size = mb * MB / 2;
    volatile char *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (is_error((void *)bytes))
        _exit(3);
    for (uint64_t at = 0; at < size; at += PAGE)
        bytes[at] = 1;
    int pid = fork(), status = EXITED(5);
    if (pid < 0)
        _exit(3);
    for (uint64_t at = 0; at < size; at += PAGE)
        bytes[at] = 2;
    if (pid)
        waitpid(pid, &status, 0);
    _exit(status == EXITED(5) ? 5 : 6);
}

// In the end nothing is left, not even for a fork's page tables.
static void greedy_by_forks(void)
{
    for (uint64_t i = 0; i < mb; i++) {
        volatile char *bytes = mmap(NULL, MB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (is_error((void *)bytes))
            _exit(3);
        for (uint64_t at = 0; at < MB; at += PAGE)
            bytes[at] = 1;
        int pid = fork(), status;
        if (pid == 0)
            _exit(5);
        if (pid > 0)
            waitpid(pid, &status, 0);
    }
    _exit(5);
}

static bool ended_well(int status)
{
    return status == EXITED(5);
}

// In the end: the orphan of one that has been ended may still be at it.
static bool modest_fits(void)
{
    for (unsigned i = 0; i < 200; i++) {
        if (ended_well(wait_status_of(modest)))
            return true;
        sched_yield();
    }
    return false;
}

// By the kernel for want of memory, or told so: 3, or 6 of whose child has been.
static bool ended_for_memory(int status)
{
    return status == KILLED_BY(SIGKILL) || status == EXITED(3) || status == EXITED(6);
}

static void one_round(bool fits)
{
    static void (*const programs[])(void) = {greedy, greedy_by_break, greedy_by_fork, greedy_by_forks};
    unsigned wrong = 0;
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        int status = wait_status_of(programs[i]);
        bool right = fits ? ended_well(status) : ended_for_memory(status);
        if (!right)
            print("# program %lu: status 0x%x\n", i, (unsigned)status);
        wrong += !right;
        wrong += !modest_fits();
    }
    CHECK_EQ(wrong, 0);
}

int image_main(void)
{
    mb = option_u64("mb", 1);
    bool fits = option_u64("fits", 1), few = option_u64("few", 0);
    volatile char *ours = mmap(NULL, OURS, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (uint64_t at = 0; at < OURS; at += PAGE)
        ours[at] = (char)(at / PAGE);
    for (unsigned round = 0; round < (few ? 1 : ROUNDS); round++)
        one_round(fits);
    unsigned wrong = 0;
    for (uint64_t at = 0; at < OURS; at += PAGE)
        wrong += ours[at] != (char)(at / PAGE);
    CHECK_EQ(wrong, 0);
    return 0;
}

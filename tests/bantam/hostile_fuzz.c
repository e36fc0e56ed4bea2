// SPDX-License-Identifier: BSD-2-Clause
// System calls of random numbers with random arguments, by processes that end however they end, while an honest one
// computes beside them. seed= and calls= (of each process) as wanted. Only in the guest: on Linux there is more to
// break.
#include "tests/bantam/children.h"

IMAGE("hostile_fuzz");

#define PROCESSES 24
#define PATIENCE_NS 60000000 // for each; one that waits for ever is killed
#define SYS_TOP 240
#define WITNESS_WORDS 4096

static uint64_t random_state;

static uint64_t random_word(void)
{
    random_state ^= random_state << 13, random_state ^= random_state >> 7, random_state ^= random_state << 17;
    return random_state;
}

static char scratch[3 * 4096] __attribute__((aligned(4096)));

static uint64_t random_argument(void)
{
    static const uint64_t edges[] = {0,
                                     1,
                                     2,
                                     3,
                                     8,
                                     ~0ull,
                                     4096,
                                     4097,
                                     1 << 20,
                                     0x7fffffff,
                                     0x80000000,
                                     0xffffffff,
                                     0x7ffffffff000,
                                     0x7fffffffefff,
                                     0x800000000000,
                                     0xffff800000000000,
                                     0xffff888000000000,
                                     0xffffffff80100000,
                                     1ull << 63,
                                     (uint64_t)scratch + sizeof scratch - 3};
    uint64_t word = random_word();
    switch (word >> 60) {
    case 0:
        return random_word();
    case 1:
        return 0x400000 + (word & 0xfff8);
    case 2:
        return (uint64_t)__builtin_frame_address(0) + (word & 0xff8);
    case 3:
    case 4:
    case 5:
    case 6:
        return (uint64_t)scratch + word % sizeof scratch;
    case 7:
    case 8:
        return word & 0x3f;
    default:
        return edges[word % (sizeof edges / sizeof *edges)];
    }
}

// What would end this process or the machine by right, and what ends others.
static bool is_too_good(uint64_t number)
{
    return number == SYS_exit || number == SYS_exit_group || number == SYS_reboot || number == SYS_kill ||
           number == SYS_ringside_mark;
}

static _Noreturn void fuzz(uint64_t calls)
{
    for (int fd = 0; fd < 8; fd++)
        close(fd);
    for (uint64_t i = 0; i < calls; i++) {
        uint64_t number = random_word() % 16 ? random_word() % SYS_TOP : random_word();
        if (is_too_good(number))
            continue;
        uint64_t a[6];
        for (unsigned k = 0; k < 6; k++)
            a[k] = random_argument();
        int64_t result = syscall6(number, a[0], a[1], a[2], a[3], a[4], a[5]);
        if (number == SYS_fork && result == 0)
            _exit(0);
        for (unsigned k = 0; number != SYS_fork && k < 8; k++)
            scratch[random_word() % sizeof scratch] = (char)random_word();
    }
    _exit(0);
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(1, &t);
    return t.tv_sec * 1000000000 + t.tv_nsec;
}

// Reaped, whether it has ended by itself or not.
static bool reap(int pid)
{
    int status;
    for (int64_t start = now_ns(); now_ns() - start < PATIENCE_NS; sched_yield()) {
        int waited = waitpid(pid, &status, WNOHANG);
        if (waited)
            return waited == pid;
    }
    kill(pid, SIGKILL);
    return waitpid(pid, &status, 0) == pid;
}

// An honest process: fills memory, looks at it again and again until a byte comes through the pipe, and says how it
// was.
static _Noreturn void witness(int from, int to)
{
    static uint64_t words[WITNESS_WORDS];
    uint64_t wrong = 0, rounds = 0;
    for (size_t i = 0; i < WITNESS_WORDS; i++)
        words[i] = i * 0x9e3779b97f4a7c15;
    for (char byte = 0; !byte; rounds++) {
        for (size_t i = 0; i < WITNESS_WORDS; i += 64)
            wrong += words[i] != i * 0x9e3779b97f4a7c15;
        write(to, &wrong, sizeof wrong);
        read(from, &byte, 1);
    }
    _exit(wrong ? 1 : 0);
}

int image_main(void)
{
    if (on_linux()) {
        check_record(true, "not-guest: nothing to do on Linux", 0, 0);
        return 0;
    }
    uint64_t seed = option_u64("seed", 2006), calls = option_u64("calls", 20000), answered = 0, reaped = 0;
    int to[2], from[2], pid, status = -1;
    CHECK(pipe(to) == 0 && pipe(from) == 0);
    int honest = fork();
    if (honest == 0)
        witness(to[0], from[1]);
    for (unsigned i = 0; i < PROCESSES; i++) {
        uint64_t wrong = 1;
        random_state = (seed + i + 1) * 0x9e3779b97f4a7c15;
        if ((pid = fork()) == 0)
            fuzz(calls);
        answered += read(from[0], &wrong, sizeof wrong) == sizeof wrong && wrong == 0;
        reaped += reap(pid);
        write(to[1], i + 1 < PROCESSES ? "" : "e", 1);
    }
    CHECK_EQ(answered, PROCESSES);
    CHECK_EQ(reaped, PROCESSES);
    CHECK_EQ(waitpid(honest, &status, 0), honest);
    CHECK_EQ(status, EXITED(0));
    CHECK_EQ(waitpid(-1, &status, 0), -ECHILD);
    return 0;
}

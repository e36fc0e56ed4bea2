// SPDX-License-Identifier: BSD-2-Clause
// guest/lib.h's benchmark names as a host program (built with -DNATIVE): the native column. Same inner code, same
// timer, same calibration, same records; option cpu=N pins the process and is fatal where it cannot (status 3).
#ifndef RINGSIDE_GUEST_NATIVE_H
#define RINGSIDE_GUEST_NATIVE_H

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest/repeat.h"

#define NATIVE_STATUS_USAGE 2
#define NATIVE_STATUS_PIN 3

extern const char image_name[];
#define IMAGE(name) const char image_name[] = name
#define USER_CODE __attribute__((noinline))
#define USER_DATA

int image_main(void);

// What the command line asked for. The images' interface has no argument to carry it, hence the one static object.
struct native_options {
    uint64_t reps, cycles, n, cpu;
    bool pinned;
};
static struct native_options native_options = {.reps = 10, .cycles = 2000000};

// The fences of the guest library: nothing before is still running at the first read, nothing after has begun at the
// second (SDM vol. 2, RDTSC and RDTSCP).
static inline uint64_t tsc_begin(void)
{
    uint32_t low, high;
    __asm__ volatile("lfence; rdtsc; lfence" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

static inline uint64_t tsc_end(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtscp; lfence" : "=a"(low), "=d"(high) : : "rcx", "memory");
    return (uint64_t)high << 32 | low;
}

typedef void bench_fn(uint64_t n, void *ctx);

static inline uint64_t native_time(bench_fn *body, void *ctx, uint64_t n)
{
    uint64_t start = tsc_begin();
    body(n, ctx);
    return tsc_end() - start;
}

REPEAT_DEFINE_EMPTY(native_empty, __attribute__((noinline)))

// Doubles n until its run takes as long as asked.
static inline uint64_t native_calibrate(bench_fn *body, void *ctx)
{
    uint64_t n = 1;
    if (native_options.n)
        return native_options.n;
    // Asked twice, as in guest/bench.c: one interrupt must not end the calibration early.
    while (native_time(body, ctx, n) < native_options.cycles || native_time(body, ctx, n) < native_options.cycles)
        n *= 2;
    return n;
}

// The run of n or 2n, announced.
static inline uint64_t native_run(const char *name, bench_fn *body, void *ctx, uint64_t n)
{
    printf("rs1 run name=%s n=%llu\n", name, (unsigned long long)n);
    return native_time(body, ctx, n);
}

// The same steps in the same order as guest/bench.c.
static inline void bench_run(const char *name, bench_fn *body, void *ctx)
{
    printf("rs1 cold name=%s tsc=%llu\n", name, (unsigned long long)native_time(body, ctx, 1));
    uint64_t n = native_calibrate(body, ctx);
    native_time(native_empty, ctx, n);
    for (uint64_t i = 0; i < native_options.reps; i++) {
        uint64_t e1 = native_time(native_empty, ctx, n);
        uint64_t e2 = native_time(native_empty, ctx, 2 * n);
        uint64_t t1 = native_run(name, body, ctx, n);
        uint64_t t2 = native_run(name, body, ctx, 2 * n);
        printf("rs1 warm name=%s n=%llu t1=%llu t2=%llu e1=%llu e2=%llu\n", name, (unsigned long long)n,
               (unsigned long long)t1, (unsigned long long)t2, (unsigned long long)e1, (unsigned long long)e2);
    }
}

static inline void bench_run_user(const char *name, bench_fn *body, void *ctx)
{
    (void)body, (void)ctx;
    printf("rs1 skip name=%s why=a native program runs at CPL 3 as it is: see the record without _user\n", name);
}

static inline void bench_value(const char *name, uint64_t value)
{
    printf("rs1 value name=%s value=%llu\n", name, (unsigned long long)value);
}

static inline void native_parse(const char *word)
{
    struct {
        const char *key;
        uint64_t *value;
    } known[] = {{"reps=", &native_options.reps},
                 {"cycles=", &native_options.cycles},
                 {"n=", &native_options.n},
                 {"cpu=", &native_options.cpu}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        size_t length = strlen(known[i].key);
        if (strncmp(word, known[i].key, length) || word[length] < '0' || word[length] > '9')
            continue;
        char *end;
        errno = 0;
        *known[i].value = strtoull(word + length, &end, 10);
        if (*end || errno)
            break;
        native_options.pinned |= known[i].value == &native_options.cpu;
        return;
    }
    fprintf(stderr, "%s: bad option '%s'; known: reps=N cycles=N n=N cpu=N\n", image_name, word);
    exit(NATIVE_STATUS_USAGE);
}

static inline void native_pin(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    if (native_options.cpu < CPU_SETSIZE)
        CPU_SET(native_options.cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set)) {
        fprintf(stderr, "%s: cannot pin to CPU %llu: %s\n", image_name, (unsigned long long)native_options.cpu,
                strerror(errno));
        exit(NATIVE_STATUS_PIN);
    }
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        native_parse(argv[i]);
    if (native_options.pinned)
        native_pin();
    setvbuf(stdout, NULL, _IOLBF, 0); // who reads may time the lines (scripts/peers.py)
    printf("rs1 begin name=%s\n", image_name);
    int status = image_main();
    printf("rs1 end name=%s status=%d\n", image_name, status);
    return status;
}

#endif

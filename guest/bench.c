// SPDX-License-Identifier: BSD-2-Clause
// Measuring: the fenced timer, calibration, and the records of a benchmark. Between the two timer reads there is
// nothing but the body; marks and records lie outside. Why the empty loop is timed too: guest/repeat.h.
#include "guest/insn.h"
#include "guest/repeat.h"
#include "guest/state.h"

#define DEFAULT_REPS 10
#define DEFAULT_CYCLES 2000000
#define N_MAX (1ull << 40)

#define CPUID_1_EDX_SSE2 (1u << 26)
#define CPUID_80000001_EDX_RDTSCP (1u << 27)

REPEAT_DEFINE_EMPTY(empty_kernel, __attribute__((noinline)))
REPEAT_DEFINE_EMPTY(empty_user, USER_CODE)

void bench_init(void)
{
    guest.has_lfence = cpuid(1, 0).edx & CPUID_1_EDX_SSE2;
    guest.has_rdtscp = cpuid(0x80000000, 0).eax >= 0x80000001 && cpuid(0x80000001, 0).edx & CPUID_80000001_EDX_RDTSCP;
}

static void fence(void)
{
    if (guest.has_lfence)
        __asm__ volatile("lfence" : : : "memory");
}

static uint64_t read_tsc(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

// Everything before is done when the time is read, nothing after has begun (SDM vol. 2, RDTSC and RDTSCP).
uint64_t tsc_begin(void)
{
    fence();
    uint64_t t = read_tsc();
    fence();
    return t;
}

uint64_t tsc_end(void)
{
    if (!guest.has_rdtscp)
        return tsc_begin();
    uint32_t low, high;
    __asm__ volatile("rdtscp" : "=a"(low), "=d"(high) : : "rcx", "memory");
    fence();
    return (uint64_t)high << 32 | low;
}

struct job {
    const char *name;
    bench_fn *body, *empty;
    void *ctx;
    bool user;
    bench_prepare_fn *prepare; // NULL: none
    uint64_t n_max;
};

static uint64_t time_body(const struct job *job, bench_fn *body, uint64_t n)
{
    if (job->user) {
        uint64_t start = tsc_begin();
        user_call((uint64_t)body, n, (uint64_t)job->ctx);
        return tsc_end() - start;
    }
    uint64_t start = tsc_begin();
    body(n, job->ctx);
    return tsc_end() - start;
}

static uint64_t time_prepared(const struct job *job, uint64_t n)
{
    if (job->prepare)
        job->prepare(n, job->ctx);
    return time_body(job, job->body, n);
}

// Asked twice, so that one interrupt or one first translation does not end the calibration early.
static bool long_enough(const struct job *job, uint64_t n, uint64_t cycles)
{
    return time_prepared(job, n) >= cycles && time_prepared(job, n) >= cycles;
}

static uint64_t calibrate(const struct job *job)
{
    uint64_t n = option_u64("n", 0);
    if (n)
        return n < job->n_max ? n : job->n_max;
    uint64_t cycles = option_u64("cycles", DEFAULT_CYCLES);
    n = 1;
    while (2 * n <= job->n_max && !long_enough(job, n, cycles))
        n *= 2;
    return n;
}

// The run of n (id 0) or 2n (id 1), announced and framed. The record is out, down to its last bit, before the run
// starts: somebody may be timing it by that.
static uint64_t marked_run(const struct job *job, uint64_t n, unsigned id)
{
    if (job->prepare)
        job->prepare(n, job->ctx);
    print(RS1_PREFIX "run name=%s n=%lu\n", job->name, n);
    console_flush();
    outl(PORT_MARK, MARK(MARK_BEGIN, id));
    uint64_t t = time_body(job, job->body, n);
    outl(PORT_MARK, MARK(MARK_END, id));
    return t;
}

static void run_job(const struct job *job)
{
    print(RS1_PREFIX "cold name=%s tsc=%lu\n", job->name, time_prepared(job, 1));
    uint64_t n = calibrate(job);
    uint64_t reps = option_u64("reps", DEFAULT_REPS);
    time_body(job, job->empty, n); // its own first pass, with translation and faults, is nobody's figure
    for (uint64_t i = 0; i < reps; i++) {
        uint64_t e1 = time_body(job, job->empty, n);
        uint64_t e2 = time_body(job, job->empty, 2 * n);
        uint64_t t1 = marked_run(job, n, 0);
        uint64_t t2 = marked_run(job, 2 * n, 1);
        print(RS1_PREFIX "warm name=%s n=%lu t1=%lu t2=%lu e1=%lu e2=%lu\n", job->name, n, t1, t2, e1, e2);
    }
}

void bench_run(const char *name, bench_fn *body, void *ctx)
{
    run_job(&(struct job){.name = name, .body = body, .empty = empty_kernel, .ctx = ctx, .n_max = N_MAX});
}

void bench_run_user(const char *name, bench_fn *body, void *ctx)
{
    run_job(&(struct job){.name = name, .body = body, .empty = empty_user, .ctx = ctx, .user = true, .n_max = N_MAX});
}

void bench_run_prepared(const char *name, bench_fn *body, bench_prepare_fn *prepare, uint64_t most, void *ctx)
{
    run_job(&(struct job){
        .name = name, .body = body, .empty = empty_kernel, .ctx = ctx, .prepare = prepare, .n_max = most / 2});
}

void bench_value(const char *name, uint64_t value)
{
    print(RS1_PREFIX "value name=%s value=%lu\n", name, value);
}

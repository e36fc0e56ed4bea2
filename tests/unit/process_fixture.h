// SPDX-License-Identifier: BSD-2-Clause
// Some processes for directly executed code over guest RAM of their own, small programs in it, and kicks: what the
// tests of their use and of their abuse have in common.
#ifndef RINGSIDE_TESTS_UNIT_PROCESS_FIXTURE_H
#define RINGSIDE_TESTS_UNIT_PROCESS_FIXTURE_H

#include "engines/bt/process.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "machine/ram.h"
#include "tests/unit/check.h"

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif
#define RAM_BYTES (16ull << 20)
#define PAGE 4096ull
#define CODE 0x400000ull
#define DATA 0x600000ull
#define CODE_AT 0x10000ull // in RAM
#define DATA_AT 0x100000ull
#define STEP(n) (0x1111111111111111ull * (n))

struct fixture {
    struct guest_ram ram;
    struct process_pool *pool;
    struct process_regs regs;
    struct process_info info;
    volatile uint32_t attention;
};

static inline struct process *at_index(struct fixture *f, unsigned i)
{
    return process_at(f->pool, i);
}

static inline void queue(struct process *p, enum process_op op, uint64_t va, uint64_t bytes, uint64_t offset, int prot)
{
    struct process_command c = {
        .va = va, .bytes = bytes, .ram_offset = offset, .op = (uint8_t)op, .prot = (uint8_t)prot, .populate = true};
    CHECK(process_queue(p, &c));
}

// A process with one page of code and four of data; registers that are told apart.
static inline struct process *start(struct fixture *f, unsigned i, const void *code, size_t bytes)
{
    struct process *p = at_index(f, i);
    memset(f->ram.base + CODE_AT, 0xcc, PAGE);
    memcpy(f->ram.base + CODE_AT, code, bytes);
    process_clear(p);
    queue(p, PROCESS_MAP, CODE, PAGE, CODE_AT, PROT_READ | PROT_EXEC);
    queue(p, PROCESS_MAP, DATA, 4 * PAGE, DATA_AT, PROT_READ | PROT_WRITE);
    for (unsigned n = 0; n < GPR_COUNT; n++)
        f->regs.gpr[n] = STEP(n);
    f->regs.rip = CODE;
    f->regs.rflags = FLAG_FIXED1;
    f->regs.fs_base = 0x12345678000;
    f->regs.gs_base = 0x23456789000;
    return p;
}
#define START(f, i, ...)                                                                                               \
    ({                                                                                                                 \
        static const uint8_t start_code_[] = {__VA_ARGS__};                                                            \
        start(f, i, start_code_, sizeof start_code_);                                                                  \
    })

static inline enum process_stop run(struct fixture *f, struct process *p)
{
    enum process_stop stop = process_run(p, &f->regs, &f->attention, &f->info);
    if (stop == PROCESS_DIED)
        printf("# %s\n", process_died(f->pool));
    return stop;
}

static inline bool excepts(struct fixture *f, struct process *p, unsigned vector)
{
    enum process_stop stop = run(f, p);
    if (stop == PROCESS_EXCEPTION && f->info.vector == vector)
        return true;
    printf("# stop %d, vector %u, error %#x, address %#" PRIx64 ", rip %#" PRIx64 "\n", stop, f->info.vector,
           f->info.error, f->info.address, f->regs.rip);
    return false;
}

static inline void set_up(struct fixture *f, unsigned count)
{
    char err[200] = "";
    memset(f, 0, sizeof *f);
    if (ram_create(&f->ram, RAM_BYTES, err, sizeof err) == 0)
        f->pool = process_pool_create(f->ram.memfd, count, err, sizeof err);
    if (!f->pool && prctl(PR_SET_SYSCALL_USER_DISPATCH, 0, 0, 0, 0)) {
        SKIP("this host's kernel has no Syscall User Dispatch");
        exit(0);
    }
    if (!f->pool) {
        printf("not ok process_fixture.h: %s\n", err);
        exit(1);
    }
}

static inline void tear_down(struct fixture *f)
{
    process_pool_destroy(f->pool);
    ram_destroy(&f->ram);
}

// Machine code.
#define SYSCALL 0x0f, 0x05
#define JUMP_BACK(n) 0xeb, (uint8_t)(-(n)-2)

// ---- Kicks, from another thread ----

struct kicker {
    struct fixture *f;
    unsigned delay_us, times;
    volatile bool done;
    sem_t enough; // posted by kicks_end()
    pthread_t thread;
};

// Whether it is over before the next kick is due.
static inline bool is_enough(struct kicker *k)
{
    struct timespec due;
    clock_gettime(CLOCK_REALTIME, &due);
    uint64_t ns = (uint64_t)due.tv_nsec + k->delay_us * 1000ull;
    due.tv_sec += (time_t)(ns / 1000000000);
    due.tv_nsec = (long)(ns % 1000000000);
    return sem_timedwait(&k->enough, &due) == 0;
}

static inline void *kick_later(void *arg)
{
    struct kicker *k = arg;
    for (unsigned n = 0; n < k->times && !is_enough(k); n++) {
        k->f->attention = 1;
        process_wake(k->f->pool);
    }
    k->done = true;
    return NULL;
}

static inline void kicks_begin(struct kicker *k, struct fixture *f, unsigned delay_us, unsigned times)
{
    *k = (struct kicker){.f = f, .delay_us = delay_us, .times = times};
    f->attention = 0;
    sem_init(&k->enough, 0, 0);
    pthread_create(&k->thread, NULL, kick_later, k);
}

// No more of them from here on.
static inline void kicks_end(struct kicker *k)
{
    sem_post(&k->enough);
    pthread_join(k->thread, NULL);
    sem_destroy(&k->enough);
}

#endif

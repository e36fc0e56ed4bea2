// SPDX-License-Identifier: BSD-2-Clause
// Floating point switched lazily, as kernels did it for twenty years: CR0.TS is set at each change of task, and whoever
// uses a register first comes by #NM, where the registers change hands (SDM vol. 3, 13.4). Three tasks at CPL 3 sum up
// in registers that they never save; one of them uses none. By fnsave and by fxsave. Then CR0's TS, EM and MP by
// themselves (SDM vol. 3, table 2-2).
#include "tests/guest/fpu.h"
#include "tests/guest/judge.h"

IMAGE("fpu_switch");

enum { TASKS = 3, ROUNDS = 60 };

static struct task {
    struct fxsave state;
    unsigned traps;
    bool started;
} tasks[TASKS], *current, *owner;
static bool by_fxsave;

static void save(struct task *t)
{
    if (by_fxsave)
        __asm__ volatile("fxsave %0" : "=m"(t->state) : : "memory");
    else
        __asm__ volatile("fnsave %0" : "=m"(t->state) : : "memory");
}

static void restore(struct task *t)
{
    if (!t->started)
        __asm__ volatile("fninit" : : : "memory");
    else if (by_fxsave)
        __asm__ volatile("fxrstor %0" : : "m"(t->state) : "memory");
    else
        __asm__ volatile("frstor %0" : : "m"(t->state) : "memory");
    t->started = true;
}

static void on_nm(struct trap_frame *f)
{
    (void)f;
    __asm__ volatile("clts");
    current->traps++;
    if (owner)
        save(owner);
    restore(current);
    owner = current;
}

static void switch_to(struct task *t)
{
    current = t;
    if (owner == t)
        __asm__ volatile("clts");
    else
        write_cr0(read_cr0() | CR0_TS);
}

// ---- Tasks: a step each, with what came before in the registers ----

static USER_CODE uint64_t first_step(void *arg) // arg: 0.0 the first time, then to be added to st(0)
{
    if (!arg)
        __asm__ volatile("fldz; fld1; fadd %%st, %%st" : : : "memory"); // st(1) is the sum, st(0) is 2
    __asm__ volatile("fadd %%st, %%st(1)" : : : "memory");
    return 0;
}

static USER_CODE uint64_t second_step(void *arg)
{
    if (!arg)
        __asm__ volatile("fldpi; fldz" : : : "memory");
    __asm__ volatile("fadd %%st(1), %%st" : : : "memory");
    return 0;
}

static USER_CODE uint64_t third_step(void *arg)
{
    return (uint64_t)arg + 1;
}

static USER_CODE uint64_t first_result(void *arg)
{
    __asm__ volatile("fstp %%st(0); fistpll (%0)" : : "r"(arg) : "memory");
    return 0;
}

static USER_CODE uint64_t second_result(void *arg)
{
    __asm__ volatile("fdivp; fistpll (%0)" : : "r"(arg) : "memory");
    return 0;
}

static USER_DATA int64_t sums[2];

static void tasks_in_turns(bool fxsave)
{
    uint64_t n = 0;
    by_fxsave = fxsave;
    owner = NULL;
    for (unsigned i = 0; i < TASKS; i++)
        tasks[i].started = false, tasks[i].traps = 0;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        switch_to(&tasks[0]);
        run_user(first_step, (void *)round);
        switch_to(&tasks[2]);
        n = run_user(third_step, (void *)n);
        if (round % 4) // at times the first goes on without the second in between
            continue;
        switch_to(&tasks[1]);
        run_user(second_step, (void *)round);
    }
    switch_to(&tasks[0]);
    run_user(first_result, &sums[0]);
    switch_to(&tasks[1]);
    run_user(second_result, &sums[1]);
    CHECK_EQ(sums[0], 2 * ROUNDS);
    CHECK_EQ(sums[1], ROUNDS / 4);
    CHECK_EQ(n, ROUNDS);
    CHECK_EQ(tasks[0].traps, ROUNDS / 4 + 1); // whoever comes back to its own registers does not trap
    CHECK_EQ(tasks[1].traps, ROUNDS / 4 + 1);
    CHECK_EQ(tasks[2].traps, 0);
    __asm__ volatile("clts");
}

// ---- TS, EM, MP ----

#define TRY(name, text)                                                                                                \
    static void name(void *arg)                                                                                        \
    {                                                                                                                  \
        (void)arg;                                                                                                     \
        __asm__ volatile(text : : : "rax", "memory");                                                                  \
    }
TRY(do_x87, "fninit")
TRY(do_wait, "fwait")
TRY(do_sse, "xorps %%xmm7, %%xmm7")
TRY(do_avx, "vxorps %%ymm7, %%ymm7, %%ymm7")

static int with(uint64_t bits, void (*fn)(void *))
{
    uint64_t cr0 = read_cr0();
    write_cr0((cr0 & ~(uint64_t)(CR0_TS | CR0_EM | CR0_MP)) | bits);
    int vector = catch_fault(fn, NULL).vector;
    write_cr0(cr0);
    return vector;
}

static void control(void)
{
    for (unsigned i = 0; i < 8; i++) {
        bool ts = i & 1, em = i & 2, mp = i & 4;
        uint64_t bits = (ts ? CR0_TS : 0) | (em ? CR0_EM : 0) | (mp ? CR0_MP : 0);
        CHECK_EQ(with(bits, do_x87), ts || em ? VEC_NM : -1);
        CHECK_EQ(with(bits, do_wait), ts && mp ? VEC_NM : -1);
        if (HAS_SSE)
            CHECK_EQ_NOT_QEMU(with(bits, do_sse), em ? VEC_UD : ts ? VEC_NM : -1);
        if (HAS_AVX && HAS_XSAVE && !em)
            CHECK_EQ(with(bits, do_avx), ts ? VEC_NM : -1);
    }
}

int image_main(void)
{
    if (!HAS_FPU) {
        skip("no x87 in CPUID");
        return 0;
    }
    if (HAS_SSE && HAS_FXSR)
        avx_on();
    else
        fpu_on();
    trap_set(VEC_NM, on_nm);
    tasks_in_turns(false);
    if (HAS_FXSR)
        tasks_in_turns(true);
    trap_set(VEC_NM, NULL);
    control();
    return 0;
}

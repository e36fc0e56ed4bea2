// SPDX-License-Identifier: BSD-2-Clause
// Unmasked x87 exceptions: what they leave in the registers, and #MF at the next instruction that waits, not before
// (SDM vol. 1, 8.5 to 8.7). At CPL 0, and at CPL 3 with a handler that clears them and lets the program go on.
#include "tests/guest/fpu.h"

IMAGE("x87_pending");

#define UNMASK(bits) (CW_INIT & ~(bits))
#define IN_MEMORY(type, v) "m"(*(const type[]){v})

// ---- Who waits ----

// 1 / 0 with zero divide unmasked, then `text`.
extern const char pending_divide[];
#define BEHIND_PENDING(name, text)                                                                                     \
    extern const char name##_at[];                                                                                     \
    static void __attribute__((noinline)) name(void *arg)                                                              \
    {                                                                                                                  \
        __asm__ volatile("fninit; fldcw %[cw]; fld1; fldz; fdivr %%st, %%st(1)\n"                                      \
                         ".globl " #name "_at\n" #name "_at: " text                                                    \
                         :                                                                                             \
                         : [cw] IN_MEMORY(uint16_t, UNMASK(SW_ZE)), "D"(arg)                                           \
                         : "rax", "memory");                                                                           \
    }
BEHIND_PENDING(waits_fwait, "fwait")
BEHIND_PENDING(waits_load, "fld1")
BEHIND_PENDING(waits_nothing, "fnop")
BEHIND_PENDING(waits_control, "fldcw (%%rdi)")
BEHIND_PENDING(waits_environment, "fldenv (%%rdi)")
BEHIND_PENDING(waits_restore, "frstor (%%rdi)")
BEHIND_PENDING(waits_free, "ffree %%st(5)")
BEHIND_PENDING(waits_bad_address, "flds (%%rdi)")
BEHIND_PENDING(waits_mmx, "movd %%eax, %%mm0")
BEHIND_PENDING(waits_emms, "emms")
BEHIND_PENDING(not_status, "fnstsw %%ax; fnstsw (%%rdi)")
BEHIND_PENDING(not_control, "fnstcw (%%rdi)")
BEHIND_PENDING(not_environment, "fnstenv (%%rdi)")
BEHIND_PENDING(not_save, "fnsave (%%rdi)")
BEHIND_PENDING(not_clear, "fnclex; fwait")
BEHIND_PENDING(not_init, "fninit; fwait")
BEHIND_PENDING(not_old, ".byte 0xdb, 0xe0, 0xdb, 0xe1, 0xdb, 0xe4")
BEHIND_PENDING(not_fxsave, "fxsave (%%rdi)")

static void who_waits(void)
{
    static struct fxsave area;
#define ROW(name, mmx)                                                                                                 \
    {                                                                                                                  \
        name, name##_at, mmx                                                                                           \
    }
    static const struct {
        void (*fn)(void *);
        const char *at;
        bool mmx;
    } waits[] = {ROW(waits_fwait, false),   ROW(waits_load, false),        ROW(waits_nothing, false),
                 ROW(waits_control, false), ROW(waits_environment, false), ROW(waits_restore, false),
                 ROW(waits_free, false),    ROW(waits_mmx, true),          ROW(waits_emms, true)};
    for (unsigned i = 0; i < sizeof waits / sizeof *waits; i++) {
        if (waits[i].mmx && !HAS_MMX)
            continue;
        struct caught c = catch_fault(waits[i].fn, &area);
        bool mf = c.vector == VEC_MF && c.error == 0 && c.rip == (uint64_t)waits[i].at;
        CHECK(mf && x87_sw() == (SW_ES | SW_ZE | 6 << 11)); // and it is still pending
    }
    struct caught c = catch_fault(waits_bad_address, (void *)0x8000000000000000);
    CHECK_EQ(c.vector, VEC_MF); // comes before the operand

    void (*const does_not[])(void *) = {not_status, not_control, not_environment, not_save,
                                        not_clear,  not_init,    not_old};
    for (unsigned i = 0; i < sizeof does_not / sizeof *does_not; i++)
        CHECK_EQ(catch_fault(does_not[i], &area).vector, -1);
    if (HAS_FXSR)
        CHECK_EQ(catch_fault(not_fxsave, &area).vector, -1);
}

// fnstenv masks everything, so that nothing is pending any more; what it stored says where it came from.
static uint32_t env[7];
static void store_environment(void *arg)
{
    (void)arg;
    __asm__ volatile("fninit; fldcw %1; fld1; fldz\n"
                     "pending_divide: fdivr %%st, %%st(1)\n"
                     "fnstenv %0; fwait"
                     : "=m"(env)
                     : IN_MEMORY(uint16_t, UNMASK(SW_ZE)));
}

static void environment(void)
{
    CHECK_EQ(catch_fault(store_environment, NULL).vector, -1);
    CHECK_EQ(env[0] & 0xffff, UNMASK(SW_ZE));
    CHECK_EQ(env[1] & 0xffff, SW_ES | SW_ZE | 6 << 11);
    CHECK_EQ(env[3], (uint32_t)(uint64_t)pending_divide);
    CHECK_EQ(env[4] >> 16, 0x4f9); // dc f9 (SDM vol. 1, figure 8-8)
    CHECK_EQ(x87_cw(), CW_INIT);
    CHECK_EQ(x87_sw(), SW_ZE | 6 << 11);
}

// ---- What is left behind: nothing but flags before an operation, a scaled result after one ----

static struct m80 left[2];
#define UNMASKED(name, text)                                                                                           \
    static uint16_t name(uint16_t cw, const void *arg)                                                                 \
    {                                                                                                                  \
        uint16_t sw;                                                                                                   \
        __asm__ volatile("fninit; fldcw %[cw]\n" text "\nfnstsw %%ax; fnclex; fstpt %[st0]; fstpt %[st1]; fninit"      \
                         : "=&a"(sw), [st0] "=m"(left[0]), [st1] "=m"(left[1])                                         \
                         : [cw] "m"(cw), [arg] "r"(arg)                                                                \
                         : "memory");                                                                                  \
        return sw;                                                                                                     \
    }
UNMASKED(divide_zero, "fld1; fldz; fdivrp") // no pop either
UNMASKED(root_of_minus, "fldz; fld1; fchs; fsqrt")
UNMASKED(underflow_stack, "fldz; fld1; fadd %%st(3), %%st")
UNMASKED(add_denormal, "fldz; fld1; faddl (%[arg])")
UNMASKED(multiply, "fldz; fldt (%[arg]); fmul %%st, %%st")
UNMASKED(third, "fldz; fld1; fidivs (%[arg])")
UNMASKED(store_infinity, "fldz; fldt 16(%[arg]); fistpl (%[arg])")
UNMASKED(store_large, "fldz; fldt 16(%[arg]); fstpl (%[arg])")

#define ES_AND(bits, top) (SW_ES | (bits) | (top) << 11)

static void what_is_left(void)
{
    CHECK_EQ(divide_zero(UNMASK(SW_ZE), NULL), ES_AND(SW_ZE, 6));
    CHECK(m80_is(left[0], 0, 0) && m80_is(left[1], 0x3fff, 0x8000000000000000));
    CHECK_EQ(root_of_minus(UNMASK(SW_IE), NULL), ES_AND(SW_IE, 6));
    CHECK(m80_is(left[0], 0xbfff, 0x8000000000000000) && m80_is(left[1], 0, 0));
    CHECK_EQ(underflow_stack(UNMASK(SW_IE), NULL), ES_AND(SW_IE | SW_SF, 6));
    CHECK(m80_is(left[0], 0x3fff, 0x8000000000000000));
    CHECK_EQ(add_denormal(UNMASK(SW_DE), (const uint64_t[]){1}) & ~(SW_C1 | SW_PE), ES_AND(SW_DE, 6));
    CHECK(m80_is(left[0], 0x3fff, 0x8000000000000000));

    // 2 to the 32,000 and to the -32,000, scaled by 24,576 (SDM vol. 1, 8.5.4 and 8.5.5).
    const struct m80 large = {0x8000000000000000, 0x3fff + 16000}, small = {0x8000000000000000, 0x3fff - 16000};
    CHECK_EQ(multiply(UNMASK(SW_OE), &large) & ~SW_C1, ES_AND(SW_OE, 6));
    CHECK(m80_is(left[0], 0x3fff + 32000 - 24576, 0x8000000000000000));
    CHECK_EQ(multiply(UNMASK(SW_UE), &small) & ~SW_C1, ES_AND(SW_UE, 6)); // exact, and an exception all the same
    CHECK(m80_is(left[0], 0x3fff - 32000 + 24576, 0x8000000000000000));
    CHECK_EQ(third(UNMASK(SW_PE), (const int16_t[]){3}) & ~SW_C1, ES_AND(SW_PE, 6));
    CHECK(m80_is(left[0], 0x3ffd, 0xaaaaaaaaaaaaaaab));

    // Stores: memory stays, and nothing is popped.
    struct {
        uint64_t memory, unused;
        struct m80 value;
    } s = {.memory = 0x1122334455667788, .value = {0x8000000000000000, 0x7fff}};
    CHECK_EQ(store_infinity(UNMASK(SW_IE), &s), ES_AND(SW_IE, 6));
    CHECK_EQ(s.memory, 0x1122334455667788);
    CHECK(m80_is(left[0], 0x7fff, 0x8000000000000000));
    s.memory = 0x1122334455667788, s.value = large;
    CHECK_EQ(store_large(UNMASK(SW_OE), &s) & ~(SW_C1 | SW_PE), ES_AND(SW_OE, 6));
    CHECK_EQ(s.memory, 0x1122334455667788);
    CHECK(m80_is(left[0], 0x3fff + 16000, 0x8000000000000000));
}

// ---- A handler that lets the program go on ----

static volatile unsigned faults, wrong;
extern const char user_load[];

static void on_mf(struct trap_frame *f)
{
    faults++;
    wrong += f->rip != (uint64_t)user_load || !(f->cs & 3) || (x87_sw() & (SW_ES | 0x3f)) != (SW_ES | SW_ZE);
    __asm__ volatile("fnclex");
}

// Quotients of 1 and 0 for ever, each found out at the load that follows: 100 of them.
static USER_CODE uint64_t user_divides(void *arg)
{
    uint64_t loaded;
    __asm__ volatile("fninit; fldcw (%1); movl $100, %%ecx\n"
                     "1: fldz; fld1; fdiv %%st(1), %%st; movl $7, %%eax\n"
                     ".globl user_load\nuser_load: fildl 4(%1)\n"
                     "fistpll 8(%1); fstp %%st(0); fstp %%st(0); decl %%ecx; jnz 1b\n"
                     "fnstsw %%ax; movzwl %%ax, %%eax"
                     : "=&a"(loaded)
                     : "r"(arg)
                     : "rcx", "memory", "cc");
    return loaded;
}

static USER_DATA struct {
    uint16_t cw, unused;
    int32_t value;
    int64_t seen;
} user_data = {UNMASK(SW_ZE), 0, 1234567, 0};

static void going_on(void)
{
    trap_set(VEC_MF, on_mf);
    CHECK_EQ(run_user(user_divides, &user_data), 0);
    CHECK_EQ(faults, 100);
    CHECK_EQ(wrong, 0);
    CHECK_EQ(user_data.seen, 1234567);
}

int image_main(void)
{
    if (!HAS_FPU) {
        skip("no x87 in CPUID");
        return 0;
    }
    fpu_on();
    who_waits();
    environment();
    what_is_left();
    going_on();
    return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
// x87 arithmetic whose every bit is known: rounding and precision control, constants, conversions, comparisons, the
// register stack and its faults, all exceptions masked (SDM vol. 1, ch. 8).
#include "tests/guest/fpu.h"
#include "tests/guest/judge.h"

IMAGE("x87");

// Runs `text` on a fresh unit with control word cw; st(0), where there is one, goes to result, and the status before
// that is the function's value.
static struct m80 result;
#define X87(name, text)                                                                                                \
    static uint16_t name(uint16_t cw, const void *arg)                                                                 \
    {                                                                                                                  \
        uint16_t sw;                                                                                                   \
        __asm__ volatile("fninit; fldcw %[cw]\n" text "\nfnstsw %%ax; fstpt %[result]; fninit"                         \
                         : "=&a"(sw), [result] "=m"(result)                                                            \
                         : [cw] "m"(cw), [arg] "r"(arg)                                                                \
                         : "memory");                                                                                  \
        return sw;                                                                                                     \
    }

// ---- Rounding: 1 / 3 and -1 / 3 in all modes ----

X87(third, "fld1; fidivs (%[arg])")

static void rounding(void)
{
    static const int16_t three = 3, minus_three = -3;
    // By precision control, then rounding control; the sign swaps down and up.
    static const struct {
        unsigned precision;
        uint64_t down, up, nearest;
    } rows[] = {
        {3, 0xaaaaaaaaaaaaaaaa, 0xaaaaaaaaaaaaaaab, 0xaaaaaaaaaaaaaaab},
        {2, 0xaaaaaaaaaaaaa800, 0xaaaaaaaaaaaab000, 0xaaaaaaaaaaaaa800},
        {0, 0xaaaaaa0000000000, 0xaaaaab0000000000, 0xaaaaab0000000000},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (unsigned mode = 0; mode < 4; mode++) {
            uint64_t magnitude[] = {rows[i].nearest, rows[i].down, rows[i].up, rows[i].down};
            uint64_t other[] = {rows[i].nearest, rows[i].up, rows[i].down, rows[i].down};
            uint16_t cw = (uint16_t)(0x7f | rows[i].precision << 8 | mode << 10);
            unsigned rounded_up = magnitude[mode] == rows[i].up ? SW_C1 : 0;
            CHECK_EQ_NOT_QEMU(third(cw, &three) & (SW_C1 | 0xff), SW_PE | rounded_up);
            CHECK(m80_is(result, 0x3ffd, magnitude[mode]));
            third(cw, &minus_three);
            CHECK(m80_is(result, 0xbffd, other[mode]));
        }
    }
}

// ---- Constants and functions ----

X87(pi, "fldpi")
X87(log2_10, "fldl2t")
X87(log2_e, "fldl2e")
X87(log10_2, "fldlg2")
X87(ln_2, "fldln2")
X87(root, "fld1; fadd %%st, %%st; fsqrt")
X87(atan_1, "fld1; fld1; fpatan")
X87(log2_8, "fld1; filds (%[arg]); fyl2x")
X87(exp_1, "fld1; f2xm1")
X87(sine, "filds (%[arg]); fld1; fscale; fstp %%st(1); fsin")
X87(tangent, "fldz; fptan; fxch; faddp")
X87(scaled, "filds (%[arg]); fld1; fscale; fstp %%st(1)")
X87(extracted, "filds (%[arg]); fxtract; fxch; fmulp")
X87(remainder, "filds 2(%[arg]); filds (%[arg]); fprem")
X87(remainder1, "filds 2(%[arg]); filds (%[arg]); fprem1")

static void functions(void)
{
    static const int16_t eight = 8, twelve = 12, pair[2] = {23, 6};
    pi(CW_INIT, NULL), CHECK(m80_is(result, 0x4000, 0xc90fdaa22168c235));
    pi(0x77f, NULL), CHECK(m80_is(result, 0x4000, 0xc90fdaa22168c234)); // down
    log2_10(CW_INIT, NULL), CHECK(m80_is(result, 0x4000, 0xd49a784bcd1b8afe));
    log2_e(CW_INIT, NULL), CHECK(m80_is(result, 0x3fff, 0xb8aa3b295c17f0bc));
    log10_2(CW_INIT, NULL), CHECK(m80_is(result, 0x3ffd, 0x9a209a84fbcff799));
    ln_2(CW_INIT, NULL), CHECK(m80_is(result, 0x3ffe, 0xb17217f7d1cf79ac));
    root(CW_INIT, NULL), CHECK(m80_is(result, 0x3fff, 0xb504f333f9de6484));
    atan_1(CW_INIT, NULL), CHECK(m80_is(result, 0x3ffe, 0xc90fdaa22168c235));
    log2_8(CW_INIT, &eight), CHECK(m80_is(result, 0x4000, 0xc000000000000000));
    exp_1(CW_INIT, NULL), CHECK(m80_is(result, 0x3fff, 0x8000000000000000));
    tangent(CW_INIT, NULL), CHECK(m80_is(result, 0x3fff, 0x8000000000000000)); // 0, and the 1 that it pushes
    scaled(CW_INIT, &twelve), CHECK(m80_is(result, 0x3fff + 12, 0x8000000000000000));
    extracted(CW_INIT, &twelve), CHECK(m80_is(result, 0x4001, 0x9000000000000000)); // 3 * 1.5
    // 23 = 3 * 6 + 5 and 4 * 6 - 1; C0, C3 and C1 are the quotient's last bits
    CHECK_EQ(remainder(CW_INIT, pair) & SW_CC, SW_C3 | SW_C1);
    CHECK(m80_is(result, 0x4001, 0xa000000000000000));
    CHECK_EQ_NOT_QEMU(remainder1(CW_INIT, pair) & SW_CC, SW_C0);
    CHECK(m80_is(result, 0xbfff, 0x8000000000000000));
    static const int16_t out_of_range = 64;
    CHECK_EQ(sine(CW_INIT, &out_of_range) & SW_C2, SW_C2);
    CHECK(m80_is(result, 0x3fff + 64, 0x8000000000000000)); // and left as it was
}

// ---- Comparisons ----

X87(compare, "fldl 8(%[arg]); fldl (%[arg]); fcom; fstp %%st(1)")
X87(compare_quietly, "fldl 8(%[arg]); fldl (%[arg]); fucom; fstp %%st(1)")
X87(examine, "fldt (%[arg]); fxam")
X87(examine_empty, "fxam")

static uint64_t compare_flags(const uint64_t *v)
{
    uint64_t flags;
    write_flags(FLAGS_ARITH);
    __asm__ volatile("fldl 8(%1); fldl (%1); fcomip; fstp %%st; pushfq; popq %0"
                     : "=r"(flags)
                     : "r"(v)
                     : "memory", "cc");
    return flags & FLAGS_ARITH;
}

static void comparisons(void)
{
    const uint64_t one = 0x3ff0000000000000, two = 0x4000000000000000, nan = 0x7ff8000000000000;
    const struct {
        uint64_t v[2];
        unsigned conditions, flags;
    } rows[] = {
        {{two, one}, 0, 0},
        {{one, two}, SW_C0, FLAG_CF},
        {{one, one}, SW_C3, FLAG_ZF},
        {{one, nan}, SW_C3 | SW_C2 | SW_C0, FLAG_ZF | FLAG_PF | FLAG_CF},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        unsigned invalid = rows[i].v[1] == nan ? SW_IE : 0;
        CHECK_EQ(compare(CW_INIT, rows[i].v) & (SW_C3 | SW_C2 | SW_C0 | 0xff), rows[i].conditions | invalid);
        CHECK_EQ(compare_quietly(CW_INIT, rows[i].v) & (SW_C3 | SW_C2 | SW_C0 | 0xff), rows[i].conditions);
        CHECK_EQ_NOT_QEMU(compare_flags(rows[i].v), rows[i].flags);
    }
    static const struct {
        struct m80 value;
        unsigned conditions; // C1 is the sign
    } kinds[] = {
        {{0x8000000000000000, 0x3fff}, SW_C2},
        {{0xffffffffffffffff, 0xbfff}, SW_C2 | SW_C1},
        {{0, 0}, SW_C3},
        {{0, 0x8000}, SW_C3 | SW_C1},
        {{0x8000000000000000, 0x7fff}, SW_C2 | SW_C0},
        {{0xc000000000000000, 0xffff}, SW_C0 | SW_C1},
        {{0xa000000000000000, 0x7fff}, SW_C0}, // signalling, and fld of 80 bits does not mind
        {{0x4000000000000000, 0}, SW_C3 | SW_C2},
        {{0x8000000000000000, 0}, SW_C3 | SW_C2}, // pseudo-denormal
        {{0x4000000000000000, 0x3fff}, 0},        // unnormal: supported no more
        {{0, 0x7fff}, 0},                         // pseudo-infinity
    };
    for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++)
        CHECK_EQ(examine(CW_INIT, &kinds[i].value) & (SW_CC | 0xff), kinds[i].conditions);
    CHECK_EQ(examine_empty(CW_INIT, NULL) & (SW_C3 | SW_C2 | SW_C0), SW_C3 | SW_C0);
}

// ---- Integers and packed decimals ----

static uint16_t store_integer(uint16_t cw, uint64_t value, int64_t *out)
{
    uint16_t sw;
    int16_t word;
    int32_t dword;
    __asm__ volatile("fninit; fldcw %[cw]; fldl %[value]; fists %[word]; fistl %[dword]; fistpll %[out]; fnstsw %%ax"
                     : "=&a"(sw), [word] "=m"(word), [dword] "=m"(dword), [out] "=m"(*out)
                     : [cw] "m"(cw), [value] "m"(value));
    CHECK(*out != (int16_t)*out || word == *out);
    CHECK(*out == (int16_t)*out || word == INT16_MIN); // the integer indefinite
    CHECK(*out != (int32_t)*out || dword == *out);
    CHECK(*out == (int32_t)*out || dword == INT32_MIN);
    return sw;
}

static void integers(void)
{
    const uint64_t two_and_half = 0x4004000000000000, minus = 0x8000000000000000;
    static const int64_t expected[4] = {2, 2, 3, 2}, negative[4] = {-2, -3, -2, -2};
    int64_t n;
    for (unsigned mode = 0; mode < 4; mode++) {
        CHECK_EQ(store_integer((uint16_t)(CW_INIT | mode << 10), two_and_half, &n) & 0xff, SW_PE);
        CHECK_EQ(n, expected[mode]);
        store_integer((uint16_t)(CW_INIT | mode << 10), two_and_half | minus, &n);
        CHECK_EQ(n, negative[mode]);
    }
    CHECK_EQ(store_integer(CW_INIT, 0x40e3880000000000, &n) & 0xff, SW_IE); // 40,000
    CHECK_EQ(n, 40000);
    store_integer(CW_INIT, 0x41f0000000000000, &n); // 2^32
    CHECK_EQ(n, 1ll << 32);
    store_integer(CW_INIT, 0x7ff0000000000000, &n); // infinity
    CHECK_EQ(n, INT64_MIN);
    if (HAS_SSE3) {
        __asm__ volatile("fldl %1; fisttpll %0" : "=m"(n) : "m"(two_and_half));
        CHECK_EQ(n, 2);
    }

    static const int64_t decimal = -123456789012345678;
    static const uint8_t packed[10] = {0x78, 0x56, 0x34, 0x12, 0x90, 0x78, 0x56, 0x34, 0x12, 0x80};
    uint8_t out[10];
    int64_t back;
    __asm__ volatile("fildll %2; fbstp %0; fbld %0; fistpll %1" : "=m"(out), "=m"(back) : "m"(decimal));
    for (unsigned i = 0; i < sizeof out; i++)
        CHECK_EQ(out[i], packed[i]);
    CHECK_EQ(back, decimal);
}

// ---- The register stack ----

static void stack(void)
{
    struct m80 top;
    uint16_t sw;
    __asm__ volatile("fninit; fld1; fld1; fld1; fld1; fld1; fld1; fld1; fld1; fnstsw %%ax" : "=a"(sw));
    CHECK_EQ(sw, 0); // eight times round
    __asm__ volatile("fld1; fnstsw %%ax; fstpt %1" : "=&a"(sw), "=m"(top));
    CHECK_EQ_NOT_QEMU(sw, SW_IE | SW_SF | SW_C1 | 7 << 11); // overflow
    CHECK_NOT_QEMU(m80_is(top, 0xffff, 0xc000000000000000));
    __asm__ volatile("fninit; fstpt %1; fnstsw %%ax" : "=&a"(sw), "=m"(top));
    CHECK_EQ_NOT_QEMU(sw, SW_IE | SW_SF | 1 << 11); // underflow
    CHECK_NOT_QEMU(m80_is(top, 0xffff, 0xc000000000000000));
    __asm__ volatile("fninit; fld1; fdecstp; fincstp; ffree %%st(0); fxam; fnstsw %%ax" : "=a"(sw));
    CHECK_EQ(sw & (SW_C3 | SW_C2 | SW_C0 | 0xff), SW_C3 | SW_C0);

    // Tags: valid, zero, special, empty (SDM vol. 1, 8.1.7)
    uint32_t env[7];
    __asm__ volatile("fninit; fldz; fld1; fldz; fld1; fdivp; fldl %1; fnstenv %0; fninit"
                     : "=m"(env)
                     : "m"(*(const uint64_t[]){0x7ff8000000000000}));
    CHECK_EQ(env[0] & 0xffff, CW_INIT);
    CHECK_EQ(env[2] & 0xffff, 1 << 14 | 0 << 12 | 2 << 10 | 2 << 8 | 0xff); // R7 0, R6 1, R5 1 / 0, R4 a NaN
}

// ---- The state as a whole: fnsave and frstor, in both layouts ----

static void state(void)
{
    static uint8_t wide[108], narrow[94];
    struct m80 a, b;
    uint16_t cw;
    __asm__ volatile("fninit; fldcw %2; fldpi; fld1; fnsave %0; fnstcw %1"
                     : "=m"(wide), "=m"(cw)
                     : "m"(*(const uint16_t[]){0xe7f}));
    CHECK_EQ(cw, CW_INIT); // initialised behind it
    CHECK_EQ(wide[0] | wide[1] << 8, 0xe7f);
    CHECK_EQ(wide[5] >> 3 & 7, 6);
    __asm__ volatile("frstor %3; data16 fnsave %0; data16 frstor %0; fnstcw %2; fstpt %1"
                     : "=m"(narrow), "=m"(a), "=m"(cw)
                     : "m"(wide));
    __asm__ volatile("fstpt %0" : "=m"(b));
    CHECK_EQ(cw, 0xe7f);
    CHECK(m80_is(a, 0x3fff, 0x8000000000000000));
    CHECK(m80_is(b, 0x4000, 0xc90fdaa22168c235) || m80_is(b, 0x4000, 0xc90fdaa22168c234));
    for (unsigned i = 0; i < 80; i++)
        CHECK_EQ(narrow[14 + i], wide[28 + i]);
}

int image_main(void)
{
    if (!HAS_FPU) {
        skip("no x87 in CPUID");
        return 0;
    }
    fpu_on();
    rounding();
    functions();
    comparisons();
    integers();
    stack();
    state();
    return 0;
}

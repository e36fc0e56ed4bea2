// SPDX-License-Identifier: BSD-2-Clause
// div and idiv, all widths: quotients and remainders checked by multiplying back, and #DE (with rip on the instruction
// and registers untouched) by zero and for a quotient that does not fit (SDM vol. 2, DIV, IDIV).
#include "tests/guest/sweep.h"

IMAGE("div");

struct division {
    uint64_t low, high, divisor;
};
typedef void div_fn(void *arg);

#define DIV_AT(op, width, modifier)                                                                                    \
    static void op##_##width(void *arg)                                                                                \
    {                                                                                                                  \
        struct division *d = arg;                                                                                      \
        __asm__ volatile(#op " %" modifier "2" : "+a"(d->low), "+d"(d->high) : "r"(d->divisor) : "cc");                \
    }
#define DIV(op) DIV_AT(op, 8, "b") DIV_AT(op, 16, "w") DIV_AT(op, 32, "k") DIV_AT(op, 64, "q")
DIV(div);
DIV(idiv);

static int64_t extend(uint64_t value, unsigned width)
{
    return (int64_t)(value << (64 - width)) >> (64 - width);
}

// The double-width number in high:low; for 8 bits it lies in ax.
static __int128 dividend(struct division d, bool is_signed, unsigned width)
{
    uint64_t mask = width_mask(width);
    if (width == 8)
        return is_signed ? extend(d.low, 16) : (int64_t)(d.low & 0xffff);
    __int128 high = is_signed ? (__int128)extend(d.high, width) : (__int128)(d.high & mask);
    return (__int128)((unsigned __int128)high << width) | (d.low & mask);
}

static void sweep(const char *name, bool is_signed, unsigned width, div_fn *op)
{
    static const struct division cases[] = {{0, 0, 1},
                                            {0x77, 0, 5},
                                            {0x7f, 0, 0x7f},
                                            {0x1234567890abcdef, 0, 0x6c},
                                            {0xffffffffffffff9c, ~0ull, 7},
                                            {0xfffffffffffffff8, ~0ull, 0x3d},
                                            {0x64, 0, 0xfffffffffffffff9},
                                            {0x40, 0, 0x80},
                                            {0xffff, 3, 0x7fff},
                                            {0x80000000, 0x3fffffff, 0x7fffffff},
                                            {5, 0x123456789, 0x7fffffffffffffff},
                                            {1, 0xfe, 0xff},
                                            {1, 0x7ffffffffffffffe, 0xffffffffffffffff}};
    unsigned bad = 0, done = 0;
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct division d = cases[i];
        if (catch_fault(op, &d).vector >= 0)
            continue; // does not fit this width: the faults have their own checks
        done++;
        uint64_t q = width == 8 ? d.low & 0xff : d.low, r = width == 8 ? d.low >> 8 & 0xff : d.high;
        uint64_t mask = width_mask(width);
        __int128 quotient = is_signed ? (__int128)extend(q, width) : (__int128)(q & mask);
        __int128 rest = is_signed ? (__int128)extend(r, width) : (__int128)(r & mask);
        __int128 divisor = is_signed ? (__int128)extend(d.divisor, width) : (__int128)(d.divisor & mask);
        __int128 n = dividend(cases[i], is_signed, width);
        bool small = (rest < 0 ? -rest : rest) < (divisor < 0 ? -divisor : divisor);
        bool sign = !rest || (rest < 0) == (n < 0);
        if ((unsigned __int128)quotient * (unsigned __int128)divisor + (unsigned __int128)rest !=
                (unsigned __int128)n ||
            !small || !sign) {
            if (!bad++)
                print("%s case %u: quotient %lx rest %lx\n", name, i, q, r);
        }
    }
    check_record(bad == 0 && done >= 5, name, bad, 0);
}

static void expect_de(const char *name, div_fn *op, uint64_t high, uint64_t low, uint64_t divisor)
{
    struct division d = {low, high, divisor};
    struct caught c = catch_fault(op, &d);
    check_record(c.vector == VEC_DE && d.low == low && d.high == high, name, c.vector, VEC_DE);
}

static void faults(void)
{
    expect_de("div8 zero", div_8, 0, 1, 0x100), expect_de("div16 zero", div_16, 0, 1, 0x10000);
    expect_de("div32 zero", div_32, 0, 1, 1ull << 32), expect_de("div64 zero", div_64, 0, 1, 0);
    expect_de("idiv8 zero", idiv_8, 0, 1, 0), expect_de("idiv16 zero", idiv_16, 0, 1, 0);
    expect_de("idiv32 zero", idiv_32, 0, 1, 0), expect_de("idiv64 zero", idiv_64, 0, 1, 0);
    expect_de("div8 overflow", div_8, 0, 0x500, 5), expect_de("div16 overflow", div_16, 5, 0, 5);
    expect_de("div32 overflow", div_32, 5, 0, 5), expect_de("div64 overflow", div_64, 5, 0, 5);
    expect_de("idiv8 MIN/-1", idiv_8, 0, 0xff80, 0xff), expect_de("idiv16 MIN/-1", idiv_16, 0xffff, 0x8000, 0xffff);
    expect_de("idiv32 MIN/-1", idiv_32, 0xffffffff, 0x80000000, 0xffffffff);
    expect_de("idiv64 MIN/-1", idiv_64, ~0ull, 1ull << 63, ~0ull);
    expect_de("idiv64 just too large", idiv_64, 0, 1ull << 63, 1);
    expect_de("idiv8 just too large", idiv_8, 0, 0x80, 1);
}

int image_main(void)
{
    sweep("div 8", false, 8, div_8), sweep("div 16", false, 16, div_16);
    sweep("div 32", false, 32, div_32), sweep("div 64", false, 64, div_64);
    sweep("idiv 8", true, 8, idiv_8), sweep("idiv 16", true, 16, idiv_16);
    sweep("idiv 32", true, 32, idiv_32), sweep("idiv 64", true, 64, idiv_64);
    faults();
    return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
// mul and imul, all widths and the two- and three-operand forms: products, and CF = OF = whether the upper half says
// anything; the other flags are undefined (SDM vol. 2, MUL, IMUL).
#include "tests/guest/sweep.h"

IMAGE("mul");

struct product {
    uint64_t low, high, flags;
};
typedef struct product wide_fn(uint64_t a, uint64_t b);
typedef struct result narrow_fn(uint64_t a, uint64_t b);

#define WIDE_AT(op, width, modifier)                                                                                   \
    static struct product op##_##width(uint64_t a, uint64_t b)                                                         \
    {                                                                                                                  \
        uint64_t high = 0, flags;                                                                                      \
        __asm__(#op " %" modifier "[b]; pushfq; popq %[f]"                                                             \
                : "+a"(a), "+d"(high), [f] "=&r"(flags)                                                                \
                : [b] "r"(b)                                                                                           \
                : "cc", "memory");                                                                                     \
        return (struct product){a, high, flags};                                                                       \
    }
#define NARROW_AT(name, text, width, modifier)                                                                         \
    static struct result name##_##width(uint64_t a, uint64_t b)                                                        \
    {                                                                                                                  \
        uint64_t flags;                                                                                                \
        __asm__(text "%" modifier "[b], %" modifier "[a]; pushfq; popq %[f]"                                           \
                : [a] "+r"(a), [f] "=&r"(flags)                                                                        \
                : [b] "r"(b)                                                                                           \
                : "cc", "memory");                                                                                     \
        return (struct result){a, flags};                                                                              \
    }
WIDE_AT(mul, 8, "b");
WIDE_AT(mul, 16, "w");
WIDE_AT(mul, 32, "k");
WIDE_AT(mul, 64, "q");
WIDE_AT(imul, 8, "b");
WIDE_AT(imul, 16, "w");
WIDE_AT(imul, 32, "k");
WIDE_AT(imul, 64, "q");
NARROW_AT(imul2, "imul ", 16, "w");
NARROW_AT(imul2, "imul ", 32, "k");
NARROW_AT(imul2, "imul ", 64, "q");
NARROW_AT(imul3_byte, "imul $-77, ", 16, "w");
NARROW_AT(imul3_byte, "imul $-77, ", 32, "k");
NARROW_AT(imul3_byte, "imul $-77, ", 64, "q");
NARROW_AT(imul3_full, "imul $0x7654, ", 16, "w");
NARROW_AT(imul3_full, "imul $0x7654321, ", 32, "k");
NARROW_AT(imul3_full, "imul $-0x7654321, ", 64, "q");

static __int128 sign_extended(uint64_t value, unsigned width)
{
    return (int64_t)(value << (64 - width)) >> (64 - width);
}

static void sweep_wide(const char *name, bool is_signed, unsigned width, wide_fn *op)
{
    unsigned bad = 0;
    uint64_t mask = width_mask(width);
    for (unsigned i = 0; i < BOUNDARIES; i++)
        for (unsigned j = 0; j < BOUNDARIES; j++) {
            uint64_t a = boundary[i], b = boundary[j];
            unsigned __int128 p = is_signed ? (unsigned __int128)(sign_extended(a, width) * sign_extended(b, width))
                                            : (unsigned __int128)(a & mask) * (b & mask);
            uint64_t low = (uint64_t)p & mask, high = (uint64_t)(p >> width) & mask;
            bool wide = is_signed ? high != (sign_extended(low, width) < 0 ? mask : 0) : high != 0;
            struct product got = op(a, b);
            // The 8-bit form leaves its 16-bit product in ax.
            uint64_t want_low = width == 8 ? register_after(a, (uint64_t)p, 16) : register_after(a, low, width);
            uint64_t want_high = width == 8 ? 0 : register_after(0, high, width);
            sweep_compare(&bad, name, a, b, (struct result){got.low, got.flags},
                          (struct result){want_low, wide ? FLAG_CF | FLAG_OF : 0}, FLAG_CF | FLAG_OF);
            bad += got.high != want_high;
        }
    check_record(bad == 0, name, bad, 0);
}

// factor 0: the two-operand form, a * b. Otherwise b * factor.
static void sweep_narrow(const char *name, int64_t factor, unsigned width, narrow_fn *op)
{
    unsigned bad = 0;
    for (unsigned i = 0; i < BOUNDARIES; i++)
        for (unsigned j = 0; j < BOUNDARIES; j++) {
            uint64_t a = boundary[i], b = boundary[j];
            __int128 p = sign_extended(b, width) * (factor ? factor : sign_extended(a, width));
            bool wide = p != sign_extended((uint64_t)p, width);
            sweep_compare(&bad, name, a, b, op(a, b),
                          (struct result){register_after(a, (uint64_t)p, width), wide ? FLAG_CF | FLAG_OF : 0},
                          FLAG_CF | FLAG_OF);
        }
    check_record(bad == 0, name, bad, 0);
}

int image_main(void)
{
    sweep_wide("mul 8", false, 8, mul_8), sweep_wide("mul 16", false, 16, mul_16);
    sweep_wide("mul 32", false, 32, mul_32), sweep_wide("mul 64", false, 64, mul_64);
    sweep_wide("imul 8", true, 8, imul_8), sweep_wide("imul 16", true, 16, imul_16);
    sweep_wide("imul 32", true, 32, imul_32), sweep_wide("imul 64", true, 64, imul_64);
    sweep_narrow("imul r,r 16", 0, 16, imul2_16), sweep_narrow("imul r,r 32", 0, 32, imul2_32);
    sweep_narrow("imul r,r 64", 0, 64, imul2_64);
    sweep_narrow("imul imm8 16", -77, 16, imul3_byte_16), sweep_narrow("imul imm8 32", -77, 32, imul3_byte_32);
    sweep_narrow("imul imm8 64", -77, 64, imul3_byte_64), sweep_narrow("imul imm16", 0x7654, 16, imul3_full_16);
    sweep_narrow("imul imm32 32", 0x7654321, 32, imul3_full_32);
    sweep_narrow("imul imm32 64", -0x7654321, 64, imul3_full_64);
    return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
// inc, dec, neg and not: values and flags at boundary values, all widths; inc and dec keep CF, not keeps all
// (SDM vol. 2, INC, DEC, NEG, NOT).
#include "tests/guest/sweep.h"

IMAGE("unary");

typedef struct result op_fn(uint64_t a, uint64_t flags);

#define OP_AT(op, width, modifier)                                                                                     \
    static struct result op##_##width(uint64_t a, uint64_t flags)                                                      \
    {                                                                                                                  \
        __asm__("pushq %[f]; popfq; " #op " %" modifier "[a]; pushfq; popq %[f]"                                       \
                : [a] "+r"(a), [f] "+r"(flags)                                                                         \
                :                                                                                                      \
                : "cc", "memory");                                                                                     \
        return (struct result){a, flags};                                                                              \
    }
#define OP(op) OP_AT(op, 8, "b") OP_AT(op, 16, "w") OP_AT(op, 32, "k") OP_AT(op, 64, "q")
OP(inc);
OP(dec);
OP(neg);
OP(not );

enum kind { INC, DEC, NEG, NOT };

static struct result want(enum kind kind, uint64_t a, uint64_t in, unsigned width)
{
    uint64_t mask = width_mask(width), top = 1ull << (width - 1);
    uint64_t r = kind == INC ? a + 1 : kind == DEC ? a - 1 : kind == NEG ? 0 - a : ~a;
    if (kind == NOT)
        return (struct result){register_after(a, r, width), in};
    uint64_t flags = result_flags(r, width) | (in & FLAG_CF);
    // Overflow where the sign changes by passing the border between the largest and the smallest signed number.
    flags |= (kind == DEC ? (a & mask) == top : (r & mask) == top) ? FLAG_OF : 0;
    flags |= (kind == NEG ? r ^ a : r ^ a ^ 1) & FLAG_AF;
    if (kind == NEG)
        flags = (flags & ~FLAG_CF) | (a & mask ? FLAG_CF : 0);
    return (struct result){register_after(a, r, width), flags};
}

static void sweep(const char *name, enum kind kind, unsigned width, op_fn *op)
{
    unsigned bad = 0;
    for (unsigned i = 0; i < BOUNDARIES; i++)
        for (unsigned all = 0; all < 2; all++) {
            uint64_t in = FLAG_FIXED1 | (all ? FLAGS_ARITH : 0);
            sweep_compare(&bad, name, boundary[i], in, op(boundary[i], in), want(kind, boundary[i], in, width),
                          FLAGS_ARITH);
        }
    check_record(bad == 0, name, bad, 0);
}

#define SWEEP(op, kind)                                                                                                \
    sweep(#op " 8", kind, 8, op##_8), sweep(#op " 16", kind, 16, op##_16), sweep(#op " 32", kind, 32, op##_32),        \
        sweep(#op " 64", kind, 64, op##_64)

int image_main(void)
{
    SWEEP(inc, INC);
    SWEEP(dec, DEC);
    SWEEP(neg, NEG);
    SWEEP(not, NOT);
    return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
// Values and flags of the two-operand arithmetic and logic instructions at boundary values, all widths, both carries in
// (SDM vol. 2, ADD, ADC, SUB, SBB, CMP, AND, OR, XOR, TEST); and all flags across an instruction that changes none.
#include "tests/guest/sweep.h"

IMAGE("flags");

typedef struct result op_fn(uint64_t a, uint64_t b, uint64_t flags);

// op_WIDTH(a, b, flags): the instruction itself. WIDTH's operand modifier picks the register's name.
#define OP_AT(op, width, modifier)                                                                                     \
    static struct result op##_##width(uint64_t a, uint64_t b, uint64_t flags)                                          \
    {                                                                                                                  \
        __asm__("pushq %[f]; popfq; " #op " %" modifier "[b], %" modifier "[a]; pushfq; popq %[f]"                     \
                : [a] "+r"(a), [f] "+r"(flags)                                                                         \
                : [b] "r"(b)                                                                                           \
                : "cc", "memory");                                                                                     \
        return (struct result){a, flags};                                                                              \
    }
#define OP(op) OP_AT(op, 8, "b") OP_AT(op, 16, "w") OP_AT(op, 32, "k") OP_AT(op, 64, "q")
OP(add);
OP(adc);
OP(sub);
OP(sbb);
OP(cmp);
OP(and);
OP(or);
OP(xor);
OP(test);

// What the manual says: carries and borrows out of each bit, from the operands and the result.
static struct result want_add(uint64_t a, uint64_t b, unsigned carry, unsigned width)
{
    uint64_t mask = width_mask(width);
    uint64_t r = a + b + carry;
    uint64_t carries = ((a & b) | ((a | b) & ~r)) & mask;
    uint64_t flags = result_flags(r, width) | ((a ^ b ^ r) & FLAG_AF);
    flags |= carries >> (width - 1) ? FLAG_CF : 0;
    flags |= (((a ^ r) & (b ^ r) & mask) >> (width - 1)) ? FLAG_OF : 0;
    return (struct result){register_after(a, r, width), flags};
}

static struct result want_sub(uint64_t a, uint64_t b, unsigned borrow, unsigned width)
{
    uint64_t mask = width_mask(width);
    uint64_t r = a - b - borrow;
    uint64_t borrows = ((~a & b) | ((~a | b) & r)) & mask;
    uint64_t flags = result_flags(r, width) | ((a ^ b ^ r) & FLAG_AF);
    flags |= borrows >> (width - 1) ? FLAG_CF : 0;
    flags |= (((a ^ b) & (a ^ r) & mask) >> (width - 1)) ? FLAG_OF : 0;
    return (struct result){register_after(a, r, width), flags};
}

enum kind { ADD, ADC, SUB, SBB, CMP, AND, OR, XOR, TEST };

static struct result want(enum kind kind, uint64_t a, uint64_t b, unsigned carry, unsigned width)
{
    uint64_t r = kind == OR ? a | b : kind == XOR ? a ^ b : a & b;
    switch (kind) {
    case ADD:
    case ADC:
        return want_add(a, b, kind == ADC ? carry : 0, width);
    case SUB:
    case SBB:
        return want_sub(a, b, kind == SBB ? carry : 0, width);
    case CMP:
        return (struct result){a, want_sub(a, b, 0, width).flags};
    case TEST:
        return (struct result){a, result_flags(r, width)};
    default:
        return (struct result){register_after(a, r, width), result_flags(r, width)};
    }
}

static void sweep(const char *name, enum kind kind, unsigned width, op_fn *op)
{
    unsigned bad = 0;
    // AF is undefined after the logic instructions.
    uint64_t defined = kind >= AND ? FLAGS_ARITH & ~FLAG_AF : FLAGS_ARITH;
    for (unsigned i = 0; i < BOUNDARIES; i++)
        for (unsigned j = 0; j < BOUNDARIES; j++)
            for (unsigned carry = 0; carry < 2; carry++) {
                uint64_t in = FLAG_FIXED1 | (carry ? FLAGS_ARITH : 0);
                struct result got = op(boundary[i], boundary[j], in);
                sweep_compare(&bad, name, boundary[i], boundary[j], got,
                              want(kind, boundary[i], boundary[j], carry, width), defined);
            }
    check_record(bad == 0, name, bad, 0);
}

#define SWEEP(op, kind)                                                                                                \
    sweep(#op " 8", kind, 8, op##_8), sweep(#op " 16", kind, 16, op##_16), sweep(#op " 32", kind, 32, op##_32),        \
        sweep(#op " 64", kind, 64, op##_64)

// cpuid changes no flag; a monitor that executes it in the guest's place brings each of them back.
static void kept_by_cpuid(void)
{
    unsigned bad = 0;
    for (uint64_t set = 0; set <= (FLAGS_ARITH | FLAG_DF); set++) {
        uint64_t flags = set | FLAG_FIXED1, leaf = 0;
        if (set & ~(uint64_t)(FLAGS_ARITH | FLAG_DF))
            continue;
        __asm__("pushq %[f]; popfq; cpuid; pushfq; popq %[f]; cld"
                : [f] "+r"(flags), "+a"(leaf)
                :
                : "rbx", "rcx", "rdx", "cc", "memory");
        bad += (flags & (FLAGS_ARITH | FLAG_DF)) != set;
    }
    check_record(bad == 0, "cpuid", bad, 0);
}

int image_main(void)
{
    kept_by_cpuid();
    SWEEP(add, ADD);
    SWEEP(adc, ADC);
    SWEEP(sub, SUB);
    SWEEP(sbb, SBB);
    SWEEP(cmp, CMP);
    SWEEP(and, AND);
    SWEEP(or, OR);
    SWEEP(xor, XOR);
    SWEEP(test, TEST);
    return 0;
}

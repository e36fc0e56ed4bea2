// SPDX-License-Identifier: BSD-2-Clause
// Pairs that compilers emit together, executed as one: cmp, test, add or sub of registers and immediates, and the jcc
// behind it. Saves a dispatch, and the condition comes straight from the operands instead of from the lazy flags,
// which are still set for whoever reads them later. Both instructions count.
//
// The first instruction's op gets the fused handler; the jcc's op stays behind it for its target and address, with the
// links behind that: op[0] the pair, op[1] the jcc, op[2] and op[3] the links.
#include "engines/interp/fuse.h"

#include "engines/interp/block.h"
#include "engines/interp/flags.h"
#include "engines/interp/insn_args.h"

// cmp: the condition that the comparison a - b leaves, a and b zero-extended.
static inline __attribute__((always_inline)) bool cmp_condition(unsigned cc, uint64_t a, uint64_t b, unsigned bits)
{
    int64_t sa = (int64_t)sign_extend(a, bits), sb = (int64_t)sign_extend(b, bits);
    bool v;
    switch (cc >> 1) {
    case CC_B >> 1:
        v = a < b;
        break;
    case CC_E >> 1:
        v = a == b;
        break;
    case CC_BE >> 1:
        v = a <= b;
        break;
    case CC_S >> 1:
        v = (int64_t)sign_extend(a - b, bits) < 0;
        break;
    case CC_L >> 1:
        v = sa < sb;
        break;
    default:
        v = sa <= sb;
    }
    return v ^ (cc & 1);
}

#define FUSE(name, bits, form, b_value, cc, compute, holds)                                                            \
    static HANDLER(op_##name##bits##form##_##cc)                                                                       \
    {                                                                                                                  \
        uint##bits##_t a = get##bits(c, op->dst), b = b_value;                                                         \
        compute;                                                                                                       \
        if (holds)                                                                                                     \
            FOLLOW(2, (uint64_t)op[1].disp);                                                                           \
        FOLLOW(3, op_after(c, op + 1));                                                                                \
    }

static inline uint64_t op_after(const struct cpu *c, const struct op *op)
{
    return c->block->rip + op->off + op->len;
}

#define CMP(bits, form, b_value, cc)                                                                                   \
    FUSE(cmp, bits, form, b_value, cc, flags_sub(c, a, b, (uint##bits##_t)(a - b), bits),                              \
         cmp_condition(CC_##cc, a, b, bits))
#define TEST(bits, form, b_value, cc)                                                                                  \
    FUSE(test, bits, form, b_value, cc, flags_logic(c, a &b, bits), condition(c, CC_##cc))
#define ADD(bits, form, b_value, cc)                                                                                   \
    FUSE(add, bits, form, b_value, cc, uint##bits##_t r = (uint##bits##_t)(a + b); flags_add(c, a, b, r, bits);        \
         set##bits(c, op->dst, r), condition(c, CC_##cc))
#define SUB(bits, form, b_value, cc)                                                                                   \
    FUSE(sub, bits, form, b_value, cc, uint##bits##_t r = (uint##bits##_t)(a - b); flags_sub(c, a, b, r, bits);        \
         set##bits(c, op->dst, r), cmp_condition(CC_##cc, a, b, bits))

// The conditions that follow a comparison in practice; overflow and parity are left to the plain jcc.
#define EACH_CONDITION(macro, bits, form, b_value)                                                                     \
    macro(bits, form, b_value, B) macro(bits, form, b_value, AE) macro(bits, form, b_value, E)                         \
        macro(bits, form, b_value, NE) macro(bits, form, b_value, BE) macro(bits, form, b_value, A)                    \
            macro(bits, form, b_value, S) macro(bits, form, b_value, NS) macro(bits, form, b_value, L)                 \
                macro(bits, form, b_value, GE) macro(bits, form, b_value, LE) macro(bits, form, b_value, G)
#define EACH_FORM(macro, bits)                                                                                         \
    EACH_CONDITION(macro, bits, rr, get##bits(c, op->src))                                                             \
    EACH_CONDITION(macro, bits, ri, (uint##bits##_t)op->imm)
#define EACH_SIZE(macro) EACH_FORM(macro, 8) EACH_FORM(macro, 32) EACH_FORM(macro, 64)
EACH_SIZE(CMP)
EACH_SIZE(TEST)
EACH_SIZE(ADD)
EACH_SIZE(SUB)

// Rows by condition, in the order of insn_args.h.
#define ROW(name, bits, form)                                                                                          \
    {                                                                                                                  \
        [CC_B] = op_##name##bits##form##_B, [CC_AE] = op_##name##bits##form##_AE, [CC_E] = op_##name##bits##form##_E,  \
        [CC_NE] = op_##name##bits##form##_NE, [CC_BE] = op_##name##bits##form##_BE,                                    \
        [CC_A] = op_##name##bits##form##_A, [CC_S] = op_##name##bits##form##_S, [CC_NS] = op_##name##bits##form##_NS,  \
        [CC_L] = op_##name##bits##form##_L, [CC_GE] = op_##name##bits##form##_GE,                                      \
        [CC_LE] = op_##name##bits##form##_LE, [CC_G] = op_##name##bits##form##_G,                                      \
    }
#define ROWS(name)                                                                                                     \
    {                                                                                                                  \
        {ROW(name, 8, rr), ROW(name, 8, ri)}, {ROW(name, 32, rr), ROW(name, 32, ri)},                                  \
        {                                                                                                              \
            ROW(name, 64, rr), ROW(name, 64, ri)                                                                       \
        }                                                                                                              \
    }

enum { FUSE_CMP, FUSE_TEST, FUSE_ADD, FUSE_SUB, FUSE_KINDS };

op_fn *fuse_with_jcc(const struct insn *first, unsigned cc)
{
    static op_fn *const table[FUSE_KINDS][3][2][16] = {
        [FUSE_CMP] = ROWS(cmp), [FUSE_TEST] = ROWS(test), [FUSE_ADD] = ROWS(add), [FUSE_SUB] = ROWS(sub)};
    unsigned kind;
    switch (first->id) {
    case X86_INS_CMP:
        kind = FUSE_CMP;
        break;
    case X86_INS_TEST:
        kind = FUSE_TEST;
        break;
    case X86_INS_ADD:
        kind = FUSE_ADD;
        break;
    case X86_INS_SUB:
        kind = FUSE_SUB;
        break;
    default:
        return NULL;
    }
    const struct x86_operand *dst = &first->op[0], *src = &first->op[1];
    bool dst_register = dst->kind == OPERAND_GPR || dst->kind == OPERAND_HIGH8;
    bool src_register = src->kind == OPERAND_GPR || src->kind == OPERAND_HIGH8;
    if (!dst_register || !(src_register || src->kind == OPERAND_IMM) || dst->size == 2)
        return NULL;
    unsigned size = dst->size == 8 ? 2 : dst->size == 4 ? 1 : 0;
    return table[kind][size][src->kind == OPERAND_IMM][cc];
}

// SPDX-License-Identifier: BSD-2-Clause
// pcmpestri, pcmpestrm, pcmpistri, pcmpistrm, step by step as SDM vol. 1, 12.2.4 (SDM vol. 2, 4.1) has them.
#include "engines/interp/flags.h"
#include "engines/interp/simd.h"

typedef uint16_t __attribute__((may_alias)) element16;

enum { ANY_OF, RANGES, EACH, ORDERED }; // imm bits 2 and 3

struct strings {
    const struct vreg *reg[2]; // first and second operand
    unsigned imm;
    int n; // elements in a register
    int length[2];
};

static bool words(const struct strings *s)
{
    return s->imm & 1;
}

static int element(const struct strings *s, unsigned which, int i)
{
    bool is_signed = s->imm & 2;
    if (words(s)) {
        uint16_t v = ((const element16 *)s->reg[which])[i];
        return is_signed ? (int16_t)v : v;
    }
    uint8_t v = ((const uint8_t *)s->reg[which])[i];
    return is_signed ? (int8_t)v : v;
}

static int implicit_length(const struct strings *s, unsigned which)
{
    int i = 0;
    while (i < s->n && element(s, which, i))
        i++;
    return i;
}

// The absolute value, saturated.
static int explicit_length(const struct strings *s, int64_t length)
{
    return length > s->n || length < -s->n ? s->n : length < 0 ? (int)-length : (int)length;
}

// Compares element i of the first operand with j of the second; table 4-7 says what an invalid one gives.
static bool compare(const struct strings *s, unsigned how, int i, int j)
{
    bool first = i < s->length[0], second = j < s->length[1];
    if (!first || !second)
        return how == EACH ? first == second : how == ORDERED && !first;
    int a = element(s, 0, i), b = element(s, 1, j);
    if (how == RANGES)
        return i % 2 == 0 ? b >= a : b <= a;
    return a == b;
}

// Bit j of the first intermediate result.
static bool aggregate(const struct strings *s, unsigned how, int j)
{
    bool r = how == ORDERED;
    switch (how) {
    case ANY_OF:
        for (int i = 0; i < s->n; i++)
            r |= compare(s, how, i, j);
        return r;
    case RANGES:
        for (int i = 0; i < s->n; i += 2)
            r |= compare(s, how, i, j) && compare(s, how, i + 1, j);
        return r;
    case EACH:
        return compare(s, how, j, j);
    default:
        for (int i = 0; i + j < s->n; i++)
            r &= compare(s, how, i, i + j);
        return r;
    }
}

static uint32_t intermediate(const struct strings *s)
{
    uint32_t r = 0;
    for (int j = 0; j < s->n; j++) {
        bool negate = s->imm & 0x10, masked = s->imm & 0x20; // polarity
        bool bit = aggregate(s, s->imm >> 2 & 3, j);
        if (negate && (!masked || j < s->length[1]))
            bit = !bit;
        r |= (uint32_t)bit << j;
    }
    return r;
}

static void set_flags(struct cpu *c, const struct strings *s, uint32_t r)
{
    flags_load_arith(c, (r ? FLAG_CF : 0) | (s->length[1] < s->n ? FLAG_ZF : 0) | (s->length[0] < s->n ? FLAG_SF : 0) |
                            (r & 1 ? FLAG_OF : 0));
}

static void give_index(struct cpu *c, const struct strings *s, uint32_t r)
{
    bool highest = s->imm & 0x40;
    set64(c, RCX, !r ? (uint64_t)s->n : highest ? 31u - (unsigned)__builtin_clz(r) : (unsigned)__builtin_ctz(r));
}

static void give_mask(struct cpu *c, const struct strings *s, uint32_t r)
{
    uint64_t half[2] = {r, 0};
    if (s->imm & 0x40) { // an element for each bit
        unsigned size = words(s) ? 2 : 1;
        half[0] = 0;
        for (int i = 0; i < s->n; i++) {
            uint64_t ones = r >> i & 1 ? (1ull << 8 * size) - 1 : 0;
            unsigned at = (unsigned)i * size;
            half[at / 8] |= ones << 8 * (at % 8);
        }
    }
    LO(0) = (v128){(long long)half[0], (long long)half[1]};
}

// aux: bits 0 and 1 the STRING_ argument, bit 2 with VEX, bit 3 with W, bit 4 memory
static void compare_strings(struct cpu *c, const struct op *op)
{
    struct strings s = {.reg = {&c->ymm[op->dst], &c->ymm[op->src]}, .imm = (uint8_t)op->imm};
    s.n = words(&s) ? 8 : 16;
    if (op->aux & 16)
        s.reg[1] = simd_read_slow(c, op, ea(c, op), 16);
    bool implicit = op->aux & 2, wide = op->aux & 8;
    int64_t rax = (int64_t)get64(c, RAX), rdx = (int64_t)get64(c, RDX);
    s.length[0] = implicit ? implicit_length(&s, 0) : explicit_length(&s, wide ? rax : (int32_t)rax);
    s.length[1] = implicit ? implicit_length(&s, 1) : explicit_length(&s, wide ? rdx : (int32_t)rdx);
    uint32_t r = intermediate(&s);
    if (op->aux & 1) {
        give_mask(c, &s, r);
        if (op->aux & 4)
            HI(0) = (v128){0, 0};
    } else {
        give_index(c, &s, r);
    }
    set_flags(c, &s, r);
}
static HANDLER(op_compare_strings)
{
    compare_strings(c, op);
    NEXT;
}

bool lower_pcmpstr(struct lower *l, const struct insn *in, unsigned arg)
{
    const struct x86_operand *b = &in->op[1];
    if (!simd_has(l, in->vex ? X86_FEATURE_AVX : X86_FEATURE_SSE42))
        return false;
    simd_check(l, in);
    struct op *op = is_mem(b) ? emit_mem(l, op_compare_strings, in, b) : emit(l, op_compare_strings);
    op->dst = in->op[0].reg;
    op->src = is_mem(b) ? 0 : b->reg;
    op->imm = (int32_t)in->op[2].imm;
    op->aux = (uint8_t)(arg | (in->vex ? 4 : 0) | (in->rex_w ? 8 : 0) | (is_mem(b) ? 16 : 0));
    return true;
}

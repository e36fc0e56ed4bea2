// SPDX-License-Identifier: BSD-2-Clause
// Multiplication and division: mul imul div idiv mulx. CF and OF of a product say that its upper half matters; SF, ZF,
// PF and AF, undefined in the manual, follow the lower half.
#include "engines/interp/fault.h"
#include "engines/interp/flags.h"
#include "engines/interp/forms.h"

typedef unsigned __int128 u128;
typedef __int128 i128;

// ---- The double-width register pair: ax for 8-bit operands, else (r)dx:(r)ax ----
INLINE uint64_t accumulator(const struct cpu *c, unsigned bits)
{
    return bits == 8 ? get8(c, 0) : bits == 16 ? get16(c, RAX) : bits == 32 ? get32(c, RAX) : c->gpr[RAX];
}
INLINE void set_pair(struct cpu *c, uint64_t low, uint64_t high, unsigned bits)
{
    if (bits == 8) {
        set8(c, 0, low), set8(c, 1, high);
    } else if (bits == 16) {
        set16(c, RAX, low), set16(c, RDX, high);
    } else if (bits == 32) {
        set32(c, RAX, low), set32(c, RDX, high);
    } else {
        c->gpr[RAX] = low, c->gpr[RDX] = high;
    }
}

// pair = accumulator * src (SDM vol. 2, MUL, IMUL)
INLINE void do_mul(struct cpu *c, uint64_t src, unsigned bits)
{
    u128 product = (u128)accumulator(c, bits) * src;
    uint64_t low = (uint64_t)product, high = (uint64_t)(product >> bits);
    set_pair(c, low, high, bits);
    flags_cf_of(c, low, high != 0, high != 0, bits);
}
INLINE void do_imul(struct cpu *c, uint64_t src, unsigned bits)
{
    i128 product = (i128)(int64_t)sign_extend(accumulator(c, bits), bits) * (int64_t)sign_extend(src, bits);
    uint64_t low = (uint64_t)product;
    bool over = product != (int64_t)sign_extend(low, bits);
    set_pair(c, low, (uint64_t)(product >> bits), bits);
    flags_cf_of(c, low, over, over, bits);
}

// imul with two or three operands: a * b truncated
INLINE uint64_t do_imul2(struct cpu *c, uint64_t a, uint64_t b, unsigned bits)
{
    int64_t sa = (int64_t)sign_extend(a, bits), sb = (int64_t)sign_extend(b, bits), product;
    bool over = __builtin_mul_overflow(sa, sb, &product);
    over |= (int64_t)sign_extend((uint64_t)product, bits) != product;
    flags_cf_of(c, (uint64_t)product, over, over, bits);
    return (uint64_t)product;
}

// accumulator = pair / src, the other half = pair % src; #DE where src is 0 or the quotient does not fit; flags
// undefined, kept (SDM vol. 2, DIV, IDIV)
INLINE void do_div(struct cpu *c, const struct op *op, uint64_t src, unsigned bits)
{
    uint64_t low = accumulator(c, bits);
    uint64_t high = bits == 8 ? get8(c, 1) : bits == 16 ? get16(c, RDX) : bits == 32 ? get32(c, RDX) : c->gpr[RDX];
    if (high >= src) // the quotient does not fit; src == 0 included
        raise_exception(c, op, VEC_DE);
    if (bits == 64 && high != 0) {
        u128 pair = ((u128)high << 64) | low;
        set_pair(c, (uint64_t)(pair / src), (uint64_t)(pair % src), bits);
    } else {
        uint64_t pair = bits == 64 ? low : (high << (bits & 63)) | low;
        set_pair(c, pair / src, pair % src, bits);
    }
}

// The 128-bit case of idiv: a division of magnitudes.
static bool divide_wide(int64_t high, uint64_t low, int64_t divisor, int64_t *quotient, int64_t *remainder)
{
    u128 a = ((u128)(uint64_t)high << 64) | low;
    uint64_t b = divisor < 0 ? 0 - (uint64_t)divisor : (uint64_t)divisor;
    bool negative = (high < 0) != (divisor < 0);
    if (high < 0)
        a = 0 - a;
    if ((uint64_t)(a >> 64) >= b)
        return false;
    uint64_t q = (uint64_t)(a / b), r = (uint64_t)(a % b);
    if (q > (uint64_t)INT64_MAX + negative)
        return false;
    *quotient = (int64_t)(negative ? 0 - q : q);
    *remainder = (int64_t)(high < 0 ? 0 - r : r);
    return true;
}

INLINE void do_idiv(struct cpu *c, const struct op *op, uint64_t src, unsigned bits)
{
    int64_t divisor = (int64_t)sign_extend(src, bits), quotient, remainder;
    if (divisor == 0)
        raise_exception(c, op, VEC_DE);
    if (bits == 64) {
        int64_t low = (int64_t)c->gpr[RAX], high = (int64_t)c->gpr[RDX];
        if (high == low >> 63 && divisor != -1) {
            quotient = low / divisor;
            remainder = low % divisor;
        } else if (!divide_wide(high, (uint64_t)low, divisor, &quotient, &remainder)) {
            raise_exception(c, op, VEC_DE);
        }
    } else {
        uint64_t high = bits == 8 ? get8(c, 1) : bits == 16 ? get16(c, RDX) : get32(c, RDX);
        int64_t pair = (int64_t)sign_extend((high << (bits & 63)) | accumulator(c, bits), bits == 64 ? 64 : 2 * bits);
        if (divisor == -1 && pair == INT64_MIN)
            raise_exception(c, op, VEC_DE);
        quotient = pair / divisor;
        remainder = pair % divisor;
        if ((int64_t)sign_extend((uint64_t)quotient, bits) != quotient)
            raise_exception(c, op, VEC_DE);
    }
    set_pair(c, (uint64_t)quotient, (uint64_t)remainder, bits);
}

// ---- Handlers: src is the register dst or memory ----
#define ONE(name, bits, ...)                                                                                           \
    static HANDLER(name##bits##_r)                                                                                     \
    {                                                                                                                  \
        uint##bits##_t m = get##bits(c, op->dst);                                                                      \
        __VA_ARGS__;                                                                                                   \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER_LOAD(name##bits##_m, bits, __VA_ARGS__)
#define ONES(bits)                                                                                                     \
    ONE(mul, bits, do_mul(c, m, bits))                                                                                 \
    ONE(imul, bits, do_imul(c, m, bits))                                                                               \
    ONE(div, bits, do_div(c, op, m, bits))                                                                             \
    ONE(idiv, bits, do_idiv(c, op, m, bits))
ONES(8)
ONES(16)
ONES(32)
ONES(64)

static bool lower_one(struct lower *l, const struct insn *in, op_fn *const fns[2][4])
{
    unsigned size = size_index(in->op[0].size);
    return emit_one(l, in, fns[0][size], fns[1][size]) != NULL;
}

bool lower_mul(struct lower *l, const struct insn *in, unsigned arg)
{
    static op_fn *const fns[2][4] = {SIZES(mul, r), SIZES(mul, m)};
    (void)arg;
    return lower_one(l, in, fns);
}

bool lower_div(struct lower *l, const struct insn *in, unsigned arg)
{
    static op_fn *const fns[2][2][4] = {
        [UNSIGNED] = {SIZES(div, r), SIZES(div, m)},
        [SIGNED] = {SIZES(idiv, r), SIZES(idiv, m)},
    };
    return lower_one(l, in, fns[arg]);
}

// ---- imul dst, src and imul dst, src, imm (SDM vol. 2, IMUL) ----
#define IMUL2(bits)                                                                                                    \
    static HANDLER(imul##bits##_rr)                                                                                    \
    {                                                                                                                  \
        set##bits(c, op->dst, do_imul2(c, get##bits(c, op->dst), get##bits(c, op->src), bits));                        \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static HANDLER(imul##bits##_rri)                                                                                   \
    {                                                                                                                  \
        set##bits(c, op->dst, do_imul2(c, get##bits(c, op->src), (uint64_t)(int64_t)op->imm, bits));                   \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER_LOAD(imul##bits##_rm, bits, set##bits(c, op->dst, do_imul2(c, get##bits(c, op->dst), m, bits)))            \
    HANDLER_LOAD(imul##bits##_rmi, bits, set##bits(c, op->dst, do_imul2(c, m, (uint64_t)(int64_t)op->imm, bits)))
IMUL2(16)
IMUL2(32)
IMUL2(64)

#define IMUL2_FORMS(bits, i)                                                                                           \
    {                                                                                                                  \
        [FORM_RR] = imul##bits##_rr##i, [FORM_RM] = imul##bits##_rm##i,                                                \
    }

bool lower_imul(struct lower *l, const struct insn *in, unsigned arg)
{
    static op_fn *const one[2][4] = {SIZES(imul, r), SIZES(imul, m)};
    static op_fn *const two[4][FORMS] = {{0}, IMUL2_FORMS(16, ), IMUL2_FORMS(32, ), IMUL2_FORMS(64, )};
    static op_fn *const three[4][FORMS] = {{0}, IMUL2_FORMS(16, i), IMUL2_FORMS(32, i), IMUL2_FORMS(64, i)};
    (void)arg;
    if (in->operands == 1)
        return lower_one(l, in, one);
    struct op *op = emit_two(l, in, (in->operands == 3 ? three : two)[size_index(in->op[0].size)]);
    if (op && in->operands == 3)
        op->imm = (int32_t)in->op[2].imm;
    return op != NULL;
}

// ---- mulx high, low, src: high:low = rdx * src, no flags; high wins where both are one (SDM vol. 2, MULX) ----
// dst: high; aux: low; src
#define MULX(bits, wide)                                                                                               \
    INLINE void do_mulx##bits(struct cpu *c, const struct op *op, uint##bits##_t src)                                  \
    {                                                                                                                  \
        wide product = (wide)get##bits(c, RDX) * src;                                                                  \
        set##bits(c, op->aux, (uint64_t)product);                                                                      \
        set##bits(c, op->dst, (uint64_t)(product >> bits));                                                            \
    }                                                                                                                  \
    static HANDLER(mulx##bits##_r)                                                                                     \
    {                                                                                                                  \
        do_mulx##bits(c, op, get##bits(c, op->src));                                                                   \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER_LOAD(mulx##bits##_m, bits, do_mulx##bits(c, op, m))
MULX(32, uint64_t)
MULX(64, u128)

bool lower_mulx(struct lower *l, const struct insn *in, unsigned arg)
{
    static op_fn *const table[2][2] = {{mulx32_r, mulx32_m}, {mulx64_r, mulx64_m}};
    const struct x86_operand *src = &in->op[2];
    (void)arg;
    op_fn *const *fns = table[in->op[0].size == 8];
    struct op *op = is_mem(src) ? emit_mem(l, fns[1], in, src) : emit(l, fns[0]);
    op->dst = in->op[0].reg;
    op->aux = in->op[1].reg;
    op->src = src->reg;
    return true;
}

// SPDX-License-Identifier: BSD-2-Clause
// Shifts and rotates: shl shr sar rol ror rcl rcr, shld shrd, rorx sarx shlx shrx. One handler per operation, width
// and operand form; counts in an immediate are masked when they are lowered, counts in cl when they are executed.
#include "engines/interp/flags.h"
#include "engines/interp/forms.h"

#define COUNT_MASK(bits) ((bits) == 64 ? 63u : 31u)
#define CL(c) ((unsigned)(c)->gpr[RCX])

// ---- r = do_NAME(a, n) for a masked count n other than 0 (SDM vol. 2, SAL/SAR/SHL/SHR) ----
// CF is the last bit that fell out. OF is defined for a count of 1 only; larger counts follow the same formula.

// x, one bit before the end: its top bits are what CF and the sign of r come from, as `carries` wants them.
INLINE uint64_t do_shl(struct cpu *c, uint64_t a, unsigned n, unsigned bits)
{
    uint64_t x = a << (n - 1);
    flags_set(c, x << 1, (x << (64 - bits)) & (CARRY_CF | CARRY_TOP), bits);
    return x << 1;
}
INLINE uint64_t do_shr(struct cpu *c, uint64_t a, unsigned n, unsigned bits)
{
    uint64_t x = a >> (n - 1), r = x >> 1;
    uint64_t of = r << (64 - bits) << 1; // top bit of a where n == 1
    flags_set(c, r, (x << 63) | (((x << 63) ^ (of & CARRY_CF)) >> 1), bits);
    return r;
}
INLINE uint64_t do_sar(struct cpu *c, uint64_t a, unsigned n, unsigned bits)
{
    int64_t x = (int64_t)sign_extend(a, bits) >> (n - 1);
    flags_set(c, (uint64_t)(x >> 1), x & 1 ? CARRY_CF | CARRY_TOP : 0, bits); // OF = 0
    return (uint64_t)(x >> 1);
}

// Rotates change CF and OF only (SDM vol. 2, RCL/RCR/ROL/ROR).
INLINE void flags_rotate(struct cpu *c, bool cf, bool of)
{
    c->carries = (c->carries & CARRY_AF) | (cf ? CARRY_CF : 0) | (cf != of ? CARRY_TOP : 0);
}
INLINE uint64_t do_rol(struct cpu *c, uint64_t a, unsigned n, unsigned bits)
{
    n &= bits - 1;
    uint64_t r = sign_extend(n ? (a << n) | (a >> (bits - n)) : a, bits);
    flags_rotate(c, r & 1, (r >> 63) ^ (r & 1));
    return r;
}
INLINE uint64_t do_ror(struct cpu *c, uint64_t a, unsigned n, unsigned bits)
{
    n &= bits - 1;
    uint64_t r = n ? (a >> n) | (a << (bits - n)) : a;
    bool top = (r >> (bits - 1)) & 1, second = (r >> (bits - 2)) & 1;
    flags_rotate(c, top, top != second);
    return r;
}

// Through the carry: a rotation of bits + 1 bits, so n runs to bits. A count of a whole turn changes nothing.
INLINE uint64_t do_rcl(struct cpu *c, uint64_t a, unsigned n, unsigned bits)
{
    n %= bits + 1;
    if (n == 0)
        return a;
    uint64_t cf = flag_cf(c);
    uint64_t r = (a << n) | (cf << (n - 1)) | ((a >> (bits - n)) >> 1);
    bool out = (a >> (bits - n)) & 1, top = (r >> (bits - 1)) & 1;
    flags_rotate(c, out, out != top);
    return r;
}
INLINE uint64_t do_rcr(struct cpu *c, uint64_t a, unsigned n, unsigned bits)
{
    n %= bits + 1;
    if (n == 0)
        return a;
    uint64_t cf = flag_cf(c);
    uint64_t r = (a >> n) | (cf << (bits - n)) | ((a << (bits - n)) << 1);
    bool top = (r >> (bits - 1)) & 1, second = (r >> (bits - 2)) & 1;
    flags_rotate(c, (a >> (n - 1)) & 1, top != second);
    return r;
}

// A count of 0 leaves the flags; a 32-bit register is zero-extended all the same.
INLINE uint64_t do_zero(struct cpu *c, uint64_t a, unsigned n, unsigned bits)
{
    (void)c, (void)n, (void)bits;
    return a;
}

#define SHIFT_I(name, bits)                                                                                            \
    static HANDLER(name##bits##_ri)                                                                                    \
    {                                                                                                                  \
        set##bits(c, op->dst, do_##name(c, get##bits(c, op->dst), op->aux, bits));                                     \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER_UPDATE(name##bits##_mi, bits, r = do_##name(c, m, op->aux, bits))
#define SHIFT(name, bits)                                                                                              \
    SHIFT_I(name, bits)                                                                                                \
    static HANDLER(name##bits##_rc)                                                                                    \
    {                                                                                                                  \
        unsigned n = CL(c) & COUNT_MASK(bits);                                                                         \
        uint##bits##_t a = get##bits(c, op->dst);                                                                      \
        set##bits(c, op->dst, n ? do_##name(c, a, n, bits) : a);                                                       \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER_UPDATE(name##bits##_mc, bits, unsigned n = CL(c) & COUNT_MASK(bits); r = n ? do_##name(c, m, n, bits) : m)

#define FOR_SIZES(macro, name) macro(name, 8) macro(name, 16) macro(name, 32) macro(name, 64)
FOR_SIZES(SHIFT, rol)
FOR_SIZES(SHIFT, ror)
FOR_SIZES(SHIFT, rcl)
FOR_SIZES(SHIFT, rcr)
FOR_SIZES(SHIFT, shl)
FOR_SIZES(SHIFT, shr)
FOR_SIZES(SHIFT, sar)
FOR_SIZES(SHIFT_I, zero)

enum { SHIFT_RI, SHIFT_MI, SHIFT_RC, SHIFT_MC, SHIFT_FORMS };
#define SHIFT_ROW(name)                                                                                                \
    {                                                                                                                  \
        SIZES(name, ri), SIZES(name, mi), SIZES(name, rc), SIZES(name, mc)                                             \
    }

bool lower_shift(struct lower *l, const struct insn *in, unsigned arg)
{
    static op_fn *const table[][SHIFT_FORMS][4] = {
        [SHIFT_ROL] = SHIFT_ROW(rol), [SHIFT_ROR] = SHIFT_ROW(ror), [SHIFT_RCL] = SHIFT_ROW(rcl),
        [SHIFT_RCR] = SHIFT_ROW(rcr), [SHIFT_SHL] = SHIFT_ROW(shl), [SHIFT_SHR] = SHIFT_ROW(shr),
        [SHIFT_SAR] = SHIFT_ROW(sar),
    };
    static op_fn *const by_zero[2][4] = {SIZES(zero, ri), SIZES(zero, mi)};
    const struct x86_operand *count = &in->op[1];
    unsigned size = size_index(in->op[0].size);
    bool by_cl = is_reg(count), mem = is_mem(&in->op[0]);
    unsigned n = (unsigned)count->imm & COUNT_MASK(in->op[0].size * 8);
    op_fn *fn = by_cl ? table[arg][mem ? SHIFT_MC : SHIFT_RC][size]
                : n   ? table[arg][mem ? SHIFT_MI : SHIFT_RI][size]
                      : by_zero[mem][size];
    struct op *op = emit_one(l, in, fn, fn);
    if (!op)
        return false;
    op->aux = (uint8_t)n;
    return true;
}

// ---- shld, shrd: a shifted, filled up from b (SDM vol. 2, SHLD, SHRD) ----
// A 16-bit operand with a count above 16, undefined in the manual, goes on with a behind b.
INLINE uint64_t do_shld(struct cpu *c, uint64_t a, uint64_t b, unsigned n, unsigned bits)
{
    if (n == 0)
        return a;
    uint64_t x = bits == 16 ? (a << 32) | (b << 16) | a : 0;
    uint64_t r = bits == 16 ? x >> (32 - n) : (a << n) | (b >> (bits - n));
    bool cf = bits == 16 ? (x >> (48 - n)) & 1 : (a >> (bits - n)) & 1;
    flags_cf_of(c, r, cf, ((r ^ a) >> (bits - 1)) & 1, bits);
    return r;
}
INLINE uint64_t do_shrd(struct cpu *c, uint64_t a, uint64_t b, unsigned n, unsigned bits)
{
    if (n == 0)
        return a;
    uint64_t x = bits == 16 ? (a << 32) | (b << 16) | a : 0;
    uint64_t r = bits == 16 ? x >> n : (a >> n) | (b << (bits - n));
    bool cf = bits == 16 ? (x >> (n - 1)) & 1 : (a >> (n - 1)) & 1;
    flags_cf_of(c, r, cf, ((r ^ a) >> (bits - 1)) & 1, bits);
    return r;
}

#define DOUBLE_SHIFT(name, bits, count, form)                                                                          \
    static HANDLER(name##bits##_r##form)                                                                               \
    {                                                                                                                  \
        set##bits(c, op->dst,                                                                                          \
                  do_##name(c, get##bits(c, op->dst), get##bits(c, op->src), count &COUNT_MASK(bits), bits));          \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER_UPDATE(name##bits##_m##form, bits,                                                                         \
                   r = do_##name(c, m, get##bits(c, op->src), count & COUNT_MASK(bits), bits))
#define DOUBLE_SHIFTS(name, bits)                                                                                      \
    DOUBLE_SHIFT(name, bits, op->aux, i)                                                                               \
    DOUBLE_SHIFT(name, bits, CL(c), c)
DOUBLE_SHIFTS(shld, 16)
DOUBLE_SHIFTS(shld, 32)
DOUBLE_SHIFTS(shld, 64)
DOUBLE_SHIFTS(shrd, 16)
DOUBLE_SHIFTS(shrd, 32)
DOUBLE_SHIFTS(shrd, 64)

bool lower_double_shift(struct lower *l, const struct insn *in, unsigned arg)
{
    static op_fn *const table[2][SHIFT_FORMS][4] = {
        [SHIFT_LEFT_DOUBLE] = {SIZES_16_UP(shld, ri), SIZES_16_UP(shld, mi), SIZES_16_UP(shld, rc),
                               SIZES_16_UP(shld, mc)},
        [SHIFT_RIGHT_DOUBLE] = {SIZES_16_UP(shrd, ri), SIZES_16_UP(shrd, mi), SIZES_16_UP(shrd, rc),
                                SIZES_16_UP(shrd, mc)},
    };
    unsigned size = size_index(in->op[0].size);
    bool by_cl = is_reg(&in->op[2]);
    struct op *op =
        emit_one(l, in, table[arg][by_cl ? SHIFT_RC : SHIFT_RI][size], table[arg][by_cl ? SHIFT_MC : SHIFT_MI][size]);
    if (!op || in->op[1].kind != OPERAND_GPR)
        return false;
    op->src = in->op[1].reg;
    op->aux = (uint8_t)in->op[2].imm;
    return true;
}

// ---- rorx, sarx, shlx, shrx: dst = src shifted, no flags (SDM vol. 2) ----
// The count is register aux, for rorx an immediate.
#define BMI_SHIFT(name, bits, value)                                                                                   \
    static HANDLER(name##bits##_rr)                                                                                    \
    {                                                                                                                  \
        uint##bits##_t m = get##bits(c, op->src);                                                                      \
        set##bits(c, op->dst, (value));                                                                                \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER_LOAD(name##bits##_rm, bits, set##bits(c, op->dst, (value)))
#define COUNT(bits) (get8(c, op->aux * 8u) & (bits - 1))
BMI_SHIFT(rorx, 32, m >> op->imm | m << (-op->imm & 31))
BMI_SHIFT(rorx, 64, m >> op->imm | m << (-op->imm & 63))
BMI_SHIFT(sarx, 32, (uint64_t)((int32_t)m >> COUNT(32)))
BMI_SHIFT(sarx, 64, (uint64_t)((int64_t)m >> COUNT(64)))
BMI_SHIFT(shlx, 32, m << COUNT(32))
BMI_SHIFT(shlx, 64, m << COUNT(64))
BMI_SHIFT(shrx, 32, m >> COUNT(32))
BMI_SHIFT(shrx, 64, m >> COUNT(64))

#define BMI_FORMS(name, bits)                                                                                          \
    {                                                                                                                  \
        [FORM_RR] = name##bits##_rr, [FORM_RM] = name##bits##_rm,                                                      \
    }

bool lower_bmi_shift(struct lower *l, const struct insn *in, unsigned arg)
{
    static op_fn *const table[][2][FORMS] = {
        [BMI_RORX] = {BMI_FORMS(rorx, 32), BMI_FORMS(rorx, 64)},
        [BMI_SARX] = {BMI_FORMS(sarx, 32), BMI_FORMS(sarx, 64)},
        [BMI_SHLX] = {BMI_FORMS(shlx, 32), BMI_FORMS(shlx, 64)},
        [BMI_SHRX] = {BMI_FORMS(shrx, 32), BMI_FORMS(shrx, 64)},
    };
    unsigned bits = in->op[0].size * 8u;
    struct op *op = emit_two(l, in, table[arg][bits == 64]);
    if (!op)
        return false;
    op->aux = in->op[2].reg;
    op->imm = (int32_t)((unsigned)in->op[2].imm & (bits - 1));
    return true;
}

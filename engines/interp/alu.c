// SPDX-License-Identifier: BSD-2-Clause
// Integer arithmetic and logic: add or adc sbb and sub xor cmp test, inc dec neg not, adcx adox, lea. One handler per
// operation, width and operand form.
#include "engines/interp/flags.h"
#include "engines/interp/forms.h"

// ---- What the operations do: dst = do_NAME(dst, src) with flags (SDM vol. 2, under each name) ----
INLINE uint64_t do_add(struct cpu *c, uint64_t a, uint64_t b, unsigned bits)
{
    uint64_t r = a + b;
    flags_add(c, a, b, r, bits);
    return r;
}
INLINE uint64_t do_adc(struct cpu *c, uint64_t a, uint64_t b, unsigned bits)
{
    uint64_t r = a + b + flag_cf(c);
    flags_add(c, a, b, r, bits);
    return r;
}
INLINE uint64_t do_sub(struct cpu *c, uint64_t a, uint64_t b, unsigned bits)
{
    uint64_t r = a - b;
    flags_sub(c, a, b, r, bits);
    return r;
}
INLINE uint64_t do_sbb(struct cpu *c, uint64_t a, uint64_t b, unsigned bits)
{
    uint64_t r = a - b - flag_cf(c);
    flags_sub(c, a, b, r, bits);
    return r;
}
INLINE uint64_t do_and(struct cpu *c, uint64_t a, uint64_t b, unsigned bits)
{
    flags_logic(c, a & b, bits);
    return a & b;
}
INLINE uint64_t do_or(struct cpu *c, uint64_t a, uint64_t b, unsigned bits)
{
    flags_logic(c, a | b, bits);
    return a | b;
}
INLINE uint64_t do_xor(struct cpu *c, uint64_t a, uint64_t b, unsigned bits)
{
    flags_logic(c, a ^ b, bits);
    return a ^ b;
}

// dst = do_NAME(dst), CF kept by inc and dec (SDM vol. 2, INC, DEC). carry4 is the carry into bit 4.
INLINE void flags_keep_cf(struct cpu *c, uint64_t r, bool of, bool carry4, unsigned bits)
{
    uint64_t cf = c->carries & CARRY_CF;
    uint64_t top = (cf >> 1) ^ (of ? CARRY_TOP : 0);
    flags_set(c, r, cf | top | (carry4 ? CARRY_AF : 0), bits);
}
INLINE uint64_t do_inc(struct cpu *c, uint64_t a, unsigned bits)
{
    uint64_t r = a + 1;
    flags_keep_cf(c, r, ((~a & r) >> (bits - 1)) & 1, (a ^ r) & 0x10, bits);
    return r;
}
INLINE uint64_t do_dec(struct cpu *c, uint64_t a, unsigned bits)
{
    uint64_t r = a - 1;
    flags_keep_cf(c, r, ((a & ~r) >> (bits - 1)) & 1, (a ^ r) & 0x10, bits);
    return r;
}
INLINE uint64_t do_neg(struct cpu *c, uint64_t a, unsigned bits) // 0 - a
{
    return do_sub(c, 0, a, bits);
}
INLINE uint64_t do_not(struct cpu *c, uint64_t a, unsigned bits) // no flags
{
    (void)c, (void)bits;
    return ~a;
}

// ---- Handlers ----
#define ALU(name, bits)                                                                                                \
    static HANDLER(name##bits##_rr)                                                                                    \
    {                                                                                                                  \
        set##bits(c, op->dst, do_##name(c, get##bits(c, op->dst), get##bits(c, op->src), bits));                       \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static HANDLER(name##bits##_ri)                                                                                    \
    {                                                                                                                  \
        set##bits(c, op->dst, do_##name(c, get##bits(c, op->dst), (uint##bits##_t)op->imm, bits));                     \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER_LOAD(name##bits##_rm, bits, set##bits(c, op->dst, do_##name(c, get##bits(c, op->dst), m, bits)))           \
    HANDLER_UPDATE(name##bits##_mr, bits, r = do_##name(c, m, get##bits(c, op->src), bits))                            \
    HANDLER_UPDATE(name##bits##_mi, bits, r = do_##name(c, m, (uint##bits##_t)op->imm, bits))

// cmp and test: the flags of sub and and, no result.
#define COMPARE(name, like, bits)                                                                                      \
    static HANDLER(name##bits##_rr)                                                                                    \
    {                                                                                                                  \
        do_##like(c, get##bits(c, op->dst), get##bits(c, op->src), bits);                                              \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static HANDLER(name##bits##_ri)                                                                                    \
    {                                                                                                                  \
        do_##like(c, get##bits(c, op->dst), (uint##bits##_t)op->imm, bits);                                            \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER_LOAD(name##bits##_rm, bits, do_##like(c, get##bits(c, op->dst), m, bits))                                  \
    HANDLER_LOAD(name##bits##_mr, bits, do_##like(c, m, get##bits(c, op->src), bits))                                  \
    HANDLER_LOAD(name##bits##_mi, bits, do_##like(c, m, (uint##bits##_t)op->imm, bits))

#define UNARY(name, bits)                                                                                              \
    static HANDLER(name##bits##_r)                                                                                     \
    {                                                                                                                  \
        set##bits(c, op->dst, do_##name(c, get##bits(c, op->dst), bits));                                              \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER_UPDATE(name##bits##_m, bits, r = do_##name(c, m, bits))

#define FOR_SIZES(macro, ...) macro(__VA_ARGS__, 8) macro(__VA_ARGS__, 16) macro(__VA_ARGS__, 32) macro(__VA_ARGS__, 64)
FOR_SIZES(ALU, add)
FOR_SIZES(ALU, or)
FOR_SIZES(ALU, adc)
FOR_SIZES(ALU, sbb)
FOR_SIZES(ALU, and)
FOR_SIZES(ALU, sub)
FOR_SIZES(ALU, xor)
FOR_SIZES(COMPARE, cmp, sub)
FOR_SIZES(COMPARE, test, and)
FOR_SIZES(UNARY, inc)
FOR_SIZES(UNARY, dec)
FOR_SIZES(UNARY, neg)
FOR_SIZES(UNARY, not )

#define ALU_FORMS(name, bits)                                                                                          \
    {                                                                                                                  \
        [FORM_RR] = name##bits##_rr, [FORM_RI] = name##bits##_ri, [FORM_RM] = name##bits##_rm,                         \
        [FORM_MR] = name##bits##_mr, [FORM_MI] = name##bits##_mi,                                                      \
    }
#define ALU_ROW(name)                                                                                                  \
    {                                                                                                                  \
        ALU_FORMS(name, 8), ALU_FORMS(name, 16), ALU_FORMS(name, 32), ALU_FORMS(name, 64)                              \
    }

bool lower_alu(struct lower *l, const struct insn *in, unsigned arg)
{
    static op_fn *const table[][4][FORMS] = {
        [ALU_ADD] = ALU_ROW(add), [ALU_OR] = ALU_ROW(or),   [ALU_ADC] = ALU_ROW(adc),
        [ALU_SBB] = ALU_ROW(sbb), [ALU_AND] = ALU_ROW(and), [ALU_SUB] = ALU_ROW(sub),
        [ALU_XOR] = ALU_ROW(xor), [ALU_CMP] = ALU_ROW(cmp), [ALU_TEST] = ALU_ROW(test),
    };
    return emit_two(l, in, table[arg][size_index(in->op[0].size)]) != NULL;
}

bool lower_unary(struct lower *l, const struct insn *in, unsigned arg)
{
    static op_fn *const table[][2][4] = {
        [UNARY_INC] = {SIZES(inc, r), SIZES(inc, m)},
        [UNARY_DEC] = {SIZES(dec, r), SIZES(dec, m)},
        [UNARY_NEG] = {SIZES(neg, r), SIZES(neg, m)},
        [UNARY_NOT] = {SIZES(not, r), SIZES(not, m)},
    };
    unsigned size = size_index(in->op[0].size);
    return emit_one(l, in, table[arg][0][size], table[arg][1][size]) != NULL;
}

// ---- adcx, adox: add with CF or OF as the carry in and out, all other flags stay (SDM vol. 2, ADCX, ADOX) ----
INLINE void change_of(struct cpu *c, bool of)
{
    uint64_t cf = c->carries & CARRY_CF;
    c->carries = (c->carries & ~CARRY_TOP) | ((cf >> 1) ^ (of ? CARRY_TOP : 0));
}
INLINE bool carry_out(uint64_t a, uint64_t b, uint64_t r, unsigned bits)
{
    return ((((a & b) | ((a | b) & ~r))) >> (bits - 1)) & 1;
}
INLINE uint64_t do_adcx(struct cpu *c, uint64_t a, uint64_t b, unsigned bits)
{
    uint64_t r = a + b + flag_cf(c);
    flags_change_cf(c, carry_out(a, b, r, bits));
    return r;
}
INLINE uint64_t do_adox(struct cpu *c, uint64_t a, uint64_t b, unsigned bits)
{
    uint64_t r = a + b + flag_of(c);
    change_of(c, carry_out(a, b, r, bits));
    return r;
}
#define ADX(name, bits)                                                                                                \
    static HANDLER(name##bits##_rr)                                                                                    \
    {                                                                                                                  \
        set##bits(c, op->dst, do_##name(c, get##bits(c, op->dst), get##bits(c, op->src), bits));                       \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER_LOAD(name##bits##_rm, bits, set##bits(c, op->dst, do_##name(c, get##bits(c, op->dst), m, bits)))
ADX(adcx, 32)
ADX(adcx, 64)
ADX(adox, 32)
ADX(adox, 64)

bool lower_adx(struct lower *l, const struct insn *in, unsigned arg)
{
    static op_fn *const table[][2][FORMS] = {
        [ADX_ADCX] = {{[FORM_RR] = adcx32_rr, [FORM_RM] = adcx32_rm}, {[FORM_RR] = adcx64_rr, [FORM_RM] = adcx64_rm}},
        [ADX_ADOX] = {{[FORM_RR] = adox32_rr, [FORM_RM] = adox32_rm}, {[FORM_RR] = adox64_rr, [FORM_RM] = adox64_rm}},
    };
    return emit_two(l, in, table[arg][in->op[0].size == 8]) != NULL;
}

// ---- lea: the address without its segment base (SDM vol. 2, LEA) ----
// b base, x index, d displacement
#define LEA(bits)                                                                                                      \
    static HANDLER(lea##bits##_d)                                                                                      \
    {                                                                                                                  \
        set##bits(c, op->dst, (uint64_t)op->disp);                                                                     \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static HANDLER(lea##bits##_bd)                                                                                     \
    {                                                                                                                  \
        set##bits(c, op->dst, c->gpr[op->base] + (uint64_t)op->disp);                                                  \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static HANDLER(lea##bits##_bxd)                                                                                    \
    {                                                                                                                  \
        set##bits(c, op->dst, c->gpr[op->base] + (c->gpr[op->index] << op->shift) + (uint64_t)op->disp);               \
        NEXT;                                                                                                          \
    }
LEA(16)
LEA(32)
LEA(64)

bool lower_lea(struct lower *l, const struct insn *in, unsigned arg)
{
    static op_fn *const table[3][3] = {
        {lea16_d, lea16_bd, lea16_bxd}, {lea32_d, lea32_bd, lea32_bxd}, {lea64_d, lea64_bd, lea64_bxd}};
    (void)arg;
    const struct x86_operand *to = &in->op[0], *o = &in->op[1];
    if (to->kind != OPERAND_GPR || !is_mem(o))
        return false;
    // A 32-bit address is zero-extended to 64 bits: the same as the 32-bit instruction.
    unsigned size = to->size == 8 && in->addr_size == 4 ? 4 : to->size;
    bool based = o->mem.base != X86_NO_REG, indexed = o->mem.index != X86_NO_REG;
    struct op *op = emit(l, table[size_index(size) - 1][indexed ? 2 : based]);
    op->dst = to->reg;
    op->base = o->mem.base;
    op->index = o->mem.index;
    op->shift = o->mem.shift;
    op->disp = o->mem.disp;
    return true;
}

// SPDX-License-Identifier: BSD-2-Clause
// Exchanges: xchg xadd cmpxchg cmpxchg8b/16b (with one vCPU a lock prefix asks for nothing more), and small change:
// xlatb, the flag instructions, lahf and sahf.
#include "engines/interp/fault.h"
#include "engines/interp/flags.h"
#include "engines/interp/forms.h"

// ---- xchg: dst <-> src (SDM vol. 2, XCHG); xadd: dst, src = dst + src, dst (XADD) ----
// cmpxchg: if (accumulator == dst) dst = src; else accumulator = dst; flags of accumulator - dst. A memory dst is
// written in either case (CMPXCHG).
INLINE uint64_t sum(struct cpu *c, uint64_t a, uint64_t b, unsigned bits)
{
    uint64_t r = a + b;
    flags_add(c, a, b, r, bits);
    return r;
}

#define EXCHANGE(bits)                                                                                                 \
    static HANDLER(xchg##bits##_rr)                                                                                    \
    {                                                                                                                  \
        uint##bits##_t a = get##bits(c, op->dst), b = get##bits(c, op->src);                                           \
        set##bits(c, op->dst, b);                                                                                      \
        set##bits(c, op->src, a);                                                                                      \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER_UPDATE(xchg##bits##_mr, bits, r = get##bits(c, op->src); set##bits(c, op->src, m))                         \
    static HANDLER(xadd##bits##_rr)                                                                                    \
    {                                                                                                                  \
        uint##bits##_t a = get##bits(c, op->dst), b = get##bits(c, op->src);                                           \
        set##bits(c, op->src, a);                                                                                      \
        set##bits(c, op->dst, sum(c, a, b, bits)); /* wins where both are one register */                              \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER_UPDATE(xadd##bits##_mr, bits, r = sum(c, m, get##bits(c, op->src), bits); set##bits(c, op->src, m))        \
    /* The new value of dst. */                                                                                        \
    INLINE uint64_t compare##bits(struct cpu *c, const struct op *op, uint##bits##_t m)                                \
    {                                                                                                                  \
        uint##bits##_t a = (uint##bits##_t)c->gpr[RAX];                                                                \
        flags_sub(c, a, m, (uint64_t)a - m, bits);                                                                     \
        if (a == m)                                                                                                    \
            return get##bits(c, op->src);                                                                              \
        set##bits(c, 0, m); /* al, ax, eax, rax: number 0 in every width */                                            \
        return m;                                                                                                      \
    }                                                                                                                  \
    static HANDLER(cmpxchg##bits##_rr)                                                                                 \
    {                                                                                                                  \
        uint##bits##_t m = get##bits(c, op->dst);                                                                      \
        bool equal = m == (uint##bits##_t)c->gpr[RAX];                                                                 \
        uint64_t r = compare##bits(c, op, m);                                                                          \
        if (equal) /* else not even the upper half of a 32-bit register changes */                                     \
            set##bits(c, op->dst, r);                                                                                  \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER_UPDATE(cmpxchg##bits##_mr, bits, r = compare##bits(c, op, m))
EXCHANGE(8)
EXCHANGE(16)
EXCHANGE(32)
EXCHANGE(64)

#define EXCHANGE_FORMS(name, bits)                                                                                     \
    {                                                                                                                  \
        [FORM_RR] = name##bits##_rr, [FORM_MR] = name##bits##_mr,                                                      \
    }
#define EXCHANGE_ROW(name)                                                                                             \
    {                                                                                                                  \
        EXCHANGE_FORMS(name, 8), EXCHANGE_FORMS(name, 16), EXCHANGE_FORMS(name, 32), EXCHANGE_FORMS(name, 64)          \
    }

bool lower_xchg(struct lower *l, const struct insn *in, unsigned arg)
{
    static op_fn *const table[4][FORMS] = EXCHANGE_ROW(xchg);
    struct insn ordered = *in;
    (void)arg;
    if (is_mem(&in->op[1])) { // either order of operands is the same instruction
        ordered.op[0] = in->op[1];
        ordered.op[1] = in->op[0];
    }
    return emit_two(l, &ordered, table[size_index(in->op[0].size)]) != NULL;
}

bool lower_xadd(struct lower *l, const struct insn *in, unsigned arg)
{
    static op_fn *const table[4][FORMS] = EXCHANGE_ROW(xadd);
    (void)arg;
    return emit_two(l, in, table[size_index(in->op[0].size)]) != NULL;
}

bool lower_cmpxchg(struct lower *l, const struct insn *in, unsigned arg)
{
    static op_fn *const table[4][FORMS] = EXCHANGE_ROW(cmpxchg);
    (void)arg;
    return emit_two(l, in, table[size_index(in->op[0].size)]) != NULL;
}

// ---- cmpxchg8b, cmpxchg16b: if (rdx:rax == m) m = rcx:rbx, ZF = 1; else rdx:rax = m, ZF = 0 (SDM vol. 2) ----
INLINE void set_zf(struct cpu *c, bool zf)
{
    flags_load_arith(c, (flags_arith(c) & ~(uint64_t)FLAG_ZF) | (zf ? FLAG_ZF : 0));
}

static HANDLER(cmpxchg8b)
{
    uint64_t va = ea(c, op), m = load_rmw64(c, op, va);
    uint64_t expected = c->gpr[RDX] << 32 | get32(c, RAX), desired = c->gpr[RCX] << 32 | get32(c, RBX);
    store64(c, op, va, m == expected ? desired : m);
    set_zf(c, m == expected);
    if (m != expected) {
        set32(c, RAX, m);
        set32(c, RDX, m >> 32);
    }
    NEXT;
}

// The operand must be aligned: #GP(0). So both halves lie on one page.
static HANDLER(cmpxchg16b)
{
    uint64_t va = ea(c, op);
    if (va % 16)
        raise_error(c, op, VEC_GP, 0);
    uint64_t low = load_rmw64(c, op, va), high = load_rmw64(c, op, va + 8);
    bool equal = low == c->gpr[RAX] && high == c->gpr[RDX];
    store64(c, op, va, equal ? c->gpr[RBX] : low);
    store64(c, op, va + 8, equal ? c->gpr[RCX] : high);
    set_zf(c, equal);
    c->gpr[RAX] = low;
    c->gpr[RDX] = high;
    NEXT;
}

bool lower_cmpxchg8b(struct lower *l, const struct insn *in, unsigned arg) // arg: 8 or 16
{
    if (!is_mem(&in->op[0]))
        return false;
    emit_mem(l, arg == 16 ? cmpxchg16b : cmpxchg8b, in, &in->op[0]);
    return true;
}

// ---- xlatb: al = [rbx + al] (SDM vol. 2, XLAT) ----
// aux: address size
static HANDLER(xlat)
{
    uint64_t va = c->gpr[RBX] + get8(c, 0);
    if (op->aux == 4)
        va = (uint32_t)va;
    set8(c, 0, load8(c, op, va + c->seg_base[op->seg]));
    NEXT;
}

bool lower_xlat(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)arg;
    struct op *op = emit(l, xlat);
    op->aux = in->addr_size;
    op->seg = in->op[0].mem.seg;
    return true;
}

// ---- Flags (SDM vol. 2, CLC STC CMC CLD STD LAHF SAHF) ----
#define FLAG_OP(name, statement)                                                                                       \
    static HANDLER(name)                                                                                               \
    {                                                                                                                  \
        statement;                                                                                                     \
        NEXT;                                                                                                          \
    }
#define FLAGS_OF_AH (FLAG_SF | FLAG_ZF | FLAG_AF | FLAG_PF | FLAG_CF)
FLAG_OP(clc, flags_change_cf(c, false))
FLAG_OP(stc, flags_change_cf(c, true))
FLAG_OP(cmc, flags_change_cf(c, !flag_cf(c)))
FLAG_OP(cld, c->rflags &= ~(uint64_t)FLAG_DF)
FLAG_OP(std, c->rflags |= FLAG_DF)
FLAG_OP(lahf, set8(c, 1, (flags_arith(c) & FLAGS_OF_AH) | FLAG_FIXED1))
FLAG_OP(sahf, flags_load_arith(c, (flags_arith(c) & FLAG_OF) | (get8(c, 1) & FLAGS_OF_AH)))

bool lower_flag_op(struct lower *l, const struct insn *in, unsigned arg)
{
    static op_fn *const table[] = {
        [FLAG_OP_CLC] = clc, [FLAG_OP_STC] = stc,   [FLAG_OP_CMC] = cmc,  [FLAG_OP_CLD] = cld,
        [FLAG_OP_STD] = std, [FLAG_OP_LAHF] = lahf, [FLAG_OP_SAHF] = sahf};
    (void)in;
    emit(l, table[arg]);
    return true;
}

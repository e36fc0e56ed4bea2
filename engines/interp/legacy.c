// SPDX-License-Identifier: BSD-2-Clause
// Instructions that exist only outside 64-bit mode, or have another form there: decimal arithmetic, salc, bound, arpl,
// xlat and lea (SDM vol. 2, under each name).
#include "engines/interp/fault.h"
#include "engines/interp/flags.h"
#include "engines/interp/forms.h"
#include "engines/interp/window.h"

// ---- aaa aas daa das: al after arithmetic with decimal digits; salc: al = 0 or ff by CF ----

static void decimal_flags(struct cpu *c, uint8_t al, bool cf, bool af)
{
    flags_cf_of(c, al, cf, false, 8);
    if (af)
        c->carries |= CARRY_AF;
}

static void adjust_unpacked(struct cpu *c, int ax)
{
    uint16_t old = get16(c, RAX);
    bool adjust = (old & 15) > 9 || flag_af(c);
    uint16_t new = adjust ? (uint16_t)(old + ax) : old;
    set16(c, RAX, new & 0xff0f);
    decimal_flags(c, new & 15, adjust, adjust);
}

static HANDLER(op_aaa)
{
    adjust_unpacked(c, 0x106);
    NEXT;
}

static HANDLER(op_aas)
{
    adjust_unpacked(c, -0x106);
    NEXT;
}

static void adjust_packed(struct cpu *c, bool subtract)
{
    uint8_t old = get8(c, 0);
    int sign = subtract ? -1 : 1, al = old;
    bool low = (old & 15) > 9 || flag_af(c), high = old > 0x99 || flag_cf(c);
    bool carry = high || (subtract && low && old < 6);
    al += low ? sign * 6 : 0;
    al += high ? sign * 0x60 : 0;
    set8(c, 0, (uint8_t)al);
    decimal_flags(c, (uint8_t)al, carry, low);
}

static HANDLER(op_daa)
{
    adjust_packed(c, false);
    NEXT;
}

static HANDLER(op_das)
{
    adjust_packed(c, true);
    NEXT;
}

static HANDLER(op_salc)
{
    set8(c, 0, flag_cf(c) ? 0xff : 0);
    NEXT;
}

bool lower_decimal(struct lower *l, const struct insn *in, unsigned arg)
{
    static op_fn *const table[] = {[DECIMAL_AAA] = op_aaa,
                                   [DECIMAL_AAS] = op_aas,
                                   [DECIMAL_DAA] = op_daa,
                                   [DECIMAL_DAS] = op_das,
                                   [DECIMAL_SALC] = op_salc};
    (void)in;
    emit(l, table[arg]);
    return true;
}

// ---- aam, aad: two digits of base imm in ah and al, from and to a number ----

static HANDLER(op_aam)
{
    uint8_t base = (uint8_t)op->imm, al = get8(c, 0);
    if (base == 0)
        raise_exception(c, op, VEC_DE);
    set16(c, RAX, (unsigned)(al / base) << 8 | al % base);
    decimal_flags(c, al % base, false, false);
    NEXT;
}

static HANDLER(op_aad)
{
    uint8_t al = (uint8_t)(get8(c, 0) + get8(c, 1) * op->imm);
    set16(c, RAX, al);
    decimal_flags(c, al, false, false);
    NEXT;
}

bool lower_aam(struct lower *l, const struct insn *in, unsigned arg)
{
    emit(l, arg == DECIMAL_AAM ? op_aam : op_aad)->imm = (int32_t)(in->op[0].imm & 0xff);
    return true;
}

// ---- bound: #BR where a signed index is below the first or above the second of two numbers in memory ----

static HANDLER(op_bound16)
{
    uint64_t va = ea(c, op);
    int16_t index = (int16_t)get16(c, op->src);
    if (index < (int16_t)load16(c, op, va) || index > (int16_t)load16(c, op, va + 2))
        raise_exception(c, op, VEC_BR);
    NEXT;
}

static HANDLER(op_bound32)
{
    uint64_t va = ea(c, op);
    int32_t index = (int32_t)get32(c, op->src);
    if (index < (int32_t)load32(c, op, va) || index > (int32_t)load32(c, op, va + 4))
        raise_exception(c, op, VEC_BR);
    NEXT;
}

bool lower_bound(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)arg;
    if (!is_mem(&in->op[1]))
        return false;
    emit_mem(l, in->op_size == 2 ? op_bound16 : op_bound32, in, &in->op[1])->src = in->op[0].reg;
    return true;
}

// ---- arpl: the destination's RPL is raised to the source's; ZF says whether ----

static uint16_t adjusted_rpl(struct cpu *c, uint16_t selector, uint16_t other)
{
    bool raise = (selector & 3) < (other & 3);
    flags_load_arith(c, (flags_arith(c) & ~(uint64_t)FLAG_ZF) | (raise ? FLAG_ZF : 0));
    return raise ? (uint16_t)((selector & 0xfffc) | (other & 3)) : selector;
}

static HANDLER(op_arpl)
{
    set16(c, op->dst, adjusted_rpl(c, get16(c, op->dst), get16(c, op->src)));
    NEXT;
}

// Memory is written, and need be writable, only where something changes. aux: its segment
static HANDLER(op_arpl_mem)
{
    uint64_t va = ea(c, op);
    uint16_t old = load16(c, op, va), other = get16(c, op->src);
    if ((old & 3) < (other & 3)) {
        seg_linear(c, op, op->aux, (uint32_t)(va - c->seg_base[op->aux]), 2, true);
        store16(c, op, va, (old & 0xfffcu) | (other & 3));
    }
    adjusted_rpl(c, old, other);
    NEXT;
}

bool lower_arpl(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)arg;
    struct insn read = *in;
    read.op[0].written = false;
    struct op *op = emit_one(l, &read, op_arpl, op_arpl_mem);
    op->src = in->op[1].reg;
    op->aux = in->op[0].mem.seg;
    return true;
}

// ---- xlatb: al = [(e)bx + al] ----

static HANDLER(op_xlat) // aux: address size
{
    uint32_t offset = get32(c, RBX) + get8(c, 0);
    if (op->aux == 2)
        offset = (uint16_t)offset;
    set8(c, 0, load8(c, op, seg_linear(c, op, op->seg, offset, 1, false)));
    NEXT;
}

bool lower_xlat_legacy(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)arg;
    struct op *op = emit(l, op_xlat);
    op->aux = in->addr_size;
    op->seg = in->op[0].mem.seg;
    op->stack = in->stack_segment;
    return true;
}

// ---- lea of a 16-bit address, which a larger destination gets zero-extended ----

static HANDLER(op_lea_to16)
{
    set16(c, op->dst, c->gpr[op->base] + c->gpr[op->index] + (uint64_t)op->disp);
    NEXT;
}

static HANDLER(op_lea_to32)
{
    set32(c, op->dst, (uint16_t)(c->gpr[op->base] + c->gpr[op->index] + (uint64_t)op->disp));
    NEXT;
}

bool lower_lea_legacy(struct lower *l, const struct insn *in, unsigned arg)
{
    const struct x86_operand *o = &in->op[1];
    if (in->addr_size == 4)
        return lower_lea(l, in, arg);
    if (!is_mem(o))
        return false;
    struct op *op = emit(l, in->op_size == 2 ? op_lea_to16 : op_lea_to32);
    op->dst = in->op[0].reg;
    op->base = o->mem.base;
    op->index = o->mem.index;
    op->disp = o->mem.disp;
    return true;
}

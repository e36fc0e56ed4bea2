// SPDX-License-Identifier: BSD-2-Clause
// Instructions in C that 64-bit mode does not have, or does not have so (SDM vol. 2 under each name).
#include "engines/bt/deliver.h"
#include "engines/bt/emulations.h"
#include "engines/bt/segment.h"

// ---- PUSHA, POPA ----

void emulate_pusha(struct bt *bt, const struct insn *in)
{
    unsigned size = in->op_size;
    uint64_t sp = bt->gpr[RSP], mask = stack_mask(bt);
    for (unsigned reg = RAX; reg <= RDI; reg++) // esp as it was
        mem_write(bt, stack_at(bt, sp - (reg + 1) * size, size, true), size, bt->gpr[reg], true);
    stack_move(bt, sp - 8 * size, mask);
    bt_next(bt, in);
}

void emulate_popa(struct bt *bt, const struct insn *in)
{
    unsigned size = in->op_size;
    uint64_t sp = bt->gpr[RSP], v[8];
    for (unsigned i = 0; i < 8; i++)
        v[i] = mem_read(bt, stack_at(bt, sp + i * size, size, false), size, true);
    for (unsigned reg = RAX; reg <= RDI; reg++)
        if (reg != RSP)
            reg_write(bt, reg, size, v[RDI - reg]);
    stack_move(bt, sp + 8 * size, stack_mask(bt));
    bt_next(bt, in);
}

// ---- Decimal arithmetic. Flags that the manual leaves undefined are 0, or what the result makes them ----

static void set_flag(struct bt *bt, uint64_t flag, bool set)
{
    bt->flags = set ? bt->flags | flag : bt->flags & ~flag;
}

static void set_result_flags(struct bt *bt, uint8_t al)
{
    set_flag(bt, FLAG_SF, al & 0x80);
    set_flag(bt, FLAG_ZF, al == 0);
    set_flag(bt, FLAG_PF, !__builtin_parity(al));
    set_flag(bt, FLAG_OF, false);
}

void emulate_aaa(struct bt *bt, const struct insn *in) // and aas
{
    uint16_t ax = (uint16_t)bt->gpr[RAX];
    bool adjust = (ax & 15) > 9 || (bt->flags & FLAG_AF);
    if (adjust)
        ax = (uint16_t)(in->id == X86_INS_AAA ? ax + 0x106 : ax - 0x106);
    reg_write(bt, RAX, 2, ax & 0xff0f);
    set_flag(bt, FLAG_AF | FLAG_CF, adjust);
    set_result_flags(bt, ax & 15);
    bt_next(bt, in);
}

void emulate_daa(struct bt *bt, const struct insn *in) // and das
{
    uint8_t old = (uint8_t)bt->gpr[RAX];
    int sign = in->id == X86_INS_DAA ? 1 : -1;
    bool carry = bt->flags & FLAG_CF, low = (old & 15) > 9 || (bt->flags & FLAG_AF), high = old > 0x99 || carry;
    uint8_t al = (uint8_t)(old + sign * (low ? 6 : 0) + sign * (high ? 0x60 : 0));
    bool borrow = sign < 0 && low && old < 6; // of the first step, which das keeps
    reg_write(bt, RAX, 1, al);
    set_flag(bt, FLAG_AF, low);
    set_flag(bt, FLAG_CF, high || borrow);
    set_result_flags(bt, al);
    bt_next(bt, in);
}

static uint8_t number_base(const struct insn *in)
{
    return in->operands ? (uint8_t)in->op[0].imm : 10;
}

void emulate_aam(struct bt *bt, const struct insn *in)
{
    uint8_t al = (uint8_t)bt->gpr[RAX], base = number_base(in);
    if (base == 0)
        raise_exception(bt, VEC_DE);
    reg_write(bt, RAX, 2, (uint64_t)(al / base) << 8 | al % base);
    set_flag(bt, FLAG_AF | FLAG_CF, false);
    set_result_flags(bt, al % base);
    bt_next(bt, in);
}

void emulate_aad(struct bt *bt, const struct insn *in)
{
    uint8_t al = (uint8_t)(bt->gpr[RAX] + (bt->gpr[RAX] >> 8 & 0xff) * number_base(in));
    reg_write(bt, RAX, 2, al);
    set_flag(bt, FLAG_AF | FLAG_CF, false);
    set_result_flags(bt, al);
    bt_next(bt, in);
}

void emulate_salc(struct bt *bt, const struct insn *in)
{
    reg_write(bt, RAX, 1, bt->flags & FLAG_CF ? 0xff : 0);
    bt_next(bt, in);
}

// ---- INTO, BOUND, ARPL, LEA ----

void emulate_into(struct bt *bt, const struct insn *in)
{
    if (!(bt->flags & FLAG_OF)) {
        bt_next(bt, in);
        return;
    }
    deliver_for(bt, (struct bt_event){.vector = VEC_OF, .type = EVENT_SOFTWARE}, bt->rip + in->length);
    bt->step_trap = false; // it cleared TF
    count(bt, EV_exceptions);
}

void emulate_bound(struct bt *bt, const struct insn *in)
{
    unsigned size = in->op_size, bits = 64 - 8 * size;
    if (in->op[1].kind != OPERAND_MEM)
        raise_exception(bt, VEC_UD);
    uint64_t va = effective_address(bt, in, &in->op[1]);
    int64_t low = (int64_t)(mem_read(bt, va, size, in->stack_segment) << bits) >> bits;
    int64_t high = (int64_t)(mem_read(bt, va + size, size, in->stack_segment) << bits) >> bits;
    int64_t index = (int64_t)(bt->gpr[in->op[0].reg] << bits) >> bits;
    if (index < low || index > high)
        raise_exception(bt, VEC_BR);
    bt_next(bt, in);
}

// Memory is written, and need be writable, only where something changes.
void emulate_arpl(struct bt *bt, const struct insn *in)
{
    struct x86_operand to = in->op[0];
    uint64_t rpl = bt->gpr[in->op[1].reg] & 3;
    to.written = false;
    uint64_t selector = operand_read(bt, in, &to, 2);
    bool lower = (selector & 3) < rpl;
    selector = (selector & ~3ull) | rpl;
    if (lower && to.kind == OPERAND_MEM) {
        to.written = true;
        mem_write(bt, effective_address(bt, in, &to), 2, selector, in->stack_segment);
    } else if (lower) {
        reg_write(bt, to.reg, 2, selector);
    }
    set_flag(bt, FLAG_ZF, lower);
    bt_next(bt, in);
}

// With operands or addresses of 16 bits.
void emulate_lea(struct bt *bt, const struct insn *in)
{
    const struct x86_operand *o = &in->op[1];
    uint64_t ea = (uint64_t)o->mem.disp;
    ea += o->mem.base == X86_NO_REG ? 0 : bt->gpr[o->mem.base];
    ea += o->mem.index == X86_NO_REG ? 0 : bt->gpr[o->mem.index] << o->mem.shift;
    reg_write(bt, in->op[0].reg, in->op_size, in->addr_size == 2 ? ea & 0xffff : ea);
    bt_next(bt, in);
}

// SPDX-License-Identifier: BSD-2-Clause
// The stack outside 64-bit mode: operands of 2 or 4 bytes, whatever they are in stack.c, at SS:ESP or SS:SP as the
// stack segment's B bit says (SDM vol. 1, 6.2.3), and pusha and popa.
//
// In every op: imm is the operand size.
#include "engines/interp/fault.h"
#include "engines/interp/flags.h"
#include "engines/interp/forms.h"
#include "engines/interp/segment.h"
#include "engines/interp/stack.h"
#include "engines/interp/window.h"

static uint32_t stack_load(struct cpu *c, const struct op *op, uint64_t va)
{
    return op->imm == 2 ? load16(c, op, va) : load32(c, op, va);
}

static void stack_store(struct cpu *c, const struct op *op, uint64_t va, uint32_t v)
{
    if (op->imm == 2)
        store16(c, op, va, v);
    else
        store32(c, op, va, v);
}

static void set_sized(struct cpu *c, const struct op *op, unsigned reg, uint32_t v)
{
    if (op->imm == 2)
        set16(c, reg, v);
    else
        set32(c, reg, v);
}

static void push(struct cpu *c, const struct op *op, uint32_t v)
{
    uint32_t sp = stack_pointer(c, -(int64_t)op->imm);
    stack_store(c, op, seg_linear(c, op, SEG_SS, sp, (unsigned)op->imm, true), v);
    set_stack_pointer(c, sp);
}

static uint32_t top(struct cpu *c, const struct op *op)
{
    return stack_load(c, op, stack_linear(c, op, 0, (unsigned)op->imm, false));
}

// ---- push ----

static HANDLER(op_push_reg)
{
    push(c, op, get32(c, op->src));
    NEXT;
}

static HANDLER(op_push_imm)
{
    push(c, op, (uint32_t)op->disp);
    NEXT;
}

static HANDLER(op_push_mem)
{
    push(c, op, stack_load(c, op, ea(c, op)));
    NEXT;
}

// With 32-bit operands the upper half of the stack's four bytes is not written, as on Intel's processors (SDM vol. 2,
// PUSH); AMD's write zeros.
static HANDLER(op_push_seg)
{
    uint32_t sp = stack_pointer(c, -(int64_t)op->imm);
    store16(c, op, seg_linear(c, op, SEG_SS, sp, (unsigned)op->imm, true), c->seg[op->aux].selector);
    set_stack_pointer(c, sp);
    NEXT;
}

bool lower_push_legacy(struct lower *l, const struct insn *in, unsigned arg)
{
    const struct x86_operand *o = &in->op[0];
    (void)arg;
    struct op *op = is_mem(o)                ? emit_mem(l, op_push_mem, in, o)
                    : is_imm(o)              ? emit(l, op_push_imm)
                    : o->kind == OPERAND_SEG ? emit(l, op_push_seg)
                                             : emit(l, op_push_reg);
    op->imm = in->op_size;
    if (is_imm(o))
        op->disp = o->imm;
    else if (o->kind == OPERAND_SEG)
        op->aux = o->reg;
    else if (!is_mem(o))
        op->src = o->reg;
    return true;
}

// ---- pop ----

static HANDLER(op_pop_reg)
{
    uint32_t v = top(c, op);
    set_stack_pointer(c, stack_pointer(c, op->imm));
    set_sized(c, op, op->dst, v);
    NEXT;
}

// Before the operand's address: the stack is read first.
static HANDLER(op_pop_look)
{
    top(c, op);
    NEXT;
}

static HANDLER(op_pop_mem)
{
    stack_store(c, op, ea(c, op), top(c, op));
    set_stack_pointer(c, stack_pointer(c, op->imm));
    NEXT;
}

static HANDLER(op_pop_seg)
{
    uint16_t selector = load16(c, op, stack_linear(c, op, 0, (unsigned)op->imm, false));
    uint32_t mask = c->sp_mask, sp = stack_pointer(c, op->imm);
    segment_load(c, op, op->aux, selector);
    if (mask == UINT16_MAX) // of the stack that it was read from
        set16(c, RSP, sp);
    else
        set32(c, RSP, sp);
    if (op->aux == SEG_SS)
        return stack_segment_loaded(c, op);
    NEXT;
}

bool lower_pop_legacy(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)arg;
    struct insn moved = *in;
    struct x86_operand *o = &moved.op[0];
    if (is_mem(o) && o->mem.base == RSP) // by the stack pointer behind the pop (SDM vol. 2, POP)
        o->mem.disp += in->op_size;
    if (is_mem(o))
        emit(l, op_pop_look)->imm = in->op_size;
    struct op *op = is_mem(o)                ? emit_mem(l, op_pop_mem, &moved, o)
                    : o->kind == OPERAND_SEG ? emit(l, op_pop_seg)
                                             : emit(l, op_pop_reg);
    op->imm = in->op_size;
    if (o->kind == OPERAND_SEG) {
        op->aux = o->reg;
        l->ends = o->reg == SEG_SS;
    } else if (!is_mem(o)) {
        op->dst = o->reg;
    }
    return true;
}

// ---- pushf, popf ----

static HANDLER(op_pushf)
{
    push(c, op, (uint32_t)(flags_read(c) & ~(uint64_t)(FLAG_VM | FLAG_RF)));
    NEXT;
}

bool lower_pushf_legacy(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)arg;
    emit(l, op_pushf)->imm = in->op_size;
    return true;
}

static HANDLER(op_popf)
{
    uint32_t value = top(c, op);
    set_stack_pointer(c, stack_pointer(c, op->imm));
    if (stack_set_flags(c, value, op->imm == 2))
        return leave(c, op, op_next_rip(c, op));
    NEXT;
}

bool lower_popf_legacy(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)arg;
    emit(l, op_popf)->imm = in->op_size;
    return true;
}

// ---- pusha, popa (SDM vol. 2, PUSHA, POPA) ----

static HANDLER(op_pusha)
{
    int64_t size = op->imm;
    uint32_t sp = stack_pointer(c, -8 * size);
    for (int64_t i = 1; i <= 8; i++) // faults first; in a 16-bit stack the eight need not be neighbours
        mem_probe_write(c, op, stack_linear(c, op, -i * size, (unsigned)size, true), (unsigned)size);
    for (unsigned reg = RAX; reg <= RDI; reg++)
        stack_store(c, op, stack_linear(c, op, -(int64_t)(reg + 1) * size, (unsigned)size, true), get32(c, reg));
    set_stack_pointer(c, sp);
    NEXT;
}

static HANDLER(op_popa)
{
    int64_t size = op->imm;
    uint32_t value[8];
    for (unsigned reg = RAX; reg <= RDI; reg++)
        value[reg] = stack_load(c, op, stack_linear(c, op, (7 - (int64_t)reg) * size, (unsigned)size, false));
    set_stack_pointer(c, stack_pointer(c, 8 * size));
    for (unsigned reg = RAX; reg <= RDI; reg++)
        if (reg != RSP)
            set_sized(c, op, reg, value[reg]);
    NEXT;
}

bool lower_pusha(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)arg;
    emit(l, op_pusha)->imm = in->op_size;
    return true;
}

bool lower_popa(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)arg;
    emit(l, op_popa)->imm = in->op_size;
    return true;
}

// ---- enter, leave (SDM vol. 2, ENTER, LEAVE) ----

static uint64_t frame_linear(struct cpu *c, const struct op *op, int64_t distance) // of an outer frame's pointer
{
    uint32_t offset = (uint32_t)(c->gpr[RBP] + (uint64_t)distance) & c->sp_mask;
    return seg_linear(c, op, SEG_SS, offset, (unsigned)op->imm, false);
}

static HANDLER(op_enter) // disp: bytes of locals; aux: level
{
    int64_t size = op->imm, depth = size;
    uint32_t frame = stack_pointer(c, -size);
    stack_store(c, op, stack_linear(c, op, -depth, (unsigned)size, true), get32(c, RBP));
    for (int64_t i = 1; i < op->aux; i++) {
        uint32_t outer = stack_load(c, op, frame_linear(c, op, -i * size));
        depth += size;
        stack_store(c, op, stack_linear(c, op, -depth, (unsigned)size, true), outer);
    }
    if (op->aux) {
        depth += size;
        stack_store(c, op, stack_linear(c, op, -depth, (unsigned)size, true), frame);
    }
    depth += op->disp;
    uint32_t sp = stack_pointer(c, -depth);
    mem_probe_write(c, op, stack_linear(c, op, -depth, (unsigned)size, true), (unsigned)size);
    set_sized(c, op, RBP, c->sp_mask == UINT16_MAX && size == 4 ? (get32(c, RSP) & 0xffff0000) | frame : frame);
    set_stack_pointer(c, sp);
    NEXT;
}

bool lower_enter_legacy(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)arg;
    struct op *op = emit(l, op_enter);
    op->disp = in->op[0].imm & 0xffff;
    op->aux = (uint8_t)(in->op[1].imm & 31);
    op->imm = in->op_size;
    return true;
}

static HANDLER(op_leave)
{
    uint32_t bp = get32(c, RBP) & c->sp_mask;
    uint32_t v = stack_load(c, op, seg_linear(c, op, SEG_SS, bp, (unsigned)op->imm, false));
    set_stack_pointer(c, (bp + (uint32_t)op->imm) & c->sp_mask);
    set_sized(c, op, RBP, v);
    NEXT;
}

bool lower_leave_legacy(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)arg;
    emit(l, op_leave)->imm = in->op_size;
    return true;
}

// SPDX-License-Identifier: BSD-2-Clause
// Near control flow outside 64-bit mode: targets of 32 or 16 bits, which must lie within the code segment, and return
// addresses of operand size on a stack in SS (SDM vol. 2, JMP, CALL, RET, LOOP). What needs neither is branch.c's.
#include "engines/interp/block.h"
#include "engines/interp/branch.h"
#include "engines/interp/fault.h"
#include "engines/interp/flags.h"
#include "engines/interp/forms.h"
#include "engines/interp/insn_args.h"
#include "engines/interp/window.h"

// A block holds for one limit of its code segment (block.c), so what lies beyond it is known when it is lowered.
static bool is_beyond(const struct lower *l, const struct insn *in)
{
    return (uint64_t)in->op[0].imm > l->c->code_limit;
}

static HANDLER(op_branch_beyond)
{
    raise_error(c, op, VEC_GP, 0);
}

static void check_limit(struct cpu *c, const struct op *op, uint32_t rip)
{
    if (UNLIKELY(rip > c->code_limit))
        raise_error(c, op, VEC_GP, 0);
}

// imm: operand size
static uint32_t sized(const struct op *op, uint64_t v)
{
    return op->imm == 2 ? (uint16_t)v : (uint32_t)v;
}

static uint32_t load_target(struct cpu *c, const struct op *op, uint64_t va)
{
    return op->imm == 2 ? load16(c, op, va) : load32(c, op, va);
}

// ---- jmp ----

static HANDLER(op_jump_reg)
{
    uint32_t rip = sized(op, c->gpr[op->src]);
    check_limit(c, op, rip);
    JUMP(rip);
}

static HANDLER(op_jump_mem)
{
    uint32_t rip = load_target(c, op, ea(c, op));
    check_limit(c, op, rip);
    JUMP(rip);
}

bool lower_jmp_legacy(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)arg;
    const struct x86_operand *o = &in->op[0];
    l->ends = true;
    if (is_imm(o) && is_beyond(l, in)) {
        emit(l, op_branch_beyond);
        return true;
    }
    if (is_imm(o)) {
        emit_fallthrough(l, (uint64_t)o->imm);
        return true;
    }
    struct op *op = is_mem(o) ? emit_mem(l, op_jump_mem, in, o) : emit(l, op_jump_reg);
    op->src = is_mem(o) ? 0 : o->reg;
    op->imm = in->op_size;
    return true;
}

// ---- call, ret ----

// Writes the return address first: where the target is beyond the limit, the processor has written it, too (seen on
// Intel's), but the stack pointer has not moved.
static void push_return(struct cpu *c, const struct op *op, uint32_t target)
{
    unsigned size = (unsigned)op->imm;
    uint32_t sp = stack_pointer(c, -(int64_t)size);
    uint64_t va = seg_linear(c, op, SEG_SS, sp, size, true);
    if (size == 2)
        store16(c, op, va, op_next_rip(c, op));
    else
        store32(c, op, va, op_next_rip(c, op));
    check_limit(c, op, target);
    set_stack_pointer(c, sp);
}

static HANDLER(op_call)
{
    push_return(c, op, (uint32_t)op->disp);
    FOLLOW(1, (uint64_t)op->disp);
}

static HANDLER(op_call_reg)
{
    uint32_t rip = sized(op, c->gpr[op->src]);
    push_return(c, op, rip);
    JUMP(rip);
}

static HANDLER(op_call_mem)
{
    uint32_t rip = load_target(c, op, ea(c, op));
    push_return(c, op, rip);
    JUMP(rip);
}

bool lower_call_legacy(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)arg;
    const struct x86_operand *o = &in->op[0];
    l->ends = true;
    if (is_imm(o)) {
        struct op *op = emit(l, op_call);
        op->disp = o->imm;
        op->imm = in->op_size;
        emit_links(l, 1);
        return true;
    }
    struct op *op = is_mem(o) ? emit_mem(l, op_call_mem, in, o) : emit(l, op_call_reg);
    op->src = is_mem(o) ? 0 : o->reg;
    op->imm = in->op_size;
    return true;
}

static HANDLER(op_ret) // disp: bytes of arguments to drop
{
    unsigned size = (unsigned)op->imm;
    uint32_t rip = load_target(c, op, stack_linear(c, op, 0, size, false));
    check_limit(c, op, rip);
    set_stack_pointer(c, stack_pointer(c, size + op->disp));
    count(c, EV_returns);
    JUMP(rip);
}

bool lower_ret_legacy(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)arg;
    struct op *op = emit(l, op_ret);
    op->disp = in->operands ? in->op[0].imm & 0xffff : 0;
    op->imm = in->op_size;
    l->ends = true;
    return true;
}

// ---- Conditional: an op before the branch where taking it is a fault ----

static HANDLER(op_jcc_beyond) // aux: condition
{
    if (condition(c, op->aux))
        raise_error(c, op, VEC_GP, 0);
    NEXT;
}

bool lower_jcc_legacy(struct lower *l, const struct insn *in, unsigned arg)
{
    if (!is_beyond(l, in))
        return lower_jcc(l, in, arg);
    emit(l, op_jcc_beyond)->aux = (uint8_t)arg;
    l->last_op = NULL; // not to be fused with
    return lower_jcc(l, in, arg);
}

// aux: size of the count register, 2 or 4
static uint32_t count_register(const struct cpu *c, const struct op *op)
{
    return op->aux == 2 ? get16(c, RCX) : get32(c, RCX);
}

static HANDLER(op_jcxz)
{
    if (count_register(c, op) == 0)
        FOLLOW(1, (uint64_t)op->disp);
    FOLLOW(2, op_next_rip(c, op));
}

static HANDLER(op_jcxz_beyond)
{
    if (count_register(c, op) == 0)
        raise_error(c, op, VEC_GP, 0);
    NEXT;
}

bool lower_jcxz(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)arg;
    if (is_beyond(l, in))
        emit(l, op_jcxz_beyond)->aux = in->addr_size;
    struct op *op = emit(l, op_jcxz);
    op->disp = in->op[0].imm;
    op->aux = in->addr_size;
    emit_links(l, 2);
    return true;
}

static bool loop_goes_on(const struct cpu *c, const struct op *op, uint32_t n)
{
    return n != 0 && (op->imm == LOOP_ALWAYS || flag_zf(c) == (op->imm == LOOP_EQUAL));
}

static HANDLER(op_loop) // imm: enum of lower_loop's arguments
{
    uint32_t n = count_register(c, op) - 1;
    if (op->aux == 2)
        set16(c, RCX, n), n = (uint16_t)n;
    else
        set32(c, RCX, n);
    if (loop_goes_on(c, op, n))
        FOLLOW(1, (uint64_t)op->disp);
    FOLLOW(2, op_next_rip(c, op));
}

static HANDLER(op_loop_beyond)
{
    uint32_t n = count_register(c, op) - 1;
    if (loop_goes_on(c, op, op->aux == 2 ? (uint16_t)n : n))
        raise_error(c, op, VEC_GP, 0);
    NEXT;
}

bool lower_loop_legacy(struct lower *l, const struct insn *in, unsigned arg)
{
    if (is_beyond(l, in)) {
        struct op *check = emit(l, op_loop_beyond);
        check->aux = in->addr_size;
        check->imm = (int32_t)arg;
    }
    struct op *op = emit(l, op_loop);
    op->disp = in->op[0].imm;
    op->aux = in->addr_size;
    op->imm = (int32_t)arg;
    emit_links(l, 2);
    return true;
}

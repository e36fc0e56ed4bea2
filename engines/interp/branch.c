// SPDX-License-Identifier: BSD-2-Clause
// Near control flow: jmp, jcc, jrcxz, loop, call, ret (SDM vol. 1, 7.3.8). Every one ends its block; direct ones carry
// links behind their op, indirect ones ask the jump cache.
//
// A near branch to a non-canonical address is #GP of the branch itself on Intel; direct ones cannot reach one, and
// indirect ones check before they change anything.
#include "engines/interp/branch.h"

#include "engines/interp/block.h"
#include "engines/interp/fault.h"
#include "engines/interp/flags.h"
#include "engines/interp/fuse.h"
#include "engines/interp/insn_args.h"
#include "engines/interp/mmu.h"

void emit_links(struct lower *l, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct link *link = (struct link *)l->next++;
        *link = (struct link){0}; // generation 0 is never the present one
    }
    l->ends = true;
}

static HANDLER(op_jump)
{
    FOLLOW(1, (uint64_t)op->disp);
}

void emit_fallthrough(struct lower *l, uint64_t rip)
{
    emit(l, op_jump)->disp = (int64_t)rip;
    emit_links(l, 1);
}

// Indirect targets must be canonical before anything has changed.
static inline void check_target(struct cpu *c, const struct op *op, uint64_t rip)
{
    if (UNLIKELY(!canonical(rip)))
        raise_error(c, op, VEC_GP, 0);
}

static HANDLER(op_jump_reg)
{
    uint64_t rip = get64(c, op->src);
    check_target(c, op, rip);
    JUMP(rip);
}

static HANDLER(op_jump_mem)
{
    uint64_t rip = load64(c, op, ea(c, op));
    check_target(c, op, rip);
    JUMP(rip);
}

// rsp based; a non-canonical stack address is #SS (op->stack is set by emit_stack).
static inline void push64(struct cpu *c, const struct op *op, uint64_t v)
{
    uint64_t rsp = get64(c, RSP) - 8;
    store64(c, op, rsp, v);
    set64(c, RSP, rsp);
}

static HANDLER(op_call)
{
    push64(c, op, op_next_rip(c, op));
    FOLLOW(1, (uint64_t)op->disp);
}

static HANDLER(op_call_reg)
{
    uint64_t rip = get64(c, op->src);
    check_target(c, op, rip);
    push64(c, op, op_next_rip(c, op));
    JUMP(rip);
}

static HANDLER(op_call_mem)
{
    uint64_t rip = load64(c, op, ea(c, op));
    check_target(c, op, rip);
    push64(c, op, op_next_rip(c, op));
    JUMP(rip);
}

static HANDLER(op_ret) // imm: bytes of arguments to drop
{
    uint64_t rsp = get64(c, RSP);
    uint64_t rip = load64(c, op, rsp);
    check_target(c, op, rip);
    set64(c, RSP, rsp + 8 + (uint32_t)op->imm);
    count(c, EV_returns);
    JUMP(rip);
}

bool lower_jmp(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)arg;
    const struct x86_operand *o = &in->op[0];
    if (o->kind == OPERAND_IMM) {
        emit_fallthrough(l, (uint64_t)o->imm);
        return true;
    }
    if (o->kind == OPERAND_MEM)
        emit_mem(l, op_jump_mem, in, o);
    else
        emit(l, op_jump_reg)->src = o->reg;
    l->ends = true;
    return true;
}

bool lower_call(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)arg;
    const struct x86_operand *o = &in->op[0];
    struct op *op;
    if (o->kind == OPERAND_IMM) {
        op = emit(l, op_call);
        op->disp = o->imm;
        op->stack = true;
        emit_links(l, 1);
        return true;
    }
    if (o->kind == OPERAND_MEM) {
        op = emit_mem(l, op_call_mem, in, o);
    } else {
        op = emit(l, op_call_reg);
        op->src = o->reg;
        op->stack = true;
    }
    l->ends = true;
    return true;
}

bool lower_ret(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)arg;
    struct op *op = emit(l, op_ret);
    op->imm = in->operands ? (int32_t)(in->op[0].imm & 0xffff) : 0;
    op->stack = true;
    l->ends = true;
    return true;
}

// ---- Conditional ----

#define JCC(name, cc)                                                                                                  \
    static HANDLER(op_j##name)                                                                                         \
    {                                                                                                                  \
        if (condition(c, cc))                                                                                          \
            FOLLOW(1, (uint64_t)op->disp);                                                                             \
        FOLLOW(2, op_next_rip(c, op));                                                                                 \
    }
JCC(o, CC_O)
JCC(no, CC_NO)
JCC(b, CC_B)
JCC(ae, CC_AE)
JCC(e, CC_E)
JCC(ne, CC_NE)
JCC(be, CC_BE)
JCC(a, CC_A)
JCC(s, CC_S)
JCC(ns, CC_NS)
JCC(p, CC_P)
JCC(np, CC_NP)
JCC(l, CC_L)
JCC(ge, CC_GE)
JCC(le, CC_LE)
JCC(g, CC_G)

bool lower_jcc(struct lower *l, const struct insn *in, unsigned arg)
{
    static op_fn *const fns[] = {op_jo, op_jno, op_jb, op_jae, op_je, op_jne, op_jbe, op_ja,
                                 op_js, op_jns, op_jp, op_jnp, op_jl, op_jge, op_jle, op_jg};
    struct op *op = emit(l, fns[arg]);
    op->disp = in->op[0].imm;
    op_fn *pair = l->last_op ? fuse_with_jcc(&l->last, arg) : NULL;
    if (pair)
        l->last_op->fn = pair;
    emit_links(l, 2);
    return true;
}

static HANDLER(op_jrcxz) // aux: 4 for jecxz
{
    uint64_t n = op->aux == 4 ? get32(c, RCX) : get64(c, RCX);
    if (n == 0)
        FOLLOW(1, (uint64_t)op->disp);
    FOLLOW(2, op_next_rip(c, op));
}

bool lower_jrcxz(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)arg;
    struct op *op = emit(l, op_jrcxz);
    op->disp = in->op[0].imm;
    op->aux = in->addr_size;
    emit_links(l, 2);
    return true;
}

static HANDLER(op_loop) // aux: address size; imm: enum of lower_loop's arguments
{
    uint64_t n = get64(c, RCX) - 1;
    if (op->aux == 4)
        n = (uint32_t)n;
    set64(c, RCX, n);
    bool again = n != 0 && (op->imm == LOOP_ALWAYS || flag_zf(c) == (op->imm == LOOP_EQUAL));
    if (again)
        FOLLOW(1, (uint64_t)op->disp);
    FOLLOW(2, op_next_rip(c, op));
}

bool lower_loop(struct lower *l, const struct insn *in, unsigned arg)
{
    struct op *op = emit(l, op_loop);
    op->disp = in->op[0].imm;
    op->aux = in->addr_size;
    op->imm = (int32_t)arg;
    emit_links(l, 2);
    return true;
}

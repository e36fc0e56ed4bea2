// SPDX-License-Identifier: BSD-2-Clause
// The stack in C: push pop, pushf popf, enter leave, near call and ret, and near jmp, which goes with them (SDM vol. 2
// under each name). A non-canonical stack address is #SS, a memory operand's is what its base register says.
#include "engines/bt/emulations.h"
#include "engines/bt/segment.h"

static void push(struct bt *bt, unsigned size, uint64_t v)
{
    mem_write(bt, bt->gpr[RSP] - size, size, v, true);
    bt->gpr[RSP] -= size;
}

void emulate_push(struct bt *bt, const struct insn *in)
{
    const struct x86_operand *o = &in->op[0];
    unsigned size = stack_size(in);
    if (o->kind == OPERAND_IMM) // of 32 bits at most; decoding forgets the sign where both 66 and REX.W stand
        push(bt, size, (uint64_t)(int64_t)(int32_t)o->imm);
    else
        push(bt, size, o->kind == OPERAND_SEG ? bt->seg[o->reg].selector : operand_read(bt, in, o, size));
    bt_next(bt, in);
}

void emulate_pop(struct bt *bt, const struct insn *in)
{
    struct x86_operand to = in->op[0];
    unsigned size = stack_size(in);
    uint64_t v = mem_read(bt, bt->gpr[RSP], size, true);
    if (to.kind == OPERAND_MEM) {
        to.mem.disp += to.mem.base == RSP ? (int)size : 0; // addresses with the rsp behind the pop
        mem_write(bt, effective_address(bt, in, &to), size, v, in->stack_segment);
    }
    bt->gpr[RSP] += size;
    if (to.kind == OPERAND_GPR)
        reg_write(bt, to.reg, size, v); // pop rsp: the value wins
    bt_next(bt, in);
}

// ---- PUSHF, POPF (SDM vol. 2, POPF, table 4-16 for IOPL and IF; VM, VIF and VIP never change) ----

void emulate_pushf(struct bt *bt, const struct insn *in)
{
    push(bt, stack_size(in), flags_read(bt) & ~(uint64_t)(FLAG_VM | FLAG_RF));
    bt_next(bt, in);
}

void emulate_popf(struct bt *bt, const struct insn *in)
{
    unsigned size = stack_size(in);
    uint64_t v = mem_read(bt, bt->gpr[RSP], size, true), old = flags_read(bt);
    uint64_t mask = FLAGS_ARITH | FLAG_TF | FLAG_DF | FLAG_NT;
    mask |= size == 8 ? FLAG_AC | FLAG_ID : 0;
    mask |= bt->cpl == 0 ? FLAG_IOPL : 0;
    mask |= iopl_allows(bt) ? FLAG_IF : 0;
    flags_load(bt, v, mask);
    bt->rflags &= ~(uint64_t)FLAG_RF;
    if ((old ^ flags_read(bt)) & FLAG_AC)
        bt_mode_changed(bt);
    bt->gpr[RSP] += size;
    bt_next(bt, in);
}

// ---- ENTER, LEAVE ----

// Push rbp, then level - 1 frame pointers of the outer frames, then the new one; rbp = the new frame; rsp below the
// locals, where a write must be possible. Registers change last: all of it can fault.
void emulate_enter(struct bt *bt, const struct insn *in)
{
    unsigned size = stack_size(in), level = in->op[1].imm & 31;
    uint64_t rsp = bt->gpr[RSP] - size, rbp = bt->gpr[RBP], frame = rsp;
    mem_write(bt, rsp, size, rbp, true);
    for (unsigned i = 1; i < level; i++) {
        rbp -= size;
        rsp -= size;
        mem_write(bt, rsp, size, mem_read(bt, rbp, size, true), true);
    }
    if (level) {
        rsp -= size;
        mem_write(bt, rsp, size, frame, true);
    }
    rsp -= in->op[0].imm & 0xffff;
    mem_probe_write(bt, rsp, size, true);
    bt->gpr[RSP] = rsp;
    reg_write(bt, RBP, size, frame);
    bt_next(bt, in);
}

void emulate_leave(struct bt *bt, const struct insn *in)
{
    unsigned size = stack_size(in);
    uint64_t rbp = bt->gpr[RBP], v = mem_read(bt, rbp, size, true);
    bt->gpr[RSP] = rbp + size;
    reg_write(bt, RBP, size, v);
    bt_next(bt, in);
}

// ---- Near CALL, JMP, RET: always 8 bytes; the target is looked at before anything changes ----

static uint64_t near_target(struct bt *bt, const struct insn *in)
{
    uint64_t rip = operand_read(bt, in, &in->op[0], 8);
    check_target(bt, rip);
    return rip;
}

void emulate_call(struct bt *bt, const struct insn *in)
{
    uint64_t rip = near_target(bt, in);
    push(bt, 8, bt->rip + in->length);
    bt->rip = rip;
}

void emulate_jmp(struct bt *bt, const struct insn *in)
{
    bt->rip = near_target(bt, in);
}

void emulate_ret(struct bt *bt, const struct insn *in)
{
    uint64_t rip = mem_read(bt, bt->gpr[RSP], 8, true);
    check_target(bt, rip);
    bt->gpr[RSP] += 8 + (in->operands ? in->op[0].imm & 0xffff : 0);
    bt->rip = rip;
}

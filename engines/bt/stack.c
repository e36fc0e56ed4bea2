// SPDX-License-Identifier: BSD-2-Clause
// The stack in C: push pop, pushf popf, enter leave, near call and ret, and near jmp, which goes with them (SDM vol. 2
// under each name). A non-canonical stack address is #SS, a memory operand's is what its base register says.
#include "engines/bt/emulations.h"
#include "engines/bt/segment.h"

uint64_t stack_mask(const struct bt *bt)
{
    return code_mode(bt) == X86_CODE64 ? UINT64_MAX : bt->seg[SEG_SS].attr & SEG_DB ? UINT32_MAX : 0xffff;
}

uint64_t stack_at(struct bt *bt, uint64_t sp, unsigned size, bool write)
{
    return code_mode(bt) == X86_CODE64 ? sp : segment_linear(bt, SEG_SS, sp & stack_mask(bt), size, write);
}

void stack_move(struct bt *bt, uint64_t sp, uint64_t mask)
{
    uint64_t kept = mask == 0xffff ? bt->gpr[RSP] & ~mask : 0;
    bt->gpr[RSP] = kept | (sp & mask);
}

static void push(struct bt *bt, unsigned size, uint64_t v)
{
    uint64_t sp = bt->gpr[RSP] - size;
    mem_write(bt, stack_at(bt, sp, size, true), size, v, true);
    stack_move(bt, sp, stack_mask(bt));
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
    uint64_t sp = bt->gpr[RSP], v = mem_read(bt, stack_at(bt, sp, size, false), size, true);
    if (to.kind == OPERAND_MEM) {
        to.mem.disp += to.mem.base == RSP ? (int)size : 0; // addresses with the rsp behind the pop
        mem_write(bt, effective_address(bt, in, &to), size, v, in->stack_segment);
    }
    stack_move(bt, sp + size, stack_mask(bt));
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
    uint64_t sp = bt->gpr[RSP], v = mem_read(bt, stack_at(bt, sp, size, false), size, true), old = flags_read(bt);
    uint64_t mask = FLAGS_ARITH | FLAG_TF | FLAG_DF | FLAG_NT;
    mask |= size > 2 ? FLAG_AC | FLAG_ID : 0;
    mask |= bt->cpl == 0 ? FLAG_IOPL : 0;
    mask |= iopl_allows(bt) ? FLAG_IF : 0;
    flags_load(bt, v, mask);
    bt->rflags &= ~(uint64_t)FLAG_RF;
    if ((old ^ flags_read(bt)) & FLAG_AC)
        bt_mode_changed(bt);
    stack_move(bt, sp + size, stack_mask(bt));
    bt_next(bt, in);
}

// ---- ENTER, LEAVE ----

// Push rbp, then level - 1 frame pointers of the outer frames, then the new one; rbp = the new frame; rsp below the
// locals, where a write must be possible. Registers change last: all of it can fault.
void emulate_enter(struct bt *bt, const struct insn *in)
{
    unsigned size = stack_size(in), level = in->op[1].imm & 31;
    uint64_t rsp = bt->gpr[RSP] - size, rbp = bt->gpr[RBP], frame = rsp, mask = stack_mask(bt);
    mem_write(bt, stack_at(bt, rsp, size, true), size, rbp, true);
    for (unsigned i = 1; i < level; i++) {
        rbp -= size;
        rsp -= size;
        uint64_t outer = mem_read(bt, stack_at(bt, rbp, size, false), size, true);
        mem_write(bt, stack_at(bt, rsp, size, true), size, outer, true);
    }
    if (level) {
        rsp -= size;
        mem_write(bt, stack_at(bt, rsp, size, true), size, frame, true);
    }
    rsp -= in->op[0].imm & 0xffff;
    mem_probe_write(bt, stack_at(bt, rsp, size, true), size, true);
    stack_move(bt, rsp, mask);
    reg_write(bt, RBP, size, frame);
    bt_next(bt, in);
}

void emulate_leave(struct bt *bt, const struct insn *in)
{
    unsigned size = stack_size(in);
    uint64_t rbp = bt->gpr[RBP], v = mem_read(bt, stack_at(bt, rbp, size, false), size, true);
    stack_move(bt, rbp + size, stack_mask(bt));
    reg_write(bt, RBP, size, v);
    bt_next(bt, in);
}

// ---- Near CALL, JMP, RET: of 8 bytes in 64-bit mode, else of operand size, and within CS's limit; the target is
// looked at before anything changes ----

static unsigned near_size(const struct insn *in)
{
    return in->mode == X86_CODE64 ? 8 : in->op_size;
}

static void check_near(struct bt *bt, uint64_t rip)
{
    if (code_mode(bt) == X86_CODE64)
        check_target(bt, rip);
    else if (rip > bt->seg[SEG_CS].limit)
        raise_error(bt, VEC_GP, 0);
}

static uint64_t near_target(struct bt *bt, const struct insn *in)
{
    uint64_t rip = operand_read(bt, in, &in->op[0], near_size(in));
    check_near(bt, rip);
    return rip;
}

void emulate_call(struct bt *bt, const struct insn *in)
{
    uint64_t rip = near_target(bt, in);
    push(bt, near_size(in), bt->rip + in->length);
    bt->rip = rip;
}

void emulate_jmp(struct bt *bt, const struct insn *in)
{
    bt->rip = near_target(bt, in);
}

void emulate_ret(struct bt *bt, const struct insn *in)
{
    unsigned size = near_size(in);
    uint64_t sp = bt->gpr[RSP], rip = mem_read(bt, stack_at(bt, sp, size, false), size, true);
    check_near(bt, rip);
    stack_move(bt, sp + size + (in->operands ? in->op[0].imm & 0xffff : 0), stack_mask(bt));
    bt->rip = rip;
}

// Outside 64-bit mode: jmp, jcc, jcxz and loop with a fixed target, which may be beyond the limit.
static bool condition(const struct bt *bt, unsigned cc)
{
    uint64_t f = bt->flags;
    bool less = !(f & FLAG_SF) != !(f & FLAG_OF);
    const bool holds[] = {f & FLAG_OF, f & FLAG_CF, f & FLAG_ZF, f & (FLAG_CF | FLAG_ZF),
                          f & FLAG_SF, f & FLAG_PF, less,        less || (f & FLAG_ZF)};
    return holds[cc >> 1] != (cc & 1);
}

static bool is_taken(const struct bt *bt, const struct insn *in, uint64_t count)
{
    switch (in->id) {
    case X86_INS_JMP:
        return true;
    case X86_INS_JCXZ:
    case X86_INS_JECXZ:
        return count == 0;
    case X86_INS_LOOP:
        return count != 0;
    case X86_INS_LOOPE:
        return count != 0 && (bt->flags & FLAG_ZF);
    case X86_INS_LOOPNE:
        return count != 0 && !(bt->flags & FLAG_ZF);
    default:
        return condition(bt, (in->opcode[0] == 0x0f ? in->opcode[1] : in->opcode[0]) & 15);
    }
}

void emulate_branch(struct bt *bt, const struct insn *in)
{
    bool loops = in->id == X86_INS_LOOP || in->id == X86_INS_LOOPE || in->id == X86_INS_LOOPNE;
    uint64_t count = index_reg(bt, in, RCX) - loops;
    count &= in->addr_size == 2 ? 0xffff : UINT32_MAX;
    bool taken = is_taken(bt, in, count);
    uint64_t rip = (uint64_t)in->op[0].imm;
    if (taken)
        check_near(bt, rip);
    if (loops)
        reg_write(bt, RCX, in->addr_size, count);
    bt_next(bt, in);
    if (taken)
        bt->rip = rip;
}

// SPDX-License-Identifier: BSD-2-Clause
// push, pop, leave, call, ret and indirect jumps in the checked worlds, by the lookups of inline_tlb.c. Nothing of the
// guest's changes before all of them have hit; where one misses, the whole instruction is done in C.
#include "engines/bt/emulate.h"
#include "engines/bt/inline.h"

enum { OP_STORE = 0x89, OP_LOAD = 0x8b, OP_STORE_IMM = 0xc7 };

// The instruction in C: where a lookup misses. Its resume is for the caller to say.
static struct site *add_emulation(struct translator *t)
{
    struct site *site = add_site(t, SITE_EMULATE);
    site->insn = t->in->insn;
    site->emulate = plain_emulation(&t->in->insn);
    return site;
}

static void miss(struct translator *t, const struct lookup *l)
{
    struct site *site = add_emulation(t);
    site->resume = t->hot->at;
    inline_miss(t, l, site);
}

static void put_imm32(struct translator *t, int32_t imm)
{
    put_bytes(t->hot, &imm, 4);
}

static uint64_t next_rip(const struct translator *t)
{
    return t->tu->rip + t->in->offset + t->in->insn.length;
}

// ---- push, pop, leave ----

static void inline_push(struct translator *t)
{
    const struct x86_operand *o = &t->in->insn.op[0];
    uint32_t data = o->kind == OPERAND_GPR ? 1u << o->reg : 0;
    struct lookup l = {.stack = true};
    park_need(t, data & ~(1u << RCX));
    inline_look_at_stack(t, RSP, -8, data, &l);
    park_need(t, data);
    if (data) {
        put_on_place(t->hot, OP_STORE, o->reg, &l.place);
    } else {
        put_on_place(t->hot, OP_STORE_IMM, 0, &l.place);
        put_imm32(t, (int32_t)o->imm);
    }
    put_lea_sum(t->hot, RSP, RSP, X86_NO_REG, -8);
    miss(t, &l);
}

static void inline_pop(struct translator *t)
{
    unsigned reg = t->in->insn.op[0].reg;
    struct lookup l = {.stack = true};
    inline_look_at_stack(t, RSP, 0, 1u << reg, &l);
    put_on_place(t->hot, OP_LOAD, reg, &l.place);
    if (reg != RSP) // else what was popped wins
        put_lea_sum(t->hot, RSP, RSP, X86_NO_REG, 8);
    park_changed(t, 1u << reg);
    miss(t, &l);
}

static bool of_64_bits(const struct insn *in)
{
    return !in->opsize || in->rex_w;
}

bool inline_push_pop(struct translator *t)
{
    const struct insn *in = &t->in->insn;
    bool push = in->id == X86_INS_PUSH;
    if (!of_64_bits(in) || !(in->op[0].kind == OPERAND_GPR || (push && in->op[0].kind == OPERAND_IMM)))
        return false;
    t->how = HOW_CHECKED;
    if (push)
        inline_push(t);
    else
        inline_pop(t);
    return true;
}

bool inline_leave(struct translator *t)
{
    struct lookup l = {.stack = true};
    if (!of_64_bits(&t->in->insn))
        return false;
    t->how = HOW_CHECKED;
    inline_look_at_stack(t, RBP, 0, 0, &l);
    put_on_place(t->hot, OP_LOAD, RCX, &l.place);
    put_lea_sum(t->hot, RSP, RBP, X86_NO_REG, 8);
    put_mov_reg(t->hot, RBP, RCX);
    park_changed(t, 1u << RBP);
    miss(t, &l);
    return true;
}

// ---- Indirect branches ----
// All is at home, so r14 and r15 are free; rcx has the target. The check in front of the target gets it there, too.

static void put_jump(struct translator *t)
{
    struct bt *bt = t->bt;
    put_store(t->hot, &bt->target, RCX);
    put_movzx(t->hot, R14, RCX, 2);
    put_lea_cell(t->hot, R15, bt->targets[bt->world]);
    put_bytes(t->hot, "\x43\xff\x24\xf7", 4); // jmp *(%r15,%r14,8)
}

void put_parked_target_check(struct code *code, uint64_t rip, const uint8_t *miss_stub)
{
    int64_t minus = (int64_t)(0 - rip);
    if (minus == (int32_t)minus) {
        put_lea_sum(code, RCX, RCX, X86_NO_REG, (int32_t)minus);
    } else {
        put_mov_reg_imm(code, R14, (uint64_t)minus);
        put_lea_sum(code, RCX, RCX, R14, 0);
    }
    put_bytes(code, "\xe3\x05", 2); // jrcxz over the jmp
    put_jmp(code, miss_stub);
}

static bool is_near(const struct insn *in)
{
    return !in->opsize && in->op[0].size == 8;
}

// The target of an indirect branch from its operand to rcx; `taken`, a register or X86_NO_REG, holds it until then.
static unsigned inline_target(struct translator *t, struct lookup *l)
{
    const struct x86_operand *o = &t->in->insn.op[0];
    if (o->kind == OPERAND_GPR) {
        park_need(t, 1u << o->reg);
        return o->reg;
    }
    inline_look_up(t, o, 8, false, 0, l);
    put_on_place(t->hot, OP_LOAD, l->free, &l->place);
    return l->free;
}

bool inline_jmp(struct translator *t)
{
    const struct insn *in = &t->in->insn;
    if (in->op[0].kind == OPERAND_IMM) {
        park_home(t);
        translate_jmp(t);
        return true;
    }
    if (t->single || !is_near(in))
        return false;
    bool memory = in->op[0].kind == OPERAND_MEM;
    struct lookup l = {.stack = false};
    unsigned reg = inline_target(t, &l);
    if (reg != RCX) { // before the guest's own value comes home to that register
        park_vacate(t, 1u << RCX);
        put_mov_reg(t->hot, RCX, reg);
    }
    park_home(t);
    put_jump(t);
    if (memory)
        inline_miss(t, &l, add_emulation(t));
    return true;
}

// The return address to its place: sign-extended from 32 bits, or through rcx, which the lookup has left free.
static void put_return_address(struct translator *t, const struct place *place)
{
    uint64_t rip = next_rip(t);
    if ((int64_t)rip == (int32_t)rip) {
        put_on_place(t->hot, OP_STORE_IMM, 0, place);
        put_imm32(t, (int32_t)rip);
        return;
    }
    put_mov_reg_imm(t->hot, RCX, rip);
    put_on_place(t->hot, OP_STORE, RCX, place);
}

bool inline_call(struct translator *t)
{
    const struct insn *in = &t->in->insn;
    bool direct = in->op[0].kind == OPERAND_IMM, memory = in->op[0].kind == OPERAND_MEM;
    struct lookup target = {.stack = false}, stack = {.stack = true};
    if (in->opsize || (!direct && !is_near(in)) || (in->op[0].kind == OPERAND_GPR && in->op[0].reg == RSP))
        return false;
    unsigned reg = direct ? X86_NO_REG : inline_target(t, &target);
    inline_look_at_stack(t, RSP, -8, direct ? 0 : 1u << reg, &stack);
    if (reg == RCX) { // it was in the way
        reg = inline_take(t, 1u << RCX | 1u << stack.free);
        put_load(t->hot, reg, &t->bt->parked[RCX]);
    }
    put_return_address(t, &stack.place);
    put_lea_sum(t->hot, RSP, RSP, X86_NO_REG, -8);
    if (!direct)
        put_mov_reg(t->hot, RCX, reg);
    park_home(t);
    if (direct)
        put_branch(t, ALWAYS, (uint64_t)in->op[0].imm);
    else
        put_jump(t);
    inline_miss(t, &stack, add_emulation(t));
    if (memory)
        inline_miss(t, &target, add_emulation(t));
    return true;
}

bool inline_ret(struct translator *t)
{
    const struct insn *in = &t->in->insn;
    struct lookup l = {.stack = true};
    if (in->opsize || t->bt->options.returns == BT_RETURN_CALLOUT)
        return false;
    inline_look_at_stack(t, RSP, 0, 0, &l);
    put_on_place(t->hot, OP_LOAD, RCX, &l.place);
    put_lea_sum(t->hot, RSP, RSP, X86_NO_REG, 8 + (in->operands ? (int32_t)(in->op[0].imm & 0xffff) : 0));
    park_home(t);
    put_jump(t);
    inline_miss(t, &l, add_emulation(t));
    return true;
}

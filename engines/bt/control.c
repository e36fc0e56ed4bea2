// SPDX-License-Identifier: BSD-2-Clause
// Control flow. Direct branches lead to a stub first and are chained when it is taken (tc_branch). Indirect ones look
// the target up in a table by its low 16 bits; what the table leads to compares the whole address (put_target_check).
//
// call and ret keep the host's return predictor: `call` is a host call, which pushes the host return address; what it
// leads to at once stores the guest's return address over it. `ret` looks the guest's return address up, stores the
// host's over it, and is a host ret. At the landing behind the call the guest's address is compared, and put back below
// rsp where the guest would still find it.
#include "engines/bt/emulate.h"
#include "engines/bt/kinds.h"
#include "engines/bt/translator.h"

static uint64_t next_rip(const struct translator *t)
{
    return t->tu->rip + t->in->offset + t->in->insn.length;
}

// The site of a branch to rip, and its stub: cold code, so it must not be made in the middle of other cold code.
static struct site *add_branch(struct translator *t, uint64_t rip)
{
    struct site *site = add_site(t, SITE_BRANCH);
    site->backward = rip <= site->rip;
    site->rip = rip;
    site->stub = tc_stub(t->bt->tc, site);
    return site;
}

// A branch to rip, chained later. condition: 0-15 or ALWAYS.
void put_branch(struct translator *t, unsigned condition, uint64_t rip)
{
    struct site *site = add_branch(t, rip);
    if (condition == ALWAYS)
        put_jmp(t->hot, site->stub);
    else
        put_jcc(t->hot, condition, site->stub);
    site->field = t->hot->at - 4;
}

bool translate_jcc(struct translator *t)
{
    // opcode 7x or 0f 8x: the condition is its low four bits
    const struct insn *in = &t->in->insn;
    unsigned condition = (in->opcode[0] == 0x0f ? in->opcode[1] : in->opcode[0]) & 15;
    put_branch(t, condition, (uint64_t)in->op[0].imm);
    return true;
}

// The instruction itself, with the address-size prefix if it has one, jumps over a jump to the next instruction.
bool translate_jrcxz(struct translator *t)
{
    const struct insn *in = &t->in->insn;
    if (in->addr_size == 4)
        put_bytes(t->hot, "\x67", 1);
    put_bytes(t->hot, (uint8_t[]){in->opcode[0], 5}, 2);
    put_branch(t, ALWAYS, next_rip(t));
    put_branch(t, ALWAYS, (uint64_t)in->op[0].imm);
    return false;
}

// ---- Indirect branches ----

// Between an indirect branch and the check at its target rcx stays in slot[0]: the check needs a register, too.

// rcx = what the table has for the target in rcx, which goes to bt->target.
static void put_lookup(struct code *code, struct bt *bt, uint32_t table)
{
    put_store(code, &bt->target, RCX);
    put_bytes(code, "\x0f\xb7\xc9", 3); // movzwl %cx, %ecx
    put_load_indexed(code, RCX, table, RCX);
}

static void put_jump(struct code *code, struct bt *bt)
{
    put_lookup(code, bt, BT_TARGETS);
    put_bytes(code, "\xff\xe1", 2); // jmp *%rcx
}

static void put_indirect(struct translator *t, struct code *code, unsigned reg)
{
    put_store(code, &t->bt->slot[0], RCX);
    if (reg != RCX)
        put_mov_reg(code, RCX, reg);
    put_jump(code, t->bt);
}

// The fast world's: rcx goes to slot[0], and is the target that lies in memory.
static void put_load_target(struct translator *t)
{
    const struct insn *in = &t->in->insn;
    put_store(t->hot, &t->bt->slot[0], RCX);
    put_lea_operand(t->hot, RCX, in, &in->op[0]);
    add_point(t, RECOVER_SLOT, RCX);
    if (in->op[0].mem.base == RSP)            // which is biased
        put_bytes(t->hot, "\x48\x8b\x09", 3); // mov (%rcx), %rcx
    else
        put_bytes(t->hot, "\x65\x48\x8b\x09", 4); // mov %gs:(%rcx), %rcx
}

// A ret in the fast world to anything but a landing: what the host's return address was stored over is put back, where
// it does not lie on the stack any more, and the target is looked up as a jump's.
void put_return_miss(struct code *code, struct bt *bt)
{
    put_load(code, RCX, &bt->target);
    put_bytes(code, "\x48\x89\x4c\x24\xf8", 5); // mov %rcx, -8(%rsp)
    put_jump(code, bt);
}

// lea disp32(%rcx), %rcx where -rip fits into disp32, else through rdx; then rcx is 0 where the target is rip. There
// jrcxz would jump, and a branch that is taken every time costs a host that fetches from one place a cycle more than
// two instructions do: pext of a number by itself has as many low bits set as the number has bits, so that its low six
// bits, by which shrx shifts, are 0 only for 0. So rcx becomes 1 where the target is rip, else 0.
void put_target_check(struct code *code, struct bt *bt, uint64_t rip, const uint8_t *miss)
{
    int64_t minus = (int64_t)(0 - rip);
    put_load(code, RCX, &bt->target);
    if (minus == (int32_t)minus) {
        int32_t disp = (int32_t)minus;
        put_bytes(code, "\x48\x8d\x89", 3);
        put_bytes(code, &disp, 4);
    } else {
        put_store(code, &bt->slot[3], RDX);
        put_mov_reg_imm(code, RDX, (uint64_t)minus);
        put_lea_sum(code, RCX, RCX, RDX, 0);
        put_load(code, RDX, &bt->slot[3]);
    }
    put_bytes(code, "\xc4\xe2\xf2\xf5\xc9", 5);             // pext %rcx, %rcx, %rcx
    put_on_cell(code, "\xc4\xe2\xf3\xf7\x0d", 5, &bt->one); // shrx %rcx, one(%rip), %rcx
    put_bytes(code, (uint8_t[]){0xe3, (uint8_t)(miss - (code->at + 2))}, 2);
    put_load(code, RCX, &bt->slot[0]);
}

static bool plain_register(const struct insn *in)
{
    return in->op[0].kind == OPERAND_GPR && in->op[0].reg != RSP && !in->opsize;
}

static bool plain_memory(const struct translator *t)
{
    const struct insn *in = &t->in->insn;
    const struct x86_operand *o = &in->op[0];
    return o->kind == OPERAND_MEM && o->mem.seg == X86_NO_SEG && in->addr_size == 8 && !in->opsize && !wants_check(t);
}

bool translate_jmp(struct translator *t)
{
    const struct insn *in = &t->in->insn;
    if (in->op[0].kind == OPERAND_IMM)
        put_branch(t, ALWAYS, (uint64_t)in->op[0].imm);
    else if (plain_register(in) && !t->single)
        put_indirect(t, t->hot, in->op[0].reg);
    else if (plain_memory(t)) {
        put_load_target(t);
        put_jump(t->hot, t->bt);
    } else
        return put_callout(t, plain_emulation(in));
    return false;
}

// ---- call and ret ----

// movq $rip, disp8(%rsp), in two halves where it does not sign-extend from 32 bits.
static void put_store_return(struct code *code, uint64_t rip, int8_t disp)
{
    int32_t low = (int32_t)rip, high = (int32_t)(rip >> 32);
    if ((int64_t)rip == low) {
        put_bytes(code, (uint8_t[]){0x48, 0xc7, 0x44, 0x24, (uint8_t)disp}, 5);
        put_bytes(code, &low, 4);
        return;
    }
    put_bytes(code, (uint8_t[]){0xc7, 0x44, 0x24, (uint8_t)disp}, 4);
    put_bytes(code, &low, 4);
    put_bytes(code, (uint8_t[]){0xc7, 0x44, 0x24, (uint8_t)(disp + 4)}, 4);
    put_bytes(code, &high, 4);
}

// The guest's return address to bt->back: by one store, as put_take_return loads it at once, and the host hands on what
// is still on its way to memory only from the one store that holds all of it.
static void put_give_return(struct code *code, struct bt *bt, uint64_t rip)
{
    if (rip == (uint64_t)(int32_t)rip) {
        put_store_imm(code, &bt->back, 8, (int32_t)rip);
        return;
    }
    put_store(code, &bt->slot[0], RCX);
    put_mov_reg_imm(code, RCX, rip);
    put_store(code, &bt->back, RCX);
    put_load(code, RCX, &bt->slot[0]);
}

// In front of a callee: the host's return address, which is on top of the stack, becomes the guest's. The host has just
// written there, so this cannot fault.
void put_take_return(struct code *code, struct bt *bt)
{
    put_lea_sum(code, RSP, RSP, X86_NO_REG, 8);
    put_on_cell(code, "\xff\x35", 2, &bt->back); // push back(%rip)
}

// A host call that is chained to the callee itself, which takes the return address; before, to a stub that does.
static void put_direct_call(struct translator *t)
{
    uint8_t *stub = t->cold->at;
    put_take_return(t->cold, t->bt);
    struct site *site = add_branch(t, (uint64_t)t->in->insn.op[0].imm); // the site's own stub comes right behind that
    site->stub = stub;
    site->calls = true;
    put_give_return(t->hot, t->bt, next_rip(t));
    put_call(t->hot, stub);
    site->field = t->hot->at - 4;
}

// A host call to cold code of its own.
static void put_indirect_call(struct translator *t, bool memory)
{
    struct bt *bt = t->bt;
    uint8_t *callee = t->cold->at;
    put_store_return(t->cold, next_rip(t), 0);
    if (memory) {
        put_store(t->cold, &bt->slot[0], RCX);
        put_load(t->cold, RCX, &bt->target);
        put_jump(t->cold, bt);
        // Before anything is on the stack:
        put_load_target(t);
        put_store(t->hot, &bt->target, RCX);
        put_load(t->hot, RCX, &bt->slot[0]);
        add_point(t, RECOVER_NONE, 0);
    } else {
        put_indirect(t, t->cold, t->in->insn.op[0].reg);
    }
    put_call(t->hot, callee);
}

// call without the host's: a push and a jump.
static bool put_plain_call(struct translator *t, bool direct)
{
    const struct insn *in = &t->in->insn;
    put_store_return(t->hot, next_rip(t), -8);
    put_lea_sum(t->hot, RSP, RSP, X86_NO_REG, -8);
    if (direct)
        put_branch(t, ALWAYS, (uint64_t)in->op[0].imm);
    else
        put_indirect(t, t->hot, in->op[0].reg);
    return false;
}

// Where the callee's ret leads. jrcxz reaches 128 bytes, so the jump for returns to anywhere else has to be near, and
// out of the way: it is the constant of a mov to rcx, which is free here.
static void put_landing(struct translator *t)
{
    struct bt *bt = t->bt;
    uint64_t back = next_rip(t);
    t->live = 0; // whatever the callee did
    tc_set_return(bt, t->ccf, back, t->hot->at);
    put_bytes(t->hot, "\x48\xb9", 2); // movabs
    const uint8_t *miss = t->hot->at;
    put_jmp(t->hot, tc_return_miss_stub(bt->tc));
    put_bytes(t->hot, "\xcc\xcc\xcc", 3);
    put_target_check(t->hot, bt, back, miss);
    // The ret has just written there. Should the store fault all the same, the guest goes on at `back` without it.
    add_point(t, RECOVER_LANDING, 0);
    t->ccf->point[t->ccf->points - 1].guest = (uint8_t)(t->in->offset + t->in->insn.length);
    put_store_return(t->hot, back, -8);
    put_branch(t, ALWAYS, back);
}

bool translate_call(struct translator *t)
{
    const struct insn *in = &t->in->insn;
    struct bt *bt = t->bt;
    bool direct = in->op[0].kind == OPERAND_IMM && !in->opsize;
    bool memory = plain_memory(t) && bt->options.returns == BT_RETURN_CALL;
    if (wants_check(t) || !(direct || plain_register(in) || memory))
        return put_callout(t, plain_emulation(in));
    if (bt->options.returns != BT_RETURN_CALL)
        return put_plain_call(t, direct);

    if (direct)
        put_direct_call(t);
    else
        put_indirect_call(t, memory);
    put_landing(t);
    return false;
}

bool translate_ret(struct translator *t)
{
    const struct insn *in = &t->in->insn;
    struct bt *bt = t->bt;
    // `ret n` is rare, and the host's return address would be out of the landing's sight.
    bool far_slot = in->operands && bt->options.returns == BT_RETURN_CALL;
    if (wants_check(t) || in->opsize || far_slot || bt->options.returns == BT_RETURN_CALLOUT)
        return put_callout(t, plain_emulation(in));
    put_store(t->hot, &bt->slot[0], RCX);
    add_point(t, RECOVER_RETURN, 0);
    put_bytes(t->hot, "\x48\x8b\x0c\x24", 4); // mov (%rsp), %rcx
    if (bt->options.returns == BT_RETURN_TABLE) {
        put_lea_sum(t->hot, RSP, RSP, X86_NO_REG, 8 + (in->operands ? (int32_t)(in->op[0].imm & 0xffff) : 0));
        put_jump(t->hot, bt);
        return false;
    }
    put_lookup(t->hot, bt, BT_RETURNS);
    put_bytes(t->hot, "\x48\x89\x0c\x24", 4); // mov %rcx, (%rsp)
    put_bytes(t->hot, t->in->bytes, in->length);
    return false;
}

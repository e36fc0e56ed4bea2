// SPDX-License-Identifier: BSD-2-Clause
// The checked form of a memory operand: a callout translates its address by the guest's page tables and leaves a host
// address in bt->access, either of the RAM itself or of a bounce buffer; then the instruction runs with that address in
// a scratch register in place of its operand. Where it wrote to the bounce buffer a second callout carries that to
// where it belongs. No instruction's meaning needs to be known for this, only whether it reads or writes.
#include "engines/bt/kinds.h"
#include "engines/bt/translator.h"

static unsigned x87_access_of(const struct insn *in)
{
    switch (in->id) {
    case X86_INS_FST:
    case X86_INS_FSTP:
    case X86_INS_FIST:
    case X86_INS_FISTP:
    case X86_INS_FISTTP:
    case X86_INS_FBSTP:
    case X86_INS_FNSTCW:
    case X86_INS_FNSTSW:
        return WRITES;
    default:
        return READS;
    }
}

// What an IDENT instruction does to its memory operand. The destination comes first.
unsigned access_of(const struct insn *in, unsigned operand)
{
    if (in->id == X86_INS_XCHG || in->id == X86_INS_XADD)
        return READS | WRITES;
    if (operand > 0)
        return READS;
    if (is_vector(kind_of(in)))
        return in->opcode[0] >= 0xd8                                     ? x87_access_of(in)
               : in->id == X86_INS_LDMXCSR || in->id == X86_INS_VLDMXCSR ? READS
                                                                         : WRITES;
    switch (in->id) {
    case X86_INS_CMP:
    case X86_INS_TEST:
    case X86_INS_BT:
    case X86_INS_MUL:
    case X86_INS_DIV:
    case X86_INS_IDIV:
    case X86_INS_IMUL:
    case X86_INS_CLFLUSH:
    case X86_INS_CLFLUSHOPT:
    case X86_INS_CLWB:
        return READS;
    case X86_INS_MOV:
    case X86_INS_MOVABS:
    case X86_INS_MOVBE:
    case X86_INS_MOVNTI:
    case X86_INS_SETA:
    case X86_INS_SETAE:
    case X86_INS_SETB:
    case X86_INS_SETBE:
    case X86_INS_SETE:
    case X86_INS_SETG:
    case X86_INS_SETGE:
    case X86_INS_SETL:
    case X86_INS_SETLE:
    case X86_INS_SETNE:
    case X86_INS_SETNO:
    case X86_INS_SETNP:
    case X86_INS_SETNS:
    case X86_INS_SETO:
    case X86_INS_SETP:
    case X86_INS_SETS:
        return WRITES;
    default:
        return READS | WRITES;
    }
}

// A vector instruction may fault where its operand is there, so rsp must not be unbiased around it: another register
// stands for it.
static void put_vector_access_rsp(struct translator *t, unsigned reg)
{
    struct rsp_instead instead;
    unsigned scratch = put_rsp_instead(t->hot, t->in->bytes, &t->in->insn, 1u << reg, 3, &instead);
    add_point(t, RECOVER_TWO, reg | scratch << 4);
    put_with_base(t->hot, instead.bytes, &instead.insn, reg);
    put_rsp_back(t->hot, &t->in->insn, scratch, 3);
}

static void put_access(struct translator *t, unsigned reg)
{
    struct bt *bt = t->bt;
    bool rsp = bt->world == WORLD_FAST && names_rsp(&t->in->insn);
    put_store(t->hot, &bt->slot[0], reg);
    put_load(t->hot, reg, &bt->access);
    add_point(t, RECOVER_SLOT, reg);
    if (rsp && is_vector(kind_of(&t->in->insn)))
        put_vector_access_rsp(t, reg);
    else if (rsp)
        put_with_base_rsp(t->hot, t->in->bytes, &t->in->insn, reg);
    else
        put_with_base(t->hot, t->in->bytes, &t->in->insn, reg);
    put_load(t->hot, reg, &bt->slot[0]);
}

// What is stored is known without running the instruction.
bool is_plain_store(const struct insn *in, unsigned operand)
{
    bool mov = in->id == X86_INS_MOV || in->id == X86_INS_MOVABS || in->id == X86_INS_MOVNTI;
    const struct x86_operand *from = &in->op[1];
    return mov && operand == 0 &&
           (from->kind == OPERAND_GPR || from->kind == OPERAND_HIGH8 || from->kind == OPERAND_IMM);
}

bool put_checked(struct translator *t, unsigned operand)
{
    const struct insn *in = &t->in->insn;
    unsigned access = access_of(in, operand);
    unsigned reg = pick_scratch(in, 0);
    t->how = HOW_CHECKED;
    struct site *site = add_site(t, SITE_ACCESS);
    site->insn = *in;
    site->operand = (uint8_t)operand;
    site->reads = access & READS;
    site->writes = access & WRITES;
    put_leave_inline(t, t->hot, site);

    site->resume = t->hot->at;
    put_access(t, reg);
    uint8_t *over = t->hot->at;
    if (!(access & WRITES)) { // where nothing is written both ways are the same
        site->special = site->resume;
        return true;
    }
    if (is_plain_store(in, operand)) { // the callout can carry it out itself
        site->stores = true;
        site->special = over;
        return true;
    }
    put_jmp(t->hot, over); // patched below
    site->special = t->hot->at;
    add_point(t, RECOVER_NONE, 0);
    put_access(t, reg);
    struct site *commit = add_site(t, SITE_COMMIT);
    commit->insn = *in;
    if (t->bt->world != WORLD_FAST)
        park_changed(t, registers_changed(in));
    park_home(t);
    put_leave_inline(t, t->hot, commit);
    commit->resume = t->hot->at;
    if (!t->hot->full)
        patch_rel32(over + 1, t->hot->at);
    return true;
}

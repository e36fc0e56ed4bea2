// SPDX-License-Identifier: BSD-2-Clause
// rsp as a register operand in the fast world, where it holds guest rsp + BT_BIAS. The bias has no bit below 2^32 set,
// so what looks at esp, sp or spl alone sees the guest's; a write to esp clears the bias with the upper half.
#include "engines/bt/code.h"

#include <assert.h>
#include <string.h>

_Static_assert((uint32_t)BT_BIAS == 0, "the lower half of rsp is the guest's own");

enum { SPILL = 0, SPILL_WITH_BASE = 3 }; // bt->slot

static const void *slot(unsigned n)
{
    return &((const struct bt *)BT_REGION)->slot[n];
}

// dst = base + amount, through dst itself.
static void put_sum_constant(struct code *code, unsigned dst, unsigned base, uint64_t amount, int32_t disp)
{
    put_mov_reg_imm(code, dst, amount);
    if (dst == RSP)
        put_lea_sum(code, dst, RSP, base, disp);
    else
        put_lea_sum(code, dst, base, dst, disp);
}

// reg += amount, through a register that is spilled for it.
static void put_add_spilled(struct code *code, unsigned reg, uint64_t amount, unsigned scratch)
{
    put_store(code, slot(SPILL), scratch);
    put_mov_reg_imm(code, scratch, amount);
    put_lea_sum(code, reg, reg, scratch, 0);
    put_load(code, scratch, slot(SPILL));
}

static bool is_rsp(const struct x86_operand *op)
{
    return op->kind == OPERAND_GPR && op->reg == RSP;
}

static void put_lea_rsp(struct code *code, const uint8_t *bytes, const struct insn *in)
{
    const struct x86_operand *to = &in->op[0], *from = &in->op[1];
    bool to_rsp = is_rsp(to), biased = from->mem.base == RSP && in->addr_size == 8;
    struct encoding e;
    bool known = encoding_of(bytes, in, &e);
    assert(known);
    if (to_rsp && to->size == 2 && (bytes[e.modrm_at] & 0xc7) == 5) { // rip-relative: mov $imm16, %sp
        put_bytes(code, "\x66\xbc", 2);
        put_bytes(code, &from->mem.disp, 2);
    } else if (to->size == 2) {
        put_ident(code, bytes, in);
    } else if (to_rsp && (bytes[e.modrm_at] & 0xc7) == 5) { // rip-relative
        bool narrow = to->size == 4 || in->addr_size == 4;
        put_mov_reg_imm(code, RSP, BT_BIAS + (narrow ? (uint32_t)from->mem.disp : (uint64_t)from->mem.disp));
    } else if (to->size == 8 && in->addr_size == 8 && from->mem.index == X86_NO_REG && from->mem.base != X86_NO_REG &&
               to_rsp != biased) {
        put_sum_constant(code, to->reg, from->mem.base, to_rsp ? BT_BIAS : -BT_BIAS, (int32_t)from->mem.disp);
    } else {
        put_ident(code, bytes, in);
        bool is_biased = biased && to->size == 8; // the result as it is now
        if (to_rsp != is_biased)
            put_add_spilled(code, to->reg, to_rsp ? BT_BIAS : -BT_BIAS, pick_scratch(in, 0));
    }
}

// add and sub of a constant, the commonest of all: the flags from the guest's value in a scratch register, rsp itself
// by one lea, so that the chain of stack pointers stays as short as the guest's. False: the general way.
static bool put_add_constant(struct code *code, const struct insn *in, uint32_t dead)
{
    const struct x86_operand *by = &in->op[1];
    bool adds = in->id == X86_INS_ADD;
    int32_t amount = (int32_t)by->imm;
    if (!(adds || in->id == X86_INS_SUB) || by->kind != OPERAND_IMM || in->op[0].size != 8 || amount == INT32_MIN)
        return false;
    unsigned scratch = dead ? (unsigned)__builtin_ctz(dead) : pick_scratch(in, 0);
    if (!dead)
        put_store(code, slot(SPILL), scratch);
    put_sum_constant(code, scratch, RSP, -BT_BIAS, 0);
    put_bytes(code, (uint8_t[]){(uint8_t)(0x48 | scratch >> 3), 0x81, (uint8_t)((adds ? 0xc0 : 0xe8) | (scratch & 7))},
              3);
    put_bytes(code, &amount, 4);
    if (!dead)
        put_load(code, scratch, slot(SPILL));
    put_lea_sum(code, RSP, RSP, X86_NO_REG, adds ? amount : -amount);
    return true;
}

// mov between registers, and of a constant. False: the general way.
static bool put_mov_rsp(struct code *code, const uint8_t *bytes, const struct insn *in)
{
    const struct x86_operand *to = &in->op[0], *from = &in->op[1];
    if (is_rsp(to) && from->kind == OPERAND_IMM && to->size >= 4) {
        put_mov_reg_imm(code, RSP, BT_BIAS + (to->size == 4 ? (uint32_t)from->imm : (uint64_t)from->imm));
        return true;
    }
    if (to->kind != OPERAND_GPR || from->kind != OPERAND_GPR)
        return false;
    if (is_rsp(from) && (to->size == 4 || is_rsp(to))) {
        put_ident(code, bytes, in);
        if (is_rsp(to) && to->size == 4)
            put_add_spilled(code, RSP, BT_BIAS, RAX);
        return true;
    }
    if (to->size != 8)
        return false;
    put_sum_constant(code, to->reg, from->reg, is_rsp(to) ? BT_BIAS : -BT_BIAS, 0);
    return true;
}

// A mov between rsp and memory. put_biased looks at the operands' places in the bytes only, and is told of another
// register so that it does not refuse.
static bool put_mov_memory(struct code *code, const uint8_t *bytes, const struct insn *in, struct displaced *displaced)
{
    struct insn other = *in;
    bool load = is_rsp(&in->op[0]);
    struct x86_operand *named = &other.op[load ? 0 : 1];
    named->reg = RAX;
    if (load || named->size < 8) {
        if (!put_biased(code, bytes, &other))
            return false;
        if (load && named->size >= 4)
            put_add_spilled(code, RSP, BT_BIAS, RAX);
        return true;
    }

    struct code before = *code;
    uint8_t changed[X86_MAX_INSN];
    struct encoding e;
    if (!encoding_of(bytes, in, &e))
        return false;
    unsigned scratch = pick_scratch(in, 0);
    memcpy(changed, bytes, in->length);
    changed[e.modrm_at] = (uint8_t)((bytes[e.modrm_at] & ~0x38) | (scratch & 7) << 3);
    changed[e.prefixes] = e.rex | (scratch >= 8 ? 4 : 0); // REX.W is there: 64 bits
    put_store(code, slot(SPILL), scratch);
    put_sum_constant(code, scratch, RSP, -BT_BIAS, 0);
    displaced->scratch = (uint8_t)scratch;
    displaced->from = (uint8_t)(code->at - before.at);
    if (!put_biased(code, changed, &other)) {
        *code = before;
        *displaced = (struct displaced){0};
        return false;
    }
    displaced->to = (uint8_t)(code->at - before.at);
    put_load(code, scratch, slot(SPILL));
    return true;
}

// push %rsp: push the biased one, which may fault, and then put right what is on the stack, which cannot.
static void put_push_rsp(struct code *code, const uint8_t *bytes, const struct insn *in)
{
    put_ident(code, bytes, in);
    put_store(code, slot(SPILL), RAX);
    put_sum_constant(code, RAX, RSP, -BT_BIAS, 8);
    put_bytes(code, "\x48\x89\x04\x24", 4); // mov %rax, (%rsp)
    put_load(code, RAX, slot(SPILL));
}

// div and idiv may fault, so they get the guest's rsp in another register.
static void put_div_rsp(struct code *code, const uint8_t *bytes, const struct insn *in, struct displaced *displaced)
{
    uint8_t changed[X86_MAX_INSN];
    struct encoding e;
    bool known = encoding_of(bytes, in, &e);
    assert(known);
    const uint8_t *before = code->at;
    memcpy(changed, bytes, in->length);
    changed[e.modrm_at] = (uint8_t)((bytes[e.modrm_at] & ~7) | RCX);
    put_store(code, slot(SPILL), RCX);
    put_sum_constant(code, RCX, RSP, -BT_BIAS, 0);
    displaced->scratch = RCX;
    displaced->from = (uint8_t)(code->at - before);
    put_bytes(code, changed, in->length);
    displaced->to = (uint8_t)(code->at - before);
    put_load(code, RCX, slot(SPILL));
}

// The bias goes through these unharmed; but it shows in flags.
static bool keeps_bias(const struct insn *in)
{
    const struct x86_operand *to = &in->op[0], *from = &in->op[1];
    if (!is_rsp(to) || to->size != 8)
        return false;
    switch (in->id) {
    case X86_INS_ADD:
    case X86_INS_SUB:
        return !is_rsp(from);
    case X86_INS_INC:
    case X86_INS_DEC:
        return true;
    case X86_INS_AND:
        return from->kind == OPERAND_IMM && from->imm < 0; // bits 31 and up of the mask are set
    }
    return false;
}

static void put_unbias(struct code *code, unsigned scratch, uint64_t amount)
{
    put_mov_reg_imm(code, scratch, amount);
    put_lea_sum(code, RSP, RSP, scratch, 0);
}

bool put_rsp_unbiased(struct code *code, const uint8_t *bytes, const struct insn *in, bool flags_live, uint32_t dead,
                      struct displaced *displaced)
{
    bool memory = false, wide = false;
    *displaced = (struct displaced){0};
    for (unsigned i = 0; i < in->operands; i++) {
        memory |= in->op[i].kind == OPERAND_MEM;
        wide |= is_rsp(&in->op[i]) && in->op[i].size >= 4;
    }
    if (in->id == X86_INS_LEA)
        put_lea_rsp(code, bytes, in);
    else if (memory)
        return in->id == X86_INS_MOV && put_mov_memory(code, bytes, in, displaced);
    else if (!wide || (keeps_bias(in) && !flags_live))
        put_ident(code, bytes, in);
    else if (in->id == X86_INS_PUSH)
        put_push_rsp(code, bytes, in);
    else if (in->id == X86_INS_DIV || in->id == X86_INS_IDIV)
        put_div_rsp(code, bytes, in, displaced);
    else if (in->id == X86_INS_POP) {
        put_ident(code, bytes, in);
        put_add_spilled(code, RSP, BT_BIAS, RAX);
    } else if (!put_add_constant(code, in, dead) &&
               (!(in->id == X86_INS_MOV || in->id == X86_INS_MOVABS) || !put_mov_rsp(code, bytes, in))) {
        unsigned scratch = pick_scratch(in, 0);
        put_store(code, slot(SPILL), scratch);
        put_unbias(code, scratch, -BT_BIAS);
        put_ident(code, bytes, in);
        put_unbias(code, scratch, BT_BIAS);
        put_load(code, scratch, slot(SPILL));
    }
    return true;
}

void put_with_base_rsp(struct code *code, const uint8_t *bytes, const struct insn *in, unsigned reg)
{
    unsigned scratch = pick_scratch(in, 1u << reg);
    put_store(code, slot(SPILL_WITH_BASE), scratch);
    put_unbias(code, scratch, -BT_BIAS);
    put_with_base(code, bytes, in, reg);
    put_unbias(code, scratch, BT_BIAS);
    put_load(code, scratch, slot(SPILL_WITH_BASE));
}

// ---- Vector instructions ----

// Those whose general register is in ModRM's reg field; all others have it in r/m (SDM vol. 2, appendix A).
static bool names_reg_field(const struct insn *in)
{
    switch (in->opcode[0] == 0x0f ? in->opcode[1] : 0) {
    case 0x2c: // cvttss2si and the like
    case 0x2d:
    case 0x50: // movmskps
    case 0xc5: // pextrw
    case 0xd7: // pmovmskb
        return true;
    default:
        return false;
    }
}

unsigned put_rsp_instead(struct code *code, const uint8_t *bytes, const struct insn *in, uint32_t avoid, unsigned n,
                         struct rsp_instead *instead)
{
    struct encoding e;
    bool known = encoding_of(bytes, in, &e);
    unsigned scratch = pick_scratch(in, avoid);
    assert(known && scratch < 8); // as rsp is: no REX or VEX bit changes
    instead->insn = *in;
    for (unsigned i = 0; i < in->operands; i++)
        if (is_rsp(&in->op[i]))
            instead->insn.op[i].reg = (uint8_t)scratch;
    memcpy(instead->bytes, bytes, in->length);
    uint8_t *modrm = &instead->bytes[e.modrm_at];
    *modrm = (uint8_t)(names_reg_field(in) ? (*modrm & ~0x38) | scratch << 3 : (*modrm & ~7) | scratch);
    put_store(code, slot(n), scratch);
    put_sum_constant(code, scratch, RSP, -BT_BIAS, 0);
    return scratch;
}

void put_rsp_back(struct code *code, const struct insn *in, unsigned scratch, unsigned n)
{
    if (is_rsp(&in->op[0])) // a destination
        put_sum_constant(code, RSP, scratch, BT_BIAS, 0);
    put_load(code, scratch, slot(n));
}

bool put_vector_rsp(struct code *code, const uint8_t *bytes, const struct insn *in, struct displaced *displaced)
{
    struct code before = *code;
    struct rsp_instead instead;
    unsigned scratch = put_rsp_instead(code, bytes, in, 0, SPILL, &instead);
    *displaced = (struct displaced){.scratch = (uint8_t)scratch, .from = (uint8_t)(code->at - before.at)};
    if (!put_biased(code, instead.bytes, &instead.insn)) {
        *code = before;
        *displaced = (struct displaced){0};
        return false;
    }
    displaced->to = (uint8_t)(code->at - before.at);
    put_rsp_back(code, in, scratch, SPILL);
    return true;
}

bool put_leave(struct code *code, const struct insn *in)
{
    if (in->opsize && !in->rex_w)
        return false;
    put_bytes(code, "\x65\x48\x8b\x65\x00", 5); // mov %gs:(%rbp), %rsp: may fault; the old rsp is dead then
    put_sum_constant(code, RSP, RBP, BT_BIAS, 0);
    put_bytes(code, "\x5d", 1); // pop %rbp
    return true;
}

// SPDX-License-Identifier: BSD-2-Clause
// Memory operands at fs: and gs: in the fast world: the guest's per-CPU data. The host's gs holds the bias, so the
// guest's base goes through a register; what is left of the operand is a register and a displacement.
#include "engines/bt/code.h"

#include <string.h>

enum { SPILL_BASE = 0, SPILL_RSP = 3 }; // bt->slot
enum { REX_R = 4 };

static const struct bt *cells(void)
{
    return (const struct bt *)BT_REGION;
}

static const struct x86_operand *segmented_operand(const struct insn *in)
{
    for (unsigned i = 0; i < in->operands; i++)
        if (in->op[i].kind == OPERAND_MEM && in->op[i].mem.seg != X86_NO_SEG)
            return &in->op[i];
    return NULL;
}

static bool is_rsp(const struct x86_operand *op)
{
    return op->kind == OPERAND_GPR && op->reg == RSP && op->size == 8;
}

// ModRM or moffs names the operand: not rsi, rdi or rbx by themselves.
static bool names_address(const uint8_t *bytes, const struct insn *in, struct encoding *e)
{
    if (!encoding_of(bytes, in, e))
        return false;
    bool moffs = e->map == 0 && bytes[e->opcode_at] >= 0xa0 && bytes[e->opcode_at] <= 0xa3;
    return moffs || (e->modrm_at && bytes[e->modrm_at] < 0xc0);
}

static void put_difference(struct code *code, unsigned dst, uint64_t bias) // dst = rsp + bias
{
    put_mov_reg_imm(code, dst, bias);
    put_lea_sum(code, dst, RSP, dst, 0);
}

// `mov %rsp, memory` as a mov of another register, which holds the guest's rsp.
static void name_other(uint8_t *bytes, const struct encoding *e, unsigned reg)
{
    bytes[e->modrm_at] = (uint8_t)((bytes[e->modrm_at] & ~0x38) | (reg & 7) << 3);
    bytes[e->prefixes] = (uint8_t)((e->rex & ~REX_R) | (reg >= 8 ? REX_R : 0)); // REX.W is there: 64 bits
}

bool put_segmented(struct code *code, const uint8_t *bytes, const struct insn *in, struct displaced *displaced)
{
    const struct x86_operand *memory = segmented_operand(in);
    struct encoding e;
    *displaced = (struct displaced){0};
    if (!memory || in->addr_size != 8 || memory->mem.index != X86_NO_REG || memory->mem.base == RSP ||
        memory->mem.disp != (int32_t)memory->mem.disp || in->id == X86_INS_LEA || !names_address(bytes, in, &e))
        return false;
    bool loads = is_rsp(&in->op[0]), stores = in->operands > 1 && is_rsp(&in->op[1]);
    if (names_rsp(in) && (in->id != X86_INS_MOV || !(loads || stores)))
        return false;

    struct code before = *code;
    uint8_t changed[X86_MAX_INSN];
    memcpy(changed, bytes, in->length);
    unsigned base = pick_scratch(in, 0), value = pick_scratch(in, 1u << base);
    int32_t disp = (int32_t)memory->mem.disp;
    put_store(code, &cells()->slot[SPILL_BASE], base);
    if (stores) {
        put_store(code, &cells()->slot[SPILL_RSP], value);
        put_difference(code, value, -BT_BIAS);
        name_other(changed, &e, value);
    }
    put_load(code, base, &cells()->seg_base[memory->mem.seg]);
    if (memory->mem.base != X86_NO_REG) {
        put_lea_sum(code, base, base, memory->mem.base, disp);
        disp = 0;
    }
    displaced->scratch = (uint8_t)base;
    displaced->second = (uint8_t)(stores ? value : 0);
    displaced->two = stores;
    displaced->from = (uint8_t)(code->at - before.at);
    if (!put_biased_base(code, changed, in, base, disp)) {
        *code = before;
        *displaced = (struct displaced){0};
        return false;
    }
    displaced->to = (uint8_t)(code->at - before.at);
    if (loads) {
        put_mov_reg_imm(code, base, BT_BIAS);
        put_lea_sum(code, RSP, RSP, base, 0);
    }
    if (stores)
        put_load(code, value, &cells()->slot[SPILL_RSP]);
    put_load(code, base, &cells()->slot[SPILL_BASE]);
    return true;
}

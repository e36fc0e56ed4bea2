// SPDX-License-Identifier: BSD-2-Clause
// String instructions in the fast world. Their operand at es:[rdi] takes no segment prefix, so rsi and rdi hold host
// addresses while one runs. Both always do, so that a fault handler has one case only.
#include "engines/bt/code.h"

// movs is a4 and a5, cmps a6 and a7, stos, lods and scas aa to af.
static bool is_string(const uint8_t *bytes, const struct insn *in)
{
    struct encoding e;
    if (!encoding_of(bytes, in, &e) || e.vex || e.map)
        return false;
    uint8_t opcode = bytes[e.opcode_at];
    return (opcode >= 0xa4 && opcode <= 0xa7) || (opcode >= 0xaa && opcode <= 0xaf);
}

static void put_pointers(struct code *code, unsigned scratch, uint64_t amount)
{
    put_mov_reg_imm(code, scratch, amount);
    put_lea_sum(code, RSI, RSI, scratch, 0);
    put_lea_sum(code, RDI, RDI, scratch, 0);
}

bool put_biased_string(struct code *code, const uint8_t *bytes, const struct insn *in, struct displaced *displaced)
{
    const void *slot = &((const struct bt *)BT_REGION)->slot[0];
    const uint8_t *before = code->at;
    *displaced = (struct displaced){0};
    if (!is_string(bytes, in) || in->addr_size != 8)
        return false;
    for (unsigned i = 0; i < in->operands; i++) {
        if (in->op[i].kind == OPERAND_MEM && in->op[i].mem.seg != X86_NO_SEG)
            return false;
    }
    displaced->scratch = RDX;
    displaced->string = true;
    put_store(code, slot, RDX);
    put_pointers(code, RDX, BT_BIAS);
    displaced->from = (uint8_t)(code->at - before);
    put_ident(code, bytes, in);
    displaced->to = (uint8_t)(code->at - before);
    put_pointers(code, RDX, -BT_BIAS);
    put_load(code, RDX, slot);
    return true;
}

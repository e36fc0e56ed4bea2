// SPDX-License-Identifier: BSD-2-Clause
// bt, bts, btr, btc in memory. A register offset reaches memory beyond the operand, by whole operands and in both
// directions (SDM vol. 2, BT), so that the address is not where the operand's bytes say.
#include "engines/bt/emulations.h"

static uint64_t changed_bit(uint16_t id, uint64_t v, uint64_t bit)
{
    return id == X86_INS_BTS ? v | bit : id == X86_INS_BTR ? v & ~bit : v ^ bit;
}

// CF = the bit; then it is set, reset, complemented. ZF stays, the other flags are undefined: CF alone changes.
void emulate_bit_test(struct bt *bt, const struct insn *in)
{
    struct x86_operand to = in->op[0];
    unsigned size = to.size, bits = 8 * size;
    uint64_t number = (uint64_t)in->op[1].imm;
    if (in->op[1].kind == OPERAND_GPR) {
        number = reg_read(bt, in->op[1].reg, size);
        int64_t offset = (int64_t)(number << (64 - bits)) >> (64 - bits);
        to.mem.disp += (offset >> __builtin_ctz(bits)) * (int64_t)size;
    }
    uint64_t va = effective_address(bt, in, &to), bit = 1ull << (number & (bits - 1));
    bool test_only = in->id == X86_INS_BT;
    uint64_t v = (test_only ? mem_read : mem_read_rmw)(bt, va, size, in->stack_segment);
    if (!test_only)
        mem_write(bt, va, size, changed_bit(in->id, v, bit), in->stack_segment);
    bt->flags = v & bit ? bt->flags | FLAG_CF : bt->flags & ~(uint64_t)FLAG_CF;
    bt_next(bt, in);
}

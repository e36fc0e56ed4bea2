// SPDX-License-Identifier: BSD-2-Clause
// Lowering a block, instruction by instruction: what block.c asks of lower.c.
#ifndef RINGSIDE_INTERP_LOWERING_H
#define RINGSIDE_INTERP_LOWERING_H

#include "engines/interp/lower.h"

struct lowering {
    struct lower l;
    unsigned insns;
    unsigned bytes;
};

void lowering_start(struct lowering *low, struct cpu *c, uint64_t rip, struct op *ops);
// Decodes and lowers the instruction at bytes, which hold it whole; one that does not exist becomes an op that raises
// #UD (or #GP where it is longer than 15 bytes).
void lowering_insn(struct lowering *low, const uint8_t *bytes, unsigned left);
// The first instruction of a block does not end within its code segment: #GP(0).
void lowering_beyond(struct lowering *low);
// Closes a block that does not end in a branch by an op that goes on with what follows.
void lowering_finish(struct lowering *low);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// Lookups in the software TLB by translated code of the checked worlds: inline_tlb.c has operands, inline_stack.c what
// works on the stack, and branches.
#ifndef RINGSIDE_BT_INLINE_H
#define RINGSIDE_BT_INLINE_H

#include "engines/bt/tlb.h"
#include "engines/bt/translator.h"

struct lookup {
    struct place place;     // of the operand, behind a hit
    unsigned free;          // a register that is free behind a miss
    uint8_t *miss;          // rel32 field of the jump to what is done about a miss
    struct parking parking; // at that jump
    bool stack;             // in the stack's page, and
    uint8_t *again;         // where that lookup begins
    unsigned base;          // of this aligned word
    int32_t word;
};

// The operand's lookup, with rcx and registers that are not in `avoid`. rcx is free behind it.
void inline_look_up(struct translator *t, const struct x86_operand *o, unsigned size, bool write, uint32_t avoid,
                    struct lookup *l);
// The same for what lies at disp(base), in an aligned word, most probably on the stack.
void inline_look_at_stack(struct translator *t, unsigned base, int32_t disp, uint32_t avoid, struct lookup *l);
// A register for whatever is wanted, parked.
unsigned inline_take(struct translator *t, uint32_t avoid);
// In cold code: all home, and out through the site.
void inline_miss(struct translator *t, const struct lookup *l, struct site *site);

// inline_stack.c: false, and nothing is written, where the form is a callout.
bool inline_push_pop(struct translator *t);
bool inline_leave(struct translator *t);
bool inline_call(struct translator *t);
bool inline_ret(struct translator *t);
bool inline_jmp(struct translator *t);

#endif

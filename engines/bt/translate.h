// SPDX-License-Identifier: BSD-2-Clause
// From a TU to a CCF: what tc.c asks of the translator.
#ifndef RINGSIDE_BT_TRANSLATE_H
#define RINGSIDE_BT_TRANSLATE_H

#include "engines/bt/tc.h"

#define TU_MAX_INSNS 12 // as in the paper; fewer with --bt-tu
#define CCF_MAX_POINTS 64

struct tu_insn {
    struct insn insn;
    uint8_t bytes[X86_MAX_INSN];
    bool ends;           // nothing of the same TU can follow
    bool legacy;         // not of 64-bit mode (compat.h): insn and bytes are what is carried over, and the guest's is
    struct insn guest;   // this; or
    emulate_fn *emulate; // it is done in C
    uint8_t offset;      // from the TU's start
    bool flags_live;     // somebody may read the flags as they are behind this instruction
    uint32_t dead;       // registers that nobody can read as they are behind it, a bit each; never rsp
};

struct tu {
    uint64_t rip, gpa, second_page;
    unsigned count, bytes;
    bool too_long;                         // the last "instruction" is longer than 15 bytes: #GP in place of #UD
    bool undefined;                        // the last one does not exist
    unsigned vectors;                      // classes of vector registers that it uses (vectors.h)
    struct tu_insn insn[TU_MAX_INSNS + 1]; // one more behind a final sti
};

// Reads the TU at bt->rip: at most max instructions, up to a terminating one. Raises what fetching it raises.
void tu_read(struct bt *bt, struct tu *tu, unsigned max);

// Translates into the cache's code buffers; fills ccf's code fields and points. polls: load from bt->poll first.
// single: leave to the run loop behind the first instruction. False: a buffer is full.
bool translate(struct bt *bt, const struct tu *tu, struct ccf *ccf, bool polls, bool single);

// Code that goes on behind itself where bt->target is rip, else to `miss`, which is code that lies at most 64 bytes in
// front of it. On entry rcx is in slot[0]; flags and all other registers are kept.
void put_target_check(struct code *code, struct bt *bt, uint64_t rip, const uint8_t *miss);
// The same for the checked worlds: on entry rcx is the target, and the guest's registers are at home (park.h).
void put_parked_target_check(struct code *code, uint64_t rip, const uint8_t *miss_stub);
// Code that goes to the CCF's start where what it needs of the vector registers is live, else to the stub.
void put_guard(struct code *code, struct bt *bt, const struct ccf *ccf, const uint8_t *stub);
// The stub that looks for the stack's new page in the TLB (inline_tlb.c). Its address is slot[2]; rcx is where to go on
// with bt->stack_tag set, or 5 bytes behind that where the TLB does not know it. Keeps all registers but rcx.
void put_stack_refill(struct code *code, struct bt *bt, enum world world);
// Code in front of a CCF that calls lead to.
void put_take_return(struct code *code, struct bt *bt);
// The stub that rets of the fast world go to where they find no landing.
void put_return_miss(struct code *code, struct bt *bt);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// The state of one translation, shared by translate.c, control.c and checked.c. Functions that translate an instruction
// say whether the guest goes on behind it.
#ifndef RINGSIDE_BT_TRANSLATOR_H
#define RINGSIDE_BT_TRANSLATOR_H

#include "engines/bt/how.h"
#include "engines/bt/park.h"
#include "engines/bt/translate.h"

struct translator {
    struct bt *bt;
    struct code *hot, *cold;
    const struct tu *tu;
    const struct tu_insn *in; // the instruction at hand
    struct ccf *ccf;
    enum how how; // of the instruction at hand, where the code that translates it says so
    struct parking parking;
    unsigned live; // vector classes that are live at the instruction at hand
    bool single;   // the run loop wants its turn behind this one instruction
};

// Is the instruction's access to memory to be looked up in software, or the instruction to be a callout where it goes
// through the target table?
static inline bool wants_check(const struct translator *t)
{
    return t->bt->world != WORLD_FAST || t->single || tc_is_guilty(t->bt->tc, t->tu->rip + t->in->offset);
}

// May the vector instruction at hand be carried over, and not only by C code?
bool vector_can_run(const struct translator *t);

// translate.c: an instruction, its operand looked up where the world wants that.
bool translate_insn(struct translator *t);

void add_point(struct translator *t, enum recover recover, unsigned reg);
struct site *add_site(struct translator *t, enum site_kind kind); // rip is the instruction's
void put_leave_inline(struct translator *t, struct code *code, struct site *site);
bool put_callout(struct translator *t, emulate_fn *emulate);
// A privileged instruction: by a callout, or a trap where that was asked for.
bool put_privileged(struct translator *t, emulate_fn *emulate);
// May a privileged instruction be emulated within the translation cache?
static inline bool within_tc(const struct translator *t)
{
    return t->bt->options.emulate == BT_IN_TC && !t->bt->cpl && !t->single;
}

void put_on_cell(struct code *code, const void *opcode, unsigned n, const void *cell);

// privileged.c
bool translate_cli(struct translator *t);
bool translate_sti(struct translator *t);
bool translate_rdtsc(struct translator *t);
bool translate_pushf(struct translator *t);
bool translate_system(struct translator *t);

// control.c
#define ALWAYS 16 // besides the condition codes 0-15
void put_branch(struct translator *t, unsigned condition, uint64_t rip);
bool translate_call(struct translator *t);
bool translate_ret(struct translator *t);
bool translate_jmp(struct translator *t);
bool translate_jcc(struct translator *t);
bool translate_jrcxz(struct translator *t);

// checked.c
enum access { READS = 1, WRITES = 2 };
unsigned access_of(const struct insn *in, unsigned operand);
bool is_plain_store(const struct insn *in, unsigned operand);
bool put_checked(struct translator *t, unsigned operand);

// inline_tlb.c: an instruction in a checked world, its accesses looked up in the translation cache. False, and nothing
// is written, where it is translated like any other. *falls: the guest goes on behind it.
bool inline_insn(struct translator *t, bool *falls);

#endif

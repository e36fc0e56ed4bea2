// SPDX-License-Identifier: BSD-2-Clause
// Parked registers: in the checked worlds each memory access needs host registers of its own, so guest registers make
// room. Each lives in its own register, in its cell of bt->parked, or in both; what a translation knows about that is
// this. Registers are brought back when an instruction uses them, not before, so that neighbouring accesses share the
// room. At the start and end of each CCF, and wherever C code takes over, all are at home: rcx, r14 and r15 in their
// cells, for every access needs room, the others in their registers. In the fast world, that is so for all of them, and
// nothing here writes any code.
#ifndef RINGSIDE_BT_PARK_H
#define RINGSIDE_BT_PARK_H

#include <stdint.h>

struct code;
struct translator;

struct parking { // sets of registers, by their numbers
    uint16_t in_register, in_cell;
};

void park_begin(struct translator *t); // as at the start of a CCF
// These are to be used: loads what is not in its register.
void park_need(struct translator *t, uint32_t registers);
// The host's registers of this name are wanted for something else: stores what is not in its cell.
void park_vacate(struct translator *t, uint32_t registers);
void park_changed(struct translator *t, uint32_t registers); // they have got new values, in the registers
void park_home(struct translator *t);
// At home, and in the registers, too: for code that knows nothing of all this.
void park_settle(struct translator *t);
void park_anything_changed(struct translator *t); // behind such code
// All home in cold code, on the way to C: what hot code knows stays as it is.
void park_home_aside(const struct translator *t, struct code *code);

#endif

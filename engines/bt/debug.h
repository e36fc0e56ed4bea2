// SPDX-License-Identifier: BSD-2-Clause
// Breakpoints of the debug registers (SDM vol. 3, 17.2 and 17.3). They cost nothing while none is enabled:
//   instruction  a TU ends before the address of one, and whoever looks for code there raises the fault
//   data         CPL 0 runs in the checked world; their pages stay out of the TLB, and an instruction whose operand
//   meets
//                one is run on its own
//   ports        in and out are callouts anyway
// With either of the first two, user code is translated, not run directly. What an access meets becomes a trap behind
// its instruction (run.c).
#ifndef RINGSIDE_BT_DEBUG_H
#define RINGSIDE_BT_DEBUG_H

#include "engines/bt/bt.h"

#define DR6_B 0xfull // B0 to B3
#define DR6_BD 0x2000ull
#define DR6_BS 0x4000ull
#define DR7_GD 0x2000ull

// dr0-dr3, dr7 or cr4 have got new values. What was translated by the old ones goes.
void debug_changed(struct bt *bt);

// Is there a breakpoint at the instruction at rip, or data that is watched in [va, va + size)?
bool debug_breaks_at(const struct bt *bt, uint64_t rip);
bool debug_watches(const struct bt *bt, uint64_t va, uint64_t size);

// An access or a port access that is sure to happen: notes the breakpoints that it meets in bt->debug_hits.
void debug_note_access(struct bt *bt, uint64_t va, unsigned size, bool write);
void debug_note_port(struct bt *bt, uint16_t port, unsigned size);

// #DB, a fault, where the instruction at bt->rip has a breakpoint and RF does not hold it off.
void debug_raise_at(struct bt *bt);

// Behind an instruction, in the run loop: #DB as a trap, where it stepped or met breakpoints, unless a load of ss
// holds it off.
void debug_trap(struct bt *bt, bool stepped);

#endif

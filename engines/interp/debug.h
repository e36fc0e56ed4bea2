// SPDX-License-Identifier: BSD-2-Clause
// Breakpoints of the debug registers (SDM vol. 3, 17.2 and 17.3). They cost nothing while none is enabled:
//   instruction  a block ends before the address of one, and looking a block up there raises the fault
//   data         their pages stay out of the software TLB, and blocks are one instruction long
//   ports        in and out look at a byte that is 0
// What an access meets becomes a trap behind its instruction (run.c).
#ifndef RINGSIDE_INTERP_DEBUG_H
#define RINGSIDE_INTERP_DEBUG_H

#include "engines/interp/op.h"

#define DR6_B 0xfull // B0 to B3
#define DR6_BD 0x2000ull
#define DR6_BS 0x4000ull
#define DR7_GD 0x2000ull

// dr0-dr3, dr7 or cr4 have got new values. Translations and blocks made by the old ones go.
void debug_changed(struct cpu *c);

// Is there a breakpoint at the instruction at rip, or data that is watched in [va, va + size)?
bool debug_breaks_at(const struct cpu *c, uint64_t rip);
bool debug_watches(const struct cpu *c, uint64_t va, uint64_t size);

// An access or a port access that is sure to happen: notes the breakpoints that it meets in c->debug_hits.
void debug_note_access(struct cpu *c, uint64_t va, unsigned size, bool write);
void debug_note_port(struct cpu *c, uint16_t port, unsigned size);

// #DB, a fault, where the instruction at c->rip has a breakpoint and RF does not hold it off.
void debug_raise_at(struct cpu *c);

// Behind an instruction, in the run loop: #DB as a trap, where it stepped or met breakpoints, unless a load of ss
// holds it off.
void debug_trap(struct cpu *c, bool stepped);

#endif

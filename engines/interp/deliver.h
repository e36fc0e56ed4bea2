// SPDX-License-Identifier: BSD-2-Clause
// Events on their way into the guest: through the IDT to its handler.
#ifndef RINGSIDE_INTERP_DELIVER_H
#define RINGSIDE_INTERP_DELIVER_H

#include "engines/interp/op.h"

// Between two instructions, with c->rip to go on at afterwards and c->delivering set: afterwards c->rip is the handler.
// What goes wrong is raised without an op, with the guest unchanged, and combined by combine_faults().
void deliver_event(struct cpu *c, struct cpu_event event);

// The same for an event that instruction op asks for (int n, int3, int1), which is the last of its block: gives the
// handler's address. What goes wrong is a fault of op.
uint64_t deliver_for(struct cpu *c, const struct op *op, struct cpu_event event);

// An event of vector `first` was being delivered when *second came up: *second becomes what is to be delivered then.
// False for a triple fault.
bool combine_faults(struct cpu *c, unsigned first, struct cpu_event *second);

// The stack pointer in the TSS at byte `offset`; #TS where the TSS is too short (SDM vol. 3, 7.7).
uint64_t tss_stack(struct cpu *c, const struct op *op, unsigned offset, uint32_t ext);
#define TSS_RSP(dpl) (4u + 8u * (dpl))
#define TSS_IST(ist) (0x1cu + 8u * (ist)) // ist 1 to 7

// Writes n quadwords below rsp, first[0] uppermost, as privilege cpl would, which may be a more privileged one than
// now; #SS where the stack is not canonical. Gives the new stack pointer.
uint64_t push_frame(struct cpu *c, const struct op *op, uint64_t rsp, unsigned cpl, const uint64_t *first, unsigned n,
                    uint32_t ext);

#endif

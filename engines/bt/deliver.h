// SPDX-License-Identifier: BSD-2-Clause
// Events on their way into the guest: through the IDT to its handler.
#ifndef RINGSIDE_BT_DELIVER_H
#define RINGSIDE_BT_DELIVER_H

#include "engines/bt/bt.h"

// Between two instructions, with bt->rip to go on at afterwards and bt->delivering set: afterwards bt->rip is the
// handler. What goes wrong is raised, with the guest unchanged, and combined by combine_faults().
void deliver_event(struct bt *bt, struct bt_event event);

// The same for an event that the instruction at bt->rip asks for (int n, int3, int1), with the address to return to.
// What goes wrong is a fault of that instruction.
void deliver_for(struct bt *bt, struct bt_event event, uint64_t return_rip);

// An event of vector `first` was being delivered when *second came up: *second becomes what is to be delivered then.
// False for a triple fault.
bool combine_faults(struct bt *bt, unsigned first, struct bt_event *second);

// The stack pointer in the TSS at byte `offset`; #TS where the TSS is too short (SDM vol. 3, 7.7).
uint64_t tss_stack(struct bt *bt, unsigned offset, uint32_t ext);
#define TSS_RSP(dpl) (4u + 8u * (dpl))
#define TSS_IST(ist) (0x1cu + 8u * (ist)) // ist 1 to 7

// Writes n quadwords below rsp, first[0] uppermost, as privilege cpl would, which may be a more privileged one than
// now; #SS where the stack is not canonical. Gives the new stack pointer.
uint64_t push_frame(struct bt *bt, uint64_t rsp, unsigned cpl, const uint64_t *first, unsigned n, uint32_t ext);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// The guest's x87, MMX, SSE and AVX registers. While translated code uses them they are in the host's own, "live"; else
// in bt->xsave. Kernel code hardly ever uses them, so that most of the time nothing is live, and callouts cost what
// they always did.
//
// A CCF with vector instructions needs some classes live. It gets a guard (tc_guard) in front, which leaves for C where
// they are not; there they are loaded, if the guest's control registers allow that now. From the guard on to the CCF's
// end they are: a site knows what is live at it, and branches to another CCF that needs no more than that pass its
// guard by. So a loop of vector code meets no guard at all. Whatever leaves for C saves what is live (world.S), and
// loads it again where the guest goes on behind the guard. Signal handlers find it in their frame.
//
// Where the guest may not use a class (CR0.TS, say), another CCF is made of the same code, in which such instructions
// leave to raise what they raise, or to go on as they should when that has changed.
#ifndef RINGSIDE_BT_VECTORS_H
#define RINGSIDE_BT_VECTORS_H

#include "engines/bt/bt.h"
#include "engines/bt/xstate.h"

// Classes: sets of instructions that the same control bits allow. Where one is live, all registers are loaded.
enum vector_class { VECTORS_X87 = 1, VECTORS_SSE = 2, VECTORS_AVX = 4, VECTORS_ALL = 7 };

void vectors_reset(struct bt *bt);
// The classes of an instruction that uses vector registers; and those that must be live for it: 0 for any other one,
// and for those that leave for C.
unsigned vectors_of(const struct insn *in);
unsigned vectors_needed(const struct insn *in);
// Does CPUID announce it? True for those that need no class.
bool vectors_announced(const struct bt *bt, const struct insn *in);
// Is it ldmxcsr, on a host that would take bits which are #GP for the guest?
bool vectors_left_to_c(const struct bt *bt, const struct insn *in);
// Does its operand in memory have to be aligned? (SDM vol. 2, 2.4: exception types 1 and 2; legacy ones of type 4)
bool vectors_aligned(const struct insn *in, const struct x86_operand *memory);
// Does RFLAGS.AC never ask that? (SDM vol. 2, table 2-27: type 11 has no #AC)
bool vectors_anywhere(const struct insn *in);

void vectors_mode_changed(struct bt *bt); // CR0, CR4 or XCR0 has been written
void vectors_wake(struct bt *bt);         // what may be used is loaded when translated code goes on
void vectors_sleep(struct bt *bt);        // nothing is
// The exception of an instruction that needs what may not be used.
_Noreturn void vectors_refuse(struct bt *bt, const struct insn *in);

// An x87 exception that is not masked is pending: the next x87 or MMX instruction raises #MF.
bool vectors_pending(const struct bt *bt);
// Would the x87 store raise an exception in place of storing? Then bt->xsave is what it leaves.
bool vectors_store_fails(struct bt *bt, const struct insn *in);
// Bits of x87 state that follow from others, or are fixed: as the processor has them once it has loaded the image.
void vectors_settle_x87(struct bt *bt);
// As any MMX instruction does (SDM vol. 1, 9.5.1): TOP is 0, no register is empty.
void vectors_enter_mmx(struct bt *bt);

// bt->xsave is to be read or changed, and nothing is live: they may be in a process for directly executed code.
void vectors_home(struct bt *bt);

// A signal handler leaves for C: the registers are in its frame (struct _fpstate of the kernel).
void vectors_from_frame(struct bt *bt, const void *frame);
// From outside: whatever it holds, xrstor will find nothing to object to.
void vectors_from_image(struct bt *bt, const uint8_t *image);
// Makes bt->xsave what may be shown: components in their initial state written out, and of the last x87 instruction
// only what is known while an exception is pending: its address in the guest.
uint8_t *vectors_image(struct bt *bt);

#endif

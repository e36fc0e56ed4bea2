// SPDX-License-Identifier: BSD-2-Clause
// Compatibility mode: 32-bit user code under a 64-bit kernel (SDM vol. 1, 3.1.1), and whatever else runs with CS.L
// clear.
//
// Where base and limit of no segment mean anything, as under every common operating system, it is translated: an
// instruction that 64-bit mode has is carried over in its 64-bit encoding (carry_legacy.c), its operand looked up as
// that of 64-bit user code, at an address of 32 bits; branches are chained. What works on the stack, what names FS or
// GS, and what 64-bit mode has not (legacy.c) is done in C. Any other code, of 16 bits, of segments with limits, or at
// CPL 0, runs one instruction after the other, with each access by segment_linear().
#ifndef RINGSIDE_BT_COMPAT_H
#define RINGSIDE_BT_COMPAT_H

#include "engines/bt/translate.h"

struct translator;

// t->insn has been decoded from bytes, outside 64-bit mode: fills in the rest, and puts in t->insn and t->bytes what
// the translator shall see of it. False: there is no such instruction.
bool compat_read(struct bt *bt, struct tu_insn *t, const uint8_t *bytes);

// Translates the instruction at hand; does the guest go on behind it?
bool translate_compat(struct translator *t);

// carry_legacy.c: an instruction in its 64-bit encoding, with (%rax) in place of its memory operand. What is decoded
// from it names the guest's operand all the same. False: there is none.
bool carry_legacy(struct bt *bt, const uint8_t *bytes, const struct insn *in, uint8_t out[X86_MAX_INSN],
                  struct insn *carried);

#endif

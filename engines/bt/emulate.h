// SPDX-License-Identifier: BSD-2-Clause
// Instructions emulated in C, for callouts (system.c, stack.c, string.c, bitmem.c).
#ifndef RINGSIDE_BT_EMULATE_H
#define RINGSIDE_BT_EMULATE_H

#include "engines/bt/bt.h"

// A privileged or sensitive instruction (or form of one), or NULL.
emulate_fn *system_emulation(const struct insn *in);
// An unprivileged one whose memory operand is implicit or cannot be replaced: stack, string, xlat, bt with a register
// offset, near call, ret and indirect jmp; or NULL.
emulate_fn *plain_emulation(const struct insn *in);

#endif

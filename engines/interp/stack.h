// SPDX-License-Identifier: BSD-2-Clause
// What stack_legacy.c shares with stack.c.
#ifndef RINGSIDE_INTERP_STACK_H
#define RINGSIDE_INTERP_STACK_H

#include "engines/interp/op.h"

// popf: sets those flags that the privilege allows (SDM vol. 2, POPF, table 4-16). True where the run loop has
// something to look at: single-stepping, or interrupts that may come now.
bool stack_set_flags(struct cpu *c, uint64_t value, bool w16);

#endif

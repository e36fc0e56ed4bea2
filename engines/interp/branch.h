// SPDX-License-Identifier: BSD-2-Clause
// What lower.c needs of branch.c.
#ifndef RINGSIDE_INTERP_BRANCH_H
#define RINGSIDE_INTERP_BRANCH_H

#include "engines/interp/lower.h"

// Data slots for n links behind the op just emitted, and the block's end.
void emit_links(struct lower *l, unsigned n);

// Closes a block: goes on at guest address rip without an instruction of its own.
void emit_fallthrough(struct lower *l, uint64_t rip);

#endif

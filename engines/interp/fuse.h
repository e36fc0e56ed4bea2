// SPDX-License-Identifier: BSD-2-Clause
// What lower.c needs of fuse.c.
#ifndef RINGSIDE_INTERP_FUSE_H
#define RINGSIDE_INTERP_FUSE_H

#include "engines/interp/op.h"

// The handler that does `first` and a jcc of condition cc behind it, or NULL where there is none.
op_fn *fuse_with_jcc(const struct insn *first, unsigned cc);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// The flags that the manual leaves undefined after an instruction: two right engines may differ in them.
#ifndef RINGSIDE_RUN_COMPARE_FLAGS_H
#define RINGSIDE_RUN_COMPARE_FLAGS_H

#include <stdint.h>

#include "x86/decode.h"

uint64_t undefined_flags(const struct insn *in);

#endif

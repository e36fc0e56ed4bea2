// SPDX-License-Identifier: BSD-2-Clause
// MXCSR and SIMD floating-point exceptions (SDM vol. 1, 10.2.3 and 11.5). While the guest runs, the host's MXCSR has
// the guest's rounding, FTZ, DAZ and flags, and all exceptions masked: so a masked exception, which is the rule, costs
// a handler nothing. Around everything of the host's that might compute with floating point (what port writes
// lead to, whoever called run()) mxcsr_leave() and mxcsr_enter() exchange it for the host's own.
//
// With any exception unmasked every instruction is run on its own, flags cleared, and looked at (mxcsr_again).
#ifndef RINGSIDE_INTERP_MXCSR_H
#define RINGSIDE_INTERP_MXCSR_H

#include "engines/interp/op.h"

#define MXCSR_IE 0x1u
#define MXCSR_DE 0x2u
#define MXCSR_ZE 0x4u
#define MXCSR_OE 0x8u
#define MXCSR_UE 0x10u
#define MXCSR_PE 0x20u
#define MXCSR_FLAGS 0x3fu
#define MXCSR_MASKS 0x1f80u
#define MXCSR_MASK_SHIFT 7
#define MXCSR_FTZ 0x8000u
#define MXCSR_INIT 0x1f80u
#define MXCSR_DEFINED 0xffffu

void mxcsr_enter(struct cpu *c);
void mxcsr_leave(struct cpu *c);

uint32_t mxcsr_read(struct cpu *c);              // while the guest's is loaded
void mxcsr_write(struct cpu *c, uint32_t value); // likewise; no reserved bit is set in value

// FP_RUN(statements): computes, as often as it takes to know what the guest gets for it; #XM or #UD where that is an
// unmasked exception.
void mxcsr_begin(struct cpu *c);
bool mxcsr_again(struct cpu *c, const struct op *op);
#define FP_RUN(...)                                                                                                    \
    do {                                                                                                               \
        if (UNLIKELY(c->mxcsr_unmasked))                                                                               \
            mxcsr_begin(c);                                                                                            \
        do {                                                                                                           \
            __VA_ARGS__;                                                                                               \
        } while (UNLIKELY(c->mxcsr_unmasked) && mxcsr_again(c, op));                                                   \
    } while (0)

#endif

// SPDX-License-Identifier: BSD-2-Clause
// The extended state as a whole, in the standard form of an XSAVE area (SDM vol. 1, 13.4).
#ifndef RINGSIDE_INTERP_XSAVE_H
#define RINGSIDE_INTERP_XSAVE_H

#include "engines/interp/cpu.h"

#define XCR0_X87 1u
#define XCR0_SSE 2u
#define XCR0_AVX 4u
#define XCR0_SUPPORTED (XCR0_X87 | XCR0_SSE | XCR0_AVX)

// All components, XSTATE_BV included, to and from an area of at least 832 bytes; not while the guest runs, as MXCSR is
// in the host's register then. A component that is not in XSTATE_BV becomes its initial configuration.
void xsave_all(const struct cpu *c, uint8_t *area);
void xrstor_all(struct cpu *c, const uint8_t *area);

// Bytes of an area with these components: CPUID leaf 0dh, ebx.
static inline uint32_t xsave_bytes(uint64_t xcr0)
{
    return xcr0 & XCR0_AVX ? 832 : 576;
}

#endif

// SPDX-License-Identifier: BSD-2-Clause
// The image that XSAVE writes, in standard form: offsets and bits (SDM vol. 1, 10.5.1 and 13.4). Also for assembly.
#ifndef RINGSIDE_BT_XSTATE_H
#define RINGSIDE_BT_XSTATE_H

// Components, as in XCR0.
#define XSTATE_X87 1
#define XSTATE_SSE 2
#define XSTATE_AVX 4
#define XSTATE_ALL 7

#define XSAVE_FCW 0
#define XSAVE_FSW 2
#define XSAVE_FTW 4 // abridged: a bit for each register that is not empty
#define XSAVE_FOP 6
#define XSAVE_FIP 8
#define XSAVE_FDP 16
#define XSAVE_MXCSR 24
#define XSAVE_MXCSR_MASK 28
#define XSAVE_ST 32      // eight of 16 bytes, of which ten count
#define XSAVE_XMM 160    // sixteen of 16 bytes
#define XSAVE_LEGACY 512 // bytes of what fxsave writes, too
#define XSAVE_HEADER 512 // XSTATE_BV: the components that are not in their initial state
#define XSAVE_XCOMP_BV 520
#define XSAVE_YMM 576 // the upper halves of sixteen registers
#define XSAVE_BYTES 832

#define FCW_RESET 0x37f
#define FCW_WRITABLE 0x1f3f
#define FCW_FIXED1 0x40
#define FSW_EXCEPTIONS 0x3f
#define FSW_NO_STORE 0x19 // invalid, overflow, underflow: where these are not masked, nothing is stored
#define FSW_ES 0x80       // an exception that is not masked is pending; as is
#define FSW_B 0x8000
#define FSW_TOP_SHIFT 11
#define FOP_BITS 0x7ff
#define MXCSR_RESET 0x1f80
#define MXCSR_ALL 0xffff // bits that can be set

#endif

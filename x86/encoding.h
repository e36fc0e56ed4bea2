// SPDX-License-Identifier: BSD-2-Clause
// Where the parts of an instruction's bytes are, and how many there are of them, whether it is defined or not. Capstone
// says what an instruction means; but bt copies some of its bytes and changes others, and how far a processor reads
// tells faults of fetching from those of decoding.
#ifndef RINGSIDE_X86_ENCODING_H
#define RINGSIDE_X86_ENCODING_H

#include "x86/decode.h"

struct encoding {
    uint8_t prefixes;      // legacy prefixes, count; a REX that is ignored is among them
    uint8_t rex;           // the REX byte, or 0
    uint8_t vex;           // 0, or 2 or 3: length of the VEX prefix; 4: EVEX
    uint8_t map;           // 0: one-byte opcodes; 1: 0f; 2: 0f 38; 3: 0f 3a; what VEX or EVEX says
    uint8_t opcode_at;     // offset of the first opcode byte after REX or VEX
    uint8_t modrm_at;      // 0: has none
    uint8_t after_address; // offset of what follows ModRM, SIB and displacement (or moffs): the immediate
};

// The bytes that a processor must have of the instruction at bytes[0..n) before it can say what it is, or that it is
// none: its length, by the opcode maps of SDM vol. 2, appendix A. More than n where it goes on behind them. No more
// than X86_MAX_INSN are looked at: an instruction of more than these is #GP, whatever the sixteenth byte is.
unsigned x86_encoded_length(enum x86_mode mode, const uint8_t *bytes, unsigned n);
// Do these bytes hold a whole instruction, or enough to say that there is none?
bool x86_encoding_fits(enum x86_mode mode, const uint8_t *bytes, unsigned n);

// The parts of an instruction that the decoder knows. False for what has no place in struct encoding, and where
// Capstone sees another length. The translator asks once for each instruction, and treats false as an instruction that
// this CPU does not have.
bool encoding_of(const uint8_t *bytes, const struct insn *in, struct encoding *e);

#endif

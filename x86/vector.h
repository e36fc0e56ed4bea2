// SPDX-License-Identifier: BSD-2-Clause
// Decoding by the table of x86/vector.def: x87, MMX, SSE, AVX and all that VEX encodes. Capstone 4.0 gets operand
// sizes, ignored and reserved bits of too many of these wrong to be mended one by one.
#ifndef RINGSIDE_X86_VECTOR_H
#define RINGSIDE_X86_VECTOR_H

#include "x86/decode.h"

enum vector_result {
    VECTOR_NONE,    // no such opcode: Capstone's affair
    VECTOR_DECODED, // insn is filled in
    VECTOR_INVALID, // the opcode is one, but this form does not exist, or n bytes are too few
};

// Fills d->vector_rows; once per decoder.
void vector_index_rows(struct x86_decoder *d);

// Decode the instruction at bytes[0..n), n at most X86_MAX_INSN, that lies at address.
enum vector_result vector_decode(const struct x86_decoder *d, enum x86_mode mode, const uint8_t *bytes, size_t n,
                                 uint64_t address, struct insn *insn);

#endif

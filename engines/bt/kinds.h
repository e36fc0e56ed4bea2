// SPDX-License-Identifier: BSD-2-Clause
// How instructions are translated, by mnemonic: the kinds of insns.def.
#ifndef RINGSIDE_BT_KINDS_H
#define RINGSIDE_BT_KINDS_H

#include "engines/bt/bt.h"

enum kind {
    KIND_UNDEFINED, // not in the list: #UD
    KIND_IDENT,     // as it is; memory operand biased or checked
    // x87 and vector instructions, by the feature that announces them: IDENT while their registers are the guest's
    // (vectors.h).
    KIND_X87,
    KIND_SSE2, // and MMX and SSE
    KIND_SSE3,
    KIND_SSSE3,
    KIND_SSE41,
    KIND_SSE42,
    KIND_AES,
    KIND_PCLMUL,
    KIND_SHA,
    KIND_AVX,
    KIND_AVX_INT, // AVX on 128 bits, AVX2 on 256
    KIND_AVX2,
    KIND_FMA,
    KIND_F16C,
    KIND_LEA,    // no access; only rsp makes it more than IDENT
    KIND_NOP,    // left out
    KIND_BITMEM, // IDENT, but with a register offset into memory the checked form is a callout
    KIND_STRING, // both pointers biased around it, or a callout
    KIND_STACK,  // push, pop
    KIND_LEAVE,
    KIND_CALL,
    KIND_RET,
    KIND_JMP,
    KIND_JCC,
    KIND_JRCXZ, // and loop
    KIND_CLI,
    KIND_STI,
    KIND_RDTSC,
    KIND_PUSHF,
    KIND_EMULATE, // unprivileged, always a callout
    KIND_SYSTEM,  // privileged or sensitive: a callout
};

enum kind kind_of(const struct insn *in);
static inline bool is_vector(enum kind kind)
{
    return kind >= KIND_X87 && kind <= KIND_F16C;
}
bool ends_tu(const struct insn *in);         // nothing of the same TU can follow
bool changes_vectors(const struct insn *in); // what may be used of the vector registers: ends a TU, too

#endif

// SPDX-License-Identifier: BSD-2-Clause
// Kinds of translation. IDENT is decided by the bytes; the rest by the instruction.
#include "engines/bt/how.h"

#include <string.h>

#include "engines/bt/kinds.h"
#include "engines/bt/translator.h"

const struct how_info how_table[HOWS] = {
    [HOW_NONE] = {"?", "not known"},
    [HOW_IDENT] = {"IDENT", "the guest's own bytes"},
    [HOW_BIASED] = {"biased", "IDENT but for a gs prefix on the memory operand"},
    [HOW_PC_RELATIVE] = {"pc-relative", "operand relative to rip, made absolute"},
    [HOW_RSP] = {"rsp", "rsp as a value, which is biased in the translation cache"},
    [HOW_STRING] = {"string", "with rsi and rdi biased around it"},
    [HOW_LEFT_OUT] = {"nop", "left out"},
    [HOW_CONTROL] = {"control flow", "branch, call or return"},
    [HOW_IN_TC] = {"in-TC", "privileged, emulated within the translation cache"},
    [HOW_CHECKED] = {"checked", "memory operand looked up in the guest's page tables"},
    [HOW_CALLOUT] = {"callout", "emulated in C"},
    [HOW_TRAP] = {"trap", "emulated in C after a fault"},
    [HOW_RAISES] = {"raises", "no instruction: an exception"},
};

static bool is_pc_relative(const struct insn *in)
{
    return (in->modrm & 0xc7) == 5; // mod 00, r/m 101 (SDM vol. 2, table 2-7)
}

enum how how_translated(const struct translator *t, const uint8_t *from, const uint8_t *to)
{
    const struct insn *in = &t->in->insn;
    if (t->how != HOW_NONE)
        return t->how;
    if (from == to)
        return HOW_LEFT_OUT;
    bool same = to - from == in->length && !memcmp(from, t->in->bytes, in->length);
    switch (kind_of(in)) {
    case KIND_CALL:
    case KIND_RET:
    case KIND_JMP:
    case KIND_JCC:
    case KIND_JRCXZ:
        return HOW_CONTROL;
    case KIND_CLI:
    case KIND_STI:
    case KIND_PUSHF:
    case KIND_SYSTEM:
        return HOW_IN_TC;
    case KIND_STRING:
        return HOW_STRING;
    default:
        break;
    }
    if (same)
        return HOW_IDENT;
    if (is_pc_relative(in))
        return HOW_PC_RELATIVE;
    return kind_of(in) == KIND_LEA || kind_of(in) == KIND_LEAVE || names_rsp(in) ? HOW_RSP : HOW_BIASED;
}

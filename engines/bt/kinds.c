// SPDX-License-Identifier: BSD-2-Clause
// The instruction list as a table, and what follows from a mnemonic alone.
#include "engines/bt/kinds.h"

#include "engines/bt/code.h"
#include "engines/bt/emulate.h"

static const uint8_t kinds[X86_INS_ENDING] = {
#define INSN(mnemonic, kind) [X86_INS_##mnemonic] = KIND_##kind,
#include "engines/bt/insns.def"
#undef INSN
};

static bool has_other_operand(const struct insn *in)
{
    for (unsigned i = 0; i < in->operands; i++)
        if (in->op[i].kind == OPERAND_OTHER)
            return true;
    return false;
}

enum kind kind_of(const struct insn *in)
{
    enum kind kind = in->id < X86_INS_ENDING ? kinds[in->id] : KIND_UNDEFINED;
    if (kind == KIND_UNDEFINED || has_other_operand(in) || !x86_lock_valid(in))
        return KIND_UNDEFINED;
    // movs and cmps share their names with SSE instructions, mov and push and pop their own with privileged forms.
    if (kind == KIND_STRING && in->opcode[0] == 0x0f)
        return KIND_SSE2;
    if ((kind == KIND_IDENT || kind == KIND_STACK) && system_emulation(in))
        return KIND_SYSTEM;
    return kind;
}

bool ends_tu(const struct insn *in)
{
    switch (kind_of(in)) {
    case KIND_UNDEFINED:
    case KIND_CALL:
    case KIND_RET:
    case KIND_JMP:
    case KIND_JCC:
    case KIND_JRCXZ:
        return true;
    case KIND_SYSTEM: // most go on behind themselves, and their callout sees to it where they do not
        switch (in->id) {
        case X86_INS_IRET:
        case X86_INS_IRETD:
        case X86_INS_IRETQ:
        case X86_INS_SYSCALL:
        case X86_INS_SYSRET:
        case X86_INS_RETF:
        case X86_INS_RETFQ:
        case X86_INS_LJMP:
        case X86_INS_LCALL:
        case X86_INS_INT:
        case X86_INS_INT3:
        case X86_INS_INT1:
        case X86_INS_HLT:
            return true;
        default:
            return false;
        }
    default:
        return false;
    }
}

bool changes_vectors(const struct insn *in)
{
    switch (in->id) {
    case X86_INS_CLTS:
    case X86_INS_LMSW:
    case X86_INS_XSETBV:
        return true;
    case X86_INS_MOV:
        return in->op[0].kind == OPERAND_CR && (in->op[0].reg == 0 || in->op[0].reg == 4);
    default:
        return false;
    }
}

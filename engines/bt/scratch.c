// SPDX-License-Identifier: BSD-2-Clause
// Which general registers an instruction uses, its operands' and those that no operand shows, so that translated code
// can find one that it may borrow.
#include "engines/bt/code.h"

#include <assert.h>

#define R(name) (1u << R##name)

// Registers that an instruction uses without an operand that says so (SDM vol. 2, each instruction's page).
#define VIA (R(AX) | R(BX) | R(CX) | R(DX) | R(SI) | R(DI)) // PadLock
#define STRINGS (R(SI) | R(DI) | R(CX) | R(AX))
#define PORTS (R(SI) | R(DI) | R(CX) | R(DX) | R(AX))
static const uint16_t implicit[X86_INS_ENDING] = {
    [X86_INS_MUL] = R(AX) | R(DX),
    [X86_INS_IMUL] = R(AX) | R(DX), // with one operand
    [X86_INS_DIV] = R(AX) | R(DX),
    [X86_INS_IDIV] = R(AX) | R(DX),
    [X86_INS_MULX] = R(DX),
    [X86_INS_CMPXCHG] = R(AX),
    [X86_INS_CMPXCHG8B] = R(AX) | R(BX) | R(CX) | R(DX),
    [X86_INS_CMPXCHG16B] = R(AX) | R(BX) | R(CX) | R(DX),
    [X86_INS_CPUID] = R(AX) | R(BX) | R(CX) | R(DX),
    [X86_INS_RDTSC] = R(AX) | R(DX),
    [X86_INS_RDTSCP] = R(AX) | R(CX) | R(DX),
    [X86_INS_RDPMC] = R(AX) | R(CX) | R(DX),
    [X86_INS_RDMSR] = R(AX) | R(CX) | R(DX),
    [X86_INS_WRMSR] = R(AX) | R(CX) | R(DX),
    [X86_INS_XGETBV] = R(AX) | R(CX) | R(DX),
    [X86_INS_XSETBV] = R(AX) | R(CX) | R(DX),
    [X86_INS_XSAVE] = R(AX) | R(DX),
    [X86_INS_XSAVE64] = R(AX) | R(DX),
    [X86_INS_XSAVEC] = R(AX) | R(DX),
    [X86_INS_XSAVEC64] = R(AX) | R(DX),
    [X86_INS_XSAVEOPT] = R(AX) | R(DX),
    [X86_INS_XSAVEOPT64] = R(AX) | R(DX),
    [X86_INS_XSAVES] = R(AX) | R(DX),
    [X86_INS_XSAVES64] = R(AX) | R(DX),
    [X86_INS_XRSTOR] = R(AX) | R(DX),
    [X86_INS_XRSTOR64] = R(AX) | R(DX),
    [X86_INS_XRSTORS] = R(AX) | R(DX),
    [X86_INS_XRSTORS64] = R(AX) | R(DX),
    [X86_INS_MONITOR] = R(AX) | R(CX) | R(DX),
    [X86_INS_MWAIT] = R(AX) | R(CX),
    [X86_INS_GETSEC] = R(AX) | R(BX) | R(CX) | R(DX),
    [X86_INS_XBEGIN] = R(AX),
    [X86_INS_XSTORE] = VIA,
    [X86_INS_XSHA1] = VIA,
    [X86_INS_XSHA256] = VIA,
    [X86_INS_XCRYPTECB] = VIA,
    [X86_INS_XCRYPTCBC] = VIA,
    [X86_INS_XCRYPTCTR] = VIA,
    [X86_INS_XCRYPTCFB] = VIA,
    [X86_INS_XCRYPTOFB] = VIA,
    [X86_INS_MONTMUL] = VIA,
    [X86_INS_XLATB] = R(AX) | R(BX),
    [X86_INS_ENTER] = R(BP),
    [X86_INS_LEAVE] = R(BP),
    [X86_INS_LOOP] = R(CX),
    [X86_INS_LOOPE] = R(CX),
    [X86_INS_LOOPNE] = R(CX),
    [X86_INS_JCXZ] = R(CX),
    [X86_INS_JECXZ] = R(CX),
    [X86_INS_JRCXZ] = R(CX),
    [X86_INS_CBW] = R(AX),
    [X86_INS_CWDE] = R(AX),
    [X86_INS_CDQE] = R(AX),
    [X86_INS_CWD] = R(AX) | R(DX),
    [X86_INS_CDQ] = R(AX) | R(DX),
    [X86_INS_CQO] = R(AX) | R(DX),
    [X86_INS_LAHF] = R(AX),
    [X86_INS_SAHF] = R(AX),
    [X86_INS_SALC] = R(AX),
    [X86_INS_FNSTSW] = R(AX),
    [X86_INS_IN] = R(AX) | R(DX),
    [X86_INS_OUT] = R(AX) | R(DX),
    [X86_INS_SYSCALL] = R(CX) | 1u << R11,
    [X86_INS_SYSRET] = R(CX) | 1u << R11,
    [X86_INS_SYSENTER] = R(CX) | R(DX),
    [X86_INS_SYSEXIT] = R(CX) | R(DX),
    // Shifts by cl, by whichever way of showing it
    [X86_INS_ROL] = R(CX),
    [X86_INS_ROR] = R(CX),
    [X86_INS_RCL] = R(CX),
    [X86_INS_RCR] = R(CX),
    [X86_INS_SHL] = R(CX),
    [X86_INS_SAL] = R(CX),
    [X86_INS_SHR] = R(CX),
    [X86_INS_SAR] = R(CX),
    [X86_INS_SHLD] = R(CX),
    [X86_INS_SHRD] = R(CX),
    // Strings
    [X86_INS_MOVSB] = STRINGS,
    [X86_INS_MOVSW] = STRINGS,
    [X86_INS_MOVSD] = STRINGS,
    [X86_INS_MOVSQ] = STRINGS,
    [X86_INS_CMPSB] = STRINGS,
    [X86_INS_CMPSW] = STRINGS,
    [X86_INS_CMPSD] = STRINGS,
    [X86_INS_CMPSQ] = STRINGS,
    [X86_INS_STOSB] = STRINGS,
    [X86_INS_STOSW] = STRINGS,
    [X86_INS_STOSD] = STRINGS,
    [X86_INS_STOSQ] = STRINGS,
    [X86_INS_LODSB] = STRINGS,
    [X86_INS_LODSW] = STRINGS,
    [X86_INS_LODSD] = STRINGS,
    [X86_INS_LODSQ] = STRINGS,
    [X86_INS_SCASB] = STRINGS,
    [X86_INS_SCASW] = STRINGS,
    [X86_INS_SCASD] = STRINGS,
    [X86_INS_SCASQ] = STRINGS,
    [X86_INS_INSB] = PORTS,
    [X86_INS_INSW] = PORTS,
    [X86_INS_INSD] = PORTS,
    [X86_INS_OUTSB] = PORTS,
    [X86_INS_OUTSW] = PORTS,
    [X86_INS_OUTSD] = PORTS,
    // Vector instructions with an operand in a general register
    [X86_INS_MASKMOVQ] = R(DI),
    [X86_INS_MASKMOVDQU] = R(DI),
    [X86_INS_VMASKMOVDQU] = R(DI),
    [X86_INS_PCMPESTRI] = R(AX) | R(CX) | R(DX),
    [X86_INS_PCMPESTRM] = R(AX) | R(CX) | R(DX),
    [X86_INS_VPCMPESTRI] = R(AX) | R(CX) | R(DX),
    [X86_INS_VPCMPESTRM] = R(AX) | R(CX) | R(DX),
    [X86_INS_PCMPISTRI] = R(CX),
    [X86_INS_VPCMPISTRI] = R(CX),
};

static uint32_t registers_of(const struct x86_operand *op)
{
    uint32_t used = 0;
    if (op->kind == OPERAND_GPR || op->kind == OPERAND_HIGH8)
        used |= 1u << op->reg;
    if (op->kind == OPERAND_MEM && op->mem.base != X86_NO_REG)
        used |= 1u << op->mem.base;
    if (op->kind == OPERAND_MEM && op->mem.index != X86_NO_REG && !op->mem.vsib)
        used |= 1u << op->mem.index;
    return used;
}

// By cl only, which some operands show and some do not.
static bool shifts_by_constant(const struct insn *in)
{
    switch (in->id) {
    case X86_INS_ROL:
    case X86_INS_ROR:
    case X86_INS_RCL:
    case X86_INS_RCR:
    case X86_INS_SHL:
    case X86_INS_SAL:
    case X86_INS_SHR:
    case X86_INS_SAR:
        return in->opcode[0] != 0xd2 && in->opcode[0] != 0xd3;
    case X86_INS_SHLD:
    case X86_INS_SHRD:
        return in->opcode[1] != 0xa5 && in->opcode[1] != 0xad;
    default:
        return false;
    }
}

// movsd and cmpsd of SSE bear the names of string instructions, and use none of their registers.
static bool is_namesake(const struct insn *in)
{
    return (in->id == X86_INS_MOVSD || in->id == X86_INS_CMPSD) && in->opcode[0] == 0x0f;
}

static uint32_t implied(const struct insn *in)
{
    return in->id < X86_INS_ENDING && !shifts_by_constant(in) && !is_namesake(in) ? implicit[in->id] : 0u;
}

uint32_t registers_of_data(const struct insn *in)
{
    uint32_t used = implied(in);
    for (unsigned i = 0; i < in->operands; i++)
        if (in->op[i].kind != OPERAND_MEM)
            used |= registers_of(&in->op[i]);
    return used;
}

uint32_t registers_used(const struct insn *in)
{
    uint32_t used = registers_of_data(in);
    for (unsigned i = 0; i < in->operands; i++)
        used |= registers_of(&in->op[i]);
    return used;
}

uint32_t registers_changed(const struct insn *in)
{
    if (in->id == X86_INS_XCHG || in->id == X86_INS_XADD || in->id == X86_INS_MULX)
        return registers_of_data(in);
    if (in->id == X86_INS_PUSH || in->operands == 0 || in->op[0].kind == OPERAND_MEM)
        return implied(in);
    return implied(in) | registers_of(&in->op[0]);
}

uint32_t registers_overwritten(const struct insn *in)
{
    switch (in->id) {
    case X86_INS_MOV:
    case X86_INS_MOVABS:
    case X86_INS_MOVZX:
    case X86_INS_MOVSX:
    case X86_INS_MOVSXD:
    case X86_INS_LEA:
        break;
    case X86_INS_POP:
        return in->op[0].kind == OPERAND_GPR && in->op[0].size == 8 ? registers_of(&in->op[0]) : 0;
    default:
        return 0;
    }
    if (in->op[0].kind != OPERAND_GPR || in->op[0].size < 4)
        return 0;
    return registers_of(&in->op[0]) & ~registers_of(&in->op[1]);
}

unsigned pick_scratch(const struct insn *in, uint32_t avoid)
{
    // Legacy registers first: shorter, and the only ones beside a high-byte operand, which goes with no REX prefix.
    static const uint8_t candidates[] = {RAX, RCX, RDX, RBX, RSI, RDI, R8, R9, R10, R11, R14, R15};
    uint32_t used = avoid | (in->id < X86_INS_ENDING ? implicit[in->id] : 0u);
    bool high = false;
    for (unsigned i = 0; i < in->operands; i++) {
        used |= registers_of(&in->op[i]);
        high |= in->op[i].kind == OPERAND_HIGH8;
    }
    for (unsigned i = 0; i < (high ? 6 : sizeof candidates); i++) {
        if (!(used >> candidates[i] & 1))
            return candidates[i];
    }
    assert(!"a register is left");
    return RAX;
}

bool names_rsp(const struct insn *in)
{
    for (unsigned i = 0; i < in->operands; i++) {
        const struct x86_operand *op = &in->op[i];
        if (op->kind == OPERAND_GPR && op->reg == RSP)
            return true;
        if (op->kind == OPERAND_MEM && op->mem.base == RSP && in->id == X86_INS_LEA)
            return true;
    }
    return false;
}

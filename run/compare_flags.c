// SPDX-License-Identifier: BSD-2-Clause
// From SDM vol. 2, "Flags Affected" under each name. A shift's count may lie in cl, where it is not known here: then
// what is undefined for some count is undefined.
#include "run/compare_flags.h"

#include "x86/regs.h"

static const struct {
    uint16_t id;
    uint64_t flags;
} table[] = {
    {X86_INS_MUL, FLAG_SF | FLAG_ZF | FLAG_AF | FLAG_PF},
    {X86_INS_IMUL, FLAG_SF | FLAG_ZF | FLAG_AF | FLAG_PF},
    {X86_INS_DIV, FLAGS_ARITH},
    {X86_INS_IDIV, FLAGS_ARITH},
    {X86_INS_AND, FLAG_AF},
    {X86_INS_OR, FLAG_AF},
    {X86_INS_XOR, FLAG_AF},
    {X86_INS_TEST, FLAG_AF},
    {X86_INS_ANDN, FLAG_AF | FLAG_PF},
    {X86_INS_SHL, FLAG_AF | FLAG_OF | FLAG_CF},
    {X86_INS_SAL, FLAG_AF | FLAG_OF | FLAG_CF},
    {X86_INS_SHR, FLAG_AF | FLAG_OF | FLAG_CF},
    {X86_INS_SAR, FLAG_AF | FLAG_OF},
    {X86_INS_ROL, FLAG_OF},
    {X86_INS_ROR, FLAG_OF},
    {X86_INS_RCL, FLAG_OF},
    {X86_INS_RCR, FLAG_OF},
    {X86_INS_SHLD, FLAGS_ARITH},
    {X86_INS_SHRD, FLAGS_ARITH},
    {X86_INS_BSF, FLAG_CF | FLAG_OF | FLAG_SF | FLAG_AF | FLAG_PF},
    {X86_INS_BSR, FLAG_CF | FLAG_OF | FLAG_SF | FLAG_AF | FLAG_PF},
    {X86_INS_TZCNT, FLAG_OF | FLAG_SF | FLAG_AF | FLAG_PF},
    {X86_INS_LZCNT, FLAG_OF | FLAG_SF | FLAG_AF | FLAG_PF},
    {X86_INS_BT, FLAG_OF | FLAG_SF | FLAG_AF | FLAG_PF},
    {X86_INS_BTS, FLAG_OF | FLAG_SF | FLAG_AF | FLAG_PF},
    {X86_INS_BTR, FLAG_OF | FLAG_SF | FLAG_AF | FLAG_PF},
    {X86_INS_BTC, FLAG_OF | FLAG_SF | FLAG_AF | FLAG_PF},
    {X86_INS_BLSR, FLAG_AF | FLAG_PF},
    {X86_INS_BLSI, FLAG_AF | FLAG_PF},
    {X86_INS_BLSMSK, FLAG_AF | FLAG_PF},
    {X86_INS_BZHI, FLAG_AF | FLAG_PF},
    {X86_INS_BEXTR, FLAG_AF | FLAG_SF | FLAG_PF},
    {X86_INS_AAA, FLAG_OF | FLAG_SF | FLAG_ZF | FLAG_PF},
    {X86_INS_AAS, FLAG_OF | FLAG_SF | FLAG_ZF | FLAG_PF},
    {X86_INS_DAA, FLAG_OF},
    {X86_INS_DAS, FLAG_OF},
    {X86_INS_AAM, FLAG_OF | FLAG_AF | FLAG_CF},
    {X86_INS_AAD, FLAG_OF | FLAG_AF | FLAG_CF},
};

uint64_t undefined_flags(const struct insn *in)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].id == in->id)
            return table[i].flags;
    return 0;
}

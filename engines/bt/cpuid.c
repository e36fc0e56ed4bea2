// SPDX-License-Identifier: BSD-2-Clause
// CPUID (SDM vol. 2): the guest's table, with the one answer that depends on its state.
#include "engines/bt/cpuid.h"

#include "engines/bt/emulations.h"
#include "engines/bt/xstate.h"

#define LEAF1_EDX_APIC (1u << 9)
#define LEAF1_ECX_XSAVE (1u << 26)
#define LEAF1_ECX_OSXSAVE (1u << 27)
#define LEAF_XSAVE 0xdu
#define EXTENDED 0x80000000u

// Leaves whose answer depends on ecx; all others have one row for any.
static bool has_subleaves(uint32_t leaf)
{
    return leaf == 0x4 || leaf == 0x7 || leaf == 0xb || leaf == 0xd || (leaf >= 0xf && leaf <= 0x1f);
}

static struct cpuid_leaf find(const struct bt *bt, uint32_t leaf, uint32_t subleaf) // all 0 where there is none
{
    const struct cpuid_table *table = &bt->vcpu->cpuid;
    for (size_t i = 0; i < table->count; i++) {
        const struct cpuid_leaf *l = &table->leaves[i];
        if (l->leaf == leaf && (l->subleaf == subleaf || !has_subleaves(leaf)))
            return *l;
    }
    return (struct cpuid_leaf){0};
}

bool cpuid_has(const struct bt *bt, uint64_t feature)
{
    struct cpuid_leaf l = find(bt, (uint32_t)(feature >> 32), feature >> 16 & 0xffff);
    const uint32_t regs[] = {l.eax, l.ebx, l.ecx, l.edx};
    return regs[feature >> 8 & 3] >> (feature & 31) & 1;
}

unsigned cpuid_physical_bits(const struct bt *bt)
{
    unsigned bits = find(bt, 0x80000008, 0).eax & 0xff;
    return bits ? bits : 36;
}

void emulate_cpuid(struct bt *bt, const struct insn *in)
{
    uint32_t leaf = (uint32_t)bt->gpr[RAX];
    uint32_t highest = find(bt, leaf & EXTENDED, 0).eax;
    if (leaf > highest) // beyond the last of its range: as the highest basic leaf
        leaf = find(bt, 0, 0).eax;
    struct cpuid_leaf l = find(bt, leaf, (uint32_t)bt->gpr[RCX]);
    if (leaf == 1 && !(bt->vcpu->apic_base & APIC_BASE_ENABLE))
        l.edx &= ~LEAF1_EDX_APIC;
    if (leaf == 1 && l.ecx & LEAF1_ECX_XSAVE && bt->cr4 & CR4_OSXSAVE)
        l.ecx |= LEAF1_ECX_OSXSAVE;
    if (leaf == LEAF_XSAVE && bt->gpr[RCX] << 32 == 0 && l.eax) // of an image with what XCR0 has
        l.ebx = bt->xcr0 & XSTATE_AVX ? XSAVE_BYTES : XSAVE_YMM;
    bt->gpr[RAX] = l.eax;
    bt->gpr[RBX] = l.ebx;
    bt->gpr[RCX] = l.ecx;
    bt->gpr[RDX] = l.edx;
    bt_next(bt, in);
}

// SPDX-License-Identifier: BSD-2-Clause
// CPUID (SDM vol. 2): the guest's table, with the few answers that depend on its state.
#include "engines/interp/cpuid.h"

#include "engines/interp/lower.h"
#include "engines/interp/op.h"
#include "engines/interp/xsave.h"

#define LEAF1_EDX_APIC (1u << 9)
#define LEAF1_ECX_OSXSAVE (1u << 27)

// Leaves whose answer depends on ecx; all others have one row for any.
static bool has_subleaves(uint32_t leaf)
{
    return leaf == 0x4 || leaf == 0x7 || leaf == 0xb || leaf == 0xd || (leaf >= 0xf && leaf <= 0x1f);
}

static const struct cpuid_leaf *find(const struct cpu *c, uint32_t leaf, uint32_t subleaf)
{
    const struct cpuid_table *table = &c->vcpu->cpuid;
    for (size_t i = 0; i < table->count; i++) {
        const struct cpuid_leaf *l = &table->leaves[i];
        if (l->leaf == leaf && (l->subleaf == subleaf || !has_subleaves(leaf)))
            return l;
    }
    return NULL;
}

bool cpuid_has(const struct cpu *c, uint32_t leaf, enum cpuid_register reg, unsigned bit)
{
    const struct cpuid_leaf *l = find(c, leaf, 0);
    if (!l)
        return false;
    const uint32_t regs[] = {l->eax, l->ebx, l->ecx, l->edx};
    return regs[reg] >> bit & 1;
}

x86_feature_set cpuid_features(const struct cpu *c)
{
    x86_feature_set set = 0;
#define X86_FEATURE(name, number, sub, reg, bit)                                                                       \
    {                                                                                                                  \
        const struct cpuid_leaf *l = find(c, number, sub);                                                             \
        set |= l && l->reg >> (bit)&1 ? X86_FEATURE_BIT(name) : 0;                                                     \
    }
#include "x86/features.def"
#undef X86_FEATURE
    return set;
}

unsigned cpuid_physical_bits(const struct cpu *c)
{
    const struct cpuid_leaf *l = find(c, 0x80000008, 0);
    return l ? l->eax & 0xff : 36;
}

struct cpuid_leaf cpuid_query(const struct cpu *c, uint32_t leaf, uint32_t subleaf)
{
    const struct cpuid_leaf *base = find(c, leaf & 0x80000000, 0);
    if (!base || (leaf & 0x7fffffff) > (base->eax & 0x7fffffff)) { // out of range: as the highest basic leaf
        const struct cpuid_leaf *basic = find(c, 0, 0);
        leaf = basic ? basic->eax : 0;
    }
    const struct cpuid_leaf *found = find(c, leaf, subleaf);
    struct cpuid_leaf answer = found ? *found : (struct cpuid_leaf){.leaf = leaf};
    if (leaf == 1 && !(c->vcpu->apic_base & APIC_BASE_ENABLE))
        answer.edx &= ~LEAF1_EDX_APIC;
    if (leaf == 1 && c->cr4 & CR4_OSXSAVE)
        answer.ecx |= LEAF1_ECX_OSXSAVE;
    if (leaf == 0xd && subleaf == 0 && found)
        answer.ebx = xsave_bytes(c->xcr0);
    return answer;
}

static HANDLER(op_cpuid)
{
    struct cpuid_leaf l = cpuid_query(c, get32(c, RAX), get32(c, RCX));
    set32(c, RAX, l.eax);
    set32(c, RBX, l.ebx);
    set32(c, RCX, l.ecx);
    set32(c, RDX, l.edx);
    NEXT;
}

bool lower_cpuid(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)in;
    (void)arg;
    emit(l, op_cpuid);
    return true;
}

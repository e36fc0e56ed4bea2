// SPDX-License-Identifier: BSD-2-Clause
// The guest's CPUID: the machine's table, less what this KVM cannot give. What had to go is kept and reported
// (stats.c), because the guest then sees another CPU here than on the other engines.
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "engines/vtx/vtx.h"

#define MAX_ENTRIES 256

// Registers that hold feature bits (SDM vol. 2, CPUID; APM vol. 3, appendix E): only there does "the guest has a bit
// that KVM does not" mean something. All other leaves are names, sizes and topology, and are the machine's.
static const struct feature_reg {
    uint32_t leaf, subleaf;
    char reg; // 'a' to 'd'
} feature_regs[] = {
    {0x1, 0, 'c'},        {0x1, 0, 'd'},        {0x7, 0, 'b'},        {0x7, 0, 'c'},        {0x7, 0, 'd'},
    {0x7, 1, 'a'},        {0xd, 0, 'a'},        {0xd, 1, 'a'},        {0x80000001, 0, 'c'}, {0x80000001, 0, 'd'},
    {0x80000007, 0, 'd'}, {0x80000008, 0, 'b'}, {0x80000021, 0, 'a'},
};

// Bits that KVM never lists but handles in a vCPU: OSXSAVE follows cr4 (leaf 1, ecx bit 27).
#define LEAF1_ECX_OSXSAVE (1u << 27)

static uint32_t *reg_of(struct kvm_cpuid_entry2 *e, char reg)
{
    uint32_t *regs[] = {&e->eax, &e->ebx, &e->ecx, &e->edx};
    return regs[reg - 'a'];
}

static struct kvm_cpuid_entry2 *find(struct kvm_cpuid2 *table, uint32_t leaf, uint32_t subleaf)
{
    for (uint32_t i = 0; i < table->nent; i++)
        if (table->entries[i].function == leaf && table->entries[i].index == subleaf)
            return &table->entries[i];
    return NULL;
}

// Leaves whose answer depends on ecx.
static bool has_subleaves(uint32_t leaf)
{
    static const uint32_t leaves[] = {0x4, 0x7, 0xb, 0xd, 0xf, 0x10, 0x12, 0x14, 0x17, 0x18, 0x1f, 0x8000001d};
    for (size_t i = 0; i < sizeof leaves / sizeof *leaves; i++)
        if (leaves[i] == leaf)
            return true;
    return false;
}

static void note_missing(struct vtx *x, const struct feature_reg *f, uint32_t bits)
{
    if (x->missing_count == VTX_MAX_MISSING)
        return;
    struct vtx_missing *m = &x->missing[x->missing_count++];
    *m = (struct vtx_missing){.leaf = f->leaf, .subleaf = f->subleaf, .reg = {'e', f->reg, 'x', 0}, .bits = bits};
}

static void intersect(struct vtx *x, struct kvm_cpuid2 *guest, struct kvm_cpuid2 *supported)
{
    for (size_t i = 0; i < sizeof feature_regs / sizeof *feature_regs; i++) {
        const struct feature_reg *f = &feature_regs[i];
        struct kvm_cpuid_entry2 *g = find(guest, f->leaf, f->subleaf);
        if (!g)
            continue;
        struct kvm_cpuid_entry2 *s = find(supported, f->leaf, f->subleaf);
        uint32_t have = s ? *reg_of(s, f->reg) : 0;
        if (f->leaf == 1 && f->reg == 'c')
            have |= LEAF1_ECX_OSXSAVE;
        uint32_t gone = *reg_of(g, f->reg) & ~have;
        *reg_of(g, f->reg) &= have;
        if (gone)
            note_missing(x, f, gone);
    }
}

static int fill(struct vcpu *v, struct kvm_cpuid2 *guest)
{
    if (v->cpuid.count > MAX_ENTRIES)
        return vtx_fail(v, "CPUID table of %zu leaves is too long for KVM", v->cpuid.count);
    guest->nent = (uint32_t)v->cpuid.count;
    for (size_t i = 0; i < v->cpuid.count; i++) {
        const struct cpuid_leaf *l = &v->cpuid.leaves[i];
        guest->entries[i] = (struct kvm_cpuid_entry2){
            .function = l->leaf,
            .index = l->subleaf,
            .flags = has_subleaves(l->leaf) ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
            .eax = l->eax,
            .ebx = l->ebx,
            .ecx = l->ecx,
            .edx = l->edx,
        };
    }
    return 0;
}

// KVM's paravirtual MSRs answer even where their CPUID leaf is absent, unless told otherwise (Linux 5.10): an MSR that
// the guest's CPUID does not promise must raise #GP.
static int hide_paravirtual_msrs(struct vcpu *v)
{
    struct vtx *x = vtx_of(v);
    if (ioctl(x->kvm, KVM_CHECK_EXTENSION, KVM_CAP_ENFORCE_PV_FEATURE_CPUID) <= 0)
        return 0;
    struct kvm_enable_cap cap = {.cap = KVM_CAP_ENFORCE_PV_FEATURE_CPUID, .args = {1}};
    return VTX_IOCTL(v, x->cpu, KVM_ENABLE_CAP, &cap);
}

int vtx_cpuid_setup(struct vcpu *v)
{
    struct vtx *x = vtx_of(v);
    size_t size = sizeof(struct kvm_cpuid2) + MAX_ENTRIES * sizeof(struct kvm_cpuid_entry2);
    struct kvm_cpuid2 *guest = calloc(1, size), *supported = calloc(1, size);
    int result = -1;
    if (!guest || !supported) {
        vtx_fail(v, "no memory for the CPUID table");
        goto out;
    }
    supported->nent = MAX_ENTRIES;
    if (VTX_IOCTL(v, x->kvm, KVM_GET_SUPPORTED_CPUID, supported) < 0 || fill(v, guest) < 0)
        goto out;
    intersect(x, guest, supported);
    if (VTX_IOCTL(v, x->cpu, KVM_SET_CPUID2, guest) == 0)
        result = hide_paravirtual_msrs(v);
out:
    free(guest);
    free(supported);
    return result;
}

// SPDX-License-Identifier: BSD-2-Clause
// The guest's CPUID: the machine's table, less what this KVM cannot give. How the result differs from the table is read
// back and reported (stats.c), because the guest then sees another CPU here than on the other engines: KVM may lack
// features, and a back end may announce some unasked (kvm_pvm: the host's leaves 1 and 7).
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

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

#define FEATURE_REGS (sizeof feature_regs / sizeof *feature_regs)

// Not features of the machine: they follow cr4 and IA32_APIC_BASE (leaf 1, ecx bit 27 and edx bit 9).
#define LEAF1_ECX_OSXSAVE (1u << 27)
#define LEAF1_EDX_APIC (1u << 9)
#define LEAF1_ECX_XSAVE_FAMILY (1u << 12 | 1u << 26 | 1u << 28 | 1u << 29) // FMA, XSAVE, AVX, F16C

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

static uint32_t feature_bits(struct kvm_cpuid2 *table, const struct feature_reg *f)
{
    struct kvm_cpuid_entry2 *e = find(table, f->leaf, f->subleaf);
    return e ? *reg_of(e, f->reg) : 0;
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

static void intersect(struct kvm_cpuid2 *guest, struct kvm_cpuid2 *supported)
{
    for (size_t i = 0; i < FEATURE_REGS; i++) {
        const struct feature_reg *f = &feature_regs[i];
        struct kvm_cpuid_entry2 *g = find(guest, f->leaf, f->subleaf);
        if (g)
            *reg_of(g, f->reg) &= feature_bits(supported, f);
    }
    // More address bits than the CPU has would be the guest's undoing; RAM and devices need 37 at most.
    struct kvm_cpuid_entry2 *g = find(guest, 0x80000008, 0), *s = find(supported, 0x80000008, 0);
    if (g && s && (s->eax & 0xff) < (g->eax & 0xff))
        g->eax = (g->eax & ~0xffu) | (s->eax & 0xff);
}

// A leaf of zeros reads the same when it is not there, and then no back end can add to it.
static void drop_empty(struct kvm_cpuid2 *guest)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < guest->nent; i++) {
        const struct kvm_cpuid_entry2 *e = &guest->entries[i];
        if (e->eax | e->ebx | e->ecx | e->edx)
            guest->entries[kept++] = *e;
    }
    guest->nent = kept;
}

// A software back end overwrites leaf 7, where that is there, and leaf 0xd, where it is not beyond the highest, with
// the host's: with SMAP and xsave, whose instructions its emulator does not know at CPL 0, where a kernel uses them.
static void drop_extensions(struct kvm_cpuid2 *guest)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < guest->nent; i++) {
        struct kvm_cpuid_entry2 e = guest->entries[i];
        if (e.function == 0 && e.eax > 0x7)
            e.eax = 0x7;
        if (e.function == 1)
            e.ecx &= ~LEAF1_ECX_XSAVE_FAMILY;
        if (e.function != 0x7 && e.function != 0xd)
            guest->entries[kept++] = e;
    }
    guest->nent = kept;
}

static void leave_out(struct kvm_cpuid2 *guest, struct kvm_cpuid2 *supported, bool hardware)
{
    intersect(guest, supported);
    drop_empty(guest);
    if (!hardware)
        drop_extensions(guest);
}

static void note_differences(struct vtx *x, struct kvm_cpuid2 *wanted, struct kvm_cpuid2 *got)
{
    for (size_t i = 0; i < FEATURE_REGS; i++) {
        const struct feature_reg *f = &feature_regs[i];
        uint32_t want = feature_bits(wanted, f), have = feature_bits(got, f);
        if (f->leaf == 1 && f->reg == 'c')
            want &= ~LEAF1_ECX_OSXSAVE, have &= ~LEAF1_ECX_OSXSAVE;
        if (f->leaf == 1 && f->reg == 'd')
            want &= ~LEAF1_EDX_APIC, have &= ~LEAF1_EDX_APIC;
        if (want != have && x->cpuid_count < VTX_MAX_CPUID)
            x->cpuid[x->cpuid_count++] = (struct vtx_cpuid){.leaf = f->leaf,
                                                            .subleaf = f->subleaf,
                                                            .reg = {'e', f->reg, 'x', 0},
                                                            .missing = want & ~have,
                                                            .added = have & ~want};
    }
}

static void fill(struct kvm_cpuid2 *guest, const struct cpuid_leaf *leaves, size_t count)
{
    guest->nent = (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        const struct cpuid_leaf *l = &leaves[i];
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

static int set_cpuid(struct vcpu *v, struct kvm_cpuid2 *wanted, struct kvm_cpuid2 *guest, struct kvm_cpuid2 *supported)
{
    struct vtx *x = vtx_of(v);
    supported->nent = MAX_ENTRIES;
    if (v->cpuid.count > MAX_ENTRIES)
        return vtx_fail(v, "CPUID table of %zu leaves is too long for KVM", v->cpuid.count);
    if (VTX_IOCTL(v, x->kvm, KVM_GET_SUPPORTED_CPUID, supported) < 0)
        return -1;
    fill(wanted, v->cpuid.leaves, v->cpuid.count);
    fill(guest, v->cpuid.leaves, v->cpuid.count);
    leave_out(guest, supported, x->hardware);
    if (VTX_IOCTL(v, x->cpu, KVM_SET_CPUID2, guest) < 0)
        return -1;
    guest->nent = MAX_ENTRIES;
    if (VTX_IOCTL(v, x->cpu, KVM_GET_CPUID2, guest) < 0)
        return -1;
    note_differences(x, wanted, guest);
    return hide_paravirtual_msrs(v);
}

static struct kvm_cpuid2 *new_table(void)
{
    return calloc(1, sizeof(struct kvm_cpuid2) + MAX_ENTRIES * sizeof(struct kvm_cpuid_entry2));
}

int vtx_cpuid_setup(struct vcpu *v)
{
    struct kvm_cpuid2 *table[3];
    bool ok = true;
    for (size_t i = 0; i < 3; i++) {
        table[i] = new_table();
        ok = ok && table[i];
    }
    int result = ok ? set_cpuid(v, table[0], table[1], table[2]) : vtx_fail(v, "no memory for the CPUID table");
    for (size_t i = 0; i < 3; i++)
        free(table[i]);
    return result;
}

static int get_supported(struct kvm_cpuid2 *supported, char *err, size_t err_size)
{
    int fd = open(VTX_DEVICE, O_RDWR | O_CLOEXEC);
    supported->nent = MAX_ENTRIES;
    int result = fd < 0 ? -1 : ioctl(fd, KVM_GET_SUPPORTED_CPUID, supported);
    if (result < 0)
        snprintf(err, err_size, "CPUID that " VTX_DEVICE " can show: %s", strerror(errno));
    if (fd >= 0)
        close(fd);
    return result < 0 ? -1 : 0;
}

// The same leaving out, in the machine's table: for a guest that is to see one CPUID here and on other engines. What a
// software back end adds unasked cannot be helped.
int vtx_limit_cpuid(struct cpuid_leaf *leaves, size_t count, char *err, size_t err_size)
{
    struct engine_info info;
    struct kvm_cpuid2 *guest = new_table(), *supported = new_table();
    int result = -1;
    vtx_probe(&info);
    if (!guest || !supported || count > MAX_ENTRIES)
        snprintf(err, err_size, "no memory for the CPUID table");
    else if (!info.available)
        snprintf(err, err_size, "%s", info.reason);
    else
        result = get_supported(supported, err, err_size);
    if (!result) {
        fill(guest, leaves, count);
        leave_out(guest, supported, info.hardware);
    }
    for (size_t i = 0; i < count && !result; i++) {
        const struct kvm_cpuid_entry2 none = {0}, *e = find(guest, leaves[i].leaf, leaves[i].subleaf);
        e = e ? e : &none;
        leaves[i].eax = e->eax, leaves[i].ebx = e->ebx, leaves[i].ecx = e->ecx, leaves[i].edx = e->edx;
    }
    free(guest);
    free(supported);
    return result;
}

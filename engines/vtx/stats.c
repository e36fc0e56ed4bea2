// SPDX-License-Identifier: BSD-2-Clause
// KVM's own statistics of the VM and the vCPU, every one that the kernel describes (api.rst, 4.133), as "kvm.NAME";
// those that include/events.def has, read at any time; and what this engine has to say about the guest's CPUID.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "engines/vtx/vtx.h"

#define MAX_DESCRIPTORS 1024
#define MAX_NAME 256

static bool read_at(int fd, void *to, size_t size, uint64_t offset)
{
    return pread(fd, to, size, (off_t)offset) == (ssize_t)size;
}

// A histogram has several values: kvm.NAME[0], [1], ...; empty buckets are left out.
static void emit_values(int fd, const struct kvm_stats_desc *d, const char *name, uint64_t offset, stat_fn *fn,
                        void *ctx)
{
    for (uint32_t i = 0; i < d->size; i++) {
        uint64_t value;
        char full[MAX_NAME + 32];
        if (!read_at(fd, &value, sizeof value, offset + i * sizeof value))
            return;
        if (d->size == 1)
            snprintf(full, sizeof full, "kvm.%s", name);
        else
            snprintf(full, sizeof full, "kvm.%s[%u]", name, i);
        if (d->size == 1 || value)
            fn(ctx, full, value);
    }
}

// Calls back for every statistic behind a descriptor: its description, its name, where its values begin.
typedef void description_fn(int fd, const struct kvm_stats_desc *d, const char *name, uint64_t offset, void *ctx);

static void for_each(int fd, description_fn *fn, void *ctx)
{
    struct kvm_stats_header header;
    if (fd < 0 || !read_at(fd, &header, sizeof header, 0))
        return;
    if (header.name_size == 0 || header.name_size > MAX_NAME || header.num_desc > MAX_DESCRIPTORS)
        return;
    size_t stride = sizeof(struct kvm_stats_desc) + header.name_size;
    struct kvm_stats_desc *d = calloc(1, stride + 1);
    for (uint32_t i = 0; d && i < header.num_desc; i++) {
        if (!read_at(fd, d, stride, header.desc_offset + i * stride))
            break;
        fn(fd, d, (const char *)d + sizeof *d, header.data_offset + d->offset, ctx);
    }
    free(d);
}

struct emit {
    stat_fn *fn;
    void *ctx;
};

static void emit_one(int fd, const struct kvm_stats_desc *d, const char *name, uint64_t offset, void *ctx)
{
    const struct emit *e = ctx;
    emit_values(fd, d, name, offset, e->fn, e->ctx);
}

// ---- Those that are events ----

// Every kernel that has KVM_GET_STATS_FD has these.
static const struct {
    enum event event;
    const char *name;
} kvm_events[] = {
    {EV_kvm_exits, "exits"},
    {EV_kvm_irq_exits, "irq_exits"},
    {EV_kvm_halt_exits, "halt_exits"},
    {EV_kvm_pf_fixed, "pf_fixed"},
    {EV_kvm_pf_guest, "pf_guest"},
    {EV_kvm_mmu_pte_write, "mmu_pte_write"},
    {EV_kvm_tlb_flush, "tlb_flush"},
    {EV_kvm_invlpg, "invlpg"},
    {EV_kvm_insn_emulation, "insn_emulation"},
    {EV_kvm_irq_injections, "irq_injections"},
};
_Static_assert(sizeof kvm_events / sizeof *kvm_events == VTX_KVM_EVENTS, "vtx.h has a place for each");

static void find_one(int fd, const struct kvm_stats_desc *d, const char *name, uint64_t offset, void *ctx)
{
    struct vtx *x = ctx;
    for (size_t i = 0; i < VTX_KVM_EVENTS; i++)
        if (d->size == 1 && !strcmp(kvm_events[i].name, name))
            x->kvm_event[i] = (struct vtx_kvm_event){.fd = fd, .offset = offset};
}

void vtx_kvm_events_setup(struct vtx *x)
{
    for (size_t i = 0; i < VTX_KVM_EVENTS; i++)
        x->kvm_event[i].fd = -1;
    for_each(x->vm_stats, find_one, x);
    for_each(x->cpu_stats, find_one, x);
}

void vtx_kvm_events_read(const struct vtx *x, struct counters *c)
{
    for (size_t i = 0; i < VTX_KVM_EVENTS; i++) {
        uint64_t value;
        if (x->kvm_event[i].fd >= 0 && read_at(x->kvm_event[i].fd, &value, sizeof value, x->kvm_event[i].offset))
            c->n[kvm_events[i].event] = value;
    }
}

event_mask vtx_kvm_events_known(void)
{
    event_mask mask = 0;
    int fd = open(VTX_DEVICE, O_RDWR | O_CLOEXEC);
    if (fd >= 0 && ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_BINARY_STATS_FD) > 0)
        for (size_t i = 0; i < VTX_KVM_EVENTS; i++)
            mask |= (event_mask)1 << kvm_events[i].event;
    if (fd >= 0)
        close(fd);
    return mask;
}

// One line per register that differs, its value the bits, and how many bits there are in all.
static void emit_cpuid(const struct vtx *x, bool added, stat_fn *fn, void *ctx)
{
    const char *word = added ? "added" : "missing";
    uint64_t count = 0;
    char name[64];
    for (size_t i = 0; i < x->cpuid_count; i++) {
        const struct vtx_cpuid *c = &x->cpuid[i];
        uint32_t bits = added ? c->added : c->missing;
        if (!bits)
            continue;
        snprintf(name, sizeof name, "kvm.cpuid_%s.%x.%x.%s", word, c->leaf, c->subleaf, c->reg);
        fn(ctx, name, bits);
        count += (unsigned)__builtin_popcount(bits);
    }
    snprintf(name, sizeof name, "kvm.cpuid_bits_%s", word);
    fn(ctx, name, count);
}

void vtx_stats(struct vcpu *v, stat_fn *fn, void *ctx)
{
    struct vtx *x = vtx_of(v);
    struct emit e = {fn, ctx};
    for_each(x->vm_stats, emit_one, &e);
    for_each(x->cpu_stats, emit_one, &e);
    emit_cpuid(x, false, fn, ctx);
    emit_cpuid(x, true, fn, ctx);
}

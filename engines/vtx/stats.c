// SPDX-License-Identifier: BSD-2-Clause
// KVM's own statistics of the VM and the vCPU, every one that the kernel describes (api.rst, 4.133), as "kvm.NAME";
// and what this engine has to say about the guest's CPUID.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

static void emit_fd(int fd, stat_fn *fn, void *ctx)
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
        emit_values(fd, d, (const char *)d + sizeof *d, header.data_offset + d->offset, fn, ctx);
    }
    free(d);
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
    emit_fd(x->vm_stats, fn, ctx);
    emit_fd(x->cpu_stats, fn, ctx);
    emit_cpuid(x, false, fn, ctx);
    emit_cpuid(x, true, fn, ctx);
}

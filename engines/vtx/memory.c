// SPDX-License-Identifier: BSD-2-Clause
// Guest RAM as KVM memory slots: the machine's one linear mapping of the memfd, cut at the device hole below 4 GiB.
#include "engines/vtx/vtx.h"

// VT-x needs three pages for a real-mode TSS and one for an identity page table, in guest-physical addresses that
// nothing else uses (Documentation/virt/kvm/api.rst, 4.35 and 4.41). The end of the hole, where a PC has its BIOS.
#define TSS_ADDR 0xfffbd000ul
#define IDENTITY_MAP_ADDR 0xfffbc000ull

enum { SLOT_LOW, SLOT_HIGH };

static int add_slot(struct vcpu *v, uint32_t slot, uint64_t start, uint64_t size)
{
    void *host = ram_at(v->ram, gpa(start), size);
    if (!host)
        return vtx_fail(v, "guest RAM has no range of %#llx bytes at %#llx", (unsigned long long)size,
                        (unsigned long long)start);
    struct kvm_userspace_memory_region region = {
        .slot = slot, .guest_phys_addr = start, .memory_size = size, .userspace_addr = (uintptr_t)host};
    return VTX_IOCTL(v, vtx_of(v)->vm, KVM_SET_USER_MEMORY_REGION, &region);
}

static uint64_t low_bytes(const struct vcpu *v)
{
    return v->ram->size < RAM_HOLE_START ? v->ram->size : RAM_HOLE_START;
}

static int add_slots(struct vcpu *v)
{
    uint64_t low = low_bytes(v);
    if (add_slot(v, SLOT_LOW, 0, low) < 0)
        return -1;
    return v->ram->size > low ? add_slot(v, SLOT_HIGH, RAM_HOLE_END, v->ram->size - low) : 0;
}

int vtx_memory_setup(struct vcpu *v)
{
    struct vtx *x = vtx_of(v);
    uint64_t identity = IDENTITY_MAP_ADDR;
    if (VTX_IOCTL(v, x->vm, KVM_SET_TSS_ADDR, (void *)TSS_ADDR) < 0 ||
        VTX_IOCTL(v, x->vm, KVM_SET_IDENTITY_MAP_ADDR, &identity) < 0)
        return -1;
    return add_slots(v);
}

static int remove_slot(struct vcpu *v, uint32_t slot)
{
    struct kvm_userspace_memory_region region = {.slot = slot};
    return VTX_IOCTL(v, vtx_of(v)->vm, KVM_SET_USER_MEMORY_REGION, &region);
}

int vtx_memory_renew(struct vcpu *v)
{
    if (remove_slot(v, SLOT_LOW) < 0 || (v->ram->size > low_bytes(v) && remove_slot(v, SLOT_HIGH) < 0))
        return -1;
    return add_slots(v);
}

// SPDX-License-Identifier: BSD-2-Clause
// Interrupts and time: the kernel's own (but with irqchip=user: user_irqchip.c) 8259s, IOAPIC, local APIC and 8254, the
// lines into them, and the guest's TSC.
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "engines/vtx/vtx.h"

// The kernel's default wires line 0 to the IOAPIC's pin 0. On a PC, and in the other engines, IRQ 0 is at pin 2.
static int route_lines(struct vcpu *v)
{
    enum { PIC_LINES = 16, PINS = 24, CASCADE = 2, TIMER_PIN = 2 };
    struct {
        struct kvm_irq_routing head;
        struct kvm_irq_routing_entry entries[PIC_LINES + PINS];
    } table = {0};
    for (uint32_t gsi = 0; gsi < PINS; gsi++) {
        if (gsi == CASCADE)
            continue;
        if (gsi < PIC_LINES) {
            const uint32_t chip = gsi < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE;
            table.entries[table.head.nr++] = (struct kvm_irq_routing_entry){
                .gsi = gsi, .type = KVM_IRQ_ROUTING_IRQCHIP, .u.irqchip = {.irqchip = chip, .pin = gsi % 8}};
        }
        table.entries[table.head.nr++] =
            (struct kvm_irq_routing_entry){.gsi = gsi,
                                           .type = KVM_IRQ_ROUTING_IRQCHIP,
                                           .u.irqchip = {.irqchip = KVM_IRQCHIP_IOAPIC, .pin = gsi ? gsi : TIMER_PIN}};
    }
    return VTX_IOCTL(v, vtx_of(v)->vm, KVM_SET_GSI_ROUTING, &table);
}

// The kernel then answers ports 0x20-21, 0xa0-a1, 0x4d0-4d1, 0x40-43 and, by KVM_PIT_SPEAKER_DUMMY, 0x61: its bits 4
// and 5 show channel 2 of the kernel's 8254, which the machine's own could not know.
int vtx_irq_setup(struct vcpu *v)
{
    struct vtx *x = vtx_of(v);
    if (x->options.user_irqchip)
        return 0;
    if (VTX_IOCTL(v, x->vm, KVM_CREATE_IRQCHIP, NULL) < 0 || route_lines(v))
        return -1;
    struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY};
    return VTX_IOCTL(v, x->vm, KVM_CREATE_PIT2, &pit);
}

int vtx_irq_line(struct vcpu *v, unsigned gsi, bool level)
{
    struct kvm_irq_level line = {.irq = gsi, .level = level};
    return VTX_IOCTL(v, vtx_of(v)->vm, KVM_IRQ_LINE, &line);
}

void vtx_inject_nmi(struct vcpu *v)
{
    // Cannot fail on a vCPU that exists; a failure would show as the NMI's absence, with the reason in v->error.
    VTX_IOCTL(v, vtx_of(v)->cpu, KVM_NMI, NULL);
}

// The guest's TSC runs at the host's rate, and starts as the host's TSC: offset 0, as in the other engines.
int vtx_tsc_setup(struct vcpu *v)
{
    struct vtx *x = vtx_of(v);
    uint64_t offset = 0;
    struct kvm_device_attr attr = {.group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET, .addr = (uintptr_t)&offset};
    x->has_tsc_offset = ioctl(x->cpu, KVM_HAS_DEVICE_ATTR, &attr) == 0;
    return x->has_tsc_offset ? VTX_IOCTL(v, x->cpu, KVM_SET_DEVICE_ATTR, &attr) : 0;
}

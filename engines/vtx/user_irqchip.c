// SPDX-License-Identifier: BSD-2-Clause
// Option irqchip=user: the machine's own interrupt controllers and timers serve this engine as they serve the others.
// The kernel then knows of no more than the CPU's pins (Documentation/virt/kvm/api.rst, 4.16 and 5):
// - INTR. KVM_INTERRUPT makes an interrupt that the next KVM_RUN delivers, come what may; so it is given when KVM_RUN
//   has said ready_for_interrupt_injection. Until then request_interrupt_window asks for an exit as soon as that is so.
// - cr8 goes in and comes out with every KVM_RUN, and lowering it exits (KVM_EXIT_SET_TPR).
// - IA32_APIC_BASE comes out likewise. The local APIC's registers are memory that nobody has: KVM_EXIT_MMIO.
// - hlt exits (KVM_EXIT_HLT), with rip behind it. That the CPU is halted is for us to remember.
// What KVM_RUN says of readiness is of an instruction that may be unfinished (run.c), or of a state that has been
// replaced since. `settled` is true where neither is so.
#include <sys/ioctl.h>

#include "engines/vtx/vtx.h"

void vtx_set_intr(struct vcpu *v, bool asserted)
{
    vtx_of(v)->intr = asserted;
}

// After each KVM_RUN: what the guest has done to the pins.
void vtx_pins_seen(struct vcpu *v)
{
    const struct kvm_run *run = vtx_of(v)->run;
    bool lowered = run->cr8 < v->cr8;
    v->cr8 = (uint8_t)run->cr8;
    if (run->apic_base != v->apic_base)
        v->bus.apic_base_written(v->bus.machine, run->apic_base);
    if (lowered && v->cr8 < v->tpr_threshold)
        v->bus.tpr_lowered(v->bus.machine);
}

// Takes the interrupt that INTR announces, where the guest can. 0, or -1 with v->error.
static int take_interrupt(struct vcpu *v)
{
    struct vtx *x = vtx_of(v);
    int vector = v->bus.interrupt_acknowledge(v->bus.machine);
    if (vector < 0)
        return 0;
    struct kvm_interrupt interrupt = {.irq = (uint32_t)vector};
    x->halted = false;
    return VTX_IOCTL(v, x->cpu, KVM_INTERRUPT, &interrupt);
}

// A halted CPU that something else has woken: an NMI, or an event that came with a state.
static enum vcpu_exit look_if_woken(struct vcpu *v)
{
    struct vtx *x = vtx_of(v);
    struct kvm_vcpu_events e;
    if (VTX_IOCTL(v, x->cpu, KVM_GET_VCPU_EVENTS, &e) < 0)
        return VCPU_EXIT_ERROR;
    bool nmi = e.nmi.injected || (e.nmi.pending && !e.nmi.masked);
    if (nmi || e.exception.injected || e.interrupt.injected) {
        x->halted = false;
        return VCPU_CONTINUE;
    }
    return vtx_take_kick(x) ? VCPU_EXIT_KICK : VCPU_EXIT_HALT;
}

// Before each KVM_RUN, settled where INTR or a hlt asks for it. A step lets interrupts wait, but for a halted guest.
enum vcpu_exit vtx_offer_interrupt(struct vcpu *v)
{
    struct vtx *x = vtx_of(v);
    bool wanted = x->intr && (x->halted || !x->stepping);
    if (wanted && x->run->ready_for_interrupt_injection && take_interrupt(v) < 0)
        return VCPU_EXIT_ERROR;
    // Another one may be waiting already, or this one could not be taken.
    x->run->request_interrupt_window = x->intr && !x->stepping;
    return x->halted ? look_if_woken(v) : VCPU_CONTINUE;
}

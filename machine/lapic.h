// SPDX-License-Identifier: BSD-2-Clause
// The local APIC (xAPIC, memory-mapped) of the one vCPU. Task priority and IA32_APIC_BASE live in struct vcpu, where
// the engine sees them too.
#ifndef RINGSIDE_MACHINE_LAPIC_H
#define RINGSIDE_MACHINE_LAPIC_H

#include <stdbool.h>
#include <stdint.h>

#include "include/vcpu.h"
#include "machine/bus.h"
#include "machine/clock.h"

#define LAPIC_BYTES 0x1000ull

enum lapic_lvt { LVT_TIMER, LVT_THERMAL, LVT_COUNTERS, LVT_LINT0, LVT_LINT1, LVT_ERROR, LVT_COUNT };

// Delivery modes, of ICR, LVT and I/O APIC alike (SDM vol. 3, 11.5.1 and 11.6.1).
enum apic_mode { APIC_FIXED, APIC_LOWEST, APIC_SMI, APIC_NMI = 4, APIC_INIT, APIC_STARTUP, APIC_EXTINT };

// An interrupt message on its way to the local APIC.
struct apic_message {
    uint8_t vector;
    uint8_t mode; // enum apic_mode
    uint8_t destination;
    bool logical, level;
};

struct lapic_calls {
    void (*changed)(void *ctx);             // look again whether an interrupt is deliverable
    void (*eoi)(void *ctx, uint8_t vector); // a level-triggered interrupt has ended
    void (*nmi)(void *ctx);
    void *ctx;
};

struct lapic {
    struct vcpu *vcpu;
    struct machine_clock *clock;
    struct lapic_calls calls;

    uint32_t irr[8], isr[8], tmr[8];
    uint32_t id, ldr, dfr, svr;
    uint32_t esr, esr_collected; // what a read gives, and what has come since it was last written
    uint32_t icr_low, icr_high;
    uint32_t lvt[LVT_COUNT];
    uint8_t tpr; // as last seen: bits 7:4 follow vcpu->cr8, and bits 3:0 with them
    bool lint0;

    uint32_t timer_initial, timer_divide;
    bool timer_running;
    uint64_t timer_start; // the clock when the count was timer_initial
    uint64_t timer_fired; // periods since then that have been dealt with
};

void lapic_init(struct lapic *l, struct vcpu *v, struct machine_clock *clock, struct lapic_calls calls);
void lapic_attach(struct lapic *l, struct bus *b);
void lapic_disabled(struct lapic *l); // IA32_APIC_BASE turned it off: it forgets everything

bool lapic_deliver(struct lapic *l, const struct apic_message *message); // whether it was taken
void lapic_set_lint0(struct lapic *l, bool level);                       // the PIC's output
bool lapic_takes_extint(const struct lapic *l);                          // whether that reaches the CPU as INTR

int lapic_pending(const struct lapic *l);  // the vector that the CPU could take now, or -1
int lapic_acknowledge(struct lapic *l);    // takes it
void lapic_set_threshold(struct lapic *l); // vcpu->tpr_threshold for what is pending

void lapic_tick(struct lapic *l, uint64_t now);
uint64_t lapic_deadline(const struct lapic *l);

#endif

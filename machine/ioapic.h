// SPDX-License-Identifier: BSD-2-Clause
// The 82093AA I/O APIC: 24 pins, each with an entry that says which message the local APIC gets.
#ifndef RINGSIDE_MACHINE_IOAPIC_H
#define RINGSIDE_MACHINE_IOAPIC_H

#include <stdbool.h>
#include <stdint.h>

#include "machine/bus.h"
#include "machine/lapic.h"

#define IOAPIC_BYTES 0x1000ull

enum { IOAPIC_PINS = 24 };

struct ioapic {
    uint64_t entry[IOAPIC_PINS];
    uint32_t lines; // levels of the pins
    uint8_t select;
    uint32_t id;
    bool (*deliver)(void *ctx, const struct apic_message *message); // whether it was taken
    void *ctx;
};

void ioapic_init(struct ioapic *a, bool (*deliver)(void *ctx, const struct apic_message *message), void *ctx);
void ioapic_attach(struct ioapic *a, struct bus *b);
void ioapic_set_line(struct ioapic *a, unsigned pin, bool level);
void ioapic_eoi(struct ioapic *a, uint8_t vector);
bool ioapic_masked(const struct ioapic *a, unsigned pin);

#endif

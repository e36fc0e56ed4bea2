// SPDX-License-Identifier: BSD-2-Clause
// The I/O APIC (Intel data sheet 290566). A pin's level means asserted or not, whatever the entry's polarity bit says:
// who wires a device knows its polarity.
#include "machine/ioapic.h"

#include "x86/regs.h"

#define SELECT_OFFSET 0x00
#define WINDOW_OFFSET 0x10
#define REG_ID 0x00
#define REG_VERSION 0x01
#define REG_ARBITRATION 0x02
#define REG_ENTRIES 0x10
#define VERSION ((IOAPIC_PINS - 1) << 16 | 0x11)
#define ID_MASK 0x0f000000u

#define ENTRY_LOGICAL 0x800ull
#define ENTRY_REMOTE_IRR 0x4000ull
#define ENTRY_LEVEL 0x8000ull
#define ENTRY_MASKED 0x10000ull
#define ENTRY_WRITABLE 0xff0000000001afffull
#define ENTRY_MODE(e) ((e) >> 8 & 7)

static bool send(struct ioapic *a, unsigned pin)
{
    uint64_t e = a->entry[pin];
    const struct apic_message m = {.vector = (uint8_t)e,
                                   .mode = ENTRY_MODE(e),
                                   .destination = (uint8_t)(e >> 56),
                                   .logical = e & ENTRY_LOGICAL,
                                   .level = e & ENTRY_LEVEL};
    return a->deliver(a->ctx, &m);
}

// A level-triggered pin sends while it is asserted, once for each EOI.
static void serve_level(struct ioapic *a, unsigned pin)
{
    uint64_t e = a->entry[pin];
    if (!(a->lines >> pin & 1) || !(e & ENTRY_LEVEL) || (e & (ENTRY_MASKED | ENTRY_REMOTE_IRR)))
        return;
    if (send(a, pin))
        a->entry[pin] |= ENTRY_REMOTE_IRR;
}

void ioapic_init(struct ioapic *a, bool (*deliver)(void *ctx, const struct apic_message *message), void *ctx)
{
    *a = (struct ioapic){.deliver = deliver, .ctx = ctx};
    for (unsigned i = 0; i < IOAPIC_PINS; i++)
        a->entry[i] = ENTRY_MASKED;
}

void ioapic_set_line(struct ioapic *a, unsigned pin, bool level)
{
    if (pin >= IOAPIC_PINS)
        return;
    bool rises = level && !(a->lines >> pin & 1);
    a->lines = level ? a->lines | 1u << pin : a->lines & ~(1u << pin);
    if (a->entry[pin] & ENTRY_LEVEL)
        serve_level(a, pin);
    else if (rises && !(a->entry[pin] & ENTRY_MASKED)) // an edge on a masked pin is lost
        send(a, pin);
}

void ioapic_eoi(struct ioapic *a, uint8_t vector)
{
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        uint64_t *e = &a->entry[pin];
        if ((uint8_t)*e != vector || !(*e & ENTRY_LEVEL))
            continue;
        *e &= ~ENTRY_REMOTE_IRR;
        serve_level(a, pin);
    }
}

bool ioapic_masked(const struct ioapic *a, unsigned pin)
{
    return pin >= IOAPIC_PINS || (a->entry[pin] & ENTRY_MASKED);
}

static uint32_t read_register(const struct ioapic *a, unsigned reg)
{
    unsigned pin = (reg - REG_ENTRIES) / 2;
    if (reg >= REG_ENTRIES && pin < IOAPIC_PINS)
        return (uint32_t)(reg & 1 ? a->entry[pin] >> 32 : a->entry[pin]);
    switch (reg) {
    case REG_ID:
    case REG_ARBITRATION:
        return a->id;
    case REG_VERSION:
        return VERSION;
    default:
        return ~0u;
    }
}

static void write_entry(struct ioapic *a, unsigned pin, bool high, uint32_t value)
{
    uint64_t old = a->entry[pin];
    uint64_t wanted = high ? (uint64_t)value << 32 | (uint32_t)old : (old & ~0xffffffffull) | value;
    uint64_t e = (wanted & ENTRY_WRITABLE) | (old & ENTRY_REMOTE_IRR);
    if (!(e & ENTRY_LEVEL)) // switching to edge forgets it, which is how software clears it without an EOI
        e &= ~ENTRY_REMOTE_IRR;
    a->entry[pin] = e;
    serve_level(a, pin);
}

static void write_register(struct ioapic *a, unsigned reg, uint32_t value)
{
    unsigned pin = (reg - REG_ENTRIES) / 2;
    if (reg == REG_ID)
        a->id = value & ID_MASK;
    else if (reg >= REG_ENTRIES && pin < IOAPIC_PINS)
        write_entry(a, pin, reg & 1, value);
}

static enum vcpu_exit ioapic_read(void *dev, uint64_t offset, unsigned size, uint64_t *value)
{
    struct ioapic *a = dev;
    (void)size;
    *value = 0;
    if (offset == SELECT_OFFSET)
        *value = a->select;
    else if (offset == WINDOW_OFFSET)
        *value = read_register(a, a->select);
    return VCPU_CONTINUE;
}

static enum vcpu_exit ioapic_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct ioapic *a = dev;
    if (offset == SELECT_OFFSET)
        a->select = (uint8_t)value;
    else if (offset == WINDOW_OFFSET && size >= 4)
        write_register(a, a->select, (uint32_t)value);
    return VCPU_CONTINUE;
}

void ioapic_attach(struct ioapic *a, struct bus *b)
{
    bus_add_mmio(b, &(struct mmio_range){IOAPIC_DEFAULT_ADDR, IOAPIC_BYTES, a, ioapic_read, ioapic_write});
}

// SPDX-License-Identifier: BSD-2-Clause
// The I/O APIC: registers, and the serial line's pin 4 edge- and level-triggered, masked and not (82093AA data sheet).
#include "tests/guest/pc.h"

IMAGE("ioapic");

#define IOAPIC 0xfec00000ull
#define IOAPIC_SELECT 0x00
#define IOAPIC_WINDOW 0x10
#define REG_VERSION 1
#define REG_ENTRY(pin) (0x10 + 2 * (pin))
#define PIN 4
#define VECTOR 0x51
#define ENTRY_REMOTE_IRR 0x4000u
#define ENTRY_LEVEL 0x8000u
#define ENTRY_MASKED 0x10000u

#define SERIAL_IER (PORT_SERIAL + 1)
#define SERIAL_IIR (PORT_SERIAL + 2)
#define SERIAL_MCR (PORT_SERIAL + 4)
#define SERIAL_LSR (PORT_SERIAL + 5)
#define IER_EMPTY 2
#define LSR_EMPTY 0x60

static volatile unsigned count;
static volatile uint32_t entry_inside;
static volatile bool quench;

static uint32_t ioapic_read(unsigned reg)
{
    *(volatile uint32_t *)(IOAPIC + IOAPIC_SELECT) = reg;
    return *(volatile uint32_t *)(IOAPIC + IOAPIC_WINDOW);
}

static void ioapic_write(unsigned reg, uint32_t value)
{
    *(volatile uint32_t *)(IOAPIC + IOAPIC_SELECT) = reg;
    *(volatile uint32_t *)(IOAPIC + IOAPIC_WINDOW) = value;
}

static void on_serial(struct trap_frame *frame)
{
    (void)frame;
    count++;
    entry_inside = ioapic_read(REG_ENTRY(PIN));
    if (quench || count >= 3)
        inb(SERIAL_IIR); // puts the line down
    lapic_write(LAPIC_EOI, 0);
}

// Raises the line by enabling the interrupt of an empty holding register; then the line is as before.
static unsigned interrupts_of_one_request(unsigned expected)
{
    while ((inb(SERIAL_LSR) & LSR_EMPTY) != LSR_EMPTY)
        ;
    count = 0;
    sti();
    outb(SERIAL_IER, IER_EMPTY);
    if (expected)
        wait_until(&count, expected);
    for (uint64_t start = tsc_begin(); tsc_begin() - start < 2000000;) // no more of them
        ;
    cli();
    outb(SERIAL_IER, 0);
    return count;
}

int image_main(void)
{
    uint32_t version = ioapic_read(REG_VERSION);
    CHECK((version >> 16 & 0xff) >= 0x17); // 24 pins
    ioapic_write(REG_ENTRY(PIN) + 1, 0x07000000);
    CHECK_EQ(ioapic_read(REG_ENTRY(PIN) + 1), 0x07000000);
    ioapic_write(REG_ENTRY(PIN) + 1, lapic_read(LAPIC_ID) & 0xff000000);

    pic_init();
    lapic_enable(0xff);
    trap_set(VECTOR, on_serial);
    outb(SERIAL_MCR, 0x0b);
    ioapic_write(REG_ENTRY(PIN), ENTRY_MASKED | VECTOR);
    CHECK_EQ(ioapic_read(REG_ENTRY(PIN)) & 0x1ffff, ENTRY_MASKED | VECTOR);
    CHECK_EQ(interrupts_of_one_request(0), 0);
    inb(SERIAL_IIR);
    ioapic_write(REG_ENTRY(PIN), VECTOR); // edge
    quench = true;
    CHECK_EQ(interrupts_of_one_request(1), 1);
    CHECK_EQ(entry_inside & ENTRY_REMOTE_IRR, 0);
    ioapic_write(REG_ENTRY(PIN), ENTRY_LEVEL | VECTOR);
    quench = false; // comes again after each EOI until the line is down
    CHECK_EQ(interrupts_of_one_request(3), 3);
    CHECK_EQ(entry_inside & ENTRY_REMOTE_IRR, ENTRY_REMOTE_IRR);
    CHECK_EQ(ioapic_read(REG_ENTRY(PIN)) & ENTRY_REMOTE_IRR, 0);
    ioapic_write(REG_ENTRY(PIN), ENTRY_MASKED | VECTOR);
    return 0;
}

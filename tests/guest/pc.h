// SPDX-License-Identifier: BSD-2-Clause
// The PC's interrupt controllers and timers as tests use them: 8259 pair, 8254, local APIC. Port numbers and command
// bits from Intel's 8259A and 8254 data sheets and SDM vol. 3, chapter 10.
#ifndef RINGSIDE_TESTS_GUEST_PC_H
#define RINGSIDE_TESTS_GUEST_PC_H

#include "guest/insn.h"
#include "guest/lib.h"

#define PIC1 0x20
#define PIC1_DATA 0x21
#define PIC2 0xa0
#define PIC2_DATA 0xa1
#define PIC_INIT 0x11     // ICW1: edge, cascade, ICW4 follows
#define PIC_8086 0x01     // ICW4
#define PIC_EOI 0x20      // OCW2, non-specific
#define PIC_READ_IRR 0x0a // OCW3
#define PIC_READ_ISR 0x0b
#define IRQ_BASE 0x20 // vector of IRQ 0
#define IRQ_TIMER 0
#define IRQ_CASCADE 2
#define IRQ_SERIAL 4
#define IRQ_RTC 8

#define PIT_CHANNEL0 0x40
#define PIT_COMMAND 0x43
#define PIT_HZ 1193182

#define LAPIC 0xfee00000ull
#define LAPIC_ID 0x20
#define LAPIC_VERSION 0x30
#define LAPIC_TPR 0x80
#define LAPIC_PPR 0xa0
#define LAPIC_EOI 0xb0
#define LAPIC_SVR 0xf0
#define LAPIC_ISR 0x100
#define LAPIC_IRR 0x200
#define LAPIC_ICR_LOW 0x300
#define LAPIC_ICR_HIGH 0x310
#define LAPIC_LVT_TIMER 0x320
#define LAPIC_LVT_LINT0 0x350
#define LAPIC_LVT_LINT1 0x360
#define LAPIC_TIMER_INITIAL 0x380
#define LAPIC_TIMER_CURRENT 0x390
#define LAPIC_TIMER_DIVIDE 0x3e0
#define LVT_MASKED 0x10000u
#define LVT_EXTINT 0x700u
#define LVT_PERIODIC 0x20000u
#define SVR_ENABLE 0x100u

static inline uint32_t lapic_read(unsigned reg)
{
    return *(volatile uint32_t *)(LAPIC + reg);
}

static inline void lapic_write(unsigned reg, uint32_t value)
{
    *(volatile uint32_t *)(LAPIC + reg) = value;
}

static inline bool lapic_bit(unsigned bank, unsigned vector)
{
    return lapic_read(bank + vector / 32 * 0x10) >> vector % 32 & 1;
}

// Firmware and the library leave it as it may be; LINT0 open for the 8259.
static inline void lapic_enable(unsigned spurious_vector)
{
    lapic_write(LAPIC_TPR, 0);
    lapic_write(LAPIC_SVR, SVR_ENABLE | spurious_vector);
    lapic_write(LAPIC_LVT_LINT0, LVT_EXTINT);
    lapic_write(LAPIC_LVT_TIMER, LVT_MASKED);
}

// Vectors IRQ_BASE up, all masked.
static inline void pic_init(void)
{
    outb(PIC1, PIC_INIT), outb(PIC2, PIC_INIT);
    outb(PIC1_DATA, IRQ_BASE), outb(PIC2_DATA, IRQ_BASE + 8);
    outb(PIC1_DATA, 1 << IRQ_CASCADE), outb(PIC2_DATA, IRQ_CASCADE);
    outb(PIC1_DATA, PIC_8086), outb(PIC2_DATA, PIC_8086);
    outb(PIC1_DATA, 0xff), outb(PIC2_DATA, 0xff);
}

static inline void pic_unmask(unsigned irq)
{
    if (irq >= 8) {
        outb(PIC2_DATA, (uint8_t)(inb(PIC2_DATA) & ~(1u << (irq - 8))));
        irq = IRQ_CASCADE;
    }
    outb(PIC1_DATA, (uint8_t)(inb(PIC1_DATA) & ~(1u << irq)));
}

static inline void pic_eoi(unsigned irq)
{
    if (irq >= 8)
        outb(PIC2, PIC_EOI);
    outb(PIC1, PIC_EOI);
}

static inline uint8_t pic_status(unsigned which)
{
    outb(PIC1, (uint8_t)which);
    return inb(PIC1);
}

// mode 0: one interrupt after count; 2: one each count.
static inline void pit_start(unsigned mode, unsigned count)
{
    outb(PIT_COMMAND, (uint8_t)(0x30 | mode << 1));
    outb(PIT_CHANNEL0, (uint8_t)count), outb(PIT_CHANNEL0, (uint8_t)(count >> 8));
}

// What channel 0 has left to count.
#define PIT_LATCH0 0x00
static inline unsigned pit_count(void)
{
    outb(PIT_COMMAND, PIT_LATCH0);
    unsigned low = inb(PIT_CHANNEL0);
    return low | (unsigned)inb(PIT_CHANNEL0) << 8;
}

// Until channel 0, in mode 2, has begun as many new periods: time by the device's own clock, whatever that of the TSC
// is.
static inline void pit_wait_periods(unsigned periods)
{
    for (unsigned last = pit_count(), now; periods; last = now) {
        now = pit_count();
        periods -= now > last;
    }
}

// Waits with interrupts as they are until *count reaches n or some seconds of a fast clock are over.
#define PATIENCE_CYCLES 6000000000ull
static inline bool wait_until(volatile unsigned *count, unsigned n)
{
    uint64_t start = tsc_begin();
    while (*count < n)
        if (tsc_begin() - start > PATIENCE_CYCLES)
            return false;
    return true;
}

// Interrupts on until *count reaches n; off again. Returns *count.
static inline unsigned let_in(volatile unsigned *count, unsigned n)
{
    sti();
    wait_until(count, n);
    cli();
    return *count;
}

// Interrupts on for a while in which nothing should come.
static inline void let_in_for(uint64_t cycles)
{
    sti();
    for (uint64_t start = tsc_begin(); tsc_begin() - start < cycles;)
        ;
    cli();
}

// Until the 8259 has latched a request that it holds back.
static inline bool pic_wait_request(unsigned irq)
{
    uint64_t start = tsc_begin();
    while (!(pic_status(PIC_READ_IRR) & 1 << irq))
        if (tsc_begin() - start > PATIENCE_CYCLES)
            return false;
    return true;
}

#endif

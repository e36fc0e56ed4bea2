// SPDX-License-Identifier: BSD-2-Clause
// The 16550: scratch and divisor registers, loopback, line and modem status, FIFO, the interrupt of an empty holding
// register by IRQ 4 (National's PC16550D data sheet). The line is the console too, so results wait until it is back.
#include "tests/guest/pc.h"

IMAGE("serial");

#define DATA (PORT_SERIAL + 0)
#define IER (PORT_SERIAL + 1)
#define IIR (PORT_SERIAL + 2) // read; FCR on write
#define FCR (PORT_SERIAL + 2)
#define LCR (PORT_SERIAL + 3)
#define MCR (PORT_SERIAL + 4)
#define LSR (PORT_SERIAL + 5)
#define MSR (PORT_SERIAL + 6)
#define SCR (PORT_SERIAL + 7)
#define IER_RECEIVED 1
#define IER_EMPTY 2
#define IIR_NONE 1
#define IIR_EMPTY 2
#define IIR_RECEIVED 4
#define LCR_DIVISOR 0x80
#define MCR_OUT2 8 // gates the interrupt line on a PC
#define MCR_LOOP 0x10
#define LSR_READY 1
#define LSR_EMPTY 0x20

static volatile unsigned interrupts;
static volatile uint8_t identified;

static void on_serial(struct trap_frame *frame)
{
    (void)frame;
    identified = inb(IIR);
    interrupts++;
    pic_eoi(IRQ_SERIAL);
}

static void wait_line(unsigned bit)
{
    for (uint64_t start = tsc_begin(); !(inb(LSR) & bit);)
        if (tsc_begin() - start > PATIENCE_CYCLES)
            return;
}

struct seen {
    uint8_t scratch[2], divisor_low, ier_back, data, ready[2], loop_msr[2], fifo, iir_idle, iir_data;
};

static void quiet_part(struct seen *s)
{
    uint8_t lcr = inb(LCR), mcr = inb(MCR);
    outb(SCR, 0xa5), s->scratch[0] = inb(SCR);
    outb(SCR, 0x5a), s->scratch[1] = inb(SCR);
    outb(LCR, lcr | LCR_DIVISOR);
    uint8_t low = inb(DATA);
    outb(DATA, 0x42), s->divisor_low = inb(DATA);
    outb(DATA, low);
    outb(LCR, lcr & (uint8_t)~LCR_DIVISOR);
    outb(IER, 0x0f), s->ier_back = inb(IER);
    outb(IER, 0);
    outb(FCR, 0x07); // on, both cleared
    s->fifo = inb(IIR) & 0xc0;
    outb(MCR, MCR_LOOP);
    s->iir_idle = inb(IIR) & 0x0f;
    s->ready[0] = inb(LSR) & LSR_READY;
    outb(IER, IER_RECEIVED);
    outb(DATA, 0x3c);
    wait_line(LSR_READY);
    s->ready[1] = inb(LSR) & LSR_READY;
    s->iir_data = inb(IIR) & 0x07;
    s->data = inb(DATA);
    outb(IER, 0);
    s->loop_msr[0] = inb(MSR) & 0xf0;
    outb(MCR, MCR_LOOP | 0x0f), s->loop_msr[1] = inb(MSR) & 0xf0;
    outb(MCR, mcr), outb(LCR, lcr);
}

static void check_quiet_part(const struct seen *s)
{
    CHECK(s->scratch[0] == 0xa5 && s->scratch[1] == 0x5a);
    CHECK_EQ(s->divisor_low, 0x42);
    CHECK_EQ(s->ier_back, 0x0f);
    CHECK_EQ(s->fifo, 0xc0);
    CHECK_EQ(s->iir_idle, IIR_NONE);
    CHECK(s->ready[0] == 0 && s->ready[1] == LSR_READY);
    CHECK_EQ(s->iir_data & IIR_RECEIVED, IIR_RECEIVED);
    CHECK_EQ(s->data, 0x3c);
    CHECK_EQ(s->loop_msr[0], 0);
    CHECK_EQ(s->loop_msr[1], 0xf0);
}

static void empty_interrupt(void)
{
    wait_line(LSR_EMPTY);
    outb(MCR, MCR_OUT2 | 3);
    sti();
    outb(IER, IER_EMPTY); // empty already: at once
    bool came = wait_until(&interrupts, 1);
    uint8_t first = identified & 0x0f, after = inb(IIR) & 0x0f; // reading IIR has put it down
    outb(DATA, '\n');
    bool again = wait_until(&interrupts, 2);
    outb(IER, 0);
    cli();
    CHECK(came);
    CHECK_EQ(first, IIR_EMPTY);
    CHECK_EQ(after, IIR_NONE);
    CHECK(again);
}

int image_main(void)
{
    struct seen seen;
    lapic_enable(0xff);
    pic_init();
    wait_line(LSR_EMPTY);
    quiet_part(&seen);
    check_quiet_part(&seen);
    trap_set(IRQ_BASE + IRQ_SERIAL, on_serial);
    pic_unmask(IRQ_SERIAL);
    empty_interrupt();
    return 0;
}

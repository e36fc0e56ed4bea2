// SPDX-License-Identifier: BSD-2-Clause
// The 16550: registers, output, loopback, the interrupts and their priorities, and an end where the sink refuses.
#include "machine/serial.h"

#include "include/guest_abi.h"
#include "tests/unit/check.h"

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR, FCR = IIR };

struct rig {
    struct bus bus;
    struct serial serial;
    bool irq;
    unsigned edges;
    char sent[64];
    unsigned count, limit;
};

static bool sink(void *ctx, uint8_t byte)
{
    struct rig *r = ctx;
    r->sent[r->count++ % sizeof(r->sent)] = (char)byte;
    return r->count < r->limit;
}

static void line(void *ctx, unsigned number, bool level)
{
    struct rig *r = ctx;
    CHECK_SAY(number == IRQ_SERIAL, "it drives IRQ 4");
    r->edges += level && !r->irq;
    r->irq = level;
}

static void rig_init(struct rig *r)
{
    memset(r, 0, sizeof(*r));
    r->limit = 1000;
    serial_init(&r->serial, (struct irq_out){line, r}, sink, r);
    serial_attach(&r->serial, &r->bus);
}

static uint32_t get(struct rig *r, unsigned reg)
{
    uint32_t value;
    bus_pio_read(&r->bus, (uint16_t)(PORT_SERIAL + reg), 1, &value);
    return value;
}

static enum vcpu_exit put(struct rig *r, unsigned reg, uint32_t value)
{
    return bus_pio_write(&r->bus, (uint16_t)(PORT_SERIAL + reg), 1, value);
}

static void test_registers(struct rig *r)
{
    rig_init(r);
    put(r, SCR, 0xa5);
    CHECK_EQ(get(r, SCR), 0xa5);
    put(r, LCR, 0x83); // DLAB
    put(r, DATA, 0x0c);
    put(r, IER, 0x01);
    CHECK_EQ(get(r, DATA), 0x0c);
    CHECK_EQ(get(r, IER), 0x01);
    CHECK_EQ(r->count, 0); // the divisor is not sent
    put(r, LCR, 0x03);
    CHECK_EQ(get(r, IER), 0);
    put(r, IER, 0xff);
    CHECK_EQ(get(r, IER), 0x0f);
    put(r, IER, 0);
    CHECK_EQ(get(r, LSR), 0x60);
    CHECK_EQ(get(r, MSR), 0xb0); // somebody is there: CTS, DSR, DCD
    CHECK_EQ(get(r, IIR), 0x01);
    put(r, FCR, 0x01);
    CHECK_EQ(get(r, IIR), 0xc1); // FIFOs on: a 16550A
    CHECK_EQ(put(r, DATA, 'a'), VCPU_CONTINUE);
    CHECK(r->count == 1 && r->sent[0] == 'a');
    CHECK_EQ(r->irq, 0);
}

static void test_transmit_interrupt(struct rig *r)
{
    rig_init(r);
    put(r, IER, 2);
    CHECK(!r->irq); // OUT2 gates it
    put(r, MCR, 8);
    CHECK(r->irq);
    CHECK_EQ(get(r, IIR), 0x02);
    CHECK(!r->irq); // reading IIR took it back
    CHECK_EQ(get(r, IIR), 0x01);
    unsigned edges = r->edges;
    put(r, DATA, 'x');
    CHECK(r->irq && r->edges == edges + 1);
    put(r, DATA, 'y'); // not acknowledged by IIR: still a new edge
    CHECK(r->irq && r->edges == edges + 2);
    put(r, IER, 0);
    CHECK(!r->irq);
    put(r, IER, 2);
    CHECK(r->irq);
}

static void test_loopback(struct rig *r)
{
    rig_init(r);
    put(r, MCR, 0x10 | 0x0a); // loop, RTS and OUT2: CTS and DCD
    CHECK_EQ(get(r, MSR) & 0xf0, 0x90);
    put(r, MCR, 0x10 | 0x05);
    CHECK_EQ(get(r, MSR), 0x60 | 0x0b); // DSR and RI; CTS, DSR, DCD changed, RI only at its end
    CHECK_EQ(get(r, MSR), 0x60);        // reading clears the changes
    put(r, MCR, 0x10);
    CHECK_EQ(get(r, MSR), 0x06);
    put(r, DATA, 'q');
    CHECK_EQ(r->count, 0);
    CHECK_EQ(get(r, LSR), 0x61);
    CHECK_EQ(get(r, DATA), 'q');
    CHECK_EQ(get(r, LSR), 0x60);
    put(r, DATA, '1');
    put(r, DATA, '2'); // no FIFO: overrun, the new byte wins
    CHECK_EQ(get(r, LSR), 0x63);
    CHECK_EQ(get(r, LSR), 0x61); // reading clears it
    CHECK_EQ(get(r, DATA), '2');
}

static void test_receive_fifo(struct rig *r)
{
    rig_init(r);
    put(r, MCR, 8);
    put(r, IER, 5);
    put(r, FCR, 0x81); // trigger level 8
    serial_receive(&r->serial, 0);
    CHECK(r->irq);
    CHECK_EQ(get(r, IIR), 0xcc); // below the level: the time-out says it
    for (unsigned i = 1; i < 18; i++)
        serial_receive(&r->serial, (uint8_t)i);
    CHECK_EQ(get(r, IIR), 0xc6); // the overrun comes first
    CHECK_EQ(get(r, LSR), 0x63);
    CHECK_EQ(get(r, IIR), 0xc4);
    for (unsigned i = 0; i < 16; i++)
        CHECK_EQ(get(r, DATA), i); // the old bytes win
    CHECK(!r->irq);
    CHECK_EQ(get(r, LSR), 0x60);
    serial_receive(&r->serial, 'z');
    put(r, FCR, 0x83); // clear
    CHECK(!r->irq);
    CHECK_EQ(get(r, LSR), 0x60);
    CHECK_EQ(get(r, DATA), 0);
}

static void test_modem_interrupt(struct rig *r)
{
    rig_init(r);
    put(r, MCR, 8);
    put(r, IER, 8);
    CHECK(!r->irq);
    put(r, MCR, 0x18); // loopback takes CTS and DSR away
    CHECK(r->irq);
    CHECK_EQ(get(r, IIR), 0x00);
    get(r, MSR);
    CHECK(!r->irq);
}

static void test_refusal(struct rig *r)
{
    rig_init(r);
    r->limit = 3;
    CHECK_EQ(put(r, DATA, 'a'), VCPU_CONTINUE);
    CHECK_EQ(put(r, DATA, 'b'), VCPU_CONTINUE);
    CHECK(!r->serial.refused);
    CHECK_EQ(put(r, DATA, 'c'), VCPU_EXIT_POWER);
    CHECK(r->serial.refused);
    put(r, DATA, 'd');
    CHECK_EQ(r->count, 3); // nothing more reaches the sink
}

int main(void)
{
    static struct rig rig;
    test_registers(&rig);
    test_transmit_interrupt(&rig);
    test_loopback(&rig);
    test_receive_fifo(&rig);
    test_modem_interrupt(&rig);
    test_refusal(&rig);
    return check_done("serial");
}

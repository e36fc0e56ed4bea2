// SPDX-License-Identifier: BSD-2-Clause
// The 16550: registers, output, loopback, the interrupts and their priorities, input at the pace at which the guest
// takes it, and an end where the sink refuses.
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
    struct machine_clock clock;
    uint64_t now;
    unsigned given, there; // of the input: bytes 0, 1, 2, ..., of which so many are there
    int behind;            // what in() says after them
};

static bool sink(void *ctx, uint8_t byte)
{
    struct rig *r = ctx;
    r->sent[r->count++ % sizeof(r->sent)] = (char)byte;
    return r->count < r->limit;
}

static int source(void *ctx)
{
    struct rig *r = ctx;
    return r->given < r->there ? (uint8_t)r->given++ : r->behind;
}

static uint64_t time_of(void *ctx)
{
    return ((struct rig *)ctx)->now;
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
    r->now = 1000000;
    r->clock = (struct machine_clock){.now = time_of, .ctx = r};
    r->behind = SERIAL_NOTHING;
    serial_init(&r->serial, &r->clock, (struct irq_out){line, r}, (struct serial_line){sink, source, r});
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

// So much input is there; the line has time enough.
static void come(struct rig *r, unsigned there)
{
    r->there = there;
    r->now += 16 * SERIAL_BYTE_NS;
    serial_input(&r->serial);
    serial_tick(&r->serial, r->now);
}

// Input waits until RTS says that it is taken; with the FIFO, 16 bytes at a time, each batch once the last one has been
// read and as long after as a fast line takes for it. Nothing is lost, and there is no overrun.
static void test_input_flow(struct rig *r)
{
    rig_init(r);
    put(r, FCR, 0x07);
    put(r, IER, 1);
    put(r, MCR, 8);
    CHECK(!serial_can_interrupt(&r->serial));
    come(r, 40);
    CHECK_EQ(r->given, 0);
    CHECK_EQ(serial_deadline(&r->serial), NEVER);
    r->clock.moved = false;
    put(r, MCR, 8 | 2);
    CHECK(r->clock.moved && serial_deadline(&r->serial) <= r->now && serial_can_interrupt(&r->serial));
    put(r, MCR, 8 | 2 | 0x10); // loopback takes the receiver from the line
    CHECK(serial_room(&r->serial) == 0 && serial_deadline(&r->serial) == NEVER && !serial_can_interrupt(&r->serial));
    put(r, MCR, 8 | 2);
    CHECK_EQ(serial_room(&r->serial), 16);
    for (unsigned byte = 0, batch = 16; byte<40; byte += batch, batch = byte + 16> 40 ? 40 - byte : 16) {
        unsigned edges = r->edges;
        serial_tick(&r->serial, r->now);
        CHECK(r->given == byte + batch && r->irq && r->edges == edges + 1);
        serial_tick(&r->serial, r->now + NS_PER_SECOND); // not read: no more comes, however long it takes
        CHECK(r->given == byte + batch && serial_room(&r->serial) == 0 && serial_deadline(&r->serial) == NEVER);
        r->clock.moved = false;
        for (unsigned i = 0; i < batch; i++) {
            CHECK_EQ(get(r, LSR), 0x61);
            CHECK_EQ(get(r, DATA), byte + i);
        }
        CHECK(get(r, LSR) == 0x60 && !r->irq);
        if (byte + batch == 40)
            break;
        CHECK(r->clock.moved);
        CHECK_EQ(serial_deadline(&r->serial), r->now + 16 * SERIAL_BYTE_NS);
        serial_tick(&r->serial, r->now + 16 * SERIAL_BYTE_NS - 1);
        CHECK_EQ(get(r, LSR), 0x60);
        r->now += 16 * SERIAL_BYTE_NS;
    }
    CHECK_EQ(serial_deadline(&r->serial), NEVER); // in() has said that there is nothing
    come(r, 41);
    CHECK_EQ(get(r, DATA), 40);
}

// Without the FIFO one byte at a time; what the guest clears is gone, but what waits is not.
static void test_input_single(struct rig *r)
{
    rig_init(r);
    put(r, MCR, 2);
    CHECK_EQ(serial_room(&r->serial), 1);
    come(r, 3);
    CHECK_EQ(r->given, 1);
    CHECK_EQ(get(r, LSR), 0x61);
    put(r, FCR, 0x01); // the FIFO switched on clears
    CHECK(get(r, LSR) == 0x60 && serial_room(&r->serial) == 16);
    CHECK_EQ(serial_deadline(&r->serial), r->now + SERIAL_BYTE_NS);
    come(r, 3);
    CHECK(get(r, DATA) == 1 && get(r, DATA) == 2);
    CHECK_EQ(get(r, LSR), 0x60);
}

// A guest that knows nothing of modem lines, but polls; and the end.
static void test_input_polled(struct rig *r)
{
    rig_init(r);
    come(r, 1);
    CHECK(r->given == 0 && serial_room(&r->serial) == 0);
    for (unsigned i = 0; i < 40; i++) { // as one that sends looks at it
        get(r, LSR);
        put(r, DATA, 'x');
    }
    come(r, 1);
    CHECK_EQ(r->given, 0);
    for (unsigned i = 0; i < 40; i++)
        get(r, LSR);
    CHECK_EQ(serial_room(&r->serial), 1);
    r->behind = SERIAL_END;
    come(r, 1);
    CHECK(r->given == 1 && get(r, LSR) == 0x61 && get(r, DATA) == 0);
    put(r, IER, 1);
    put(r, MCR, 8 | 2);
    CHECK(serial_can_interrupt(&r->serial)); // nobody has told it yet
    come(r, 1);
    CHECK(!serial_can_interrupt(&r->serial));
    CHECK_EQ(serial_deadline(&r->serial), NEVER);
    r->behind = SERIAL_NOTHING;
    come(r, 2); // too late
    CHECK(r->given == 1 && get(r, LSR) == 0x60);
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
    test_input_flow(&rig);
    test_input_single(&rig);
    test_input_polled(&rig);
    test_modem_interrupt(&rig);
    test_refusal(&rig);
    return check_done("serial");
}

// SPDX-License-Identifier: BSD-2-Clause
// The two 8259s: initialisation, priorities, cascade, the forms of EOI, special modes, poll, edge and level.
#include "machine/pic.h"

#include "tests/unit/check.h"

enum { MASTER = 0x20, SLAVE = 0xa0, ELCR = 0x4d0 };
enum { EOI = 0x20, SPECIFIC_EOI = 0x60, ROTATE_EOI = 0xa0, SET_PRIORITY = 0xc0, READ_IRR = 0x0a, READ_ISR = 0x0b };

struct rig {
    struct bus bus;
    struct pic pic;
    bool intr;
};

static void intr(void *ctx, bool asserted)
{
    ((struct rig *)ctx)->intr = asserted;
}

static void put(struct rig *r, uint16_t port, uint32_t value)
{
    bus_pio_write(&r->bus, port, 1, value);
}

static uint32_t get(struct rig *r, uint16_t port)
{
    uint32_t value;
    bus_pio_read(&r->bus, port, 1, &value);
    return value;
}

static void program(struct rig *r, uint16_t port, unsigned base, unsigned icw3, unsigned icw4)
{
    put(r, port, 0x11);
    put(r, port + 1, base);
    put(r, port + 1, icw3);
    put(r, port + 1, icw4);
}

// As every operating system does: vectors 0x20 and 0x28, everything unmasked.
static void rig_init(struct rig *r)
{
    memset(r, 0, sizeof(*r));
    pic_init(&r->pic, intr, r);
    pic_attach(&r->pic, &r->bus);
    program(r, MASTER, 0x20, 4, 1);
    program(r, SLAVE, 0x28, 2, 1);
}

static uint32_t in_service(struct rig *r, uint16_t port)
{
    put(r, port, READ_ISR);
    uint32_t isr = get(r, port);
    put(r, port, READ_IRR);
    return isr;
}

static void pulse(struct rig *r, unsigned number)
{
    pic_set_line(&r->pic, number, true);
    pic_set_line(&r->pic, number, false);
}

static void test_reset_state(struct rig *r)
{
    memset(r, 0, sizeof(*r));
    pic_init(&r->pic, intr, r);
    pic_attach(&r->pic, &r->bus);
    pulse(r, 0);
    CHECK(!r->intr);
    CHECK_EQ(get(r, MASTER + 1), 0xff);
    program(r, MASTER, 0x20, 4, 1);
    CHECK_EQ(get(r, MASTER + 1), 0); // ICW1 clears the mask
    CHECK(!r->intr);                 // and the edges latched so far
    put(r, MASTER + 1, 0xfb);
    CHECK_EQ(get(r, MASTER + 1), 0xfb);
}

static void test_priority(struct rig *r)
{
    rig_init(r);
    pulse(r, 4);
    pulse(r, 1);
    CHECK_EQ(get(r, MASTER), 0x12);
    CHECK(r->intr);
    CHECK_EQ(pic_acknowledge(&r->pic), 0x21);
    CHECK_EQ(in_service(r, MASTER), 0x02);
    CHECK(!r->intr); // IRQ 4 waits for IRQ 1's end
    pulse(r, 0);
    CHECK(r->intr); // IRQ 0 does not
    CHECK_EQ(pic_acknowledge(&r->pic), 0x20);
    CHECK_EQ(in_service(r, MASTER), 0x03);
    put(r, MASTER, EOI);
    CHECK_EQ(in_service(r, MASTER), 0x02);
    put(r, MASTER, SPECIFIC_EOI | 1);
    CHECK(r->intr);
    CHECK_EQ(pic_acknowledge(&r->pic), 0x24);
    put(r, MASTER, EOI);
    CHECK_EQ(get(r, MASTER) | in_service(r, MASTER), 0);
    CHECK_EQ(pic_acknowledge(&r->pic), 0x27); // nobody asked: spurious, and not in service
    CHECK_EQ(in_service(r, MASTER), 0);
}

static void test_mask(struct rig *r)
{
    rig_init(r);
    put(r, MASTER + 1, 0x10);
    CHECK(pic_masked(&r->pic, 4) && !pic_masked(&r->pic, 3) && !pic_masked(&r->pic, 8));
    pulse(r, 4);
    CHECK(!r->intr);
    put(r, MASTER + 1, 0);
    CHECK(r->intr); // the edge was kept
    CHECK_EQ(pic_acknowledge(&r->pic), 0x24);
    put(r, MASTER + 1, 4);
    CHECK(pic_masked(&r->pic, 8)); // with the cascade goes the slave
}

static void test_cascade(struct rig *r)
{
    rig_init(r);
    pulse(r, 8);
    pulse(r, 12);
    pulse(r, 3);
    CHECK_EQ(get(r, MASTER), 0x0c);
    CHECK_EQ(get(r, SLAVE), 0x11);
    CHECK_EQ(pic_acknowledge(&r->pic), 0x28); // the slave's lines come before IRQ 3
    CHECK_EQ(in_service(r, MASTER), 0x04);
    CHECK_EQ(in_service(r, SLAVE), 0x01);
    put(r, SLAVE, EOI);
    CHECK(!r->intr); // the master still serves the slave
    put(r, MASTER, EOI);
    CHECK(r->intr);
    CHECK_EQ(pic_acknowledge(&r->pic), 0x2c);
    put(r, SLAVE, EOI);
    put(r, MASTER, EOI);
    CHECK_EQ(pic_acknowledge(&r->pic), 0x23);
}

static void test_nested(struct rig *r)
{
    rig_init(r);
    program(r, MASTER, 0x20, 4, 0x11); // special fully nested
    pulse(r, 12);
    CHECK_EQ(pic_acknowledge(&r->pic), 0x2c);
    pulse(r, 8);
    CHECK(r->intr); // of higher priority within the slave
    CHECK_EQ(pic_acknowledge(&r->pic), 0x28);
    pulse(r, 13);
    CHECK(!r->intr);
}

static void test_auto_eoi(struct rig *r)
{
    rig_init(r);
    program(r, MASTER, 0x20, 4, 3);
    pulse(r, 5);
    CHECK_EQ(pic_acknowledge(&r->pic), 0x25);
    CHECK_EQ(in_service(r, MASTER), 0);
    put(r, MASTER, 0x80); // and rotating
    pulse(r, 5);
    CHECK_EQ(pic_acknowledge(&r->pic), 0x25);
    pulse(r, 5);
    pulse(r, 6);
    CHECK_EQ(pic_acknowledge(&r->pic), 0x26);
}

static void test_rotation(struct rig *r)
{
    rig_init(r);
    put(r, MASTER, SET_PRIORITY | 3); // 4 is now the highest
    pulse(r, 0);
    pulse(r, 4);
    CHECK_EQ(pic_acknowledge(&r->pic), 0x24);
    put(r, MASTER, ROTATE_EOI); // 4 becomes the lowest
    pulse(r, 4);
    pulse(r, 5);
    CHECK_EQ(pic_acknowledge(&r->pic), 0x25);
    put(r, MASTER, EOI);
    CHECK_EQ(pic_acknowledge(&r->pic), 0x20);
    put(r, MASTER, EOI);
    CHECK_EQ(pic_acknowledge(&r->pic), 0x24);
}

static void test_special_mask(struct rig *r)
{
    rig_init(r);
    pulse(r, 1);
    CHECK_EQ(pic_acknowledge(&r->pic), 0x21);
    pulse(r, 6);
    CHECK(!r->intr);
    put(r, MASTER + 1, 0x02);
    put(r, MASTER, 0x68);
    CHECK(r->intr); // IRQ 1, masked, holds nobody back
    CHECK_EQ(pic_acknowledge(&r->pic), 0x26);
    put(r, MASTER, EOI);
    CHECK_EQ(in_service(r, MASTER), 0x02); // a plain EOI does not end a masked one
    put(r, MASTER, 0x48);
    put(r, MASTER, EOI);
    CHECK_EQ(in_service(r, MASTER), 0);
}

static void test_poll(struct rig *r)
{
    rig_init(r);
    put(r, MASTER, 0x0c);
    CHECK_EQ(get(r, MASTER), 0);
    pulse(r, 3);
    put(r, MASTER, 0x0c);
    CHECK_EQ(get(r, MASTER), 0x83);
    CHECK_EQ(in_service(r, MASTER), 0x08);
    CHECK(!r->intr);
}

static void test_level(struct rig *r)
{
    rig_init(r);
    put(r, ELCR, 0xff);
    put(r, ELCR + 1, 0xff);
    CHECK_EQ(get(r, ELCR), 0xf8); // timer, keyboard and cascade stay edges
    CHECK_EQ(get(r, ELCR + 1), 0xde);
    pic_set_line(&r->pic, 5, true);
    CHECK_EQ(pic_acknowledge(&r->pic), 0x25);
    put(r, MASTER, EOI);
    CHECK(r->intr); // still asserted
    pic_set_line(&r->pic, 5, false);
    CHECK(!r->intr);
    pic_set_line(&r->pic, 0, true);
    CHECK_EQ(pic_acknowledge(&r->pic), 0x20);
    put(r, MASTER, EOI);
    CHECK(!r->intr); // an edge counts once
}

int main(void)
{
    static struct rig rig;
    test_reset_state(&rig);
    test_priority(&rig);
    test_mask(&rig);
    test_cascade(&rig);
    test_nested(&rig);
    test_auto_eoi(&rig);
    test_rotation(&rig);
    test_special_mask(&rig);
    test_poll(&rig);
    test_level(&rig);
    return check_done("pic");
}

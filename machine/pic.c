// SPDX-License-Identifier: BSD-2-Clause
// Two 8259As (Intel data sheet 231468): initialisation words ICW1-4, operation words OCW1-3, fixed and rotating
// priority, special mask, special fully nested mode, poll; and the edge/level registers at 0x4d0. The slave's output
// is the master's input 2, which is taken as a level whatever the mode, as the chips behave when wired so.
#include "machine/pic.h"

#include "machine/irq.h"

#define PORT_MASTER 0x20
#define PORT_SLAVE 0xa0
#define PORT_ELCR 0x4d0

#define ICW1 0x10 // in a write to the even port: this is ICW1
#define ICW1_IC4 0x01
#define ICW1_SNGL 0x02
#define ICW1_LTIM 0x08
#define ICW4_AEOI 0x02
#define ICW4_SFNM 0x10
#define OCW3 0x08 // likewise
#define OCW3_RIS 0x01
#define OCW3_RR 0x02
#define OCW3_POLL 0x04
#define OCW3_SMM 0x20
#define OCW3_ESMM 0x40
#define POLL_INTERRUPT 0x80

#define CASCADE_BIT (1u << IRQ_CASCADE)
#define SPURIOUS 7

// ELCR bits that exist: the timer, keyboard, cascade, RTC and FPU lines are always edge-triggered.
static const uint8_t elcr_mask[2] = {0xf8, 0xde};

static bool is_master(const struct pic *p, const struct pic_chip *c)
{
    return c == &p->chip[0];
}

static int highest(const struct pic *p, const struct pic_chip *c);

// The IRR: latched edges, and the level inputs as they are.
static uint8_t requests(const struct pic *p, const struct pic_chip *c)
{
    uint8_t level = c->all_level ? 0xff : c->level;
    uint8_t irr = (c->latched & (uint8_t)~level) | (c->lines & level);
    if (is_master(p, c)) {
        irr &= (uint8_t)~CASCADE_BIT;
        irr |= highest(p, &p->chip[1]) >= 0 ? CASCADE_BIT : 0;
    }
    return irr;
}

// The input to be served next, or -1: the request of highest priority, where nothing in service outranks it.
static int highest(const struct pic *p, const struct pic_chip *c)
{
    if (c->icw_next)
        return -1;
    uint8_t wanted = requests(p, c) & (uint8_t)~c->imr;
    uint8_t blocking = c->special_mask ? c->isr & (uint8_t)~c->imr : c->isr;
    for (unsigned i = 1; i <= 8; i++) {
        unsigned input = (c->lowest + i) % 8;
        uint8_t bit = (uint8_t)(1u << input);
        if (blocking & bit) // in special fully nested mode the slave may interrupt its own service
            return c->nested && is_master(p, c) && input == IRQ_CASCADE && (wanted & bit) ? (int)input : -1;
        if (wanted & bit)
            return (int)input;
    }
    return -1;
}

static void update(struct pic *p)
{
    p->intr(p->ctx, pic_asserted(p));
}

void pic_init(struct pic *p, void (*intr)(void *ctx, bool asserted), void *ctx)
{
    *p = (struct pic){.intr = intr, .ctx = ctx};
    // As a PC's firmware leaves them, but with everything masked: nobody serves these vectors yet.
    for (unsigned i = 0; i < 2; i++)
        p->chip[i] = (struct pic_chip){.imr = 0xff, .lowest = 7, .base = i ? 0x70 : 0x08};
}

void pic_set_line(struct pic *p, unsigned line, bool level)
{
    struct pic_chip *c = &p->chip[line / 8 % 2];
    uint8_t bit = (uint8_t)(1u << line % 8);
    if (level && !(c->lines & bit))
        c->latched |= bit;
    c->lines = level ? c->lines | bit : c->lines & (uint8_t)~bit;
    update(p);
}

bool pic_masked(const struct pic *p, unsigned line)
{
    bool masked = p->chip[line / 8 % 2].imr & (1u << line % 8);
    return masked || (line >= 8 && (p->chip[0].imr & CASCADE_BIT));
}

bool pic_asserted(const struct pic *p)
{
    return highest(p, &p->chip[0]) >= 0;
}

static void end_of_interrupt(struct pic_chip *c, unsigned input, bool rotate)
{
    c->isr &= (uint8_t) ~(1u << input);
    if (rotate)
        c->lowest = (uint8_t)input;
}

// The chip's half of an INTA cycle.
static void accept(struct pic_chip *c, unsigned input)
{
    c->latched &= (uint8_t) ~(1u << input);
    if (!c->auto_eoi)
        c->isr |= (uint8_t)(1u << input);
    else if (c->rotate_auto)
        c->lowest = (uint8_t)input;
}

uint8_t pic_acknowledge(struct pic *p)
{
    struct pic_chip *c = &p->chip[0];
    int input = highest(p, c);
    if (input == IRQ_CASCADE) {
        int slave_input = highest(p, &p->chip[1]);
        accept(c, IRQ_CASCADE);
        c = &p->chip[1];
        input = slave_input;
    }
    if (input >= 0)
        accept(c, (unsigned)input);
    uint8_t vector = c->base + (uint8_t)(input >= 0 ? input : SPURIOUS);
    update(p);
    return vector;
}

static void write_icw1(struct pic_chip *c, uint8_t value)
{
    c->icw_next = 2;
    c->needs_icw4 = value & ICW1_IC4;
    c->single = value & ICW1_SNGL;
    c->all_level = value & ICW1_LTIM;
    c->latched = c->isr = c->imr = 0;
    c->lowest = 7;
    c->auto_eoi = c->nested = c->rotate_auto = c->special_mask = c->read_isr = c->poll = false;
}

// The input in service that has the highest priority, or -1: what a non-specific EOI ends.
static int in_service(const struct pic_chip *c)
{
    uint8_t isr = c->special_mask ? c->isr & (uint8_t)~c->imr : c->isr;
    for (unsigned i = 1; i <= 8; i++) {
        unsigned input = (c->lowest + i) % 8;
        if (isr & (1u << input))
            return (int)input;
    }
    return -1;
}

static void write_ocw2(struct pic_chip *c, uint8_t value)
{
    unsigned named = value & 7;
    bool rotate = value & 0x80;
    switch (value >> 5) { // R, SL, EOI
    case 0:
    case 4:
        c->rotate_auto = rotate;
        break;
    case 1:
    case 5: {
        int input = in_service(c);
        if (input >= 0)
            end_of_interrupt(c, (unsigned)input, rotate);
        break;
    }
    case 3:
    case 7:
        end_of_interrupt(c, named, rotate);
        break;
    case 6:
        c->lowest = (uint8_t)named;
        break;
    default: // 2: no operation
        break;
    }
}

static void write_ocw3(struct pic_chip *c, uint8_t value)
{
    if (value & OCW3_ESMM)
        c->special_mask = value & OCW3_SMM;
    if (value & OCW3_POLL)
        c->poll = true;
    else if (value & OCW3_RR)
        c->read_isr = value & OCW3_RIS;
}

// A write to the odd port: the initialisation word that is due, or the mask.
static void write_odd(struct pic_chip *c, uint8_t value)
{
    switch (c->icw_next) {
    case 2:
        c->base = value & 0xf8;
        c->icw_next = !c->single ? 3 : c->needs_icw4 ? 4 : 0;
        break;
    case 3: // how the chips are wired is known
        c->icw_next = c->needs_icw4 ? 4 : 0;
        break;
    case 4:
        c->auto_eoi = value & ICW4_AEOI;
        c->nested = value & ICW4_SFNM;
        c->icw_next = 0;
        break;
    default: // OCW1
        c->imr = value;
        break;
    }
}

static uint8_t poll(struct pic *p, struct pic_chip *c)
{
    int input = highest(p, c);
    c->poll = false;
    if (input < 0)
        return 0;
    accept(c, (unsigned)input);
    update(p);
    return (uint8_t)(POLL_INTERRUPT | input);
}

static struct pic_chip *chip_at(struct pic *p, uint16_t port)
{
    return &p->chip[(port & ~1u) == PORT_SLAVE];
}

static enum vcpu_exit pic_read(void *dev, uint16_t port, unsigned size, uint32_t *value)
{
    struct pic *p = dev;
    struct pic_chip *c = chip_at(p, port);
    (void)size;
    if (c->poll)
        *value = poll(p, c);
    else if (port & 1)
        *value = c->imr;
    else
        *value = c->read_isr ? c->isr : requests(p, c);
    return VCPU_CONTINUE;
}

static enum vcpu_exit pic_write(void *dev, uint16_t port, unsigned size, uint32_t value)
{
    struct pic *p = dev;
    struct pic_chip *c = chip_at(p, port);
    (void)size;
    if (port & 1)
        write_odd(c, (uint8_t)value);
    else if (value & ICW1)
        write_icw1(c, (uint8_t)value);
    else if (value & OCW3)
        write_ocw3(c, (uint8_t)value);
    else
        write_ocw2(c, (uint8_t)value);
    update(p);
    return VCPU_CONTINUE;
}

static enum vcpu_exit elcr_read(void *dev, uint16_t port, unsigned size, uint32_t *value)
{
    struct pic *p = dev;
    (void)size;
    *value = p->chip[port - PORT_ELCR].level;
    return VCPU_CONTINUE;
}

static enum vcpu_exit elcr_write(void *dev, uint16_t port, unsigned size, uint32_t value)
{
    struct pic *p = dev;
    unsigned i = port - PORT_ELCR;
    (void)size;
    p->chip[i].level = (uint8_t)value & elcr_mask[i];
    update(p);
    return VCPU_CONTINUE;
}

void pic_attach(struct pic *p, struct bus *b)
{
    bus_add_pio(b, &(struct pio_range){PORT_MASTER, 2, 1, p, pic_read, pic_write});
    bus_add_pio(b, &(struct pio_range){PORT_SLAVE, 2, 1, p, pic_read, pic_write});
    bus_add_pio(b, &(struct pio_range){PORT_ELCR, 2, 1, p, elcr_read, elcr_write});
}

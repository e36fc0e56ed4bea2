// SPDX-License-Identifier: BSD-2-Clause
// An 8254 (Intel data sheet 231164). Nothing counts here: a channel keeps the clock tick at which its count was loaded,
// and count and output follow from the ticks since, by mode. One simplification: a new count takes effect at once, also
// in modes 2 and 3, where the chip finishes the period first.
#include "machine/pit.h"

#define PIT_HZ 1193182ull
#define PORT_CHANNEL0 0x40
#define PORT_CONTROL 0x43
#define PORT_SYSTEM 0x61 // "system control port B"

#define ACCESS_BOTH 3
#define CONTROL_READ_BACK 3 // in the channel field
#define READ_BACK_NO_COUNT 0x20
#define READ_BACK_NO_STATUS 0x10
#define STATUS_OUT 0x80
#define STATUS_NULL_COUNT 0x40

#define SYSTEM_GATE2 0x01
#define SYSTEM_SPEAKER 0x02
#define SYSTEM_REFRESH 0x10
#define SYSTEM_OUT2 0x20
#define REFRESH_NS 15085 // the refresh request toggles at this pace

static uint64_t tick_of(uint64_t ns)
{
    return mul_div(ns, PIT_HZ, NS_PER_SECOND);
}

// The first nanosecond of a tick.
static uint64_t ns_of(uint64_t tick)
{
    return mul_div(tick, NS_PER_SECOND, PIT_HZ) + 1;
}

static uint64_t ticks_now(const struct pit *p)
{
    return tick_of(clock_now(p->clock));
}

static bool periodic(const struct pit_channel *c)
{
    return c->mode == 2 || c->mode == 3;
}

static bool needs_trigger(const struct pit_channel *c)
{
    return c->mode == 1 || c->mode == 5;
}

static bool running(const struct pit_channel *c)
{
    return c->armed && (!needs_trigger(c) || c->triggered);
}

// Clock ticks that the count has seen.
static uint64_t elapsed(const struct pit_channel *c, uint64_t tick)
{
    return c->gate || needs_trigger(c) ? tick - c->start : c->frozen;
}

static bool output(const struct pit_channel *c, uint64_t tick)
{
    if (!c->programmed)
        return false;
    if (!running(c))
        return c->mode != 0;
    uint64_t e = elapsed(c, tick);
    switch (c->mode) {
    case 0:
    case 1:
        return e >= c->count;
    case 2:
        return !c->gate || c->count == 1 || e % c->count != c->count - 1;
    case 3:
        return !c->gate || e % c->count < (c->count + 1) / 2;
    default:
        return e != c->count;
    }
}

// How often the output has risen since the count was loaded.
static uint64_t rises(const struct pit_channel *c, uint64_t tick)
{
    if (!running(c))
        return 0;
    uint64_t e = elapsed(c, tick);
    if (periodic(c))
        return e / c->count;
    return c->mode >= 4 ? e > c->count : e >= c->count;
}

static uint16_t to_bcd(uint32_t v)
{
    return (uint16_t)(v % 10 | v / 10 % 10 << 4 | v / 100 % 10 << 8 | v / 1000 % 10 << 12);
}

static uint32_t from_bcd(uint16_t v)
{
    return (v & 15u) + (v >> 4 & 15u) * 10 + (v >> 8 & 15u) * 100 + (v >> 12) * 1000u;
}

// The counting element as a read shows it.
static uint16_t count_value(const struct pit_channel *c, uint64_t tick)
{
    uint64_t e = running(c) ? elapsed(c, tick) : 0;
    uint32_t wrap = c->bcd ? 10000 : 65536;
    uint32_t value;
    if (!c->armed)
        value = 0;
    else if (c->mode == 2)
        value = (uint32_t)(c->count - e % c->count);
    else if (c->mode == 3) // by twos, twice a period
        value = (uint32_t)((c->count & ~1u) - 2 * (e % c->count % ((c->count + 1) / 2)));
    else
        value = (uint32_t)((c->count + wrap - e % wrap) % wrap);
    return c->bcd ? to_bcd(value) : (uint16_t)value;
}

static void load(struct pit_channel *c, uint16_t raw, uint64_t tick)
{
    uint32_t value = c->bcd ? from_bcd(raw) : raw;
    c->count = value ? value : c->bcd ? 10000 : 65536;
    c->armed = c->programmed;
    c->triggered = false;
    c->start = tick;
    c->frozen = 0;
    c->fired = 0;
}

static void write_count(struct pit *p, struct pit_channel *c, uint8_t value)
{
    uint64_t tick = ticks_now(p);
    if (c->access == 1) {
        load(c, value, tick);
    } else if (c->access == 2) {
        load(c, (uint16_t)(value << 8), tick);
    } else if (!c->write_high) {
        c->write_low = value;
        c->write_high = true;
        if (c->mode == 0) // the first byte stops the count
            c->armed = false;
    } else {
        c->write_high = false;
        load(c, (uint16_t)(value << 8 | c->write_low), tick);
    }
}

static uint8_t read_count(struct pit *p, struct pit_channel *c)
{
    if (c->status_latched) {
        c->status_latched = false;
        return c->status_latch;
    }
    uint16_t value = c->count_latched ? c->count_latch : count_value(c, ticks_now(p));
    bool high = c->access == 2 || (c->access == ACCESS_BOTH && c->read_high);
    c->read_high = c->access == ACCESS_BOTH && !c->read_high;
    if (!c->read_high)
        c->count_latched = false;
    return (uint8_t)(high ? value >> 8 : value);
}

static void latch_count(struct pit_channel *c, uint64_t tick)
{
    if (c->count_latched) // the first latch stays until it is read
        return;
    c->count_latched = true;
    c->count_latch = count_value(c, tick);
}

static void latch_status(struct pit_channel *c, uint64_t tick)
{
    if (c->status_latched)
        return;
    c->status_latched = true;
    c->status_latch = (uint8_t)((output(c, tick) ? STATUS_OUT : 0) | (c->armed ? 0 : STATUS_NULL_COUNT) |
                                c->access << 4 | c->mode << 1 | c->bcd);
}

static void set_mode(struct pit *p, unsigned index, uint8_t control)
{
    struct pit_channel *c = &p->channel[index];
    uint8_t mode = control >> 1 & 7;
    bool gate = c->gate;
    *c = (struct pit_channel){
        .access = control >> 4 & 3, .mode = mode > 5 ? mode - 4 : mode, .bcd = control & 1, .gate = gate};
    c->programmed = true;
    if (index == 0 && mode == 0)
        irq_set(&p->irq, IRQ_TIMER, false);
}

static void write_control(struct pit *p, uint8_t value)
{
    unsigned index = value >> 6;
    uint64_t tick = ticks_now(p);
    if (index == CONTROL_READ_BACK) {
        for (unsigned i = 0; i < 3; i++) {
            if (!(value & (2u << i)))
                continue;
            if (!(value & READ_BACK_NO_COUNT))
                latch_count(&p->channel[i], tick);
            if (!(value & READ_BACK_NO_STATUS))
                latch_status(&p->channel[i], tick);
        }
    } else if (!(value >> 4 & 3)) {
        latch_count(&p->channel[index], tick);
    } else {
        set_mode(p, index, value);
    }
}

static void set_gate(struct pit_channel *c, bool gate, uint64_t tick)
{
    if (gate == c->gate)
        return;
    if (!gate) {
        c->frozen = tick - c->start;
    } else if (needs_trigger(c)) {
        c->triggered = true;
        c->start = tick;
    } else {
        c->start = periodic(c) ? tick : tick - c->frozen; // modes 2 and 3 begin anew
    }
    c->gate = gate;
}

void pit_init(struct pit *p, struct machine_clock *clock, struct irq_out irq)
{
    *p = (struct pit){.clock = clock, .irq = irq};
    for (unsigned i = 0; i < 3; i++) {
        p->channel[i].access = ACCESS_BOTH;
        p->channel[i].gate = i != 2;
    }
}

void pit_tick(struct pit *p, uint64_t now)
{
    struct pit_channel *c = &p->channel[0];
    uint64_t n = rises(c, tick_of(now));
    if (n > c->fired) { // periods that nobody looked at have merged into one interrupt, as in the PIC
        c->fired = n;
        irq_pulse_up(&p->irq, IRQ_TIMER);
    }
}

uint64_t pit_deadline(const struct pit *p)
{
    const struct pit_channel *c = &p->channel[0];
    if (!running(c) || (!periodic(c) && c->fired))
        return NEVER;
    return ns_of(c->start + (c->fired + 1) * c->count + (c->mode >= 4));
}

static enum vcpu_exit pit_read(void *dev, uint16_t port, unsigned size, uint32_t *value)
{
    struct pit *p = dev;
    (void)size;
    if (port != PORT_CONTROL) // which cannot be read
        *value = read_count(p, &p->channel[port - PORT_CHANNEL0]);
    return VCPU_CONTINUE;
}

static enum vcpu_exit pit_write(void *dev, uint16_t port, unsigned size, uint32_t value)
{
    struct pit *p = dev;
    (void)size;
    pit_tick(p, clock_now(p->clock)); // what was due came before this
    p->clock->moved = true;
    if (port == PORT_CONTROL)
        write_control(p, (uint8_t)value);
    else
        write_count(p, &p->channel[port - PORT_CHANNEL0], (uint8_t)value);
    return VCPU_CONTINUE;
}

static enum vcpu_exit system_read(void *dev, uint16_t port, unsigned size, uint32_t *value)
{
    struct pit *p = dev;
    uint64_t now = clock_now(p->clock);
    (void)port, (void)size;
    *value = (p->channel[2].gate ? SYSTEM_GATE2 : 0u) | (p->speaker ? SYSTEM_SPEAKER : 0u) |
             (now / REFRESH_NS & 1 ? SYSTEM_REFRESH : 0u) | (output(&p->channel[2], tick_of(now)) ? SYSTEM_OUT2 : 0u);
    return VCPU_CONTINUE;
}

static enum vcpu_exit system_write(void *dev, uint16_t port, unsigned size, uint32_t value)
{
    struct pit *p = dev;
    (void)port, (void)size;
    set_gate(&p->channel[2], value & SYSTEM_GATE2, ticks_now(p));
    p->speaker = value & SYSTEM_SPEAKER;
    return VCPU_CONTINUE;
}

void pit_attach(struct pit *p, struct bus *b)
{
    bus_add_pio(b, &(struct pio_range){PORT_CHANNEL0, 4, 1, p, pit_read, pit_write});
    bus_add_pio(b, &(struct pio_range){PORT_SYSTEM, 1, 1, p, system_read, system_write});
}

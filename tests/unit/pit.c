// SPDX-License-Identifier: BSD-2-Clause
// The 8254 under a clock that stands still until it is told: counts, outputs and interrupts of each mode, latches,
// read-back, the gate of counter 2.
#include "machine/pit.h"

#include "tests/unit/check.h"

enum { CHANNEL0 = 0x40, CHANNEL2 = 0x42, CONTROL = 0x43, SYSTEM = 0x61 };
#define PIT_HZ 1193182ull

struct rig {
    struct bus bus;
    struct pit pit;
    struct machine_clock clock;
    uint64_t now;
    bool irq;
    unsigned edges;
};

static uint64_t rig_now(void *ctx)
{
    return ((struct rig *)ctx)->now;
}

static void line(void *ctx, unsigned number, bool level)
{
    struct rig *r = ctx;
    CHECK_SAY(number == IRQ_TIMER, "it drives IRQ 0");
    r->edges += level && !r->irq;
    r->irq = level;
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

static uint32_t get16(struct rig *r, uint16_t port)
{
    uint32_t low = get(r, port);
    return low | get(r, port) << 8;
}

static void put16(struct rig *r, uint16_t port, uint32_t value)
{
    put(r, port, value & 0xff);
    put(r, port, value >> 8);
}

static void rig_init(struct rig *r)
{
    memset(r, 0, sizeof(*r));
    r->clock = (struct machine_clock){.now = rig_now, .ctx = r};
    pit_init(&r->pit, &r->clock, (struct irq_out){line, r});
    pit_attach(&r->pit, &r->bus);
}

// To the start of a tick counted from 0.
static void at_tick(struct rig *r, uint64_t tick)
{
    r->now = mul_div(tick, NS_PER_SECOND, PIT_HZ) + 1;
    pit_tick(&r->pit, r->now);
}

static uint64_t deadline_tick(struct rig *r)
{
    uint64_t d = pit_deadline(&r->pit);
    return d == NEVER ? NEVER : mul_div(d, PIT_HZ, NS_PER_SECOND);
}

static void test_periodic(struct rig *r)
{
    rig_init(r);
    CHECK_EQ(pit_deadline(&r->pit), NEVER);
    put(r, CONTROL, 0x34);
    CHECK_EQ(pit_deadline(&r->pit), NEVER); // no count yet
    put16(r, CHANNEL0, 1000);
    CHECK(r->clock.moved);
    CHECK_EQ(deadline_tick(r), 1000);
    at_tick(r, 300);
    CHECK_EQ(get16(r, CHANNEL0), 700);
    at_tick(r, 999);
    CHECK_EQ(r->edges, 0);
    at_tick(r, 1000);
    CHECK_EQ(r->edges, 1);
    CHECK_EQ(get16(r, CHANNEL0), 1000);
    CHECK_EQ(deadline_tick(r), 2000);
    at_tick(r, 5500); // late: what was missed is one interrupt, and the rhythm stays
    CHECK_EQ(r->edges, 2);
    CHECK_EQ(deadline_tick(r), 6000);
    at_tick(r, 5900);
    CHECK_EQ(r->edges, 2);
    put(r, CONTROL, 0x36); // mode 3 counts by twos
    put16(r, CHANNEL0, 0);
    at_tick(r, 5900 + 100);
    CHECK_EQ(get16(r, CHANNEL0), 65536 - 200);
    CHECK_EQ(deadline_tick(r), 5900 + 65536);
}

static void test_one_shot(struct rig *r)
{
    rig_init(r);
    put(r, CONTROL, 0x30); // mode 0
    put16(r, CHANNEL0, 500);
    at_tick(r, 499);
    CHECK(!r->irq);
    CHECK_EQ(get16(r, CHANNEL0), 1);
    at_tick(r, 500);
    CHECK(r->irq && r->edges == 1);
    CHECK_EQ(pit_deadline(&r->pit), NEVER);
    at_tick(r, 502);
    CHECK_EQ(get16(r, CHANNEL0), 0xfffe); // it counts on
    put16(r, CHANNEL0, 100);              // a new count, a new interrupt
    at_tick(r, 602);
    CHECK_EQ(r->edges, 2);
    put(r, CONTROL, 0x30);
    CHECK(!r->irq); // the output falls with the control word

    put(r, CONTROL, 0x38); // mode 4: a strobe after the count
    put16(r, CHANNEL0, 100);
    CHECK_EQ(deadline_tick(r), 602 + 101);
    at_tick(r, 703);
    CHECK_EQ(r->edges, 3);
    CHECK_EQ(pit_deadline(&r->pit), NEVER);
}

static void test_access(struct rig *r)
{
    rig_init(r);
    put(r, CONTROL, 0x14); // low byte only
    put(r, CHANNEL0, 200);
    at_tick(r, 50);
    CHECK_EQ(get(r, CHANNEL0), 150);
    CHECK_EQ(get(r, CHANNEL0), 150);
    put(r, CONTROL, 0x24); // high byte only
    put(r, CHANNEL0, 2);
    at_tick(r, 50 + 1);
    CHECK_EQ(get(r, CHANNEL0), 1); // 511
    put(r, CONTROL, 0x35);         // BCD
    put16(r, CHANNEL0, 0x1000);
    at_tick(r, 51 + 1);
    CHECK_EQ(get16(r, CHANNEL0), 0x0999);
    put16(r, CHANNEL0, 0); // 10000
    CHECK_EQ(deadline_tick(r), 52 + 10000);
    put16(r, CHANNEL0, 0xffff); // no BCD number: it must only not hurt
    at_tick(r, 100);
    (void)get16(r, CHANNEL0);
}

static void test_latch(struct rig *r)
{
    rig_init(r);
    put(r, CONTROL, 0x34);
    put16(r, CHANNEL0, 1000);
    at_tick(r, 100);
    put(r, CONTROL, 0x00);
    at_tick(r, 200);
    put(r, CONTROL, 0x00); // the first latch stays
    CHECK_EQ(get16(r, CHANNEL0), 900);
    CHECK_EQ(get16(r, CHANNEL0), 800);
    put(r, CONTROL, 0xc2); // read back count and status of channel 0
    at_tick(r, 300);
    CHECK_EQ(get(r, CHANNEL0), 0x80 | 0x34); // output high, counting, as programmed
    CHECK_EQ(get16(r, CHANNEL0), 800);
    CHECK_EQ(get16(r, CHANNEL0), 700);
    put(r, CONTROL, 0x30);
    put(r, CONTROL, 0xe2);
    CHECK_EQ(get(r, CHANNEL0), 0x40 | 0x30); // output low, no count yet
}

// As Linux calibrates its TSC: counter 2 in mode 0, gate on, wait for the output.
static void test_speaker(struct rig *r)
{
    rig_init(r);
    put(r, SYSTEM, 1);
    put(r, CONTROL, 0xb0);
    put16(r, CHANNEL2, 10000);
    CHECK_EQ(get(r, SYSTEM) & 0x21, 0x01);
    at_tick(r, 4000);
    put(r, SYSTEM, 2); // the gate stops the count
    CHECK_EQ(get(r, SYSTEM) & 0x23, 0x02);
    at_tick(r, 9000);
    CHECK_EQ(get16(r, CHANNEL2), 6000);
    put(r, SYSTEM, 1);
    at_tick(r, 9000 + 5999);
    CHECK_EQ(get(r, SYSTEM) & 0x20, 0);
    at_tick(r, 9000 + 6000);
    CHECK_EQ(get(r, SYSTEM) & 0x20, 0x20);
    CHECK_EQ(r->edges, 0); // no interrupt of its own
    uint32_t refresh = get(r, SYSTEM) & 0x10;
    r->now += 15085;
    CHECK(refresh != (get(r, SYSTEM) & 0x10));
}

static void test_triggered(struct rig *r)
{
    rig_init(r);
    put(r, CONTROL, 0xb2); // mode 1: one-shot from the gate's edge
    put16(r, CHANNEL2, 100);
    at_tick(r, 500);
    CHECK_EQ(get(r, SYSTEM) & 0x20, 0x20); // idle: high
    put(r, SYSTEM, 1);
    CHECK_EQ(get(r, SYSTEM) & 0x20, 0);
    at_tick(r, 599);
    CHECK_EQ(get(r, SYSTEM) & 0x20, 0);
    at_tick(r, 600);
    CHECK_EQ(get(r, SYSTEM) & 0x20, 0x20);
    put(r, CONTROL, 0xb6); // mode 3: a square wave
    put16(r, CHANNEL2, 100);
    at_tick(r, 600 + 49);
    CHECK_EQ(get(r, SYSTEM) & 0x20, 0x20);
    at_tick(r, 600 + 50);
    CHECK_EQ(get(r, SYSTEM) & 0x20, 0);
    at_tick(r, 600 + 100);
    CHECK_EQ(get(r, SYSTEM) & 0x20, 0x20);
}

int main(void)
{
    static struct rig rig;
    test_periodic(&rig);
    test_one_shot(&rig);
    test_access(&rig);
    test_latch(&rig);
    test_speaker(&rig);
    test_triggered(&rig);
    return check_done("pit");
}

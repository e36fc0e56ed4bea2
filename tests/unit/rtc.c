// SPDX-License-Identifier: BSD-2-Clause
// The real-time clock under a clock that stands still until it is told: formats, setting the time, update-in-progress,
// the three interrupts, memory sizes.
#include "machine/rtc.h"

#include "tests/unit/check.h"

enum { SECOND, SECOND_ALARM, MINUTE, MINUTE_ALARM, HOUR, HOUR_ALARM, WEEKDAY, DAY, MONTH, YEAR, A, B, C, D };
enum { CENTURY = 0x32, MILLION = 1000000 };

#define START 1000000007ull                  // of the machine's clock, when the rig is made
#define WALL (1709251198ull * NS_PER_SECOND) // 2024-02-29 23:59:58 UTC, a Thursday

struct rig {
    struct bus bus;
    struct rtc rtc;
    struct machine_clock clock;
    uint64_t now;
    bool irq;
};

static uint64_t rig_now(void *ctx)
{
    return ((struct rig *)ctx)->now;
}

static void line(void *ctx, unsigned number, bool level)
{
    CHECK_SAY(number == IRQ_RTC, "it drives IRQ 8");
    ((struct rig *)ctx)->irq = level;
}

static void put(struct rig *r, unsigned reg, uint32_t value)
{
    bus_pio_write(&r->bus, 0x70, 1, reg);
    bus_pio_write(&r->bus, 0x71, 1, value);
}

static uint32_t get(struct rig *r, unsigned reg)
{
    uint32_t value;
    bus_pio_write(&r->bus, 0x70, 1, reg | 0x80); // the NMI mask is not part of the index
    bus_pio_read(&r->bus, 0x71, 1, &value);
    return value;
}

static void rig_init(struct rig *r, uint64_t ram_bytes)
{
    memset(r, 0, sizeof(*r));
    r->now = START;
    r->clock = (struct machine_clock){.now = rig_now, .ctx = r};
    rtc_init(&r->rtc, &r->clock, (struct irq_out){line, r}, WALL, ram_bytes);
    rtc_attach(&r->rtc, &r->bus);
}

static void after(struct rig *r, uint64_t ns)
{
    r->now += ns;
    rtc_tick(&r->rtc, r->now);
}

static uint32_t hms(struct rig *r)
{
    return get(r, HOUR) << 16 | get(r, MINUTE) << 8 | get(r, SECOND);
}

static uint32_t cymd(struct rig *r)
{
    return get(r, CENTURY) << 24 | get(r, YEAR) << 16 | get(r, MONTH) << 8 | get(r, DAY);
}

static void test_formats(struct rig *r)
{
    rig_init(r, 8 << 20);
    CHECK_EQ(hms(r), 0x235958);
    CHECK_EQ(cymd(r), 0x20240229);
    CHECK_EQ(get(r, WEEKDAY), 5);
    CHECK_EQ(get(r, D), 0x80);
    put(r, B, 6); // binary
    CHECK_EQ(hms(r), 23 << 16 | 59 << 8 | 58);
    put(r, B, 4); // binary, 12 hours
    CHECK_EQ(get(r, HOUR), 0x80 | 11);
    put(r, B, 0); // BCD, 12 hours
    CHECK_EQ(get(r, HOUR), 0x80 | 0x11);
    after(r, 2 * NS_PER_SECOND);
    CHECK_EQ(hms(r), 0x120000); // midnight
    CHECK_EQ(cymd(r), 0x20240301);
    CHECK_EQ(get(r, WEEKDAY), 6);
}

static void test_setting(struct rig *r)
{
    rig_init(r, 8 << 20);
    put(r, MINUTE, 0x30); // while it runs
    CHECK_EQ(hms(r), 0x233058);
    put(r, B, 0x82);
    after(r, 10 * NS_PER_SECOND);
    CHECK_EQ(hms(r), 0x233058); // it stands still
    put(r, HOUR, 0x07);
    put(r, SECOND, 0x00);
    put(r, YEAR, 0x99);
    put(r, CENTURY, 0x19);
    put(r, MONTH, 0x12);
    put(r, DAY, 0x31);
    put(r, B, 0x02);
    CHECK_EQ(cymd(r), 0x19991231);
    after(r, 61 * NS_PER_SECOND);
    CHECK_EQ(hms(r), 0x073101);
    put(r, A, 0x76); // the divider in reset stops it too
    after(r, 5 * NS_PER_SECOND);
    CHECK_EQ(hms(r), 0x073101);
    put(r, A, 0x26);
    after(r, 499 * MILLION); // then the next second comes after half of one
    CHECK_EQ(hms(r), 0x073101);
    after(r, 2 * MILLION);
    CHECK_EQ(hms(r), 0x073102);
    for (unsigned reg = 0; reg < 10; reg++) // no date at all: it must only not hurt
        put(r, reg, 0xff);
    put(r, CENTURY, 0xff);
    after(r, NS_PER_SECOND);
    (void)cymd(r);
    put(r, CENTURY, 0);
    (void)cymd(r);
    CHECK_EQ(get(r, C) & 0x0f, 0);
}

static void test_update_in_progress(struct rig *r)
{
    rig_init(r, 8 << 20);
    CHECK_EQ(get(r, A), 0x26);
    after(r, NS_PER_SECOND - 244001);
    CHECK_EQ(get(r, A), 0x26);
    after(r, 1);
    CHECK_EQ(get(r, A), 0xa6);
    CHECK_EQ(hms(r), 0x235958);
    after(r, 244000);
    CHECK_EQ(get(r, A), 0x26);
    CHECK_EQ(hms(r), 0x235959);
}

static void test_update_interrupt(struct rig *r)
{
    rig_init(r, 8 << 20);
    CHECK_EQ(rtc_deadline(&r->rtc), NEVER);
    after(r, NS_PER_SECOND);
    CHECK(!r->irq);
    CHECK_EQ(get(r, C) & 0x90, 0x10); // the flag comes without the interrupt
    r->clock.moved = false;
    put(r, B, 0x12);
    CHECK(r->clock.moved);
    CHECK_EQ(rtc_deadline(&r->rtc), START + 2 * NS_PER_SECOND);
    after(r, NS_PER_SECOND);
    CHECK(r->irq);
    CHECK_EQ(rtc_deadline(&r->rtc), NEVER); // until C is read
    CHECK_EQ(get(r, C) & 0x90, 0x90);
    CHECK(!r->irq);
    CHECK_EQ(get(r, C), 0);
    CHECK_EQ(rtc_deadline(&r->rtc), START + 3 * NS_PER_SECOND);
    put(r, B, 0x92); // SET turns it off
    CHECK_EQ(get(r, B), 0x82);
}

static void test_periodic_interrupt(struct rig *r)
{
    rig_init(r, 8 << 20);
    put(r, B, 0x42);
    get(r, C);
    uint64_t first = rtc_deadline(&r->rtc);
    CHECK(first > r->now && first <= r->now + NS_PER_SECOND / 1024 + 1);
    unsigned interrupts = 0;
    for (unsigned i = 0; i < 1024; i++) {
        after(r, rtc_deadline(&r->rtc) - r->now);
        interrupts += r->irq && (get(r, C) & 0xc0) == 0xc0;
    }
    CHECK_EQ(interrupts, 1024);
    CHECK(r->now >= first + 1023 * NS_PER_SECOND / 1024 && r->now <= first + 1023 * NS_PER_SECOND / 1024 + 1000000);
    put(r, A, 0x20); // no rate
    CHECK_EQ(rtc_deadline(&r->rtc), NEVER);
    put(r, A, 0x2f); // 2 Hz
    CHECK(rtc_deadline(&r->rtc) > r->now && rtc_deadline(&r->rtc) <= r->now + NS_PER_SECOND / 2 + 1);
}

static void test_alarm(struct rig *r)
{
    rig_init(r, 8 << 20);
    put(r, SECOND_ALARM, 0x05);
    put(r, MINUTE_ALARM, 0xff); // each minute
    put(r, HOUR_ALARM, 0x00);
    put(r, B, 0x22);
    for (unsigned i = 0; i < 6; i++) { // 23:59:59 to 00:00:04
        after(r, NS_PER_SECOND);
        CHECK(!r->irq);
    }
    after(r, NS_PER_SECOND);
    CHECK(r->irq);
    CHECK_EQ(get(r, C) & 0xa0, 0xa0);
    after(r, 3 * 86400 * NS_PER_SECOND); // nobody looked for days
    CHECK(r->irq);
}

static void test_memory(struct rig *r)
{
    rig_init(r, 8 << 20);
    CHECK_EQ(get(r, 0x15) | get(r, 0x16) << 8, 640);
    CHECK_EQ(get(r, 0x30) | get(r, 0x31) << 8, 7 * 1024);
    CHECK_EQ(get(r, 0x34) | get(r, 0x35) << 8, 0);
    rig_init(r, 5ull << 30);
    CHECK_EQ(get(r, 0x17) | get(r, 0x18) << 8, 0xffff);
    CHECK_EQ(get(r, 0x34) | get(r, 0x35) << 8, (RAM_HOLE_START - (16 << 20)) >> 16);
    CHECK_EQ(get(r, 0x5b) | get(r, 0x5c) << 8 | get(r, 0x5d) << 16, (2ull << 30) >> 16);
    put(r, 0x7f, 0x5a);
    CHECK_EQ(get(r, 0x7f), 0x5a);
}

int main(void)
{
    static struct rig rig;
    test_formats(&rig);
    test_setting(&rig);
    test_update_in_progress(&rig);
    test_update_interrupt(&rig);
    test_periodic_interrupt(&rig);
    test_alarm(&rig);
    test_memory(&rig);
    return check_done("rtc");
}

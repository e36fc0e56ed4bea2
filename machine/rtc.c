// SPDX-License-Identifier: BSD-2-Clause
// A real-time clock (Motorola MC146818A data sheet). Time of day follows from the host's clock and an offset that the
// guest may set; the flags of register C follow from what has passed since they were last looked at.
#include "machine/rtc.h"

#include <time.h>

#define PORT_INDEX 0x70
#define CRYSTAL_HZ 32768ull
#define DAY_SECONDS 86400ull
#define UPDATE_WARNING_NS 244000ull // UIP is set that long before an update
#define LATEST_SECOND 7258118400ll  // 2200-01-01: what a guest may set stays far from overflow
#define DONT_CARE 0xc0              // an alarm byte from here up matches everything
#define HOUR_PM 0x80                // in 12-hour mode
#define INDEX_MASK (CMOS_BYTES - 1) // bit 7 of the index port masks NMI, which nothing here raises

enum {
    REG_SECOND,
    REG_SECOND_ALARM,
    REG_MINUTE,
    REG_MINUTE_ALARM,
    REG_HOUR,
    REG_HOUR_ALARM,
    REG_WEEKDAY,
    REG_DAY,
    REG_MONTH,
    REG_YEAR,
    REG_A,
    REG_B,
    REG_C,
    REG_D,
    REG_CENTURY = 0x32,
};
enum { A_UIP = 0x80, A_DIVIDER = 0x70, A_RUNNING = 0x20, A_RATE = 15 };
enum { B_SET = 0x80, B_UPDATE = 0x10, B_BINARY = 4, B_24H = 2 };
enum { C_IRQ = 0x80, C_PERIODIC = 0x40, C_ALARM = 0x20, C_UPDATE = 0x10, C_FLAGS = 0x70 };
enum { D_VALID = 0x80 };

static bool divider_runs(const struct rtc *r)
{
    return (r->cmos[REG_A] & A_DIVIDER) == A_RUNNING;
}

static bool stands_still(const struct rtc *r)
{
    return (r->cmos[REG_B] & B_SET) || !divider_runs(r);
}

static uint64_t wall(const struct rtc *r, uint64_t now)
{
    return now + (uint64_t)r->wall_offset;
}

static bool is_time(unsigned reg)
{
    return reg == REG_SECOND || reg == REG_MINUTE || reg == REG_HOUR || (reg >= REG_WEEKDAY && reg <= REG_YEAR) ||
           reg == REG_CENTURY;
}

static uint8_t encode(const struct rtc *r, unsigned v)
{
    return (uint8_t)(r->cmos[REG_B] & B_BINARY ? v : v / 10 << 4 | v % 10);
}

static unsigned decode(const struct rtc *r, uint8_t v)
{
    return r->cmos[REG_B] & B_BINARY ? v : (v >> 4) * 10u + (v & 15u);
}

static uint8_t encode_hour(const struct rtc *r, unsigned hour)
{
    if (r->cmos[REG_B] & B_24H)
        return encode(r, hour);
    unsigned twelve = hour % 12 ? hour % 12 : 12;
    return encode(r, twelve) | (hour >= 12 ? HOUR_PM : 0);
}

static unsigned decode_hour(const struct rtc *r, uint8_t v)
{
    if (r->cmos[REG_B] & B_24H)
        return decode(r, v);
    return decode(r, v & (HOUR_PM - 1)) % 12 + (v & HOUR_PM ? 12 : 0);
}

static uint8_t time_register(const struct rtc *r, unsigned reg, uint64_t now)
{
    time_t seconds = (time_t)(wall(r, now) / NS_PER_SECOND);
    struct tm t;
    gmtime_r(&seconds, &t);
    switch (reg) {
    case REG_SECOND:
        return encode(r, (unsigned)t.tm_sec);
    case REG_MINUTE:
        return encode(r, (unsigned)t.tm_min);
    case REG_HOUR:
        return encode_hour(r, (unsigned)t.tm_hour);
    case REG_WEEKDAY: // follows from the date; what the guest writes is not kept
        return encode(r, (unsigned)t.tm_wday + 1);
    case REG_DAY:
        return encode(r, (unsigned)t.tm_mday);
    case REG_MONTH:
        return encode(r, (unsigned)t.tm_mon + 1);
    case REG_YEAR:
        return encode(r, (unsigned)t.tm_year % 100);
    default:
        return encode(r, (unsigned)(t.tm_year + 1900) / 100);
    }
}

// Puts the time into the registers, where it stays while the clock stands still.
static void freeze_time(struct rtc *r, uint64_t now)
{
    for (unsigned reg = 0; reg < CMOS_BYTES; reg++)
        if (is_time(reg))
            r->cmos[reg] = time_register(r, reg, now);
}

// Makes the registers' time the current one, `fraction` nanoseconds into its second.
static void set_time(struct rtc *r, uint64_t now, uint64_t fraction)
{
    struct tm t = {
        .tm_sec = (int)decode(r, r->cmos[REG_SECOND]),
        .tm_min = (int)decode(r, r->cmos[REG_MINUTE]),
        .tm_hour = (int)decode_hour(r, r->cmos[REG_HOUR]),
        .tm_mday = (int)decode(r, r->cmos[REG_DAY]),
        .tm_mon = (int)decode(r, r->cmos[REG_MONTH]) - 1,
        .tm_year = (int)(decode(r, r->cmos[REG_CENTURY]) * 100 + decode(r, r->cmos[REG_YEAR])) - 1900,
    };
    int64_t seconds = timegm(&t);
    if (seconds < 0)
        seconds = 0;
    if (seconds > LATEST_SECOND)
        seconds = LATEST_SECOND;
    r->wall_offset = (int64_t)((uint64_t)seconds * NS_PER_SECOND + fraction - now);
}

// ---- Interrupts ----

// Period of the periodic interrupt as a power of two of crystal cycles, or 0 for none (data sheet, table 5).
static unsigned rate_shift(const struct rtc *r)
{
    unsigned rate = r->cmos[REG_A] & A_RATE;
    if (!rate || !divider_runs(r))
        return 0;
    return rate < 3 ? rate + 6 : rate - 1;
}

static uint64_t periods(uint64_t now, unsigned shift)
{
    return mul_div(now, CRYSTAL_HZ, NS_PER_SECOND) >> shift;
}

static bool alarm_byte_matches(const struct rtc *r, unsigned reg, unsigned value)
{
    uint8_t alarm = r->cmos[reg];
    return alarm >= DONT_CARE || (reg == REG_HOUR_ALARM ? decode_hour(r, alarm) : decode(r, alarm)) == value;
}

static bool alarm_matches(const struct rtc *r, uint64_t second)
{
    unsigned of_day = (unsigned)(second % DAY_SECONDS);
    return alarm_byte_matches(r, REG_SECOND_ALARM, of_day % 60) &&
           alarm_byte_matches(r, REG_MINUTE_ALARM, of_day / 60 % 60) &&
           alarm_byte_matches(r, REG_HOUR_ALARM, of_day / 3600);
}

static bool irq_wanted(const struct rtc *r)
{
    return r->cmos[REG_C] & r->cmos[REG_B] & C_FLAGS;
}

// Sets the flags for all that has happened up to now.
static void look(struct rtc *r, uint64_t now)
{
    uint64_t before = r->looked_at;
    r->looked_at = now;
    unsigned shift = rate_shift(r);
    if (shift && periods(before, shift) != periods(now, shift))
        r->cmos[REG_C] |= C_PERIODIC;
    uint64_t last = wall(r, before) / NS_PER_SECOND, second = wall(r, now) / NS_PER_SECOND;
    if (stands_still(r) || second == last)
        return;
    r->cmos[REG_C] |= C_UPDATE;
    if (second - last > DAY_SECONDS) // each time of day has come by
        last = second - DAY_SECONDS;
    while (last < second && !(r->cmos[REG_C] & C_ALARM))
        if (alarm_matches(r, ++last))
            r->cmos[REG_C] |= C_ALARM;
}

void rtc_tick(struct rtc *r, uint64_t now)
{
    look(r, now);
    irq_set(&r->irq, IRQ_RTC, irq_wanted(r));
}

uint64_t rtc_deadline(const struct rtc *r)
{
    uint8_t waited_for = r->cmos[REG_B] & (uint8_t)~r->cmos[REG_C] & C_FLAGS;
    uint64_t deadline = NEVER;
    unsigned shift = rate_shift(r);
    if (irq_wanted(r)) // the line is up already
        return NEVER;
    if ((waited_for & C_PERIODIC) && shift)
        deadline = mul_div((periods(r->looked_at, shift) + 1) << shift, NS_PER_SECOND, CRYSTAL_HZ) + 1;
    if ((waited_for & (C_UPDATE | C_ALARM)) && !stands_still(r))
        deadline = earlier(deadline, r->looked_at + NS_PER_SECOND - wall(r, r->looked_at) % NS_PER_SECOND);
    return deadline;
}

// ---- Registers ----

static uint8_t read_a(const struct rtc *r, uint64_t now)
{
    bool update_soon = !stands_still(r) && wall(r, now) % NS_PER_SECOND >= NS_PER_SECOND - UPDATE_WARNING_NS;
    return r->cmos[REG_A] | (update_soon ? A_UIP : 0);
}

static uint8_t read_c(struct rtc *r)
{
    uint8_t value = r->cmos[REG_C] | (irq_wanted(r) ? C_IRQ : 0);
    r->cmos[REG_C] = 0;
    irq_set(&r->irq, IRQ_RTC, false);
    return value;
}

static uint8_t read_register(struct rtc *r, unsigned reg, uint64_t now)
{
    if (is_time(reg))
        return stands_still(r) ? r->cmos[reg] : time_register(r, reg, now);
    if (reg == REG_A)
        return read_a(r, now);
    return reg == REG_C ? read_c(r) : r->cmos[reg];
}

// A and B: the clock may stop (the time is kept in the registers) or start (from there).
static void write_control(struct rtc *r, unsigned reg, uint8_t value, uint64_t now)
{
    bool still = stands_still(r), divided = divider_runs(r);
    uint64_t fraction = wall(r, now) % NS_PER_SECOND;
    if (reg == REG_B && (value & B_SET))
        value &= (uint8_t)~B_UPDATE;
    if (!still)
        freeze_time(r, now);
    r->cmos[reg] = reg == REG_A ? value & (uint8_t)~A_UIP : value;
    if (!divided && divider_runs(r)) // the first update comes half a second after the divider starts
        fraction = NS_PER_SECOND / 2;
    if (still && !stands_still(r))
        set_time(r, now, fraction);
}

static void write_register(struct rtc *r, unsigned reg, uint8_t value, uint64_t now)
{
    if (reg == REG_A || reg == REG_B) {
        write_control(r, reg, value, now);
    } else if (is_time(reg) && !stands_still(r)) {
        freeze_time(r, now);
        r->cmos[reg] = value;
        set_time(r, now, wall(r, now) % NS_PER_SECOND);
    } else if (reg != REG_C && reg != REG_D) {
        r->cmos[reg] = value;
    }
}

static enum vcpu_exit rtc_read(void *dev, uint16_t port, unsigned size, uint32_t *value)
{
    struct rtc *r = dev;
    (void)size;
    if (port == PORT_INDEX) // write-only
        return VCPU_CONTINUE;
    uint64_t now = clock_now(r->clock);
    rtc_tick(r, now);
    r->clock->moved = r->clock->moved || r->index == REG_C; // which lets the next interrupt come
    *value = read_register(r, r->index, now);
    return VCPU_CONTINUE;
}

static enum vcpu_exit rtc_write(void *dev, uint16_t port, unsigned size, uint32_t value)
{
    struct rtc *r = dev;
    (void)size;
    if (port == PORT_INDEX) {
        r->index = value & INDEX_MASK;
        return VCPU_CONTINUE;
    }
    uint64_t now = clock_now(r->clock);
    rtc_tick(r, now);
    r->clock->moved = true;
    write_register(r, r->index, (uint8_t)value, now);
    irq_set(&r->irq, IRQ_RTC, irq_wanted(r));
    return VCPU_CONTINUE;
}

// ---- Set-up ----

static void put16(struct rtc *r, unsigned reg, uint64_t value)
{
    uint64_t v = value < 0xffff ? value : 0xffff;
    r->cmos[reg] = (uint8_t)v;
    r->cmos[reg + 1] = (uint8_t)(v >> 8);
}

// The memory sizes that a PC's firmware leaves: in KiB below 64 MiB, in 64 KiB from 16 MiB up and from 4 GiB up.
static void put_memory(struct rtc *r, uint64_t ram_bytes)
{
    uint64_t low = earlier(ram_bytes, RAM_HOLE_START), high = (ram_bytes - low) >> 16;
    put16(r, 0x15, 640);
    put16(r, 0x17, (low - (1 << 20)) >> 10);
    put16(r, 0x30, (low - (1 << 20)) >> 10);
    put16(r, 0x34, low > 16 << 20 ? (low - (16 << 20)) >> 16 : 0);
    for (unsigned i = 0; i < 3; i++)
        r->cmos[0x5b + i] = (uint8_t)(high >> 8 * i);
}

void rtc_init(struct rtc *r, struct machine_clock *clock, struct irq_out irq, uint64_t wall_ns, uint64_t ram_bytes)
{
    uint64_t now = clock_now(clock);
    *r = (struct rtc){.clock = clock, .irq = irq, .wall_offset = (int64_t)(wall_ns - now), .looked_at = now};
    r->cmos[REG_A] = A_RUNNING | 6; // 1024 Hz
    r->cmos[REG_B] = B_24H;
    r->cmos[REG_D] = D_VALID;
    put_memory(r, ram_bytes);
}

void rtc_attach(struct rtc *r, struct bus *b)
{
    bus_add_pio(b, &(struct pio_range){PORT_INDEX, 2, 1, r, rtc_read, rtc_write});
}

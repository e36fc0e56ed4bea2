// SPDX-License-Identifier: BSD-2-Clause
// The MC146818 clock and its CMOS memory at ports 0x70 and 0x71, IRQ 8.
#ifndef RINGSIDE_MACHINE_RTC_H
#define RINGSIDE_MACHINE_RTC_H

#include <stdbool.h>
#include <stdint.h>

#include "machine/bus.h"
#include "machine/clock.h"
#include "machine/irq.h"

enum { CMOS_BYTES = 128 };

struct rtc {
    struct machine_clock *clock;
    struct irq_out irq;
    uint8_t index;
    uint8_t cmos[CMOS_BYTES]; // control registers, alarm and plain memory; the time only while it stands still
    int64_t wall_offset;      // the guest's time of day, ns since 1970, minus the clock
    uint64_t looked_at;       // the clock when flags were last brought up to date
};

// wall_ns: time of day now, nanoseconds since 1970. ram_bytes: for the memory-size registers.
void rtc_init(struct rtc *r, struct machine_clock *clock, struct irq_out irq, uint64_t wall_ns, uint64_t ram_bytes);
void rtc_attach(struct rtc *r, struct bus *b);
void rtc_tick(struct rtc *r, uint64_t now);
uint64_t rtc_deadline(const struct rtc *r); // when an enabled interrupt may come next

#endif

// SPDX-License-Identifier: BSD-2-Clause
// The 8254 interval timer: three counters at 1.193182 MHz. Counter 0 drives IRQ 0, counter 2 the speaker bit of port
// 0x61, which software uses to calibrate its clocks.
#ifndef RINGSIDE_MACHINE_PIT_H
#define RINGSIDE_MACHINE_PIT_H

#include <stdbool.h>
#include <stdint.h>

#include "machine/bus.h"
#include "machine/clock.h"
#include "machine/irq.h"

struct pit_channel {
    uint8_t access, mode; // control word: bytes to transfer (1 low, 2 high, 3 both), mode 0-5
    bool bcd, gate;
    bool programmed; // a mode was set
    bool armed;      // and a count: it counts, or waits for a trigger in modes 1 and 5
    bool triggered;  // modes 1 and 5: the gate rose since the count was written
    uint32_t count;  // 1 to 65536
    uint64_t start;  // the clock tick at which the count was loaded
    uint64_t frozen; // ticks counted when the gate fell

    uint8_t write_low;          // first byte of a two-byte write
    bool write_high, read_high; // the second byte comes next
    bool count_latched;
    uint16_t count_latch;
    bool status_latched;
    uint8_t status_latch;
    uint64_t fired; // times that the output rose and the line followed
};

struct pit {
    struct pit_channel channel[3];
    bool speaker; // port 0x61 bit 1
    struct machine_clock *clock;
    struct irq_out irq;
};

void pit_init(struct pit *p, struct machine_clock *clock, struct irq_out irq);
void pit_attach(struct pit *p, struct bus *b);
void pit_tick(struct pit *p, uint64_t now);
uint64_t pit_deadline(const struct pit *p); // when counter 0's output rises next

#endif

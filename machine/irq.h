// SPDX-License-Identifier: BSD-2-Clause
// The ISA interrupt lines, and how a device drives one: devices know the level, whoever is behind knows the routing.
#ifndef RINGSIDE_MACHINE_IRQ_H
#define RINGSIDE_MACHINE_IRQ_H

#include <stdbool.h>

enum { IRQ_TIMER = 0, IRQ_CASCADE = 2, IRQ_SERIAL = 4, IRQ_RTC = 8, IRQ_COUNT = 16 };

struct irq_out {
    void (*set)(void *ctx, unsigned line, bool level);
    void *ctx;
};

static inline void irq_set(const struct irq_out *out, unsigned line, bool level)
{
    out->set(out->ctx, line, level);
}

// A rising edge whatever the level was.
static inline void irq_pulse_up(const struct irq_out *out, unsigned line)
{
    out->set(out->ctx, line, false);
    out->set(out->ctx, line, true);
}

#endif

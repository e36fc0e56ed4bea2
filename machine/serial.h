// SPDX-License-Identifier: BSD-2-Clause
// The 16550 at PORT_SERIAL: a line that is always ready to send, and the FIFO for what is received.
#ifndef RINGSIDE_MACHINE_SERIAL_H
#define RINGSIDE_MACHINE_SERIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "machine/bus.h"
#include "machine/irq.h"

enum { SERIAL_PORTS = 8, SERIAL_FIFO = 16 };

struct serial {
    struct irq_out irq;
    bool (*out)(void *ctx, uint8_t byte); // NULL: bytes are dropped
    void *out_ctx;
    bool refused; // out() said that the run should end

    uint8_t ier, fcr, lcr, mcr, msr, scr, dll, dlm;
    bool overrun;
    bool thre_pending; // the THRE interrupt, until IIR is read or a byte is written
    uint8_t rx[SERIAL_FIFO];
    unsigned rx_first, rx_count;
};

void serial_init(struct serial *s, struct irq_out irq, bool (*out)(void *ctx, uint8_t byte), void *out_ctx);
void serial_attach(struct serial *s, struct bus *b);
void serial_receive(struct serial *s, uint8_t byte); // a byte arrives on the line

#endif

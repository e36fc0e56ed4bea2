// SPDX-License-Identifier: BSD-2-Clause
// The 16550 at PORT_SERIAL: a line that is always ready to send, and from which bytes come no faster than the guest
// takes them.
#ifndef RINGSIDE_MACHINE_SERIAL_H
#define RINGSIDE_MACHINE_SERIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "machine/bus.h"
#include "machine/clock.h"
#include "machine/irq.h"

enum { SERIAL_PORTS = 8, SERIAL_FIFO = 16 };

// What the guest gets to see of input is at most what a line of 115,200 baud brings, the fastest that the chip knows:
// ten bits a byte. Drivers are made for that; without a pause between one FIFO and the next they would never come out
// of their interrupt handlers to give the bytes to a program.
#define SERIAL_BYTE_NS (10 * NS_PER_SECOND / 115200)

enum { SERIAL_NOTHING = -1, SERIAL_END = -2 };

// The other end of the line.
struct serial_line {
    bool (*out)(void *ctx, uint8_t byte); // NULL: bytes are dropped. False: the run is to end
    int (*in)(void *ctx); // the next byte that waits there, SERIAL_NOTHING yet, or SERIAL_END; NULL: never any
    void *ctx;
};

struct serial {
    struct machine_clock *clock;
    struct irq_out irq;
    struct serial_line line;
    bool refused; // out() said that the run should end

    uint8_t ier, fcr, lcr, mcr, msr, scr, dll, dlm;
    bool overrun;
    bool thre_pending; // the THRE interrupt, until IIR is read or a byte is written
    uint8_t rx[SERIAL_FIFO];
    unsigned rx_first, rx_count;

    bool waiting;      // in() may have a byte
    bool ended;        // it never will
    unsigned burst;    // bytes that in() gave last
    uint64_t quiet_to; // the line's next byte does not come before that
    unsigned polls;    // of LSR in a row
};

void serial_init(struct serial *s, struct machine_clock *clock, struct irq_out irq, struct serial_line line);
void serial_attach(struct serial *s, struct bus *b);
void serial_receive(struct serial *s, uint8_t byte); // a byte arrives on the line, whether there is room or not

// Bytes that the guest would take now without losing one: as many as the receiver holds, once it is empty; 0 in
// loopback, and while the guest does not say that it takes any. It says so by RTS, or by polling LSR for one.
unsigned serial_room(const struct serial *s);

// in() may have bytes; serial_tick() takes them when there is room.
void serial_input(struct serial *s);
void serial_tick(struct serial *s, uint64_t now);
uint64_t serial_deadline(const struct serial *s); // when it wants that; NEVER
// Whether a byte may still come, and would raise the interrupt.
bool serial_can_interrupt(const struct serial *s);

#endif

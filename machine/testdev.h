// SPDX-License-Identifier: BSD-2-Clause
// The device that kvm-unit-tests try I/O on, QEMU's pc-testdev: a port that reads what was written to it, 64 KiB of
// memory behind memory-mapped I/O, and the ISA interrupt lines as ports. Only for guests that start as Multiboot has
// it.
#ifndef RINGSIDE_MACHINE_TESTDEV_H
#define RINGSIDE_MACHINE_TESTDEV_H

#include "machine/bus.h"

#define TESTDEV_MEMORY_BYTES 0x10000u

struct testdev {
    uint32_t port;
    uint8_t memory[TESTDEV_MEMORY_BYTES];
    void (*line)(void *ctx, unsigned line, bool level);
    void *ctx;
};

// line: sets the level of an ISA line.
void testdev_init(struct testdev *t, void (*line)(void *ctx, unsigned line, bool level), void *ctx);
void testdev_attach(struct testdev *t, struct bus *b);

#endif

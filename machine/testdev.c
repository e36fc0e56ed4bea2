// SPDX-License-Identifier: BSD-2-Clause
// Ports and addresses as in QEMU's hw/misc/pc-testdev, as kvm-unit-tests' x86/emulator.c and lib/x86 use them.
#include "machine/testdev.h"

#include <string.h>

#define PORT_ECHO 0xe0
#define PORT_LINES 0x2000
#define LINES 16u
#define MEMORY_ADDR 0xff000000ull

static enum vcpu_exit echo_read(void *dev, uint16_t port, unsigned size, uint32_t *value)
{
    const struct testdev *t = dev;
    (void)port, (void)size;
    *value = t->port;
    return VCPU_CONTINUE;
}

static enum vcpu_exit echo_write(void *dev, uint16_t port, unsigned size, uint32_t value)
{
    struct testdev *t = dev;
    (void)port, (void)size;
    t->port = value;
    return VCPU_CONTINUE;
}

static enum vcpu_exit lines_write(void *dev, uint16_t port, unsigned size, uint32_t value)
{
    struct testdev *t = dev;
    (void)size;
    t->line(t->ctx, (unsigned)port - PORT_LINES, value != 0);
    return VCPU_CONTINUE;
}

static enum vcpu_exit memory_read(void *dev, uint64_t offset, unsigned size, uint64_t *value)
{
    const struct testdev *t = dev;
    *value = 0;
    if (offset + size <= TESTDEV_MEMORY_BYTES)
        memcpy(value, t->memory + offset, size);
    return VCPU_CONTINUE;
}

static enum vcpu_exit memory_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct testdev *t = dev;
    if (offset + size <= TESTDEV_MEMORY_BYTES)
        memcpy(t->memory + offset, &value, size);
    return VCPU_CONTINUE;
}

void testdev_init(struct testdev *t, void (*line)(void *ctx, unsigned line, bool level), void *ctx)
{
    memset(t, 0, sizeof *t);
    t->line = line;
    t->ctx = ctx;
}

void testdev_attach(struct testdev *t, struct bus *b)
{
    const struct pio_range echo = {PORT_ECHO, 4, 4, t, echo_read, echo_write};
    const struct pio_range lines = {PORT_LINES, LINES, 1, t, NULL, lines_write};
    bus_add_pio(b, &echo);
    bus_add_pio(b, &lines);
    bus_add_mmio(b, &(struct mmio_range){MEMORY_ADDR, TESTDEV_MEMORY_BYTES, t, memory_read, memory_write});
}

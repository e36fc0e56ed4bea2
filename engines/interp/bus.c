// SPDX-License-Identifier: BSD-2-Clause
// Ports, devices in memory, and the two registers that the local APIC shares with the CPU. The devices compute with
// integers, but what they hand on of a port write, text and marks, may reach code that does not: it gets the host's
// MXCSR.
#include "engines/interp/bus.h"

#include "engines/interp/mxcsr.h"

// What the machine answered to an access; `event` is the exit's kind.
static void note_exit(struct cpu *c, enum vcpu_exit exit, enum event event)
{
    count(c, EV_exits);
    count(c, event);
    if (exit != VCPU_CONTINUE) {
        c->exit = exit;
        atomic_store_explicit(&c->limit, 0, memory_order_relaxed);
    }
}

static void note_port_exit(struct cpu *c, enum vcpu_exit exit)
{
    note_exit(c, exit,
              exit == VCPU_EXIT_MARK    ? EV_exit_mark
              : exit == VCPU_EXIT_POWER ? EV_exit_shutdown
                                        : EV_exit_pio);
}

uint32_t bus_port_read(struct cpu *c, uint16_t port, unsigned size)
{
    const struct vcpu_bus *bus = &c->vcpu->bus;
    uint32_t value = UINT32_MAX;
    note_port_exit(c, bus->pio_read(bus->machine, port, size, &value));
    return value;
}

void bus_port_write(struct cpu *c, uint16_t port, unsigned size, uint32_t value)
{
    const struct vcpu_bus *bus = &c->vcpu->bus;
    mxcsr_leave(c);
    note_port_exit(c, bus->pio_write(bus->machine, port, size, value));
    mxcsr_enter(c);
}

// Devices see naturally aligned accesses of 1, 2, 4 or 8 bytes; anything else reaches them byte by byte.
static bool whole(gpa_t at, unsigned size)
{
    return (size & (size - 1)) == 0 && at.v % size == 0;
}

static uint64_t device_read(struct cpu *c, gpa_t at, unsigned size)
{
    const struct vcpu_bus *bus = &c->vcpu->bus;
    uint64_t value = 0;
    note_exit(c, bus->mmio_read(bus->machine, at, size, &value), EV_exit_mmio);
    return value;
}

static void device_write(struct cpu *c, gpa_t at, unsigned size, uint64_t value)
{
    const struct vcpu_bus *bus = &c->vcpu->bus;
    note_exit(c, bus->mmio_write(bus->machine, at, size, value), EV_exit_mmio);
}

uint64_t bus_memory_read(struct cpu *c, gpa_t at, unsigned size)
{
    if (whole(at, size))
        return device_read(c, at, size);
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (device_read(c, gpa(at.v + i), 1) & 0xff) << (8 * i);
    return value;
}

void bus_memory_write(struct cpu *c, gpa_t at, unsigned size, uint64_t value)
{
    if (whole(at, size)) {
        device_write(c, at, size, value);
        return;
    }
    for (unsigned i = 0; i < size; i++)
        device_write(c, gpa(at.v + i), 1, (value >> (8 * i)) & 0xff);
}

void bus_tpr_lowered(struct cpu *c)
{
    c->vcpu->bus.tpr_lowered(c->vcpu->bus.machine);
}

void bus_apic_base_written(struct cpu *c, uint64_t value)
{
    c->vcpu->bus.apic_base_written(c->vcpu->bus.machine, value);
}

int bus_interrupt_acknowledge(struct cpu *c)
{
    return c->vcpu->bus.interrupt_acknowledge(c->vcpu->bus.machine);
}

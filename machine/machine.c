// SPDX-License-Identifier: BSD-2-Clause
// The machine's wiring: which device hangs on which bus, and the callbacks through which an engine reaches them.
#include "machine/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine/bus.h"
#include "machine/cpuid.h"
#include "machine/loader.h"
#include "machine/ports.h"
#include "machine/ram.h"
#include "machine/serial.h"

struct machine {
    struct guest_ram ram;
    struct bus bus;
    struct vcpu vcpu;
    bool vcpu_created;
    char *cmdline;

    struct ports ports;
    struct serial serial;
};

static enum vcpu_exit machine_pio_read(void *machine, uint16_t port, unsigned size, uint32_t *value)
{
    struct machine *m = machine;
    return bus_pio_read(&m->bus, port, size, value);
}

static enum vcpu_exit machine_pio_write(void *machine, uint16_t port, unsigned size, uint32_t value)
{
    struct machine *m = machine;
    return bus_pio_write(&m->bus, port, size, value);
}

static enum vcpu_exit machine_mmio_read(void *machine, gpa_t addr, unsigned size, uint64_t *value)
{
    struct machine *m = machine;
    return bus_mmio_read(&m->bus, addr, size, value);
}

static enum vcpu_exit machine_mmio_write(void *machine, gpa_t addr, unsigned size, uint64_t value)
{
    struct machine *m = machine;
    return bus_mmio_write(&m->bus, addr, size, value);
}

static int machine_interrupt_acknowledge(void *machine)
{
    (void)machine;
    return -1;
}

static void machine_tpr_lowered(void *machine)
{
    (void)machine;
}

static void machine_apic_base_written(void *machine, uint64_t value)
{
    struct machine *m = machine;
    m->vcpu.apic_base = value;
}

// A device's line changed its level.
static void isa_line(void *machine, unsigned line, bool level)
{
    struct machine *m = machine;
    if (m->vcpu_created && m->vcpu.engine->irq_line)
        m->vcpu.engine->irq_line(&m->vcpu, line, level);
}

static void add_devices(struct machine *m, const struct machine_config *config)
{
    const struct irq_out lines = {isa_line, m};
    ports_init(&m->ports, config->mark, config->ctx);
    ports_attach(&m->ports, &m->bus);
    serial_init(&m->serial, lines, config->serial_out, config->ctx);
    serial_attach(&m->serial, &m->bus);
}

static int create_vcpu(struct machine *m, const struct engine *engine, char *err, size_t err_size)
{
    m->vcpu = (struct vcpu){
        .engine = engine,
        .ram = &m->ram,
        .cpuid = machine_cpuid,
        .bus =
            {
                .machine = m,
                .pio_read = machine_pio_read,
                .pio_write = machine_pio_write,
                .mmio_read = machine_mmio_read,
                .mmio_write = machine_mmio_write,
                .interrupt_acknowledge = machine_interrupt_acknowledge,
                .tpr_lowered = machine_tpr_lowered,
                .apic_base_written = machine_apic_base_written,
            },
    };
    if (engine->create(&m->vcpu)) {
        snprintf(err, err_size, "%s", m->vcpu.error);
        return -1;
    }
    m->vcpu_created = true;
    return 0;
}

struct machine *machine_create(const struct machine_config *config, const struct engine *engine, char *err,
                               size_t err_size)
{
    struct machine *m = calloc(1, sizeof(*m));
    char *cmdline = strdup(config->cmdline ? config->cmdline : "");
    if (!m || !cmdline) {
        snprintf(err, err_size, "out of memory");
        free(m);
        free(cmdline);
        return NULL;
    }
    m->cmdline = cmdline;
    m->ram.memfd = -1;
    add_devices(m, config);
    if (ram_create(&m->ram, config->ram_bytes, err, err_size) || create_vcpu(m, engine, err, err_size)) {
        machine_destroy(m);
        return NULL;
    }
    return m;
}

void machine_destroy(struct machine *m)
{
    if (!m)
        return;
    if (m->vcpu_created)
        m->vcpu.engine->destroy(&m->vcpu);
    ram_destroy(&m->ram);
    free(m->cmdline);
    free(m);
}

struct vcpu *machine_vcpu(struct machine *m)
{
    return &m->vcpu;
}

int machine_load_elf(struct machine *m, const void *image, size_t size, char *err, size_t err_size)
{
    uint64_t entry;
    struct vcpu_state state;
    if (elf_load(&m->ram, image, size, &entry, err, err_size) ||
        boot_prepare(&m->ram, m->cmdline, entry, &state, err, err_size))
        return -1;
    if (m->vcpu.engine->set_state(&m->vcpu, &state)) {
        snprintf(err, err_size, "%s", m->vcpu.error);
        return -1;
    }
    return 0;
}

void machine_tick(struct machine *m)
{
    (void)m;
}

uint64_t machine_next_deadline(const struct machine *m)
{
    (void)m;
    return UINT64_MAX;
}

bool machine_can_wake(const struct machine *m)
{
    (void)m;
    return false;
}

bool machine_exit_code(const struct machine *m, uint32_t *value)
{
    *value = m->ports.exit_code;
    return m->ports.exited;
}

bool machine_serial_refused(const struct machine *m)
{
    return m->serial.refused;
}

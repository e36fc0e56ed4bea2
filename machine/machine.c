// SPDX-License-Identifier: BSD-2-Clause
// The machine's wiring: which device hangs on which bus, and the callbacks through which an engine reaches them.
#include "machine/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "machine/bus.h"
#include "machine/clock.h"
#include "machine/cpuid.h"
#include "machine/fwcfg.h"
#include "machine/ioapic.h"
#include "machine/lapic.h"
#include "machine/linux.h"
#include "machine/loader.h"
#include "machine/multiboot.h"
#include "machine/pic.h"
#include "machine/pit.h"
#include "machine/ports.h"
#include "machine/ram.h"
#include "machine/rtc.h"
#include "machine/serial.h"
#include "machine/testdev.h"
#include "x86/regs.h"

#define TIMER_PIN 2 // of the I/O APIC: where ISA IRQ 0 is wired, as on most PCs

struct machine {
    struct guest_ram ram;
    struct bus bus;
    struct cpuid_leaf cpuid[MACHINE_CPUID_LEAVES];
    size_t cpuid_leaves;
    struct vcpu vcpu[MACHINE_ENGINES_MAX]; // one for each engine, all of the same CPU
    unsigned engines;                      // that have been created
    unsigned active;                       // whose vCPU has the CPU's state
    char *cmdline;
    const void *initrd; // the caller's
    size_t initrd_size;

    struct ports ports;
    struct fwcfg fwcfg;
    struct testdev testdev;
    struct serial serial;
    struct rtc rtc;
    struct machine_clock clock;
    uint64_t deadline; // when machine_tick() is due
    uint64_t ticked;   // when it was last called

    // Not on the bus where the engine has its own (engine_has_irqchip): then device lines go to engine->irq_line().
    bool own_irqchip;
    struct pic pic;
    struct pit pit;
    struct lapic lapic;
    struct ioapic ioapic;
    bool intr; // what the engine was told last

    bool irq_line_failed; // vcpu.error says why
};

static struct vcpu *active(struct machine *m)
{
    return &m->vcpu[m->active];
}

// ---- Interrupts ----

static bool extint_asserted(const struct machine *m)
{
    return pic_asserted(&m->pic) && lapic_takes_extint(&m->lapic);
}

// Tells the engine the level of INTR. May run within a callback of the engine.
static void update_intr(struct machine *m)
{
    if (!m->own_irqchip) // nobody asks then, but the callbacks are there
        return;
    bool asserted = extint_asserted(m) || lapic_pending(&m->lapic) >= 0;
    lapic_set_threshold(&m->lapic);
    if (asserted == m->intr)
        return;
    m->intr = asserted;
    if (m->engines)
        active(m)->engine->set_intr(active(m), asserted);
}

static void pic_intr(void *machine, bool asserted)
{
    struct machine *m = machine;
    lapic_set_lint0(&m->lapic, asserted);
    update_intr(m);
}

static void lapic_changed(void *machine)
{
    update_intr(machine);
}

static void lapic_nmi(void *machine)
{
    struct machine *m = machine;
    if (m->engines && active(m)->engine->inject_nmi)
        active(m)->engine->inject_nmi(active(m));
}

static void lapic_eoi(void *machine, uint8_t vector)
{
    struct machine *m = machine;
    ioapic_eoi(&m->ioapic, vector);
}

static bool ioapic_deliver(void *machine, const struct apic_message *message)
{
    struct machine *m = machine;
    return lapic_deliver(&m->lapic, message);
}

static unsigned ioapic_pin(unsigned line)
{
    return line == IRQ_TIMER ? TIMER_PIN : line;
}

// A device's line has a level: every ISA line goes to both controllers, and software masks one of them.
static void isa_line(void *machine, unsigned line, bool level)
{
    struct machine *m = machine;
    if (m->own_irqchip) {
        pic_set_line(&m->pic, line, level);
        ioapic_set_line(&m->ioapic, ioapic_pin(line), level);
    } else if (m->engines && active(m)->engine->irq_line(active(m), line, level)) {
        m->irq_line_failed = true;
    }
}

static int machine_interrupt_acknowledge(void *machine)
{
    struct machine *m = machine;
    if (!m->own_irqchip)
        return -1;
    int vector = extint_asserted(m) ? pic_acknowledge(&m->pic) : lapic_acknowledge(&m->lapic);
    update_intr(m);
    return vector;
}

static void machine_tpr_lowered(void *machine)
{
    update_intr(machine);
}

static void machine_apic_base_written(void *machine, uint64_t value)
{
    struct machine *m = machine;
    uint64_t base = value & GUEST_PAGE_MASK & PTE_ADDR;
    active(m)->apic_base = value;
    if (!m->own_irqchip)
        return;
    bool enabled = value & APIC_BASE_ENABLE;
    bus_move_mmio(&m->bus, &m->lapic, base, enabled ? LAPIC_BYTES : 0);
    if (!enabled)
        lapic_disabled(&m->lapic);
    update_intr(m);
}

// ---- Time ----

static uint64_t host_clock(void *ctx)
{
    struct timespec t;
    (void)ctx;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_SECOND + (uint64_t)t.tv_nsec;
}

static uint64_t wall_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * NS_PER_SECOND + (uint64_t)t.tv_nsec;
}

static void find_deadline(struct machine *m)
{
    uint64_t deadline = earlier(rtc_deadline(&m->rtc), serial_deadline(&m->serial));
    if (m->own_irqchip)
        deadline = earlier(deadline, earlier(pit_deadline(&m->pit), lapic_deadline(&m->lapic)));
    uint64_t soonest = m->ticked + DEADLINE_GAP_NS;
    m->deadline = deadline < soonest ? soonest : deadline;
    m->clock.moved = false;
}

void machine_tick(struct machine *m)
{
    uint64_t now = clock_now(&m->clock);
    rtc_tick(&m->rtc, now);
    serial_tick(&m->serial, now);
    if (m->own_irqchip) {
        pit_tick(&m->pit, now);
        lapic_tick(&m->lapic, now);
    }
    m->ticked = now;
    find_deadline(m);
}

void machine_serial_input(struct machine *m)
{
    serial_input(&m->serial);
}

uint64_t machine_next_deadline(const struct machine *m)
{
    return m->deadline;
}

// Whether a device's line could reach the CPU.
static bool line_open(const struct machine *m, unsigned line)
{
    bool by_pic = !pic_masked(&m->pic, line) && lapic_takes_extint(&m->lapic);
    return by_pic || !ioapic_masked(&m->ioapic, ioapic_pin(line));
}

bool machine_can_wake(const struct machine *m)
{
    if (!m->own_irqchip) // what the engine's own controllers and timers are about to do is not known here
        return true;
    if (m->intr || lapic_deadline(&m->lapic) != NEVER)
        return true;
    return (pit_deadline(&m->pit) != NEVER && line_open(m, IRQ_TIMER)) ||
           (rtc_deadline(&m->rtc) != NEVER && line_open(m, IRQ_RTC)) ||
           (serial_can_interrupt(&m->serial) && line_open(m, IRQ_SERIAL));
}

bool machine_interrupt_pending(const struct machine *m)
{
    return m->intr;
}

// ---- What the engine calls ----

// After a device had its say: an earlier deadline must reach whoever waits for it, so run() ends.
static inline enum vcpu_exit finish(struct machine *m, enum vcpu_exit e)
{
    if (m->irq_line_failed)
        return VCPU_EXIT_ERROR;
    if (!m->clock.moved)
        return e;
    uint64_t before = m->deadline;
    find_deadline(m);
    return e == VCPU_CONTINUE && m->deadline < before ? VCPU_EXIT_KICK : e;
}

static enum vcpu_exit machine_pio_read(void *machine, uint16_t port, unsigned size, uint32_t *value)
{
    struct machine *m = machine;
    return finish(m, bus_pio_read(&m->bus, port, size, value));
}

static enum vcpu_exit machine_pio_write(void *machine, uint16_t port, unsigned size, uint32_t value)
{
    struct machine *m = machine;
    return finish(m, bus_pio_write(&m->bus, port, size, value));
}

static enum vcpu_exit machine_mmio_read(void *machine, gpa_t addr, unsigned size, uint64_t *value)
{
    struct machine *m = machine;
    return finish(m, bus_mmio_read(&m->bus, addr, size, value));
}

static enum vcpu_exit machine_mmio_write(void *machine, gpa_t addr, unsigned size, uint64_t value)
{
    struct machine *m = machine;
    return finish(m, bus_mmio_write(&m->bus, addr, size, value));
}

// ---- Building ----

static void add_irqchip(struct machine *m, struct irq_out lines)
{
    const struct lapic_calls calls = {lapic_changed, lapic_eoi, lapic_nmi, m};
    lapic_init(&m->lapic, active(m), &m->clock, calls);
    ioapic_init(&m->ioapic, ioapic_deliver, m);
    pic_init(&m->pic, pic_intr, m);
    pit_init(&m->pit, &m->clock, lines);
    lapic_attach(&m->lapic, &m->bus);
    ioapic_attach(&m->ioapic, &m->bus);
    pic_attach(&m->pic, &m->bus);
    pit_attach(&m->pit, &m->bus);
}

static void add_devices(struct machine *m, const struct machine_config *config)
{
    const struct irq_out lines = {isa_line, m};
    if (m->own_irqchip)
        add_irqchip(m, lines);
    ports_init(&m->ports, config->mark, config->ctx);
    ports_attach(&m->ports, &m->bus);
    fwcfg_init(&m->fwcfg, m->ram.size);
    fwcfg_attach(&m->fwcfg, &m->bus);
    testdev_init(&m->testdev, isa_line, m);
    serial_init(&m->serial, &m->clock, lines, (struct serial_line){config->serial_out, config->serial_in, config->ctx});
    serial_attach(&m->serial, &m->bus);
    rtc_init(&m->rtc, &m->clock, lines, config->clock ? clock_now(config->clock) : wall_clock(), config->ram_bytes);
    rtc_attach(&m->rtc, &m->bus);
}

// The guest's CPUID. It stays the same wherever the guest moves.
static int make_cpuid(struct machine *m, const struct machine_config *config, const struct engine *first, char *err,
                      size_t err_size)
{
    m->cpuid_leaves = machine_cpuid(m->cpuid, x86_host_features()).count;
    if (!config->later[0]) // alone, an engine says itself what it leaves out
        return 0;
    if (first->limit_cpuid && first->limit_cpuid(m->cpuid, m->cpuid_leaves, err, err_size))
        return -1;
    for (unsigned i = 0; i < MACHINE_ENGINES_MAX && config->later[i]; i++)
        if (config->later[i]->limit_cpuid && config->later[i]->limit_cpuid(m->cpuid, m->cpuid_leaves, err, err_size))
            return -1;
    return 0;
}

static int can_show_cpuid(struct machine *m, const struct engine *engine, char *err, size_t err_size)
{
    struct cpuid_leaf leaves[MACHINE_CPUID_LEAVES];
    memcpy(leaves, m->cpuid, sizeof leaves);
    if (engine->limit_cpuid && engine->limit_cpuid(leaves, m->cpuid_leaves, err, err_size))
        return -1;
    if (!memcmp(leaves, m->cpuid, sizeof leaves))
        return 0;
    snprintf(err, err_size, "engine %s cannot show all that the guest's CPUID has", engine->name);
    return -1;
}

// Whether a guest could move to it, and from it.
static int can_join(struct machine *m, const struct engine *engine, const char *settings, char *err, size_t err_size)
{
    if (m->engines == MACHINE_ENGINES_MAX) {
        snprintf(err, err_size, "a guest can move between %d engines at most", MACHINE_ENGINES_MAX);
        return -1;
    }
    if (engine_has_irqchip(engine, settings) || !m->own_irqchip) {
        const struct engine *with = m->own_irqchip ? engine : active(m)->engine;
        const char *needed = with->moves_with;
        snprintf(err, err_size, "engine %s has interrupt controllers of its own, which cannot move%s%s", with->name,
                 needed ? ": it takes the setting " : "", needed ? needed : "");
        return -1;
    }
    return can_show_cpuid(m, engine, err, err_size);
}

int machine_add_engine(struct machine *m, const struct engine *engine, const char *settings, char *err, size_t err_size)
{
    if (m->engines && can_join(m, engine, settings, err, err_size))
        return -1;
    struct vcpu *v = &m->vcpu[m->engines];
    *v = (struct vcpu){
        .engine = engine,
        .ram = &m->ram,
        .cpuid = {m->cpuid, m->cpuid_leaves},
        .settings = settings,
        .has_irqchip = engine_has_irqchip(engine, settings),
        .device = {-1, -1},
        .apic_base = APIC_DEFAULT_ADDR | APIC_BASE_ENABLE | APIC_BASE_BSP,
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
    if (engine->create(v)) {
        snprintf(err, err_size, "%s", v->error);
        return -1;
    }
    m->engines++;
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
    m->initrd = config->initrd;
    m->initrd_size = config->initrd_size;
    m->clock = config->clock ? *config->clock : (struct machine_clock){.now = host_clock};
    m->own_irqchip = !engine_has_irqchip(engine, config->settings);
    if (ram_create(&m->ram, config->ram_bytes, err, err_size) || make_cpuid(m, config, engine, err, err_size)) {
        machine_destroy(m);
        return NULL;
    }
    add_devices(m, config);
    if (machine_add_engine(m, engine, config->settings, err, err_size)) {
        machine_destroy(m);
        return NULL;
    }
    machine_tick(m);
    return m;
}

void machine_destroy(struct machine *m)
{
    if (!m)
        return;
    for (unsigned i = 0; i < m->engines; i++)
        m->vcpu[i].engine->destroy(&m->vcpu[i]);
    ram_destroy(&m->ram);
    free(m->cmdline);
    free(m);
}

struct vcpu *machine_vcpu(struct machine *m)
{
    return active(m);
}

struct vcpu *machine_engine(struct machine *m, unsigned number)
{
    return &m->vcpu[number];
}

int machine_move(struct machine *m, unsigned to, char *err, size_t err_size)
{
    struct vcpu *from = active(m), *v = &m->vcpu[to];
    struct vcpu_state state;
    if (from->engine->get_state(from, &state)) {
        snprintf(err, err_size, "%s: %s", from->engine->name, from->error);
        return -1;
    }
    m->active = to;
    m->lapic.vcpu = v; // keeps its task priority and base, which set_state() brings
    if (v->engine->set_state(v, &state)) {
        snprintf(err, err_size, "%s: %s", v->engine->name, v->error);
        return -1;
    }
    if (m->own_irqchip) {
        lapic_set_threshold(&m->lapic);
        v->engine->set_intr(v, m->intr);
    }
    return 0;
}

// Gets the guest into RAM and makes the state that it starts in.
static int place_guest(struct machine *m, const void *image, size_t size, struct vcpu_state *state, char *err,
                       size_t err_size)
{
    uint64_t entry;
    if (linux_is_for(image, size)) {
        const struct linux_guest guest = {image, size, m->initrd, m->initrd_size, m->cmdline};
        return linux_load(&m->ram, &guest, state, err, err_size);
    }
    if (m->initrd) {
        snprintf(err, err_size, "an initial RAM disk is for a Linux kernel, and this file is none");
        return -1;
    }
    if (elf_load(&m->ram, image, size, &entry, err, err_size))
        return -1;
    if (!multiboot_is_for(image, size))
        return boot_prepare(&m->ram, m->cmdline, entry, state, err, err_size);
    testdev_attach(&m->testdev, &m->bus);
    return multiboot_prepare(&m->ram, m->cmdline, entry, state, err, err_size);
}

int machine_load(struct machine *m, const void *image, size_t size, char *err, size_t err_size)
{
    struct vcpu_state state;
    if (place_guest(m, image, size, &state, err, err_size))
        return -1;
    if (active(m)->engine->set_state(active(m), &state)) {
        snprintf(err, err_size, "%s", active(m)->error);
        return -1;
    }
    return 0;
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

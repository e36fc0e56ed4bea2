// SPDX-License-Identifier: BSD-2-Clause
// An engine that runs nothing and records what the machine tells it, for the tests of the machine's devices; and
// accesses as a guest would make them, through the callbacks that an engine uses.
#ifndef RINGSIDE_TESTS_UNIT_FAKE_ENGINE_H
#define RINGSIDE_TESTS_UNIT_FAKE_ENGINE_H

#include <stdio.h>
#include <stdlib.h>

#include "machine/machine.h"

struct fake {
    struct vcpu_state state;
    bool intr;
    unsigned intr_changes, nmis, lines;
    uint32_t line_levels; // irq_line, where the engine has its own controllers
};

static inline struct fake *fake_of(struct vcpu *v)
{
    return v->engine_data;
}

static inline int fake_create(struct vcpu *v)
{
    v->engine_data = calloc(1, sizeof(struct fake));
    return v->engine_data ? 0 : -1;
}

static inline void fake_destroy(struct vcpu *v)
{
    free(v->engine_data);
}

static inline int fake_get_state(struct vcpu *v, struct vcpu_state *state)
{
    *state = fake_of(v)->state;
    return 0;
}

static inline int fake_set_state(struct vcpu *v, const struct vcpu_state *state)
{
    fake_of(v)->state = *state;
    return 0;
}

static inline void fake_set_intr(struct vcpu *v, bool asserted)
{
    fake_of(v)->intr = asserted;
    fake_of(v)->intr_changes++;
}

static inline void fake_inject_nmi(struct vcpu *v)
{
    fake_of(v)->nmis++;
}

static inline int fake_irq_line(struct vcpu *v, unsigned gsi, bool level)
{
    struct fake *f = fake_of(v);
    f->lines++;
    f->line_levels = level ? f->line_levels | 1u << gsi : f->line_levels & ~(1u << gsi);
    return 0;
}

static const struct engine fake_engine = {.name = "fake",
                                          .create = fake_create,
                                          .destroy = fake_destroy,
                                          .get_state = fake_get_state,
                                          .set_state = fake_set_state,
                                          .set_intr = fake_set_intr,
                                          .inject_nmi = fake_inject_nmi};

static inline bool fake_has_irqchip(const char *settings)
{
    (void)settings;
    return true;
}

// One that has interrupt controllers and timers of its own, as the kernel's.
static inline struct engine fake_engine_with_irqchip(void)
{
    struct engine e = fake_engine;
    e.set_intr = NULL;
    e.has_irqchip = fake_has_irqchip;
    e.irq_line = fake_irq_line;
    return e;
}

static inline struct machine *fake_machine(const struct engine *engine, const struct machine_config *config)
{
    char err[256] = "";
    struct machine *m = machine_create(config, engine, err, sizeof(err));
    if (!m) {
        fprintf(stderr, "machine_create: %s\n", err);
        exit(1);
    }
    return m;
}

static inline uint32_t in(struct machine *m, uint16_t port, unsigned size)
{
    struct vcpu_bus *b = &machine_vcpu(m)->bus;
    uint32_t value = 0xdeadbeef;
    b->pio_read(b->machine, port, size, &value);
    return value;
}

static inline enum vcpu_exit out(struct machine *m, uint16_t port, unsigned size, uint32_t value)
{
    struct vcpu_bus *b = &machine_vcpu(m)->bus;
    return b->pio_write(b->machine, port, size, value);
}

static inline uint64_t mmio_in(struct machine *m, uint64_t addr, unsigned size)
{
    struct vcpu_bus *b = &machine_vcpu(m)->bus;
    uint64_t value = 0xdeadbeefdeadbeef;
    b->mmio_read(b->machine, gpa(addr), size, &value);
    return value;
}

static inline enum vcpu_exit mmio_out(struct machine *m, uint64_t addr, unsigned size, uint64_t value)
{
    struct vcpu_bus *b = &machine_vcpu(m)->bus;
    return b->mmio_write(b->machine, gpa(addr), size, value);
}

static inline int acknowledge(struct machine *m)
{
    struct vcpu_bus *b = &machine_vcpu(m)->bus;
    return b->interrupt_acknowledge(b->machine);
}

static inline uint64_t random64(uint64_t *seed) // xorshift64
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

#endif

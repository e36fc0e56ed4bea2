// SPDX-License-Identifier: BSD-2-Clause
// A machine with several engines: which of them can be there together, what CPUID they then show, and what a move takes
// along. The engines run nothing.
#include <string.h>

#include "tests/unit/check.h"
#include "tests/unit/fake_engine.h"
#include "x86/regs.h"

#define LEAF1_ECX_PCID (1u << 17)
#define LEAF7_EBX_SMAP (1u << 20)

static char err[256];

static const struct machine_config plain = {.ram_bytes = 8 << 20};

static uint32_t *find(struct cpuid_leaf *leaves, size_t count, uint32_t leaf)
{
    for (size_t i = 0; i < count; i++)
        if (leaves[i].leaf == leaf)
            return leaf == 1 ? &leaves[i].ecx : &leaves[i].ebx;
    abort();
}

static int without_pcid(struct cpuid_leaf *leaves, size_t count, char *why, size_t size)
{
    (void)why, (void)size;
    *find(leaves, count, 1) &= ~LEAF1_ECX_PCID;
    return 0;
}

static int without_smap(struct cpuid_leaf *leaves, size_t count, char *why, size_t size)
{
    (void)why, (void)size;
    *find(leaves, count, 7) &= ~LEAF7_EBX_SMAP;
    return 0;
}

static int cannot_say(struct cpuid_leaf *leaves, size_t count, char *why, size_t size)
{
    (void)leaves, (void)count;
    snprintf(why, size, "no such device");
    return -1;
}

static struct engine engine_that_shows(int (*limit)(struct cpuid_leaf *, size_t, char *, size_t))
{
    struct engine e = fake_engine;
    e.limit_cpuid = limit;
    return e;
}

static uint32_t shown(struct vcpu *v, uint32_t leaf)
{
    struct cpuid_leaf copy[32];
    CHECK(v->cpuid.count <= sizeof copy / sizeof *copy);
    memcpy(copy, v->cpuid.leaves, v->cpuid.count * sizeof *copy);
    return *find(copy, v->cpuid.count, leaf);
}

static void test_cpuid(void)
{
    struct engine first = engine_that_shows(without_pcid), second = engine_that_shows(without_smap);
    struct machine_config config = plain;
    struct machine *m = fake_machine(&first, &plain);
    CHECK(shown(machine_vcpu(m), 1) & LEAF1_ECX_PCID); // alone it sees to that itself
    CHECK(shown(machine_vcpu(m), 7) & LEAF7_EBX_SMAP);
    CHECK(machine_add_engine(m, &fake_engine, NULL, err, sizeof err) == 0);
    CHECK(machine_add_engine(m, &second, NULL, err, sizeof err) == -1 && strstr(err, "CPUID"));
    machine_destroy(m);

    config.later[0] = &fake_engine;
    config.later[1] = &second;
    m = fake_machine(&first, &config);
    CHECK(machine_add_engine(m, &fake_engine, NULL, err, sizeof err) == 0);
    CHECK(machine_add_engine(m, &second, NULL, err, sizeof err) == 0);
    for (unsigned i = 0; i < 3; i++) {
        CHECK(!(shown(machine_engine(m, i), 1) & LEAF1_ECX_PCID));
        CHECK(!(shown(machine_engine(m, i), 7) & LEAF7_EBX_SMAP));
    }
    machine_destroy(m);

    struct engine broken = engine_that_shows(cannot_say);
    config.later[1] = &broken;
    CHECK(machine_create(&config, &fake_engine, err, sizeof err) == NULL && strstr(err, "no such device"));
}

static void test_irqchips(void)
{
    struct engine own = fake_engine_with_irqchip();
    own.moves_with = "irqchip=user";
    own.name = "own";
    struct machine *m = fake_machine(&fake_engine, &plain);
    CHECK(machine_add_engine(m, &own, NULL, err, sizeof err) == -1);
    CHECK(strstr(err, "engine own has interrupt controllers of its own") && strstr(err, "irqchip=user"));
    machine_destroy(m);
    m = fake_machine(&own, &plain);
    CHECK(machine_add_engine(m, &fake_engine, NULL, err, sizeof err) == -1 && strstr(err, "engine own"));
    machine_destroy(m);
}

static void test_too_many(void)
{
    struct machine *m = fake_machine(&fake_engine, &plain);
    for (unsigned i = 1; i < MACHINE_ENGINES_MAX; i++)
        CHECK(machine_add_engine(m, &fake_engine, NULL, err, sizeof err) == 0);
    CHECK(machine_add_engine(m, &fake_engine, NULL, err, sizeof err) == -1 && strstr(err, "at most"));
    machine_destroy(m);
}

// State, the level of INTR, and what waits for the task priority.
static void test_move(void)
{
    struct machine *m = fake_machine(&fake_engine, &plain);
    CHECK(machine_add_engine(m, &fake_engine, NULL, err, sizeof err) == 0);
    struct fake *from = fake_of(machine_engine(m, 0)), *to = fake_of(machine_engine(m, 1));
    struct vcpu *v = machine_engine(m, 1);
    from->state.rip = 0x1234;
    mmio_out(m, APIC_DEFAULT_ADDR + 0x300, 4, 0x40041); // to itself, vector 0x41
    CHECK(from->intr && !to->intr);
    v->cr8 = 9; // as set_state() sets it: nothing below class 10 gets through
    CHECK(machine_move(m, 1, err, sizeof err) == 0 && machine_vcpu(m) == v);
    CHECK_EQ(to->state.rip, 0x1234);
    CHECK(to->intr);
    CHECK_EQ(v->tpr_threshold, 4);
    CHECK_EQ(acknowledge(m), -1);
    CHECK(!to->intr);
    v->cr8 = 3;
    v->bus.tpr_lowered(v->bus.machine);
    CHECK(to->intr);
    CHECK_EQ(acknowledge(m), 0x41);
    machine_destroy(m);
}

int main(void)
{
    test_cpuid();
    test_irqchips();
    test_too_many();
    test_move();
    return check_done("several_engines");
}

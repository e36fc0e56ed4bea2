// SPDX-License-Identifier: BSD-2-Clause
// The local APIC under a clock that stands still until it is told: registers, priorities and the cr8 threshold, EOI,
// IPIs, errors, timer.
#include "machine/lapic.h"

#include "tests/unit/check.h"
#include "x86/regs.h"

enum {
    ID = 0x20,
    VERSION = 0x30,
    TPR = 0x80,
    PPR = 0xa0,
    EOI = 0xb0,
    LDR = 0xd0,
    DFR = 0xe0,
    SVR = 0xf0,
    ISR = 0x100,
    TMR = 0x180,
    IRR = 0x200,
    ESR = 0x280,
    ICR = 0x300,
    ICR_HIGH = 0x310,
    TIMER = 0x320,
    LINT0 = 0x350,
    ERROR = 0x370,
    INITIAL = 0x380,
    CURRENT = 0x390,
    DIVIDE = 0x3e0,
};

struct rig {
    struct bus bus;
    struct lapic apic;
    struct vcpu vcpu;
    struct machine_clock clock;
    uint64_t now;
    unsigned nmis, eois;
    uint8_t ended;
};

static uint64_t rig_now(void *ctx)
{
    return ((struct rig *)ctx)->now;
}

static void changed(void *ctx)
{
    lapic_set_threshold(&((struct rig *)ctx)->apic); // as the machine does
}

static void eoi(void *ctx, uint8_t vector)
{
    struct rig *r = ctx;
    r->eois++;
    r->ended = vector;
}

static void nmi(void *ctx)
{
    ((struct rig *)ctx)->nmis++;
}

static void rig_init(struct rig *r)
{
    memset(r, 0, sizeof(*r));
    r->now = 5000;
    r->clock = (struct machine_clock){.now = rig_now, .ctx = r};
    r->vcpu.apic_base = APIC_DEFAULT_ADDR | APIC_BASE_ENABLE | APIC_BASE_BSP;
    lapic_init(&r->apic, &r->vcpu, &r->clock, (struct lapic_calls){changed, eoi, nmi, r});
    lapic_attach(&r->apic, &r->bus);
}

static uint32_t get(struct rig *r, unsigned reg)
{
    uint64_t value;
    bus_mmio_read(&r->bus, gpa(APIC_DEFAULT_ADDR + reg), 4, &value);
    return (uint32_t)value;
}

static void put(struct rig *r, unsigned reg, uint32_t value)
{
    bus_mmio_write(&r->bus, gpa(APIC_DEFAULT_ADDR + reg), 4, value);
}

static void self_ipi(struct rig *r, unsigned vector)
{
    put(r, ICR, 0x40000 | vector);
}

static int take(struct rig *r)
{
    int vector = lapic_acknowledge(&r->apic);
    changed(r);
    return vector;
}

static void test_registers(struct rig *r)
{
    rig_init(r);
    CHECK_EQ(get(r, ID), 0);
    CHECK_EQ(get(r, VERSION), 0x50014);
    CHECK_EQ(get(r, SVR), 0x1ff);
    CHECK_EQ(get(r, LINT0), 0x700);
    CHECK(lapic_takes_extint(&r->apic));
    put(r, LINT0, 0x10700);
    CHECK(!lapic_takes_extint(&r->apic));
    put(r, ID, 0x12345678);
    CHECK_EQ(get(r, ID), 0x12000000);
    put(r, LDR, 0xffffffff);
    CHECK_EQ(get(r, LDR), 0xff000000);
    put(r, DFR, 0);
    CHECK_EQ(get(r, DFR), 0x0fffffff);
    put(r, TIMER, 0xffffffff);
    CHECK_EQ(get(r, TIMER), 0x300ff); // no TSC-deadline mode
    uint64_t value;
    bus_mmio_read(&r->bus, gpa(APIC_DEFAULT_ADDR + SVR + 1), 1, &value);
    CHECK_EQ(value, 1);
    bus_mmio_write(&r->bus, gpa(APIC_DEFAULT_ADDR + SVR), 1, 0); // not a whole register
    CHECK_EQ(get(r, SVR), 0x1ff);
}

static void test_priority(struct rig *r)
{
    rig_init(r);
    self_ipi(r, 0x31);
    self_ipi(r, 0x45);
    self_ipi(r, 0x4a);
    CHECK_EQ(get(r, IRR + 0x20), 0x420);
    CHECK_EQ(take(r), 0x4a);
    CHECK_EQ(get(r, ISR + 0x20), 0x400);
    CHECK_EQ(get(r, PPR), 0x40);
    CHECK_EQ(lapic_pending(&r->apic), -1); // 0x45 is of the same class
    self_ipi(r, 0x51);
    CHECK_EQ(take(r), 0x51);
    put(r, EOI, 0);
    CHECK_EQ(get(r, ISR + 0x20), 0x400);
    put(r, EOI, 0);
    CHECK_EQ(take(r), 0x45);
    put(r, EOI, 0);
    CHECK_EQ(take(r), 0x31);
    put(r, EOI, 0);
    put(r, EOI, 0); // one too many does nothing
    CHECK_EQ(take(r), -1);
    CHECK_EQ(r->eois, 0); // all were edges
}

static void test_task_priority(struct rig *r)
{
    rig_init(r);
    put(r, TPR, 0x47);
    CHECK_EQ(r->vcpu.cr8, 4);
    CHECK_EQ(get(r, TPR), 0x47);
    CHECK_EQ(get(r, PPR), 0x47);
    CHECK_EQ(r->vcpu.tpr_threshold, 0);
    self_ipi(r, 0x4f);
    CHECK_EQ(lapic_pending(&r->apic), -1);
    CHECK_EQ(r->vcpu.tpr_threshold, 4); // a cr8 below 4 lets it through
    r->vcpu.cr8 = 3;
    CHECK_EQ(get(r, TPR), 0x30); // mov cr8 clears the low bits
    CHECK_EQ(lapic_pending(&r->apic), 0x4f);
    r->vcpu.cr8 = 15;
    CHECK_EQ(lapic_acknowledge(&r->apic), -1); // it has gone, for now
    r->vcpu.cr8 = 0;
    CHECK_EQ(take(r), 0x4f);
    self_ipi(r, 0x42); // held back by what is in service: cr8 has no say
    CHECK_EQ(r->vcpu.tpr_threshold, 0);
}

static void test_level(struct rig *r)
{
    rig_init(r);
    struct apic_message m = {.vector = 0x61, .mode = APIC_FIXED, .level = true};
    CHECK(lapic_deliver(&r->apic, &m));
    CHECK_EQ(get(r, TMR + 0x30), 2);
    CHECK_EQ(take(r), 0x61);
    put(r, EOI, 0);
    CHECK(r->eois == 1 && r->ended == 0x61);
    m.level = false;
    lapic_deliver(&r->apic, &m);
    CHECK_EQ(get(r, TMR + 0x30), 0);
}

static bool reaches(struct rig *r, unsigned destination, bool logical)
{
    const struct apic_message m = {.vector = 0x61, .destination = (uint8_t)destination, .logical = logical};
    return lapic_deliver(&r->apic, &m);
}

static void test_destinations(struct rig *r)
{
    rig_init(r);
    CHECK(reaches(r, 0, false) && reaches(r, 0xff, false) && !reaches(r, 1, false));
    CHECK(!reaches(r, 0xff, true)); // no logical ID yet
    put(r, LDR, 0x24000000);
    CHECK(reaches(r, 0x04, true) && reaches(r, 0x20, true) && !reaches(r, 0x18, true)); // flat
    put(r, DFR, 0x0fffffff);
    CHECK(reaches(r, 0x24, true) && reaches(r, 0xf4, true) && !reaches(r, 0x22, true) && !reaches(r, 0x34, true));
}

static void test_ipis(struct rig *r)
{
    rig_init(r);
    put(r, ICR_HIGH, 0);
    put(r, ICR, 0x91); // by ID
    CHECK_EQ(take(r), 0x91);
    CHECK_EQ(get(r, ICR) & 0x1000, 0); // sent at once
    put(r, EOI, 0);
    put(r, ICR_HIGH, 0x01000000);
    put(r, ICR, 0x92);    // to nobody
    put(r, ICR, 0xc0093); // to all but ourselves: nobody
    CHECK_EQ(take(r), -1);
    put(r, ICR, 0x80094); // to all
    CHECK_EQ(take(r), 0x94);
    put(r, ICR_HIGH, 0);
    put(r, ICR, 0x400); // NMI
    CHECK_EQ(r->nmis, 1);
    put(r, ICR, 0x4500); // INIT
    put(r, ICR, 0x4608); // start-up
    CHECK_EQ(take(r), -1);
}

static void test_errors(struct rig *r)
{
    rig_init(r);
    put(r, ERROR, 0xe5);
    self_ipi(r, 3);
    CHECK_EQ(get(r, ESR), 0); // not before a write
    CHECK_EQ(take(r), 0xe5);
    put(r, ESR, 0);
    CHECK_EQ(get(r, ESR), 0x20);
    struct apic_message m = {.vector = 5};
    lapic_deliver(&r->apic, &m);
    put(r, ESR, 0);
    CHECK_EQ(get(r, ESR), 0x40);
    (void)get(r, 0x3f0);
    put(r, ESR, 0);
    CHECK_EQ(get(r, ESR), 0x80);
    put(r, ESR, 0);
    CHECK_EQ(get(r, ESR), 0);
    put(r, ERROR, 3); // an error whose own vector is illegal must end somewhere
    self_ipi(r, 3);
    put(r, TIMER, 4);
    put(r, INITIAL, 1);
    r->now += 100;
    lapic_tick(&r->apic, r->now);
    put(r, ESR, 0);
    CHECK_EQ(get(r, ESR), 0x60);
}

static void test_enable(struct rig *r)
{
    rig_init(r);
    put(r, SVR, 0xff);
    CHECK_EQ(get(r, LINT0), 0x10700);
    put(r, LINT0, 0x700); // stays masked
    CHECK(!lapic_takes_extint(&r->apic));
    CHECK(!reaches(r, 0, false));
    put(r, SVR, 0x1ff);
    CHECK_EQ(get(r, LINT0), 0x10700);
    CHECK(reaches(r, 0, false));
    r->vcpu.apic_base &= ~(uint64_t)APIC_BASE_ENABLE;
    lapic_disabled(&r->apic);
    CHECK_EQ(lapic_pending(&r->apic), -1);
    CHECK(lapic_takes_extint(&r->apic)); // the PIC reaches the CPU past it
    CHECK(!reaches(r, 0, false));
}

static void test_lint0(struct rig *r)
{
    rig_init(r);
    lapic_set_lint0(&r->apic, true);
    CHECK_EQ(lapic_pending(&r->apic), -1); // ExtINT does not pass through the IRR
    lapic_set_lint0(&r->apic, false);
    put(r, LINT0, 0x77);
    lapic_set_lint0(&r->apic, true);
    lapic_set_lint0(&r->apic, true);
    CHECK_EQ(take(r), 0x77);
    put(r, EOI, 0);
    CHECK_EQ(take(r), -1);
    put(r, LINT0, 0x400);
    lapic_set_lint0(&r->apic, false);
    lapic_set_lint0(&r->apic, true);
    CHECK_EQ(r->nmis, 1);
}

static void tick_after(struct rig *r, uint64_t ns)
{
    r->now += ns;
    lapic_tick(&r->apic, r->now);
}

static void test_one_shot(struct rig *r)
{
    rig_init(r);
    CHECK_EQ(lapic_deadline(&r->apic), NEVER);
    put(r, DIVIDE, 0xb); // by 1
    put(r, TIMER, 0x40);
    put(r, INITIAL, 1000);
    CHECK(r->clock.moved);
    CHECK_EQ(lapic_deadline(&r->apic), r->now + 1000);
    tick_after(r, 400);
    CHECK_EQ(get(r, CURRENT), 600);
    CHECK_EQ(lapic_pending(&r->apic), -1);
    tick_after(r, 600);
    CHECK_EQ(take(r), 0x40);
    put(r, EOI, 0);
    CHECK_EQ(get(r, CURRENT), 0);
    CHECK_EQ(lapic_deadline(&r->apic), NEVER);
    tick_after(r, 5000);
    CHECK_EQ(take(r), -1);
    put(r, DIVIDE, 3); // by 16
    put(r, INITIAL, 1000);
    CHECK_EQ(lapic_deadline(&r->apic), r->now + 16000);
    put(r, TIMER, 0x10040); // masked when it expires: lost
    CHECK_EQ(lapic_deadline(&r->apic), NEVER);
    r->now += 20000;
    put(r, TIMER, 0x40);
    CHECK_EQ(take(r), -1);
    put(r, INITIAL, 0xffffffff);
    put(r, DIVIDE, 0xa); // by 128
    CHECK_EQ(lapic_deadline(&r->apic), r->now + (0xffffffffull << 7));
    put(r, INITIAL, 0);
    CHECK_EQ(lapic_deadline(&r->apic), NEVER);
}

static void test_periodic(struct rig *r)
{
    rig_init(r);
    uint64_t start = r->now;
    put(r, DIVIDE, 0); // by 2
    put(r, TIMER, 0x20041);
    put(r, INITIAL, 100);
    tick_after(r, 199);
    CHECK_EQ(take(r), -1);
    tick_after(r, 1);
    CHECK_EQ(take(r), 0x41);
    put(r, EOI, 0);
    CHECK_EQ(lapic_deadline(&r->apic), start + 400);
    tick_after(r, 750); // late: one interrupt, and the rhythm stays
    CHECK_EQ(take(r), 0x41);
    put(r, EOI, 0);
    CHECK_EQ(take(r), -1);
    CHECK_EQ(lapic_deadline(&r->apic), start + 1000);
    CHECK_EQ(get(r, CURRENT), 25);
    put(r, DIVIDE, 0xb); // the count goes on, faster
    CHECK_EQ(get(r, CURRENT), 25);
    CHECK_EQ(lapic_deadline(&r->apic), r->now + 25);
}

int main(void)
{
    static struct rig rig;
    test_registers(&rig);
    test_priority(&rig);
    test_task_priority(&rig);
    test_level(&rig);
    test_destinations(&rig);
    test_ipis(&rig);
    test_errors(&rig);
    test_enable(&rig);
    test_lint0(&rig);
    test_one_shot(&rig);
    test_periodic(&rig);
    return check_done("apic");
}

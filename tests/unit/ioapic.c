// SPDX-License-Identifier: BSD-2-Clause
// The I/O APIC by itself, and the machine's interrupt routing: device lines through 8259 or I/O APIC to the engine's
// INTR, from within the engine's own calls.
#include "machine/ioapic.h"

#include "include/guest_abi.h"
#include "tests/unit/check.h"
#include "tests/unit/fake_engine.h"
#include "x86/regs.h"

enum { SELECT = 0, WINDOW = 0x10, MASKED = 0x10000, LEVEL = 0x8000, REMOTE_IRR = 0x4000 };

struct rig {
    struct bus bus;
    struct ioapic apic;
    struct apic_message last;
    unsigned sent;
    bool refuse;
};

static bool deliver(void *ctx, const struct apic_message *message)
{
    struct rig *r = ctx;
    r->last = *message;
    r->sent++;
    return !r->refuse;
}

static void rig_init(struct rig *r)
{
    memset(r, 0, sizeof(*r));
    ioapic_init(&r->apic, deliver, r);
    ioapic_attach(&r->apic, &r->bus);
}

static uint32_t get(struct rig *r, unsigned reg)
{
    uint64_t value;
    bus_mmio_write(&r->bus, gpa(IOAPIC_DEFAULT_ADDR + SELECT), 4, reg);
    bus_mmio_read(&r->bus, gpa(IOAPIC_DEFAULT_ADDR + WINDOW), 4, &value);
    return (uint32_t)value;
}

static void put(struct rig *r, unsigned reg, uint32_t value)
{
    bus_mmio_write(&r->bus, gpa(IOAPIC_DEFAULT_ADDR + SELECT), 1, reg);
    bus_mmio_write(&r->bus, gpa(IOAPIC_DEFAULT_ADDR + WINDOW), 4, value);
}

static unsigned low(unsigned pin)
{
    return 0x10 + 2 * pin;
}

static void test_registers(struct rig *r)
{
    rig_init(r);
    CHECK_EQ(get(r, 1), 0x170011);
    put(r, 0, 0xffffffff);
    CHECK_EQ(get(r, 0), 0x0f000000);
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++)
        CHECK_EQ(get(r, low(pin)), MASKED);
    put(r, low(3), 0xffffffff);
    CHECK_EQ(get(r, low(3)), 0x1afff); // what is read-only stays 0
    put(r, low(3) + 1, 0xffffffff);
    CHECK_EQ(get(r, low(3) + 1), 0xff000000);
    CHECK_EQ(get(r, low(24)), ~0u); // no such pin
    put(r, low(24), 0);
    put(r, 0xff, 0);
}

static void test_edge(struct rig *r)
{
    rig_init(r);
    ioapic_set_line(&r->apic, 4, true);
    ioapic_set_line(&r->apic, 4, false);
    put(r, low(4) + 1, 0x05000000);
    put(r, low(4), 0x844); // logical
    CHECK_EQ(r->sent, 0);  // an edge while masked is lost
    ioapic_set_line(&r->apic, 4, true);
    CHECK_EQ(r->sent, 1);
    CHECK(r->last.vector == 0x44 && r->last.logical && r->last.destination == 5 && !r->last.level);
    ioapic_set_line(&r->apic, 4, true);
    CHECK_EQ(r->sent, 1);
    CHECK_EQ(get(r, low(4)) & REMOTE_IRR, 0);
    ioapic_set_line(&r->apic, 99, true); // no such pin
}

static void test_level(struct rig *r)
{
    rig_init(r);
    ioapic_set_line(&r->apic, 9, true);
    put(r, low(9), LEVEL | 0x59);
    CHECK(r->sent == 1 && r->last.level); // asserted when it was unmasked
    CHECK_EQ(get(r, low(9)) & REMOTE_IRR, REMOTE_IRR);
    put(r, low(9), LEVEL | 0x59);
    CHECK_EQ(r->sent, 1);
    ioapic_eoi(&r->apic, 0x58);
    CHECK_EQ(r->sent, 1);
    ioapic_eoi(&r->apic, 0x59); // still asserted: again
    CHECK_EQ(r->sent, 2);
    ioapic_set_line(&r->apic, 9, false);
    ioapic_eoi(&r->apic, 0x59);
    CHECK_EQ(r->sent, 2);
    CHECK_EQ(get(r, low(9)) & REMOTE_IRR, 0);
    r->refuse = true;
    ioapic_set_line(&r->apic, 9, true);
    CHECK_EQ(get(r, low(9)) & REMOTE_IRR, 0); // nobody took it
    r->refuse = false;
    put(r, low(9), LEVEL | 0x59);
    CHECK_EQ(get(r, low(9)) & REMOTE_IRR, REMOTE_IRR);
    put(r, low(9), 0x59); // edge: forgets it
    CHECK_EQ(get(r, low(9)) & REMOTE_IRR, 0);
}

// ---- The whole machine ----

static const struct machine_config config = {.ram_bytes = 8 << 20};

static void ioapic_put(struct machine *m, unsigned reg, uint32_t value)
{
    mmio_out(m, IOAPIC_DEFAULT_ADDR + SELECT, 4, reg);
    mmio_out(m, IOAPIC_DEFAULT_ADDR + WINDOW, 4, value);
}

static void pic_program(struct machine *m, unsigned mask)
{
    static const uint8_t words[] = {0x20, 4, 1};
    out(m, 0x20, 1, 0x11);
    for (unsigned i = 0; i < sizeof(words); i++)
        out(m, 0x21, 1, words[i]);
    out(m, 0x21, 1, mask);
}

// The serial line's THRE interrupt: raised and taken back by port writes, seen as INTR within them.
static void test_serial_through_pic(void)
{
    struct machine *m = fake_machine(&fake_engine, &config);
    struct fake *f = fake_of(machine_vcpu(m));
    pic_program(m, 0xef);
    out(m, PORT_SERIAL + 4, 1, 8);
    CHECK(!f->intr);
    CHECK(!machine_can_wake(m));
    out(m, PORT_SERIAL + 1, 1, 2);
    CHECK(f->intr && machine_can_wake(m));
    machine_vcpu(m)->cr8 = 15; // has no say over ExtINT
    CHECK_EQ(acknowledge(m), 0x24);
    CHECK(!f->intr);
    out(m, PORT_SERIAL, 1, 'x');
    CHECK(!f->intr); // in service
    out(m, 0x20, 1, 0x20);
    CHECK(f->intr);
    mmio_out(m, APIC_DEFAULT_ADDR + 0x350, 4, 0x10700); // LINT0 masked: cut off
    CHECK(!f->intr);
    CHECK_EQ(acknowledge(m), -1);
    machine_destroy(m);
}

static void test_serial_through_ioapic(void)
{
    struct machine *m = fake_machine(&fake_engine, &config);
    struct vcpu *v = machine_vcpu(m);
    struct fake *f = fake_of(v);
    ioapic_put(m, low(4), 0x54);
    out(m, PORT_SERIAL + 4, 1, 8);
    v->cr8 = 5;
    out(m, PORT_SERIAL + 1, 1, 2);
    CHECK(!f->intr);
    CHECK_EQ(v->tpr_threshold, 5);
    v->cr8 = 4;
    v->bus.tpr_lowered(m);
    CHECK(f->intr);
    CHECK_EQ(acknowledge(m), 0x54);
    CHECK(!f->intr);
    out(m, PORT_SERIAL, 1, 'x');
    CHECK(!f->intr);
    mmio_out(m, APIC_DEFAULT_ADDR + 0xb0, 4, 0);
    CHECK(f->intr);
    machine_destroy(m);
}

// IRQ 0 arrives at pin 2; a callback that arms it says so by ending the run.
static void test_timer(void)
{
    struct machine *m = fake_machine(&fake_engine, &config);
    struct fake *f = fake_of(machine_vcpu(m));
    CHECK_EQ(machine_next_deadline(m), UINT64_MAX);
    ioapic_put(m, low(2), 0x30);
    out(m, 0x43, 1, 0x30);
    out(m, 0x40, 1, 200);
    CHECK(!machine_can_wake(m));
    CHECK_EQ(out(m, 0x40, 1, 0), VCPU_EXIT_KICK);
    CHECK(machine_next_deadline(m) != UINT64_MAX);
    CHECK(machine_can_wake(m));
    for (unsigned long i = 0; i < 1000000000 && !f->intr; i++)
        machine_tick(m);
    CHECK(f->intr);
    CHECK_EQ(acknowledge(m), 0x30);
    CHECK_EQ(machine_next_deadline(m), UINT64_MAX);
    machine_destroy(m);
}

static void test_apic_timer(void)
{
    struct machine *m = fake_machine(&fake_engine, &config);
    struct fake *f = fake_of(machine_vcpu(m));
    mmio_out(m, APIC_DEFAULT_ADDR + 0x320, 4, 0x20040); // periodic
    CHECK_EQ(mmio_out(m, APIC_DEFAULT_ADDR + 0x380, 4, 1), VCPU_EXIT_KICK);
    uint64_t first = machine_next_deadline(m);
    machine_tick(m);
    CHECK(f->intr);
    CHECK(machine_next_deadline(m) > first); // never asks for a storm
    CHECK_EQ(acknowledge(m), 0x40);
    mmio_out(m, APIC_DEFAULT_ADDR + 0x380, 4, 0);
    CHECK_EQ(machine_next_deadline(m), UINT64_MAX);
    machine_destroy(m);
}

static void test_nmi_and_base(void)
{
    struct machine *m = fake_machine(&fake_engine, &config);
    struct vcpu *v = machine_vcpu(m);
    mmio_out(m, APIC_DEFAULT_ADDR + 0x300, 4, 0x400);
    CHECK_EQ(fake_of(v)->nmis, 1);
    v->bus.apic_base_written(m, 0xfed00000 | APIC_BASE_ENABLE);
    CHECK_EQ(v->apic_base, 0xfed00000 | APIC_BASE_ENABLE);
    CHECK_EQ(mmio_in(m, 0xfed00030, 4), 0x50014);
    CHECK_EQ(mmio_in(m, APIC_DEFAULT_ADDR + 0x30, 4), 0xffffffff);
    v->bus.apic_base_written(m, APIC_DEFAULT_ADDR);
    CHECK_EQ(mmio_in(m, APIC_DEFAULT_ADDR + 0x30, 4), 0xffffffff); // turned off
    pic_program(m, 0xef);
    out(m, PORT_SERIAL + 4, 1, 8);
    out(m, PORT_SERIAL + 1, 1, 2);
    CHECK(fake_of(v)->intr); // and the PIC is connected directly
    CHECK_EQ(acknowledge(m), 0x24);
    machine_destroy(m);
}

// An engine with controllers of its own gets the lines.
static void test_engine_lines(void)
{
    struct engine own = fake_engine_with_irqchip();
    struct machine *m = fake_machine(&own, &config);
    struct fake *f = fake_of(machine_vcpu(m));
    out(m, PORT_SERIAL + 4, 1, 8);
    out(m, PORT_SERIAL + 1, 1, 2);
    CHECK_EQ(f->line_levels, 1u << 4);
    in(m, PORT_SERIAL + 2, 1);
    CHECK_EQ(f->line_levels, 0);
    machine_destroy(m);
}

int main(void)
{
    static struct rig rig;
    test_registers(&rig);
    test_edge(&rig);
    test_level(&rig);
    test_serial_through_pic();
    test_serial_through_ioapic();
    test_timer();
    test_apic_timer();
    test_nmi_and_base();
    test_engine_lines();
    return check_done("ioapic");
}

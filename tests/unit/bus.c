// SPDX-License-Identifier: BSD-2-Clause
// The bus and the small ports, through the callbacks that engines use; and random traffic over all devices, which must
// neither crash nor read more than was asked for.
#include "include/guest_abi.h"
#include "tests/unit/check.h"
#include "tests/unit/fake_engine.h"
#include "x86/regs.h"

enum { TRAFFIC = 400000 };

static uint32_t last_mark;

static void mark(void *ctx, uint32_t value)
{
    (void)ctx;
    last_mark = value;
}

static const struct machine_config config = {.ram_bytes = 8 << 20, .mark = mark};

static void test_nobody(struct machine *m)
{
    CHECK_EQ(in(m, 0x300, 1), 0xff);
    CHECK_EQ(in(m, 0x300, 2), 0xffff);
    CHECK_EQ(in(m, 0xffff, 4), 0xffffffff);
    CHECK_EQ(out(m, 0xfffe, 4, 0), VCPU_CONTINUE);
    CHECK_EQ(mmio_in(m, 0xd0000000, 8), ~0ull);
    CHECK_EQ(mmio_in(m, 0xd0000000, 1), 0xff);
    CHECK_EQ(mmio_in(m, ~0ull, 4), 0xffffffff);
    CHECK_EQ(mmio_in(m, APIC_DEFAULT_ADDR + 0xffe, 4), 0xffffffff); // leaves the device's range
    CHECK_EQ(mmio_out(m, 0xd0000000, 8, 1), VCPU_CONTINUE);
}

static void test_post(struct machine *m)
{
    CHECK_EQ(out(m, PORT_POST, 1, 0x5a), VCPU_CONTINUE);
    CHECK_EQ(in(m, PORT_POST, 1), 0x5a);
    CHECK_EQ(out(m, PORT_POST, 4, 0x44332211), VCPU_CONTINUE); // four byte-wide latches
    CHECK_EQ(in(m, PORT_POST, 4), 0x44332211);
    CHECK_EQ(in(m, PORT_POST + 1, 1), 0x22);
    CHECK_EQ(out(m, 0xed, 1, 7), VCPU_CONTINUE);
    CHECK_EQ(in(m, 0xed, 1), 7);
    CHECK_EQ(in(m, 0xed, 2), 0xff07); // the upper half is nobody's
    CHECK_EQ(out(m, PORT_BOCHS_SHUTDOWN, 1, 'S'), VCPU_CONTINUE);
}

static void test_ends(struct machine *m)
{
    uint32_t code;
    CHECK(!machine_exit_code(m, &code));
    CHECK_EQ(out(m, PORT_DEBUG_EXIT + 1, 1, 9), VCPU_CONTINUE);
    CHECK(!machine_exit_code(m, &code));
    CHECK_EQ(out(m, PORT_DEBUG_EXIT, 4, 0x1234), VCPU_EXIT_POWER);
    CHECK(machine_exit_code(m, &code) && code == 0x1234);

    CHECK_EQ(out(m, PORT_MARK, 4, MARK(MARK_BEGIN, 1)), VCPU_EXIT_MARK);
    CHECK_EQ(last_mark, 0x101);
    CHECK_EQ(out(m, PORT_MARK, 1, 5), VCPU_CONTINUE);
    CHECK_EQ(last_mark, 0x101);

    CHECK_EQ(in(m, 0x64, 1) & 2, 0); // the controller takes a command
    CHECK_EQ(out(m, 0x64, 1, 0xd1), VCPU_CONTINUE);
    CHECK_EQ(out(m, 0x64, 1, 0xfe), VCPU_EXIT_SHUTDOWN);

    CHECK_EQ(out(m, 0xcf8, 4, 0x80000600), VCPU_CONTINUE); // has the reset bit in the byte at 0xcf9
    CHECK_EQ(in(m, 0xcf8, 4), 0xffffffff);
    CHECK_EQ(in(m, 0xcfc, 4), 0xffffffff);
    CHECK_EQ(in(m, 0xcfe, 2), 0xffff);
    CHECK_EQ(out(m, 0xcf9, 1, 2), VCPU_CONTINUE);
    CHECK_EQ(in(m, 0xcf9, 1), 2);
    CHECK_EQ(out(m, 0xcf9, 1, 6), VCPU_EXIT_SHUTDOWN);
}

// Ports and registers of devices come more often than the wastes between them.
static void random_access(struct machine *m, uint64_t *seed)
{
    static const uint16_t ports[] = {0x20, 0x21, 0xa0, 0xa1,  0x40,  0x41,  0x42,  0x43,  0x61,  0x64,
                                     0x70, 0x71, 0x80, 0x3f8, 0x3f9, 0x3fa, 0x3fc, 0x4d0, 0x4d1, 0xcf9};
    uint64_t r = random64(seed), value = random64(seed);
    unsigned size = 1u << (r & 3);
    if (r & 16) {
        uint64_t base = r & 32 ? APIC_DEFAULT_ADDR : IOAPIC_DEFAULT_ADDR;
        uint64_t addr = base + (r & 64 ? (r >> 8 & 0xff) << 4 : r >> 8 & 0xffff);
        if (r & 128)
            mmio_out(m, addr, size, value);
        else
            CHECK_SAY(size == 8 || mmio_in(m, addr, size) >> 8 * size == 0, "no memory read gives more than was asked");
        return;
    }
    size = size == 8 ? 1 : size;
    uint16_t port = r & 32 ? (uint16_t)(r >> 8) : ports[(r >> 8) % (sizeof(ports) / sizeof(ports[0]))];
    if (r & 128)
        out(m, port, size, (uint32_t)value);
    else
        CHECK_SAY(size == 4 || in(m, port, size) >> 8 * size == 0, "no port read gives more than was asked");
}

static void test_traffic(struct machine *m)
{
    struct vcpu *v = machine_vcpu(m);
    uint64_t seed = 0x9e3779b97f4a7c15;
    for (unsigned i = 0; i < TRAFFIC; i++) {
        random_access(m, &seed);
        uint64_t r = random64(&seed);
        if (r % 4 == 0 && v->engine->set_intr && fake_of(v)->intr) {
            int vector = acknowledge(m);
            CHECK_SAY(vector >= -1 && vector <= 255, "what is acknowledged is a vector");
        }
        if (r % 5 == 0)
            machine_tick(m);
        if (r % 7 == 0) {
            v->cr8 = r >> 8 & 15;
            v->bus.tpr_lowered(m);
            CHECK_SAY(v->tpr_threshold <= 15, "a threshold is a priority");
        }
        if (r % 1000 == 0)
            v->bus.apic_base_written(m, r & 1024 ? APIC_DEFAULT_ADDR | APIC_BASE_ENABLE : random64(&seed));
        (void)machine_next_deadline(m), (void)machine_can_wake(m);
    }
    CHECK_SAY(true, "random traffic ended");
}

int main(void)
{
    struct machine *m = fake_machine(&fake_engine, &config);
    test_nobody(m);
    test_post(m);
    test_ends(m);
    test_traffic(m);
    machine_destroy(m);

    struct engine own = fake_engine_with_irqchip();
    m = fake_machine(&own, &config);
    CHECK_EQ(in(m, 0x21, 1), 0xff); // the engine has these
    CHECK_EQ(in(m, 0x40, 1), 0xff);
    CHECK_EQ(mmio_in(m, APIC_DEFAULT_ADDR + 0x30, 4), 0xffffffff);
    test_traffic(m);
    machine_destroy(m);
    machine_destroy(NULL);
    return check_done("bus");
}

// SPDX-License-Identifier: BSD-2-Clause
// Fuzzing the devices as a guest reaches them: ports and memory-mapped registers at random, with time going on, and an
// engine that takes interrupts when it likes. An input is a list of what happens.
#include "tests/fuzz/fuzz.h"

#include "include/guest_abi.h"
#include "machine/serial.h"
#include "tests/unit/fake_engine.h"
#include "x86/regs.h"

#define STEPS_MAX 1500 // of one input
#define TICKS_MAX 64   // in which all that is due must have been done
#define IOAPIC_ADDR 0xfec00000ull

const char fuzz_name[] = "devices";
const unsigned fuzz_runs = 600;

static const uint16_t ports[] = {0x20,  0x21,  0xa0,  0xa1,  0x4d0, 0x4d1, 0x40,  0x41,  0x42,  0x43,
                                 0x61,  0x70,  0x71,  0x80,  0x92,  0x3f8, 0x3f9, 0x3fa, 0x3fb, 0x3fc,
                                 0x3fd, 0x3fe, 0x3ff, 0xcf8, 0xcfc, 0x60,  0x64,  0xed,  0x2e0, 0x00};
static const uint16_t lapic[] = {0x20,  0x30,  0x80,  0x90,  0xa0,  0xb0,  0xd0,  0xe0,  0xf0,
                                 0x100, 0x180, 0x200, 0x280, 0x300, 0x310, 0x320, 0x330, 0x340,
                                 0x350, 0x360, 0x370, 0x380, 0x390, 0x3e0, 0x3f0, 0xff0};

struct world {
    struct machine *machine;
    struct vcpu *vcpu;
    uint64_t now;
    uint64_t sent, came;
};

static uint64_t time_of(void *world)
{
    return ((struct world *)world)->now;
}

static bool sink(void *world, uint8_t byte)
{
    (void)byte;
    return ++((struct world *)world)->sent < 100000;
}

// Input that comes in pieces.
static int source(void *world)
{
    uint64_t n = ++((struct world *)world)->came;
    return n % 7 ? (int)(n & 0xff) : SERIAL_NOTHING;
}

static void mark(void *world, uint32_t value)
{
    (void)world, (void)value;
}

const char *fuzz_start(void)
{
    return NULL;
}

static bool is_answer(enum vcpu_exit exit)
{
    return exit == VCPU_CONTINUE || exit == VCPU_EXIT_MARK || exit == VCPU_EXIT_POWER || exit == VCPU_EXIT_KICK ||
           exit == VCPU_EXIT_SHUTDOWN;
}

// Time goes on by so much. Whatever the guest has set, after a few looks nothing is due any more.
static bool pass_time(struct world *w, uint64_t ns)
{
    w->now += ns;
    for (unsigned i = 0; i < TICKS_MAX; i++) {
        if (machine_next_deadline(w->machine) > w->now)
            return true;
        machine_tick(w->machine);
    }
    return machine_next_deadline(w->machine) > w->now;
}

static uint64_t some_time(struct fuzz_bytes *b)
{
    unsigned shift = (unsigned)fuzz_take(b, 1) % 40;
    return fuzz_take(b, 2) << shift;
}

static uint64_t mmio_address(struct fuzz_bytes *b)
{
    uint64_t what = fuzz_take(b, 1);
    if (what < 160)
        return APIC_DEFAULT_ADDR + lapic[what % (sizeof lapic / sizeof *lapic)];
    if (what < 220)
        return IOAPIC_ADDR + (what & 1 ? 0x10 : 0);
    return (what & 1 ? APIC_DEFAULT_ADDR : IOAPIC_ADDR) + fuzz_take(b, 2);
}

static uint16_t port(struct fuzz_bytes *b)
{
    uint64_t what = fuzz_take(b, 1);
    return what < 240 ? ports[what % (sizeof ports / sizeof *ports)] : (uint16_t)fuzz_take(b, 2);
}

static bool step(struct world *w, struct fuzz_bytes *b)
{
    const struct vcpu_bus *bus = &w->vcpu->bus;
    unsigned what = (unsigned)fuzz_take(b, 1), size = 1u << (what >> 4) % 3;
    uint32_t v32 = 0;
    uint64_t v64 = 0, address;
    int vector;
    switch (what % 12) {
    case 0:
    case 1:
    case 2:
        address = port(b);
        v32 = (uint32_t)fuzz_take(b, size);
        return is_answer(bus->pio_write(bus->machine, (uint16_t)address, size, v32));
    case 3:
    case 4:
        return is_answer(bus->pio_read(bus->machine, port(b), size, &v32));
    case 5:
    case 6:
        address = mmio_address(b);
        v64 = fuzz_take(b, 4);
        return is_answer(bus->mmio_write(bus->machine, gpa(address), what & 0x80 ? 4 : 1u << (what >> 4) % 4, v64));
    case 7:
        return is_answer(
            bus->mmio_read(bus->machine, gpa(mmio_address(b)), what & 0x80 ? 4 : 1u << (what >> 4) % 4, &v64));
    case 8:
        return pass_time(w, some_time(b));
    case 9:
        vector = bus->interrupt_acknowledge(bus->machine);
        return vector >= -1 && vector < 256;
    case 10:
        w->vcpu->cr8 = (uint8_t)(fuzz_take(b, 1) & 15);
        if (w->vcpu->cr8 < w->vcpu->tpr_threshold)
            bus->tpr_lowered(bus->machine);
        return true;
    default:
        if (what >> 4 == 0)
            bus->apic_base_written(bus->machine, fuzz_take(b, 1) % 2 ? fuzz_take(b, 8) : APIC_DEFAULT_ADDR | 0x900);
        else if (what >> 4 < 4)
            machine_serial_input(w->machine);
        else
            machine_can_wake(w->machine);
        return true;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world w = {.now = 1};
    const struct machine_clock clock = {.now = time_of, .ctx = &w};
    const struct machine_config config = {
        .ram_bytes = 8 << 20, .clock = &clock, .serial_out = sink, .serial_in = source, .mark = mark, .ctx = &w};
    struct fuzz_bytes bytes = {.data = data, .size = size};
    w.machine = fake_machine(&fake_engine, &config);
    w.vcpu = machine_vcpu(w.machine);
    for (unsigned i = 0; i < STEPS_MAX && bytes.at < size; i++)
        FUZZ_CHECK(step(&w, &bytes), data, size);
    FUZZ_CHECK(pass_time(&w, 1000000000), data, size);
    machine_destroy(w.machine);
    return 0;
}

size_t fuzz_input(uint8_t *data, uint64_t *rng)
{
    size_t size = 50 + fuzz_random(rng) % 2000;
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)fuzz_random(rng);
    return size;
}

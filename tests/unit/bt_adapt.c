// SPDX-License-Identifier: BSD-2-Clause
// Adaptation and its way back, as the counters show it: one store that meets a device, then RAM for a while, and so on.
// And another choice that makes code faster or slower, never wrong: which translation of a call returns land behind.
#include <stdlib.h>

#include "engines/bt/guilt.h"
#include "engines/bt/region.h"
#include "engines/bt/tc.h"
#include "include/vcpu.h"
#include "machine/ram.h"
#include "tests/unit/check.h"
#include "x86/regs.h"

extern const struct engine engine_bt;

#define RAM_BYTES (8ull << 20)
#define PML4 0x1000ull
#define PDPT 0x2000ull
#define PD 0x3000ull
#define PD_DEVICE 0x4000ull
#define CODE 0x8000ull
#define PLAIN 0x200000ull
#define DEVICE 0xfee00380ull

struct guest {
    struct guest_ram ram;
    struct vcpu vcpu;
    unsigned device_writes;
};

static enum vcpu_exit mmio_write(void *machine, gpa_t at, unsigned size, uint64_t value)
{
    struct guest *g = machine;
    g->device_writes += at.v == DEVICE && size == 4 && value == 7;
    return VCPU_CONTINUE;
}

static void put64(struct guest *g, uint64_t at, uint64_t v)
{
    memcpy(g->ram.base + at, &v, 8);
}

static void set_up(struct guest *g, const char *settings)
{
    // mov %eax, (%rdi); add %rsi, %rdi; dec %ecx; jnz; hlt
    static const uint8_t code[] = {0x89, 0x07, 0x48, 0x01, 0xf7, 0xff, 0xc9, 0x75, 0xf7, 0xf4};
    char err[200] = "";
    memset(g, 0, sizeof *g);
    if (ram_create(&g->ram, RAM_BYTES, err, sizeof err))
        exit(printf("not ok bt_adapt.c: %s\n", err) > 0);
    put64(g, PML4, PDPT | PTE_P | PTE_W);
    put64(g, PDPT, PD | PTE_P | PTE_W);
    put64(g, PDPT + 3 * 8, PD_DEVICE | PTE_P | PTE_W);
    put64(g, PD, 0 | PTE_P | PTE_W | PTE_PS);
    put64(g, PD + 8, PLAIN | PTE_P | PTE_W | PTE_PS);
    put64(g, PD_DEVICE + (DEVICE >> 21 & 511) * 8, (DEVICE & ~0x1fffffull) | PTE_P | PTE_W | PTE_PS);
    memcpy(g->ram.base + CODE, code, sizeof code);
    g->vcpu = (struct vcpu){.engine = &engine_bt, .ram = &g->ram, .settings = settings};
    g->vcpu.bus.machine = g;
    g->vcpu.bus.mmio_write = mmio_write;
    if (engine_bt.create(&g->vcpu))
        exit(printf("not ok bt_adapt.c: %s\n", g->vcpu.error) > 0);
}

static void tear_down(struct guest *g)
{
    engine_bt.destroy(&g->vcpu);
    ram_destroy(&g->ram);
}

// The loop stores `times` times, the first time to `at`, each time `step` further.
static void run(struct guest *g, uint64_t at, uint64_t step, uint64_t times)
{
    struct vcpu_state s;
    engine_bt.get_state(&g->vcpu, &s);
    s.rip = CODE;
    s.cr3 = PML4;
    s.halted = false;
    s.rflags = FLAG_FIXED1;
    s.seg[SEG_CS].attr = SEG_S | SEG_P | SEG_L | SEG_G | 0xb;
    s.seg[SEG_SS].attr = SEG_S | SEG_P | SEG_DB | SEG_G | 0x3;
    s.gpr[RAX] = 7;
    s.gpr[RCX] = times;
    s.gpr[RDI] = at;
    s.gpr[RSI] = step;
    s.gpr[RSP] = PLAIN + 0x1000;
    CHECK_EQ(engine_bt.set_state(&g->vcpu, &s), 0);
    CHECK_EQ(engine_bt.run(&g->vcpu, 0), VCPU_EXIT_HALT);
}

#define CHECK_COUNTS(g, adaptations, reversions)                                                                       \
    do {                                                                                                               \
        CHECK_EQ((g)->vcpu.counters.n[EV_adaptations], adaptations);                                                   \
        CHECK_EQ((g)->vcpu.counters.n[EV_reversions], reversions);                                                     \
    } while (0)

static void there_and_back(void)
{
    struct guest g;
    set_up(&g, NULL);
    run(&g, PLAIN, 0, 1000);
    CHECK_COUNTS(&g, 0, 0);
    run(&g, DEVICE, 0, 5);
    CHECK_EQ(g.device_writes, 5);
    CHECK_COUNTS(&g, 1, 0); // one fault for all five
    run(&g, PLAIN, 8, GUILT_PATIENCE - 1);
    CHECK_COUNTS(&g, 1, 0);
    run(&g, DEVICE, 0, 1); // begins anew
    run(&g, PLAIN, 8, GUILT_PATIENCE - 1);
    CHECK_COUNTS(&g, 1, 0);
    run(&g, PLAIN, 8, 100);
    CHECK_COUNTS(&g, 1, 1);
    uint64_t made = g.vcpu.counters.n[EV_hidden_faults];
    run(&g, PLAIN, 8, 100);
    CHECK(g.vcpu.counters.n[EV_hidden_faults] <= made + 1);

    // From one to the other in one run, by the forwarding jump.
    run(&g, DEVICE, PLAIN - DEVICE, 2);
    CHECK_EQ(g.device_writes, 7);
    CHECK_COUNTS(&g, 2, 1);
    run(&g, PLAIN, 8, 2 * GUILT_PATIENCE - 2);
    CHECK_COUNTS(&g, 2, 1);
    run(&g, PLAIN + 0x1000, 8, 2);
    CHECK_COUNTS(&g, 2, 2);
    run(&g, DEVICE, 0, 3);
    CHECK_EQ(g.device_writes, 10);
    CHECK_COUNTS(&g, 3, 2);
    run(&g, PLAIN, 8, 4 * GUILT_PATIENCE + 9);
    CHECK_COUNTS(&g, 3, 3);
    unsigned bad = 0;
    for (unsigned i = 0; i < 4 * GUILT_PATIENCE; i++)
        bad += g.ram.base[PLAIN + 8 * i] != 7;
    CHECK_EQ(bad, 0);
    tear_down(&g);
}

static void not_at_all(void)
{
    struct guest g;
    set_up(&g, "no-adapt");
    run(&g, DEVICE, 0, 5);
    CHECK_EQ(g.device_writes, 5);
    CHECK_COUNTS(&g, 0, 0);
    tear_down(&g);
}

static void verdicts(void)
{
    struct guilt *g = calloc(1, sizeof *g);
    CHECK(!guilt_verdict(g, 0));
    guilt_convict(g, 0); // code may be there, too: one that stayed innocent would fault for ever
    CHECK(guilt_verdict(g, 0) != NULL);
    CHECK_EQ(g->count, 1);
    guilt_convict(g, 5);
    CHECK(guilt_verdict(g, 5) && !guilt_verdict(g, 5 + GUILT_SLOTS));
    CHECK_EQ(guilt_verdict(g, 5)->patience, GUILT_PATIENCE);
    guilt_convict(g, 5); // again while guilty: nothing new
    CHECK_EQ(guilt_verdict(g, 5)->patience, GUILT_PATIENCE);
    for (uint64_t rip = 100; rip < 100 + GUILT_SLOTS; rip++) {
        guilt_convict(g, rip);
        CHECK(guilt_verdict(g, rip));
    }
    CHECK(!guilt_verdict(g, 100)); // forgotten at some time, as there is an end to room
    free(g);
}

// Two loops, one in the other, around a call: it is translated with the way to the inner loop, as the inner loop's
// head, and with the outer loop's head or the way from there. The inner loop's is the one that is called from.
static void landings(bool jump)
{
    // mov $10, %ebx; 1: mov $10, %ecx; jmp .+2; nop; 2: call 3f; dec %ecx; jnz 2b; dec %ebx; jnz 1b; hlt; 3: ret
    static const uint8_t code[] = {0xbb, 10, 0, 0, 0,    0xb9, 10,   0,    0,    0,    0xeb, 0,    0x90, 0xe8,
                                   9,    0,  0, 0, 0xff, 0xc9, 0x75, 0xf7, 0xff, 0xcb, 0x75, 0xeb, 0xf4, 0xc3};
    const uint64_t inner = CODE + 13, back = CODE + 18;
    struct guest g;
    struct vcpu_state s;
    set_up(&g, NULL);
    memcpy(g.ram.base + CODE, code, sizeof code);
    if (!jump)
        memset(g.ram.base + CODE + 10, 0x90, 2);
    run(&g, PLAIN, 0, 0);
    engine_bt.get_state(&g.vcpu, &s);
    CHECK_EQ(s.gpr[RSP], PLAIN + 0x1000);
    CHECK_EQ(s.gpr[RCX], 0);
    const struct bt *bt = g.vcpu.engine_data;
    const struct point *point;
    const struct ccf *lands = tc_ccf_at(bt->tc, (const uint8_t *)(uintptr_t)bt->returns[back % TARGETS], &point);
    const struct ccf *ccf;
    unsigned copies = 0;
    for (uint32_t i = 0; (ccf = tc_ccf(bt->tc, i)); i++)
        copies += ccf->rip + ccf->tu_bytes == back;
    CHECK(copies >= 3);
    CHECK(lands && lands->rip == inner && lands->polls);
    tear_down(&g);
}

int main(int argc, char **argv)
{
    (void)argc;
    region_fix_layout(argv);
    char reason[200];
    if (!region_layout_ok(reason, sizeof reason)) {
        SKIP(reason);
        return 0;
    }
    there_and_back();
    not_at_all();
    verdicts();
    landings(true);
    landings(false);
    return check_done("bt_adapt");
}

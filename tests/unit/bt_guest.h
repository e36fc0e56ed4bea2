// SPDX-License-Identifier: BSD-2-Clause
// A guest of a few instructions on engine bt: 4 MiB of RAM at their own addresses and at HIGH, a device, no IDT.
#ifndef RINGSIDE_TESTS_UNIT_BT_GUEST_H
#define RINGSIDE_TESTS_UNIT_BT_GUEST_H

#include <stdlib.h>

#include "engines/bt/bt.h"
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
#define STACK_TOP (PLAIN + 0x1000)
#define DEVICE 0xfee00380ull
#define HIGH 0xfffff80000000000ull // beyond the reach of a sign-extended 32-bit constant

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

static void set_up(struct guest *g, const char *settings, const void *code, size_t bytes)
{
    char err[200] = "";
    memset(g, 0, sizeof *g);
    if (ram_create(&g->ram, RAM_BYTES, err, sizeof err))
        exit(printf("not ok %s\n", err) > 0);
    put64(g, PML4, PDPT | PTE_P | PTE_W);
    put64(g, PML4 + (HIGH >> 39 & 511) * 8, PDPT | PTE_P | PTE_W);
    put64(g, PDPT, PD | PTE_P | PTE_W);
    put64(g, PDPT + 3 * 8, PD_DEVICE | PTE_P | PTE_W);
    put64(g, PD, 0 | PTE_P | PTE_W | PTE_PS);
    put64(g, PD + 8, PLAIN | PTE_P | PTE_W | PTE_PS);
    put64(g, PD_DEVICE + (DEVICE >> 21 & 511) * 8, (DEVICE & ~0x1fffffull) | PTE_P | PTE_W | PTE_PS);
    memcpy(g->ram.base + CODE, code, bytes);
    g->vcpu = (struct vcpu){.engine = &engine_bt, .ram = &g->ram, .settings = settings};
    g->vcpu.bus.machine = g;
    g->vcpu.bus.mmio_write = mmio_write;
    if (engine_bt.create(&g->vcpu))
        exit(printf("not ok %s\n", g->vcpu.error) > 0);
}

static void tear_down(struct guest *g)
{
    engine_bt.destroy(&g->vcpu);
    ram_destroy(&g->ram);
}

// The state that it starts from, for the test to add to: 64-bit mode, CPL 0, at rip.
static void begin_at(struct guest *g, uint64_t rip, struct vcpu_state *s)
{
    engine_bt.get_state(&g->vcpu, s);
    s->rip = rip;
    s->cr3 = PML4;
    s->halted = false;
    s->rflags = FLAG_FIXED1;
    s->seg[SEG_CS].attr = SEG_S | SEG_P | SEG_L | SEG_G | 0xb;
    s->seg[SEG_SS].attr = SEG_S | SEG_P | SEG_DB | SEG_G | 0x3;
    s->gpr[RSP] = STACK_TOP;
}

#endif

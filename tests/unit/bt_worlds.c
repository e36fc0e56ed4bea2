// SPDX-License-Identifier: BSD-2-Clause
// In which world CPL 0 runs, as the guest's page tables have it, and what becomes of what was made for another one.
#include "tests/unit/bt_guest.h"
#include "tests/unit/bt_possible.h"

// mov %rbx, (%rdi); mov %rax, %cr3; mov %ecx, (%rsi); hlt
static const uint8_t code[] = {0x48, 0x89, 0x1f, 0x0f, 0x22, 0xd8, 0x89, 0x0e, 0xf4};

static enum world world_of(const struct guest *g)
{
    return ((const struct bt *)g->vcpu.engine_data)->world;
}

// The guest writes an entry of its top-level table, loads cr3 and stores something.
static void run(struct guest *g, unsigned index, uint64_t entry)
{
    struct vcpu_state s;
    begin_at(g, CODE, &s);
    s.gpr[RBX] = entry;
    s.gpr[RDI] = PML4 + 8 * index;
    s.gpr[RAX] = PML4;
    s.gpr[RSI] = PLAIN;
    CHECK_EQ(engine_bt.set_state(&g->vcpu, &s), 0);
    CHECK_EQ(engine_bt.run(&g->vcpu, 0), VCPU_EXIT_HALT);
}

// Entry 1 of the top level, and the 2 MiB from 0xffff810000000000 on, are where the fast world has the monitor.
static void where_the_monitor_is(void)
{
    struct guest g;
    set_up(&g, NULL, code, sizeof code);
    run(&g, 1, 0);
    CHECK_EQ(world_of(&g), WORLD_FAST);
    run(&g, 1, PDPT | PTE_P | PTE_W);
    CHECK_EQ(world_of(&g), WORLD_CHECKED);
    run(&g, 1, 0); // as Linux does, early in its boot
    CHECK_EQ(world_of(&g), WORLD_FAST);
    run(&g, 258, PDPT | PTE_P | PTE_W);
    CHECK_EQ(world_of(&g), WORLD_CHECKED);
    run(&g, 258, 0);
    CHECK_EQ(world_of(&g), WORLD_FAST);
    tear_down(&g);

    set_up(&g, "checked", code, sizeof code);
    run(&g, 1, PDPT | PTE_P | PTE_W);
    run(&g, 1, 0);
    CHECK_EQ(world_of(&g), WORLD_CHECKED);
    tear_down(&g);
}

// ---- Page-table isolation ----

// The kernel's own tables have everything at HIGH; those for user code have no more than the way in, one page of code
// and one of stack, and for the test some data. As Linux has it, the way in is the same in both.
#define ENTRY_ROOT 0x10000ull
#define ENTRY_TABLE 0x11000ull // its page directory pointers, then its page directory and its page table
#define WAY_IN 0x20000ull
#define BODY 0x21000ull // the kernel's other code, pages of it
#define BODY_PAGES 8u
#define KERNEL_PCID 1u
#define USER_PCID 0x801u

static const uint8_t way_in[] = {
    0x0f, 0x22, 0xd8, // 1: mov %rax, %cr3
    0xff, 0xd6,       // call *%rsi
    0x0f, 0x22, 0xdb, // mov %rbx, %cr3
    0x50, 0x58,       // push %rax; pop %rax
    0xff, 0xc9,       // dec %ecx
    0x75, 0xf2,       // jnz 1b
    0xf4,             // hlt
};

// jmp to the next of its pages; in the last one mov (%rdi), %edx, and so 2 MiB and 4 MiB behind; inc %r8; ret
static void put_body(struct guest *g)
{
    static const uint8_t next[] = {0xe9, 0xfb, 0x0f, 0, 0},
                         last[] = {0x8b, 0x17, 0x8b, 0x97, 0, 0,    0x20, 0,    0x8b,
                                   0x97, 0,    0,    0x40, 0, 0x49, 0xff, 0xc0, 0xc3};
    for (unsigned i = 0; i < BODY_PAGES - 1; i++)
        memcpy(g->ram.base + BODY + i * GUEST_PAGE_SIZE, next, sizeof next);
    memcpy(g->ram.base + BODY + (BODY_PAGES - 1) * GUEST_PAGE_SIZE, last, sizeof last);
}

static void put_entry_tables(struct guest *g)
{
    const uint64_t rights = PTE_P | PTE_W | PTE_A | PTE_D;
    put64(g, ENTRY_ROOT + (HIGH >> 39 & 511) * 8, ENTRY_TABLE | rights);
    put64(g, ENTRY_TABLE, (ENTRY_TABLE + 0x1000) | rights);
    put64(g, ENTRY_TABLE + 0x1000, (ENTRY_TABLE + 0x2000) | rights);
    put64(g, ENTRY_TABLE + 0x1008, PLAIN | PTE_PS | rights);
    put64(g, ENTRY_TABLE + 0x2000 + WAY_IN / GUEST_PAGE_SIZE * 8, WAY_IN | rights);
    put64(g, ENTRY_TABLE + 0x2000 + CODE / GUEST_PAGE_SIZE * 8, CODE | rights); // the stack
}

static void set_up_isolated(struct guest *g, const char *settings)
{
    set_up(g, settings, code, sizeof code);
    put64(g, PD + 16, PLAIN | PTE_P | PTE_W | PTE_PS);
    put64(g, PD + 24, PLAIN | PTE_P | PTE_W | PTE_PS);
    memcpy(g->ram.base + WAY_IN, way_in, sizeof way_in);
    put_body(g);
    put_entry_tables(g);
}

// In and out so many times. flush: without PCIDs, so that each load of cr3 is a flush.
static void go_in_and_out(struct guest *g, unsigned times, bool flush)
{
    struct vcpu_state s;
    begin_at(g, HIGH + WAY_IN, &s);
    s.cr3 = PML4;
    s.cr4 |= CR4_PGE | (flush ? 0 : CR4_PCIDE);
    s.gpr[RAX] = PML4 | (flush ? 0 : KERNEL_PCID | CR3_NOFLUSH);
    s.gpr[RBX] = ENTRY_ROOT | (flush ? 0 : USER_PCID | CR3_NOFLUSH);
    s.gpr[RCX] = times;
    s.gpr[RSI] = HIGH + BODY;
    s.gpr[RDI] = HIGH + PLAIN;
    s.gpr[RSP] = HIGH + CODE + 0x1000;
    s.gpr[8] = 0;
    CHECK_EQ(engine_bt.set_state(&g->vcpu, &s), 0);
    CHECK_EQ(engine_bt.run(&g->vcpu, 0), VCPU_EXIT_HALT);
    CHECK_EQ(world_of(g), WORLD_ENTRY);
    engine_bt.get_state(&g->vcpu, &s);
    CHECK_EQ(s.gpr[8], times);
    CHECK_EQ(s.cr3 & PTE_ADDR, ENTRY_ROOT);
}

// What was made from the kernel's tables is there again when they are: nothing is translated or mapped twice.
// all_code: as Linux has it where there are no PCIDs, by global pages.
static void ways_in(const char *settings, bool flush, bool all_code)
{
    struct guest g;
    set_up_isolated(&g, settings);
    for (unsigned i = 0; i < BODY_PAGES && all_code; i++)
        put64(&g, ENTRY_TABLE + 0x2000 + (BODY / GUEST_PAGE_SIZE + i) * 8,
              (BODY + i * GUEST_PAGE_SIZE) | PTE_P | PTE_A);
    put64(&g, ENTRY_TABLE + 0x1008, 0);
    go_in_and_out(&g, 4, flush);
    uint64_t blocks = g.vcpu.counters.n[EV_blocks], hidden = g.vcpu.counters.n[EV_hidden_faults];
    CHECK_EQ(g.vcpu.counters.n[EV_blocks_invalidated], 0);
    go_in_and_out(&g, 4, flush); // set_state() drops what there is
    uint64_t few = g.vcpu.counters.n[EV_blocks] - blocks;
    hidden = g.vcpu.counters.n[EV_hidden_faults];
    blocks = g.vcpu.counters.n[EV_blocks];
    go_in_and_out(&g, 400, flush);
    CHECK_EQ(g.vcpu.counters.n[EV_blocks] - blocks, few);
    CHECK(g.vcpu.counters.n[EV_hidden_faults] <= hidden + 1);
    CHECK_EQ(g.vcpu.counters.n[EV_blocks_invalidated], 0);
    tear_down(&g);
}

// By tables that have not much of a kernel, but work is done: they are its own from now on, until the next ones.
static void no_way_in(void)
{
    // 1: mov (%rdi), %edx; add $4096, %rdi; dec %ecx; jnz 1b; hlt
    static const uint8_t work[] = {0x8b, 0x17, 0x48, 0x81, 0xc7, 0, 0x10, 0, 0, 0xff, 0xc9, 0x75, 0xf3, 0xf4};
    struct guest g;
    struct vcpu_state s;
    set_up_isolated(&g, NULL);
    memcpy(g.ram.base + WAY_IN + 0x100, work, sizeof work);
    go_in_and_out(&g, 4, false);
    for (unsigned pages = 20; pages <= 100; pages += 80) {
        struct bt *bt = g.vcpu.engine_data;
        bt->halted = false;
        bt->rip = HIGH + WAY_IN + 0x100;
        bt->gpr[RCX] = pages;
        bt->gpr[RDI] = HIGH + PLAIN + (pages - 20) * GUEST_PAGE_SIZE;
        CHECK_EQ(engine_bt.run(&g.vcpu, 0), VCPU_EXIT_HALT);
        CHECK_EQ(world_of(&g), pages == 20 ? WORLD_ENTRY : WORLD_FAST);
    }
    engine_bt.get_state(&g.vcpu, &s);
    CHECK_EQ(s.gpr[RDI], HIGH + PLAIN + 180 * GUEST_PAGE_SIZE);
    tear_down(&g);
}

int main(int argc, char **argv)
{
    (void)argc;
    if (!bt_possible(argv))
        return 0;
    where_the_monitor_is();
    ways_in(NULL, false, false);
    ways_in(NULL, true, false);
    ways_in(NULL, true, true);
    ways_in("checked", false, false);
    ways_in("mmu=trace", false, false);
    no_way_in();
    return check_done("bt_worlds");
}

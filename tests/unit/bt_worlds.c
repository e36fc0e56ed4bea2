// SPDX-License-Identifier: BSD-2-Clause
// In which world CPL 0 runs, as the guest's page tables have it.
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

int main(int argc, char **argv)
{
    (void)argc;
    if (!bt_possible(argv))
        return 0;
    where_the_monitor_is();
    return check_done("bt_worlds");
}

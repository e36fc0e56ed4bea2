// SPDX-License-Identifier: BSD-2-Clause
// Mappings of a process for user code: a guest's tables made by hand, and in place of the process an array that holds
// what the commands have made of each page.
#include <sys/mman.h>

#include "tests/unit/bt_tables.h"

#define FIRST 16u // page at PROCESS_LOWEST
#define RIGHTS (PTE_P | PTE_W | PTE_U)

struct host { // pages of the first 4 MiB
    uint8_t prot[1024];
    uint64_t ram_offset[1024];
    unsigned commands, clears, room;
};

struct fixture {
    struct bt_tables tables;
    struct map *map;
    struct host host;
};

static bool change(void *context, const struct process_command *c)
{
    struct host *h = context;
    uint64_t first = c->va / PAGE, n = c->bytes / PAGE;
    if (!h->room)
        return false;
    h->room--;
    h->commands++;
    for (uint64_t i = 0; i < n && first + i < 1024; i++) {
        h->prot[first + i] = c->op == PROCESS_UNMAP ? 0 : c->prot;
        if (c->op == PROCESS_MAP)
            h->ram_offset[first + i] = c->ram_offset + i * PAGE;
    }
    return true;
}

static void clear(void *context)
{
    struct host *h = context;
    h->clears++;
    memset(h->prot, 0, sizeof h->prot);
}

static void set_up(struct fixture *f)
{
    *f = (struct fixture){.host.room = ~0u};
    bt_tables_start(&f->tables);
    f->map = map_create_user(f->tables.bt->map, &(struct map_host){change, clear, &f->host});
    f->tables.bt->cr4 = CR4_SMAP | CR4_SMEP;
    *cell(&f->tables, PML4, 0) = PDPT | RIGHTS;
    *cell(&f->tables, PDPT, 0) = PD | RIGHTS;
    *cell(&f->tables, PD, 0) = PT | RIGHTS;
    *cell(&f->tables, PD, 1) = LARGE | RIGHTS | PTE_PS;
    for (unsigned i = 0; i < 64; i++)
        *cell(&f->tables, PT, i) = (FRAMES + i * PAGE) | RIGHTS;
}

static void tear_down(struct fixture *f)
{
    map_destroy(f->map);
    bt_tables_stop(&f->tables);
}

static uint32_t error;
static enum map_result fault(struct fixture *f, uint64_t va, uint32_t access)
{
    error = 0;
    return map_fault_user(f->tables.bt, f->map, va, access, &error);
}

// ---- Tests ----

static void rights(void)
{
    struct fixture f;
    set_up(&f);
    CHECK_EQ(fault(&f, FIRST * PAGE + 8, 0), MAP_DONE);
    CHECK_EQ(f.host.prot[FIRST], PROT_READ | PROT_EXEC);
    CHECK_EQ(f.host.ram_offset[FIRST], FRAMES + FIRST * PAGE);
    CHECK_EQ(f.host.prot[FIRST + 1], 0); // not accessed yet
    CHECK_EQ(fault(&f, FIRST * PAGE, PF_WRITE), MAP_DONE);
    CHECK_EQ(f.host.prot[FIRST], PROT_READ | PROT_WRITE | PROT_EXEC);
    CHECK_EQ(*cell(&f.tables, PT, FIRST) & (PTE_A | PTE_D), PTE_A | PTE_D);

    *cell(&f.tables, PT, 20) |= PTE_NX;
    CHECK_EQ(fault(&f, 20 * PAGE, PF_WRITE), MAP_DONE);
    CHECK_EQ(f.host.prot[20], PROT_READ | PROT_WRITE);
    CHECK_EQ(fault(&f, 20 * PAGE, PF_FETCH), MAP_TRUE);
    CHECK_EQ(error, PF_PRESENT | PF_USER | PF_FETCH);
    *cell(&f.tables, PT, 21) &= ~PTE_U;
    CHECK_EQ(fault(&f, 21 * PAGE, 0), MAP_TRUE);
    CHECK_EQ(error, PF_PRESENT | PF_USER);
    *cell(&f.tables, PT, 22) &= ~PTE_W; // CR0.WP does not matter at CPL 3
    f.tables.bt->cr0 = 0;
    CHECK_EQ(fault(&f, 22 * PAGE, PF_WRITE), MAP_TRUE);
    CHECK_EQ(fault(&f, 22 * PAGE, 0), MAP_DONE);
    CHECK_EQ(f.host.prot[22], PROT_READ | PROT_EXEC);
    CHECK_EQ(f.host.prot[20], PROT_READ | PROT_WRITE);

    *cell(&f.tables, PD, 0) |= PTE_NX; // a level above
    map_revalidate(f.tables.bt, f.map);
    CHECK_EQ(f.host.prot[22], 0);
    CHECK_EQ(f.host.prot[20], PROT_READ | PROT_WRITE);
    CHECK_EQ(fault(&f, 22 * PAGE, PF_FETCH), MAP_TRUE);
    *cell(&f.tables, PD, 0) &= ~(PTE_NX | PTE_U);
    map_revalidate(f.tables.bt, f.map);
    CHECK_EQ(f.host.prot[20], 0);
    CHECK_EQ(fault(&f, 20 * PAGE, 0), MAP_TRUE);
    tear_down(&f);
}

static void runs(void)
{
    struct fixture f;
    set_up(&f);
    for (unsigned i = 0; i < 64; i++)
        *cell(&f.tables, PT, i) |= PTE_A | PTE_D;
    CHECK_EQ(fault(&f, 40 * PAGE, 0), MAP_DONE);
    CHECK_EQ(f.host.commands, 1);
    for (unsigned i = FIRST; i < 64; i++)
        CHECK_EQ(f.host.prot[i], PROT_READ | PROT_WRITE | PROT_EXEC);
    CHECK_EQ(f.host.prot[FIRST - 1], 0); // the host keeps these
    CHECK_EQ(fault(&f, (FIRST - 1) * PAGE, 0), MAP_CHECKED);
    CHECK_EQ(fault(&f, LARGE_VA + 5 * PAGE, PF_WRITE), MAP_DONE);
    CHECK_EQ(f.host.commands, 2);
    CHECK_EQ(f.host.prot[512], PROT_READ | PROT_WRITE | PROT_EXEC);
    CHECK_EQ(f.host.prot[1023], PROT_READ | PROT_WRITE | PROT_EXEC);

    map_revalidate(f.tables.bt, f.map); // nothing has changed
    CHECK_EQ(f.host.commands, 2);
    *cell(&f.tables, PT, 30) = (FRAMES + 60 * PAGE) | RIGHTS;
    *cell(&f.tables, PT, 31) &= ~PTE_W;
    map_invlpg(f.tables.bt, f.map, 30 * PAGE);
    CHECK_EQ(f.host.prot[30], 0);
    CHECK_EQ(f.host.prot[31], PROT_READ | PROT_WRITE | PROT_EXEC); // as a TLB would have it
    map_revalidate(f.tables.bt, f.map);
    CHECK_EQ(f.host.prot[31], 0);
    CHECK_EQ(f.host.prot[32], PROT_READ | PROT_WRITE | PROT_EXEC);
    tear_down(&f);
}

static void window(void)
{
    struct fixture f;
    set_up(&f);
    *cell(&f.tables, PML4, PROCESS_WINDOW >> 39 & 511) = PDPT | RIGHTS;
    *cell(&f.tables, PDPT, PROCESS_WINDOW >> 30 & 511) = PD | RIGHTS;
    *cell(&f.tables, PD, PROCESS_WINDOW >> 21 & 511) = LARGE | RIGHTS | PTE_PS;
    CHECK_EQ(fault(&f, PROCESS_WINDOW, 0), MAP_CHECKED);
    CHECK_EQ(fault(&f, PROCESS_WINDOW + PROCESS_WINDOW_BYTES - 1, PF_WRITE), MAP_CHECKED);
    CHECK_EQ(f.host.commands, 0);
    CHECK_EQ(fault(&f, PROCESS_WINDOW + PROCESS_WINDOW_BYTES, 0), MAP_DONE);
    CHECK_EQ(f.host.commands, 1);
    CHECK_EQ(fault(&f, 1ull << 47, 0), MAP_CHECKED);
    CHECK_EQ(fault(&f, ~0ull << 47, 0), MAP_TRUE); // canonical, and not mapped
    tear_down(&f);
}

// A trace takes writing away in every address space.
static void traces(void)
{
    struct fixture f;
    set_up(&f);
    CHECK_EQ(fault(&f, 20 * PAGE, PF_WRITE), MAP_DONE);
    CHECK_EQ(fault(&f, LARGE_VA, PF_WRITE), MAP_DONE);
    map_set_trace(f.tables.bt, FRAMES + 20 * PAGE, true);
    CHECK_EQ(f.host.prot[20], PROT_READ | PROT_EXEC);
    map_set_trace(f.tables.bt, LARGE + 7 * PAGE, true);
    CHECK_EQ(f.host.prot[519], PROT_READ | PROT_EXEC);
    CHECK_EQ(f.host.prot[520], PROT_READ | PROT_WRITE | PROT_EXEC);
    CHECK_EQ(fault(&f, 20 * PAGE, PF_WRITE), MAP_CHECKED);
    CHECK_EQ(fault(&f, 20 * PAGE, PF_FETCH), MAP_DONE);
    map_set_trace(f.tables.bt, FRAMES + 20 * PAGE, false);
    CHECK_EQ(fault(&f, 20 * PAGE, PF_WRITE), MAP_DONE);
    CHECK_EQ(f.host.prot[20], PROT_READ | PROT_WRITE | PROT_EXEC);
    tear_down(&f);
}

// Where the process takes no more commands, all of its mappings go, and come back by faults.
static void no_room(void)
{
    struct fixture f;
    set_up(&f);
    for (unsigned i = FIRST; i < 64; i += 2)
        CHECK_EQ(fault(&f, i * PAGE, PF_WRITE), MAP_DONE);
    for (unsigned i = FIRST; i < 64; i++)
        *cell(&f.tables, PT, i) &= ~PTE_W;
    f.host.room = 3;
    map_revalidate(f.tables.bt, f.map);
    CHECK_EQ(f.host.clears, 1);
    f.host.room = ~0u;
    for (unsigned i = FIRST; i < 64; i += 2) {
        CHECK_EQ(f.host.prot[i], 0);
        CHECK_EQ(fault(&f, i * PAGE, PF_WRITE), MAP_TRUE);
        CHECK_EQ(fault(&f, i * PAGE, 0), MAP_DONE);
        CHECK_EQ(f.host.prot[i], PROT_READ | PROT_EXEC);
    }
    *cell(&f.tables, PT, 20) |= PTE_W;
    CHECK_EQ(fault(&f, 20 * PAGE, PF_WRITE), MAP_DONE);
    f.host.room = 0;
    map_set_trace(f.tables.bt, FRAMES + 20 * PAGE, true);
    CHECK_EQ(f.host.clears, 2);
    f.host.room = ~0u;
    CHECK_EQ(fault(&f, 20 * PAGE, PF_WRITE), MAP_CHECKED);
    map_drop_all(f.map);
    CHECK_EQ(f.host.clears, 2); // there was nothing
    tear_down(&f);
}

int main(int argc, char **argv)
{
    (void)argc;
    if (!bt_possible(argv))
        return 0;
    rights();
    runs();
    window();
    traces();
    no_room();
    return check_done("bt_map_user");
}

// SPDX-License-Identifier: BSD-2-Clause
// Host mappings of the fast world: a guest's tables made by hand, accesses through gs as translated code makes them,
// and a signal handler that does nothing but ask map_fault().
#include <setjmp.h>
#include <signal.h>
#include <ucontext.h>

#include "tests/unit/bt_tables.h"

#define PD_SHARED 0x5000ull // all entries lead to PT_SHARED
#define PT_SHARED 0x6000ull // all entries lead to one page
#define PD_LARGE 0x7000ull  // all entries are the same large page
#define HUGE_VA 0x40000000ull
#define UPPER 0xffffff8000000000ull // the same tables again
#define RIGHTS (PTE_P | PTE_W)

static void set_up(struct bt_tables *f)
{
    bt_tables_start(f);
    *cell(f, PML4, 0) = PDPT | RIGHTS | PTE_U;
    *cell(f, PML4, 1) = PDPT | RIGHTS;
    *cell(f, PML4, 2) = PDPT | RIGHTS;
    *cell(f, PML4, 511) = PDPT | RIGHTS | PTE_U;
    *cell(f, PDPT, 0) = PD | RIGHTS | PTE_U;
    *cell(f, PDPT, 1) = 0 | RIGHTS | PTE_PS;
    *cell(f, PD, 0) = PT | RIGHTS | PTE_U;
    *cell(f, PD, 1) = LARGE | RIGHTS | PTE_PS;
    for (unsigned i = 0; i < 64; i++) {
        *cell(f, PT, i) = (FRAMES + i * PAGE) | RIGHTS;
        *(uint64_t *)(f->ram.base + FRAMES + i * PAGE) = i + 1;
    }
    for (unsigned i = 0; i < 512; i++)
        *(uint64_t *)(f->ram.base + LARGE + i * PAGE) = i + 1000;
}

// ---- Accesses ----

static sigjmp_buf refused;
static volatile uint32_t refused_error;

static void on_fault(int number, siginfo_t *info, void *context)
{
    (void)number;
    struct bt *bt = (struct bt *)BT_REGION;
    bool write = ((ucontext_t *)context)->uc_mcontext.gregs[REG_ERR] & 2;
    uint32_t error = 0;
    enum map_result result = map_fault(bt, (uint64_t)(uintptr_t)info->si_addr - BT_BIAS, write, &error);
    if (result == MAP_DONE)
        return;
    refused_error = error;
    siglongjmp(refused, result);
}

static enum map_result load(uint64_t va, uint64_t *value)
{
    int result = sigsetjmp(refused, 1);
    if (result == 0)
        __asm__ volatile("mov %%gs:(%1), %0" : "=r"(*value) : "r"(va) : "memory");
    return (enum map_result)result;
}

static enum map_result store(uint64_t va, uint64_t value)
{
    int result = sigsetjmp(refused, 1);
    if (result == 0)
        __asm__ volatile("mov %0, %%gs:(%1)" : : "r"(value), "r"(va) : "memory");
    return (enum map_result)result;
}

// The value at va, or something that no test expects where it cannot be had.
static uint64_t peek(uint64_t va)
{
    uint64_t value;
    return load(va, &value) == MAP_DONE ? value : ~0ull;
}

static uint64_t faults(const struct bt_tables *f)
{
    return f->vcpu.counters.n[EV_hidden_faults];
}

// ---- Tests ----

static void accessed_and_dirty(void)
{
    struct bt_tables f;
    set_up(&f);
    CHECK_EQ(peek(0), 1);
    CHECK_EQ(*cell(&f, PT, 0) & (PTE_A | PTE_D), PTE_A);
    CHECK_EQ(peek(0), 1);
    CHECK_EQ(faults(&f), 1);
    CHECK_EQ(store(8, 77), MAP_DONE);
    CHECK_EQ(faults(&f), 2);
    CHECK_EQ(*cell(&f, PT, 0) & (PTE_A | PTE_D), PTE_A | PTE_D);
    CHECK_EQ(*(uint64_t *)(f.ram.base + FRAMES + 8), 77);
    CHECK_EQ(peek(UPPER), 1);
    CHECK_EQ(store(UPPER + 8, 78), MAP_DONE); // dirty already: the first fault was enough
    CHECK_EQ(faults(&f), 3);
    CHECK_EQ(peek(8), 78);
    bt_tables_stop(&f);
}

static void neighbours(void)
{
    struct bt_tables f;
    set_up(&f);
    for (unsigned i = 4; i < 9; i++)
        *cell(&f, PT, i) |= PTE_A;
    CHECK_EQ(peek(6 * PAGE), 7);
    for (unsigned i = 4; i < 9; i++)
        CHECK_EQ(peek(i * PAGE), i + 1);
    CHECK_EQ(faults(&f), 1);
    CHECK_EQ(*cell(&f, PT, 9) & PTE_A, 0);
    CHECK_EQ(*cell(&f, PT, 3) & PTE_A, 0);
    CHECK_EQ(peek(9 * PAGE), 10);
    CHECK_EQ(faults(&f), 2);

    for (unsigned i = 20; i < 40; i++)
        *cell(&f, PT, i) |= PTE_A | PTE_D;
    *cell(&f, PT, 30) &= ~PTE_D;
    *cell(&f, PT, 25) = (FRAMES + 60 * PAGE) | RIGHTS | PTE_A | PTE_D; // not the next frame
    CHECK_EQ(store(27 * PAGE + 8, 5), MAP_DONE);
    CHECK_EQ(store(29 * PAGE + 8, 5), MAP_DONE);
    CHECK_EQ(faults(&f), 3);
    CHECK_EQ(store(30 * PAGE + 8, 5), MAP_DONE);
    CHECK_EQ(store(25 * PAGE + 8, 6), MAP_DONE);
    CHECK_EQ(faults(&f), 5);
    CHECK_EQ(*(uint64_t *)(f.ram.base + FRAMES + 60 * PAGE + 8), 6);
    CHECK_EQ(store(31 * PAGE + 8, 5), MAP_DONE);
    CHECK_EQ(store(24 * PAGE + 8, 5), MAP_DONE);
    CHECK_EQ(peek(26 * PAGE), 27);
    CHECK_EQ(faults(&f), 6); // 30's fault mapped 31 to 39 too
    bt_tables_stop(&f);
}

static void large_pages(void)
{
    struct bt_tables f;
    set_up(&f);
    CHECK_EQ(peek(LARGE_VA + 100 * PAGE), 1100);
    CHECK_EQ(peek(LARGE_VA), 1000);
    CHECK_EQ(peek(LARGE_VA + 511 * PAGE), 1511);
    CHECK_EQ(faults(&f), 1);
    CHECK_EQ(store(LARGE_VA + 8, 1), MAP_DONE);
    CHECK_EQ(store(LARGE_VA + 300 * PAGE + 8, 1), MAP_DONE);
    CHECK_EQ(faults(&f), 2);
    CHECK_EQ(peek(HUGE_VA + FRAMES + PAGE), 2);
    CHECK_EQ(peek(HUGE_VA + FRAMES + 2 * PAGE), 3);
    CHECK_EQ(faults(&f), 3);
    uint64_t value;
    CHECK_EQ(load(HUGE_VA + RAM_BYTES, &value), MAP_CHECKED);
    bt_tables_stop(&f);
}

static void traces(void)
{
    struct bt_tables f;
    set_up(&f);
    uint64_t va = LARGE_VA + 10 * PAGE, other = UPPER + va;
    CHECK_EQ(store(va + 8, 1), MAP_DONE);
    CHECK_EQ(store(other + 8, 2), MAP_DONE);
    uint64_t before = faults(&f);
    map_set_trace(f.bt, LARGE + 10 * PAGE, true);
    CHECK(map_is_traced(f.bt->map, LARGE + 10 * PAGE));
    CHECK_EQ(store(va + 8, 3), MAP_CHECKED);
    CHECK_EQ(store(other + 8, 3), MAP_CHECKED);
    CHECK_EQ(peek(va + 8), 2);
    CHECK_EQ(store(va - 8, 4), MAP_DONE);
    CHECK_EQ(store(va + PAGE, 4), MAP_DONE);
    CHECK_EQ(faults(&f), before);
    map_revalidate(f.bt, f.bt->map);
    CHECK_EQ(peek(other + 8), 2);
    CHECK_EQ(faults(&f), before);
    map_set_trace(f.bt, LARGE + 10 * PAGE, false);
    CHECK(!map_is_traced(f.bt->map, LARGE + 10 * PAGE));
    CHECK_EQ(store(va + 8, 5), MAP_DONE);
    CHECK_EQ(store(other + 8, 6), MAP_DONE);
    CHECK_EQ(faults(&f), before + 2);
    CHECK_EQ(peek(va + 8), 6);

    map_set_trace(f.bt, FRAMES + PAGE, true); // before anything maps it
    for (unsigned i = 0; i < 4; i++)
        *cell(&f, PT, i) |= PTE_A | PTE_D;
    CHECK_EQ(store(8, 1), MAP_DONE);
    CHECK_EQ(store(PAGE + 8, 1), MAP_CHECKED);
    CHECK_EQ(peek(PAGE), 2);
    CHECK_EQ(store(2 * PAGE + 8, 1), MAP_DONE);
    bt_tables_stop(&f);
}

static void flushes(void)
{
    struct bt_tables f;
    set_up(&f);
    CHECK_EQ(peek(0), 1);
    CHECK_EQ(peek(PAGE), 2);
    CHECK_EQ(store(2 * PAGE + 8, 1), MAP_DONE);
    CHECK_EQ(store(LARGE_VA + 8, 1), MAP_DONE);
    uint64_t n = faults(&f);
    map_revalidate(f.bt, f.bt->map); // nothing has changed
    CHECK_EQ(peek(0), 1);
    CHECK_EQ(store(2 * PAGE + 8, 1), MAP_DONE);
    CHECK_EQ(store(LARGE_VA + 8, 1), MAP_DONE);
    CHECK_EQ(faults(&f), n);

    *cell(&f, PT, 0) = (FRAMES + 50 * PAGE) | RIGHTS;
    CHECK_EQ(peek(0), 1); // as a TLB would have it
    map_revalidate(f.bt, f.bt->map);
    CHECK_EQ(peek(0), 51);
    CHECK_EQ(*cell(&f, PT, 0) & PTE_A, PTE_A);
    CHECK_EQ(faults(&f), n + 1);
    *cell(&f, PT, 1) &= ~PTE_A;
    *cell(&f, PT, 2) &= ~PTE_D;
    map_revalidate(f.bt, f.bt->map);
    CHECK_EQ(peek(PAGE), 2);
    CHECK_EQ(*cell(&f, PT, 1) & PTE_A, PTE_A);
    CHECK_EQ(store(2 * PAGE + 8, 1), MAP_DONE);
    CHECK_EQ(*cell(&f, PT, 2) & PTE_D, PTE_D);
    CHECK_EQ(faults(&f), n + 3);
    *cell(&f, PT, 2) &= ~PTE_W;
    *cell(&f, PT, 1) = 0;
    *cell(&f, PD, 1) &= ~PTE_D;
    map_revalidate(f.bt, f.bt->map);
    CHECK_EQ(store(2 * PAGE + 8, 1), MAP_TRUE);
    CHECK_EQ(refused_error, PF_PRESENT | PF_WRITE);
    CHECK_EQ(store(PAGE, 1), MAP_TRUE);
    CHECK_EQ(refused_error, PF_WRITE);
    CHECK_EQ(store(LARGE_VA + 8, 1), MAP_DONE);
    CHECK_EQ(*cell(&f, PD, 1) & PTE_D, PTE_D);

    *cell(&f, PDPT, 0) &= ~(PTE_W | PTE_A); // a level above
    map_revalidate(f.bt, f.bt->map);
    CHECK_EQ(store(LARGE_VA + 8, 1), MAP_TRUE);
    CHECK_EQ(peek(LARGE_VA), 1000);
    CHECK_EQ(*cell(&f, PDPT, 0) & PTE_A, PTE_A);
    f.bt->cr3 = PD; // an address space without any of this
    map_revalidate(f.bt, f.bt->map);
    uint64_t value;
    CHECK_EQ(load(HUGE_VA * 8, &value), MAP_TRUE);
    f.bt->cr3 = PML4;
    CHECK_EQ(peek(0), 51);
    bt_tables_stop(&f);
}

// What is mapped is compared with the entries that it was made from, not with those of the last flush.
static void entries_that_come_back(void)
{
    struct bt_tables f;
    set_up(&f);
    CHECK_EQ(peek(0), 1);
    CHECK_EQ(peek(PAGE), 2);
    map_revalidate(f.bt, f.bt->map);
    uint64_t old = *cell(&f, PT, 0), upper = *cell(&f, PD, 0);
    *cell(&f, PT, 0) = (FRAMES + 50 * PAGE) | RIGHTS;
    map_invlpg(f.bt, f.bt->map, 0);
    CHECK_EQ(peek(0), 51);
    *cell(&f, PT, 0) = old;
    map_revalidate(f.bt, f.bt->map);
    CHECK_EQ(peek(0), 1);

    *cell(&f, PT_SHARED, 0) = old;
    *cell(&f, PT_SHARED, 1) = (FRAMES + 52 * PAGE) | RIGHTS;
    *cell(&f, PT_SHARED, 2) = (FRAMES + 53 * PAGE) | RIGHTS;
    *cell(&f, PD, 0) = PT_SHARED | RIGHTS | PTE_A;
    CHECK_EQ(peek(2 * PAGE), 54); // from the new table, beside pages from the old one
    CHECK_EQ(peek(PAGE), 2);
    uint64_t n = faults(&f);
    map_revalidate(f.bt, f.bt->map);
    CHECK_EQ(peek(0), 1);
    CHECK_EQ(peek(2 * PAGE), 54);
    CHECK_EQ(faults(&f), n);
    CHECK_EQ(peek(PAGE), 53);
    *cell(&f, PD, 0) = upper;
    map_revalidate(f.bt, f.bt->map);
    CHECK_EQ(peek(PAGE), 2);
    CHECK_EQ(peek(2 * PAGE), 3);
    bt_tables_stop(&f);
}

// mmu=trace: a write to a table that a mapping rests on is seen, and counted.
static void traced_tables(void)
{
    struct bt_tables f;
    set_up(&f);
    *cell(&f, PT, 1) = PT | RIGHTS | PTE_A | PTE_D; // the guest sees its own table at PAGE
    CHECK_EQ(store(PAGE + 511 * 8, 0), MAP_DONE);   // vtlb: nobody looks

    f.bt->options.trace_tables = true;
    CHECK_EQ(peek(0), 1);
    CHECK(map_is_traced(f.bt->map, PML4) && map_is_traced(f.bt->map, PDPT) && map_is_traced(f.bt->map, PD) &&
          map_is_traced(f.bt->map, PT));
    CHECK(!map_is_traced(f.bt->map, FRAMES));
    CHECK_EQ(store(PAGE + 511 * 8, 0), MAP_CHECKED);
    uint64_t seen = map_changes(f.bt);
    CHECK(seen != 0); // nothing has been looked at yet
    map_note_write(f.bt, FRAMES, 8);
    CHECK_EQ(map_changes(f.bt), seen);
    map_note_write(f.bt, PT + 8, 8);
    CHECK(map_changes(f.bt) != seen);

    *cell(&f, PD, 0) = PT_SHARED | RIGHTS; // an entry, of a table that stays one
    map_note_write(f.bt, PD, 8);
    map_look_at_changes(f.bt, f.bt->map, seen);
    CHECK(peek(0) != 1); // it has gone
    CHECK(map_is_traced(f.bt->map, PD));
    *cell(&f, PT_SHARED, 1) = PT | RIGHTS;
    CHECK_EQ(store(PAGE + 511 * 8, 0), MAP_CHECKED); // nobody has said that PT is none any more
    CHECK(map_is_traced(f.bt->map, PT_SHARED));
    seen = map_changes(f.bt);
    map_note_write(f.bt, PT, 4096); // written as a whole
    CHECK(map_is_traced(f.bt->map, PT) && map_changes(f.bt) != seen);
    seen = map_changes(f.bt);
    map_note_write(f.bt, PT, 8);
    CHECK_EQ(map_changes(f.bt), seen); // nothing rests on it now
    for (unsigned i = 0; i < 251; i++) // again and again, and nobody looks at it
        map_note_write(f.bt, PT_SHARED + 100 * 8, 8);
    CHECK(!map_is_traced(f.bt->map, PT_SHARED));
    (void)peek(LARGE_VA);
    f.bt->cpl = 3;
    map_note_write(f.bt, PD, 8); // no kernel's table
    CHECK(!map_is_traced(f.bt->map, PD));
    f.bt->cpl = 0;
    map_look_at_changes(f.bt, f.bt->map, seen); // it was one after all
    CHECK(map_is_traced(f.bt->map, PD));
    bt_tables_stop(&f);
}

static void invlpg(void)
{
    struct bt_tables f;
    set_up(&f);
    CHECK_EQ(peek(0), 1);
    CHECK_EQ(peek(PAGE), 2);
    *cell(&f, PT, 0) = (FRAMES + 50 * PAGE) | RIGHTS;
    *cell(&f, PT, 1) = (FRAMES + 51 * PAGE) | RIGHTS;
    map_invlpg(f.bt, f.bt->map, PAGE + 5);
    CHECK_EQ(peek(PAGE), 52);
    CHECK_EQ(peek(0), 1);
    map_invlpg(f.bt, f.bt->map, 0);
    CHECK_EQ(peek(0), 51);
    map_invlpg(f.bt, f.bt->map, 0x7654321000); // never mapped

    CHECK_EQ(peek(LARGE_VA + 7 * PAGE), 1007);
    *cell(&f, PD, 1) = FRAMES | RIGHTS | PTE_PS;
    map_invlpg(f.bt, f.bt->map, LARGE_VA);
    CHECK_EQ(peek(LARGE_VA + 7 * PAGE), 8);
    *cell(&f, PD, 1) = PT | RIGHTS; // from large to small
    map_invlpg(f.bt, f.bt->map, LARGE_VA + 100 * PAGE);
    CHECK_EQ(peek(LARGE_VA), 51);

    CHECK_EQ(peek(HUGE_VA + LARGE), 1000);
    CHECK_EQ(peek(HUGE_VA + FRAMES + 60 * PAGE), 61);
    *cell(&f, PDPT, 1) = 0;
    map_invlpg(f.bt, f.bt->map, HUGE_VA);
    uint64_t value;
    CHECK_EQ(load(HUGE_VA + LARGE, &value), MAP_TRUE);
    CHECK_EQ(load(HUGE_VA + FRAMES + 60 * PAGE, &value), MAP_TRUE);
    bt_tables_stop(&f);
}

static void rights(void)
{
    struct bt_tables f;
    uint64_t value;
    set_up(&f);
    *cell(&f, PT, 0) &= ~PTE_W;
    CHECK_EQ(peek(0), 1);
    CHECK_EQ(store(8, 1), MAP_TRUE);
    CHECK_EQ(refused_error, PF_PRESENT | PF_WRITE);
    f.bt->cr0 = 0;
    CHECK_EQ(store(8, 1), MAP_CHECKED);
    *cell(&f, PT, 1) = 0xfee00000 | RIGHTS;
    CHECK_EQ(load(PAGE, &value), MAP_CHECKED);

    *cell(&f, PT, 2) |= PTE_U;
    CHECK_EQ(peek(2 * PAGE), 3);
    f.bt->cr4 = CR4_SMAP;
    map_revalidate(f.bt, f.bt->map);
    CHECK_EQ(load(2 * PAGE, &value), MAP_TRUE);
    CHECK_EQ(refused_error, PF_PRESENT);
    f.bt->rflags = FLAG_AC;
    CHECK_EQ(load(2 * PAGE, &value), MAP_CHECKED);
    CHECK_EQ(peek(3 * PAGE), 4); // no user page: mapped all the same
    f.bt->rflags = 0;
    *cell(&f, PT, 4) |= PTE_NX; // reserved without EFER.NXE
    CHECK_EQ(peek(4 * PAGE), 5);
    f.bt->efer = 0;
    map_revalidate(f.bt, f.bt->map);
    CHECK_EQ(load(4 * PAGE, &value), MAP_TRUE);
    CHECK_EQ(refused_error, PF_PRESENT | PF_RSVD);
    bt_tables_stop(&f);
}

static void out_of_reach(void)
{
    struct bt_tables f;
    uint32_t error = 99;
    set_up(&f);
    CHECK_EQ(map_fault(f.bt, 0x8000000000, false, &error), MAP_CHECKED); // the monitor's, mapped or not
    CHECK_EQ(map_fault(f.bt, 0xfffffff000, true, &error), MAP_CHECKED);
    CHECK_EQ(map_fault(f.bt, 0x10000000000, false, &error), MAP_CHECKED);
    CHECK_EQ(map_fault(f.bt, 0x10000000000 + 64 * PAGE, false, &error), MAP_TRUE);
    CHECK_EQ(map_fault(f.bt, 0x700000000000, true, &error), MAP_TRUE);
    CHECK_EQ(error, PF_WRITE);
    CHECK_EQ(map_fault(f.bt, 0xffff800000000000, false, &error), MAP_TRUE);
    CHECK_EQ(map_fault(f.bt, 0x1234567800000000, false, &error), MAP_CHECKED);
    *cell(&f, PML4, 258) = PDPT | RIGHTS; // 0xffff810000000000: the host's lowest addresses
    CHECK_EQ(map_fault(f.bt, 0xffff810000000000, false, &error), MAP_CHECKED);
    CHECK_EQ(peek(0xffff810000000000 + LARGE_VA), 1000);
    CHECK_EQ(faults(&f), 1);
    bt_tables_stop(&f);
}

// More areas than the host would give us, and more chunks than there is room for.
static void eviction(void)
{
    struct bt_tables f;
    set_up(&f);
    *cell(&f, PDPT, 2) = PD_SHARED | RIGHTS;
    for (unsigned i = 0; i < 512; i++) {
        *cell(&f, PD_SHARED, i) = PT_SHARED | RIGHTS;
        *cell(&f, PT_SHARED, i) = FRAMES | RIGHTS;
        *cell(&f, PD_LARGE, i) = LARGE | RIGHTS | PTE_PS;
    }
    for (uint64_t va = 2ull << 30; va < (2ull << 30) + 70 * LARGE_VA; va += PAGE)
        CHECK_EQ(peek(va), 1);
    CHECK_EQ(faults(&f), 70 * 512);

    for (unsigned i = 3; i < 23; i++)
        *cell(&f, PDPT, i) = PD_LARGE | RIGHTS;
    for (uint64_t va = 3ull << 30; va < 23ull << 30; va += LARGE_VA)
        CHECK_EQ(peek(va + 5 * PAGE), 1005);
    CHECK_EQ(store((22ull << 30) + 8, 5), MAP_DONE);
    CHECK_EQ(store((3ull << 30) + 16, 5), MAP_DONE);
    map_set_trace(f.bt, LARGE, true);
    CHECK_EQ(store((22ull << 30) + 8, 5), MAP_CHECKED);
    CHECK_EQ(store((3ull << 30) + 16, 5), MAP_CHECKED);
    bt_tables_stop(&f);
}

int main(int argc, char **argv)
{
    (void)argc;
    if (!bt_possible(argv))
        return 0;
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    accessed_and_dirty();
    neighbours();
    large_pages();
    traces();
    flushes();
    entries_that_come_back();
    traced_tables();
    invlpg();
    rights();
    out_of_reach();
    eviction();
    return check_done("bt_map");
}

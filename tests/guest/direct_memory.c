// SPDX-License-Identifier: BSD-2-Clause
// A user program's memory changes under it in all the ways in which kernels change it: runs of pages that fill slowly,
// pages copied on write, rights taken away and given, pages exchanged, several address spaces. What was looked at
// before must count no more once the kernel has flushed it (SDM vol. 3, 4.6, 4.8, 4.10.4).
#include "tests/guest/feature.h"
#include "tests/guest/low.h"

IMAGE("direct_memory");

#define VA 0x5000000000ull
#define PAGES 40
#define SPACES 12 // more than a monitor may want to keep at a time
#define USER_RW (PTE_P | PTE_W | PTE_U)

static uint64_t *page[PAGES];

static USER_CODE uint64_t sum_pages(void *count)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < (uint64_t)count; i++)
        sum += *(volatile uint64_t *)(VA + i * LOW_PAGE);
    return sum;
}

static USER_CODE uint64_t add_to_pages(void *count)
{
    for (uint64_t i = 0; i < (uint64_t)count; i++)
        ++*(volatile uint64_t *)(VA + i * LOW_PAGE);
    return 0;
}

static USER_CODE uint64_t load8(void *va)
{
    return *(volatile uint64_t *)va;
}

static USER_CODE uint64_t store8(void *va)
{
    *(volatile uint64_t *)va = 0x77;
    return 0x77;
}

static USER_CODE uint64_t call(void *va)
{
    return ((uint64_t(*)(void))va)() + 1;
}

static uint64_t entry_for(unsigned i, uint64_t flags)
{
    return phys_of(page[i]) | flags;
}

static void set_entry(unsigned i, uint64_t entry)
{
    *pte_of(VA + i * LOW_PAGE, 1) = entry;
    invlpg((void *)(VA + i * LOW_PAGE));
}

// The error code of the page fault at va, or ~0.
static uint64_t fault(uint64_t (*fn)(void *), uint64_t va)
{
    struct caught c = low_catch(fn, va);
    return c.vector == VEC_PF && c.cr2 == va ? c.error : ~0ull;
}

// ---- Filling ----

static void runs(void)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < PAGES; i++) {
        page[i][0] = i + 1;
        sum += i + 1;
        map_page(VA + i * LOW_PAGE, phys_of(page[i]), USER_RW | (i % 3 ? PTE_A | PTE_D : 0));
    }
    CHECK_EQ(low_run(sum_pages, PAGES), sum);
    for (unsigned i = 0; i < PAGES; i++)
        CHECK_EQ(*pte_of(VA + i * LOW_PAGE, 1) & (PTE_A | PTE_D), PTE_A | (i % 3 ? PTE_D : 0));
    low_run(add_to_pages, PAGES);
    for (unsigned i = 0; i < PAGES; i++) {
        CHECK_EQ(page[i][0], i + 2);
        CHECK_EQ(*pte_of(VA + i * LOW_PAGE, 1) & PTE_D, PTE_D);
    }
    page[7][0] += 1000;
    CHECK_EQ(low_run(sum_pages, PAGES), sum + PAGES + 1000);
    page[7][0] -= 1000;
}

static void true_faults(void)
{
    CHECK_EQ(fault(load8, VA + PAGES * LOW_PAGE), PF_USER);
    CHECK_EQ(fault(store8, VA + (PAGES + 5) * LOW_PAGE), PF_USER | PF_WRITE);
    CHECK_EQ(fault(load8, 0), PF_USER | PF_PRESENT);
    CHECK_EQ(fault(load8, KERNEL_VIRT_BASE + 0x100000), PF_USER | PF_PRESENT); // the kernel's own
    CHECK_EQ(fault(store8, KERNEL_VIRT_BASE + 0x100000), PF_USER | PF_PRESENT | PF_WRITE);
    CHECK_EQ(fault(load8, 0x7ffffffff000), PF_USER);
    CHECK_EQ(fault(load8, 0x8000000000), PF_USER);
    map_page(0x7ffffffff000, phys_of(page[2]), USER_RW);
    CHECK_EQ(low_run(load8, 0x7ffffffff000), page[2][0]); // a host may not have it
}

// ---- Copy on write ----

static unsigned copies;

static void on_cow(struct trap_frame *frame)
{
    uint64_t va = read_cr2() & ~(LOW_PAGE - 1);
    unsigned i = (unsigned)((va - VA) / LOW_PAGE);
    if (frame->error != (PF_USER | PF_WRITE | PF_PRESENT) || i >= PAGES)
        panic("page fault 0x%lx at 0x%lx", frame->error, read_cr2());
    uint64_t *copy = page_alloc();
    for (unsigned k = 0; k < 512; k++)
        copy[k] = page[i][k];
    copies++;
    *pte_of(va, 1) = phys_of(copy) | USER_RW;
    invlpg((void *)va);
}

static void copy_on_write(void)
{
    for (unsigned i = 0; i < PAGES; i++)
        *pte_of(VA + i * LOW_PAGE, 1) &= ~(uint64_t)PTE_W;
    write_cr3(read_cr3());
    trap_set(VEC_PF, on_cow);
    low_run(add_to_pages, PAGES / 2);
    trap_set(VEC_PF, NULL);
    CHECK_EQ(copies, PAGES / 2);
    for (unsigned i = 0; i < PAGES; i++) {
        CHECK_EQ(page[i][0], i + 2); // the original
        CHECK_EQ(low_run(load8, VA + i * LOW_PAGE), i < PAGES / 2 ? i + 3 : i + 2);
    }
    for (unsigned i = 0; i < PAGES; i++)
        set_entry(i, entry_for(i, USER_RW));
}

// ---- Rights ----

static void downgrades(void)
{
    CHECK_EQ(low_run(store8, VA), 0x77);
    *pte_of(VA, 1) &= ~(uint64_t)PTE_W;
    write_cr3(read_cr3());
    CHECK_EQ(fault(store8, VA), PF_USER | PF_WRITE | PF_PRESENT);
    CHECK_EQ(low_run(load8, VA), 0x77);
    set_entry(0, entry_for(0, PTE_P | PTE_W)); // not the user's
    CHECK_EQ(fault(load8, VA), PF_USER | PF_PRESENT);
    set_entry(0, entry_for(0, USER_RW));
    CHECK_EQ(low_run(load8, VA), 0x77);
    uint64_t *upper = pte_of(VA, 3);
    *upper &= ~(uint64_t)PTE_U;
    write_cr3(read_cr3());
    CHECK_EQ(fault(load8, VA + LOW_PAGE), PF_USER | PF_PRESENT);
    *upper |= PTE_U;
    write_cr3(read_cr3());
    CHECK_EQ(low_run(load8, VA + LOW_PAGE), page[1][0]);
    set_entry(3, 0);
    CHECK_EQ(fault(load8, VA + 3 * LOW_PAGE), PF_USER);
    set_entry(3, entry_for(3, USER_RW));
    CHECK_EQ(low_run(load8, VA + 3 * LOW_PAGE), page[3][0]);
}

static void no_execute(void)
{
    static const uint8_t code[] = {0xb8, 0x29, 0, 0, 0, 0xc3}; // mov $41, %eax; ret
    for (unsigned i = 0; i < sizeof code; i++)
        ((uint8_t *)page[5])[i] = code[i];
    uint64_t va = VA + 5 * LOW_PAGE;
    set_entry(5, entry_for(5, USER_RW | PTE_NX));
    low_run(store8, va + 8);
    CHECK_EQ(fault(call, va), PF_USER | PF_PRESENT | PF_FETCH);
    set_entry(5, entry_for(5, USER_RW));
    CHECK_EQ(low_run(call, va), 42);
    *pte_of(va, 2) |= PTE_NX;
    write_cr3(read_cr3());
    CHECK_EQ(fault(call, va), PF_USER | PF_PRESENT | PF_FETCH);
    CHECK_EQ(low_run(load8, va + 8), 0x77);
    *pte_of(va, 2) &= ~PTE_NX;
    write_cr3(read_cr3());
    CHECK_EQ(low_run(call, va), 42);
    set_entry(5, entry_for(5, USER_RW | PTE_NX));
    CHECK_EQ(fault(call, va), PF_USER | PF_PRESENT | PF_FETCH);
    set_entry(5, entry_for(5, USER_RW));
}

static void exchanges(void)
{
    for (unsigned round = 0; round < 20; round++) {
        unsigned i = 10 + round % 5;
        set_entry(9, entry_for(i, round % 2 ? USER_RW : PTE_P | PTE_U));
        CHECK_EQ(low_run(load8, VA + 9 * LOW_PAGE), page[i][0]);
    }
    set_entry(9, entry_for(9, USER_RW));
}

// ---- Address spaces ----

// One more top-level table, with its own page at VA; the upper half and LOW are shared.
static uint64_t make_space(unsigned n)
{
    uint64_t *top = page_alloc(), old = read_cr3();
    const uint64_t *from = (const uint64_t *)(old + KERNEL_VIRT_BASE);
    for (unsigned i = 0; i < 512; i++)
        top[i] = i == (VA >> 39 & 511) ? 0 : from[i];
    uint64_t *own = page_alloc();
    own[0] = 1000 + n;
    write_cr3(phys_of(top));
    // LOW is in the same first entry as VA.
    for (uint64_t at = (uint64_t)user_text_start; at < (uint64_t)rodata_start; at += LOW_PAGE)
        map_page(low_of((void *)at), phys_of((void *)at), PTE_P | PTE_U);
    map_page(LOW_STACK - LOW_PAGE, phys_of(page_alloc()), USER_RW);
    map_page(VA, phys_of(own), USER_RW);
    write_cr3(old);
    return phys_of(top);
}

static void spaces(void)
{
    uint64_t root[SPACES], old = read_cr3();
    for (unsigned i = 0; i < SPACES; i++)
        root[i] = make_space(i);
    for (unsigned round = 0; round < 5; round++) {
        for (unsigned i = 0; i < SPACES; i++) {
            write_cr3(root[i]);
            CHECK_EQ(low_run(load8, VA), 1000 + i + round);
            low_run(add_to_pages, 1);
            CHECK_EQ(fault(load8, VA + LOW_PAGE), PF_USER);
        }
    }
    // The lowest addresses, which a host keeps from programs.
    map_page(0x2000, phys_of(page[1]), USER_RW);
    CHECK_EQ(low_run(load8, 0x2000), page[1][0]);
    low_run(store8, 0x2008);
    CHECK_EQ(page[1][1], 0x77);
    CHECK_EQ(fault(load8, 0x3000), PF_USER);
    write_cr3(old);
    CHECK_EQ(low_run(load8, VA + LOW_PAGE), page[1][0]);
}

int image_main(void)
{
    low_map();
    for (unsigned i = 0; i < PAGES; i++)
        page[i] = page_alloc();
    runs();
    true_faults();
    copy_on_write();
    downgrades();
    no_execute();
    exchanges();
    spaces();
    return 0;
}

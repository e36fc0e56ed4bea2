// SPDX-License-Identifier: BSD-2-Clause
// The page walk: sizes, permissions by the table of SDM vol. 3, 4.6.1, error codes of 4.7, accessed and dirty bits.
#include "x86/paging.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/check.h"
#include "x86/regs.h"

#define RAM_BYTES (16ull << 20)
#define PML4 0x1000ull
#define PDPT 0x2000ull
#define PD 0x3000ull
#define PT 0x4000ull
#define BOTH (PTE_P | PTE_W | PTE_U)

struct fixture {
    struct guest_ram ram;
    struct paging mode;
};

static uint64_t *cell(struct fixture *f, uint64_t table, unsigned index)
{
    return (uint64_t *)(f->ram.base + table) + index;
}

// Address 0 at 4 KiB -> 0x5000; 2 MiB -> a 2 MiB page at 0x200000; 1 GiB -> a 1 GiB page at 0.
static void set_up(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    f->ram.base = calloc(1, RAM_BYTES);
    f->ram.size = RAM_BYTES;
    f->mode = (struct paging){.cr3 = PML4, .wp = true, .nxe = true};
    *cell(f, PML4, 0) = PDPT | BOTH;
    *cell(f, PDPT, 0) = PD | BOTH;
    *cell(f, PDPT, 1) = 0 | BOTH | PTE_PS;
    *cell(f, PD, 0) = PT | BOTH;
    *cell(f, PD, 1) = 0x200000 | BOTH | PTE_PS;
    *cell(f, PT, 0) = 0x5000 | BOTH;
}

static void tear_down(struct fixture *f)
{
    free(f->ram.base);
}

// Error code of the access, or -1 where it is allowed.
static int64_t access_error(struct fixture *f, uint64_t va, uint32_t access)
{
    struct translation t;
    uint32_t error = 0;
    return paging_walk(&f->ram, &f->mode, va, access, &t, &error) ? -1 : (int64_t)error;
}

static void sizes(void)
{
    struct fixture f;
    struct translation t;
    uint32_t error;
    set_up(&f);
    CHECK(paging_walk(&f.ram, &f.mode, 0x123, 0, &t, &error));
    CHECK_EQ(t.page.v, 0x5000);
    CHECK_EQ(t.page_size, 1u << 12);
    CHECK(paging_walk(&f.ram, &f.mode, 0x2fe123, 0, &t, &error));
    CHECK_EQ(t.page.v, 0x2fe000);
    CHECK_EQ(t.page_size, 1u << 21);
    CHECK(paging_walk(&f.ram, &f.mode, 0x7ffff123, 0, &t, &error));
    CHECK_EQ(t.page.v, 0x3ffff000);
    CHECK_EQ(t.page_size, 1u << 30);
    tear_down(&f);
}

static void accessed_and_dirty(void)
{
    struct fixture f;
    set_up(&f);
    CHECK_EQ(access_error(&f, 0, 0), -1);
    CHECK_EQ(*cell(&f, PML4, 0) & (PTE_A | PTE_D), PTE_A);
    CHECK_EQ(*cell(&f, PT, 0) & (PTE_A | PTE_D), PTE_A);
    CHECK_EQ(access_error(&f, 0, PF_WRITE), -1);
    CHECK_EQ(*cell(&f, PT, 0) & (PTE_A | PTE_D), PTE_A | PTE_D);
    CHECK_EQ(*cell(&f, PD, 0) & PTE_D, 0);
    *cell(&f, PD, 1) &= ~PTE_W;
    CHECK_EQ(access_error(&f, 0x200000, PF_WRITE | PF_USER), PF_PRESENT | PF_WRITE | PF_USER);
    CHECK_EQ(*cell(&f, PD, 1) & (PTE_A | PTE_D), 0); // a refused access leaves no trace
    tear_down(&f);
}

static void asking_leaves_no_trace(void)
{
    struct fixture f;
    gpa_t page;
    uint64_t size;
    set_up(&f);
    CHECK(paging_allows(&f.ram, &f.mode, 0x2fe123, PF_WRITE, &page, &size));
    CHECK_EQ(page.v, 0x2fe000);
    CHECK_EQ(size, 2u << 20);
    CHECK(!paging_allows(&f.ram, &f.mode, 0x1000, 0, &page, &size));
    *cell(&f, PD, 1) |= PTE_NX;
    CHECK(!paging_allows(&f.ram, &f.mode, 0x2fe123, PF_FETCH, &page, &size));
    CHECK_EQ(*cell(&f, PD, 1) & (PTE_A | PTE_D), 0);
    tear_down(&f);
}

static void permissions(void)
{
    struct fixture f;
    set_up(&f);
    *cell(&f, PT, 0) = 0x5000 | PTE_P | PTE_U; // read-only user page
    CHECK_EQ(access_error(&f, 0, PF_USER), -1);
    CHECK_EQ(access_error(&f, 0, PF_WRITE), PF_PRESENT | PF_WRITE);
    f.mode.wp = false;
    CHECK_EQ(access_error(&f, 0, PF_WRITE), -1);
    CHECK_EQ(access_error(&f, 0, PF_WRITE | PF_USER), PF_PRESENT | PF_WRITE | PF_USER);

    f.mode.smap = true;
    CHECK_EQ(access_error(&f, 0, 0), PF_PRESENT);
    CHECK_EQ(access_error(&f, 0, PF_USER), -1);
    CHECK_EQ(access_error(&f, 0, PF_FETCH), -1); // SMAP is about data
    f.mode.smep = true;
    CHECK_EQ(access_error(&f, 0, PF_FETCH), PF_PRESENT | PF_FETCH);
    CHECK_EQ(access_error(&f, 0, PF_FETCH | PF_USER), -1);

    *cell(&f, PT, 0) = 0x5000 | PTE_P | PTE_W; // kernel page
    CHECK_EQ(access_error(&f, 0, PF_USER), PF_PRESENT | PF_USER);
    CHECK_EQ(access_error(&f, 0, 0), -1);
    *cell(&f, PML4, 0) &= ~PTE_W; // one level is enough to take a right away
    f.mode.wp = true;
    CHECK_EQ(access_error(&f, 0, PF_WRITE), PF_PRESENT | PF_WRITE);
    tear_down(&f);
}

static void no_execute(void)
{
    struct fixture f;
    set_up(&f);
    *cell(&f, PD, 0) |= PTE_NX;
    CHECK_EQ(access_error(&f, 0, PF_FETCH), PF_PRESENT | PF_FETCH);
    CHECK_EQ(access_error(&f, 0, 0), -1);
    f.mode.nxe = false; // then bit 63 is reserved, and a fetch does not show in the error code
    CHECK_EQ(access_error(&f, 0, 0), PF_PRESENT | PF_RSVD);
    CHECK_EQ(access_error(&f, 0, PF_FETCH), PF_PRESENT | PF_RSVD);
    tear_down(&f);
}

static void not_present_and_reserved(void)
{
    struct fixture f;
    set_up(&f);
    CHECK_EQ(access_error(&f, 0x1000, 0), 0);
    CHECK_EQ(access_error(&f, 0x1000, PF_WRITE | PF_USER), PF_WRITE | PF_USER);
    CHECK_EQ(access_error(&f, 0x8000000000, PF_FETCH), PF_FETCH);
    *cell(&f, PD, 1) |= 0x2000; // an address bit below 2 MiB
    CHECK_EQ(access_error(&f, 0x200000, 0), PF_PRESENT | PF_RSVD);
    *cell(&f, PD, 1) = 0x200000 | BOTH | PTE_PS | 0x1000; // the PAT bit is none
    CHECK_EQ(access_error(&f, 0x200000, 0), -1);
    *cell(&f, PT, 0) |= 1ull << 51;
    CHECK_EQ(access_error(&f, 0, 0), PF_PRESENT | PF_RSVD);
    *cell(&f, PML4, 0) |= PTE_PS;
    CHECK_EQ(access_error(&f, 0, 0), PF_PRESENT | PF_RSVD);
    *cell(&f, PML4, 0) = 0xb0000000 | BOTH; // a table where there is no RAM
    CHECK_EQ(access_error(&f, 0, 0), PF_PRESENT | PF_RSVD);
    tear_down(&f);
}

static void peek(void)
{
    struct fixture f;
    struct paging_leaf leaf;
    set_up(&f);
    *cell(&f, PDPT, 0) &= ~PTE_W;
    f.mode.smap = true; // rights do not matter
    CHECK(paging_peek(&f.ram, &f.mode, 0x123, &leaf));
    CHECK_EQ(leaf.page.v, 0x5000);
    CHECK_EQ(leaf.page_size, 1u << 12);
    CHECK(leaf.entry == cell(&f, PT, 0));
    CHECK_EQ(leaf.above, ~(PTE_W | PTE_A));
    CHECK_EQ(*leaf.entry & (PTE_A | PTE_D), 0);
    CHECK_EQ(*cell(&f, PML4, 0) & PTE_A, 0); // nothing is written
    *cell(&f, PML4, 0) |= PTE_A;
    *cell(&f, PDPT, 0) |= PTE_A;
    CHECK(paging_peek(&f.ram, &f.mode, 0x2fe123, &leaf));
    CHECK_EQ(leaf.page.v, 0x2fe000);
    CHECK_EQ(leaf.page_size, 1u << 21);
    CHECK_EQ(leaf.above, ~PTE_W);
    CHECK(paging_peek(&f.ram, &f.mode, 0x7ffff123, &leaf));
    CHECK_EQ(leaf.page.v, 0x3ffff000);
    CHECK_EQ(leaf.above, ~0ull);
    CHECK(!paging_peek(&f.ram, &f.mode, 0x1000, &leaf));
    *cell(&f, PD, 1) |= 0x2000; // an address bit below 2 MiB
    CHECK(!paging_peek(&f.ram, &f.mode, 0x200000, &leaf));
    tear_down(&f);
}

int main(void)
{
    sizes();
    accessed_and_dirty();
    asking_leaves_no_trace();
    permissions();
    no_execute();
    not_present_and_reserved();
    peek();
    return check_done("paging");
}

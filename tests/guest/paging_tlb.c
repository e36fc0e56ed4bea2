// SPDX-License-Identifier: BSD-2-Clause
// When a changed entry must be seen: after invlpg, a mov to cr3 (but for global pages), a change of cr4.PGE; at once
// where it was not present before; after one spurious fault at most where rights grew (SDM vol. 3, 4.10.2 to 4.10.4).
#include "tests/guest/access.h"

IMAGE("paging_tlb");

#define VA TEST_VA

static uint8_t *a, *b;
static unsigned spurious;

static uint8_t seen(void)
{
    return *(volatile uint8_t *)VA;
}

static void invalidations(void)
{
    uint64_t *entry = pte_of(VA, 1);
    remap(VA, phys_of(a) | PTE_P);
    CHECK_EQ(seen(), 'a');
    *entry = phys_of(b) | PTE_P;
    CHECK(seen() == 'a' || seen() == 'b'); // both are right
    invlpg((void *)VA);
    CHECK_EQ(seen(), 'b');
    *entry = phys_of(a) | PTE_P;
    write_cr3(read_cr3());
    CHECK_EQ(seen(), 'a');
    *entry = phys_of(b) | PTE_P | PTE_G;
    invlpg((void *)(VA + 4095));
    CHECK_EQ(seen(), 'b');
    *entry = phys_of(a) | PTE_P | PTE_G;
    write_cr3(read_cr3());
    CHECK(seen() == 'a' || seen() == 'b');
    write_cr4(read_cr4() & ~(uint64_t)CR4_PGE);
    CHECK_EQ(seen(), 'a');
    *entry = phys_of(b) | PTE_P | PTE_G;
    write_cr3(read_cr3()); // without PGE, G means nothing
    CHECK_EQ(seen(), 'b');
    write_cr4(read_cr4() | CR4_PGE);
    CHECK_EQ(seen(), 'b');
}

// invlpg also drops what is known of the levels above (SDM vol. 3, 4.10.4.1).
static void upper_level(void)
{
    uint64_t *upper = pte_of(VA, 2), old = *upper;
    uint64_t *table = page_alloc();
    table[VA >> 12 & 511] = phys_of(a) | PTE_P;
    remap(VA, phys_of(b) | PTE_P);
    CHECK_EQ(seen(), 'b');
    *upper = phys_of(table) | PTE_P | PTE_W;
    invlpg((void *)VA);
    CHECK_EQ(seen(), 'a');
    *upper = old;
    invlpg((void *)VA);
    CHECK_EQ(seen(), 'b');
}

static void on_page_fault(struct trap_frame *frame)
{
    if (++spurious > 1)
        panic("page fault again at 0x%lx, error 0x%lx", frame->rip, frame->error);
}

static void growing_rights(void)
{
    uint64_t *entry = pte_of(VA, 1);
    remap(VA, 0);
    CHECK_EQ(fault_of(load, VA), 0);
    *entry = phys_of(a) | PTE_P; // entries that are not present are never cached
    CHECK_EQ(seen(), 'a');
    trap_set(VEC_PF, on_page_fault);
    *entry |= PTE_W;
    store((void *)VA);
    CHECK_EQ(a[0], 0x77);
    trap_set(VEC_PF, NULL);
    a[0] = 'a';
}

int image_main(void)
{
    a = page_alloc(), b = page_alloc();
    *a = 'a', *b = 'b';
    map_page(VA, 0, 0);
    invalidations();
    upper_level();
    growing_rights();
    return 0;
}

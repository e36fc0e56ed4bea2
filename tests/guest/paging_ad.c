// SPDX-License-Identifier: BSD-2-Clause
// Accessed and dirty bits: set at every level by a read, dirty by a write alone and in the last level alone, by CPL 3
// as by CPL 0, never by an access that faults (SDM vol. 3, 4.8).
#include "tests/guest/access.h"

IMAGE("paging_ad");

#define VA (TEST_VA + 0x40)

static uint8_t *page;

// Entries without A and D at all levels, and nothing in the TLB.
static void clean(uint64_t flags)
{
    remap(VA, phys_of(page) | PTE_P | flags);
    for (unsigned level = 2; level <= 4; level++)
        change_bits(VA, level, PTE_A | PTE_D, 0);
}

static uint64_t ad_of(unsigned level)
{
    return *pte_of(VA, level) & (PTE_A | PTE_D);
}

static bool upper_accessed(void)
{
    return ad_of(2) == PTE_A && ad_of(3) == PTE_A && ad_of(4) == PTE_A;
}

static void reads_and_writes(void)
{
    clean(PTE_W);
    CHECK_EQ(ad_of(1) | ad_of(2) | ad_of(3) | ad_of(4), 0);
    load((void *)VA);
    CHECK_EQ(ad_of(1), PTE_A);
    CHECK(upper_accessed());
    store((void *)VA); // the entry may be in the TLB as clean: the bit must come all the same
    CHECK_EQ(ad_of(1), PTE_A | PTE_D);
    CHECK(upper_accessed());
    clean(PTE_W);
    store((void *)VA);
    CHECK_EQ(ad_of(1), PTE_A | PTE_D);
    clean(PTE_W);
    page[0x40] = RET_INSTRUCTION;
    fetch((void *)VA);
    CHECK_EQ(ad_of(1), PTE_A);
    clean(PTE_W);
    __asm__ volatile("addb $0, (%0)" : : "r"(VA) : "memory", "cc"); // a write, though of the same value
    CHECK_EQ(ad_of(1), PTE_A | PTE_D);
    clean(PTE_W);
    __asm__ volatile("cmpb $0, (%0); testb $1, (%0); btl $0, (%0)" : : "r"(VA) : "memory", "cc");
    CHECK_EQ(ad_of(1), PTE_A);
}

static void from_cpl3(void)
{
    clean(PTE_W | PTE_U);
    user_load((void *)VA);
    CHECK_EQ(ad_of(1), PTE_A);
    user_store((void *)VA);
    CHECK_EQ(ad_of(1), PTE_A | PTE_D);
    clean(PTE_W | PTE_U);
    page[0x40] = RET_INSTRUCTION;
    user_fetch((void *)VA);
    CHECK_EQ(ad_of(1), PTE_A);
}

static void faults(void)
{
    clean(0);
    CHECK_EQ(fault_of(store, VA), PF_PRESENT | PF_WRITE);
    CHECK_EQ(ad_of(1) & PTE_D, 0);
    clean(PTE_W);
    CHECK_EQ(fault_of(user_store, VA), PF_PRESENT | PF_WRITE | PF_USER);
    CHECK_EQ(ad_of(1) & PTE_D, 0);
}

int image_main(void)
{
    page = page_alloc();
    map_page(VA, 0, 0);
    reads_and_writes();
    from_cpl3();
    faults();
    return 0;
}

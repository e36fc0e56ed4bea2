// SPDX-License-Identifier: BSD-2-Clause
// Rights in page-table entries at all levels: present, write (with cr0.WP on and off), user and no-execute, from CPL 0
// and CPL 3, with error code and cr2 (SDM vol. 3, 4.6, 4.7).
#include "tests/guest/access.h"

IMAGE("paging");

#define VA (TEST_VA + 0x123)
#define P PF_PRESENT
#define W PF_WRITE
#define U PF_USER
#define I PF_FETCH

static uint8_t *page;

static void not_present(void)
{
    remap(VA, 0);
    CHECK_EQ(fault_of(load, VA), 0);
    CHECK_EQ(fault_of(store, VA), W);
    CHECK_EQ(fault_of(fetch, VA), I);
    CHECK_EQ(fault_of(user_load, VA), U);
    CHECK_EQ(fault_of(user_store, VA), U | W);
    CHECK_EQ(fault_of(user_fetch, VA), U | I);
    // The other bits of an entry that is not present mean nothing.
    remap(VA, ~0ull & ~PTE_P);
    CHECK_EQ(fault_of(load, VA), 0);
    CHECK_EQ(fault_of(load, TEST_VA + (1ull << 39)), 0); // no entry at level 4
    CHECK_EQ(fault_of(load, TEST_VA + (1ull << 30)), 0);
    CHECK_EQ(fault_of(load, TEST_VA + (1ull << 21)), 0);
}

static void supervisor_page(void)
{
    remap(VA, phys_of(page) | PTE_P | PTE_W);
    CHECK_EQ(fault_of(load, VA), NO_FAULT);
    CHECK_EQ(fault_of(store, VA), NO_FAULT);
    page[0x123] = RET_INSTRUCTION;
    CHECK_EQ(fault_of(fetch, VA), NO_FAULT);
    CHECK_EQ(fault_of(user_load, VA), P | U);
    CHECK_EQ(fault_of(user_store, VA), P | U | W);
    CHECK_EQ(fault_of(user_fetch, VA), P | U | I);
}

static void user_page(void)
{
    remap(VA, phys_of(page) | PTE_P | PTE_W | PTE_U);
    page[0x123] = RET_INSTRUCTION;
    CHECK_EQ(fault_of(user_load, VA), NO_FAULT);
    CHECK_EQ(fault_of(user_fetch, VA), NO_FAULT);
    CHECK_EQ(fault_of(user_store, VA), NO_FAULT);
    remap(VA, phys_of(page) | PTE_P | PTE_W | PTE_U | PTE_NX);
    CHECK_EQ(fault_of(user_load, VA), NO_FAULT);
    CHECK_EQ(fault_of(user_fetch, VA), P | U | I);
    CHECK_EQ(fault_of(fetch, VA), P | I);
}

static void read_only(void)
{
    remap(VA, phys_of(page) | PTE_P | PTE_U);
    CHECK_EQ(fault_of(load, VA), NO_FAULT);
    CHECK_EQ(fault_of(store, VA), P | W);
    CHECK_EQ(fault_of(user_store, VA), P | U | W);
    write_cr0(read_cr0() & ~(uint64_t)CR0_WP);
    page[0x123] = 0;
    CHECK_EQ(fault_of(store, VA), NO_FAULT);
    CHECK_EQ(page[0x123], 0x77);
    CHECK_EQ(fault_of(user_store, VA), P | U | W); // WP is about CPL 0 alone
    write_cr0(read_cr0() | CR0_WP);
    CHECK_EQ(fault_of(store, VA), P | W);
}

// Rights are what all levels allow.
static void upper_levels(void)
{
    page[0x123] = RET_INSTRUCTION;
    remap(VA, phys_of(page) | PTE_P | PTE_W | PTE_U);
    for (unsigned level = 2; level <= 4; level++) {
        change_bits(VA, level, PTE_W, 0);
        CHECK_EQ(fault_of(store, VA), P | W);
        CHECK_EQ(fault_of(user_store, VA), P | U | W);
        change_bits(VA, level, PTE_U, PTE_W);
        CHECK_EQ(fault_of(user_load, VA), P | U);
        CHECK_EQ(fault_of(load, VA), NO_FAULT);
        change_bits(VA, level, 0, PTE_U | PTE_NX);
        CHECK_EQ(fault_of(fetch, VA), P | I);
        CHECK_EQ(fault_of(user_load, VA), NO_FAULT);
        change_bits(VA, level, PTE_NX | PTE_P, 0);
        CHECK_EQ(fault_of(load, VA), 0);
        change_bits(VA, level, 0, PTE_P);
        CHECK_EQ(fault_of(user_fetch, VA), NO_FAULT);
    }
}

int image_main(void)
{
    page = page_alloc();
    map_page(VA, 0, 0);
    not_present();
    supervisor_page();
    user_page();
    read_only();
    upper_levels();
    return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
// Reserved bits in present entries: #PF with the RSVD bit, whoever asks (SDM vol. 3, 4.5, tables 4-15 to 4-20).
#include "tests/guest/access.h"
#include "tests/guest/feature.h"
#include "tests/guest/judge.h"

IMAGE("paging_reserved");

#define VA TEST_VA
#define RSVD (PF_PRESENT | PF_RSVD)

// The P bit is set too: the entry is present (SDM vol. 3, 4.7). QEMU leaves it out.
static void with_bits(unsigned level, uint64_t bits)
{
    change_bits(VA, level, 0, bits);
    CHECK_EQ_NOT_QEMU(fault_of(load, VA), RSVD);
    CHECK_EQ_NOT_QEMU(fault_of(store, VA), RSVD | PF_WRITE);
    CHECK_EQ_NOT_QEMU(fault_of(user_load, VA), RSVD | PF_USER);
    change_bits(VA, level, bits, 0);
}

// Address bits from the processor's width up to 51.
static void beyond_width(void)
{
    unsigned width = cpuid(0x80000008, 0).eax & 0xff;
    if (width >= 52) {
        skip("physical addresses have all 52 bits");
        return;
    }
    for (unsigned level = 1; level <= 4; level++) {
        with_bits(level, 1ull << width);
        with_bits(level, 1ull << 51);
    }
}

// Where a large page may start.
static void large(void)
{
    uint64_t *entry = pte_of(VA, 2), table = *entry;
    *entry = 0x400000 | PTE_P | PTE_W | PTE_PS | PTE_U;
    invlpg((void *)VA);
    CHECK_EQ(fault_of(user_load, VA), NO_FAULT);
    with_bits(2, 1 << 13);
    with_bits(2, 1 << 20);
    *entry = table;
    entry = pte_of(VA, 3), table = *entry;
    if (HAS_1G_PAGES) {
        *entry = PTE_P | PTE_W | PTE_PS | PTE_U;
        invlpg((void *)VA);
        CHECK_EQ(fault_of(user_load, VA), NO_FAULT);
        with_bits(3, 1 << 13);
        with_bits(3, 1 << 29);
        *entry = table;
    } else {
        with_bits(3, PTE_PS);
    }
}

int image_main(void)
{
    map_page(VA, phys_of(page_alloc()), PTE_P | PTE_W | PTE_U);
    CHECK_EQ(fault_of(user_load, VA), NO_FAULT);
    with_bits(4, PTE_PS);
    beyond_width();
    large();
    invlpg((void *)VA);
    CHECK_EQ(fault_of(user_load, VA), NO_FAULT);
    return 0;
}

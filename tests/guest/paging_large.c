// SPDX-License-Identifier: BSD-2-Clause
// 2 MiB and 1 GiB pages: translation, rights, accessed and dirty bits in the entry that maps (SDM vol. 3, 4.5).
#include "tests/guest/access.h"
#include "tests/guest/feature.h"

IMAGE("paging_large");

#define TWO_MIB 0x200000ull
#define ONE_GIB 0x40000000ull
#define FRAME 0x400000ull // RAM beyond the image, reached by the identity map as well
#define OFFSET 0x1f5678ull

static void two_mib(void)
{
    map_page(TEST_VA, 0, 0); // makes the levels above
    uint64_t *entry = pte_of(TEST_VA, 2), table = *entry;
    volatile uint64_t *va = (uint64_t *)(TEST_VA + OFFSET), *frame = (uint64_t *)(FRAME + OFFSET);
    *entry = FRAME | PTE_P | PTE_W | PTE_PS;
    invlpg((void *)TEST_VA);
    *frame = 0x1234;
    CHECK_EQ(*va, 0x1234);
    CHECK_EQ(*entry & (PTE_A | PTE_D), PTE_A);
    *va = 0x5678;
    CHECK_EQ(*frame, 0x5678);
    CHECK_EQ(*entry & (PTE_A | PTE_D), PTE_A | PTE_D);
    CHECK_EQ(fault_of(user_load, (uint64_t)va), PF_PRESENT | PF_USER);
    *entry = FRAME | PTE_P | PTE_PS | PTE_NX | PTE_U;
    invlpg((void *)(TEST_VA + TWO_MIB - PAGE)); // any address within the page will do
    CHECK_EQ(fault_of(store, (uint64_t)va), PF_PRESENT | PF_WRITE);
    CHECK_EQ(fault_of(fetch, (uint64_t)va), PF_PRESENT | PF_FETCH);
    CHECK_EQ(fault_of(user_load, (uint64_t)va), NO_FAULT);
    CHECK_EQ(fault_of(user_store, (uint64_t)va), PF_PRESENT | PF_USER | PF_WRITE);
    *entry = FRAME | PTE_P | PTE_W | PTE_PS | (1ull << 12); // bit 12 is PAT here, not reserved
    invlpg((void *)TEST_VA);
    CHECK_EQ(*va, 0x5678);
    *entry = table;
    invlpg((void *)TEST_VA);
    CHECK_EQ(fault_of(load, TEST_VA + OFFSET), 0);
}

// From the last bytes of one 2 MiB page into another one, mapped elsewhere.
static void crossing(void)
{
    uint64_t a = TEST_VA + 4 * TWO_MIB, b = a + TWO_MIB;
    *pte_of(a, 2) = FRAME | PTE_P | PTE_W | PTE_PS;
    *pte_of(b, 2) = FRAME | PTE_P | PTE_W | PTE_PS;
    volatile uint64_t *va = (uint64_t *)(b - 3);
    *va = 0x0807060504030201;
    CHECK_EQ(*va, 0x0807060504030201);
    CHECK_EQ(*(volatile uint8_t *)(FRAME + TWO_MIB - 1), 3);
    CHECK_EQ(*(volatile uint32_t *)FRAME, 0x07060504);
}

static void one_gib(void)
{
    if (!HAS_1G_PAGES) {
        skip("no 1 GiB pages");
        return;
    }
    uint64_t base = TEST_VA + 2 * ONE_GIB;
    uint64_t *entry = pte_of(base, 3);
    *entry = PTE_P | PTE_W | PTE_PS;
    volatile uint64_t *va = (uint64_t *)(base + FRAME + OFFSET), *frame = (uint64_t *)(FRAME + OFFSET);
    *frame = 0x9abc;
    CHECK_EQ(*va, 0x9abc);
    CHECK_EQ(*entry & (PTE_A | PTE_D), PTE_A);
    *va = 0xdef0;
    CHECK_EQ(*frame, 0xdef0);
    CHECK_EQ(*entry & (PTE_A | PTE_D), PTE_A | PTE_D);
    *entry = PTE_P | PTE_PS | PTE_NX;
    invlpg((void *)base);
    CHECK_EQ(fault_of(store, (uint64_t)va), PF_PRESENT | PF_WRITE);
    CHECK_EQ(fault_of(fetch, (uint64_t)va), PF_PRESENT | PF_FETCH);
}

int image_main(void)
{
    two_mib();
    crossing();
    one_gib();
    return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
// cr4.SMEP: CPL 0 may not execute a user page, CPL 3 may as before (SDM vol. 3, 4.6).
#include "tests/guest/access.h"
#include "tests/guest/feature.h"

IMAGE("smep");

int image_main(void)
{
    if (!HAS_SMEP) {
        skip("no SMEP");
        return 0;
    }
    uint8_t *page = page_alloc();
    *page = RET_INSTRUCTION;
    map_page(TEST_VA, phys_of(page), PTE_P | PTE_W | PTE_U);
    CHECK_EQ(fault_of(fetch, TEST_VA), NO_FAULT);
    write_cr4(read_cr4() | CR4_SMEP);
    CHECK_EQ(fault_of(fetch, TEST_VA), PF_PRESENT | PF_FETCH);
    CHECK_EQ(fault_of(user_fetch, TEST_VA), NO_FAULT);
    CHECK_EQ(fault_of(load, TEST_VA), NO_FAULT);
    change_bits(TEST_VA, 2, PTE_U, 0); // a supervisor page, by a level above
    CHECK_EQ(fault_of(fetch, TEST_VA), NO_FAULT);
    change_bits(TEST_VA, 2, 0, PTE_U);
    CHECK_EQ(fault_of(fetch, TEST_VA), PF_PRESENT | PF_FETCH);
    write_cr4(read_cr4() & ~(uint64_t)CR4_SMEP);
    CHECK_EQ(fault_of(fetch, TEST_VA), NO_FAULT);
    return 0;
}

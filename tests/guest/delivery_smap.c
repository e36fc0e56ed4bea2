// SPDX-License-Identifier: BSD-2-Clause
// An event's delivery reads its gate as an implicit supervisor access: with cr4.SMAP never from a user's page, whatever
// AC is and whoever executes int n (SDM vol. 3, 4.6.1). An image of its own: one that KVM does not get beyond with
// shadow paging.
#include "tests/guest/delivery.h"
#include "tests/guest/feature.h"
#include "tests/guest/judge.h"

IMAGE("delivery_smap");

int image_main(void)
{
    if (!HAS_SMAP) {
        skip("no SMAP");
        return 0;
    }
    for (unsigned i = 0; i < 2; i++)
        map_page(TEST_VA + i * PAGE, phys_of(page_alloc()), PTE_P | PTE_W);
    uint64_t gate = (uint64_t)own_idt(TEST_VA);
    change_bits(gate, 1, 0, PTE_U);
    CHECK(works());
    write_cr4(read_cr4() | CR4_SMAP);
    CHECK(gives(VEC_PF, PF_PRESENT, gate));
    write_flags(FLAG_AC);
    CHECK_NOT_QEMU(gives(VEC_PF, PF_PRESENT, gate));
    write_flags(0);
    change_bits(gate, 1, PTE_U, 0);
    CHECK(works());
    write_cr4(read_cr4() & ~(uint64_t)CR4_SMAP);
    return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
// cr4.SMAP: CPL 0 may touch a user page only while AC is set, by stac or popf; CPL 3 may as before; stac and clac are
// #UD at CPL 3 (SDM vol. 3, 4.6; vol. 2, STAC, CLAC).
#include "tests/guest/access.h"
#include "tests/guest/feature.h"

IMAGE("smap");

static void stac_load(void *va)
{
    __asm__ volatile("stac; movb (%0), %%al; clac" : : "r"(va) : "rax", "memory");
}

static void stac_store(void *va)
{
    __asm__ volatile("stac; movb $1, (%0); clac" : : "r"(va) : "memory");
}

static void popf_load(void *va)
{
    __asm__ volatile("pushfq; pushfq; orq %1, (%%rsp); popfq; movb (%0), %%al; popfq"
                     :
                     : "r"(va), "i"(FLAG_AC)
                     : "rax", "memory", "cc");
}

static void clac_load(void *va)
{
    __asm__ volatile("stac; clac; movb (%0), %%al" : : "r"(va) : "rax", "memory");
}

static USER_CODE uint64_t user_stac(void *arg)
{
    __asm__ volatile("stac");
    return (uint64_t)arg;
}

static USER_CODE uint64_t user_clac(void *arg)
{
    __asm__ volatile("clac");
    return (uint64_t)arg;
}

static void run_stac(void *arg)
{
    run_user(user_stac, arg);
}

static void run_clac(void *arg)
{
    run_user(user_clac, arg);
}

int image_main(void)
{
    if (!HAS_SMAP) {
        skip("no SMAP");
        return 0;
    }
    map_page(TEST_VA, phys_of(page_alloc()), PTE_P | PTE_W | PTE_U);
    CHECK_EQ(fault_of(load, TEST_VA), NO_FAULT);
    write_cr4(read_cr4() | CR4_SMAP);
    CHECK_EQ(fault_of(load, TEST_VA), PF_PRESENT);
    CHECK_EQ(fault_of(store, TEST_VA), PF_PRESENT | PF_WRITE);
    CHECK_EQ(fault_of(stac_load, TEST_VA), NO_FAULT);
    CHECK_EQ(fault_of(stac_store, TEST_VA), NO_FAULT);
    CHECK_EQ(fault_of(popf_load, TEST_VA), NO_FAULT);
    CHECK_EQ(fault_of(clac_load, TEST_VA), PF_PRESENT);
    CHECK_EQ(fault_of(load, TEST_VA), PF_PRESENT);
    CHECK_EQ(fault_of(user_load, TEST_VA), NO_FAULT);
    CHECK_EQ(fault_of(user_store, TEST_VA), NO_FAULT);
    remap(TEST_VA, phys_of(page_alloc()) | PTE_P | PTE_U);
    CHECK_EQ(fault_of(stac_store, TEST_VA), PF_PRESENT | PF_WRITE); // AC opens user pages, not read-only ones
    CHECK_EQ(catch_fault(run_stac, NULL).vector, VEC_UD);
    CHECK_EQ(catch_fault(run_clac, NULL).vector, VEC_UD);
    write_cr4(read_cr4() & ~(uint64_t)CR4_SMAP);
    CHECK_EQ(fault_of(load, TEST_VA), NO_FAULT);
    __asm__ volatile("stac");
    CHECK(read_flags() & FLAG_AC);
    __asm__ volatile("clac");
    CHECK(!(read_flags() & FLAG_AC));
    return 0;
}

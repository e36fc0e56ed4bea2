// SPDX-License-Identifier: BSD-2-Clause
// Accesses over a page border: two frames that are no neighbours, and a second page that does not let it: cr2 is the
// second page's first byte and the first page keeps its bytes (SDM vol. 3, 4.7).
#include "tests/guest/access.h"

IMAGE("paging_cross");

#define BORDER (TEST_VA + PAGE)

static uint8_t *first, *second;

static void store8(void *va)
{
    __asm__ volatile("movq %1, (%0)" : : "r"(va), "r"(0x1122334455667788) : "memory");
}

static void add8(void *va)
{
    __asm__ volatile("addq %1, (%0)" : : "r"(va), "r"(1ull) : "memory", "cc");
}

static void load8(void *va)
{
    __asm__ volatile("movq (%0), %%rax" : : "r"(va) : "rax", "memory");
}

static void push8(void *va)
{
    __asm__ volatile("movq %%rsp, %%rbx; leaq 8(%0), %%rsp; pushq %%rax; movq %%rbx, %%rsp"
                     :
                     : "r"(va)
                     : "rbx", "memory");
}

static bool stopped(void (*access)(void *), uint64_t error)
{
    *(uint64_t *)(first + 4088) = 0;
    *(uint64_t *)second = 0;
    struct caught c = catch_fault(access, (void *)(BORDER - 3));
    return c.vector == VEC_PF && c.cr2 == BORDER && c.error == error && *(uint64_t *)(first + 4088) == 0 &&
           *(uint64_t *)second == 0;
}

int image_main(void)
{
    second = page_alloc(), first = page_alloc();
    map_page(TEST_VA, phys_of(first), PTE_P | PTE_W);
    map_page(BORDER, phys_of(second), PTE_P | PTE_W);
    for (unsigned before = 1; before < 8; before++) {
        volatile uint64_t *va = (uint64_t *)(BORDER - before);
        *va = 0x0807060504030201;
        CHECK(first[4095] == before && second[0] == before + 1 && second[7 - before] == 8);
        CHECK_EQ(*va, 0x0807060504030201);
    }
    *(uint8_t *)(first + 4095) = 0xfe, *second = 0xff;
    __asm__ volatile("incw (%0)" : : "r"(BORDER - 1) : "memory", "cc");
    CHECK(first[4095] == 0xff && second[0] == 0xff);
    __asm__ volatile("lock; incw (%0)" : : "r"(BORDER - 1) : "memory", "cc");
    CHECK(first[4095] == 0 && second[0] == 0);

    use_ist(VEC_PF, 2); // push8 leaves no stack for the fault
    remap(BORDER, 0);
    CHECK(stopped(load8, 0));
    CHECK(stopped(store8, PF_WRITE));
    CHECK(stopped(add8, PF_WRITE) || stopped(add8, 0)); // a read-modify-write may say either
    CHECK(stopped(push8, PF_WRITE));
    remap(BORDER, phys_of(second) | PTE_P);
    CHECK(stopped(store8, PF_PRESENT | PF_WRITE));
    CHECK(stopped(add8, PF_PRESENT | PF_WRITE));
    CHECK(stopped(push8, PF_PRESENT | PF_WRITE));

    // The first page is the one that is looked at first.
    remap(TEST_VA, 0);
    remap(BORDER, 0);
    struct caught c = catch_fault(store8, (void *)(BORDER - 3));
    CHECK(c.vector == VEC_PF && c.cr2 == BORDER - 3);
    return 0;
}

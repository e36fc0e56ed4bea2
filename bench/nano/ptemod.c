// SPDX-License-Identifier: BSD-2-Clause
// A store of its own value to a live page-table entry: present, used for a read and a write before the first store, so
// that every engine that keeps a shadow of it has one. The store changes nothing and asks for no flush.
#include "guest/lib.h"
#include "guest/repeat.h"

IMAGE("ptemod");

#define PAGE_VA 0x4000000000ull

static void body(uint64_t n, void *ctx)
{
    uint64_t *entry = ctx;
    uint64_t value = *entry; // with the accessed and dirty bits that the access has set
    __asm__ volatile(REPEAT_ASM("movq %[value], (%[entry])")
                     : [left] "+r"(n)
                     : [entry] "r"(entry), [value] "r"(value)
                     : "cc", "memory");
}

int image_main(void)
{
    map_page(PAGE_VA, phys_of(page_alloc()), PTE_P | PTE_W | PTE_NX);
    volatile uint64_t *page = (void *)PAGE_VA;
    *page = *page;
    bench_run(image_name, body, pte_of(PAGE_VA, 1));
    return 0;
}

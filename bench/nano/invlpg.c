// SPDX-License-Identifier: BSD-2-Clause
// invlpg of a page that is mapped and was read once. Nothing reads it in the loop, so filling the translation again is
// not part of the figure.
#include "guest/lib.h"
#include "guest/repeat.h"

IMAGE("invlpg");

#define PAGE_VA 0x4000000000ull

static void body(uint64_t n, void *ctx)
{
    __asm__ volatile(REPEAT_ASM("invlpg (%[page])") : [left] "+r"(n) : [page] "r"(ctx) : "cc", "memory");
}

int image_main(void)
{
    map_page(PAGE_VA, phys_of(page_alloc()), PTE_P | PTE_W | PTE_NX);
    *(volatile uint8_t *)PAGE_VA;
    bench_run(image_name, body, (void *)PAGE_VA);
    return 0;
}

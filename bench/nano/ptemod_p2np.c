// SPDX-License-Identifier: BSD-2-Clause
// A store that makes a live page-table entry not present. An entry can die only once, so each iteration has one of its
// own: before each timed run, untimed, n entries are made present and their pages are read, so that they have a shadow.
// The flush that a kernel owes afterwards is not the subject: prepare() pays it.
#include "guest/insn.h"
#include "guest/lib.h"
#include "guest/repeat.h"

IMAGE("ptemod_p2np");

#define FIRST_VA 0x4000000000ull
#define ENTRIES 4096
#define PAGE_SIZE 4096
#define TABLE_ENTRIES 512

struct area {
    uint64_t *entries; // of ENTRIES pages from FIRST_VA, in adjacent page tables
    uint64_t present, absent;
};

// invlpg before the read: what the TLB or a shadow still holds from the run before must not answer it.
static void prepare(uint64_t n, void *ctx)
{
    const struct area *area = ctx;
    for (uint64_t i = 0; i < n; i++) {
        volatile uint8_t *page = (void *)(FIRST_VA + i * PAGE_SIZE);
        area->entries[i] = area->present;
        invlpg((const void *)page);
        *page;
    }
}

// Stores to entries n-1 to 0, one each.
static void body(uint64_t n, void *ctx)
{
    const struct area *area = ctx;
    __asm__ volatile(REPEAT_ASM("movq %[value], -8*\\i(%[entries], %[left], 8)")
                     : [left] "+r"(n)
                     : [entries] "r"(area->entries), [value] "r"(area->absent)
                     : "cc", "memory");
}

int image_main(void)
{
    struct area area = {.absent = phys_of(page_alloc()) | PTE_W | PTE_NX};
    area.present = area.absent | PTE_P | PTE_A;
    for (unsigned i = 0; i < ENTRIES; i += TABLE_ENTRIES)
        map_page(FIRST_VA + (uint64_t)i * PAGE_SIZE, 0, 0);
    area.entries = pte_of(FIRST_VA, 1);
    bench_run_prepared(image_name, body, prepare, ENTRIES, &area);
    return 0;
}

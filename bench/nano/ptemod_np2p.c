// SPDX-License-Identifier: BSD-2-Clause
// A store that makes an absent page-table entry present. An entry can come to life only once, so each iteration has one
// of its own: before each timed run, untimed, n entries are made absent and flushed. As in a kernel, no flush follows
// the store, and what the first access then costs is not the subject.
#include "guest/insn.h"
#include "guest/lib.h"
#include "guest/repeat.h"

IMAGE("ptemod_np2p");

#define FIRST_VA 0x4000000000ull
#define ENTRIES 4096
#define PAGE_SIZE 4096
#define TABLE_ENTRIES 512

struct area {
    uint64_t *entries; // of ENTRIES pages from FIRST_VA, in adjacent page tables
    uint64_t present, absent;
};

// The page is read while the entry is present, as it had been in a kernel that now swaps it back in.
static void prepare(uint64_t n, void *ctx)
{
    const struct area *area = ctx;
    for (uint64_t i = 0; i < n; i++) {
        volatile uint8_t *page = (void *)(FIRST_VA + i * PAGE_SIZE);
        area->entries[i] = area->present;
        *page;
        area->entries[i] = area->absent;
        invlpg((const void *)page);
    }
}

// Stores to entries n-1 to 0, one each.
static void body(uint64_t n, void *ctx)
{
    const struct area *area = ctx;
    __asm__ volatile(REPEAT_ASM("movq %[value], -8*\\i(%[entries], %[left], 8)")
                     : [left] "+r"(n)
                     : [entries] "r"(area->entries), [value] "r"(area->present)
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

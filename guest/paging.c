// SPDX-License-Identifier: BSD-2-Clause
// The image's own page tables: they are linked in (tables.S); here the image's pages get their rights, and images map
// pages of their own.
#include "guest/insn.h"
#include "guest/state.h"

#define PAGE_SIZE 4096ull
#define POOL_PAGES 256
#define TABLE_ENTRIES 512
#define TABLE_FLAGS (PTE_P | PTE_W | PTE_U | PTE_A)
#define PAGE_FLAGS (PTE_P | PTE_A | PTE_D | PTE_G)

// In bss: the loader has zeroed it, and pages are never given back.
static uint64_t pool[POOL_PAGES][TABLE_ENTRIES] __attribute__((aligned(4096)));

extern uint64_t high_pt[]; // tables.S: KERNEL_VIRT_BASE to 4 MiB above
extern const char image_start[], user_text_start[], rodata_start[], user_data_start[], data_start[]; // image.ld

uint64_t phys_of(const void *p)
{
    return (uint64_t)p - KERNEL_VIRT_BASE;
}

void *page_alloc(void)
{
    if (guest.pages_used == POOL_PAGES)
        panic("page_alloc: all %u pages are in use", POOL_PAGES);
    return pool[guest.pages_used++];
}

static void protect(uint64_t from, uint64_t to, uint64_t flags)
{
    for (uint64_t pa = from - KERNEL_VIRT_BASE; pa < to - KERNEL_VIRT_BASE; pa += PAGE_SIZE)
        high_pt[pa / PAGE_SIZE] = pa | PAGE_FLAGS | flags;
}

void paging_init(void)
{
    uint64_t text = (uint64_t)image_start, user_text = (uint64_t)user_text_start, rodata = (uint64_t)rodata_start;
    uint64_t user_data = (uint64_t)user_data_start, data = (uint64_t)data_start;
    protect(text, user_text, 0);
    protect(user_text, rodata, PTE_U);
    protect(rodata, user_data, PTE_NX);
    protect(user_data, data, PTE_U | PTE_W | PTE_NX);
    protect(data, text + TEXT_WINDOW, PTE_W | PTE_NX);
    // The pages are global: a change of cr4.PGE drops what the TLB holds of them (SDM vol. 3, 4.10.4.1).
    uint64_t cr4 = read_cr4();
    write_cr4(cr4 & ~(uint64_t)CR4_PGE);
    write_cr4(cr4);
}

static unsigned index_of(uint64_t va, unsigned level)
{
    return (va >> (12 + 9 * (level - 1))) % TABLE_ENTRIES;
}

// Tables are reached where they are linked or allocated: in the upper half.
static uint64_t *table_at(uint64_t entry)
{
    return (uint64_t *)((entry & PTE_ADDR) + KERNEL_VIRT_BASE);
}

uint64_t *pte_of(uint64_t va, unsigned level)
{
    uint64_t *table = table_at(read_cr3());
    for (unsigned at = 4; at > level; at--) {
        uint64_t entry = table[index_of(va, at)];
        if (!(entry & PTE_P) || (at < 4 && (entry & PTE_PS)))
            return NULL;
        table = table_at(entry);
    }
    return &table[index_of(va, level)];
}

void map_page(uint64_t va, uint64_t pa, uint64_t flags)
{
    for (unsigned level = 4; level > 1; level--) {
        uint64_t *entry = pte_of(va, level);
        if (!(*entry & PTE_P))
            *entry = phys_of(page_alloc()) | TABLE_FLAGS;
        else if (level < 4 && (*entry & PTE_PS))
            panic("map_page: 0x%lx lies in a large page", va);
    }
    *pte_of(va, 1) = (pa & PTE_ADDR) | flags;
    invlpg((const void *)va);
}

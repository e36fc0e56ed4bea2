// SPDX-License-Identifier: BSD-2-Clause
// Page tables of address spaces: four levels, reached through the direct map, made where a fault asks for them.
#include "guest/bantam/space.h"
#include "guest/insn.h"

#define TABLE_FLAGS (PTE_P | PTE_W | PTE_U | PTE_A)
#define NO_REGION UINT64_MAX
#define INVLPG_MOST 16 // more pages than that: everything at once

extern uint64_t boot_pml4[]; // guest/tables.S; boot.c has put the direct map in

static uint64_t *take_table(struct space *s)
{
    uint64_t *table = page_take_zeroed();
    if (table)
        page_chain(&s->tables, table);
    return table;
}

bool tables_init(struct space *s)
{
    uint64_t *pml4 = take_table(s);
    if (!pml4)
        return false;
    pml4[DIRECT_SLOT] = boot_pml4[DIRECT_SLOT];
    pml4[KERNEL_SLOT] = boot_pml4[KERNEL_SLOT];
    s->root = physical_of_direct(pml4);
    s->region = NO_REGION;
    return true;
}

// Most looks are for the same table as the last one.
static uint64_t *remember(struct space *s, uint64_t va, uint64_t *table)
{
    s->region = va / REGION_BYTES;
    s->region_table = table;
    return &table[va / PAGE_BYTES % 512];
}

static uint64_t *known_entry(const struct space *s, uint64_t va)
{
    return s->region == va / REGION_BYTES ? &s->region_table[va / PAGE_BYTES % 512] : NULL;
}

uint64_t *table_entry(struct space *s, uint64_t va)
{
    uint64_t *known = known_entry(s, va), *table = direct(s->root);
    if (known)
        return known;
    for (unsigned shift = 39; shift > 12; shift -= 9) {
        uint64_t *entry = &table[va >> shift & 511];
        if (*entry & PTE_P) {
            table = direct(*entry & PTE_ADDR);
        } else {
            table = take_table(s);
            if (!table)
                return NULL;
            *entry = physical_of_direct(table) | TABLE_FLAGS;
        }
    }
    return remember(s, va, table);
}

uint64_t *table_next(struct space *s, uint64_t *va, uint64_t end)
{
    while (*va < end) {
        uint64_t *known = known_entry(s, *va), *table = direct(s->root);
        if (known)
            return known;
        unsigned shift = 39;
        while (shift > 12) {
            uint64_t entry = table[*va >> shift & 511];
            if (!(entry & PTE_P))
                break;
            table = direct(entry & PTE_ADDR);
            shift -= 9;
        }
        if (shift == 12)
            return remember(s, *va, table);
        *va = ((*va >> shift) + 1) << shift; // past all that the missing table would have
    }
    return NULL;
}

void space_flush(struct space *s)
{
    write_cr3(s->root | s->pcid); // without the no-flush bit: SDM vol. 3, 4.10.4.1
}

void tables_forget(struct space *s, uint64_t start, uint64_t end, bool live)
{
    unsigned dropped = 0;
    uint64_t *entry;
    for (uint64_t va = start; (entry = table_next(s, &va, end));) {
        do {
            if (*entry & PTE_P) {
                page_drop(*entry & PTE_ADDR);
                if (live)
                    *entry = 0;
                if (live && dropped++ < INVLPG_MOST)
                    invlpg((const void *)va);
            }
            entry++;
            va += PAGE_BYTES;
        } while (va < end && va % REGION_BYTES);
    }
    if (dropped > INVLPG_MOST)
        space_flush(s);
}

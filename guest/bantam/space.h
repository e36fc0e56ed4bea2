// SPDX-License-Identifier: BSD-2-Clause
// The inside of an address space: space.c (areas, faults), table.c (page tables), fork.c.
#ifndef RINGSIDE_GUEST_BANTAM_SPACE_H
#define RINGSIDE_GUEST_BANTAM_SPACE_H

#include "guest/bantam/kernel.h"

// One page. Its page tables hang on a chain (page.c), so that they can be freed without being read.
struct space {
    uint64_t root;   // physical address of the PML4
    uint64_t region; // of 2 MiB: whose level-1 table was last looked for; tables stay as long as the space does
    uint64_t *region_table;
    uint32_t tables; // all page-table pages, the PML4 too
    unsigned pcid;   // while it is loaded
    bool stale;      // not loaded yet: the TLB may still have entries of an earlier space with its PCID
    uint64_t break_start, break_end;
    unsigned count, last; // areas; where the last one was found
    struct area areas[AREAS_MAX];
};
_Static_assert(sizeof(struct space) <= PAGE_BYTES, "a space is one page");

// table.c
bool tables_init(struct space *s);
uint64_t *table_entry(struct space *s, uint64_t va); // of level 1, with the tables above it made; NULL: no memory
// The first entry at *va or above whose table is there; *va moves up to it. NULL: none below end.
uint64_t *table_next(struct space *s, uint64_t *va, uint64_t end);
// Drops the pages and leaves the tables. live: the space is loaded and goes on.
void tables_forget(struct space *s, uint64_t start, uint64_t end, bool live);
void space_flush(struct space *s); // the TLB's entries of the space that is loaded

#define REGION_BYTES (512ull * PAGE_BYTES) // of a level-1 table

// area.c
struct area *area_find(struct space *s, uint64_t va);           // that has va in it, or NULL
struct area *area_above(struct space *s, uint64_t va);          // the first that ends above va, or NULL
int area_add(struct space *s, struct area area);                // 0; -EINVAL: overlap; -ENOMEM: too many
int area_remove(struct space *s, uint64_t start, uint64_t end); // splits where it must: 0, -ENOMEM
uint64_t area_gap(struct space *s, uint64_t size);              // for mmap(): its start, or 0

#endif

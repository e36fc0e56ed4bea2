// SPDX-License-Identifier: BSD-2-Clause
// What the mappings of the fast world are kept in: for map.c alone.
#ifndef RINGSIDE_BT_MAP_INSIDE_H
#define RINGSIDE_BT_MAP_INSIDE_H

#include "engines/bt/map.h"
#include "x86/paging.h"

#define CHUNK_SHIFT 21
#define CHUNK_SIZE (1ull << CHUNK_SHIFT)
#define PAGES 512u // of a chunk
#define MAX_CHUNKS 8192u
#define HASH_SLOTS 4096u
#define NO_CHUNK (~0u)
#define POPULATE_PAGES 32u // up to so many are entered into the host's page tables at once

#define LOWEST_HOST CHUNK_SIZE // hosts keep the first pages of the address space from everybody

// What is mapped at a page of a chunk: 0, or
#define MAPPED 1u
#define WRITABLE 2u
#define RAM_PAGE_SHIFT 2 // number of the page in RAM

struct chunk {
    uint64_t va;
    uint32_t hash_next; // also links free chunks
    uint32_t live_at;   // in map->live
    uint32_t mapped;    // pages
    bool large;         // some of them by a large page of the guest's
    uint32_t ram_low, ram_high;
    // What is mapped agreed, in the circumstances agreed_key, with the guest's entries as they were noted: agreed_entry
    // for a large page, else map->noted for each mapped page. Where nothing differs nothing has to be looked at again.
    bool agreed;
    uint16_t agreed_page; // one that was present then
    uint64_t agreed_entry, agreed_key;
    uint32_t page[PAGES];
};

#define TRACED_CODE 1u
#define TRACED_TABLE 2u

struct rules { // as CPL 0 has them
    struct paging paging;
    bool no_user_pages; // CR4.SMAP: what AC allows for a moment must not stay mapped
};

struct map {
    const struct guest_ram *ram;
    struct chunk *chunks;     // MAX_CHUNKS
    uint64_t (*noted)[PAGES]; // for each chunk: entries of the guest's page table
    uint32_t first_free;
    uint32_t live_count;
    uint32_t live[MAX_CHUNKS]; // chunks with pages mapped
    uint32_t hash[HASH_SLOTS];
    bool huge;            // somewhere a 1 GiB page was mapped: one invlpg concerns many chunks
    unsigned areas;       // the host's memory areas that we have made, at most
    unsigned areas_limit; // beyond it, everything is dropped
    uint64_t ram_pages;
    uint8_t *traced;  // TRACED_ bits for each page of RAM
    uint32_t *tables; // pages of RAM that are TRACED_TABLE
    uint32_t table_count;
    bool tables_changed;       // one of them was, since all was looked at
    struct rules looked_under; // then
    uint32_t *writable;        // how often each page of RAM is mapped writable
};

#endif

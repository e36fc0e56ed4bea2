// SPDX-License-Identifier: BSD-2-Clause
// What the mappings of a host address space are kept in: for map.c, map_chunks.c and map_trace.c alone.
#ifndef RINGSIDE_BT_MAP_INSIDE_H
#define RINGSIDE_BT_MAP_INSIDE_H

#include "engines/bt/map.h"
#include "x86/paging.h"

#define CHUNK_SHIFT 21
#define CHUNK_SIZE (1ull << CHUNK_SHIFT)
#define PAGES 512u // of a chunk
#define HUGE_SIZE (1ull << 30)
#define HASH_SLOTS 4096u
#define NO_CHUNK (~0u)
#define POPULATE_PAGES 32u // up to so many are entered into the host's page tables at once

#define LOWEST_HOST CHUNK_SIZE // hosts keep the first pages of the address space from everybody

// What is mapped at a page of a chunk: 0, or
#define MAPPED 1u
#define WRITABLE 2u
#define EXECUTABLE 4u // in a process for user code alone: elsewhere guest code never runs where it lies
#define RIGHTS_MASK (WRITABLE | EXECUTABLE)
#define RAM_PAGE_SHIFT 3 // number of the page in RAM
#define NEXT_PAGE (1u << RAM_PAGE_SHIFT)

struct chunk {
    uint64_t va;
    uint32_t hash_next; // also links free chunks
    uint32_t live_at;   // in map->live
    uint32_t mapped;    // pages
    bool large;         // some of them by a large page of the guest's
    bool global;        // all of them by entries with G
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

struct rules { // as CPL 0 has them, or for a process CPL 3
    struct paging paging;
    bool no_user_pages; // CR4.SMAP: what AC allows for a moment must not stay mapped
    bool user;
};

// What a traced page table translates, and how often it was written since somebody last looked at it.
struct table_use {
    uint64_t va; // that its first entry translates
    uint8_t level, writes;
};

#define MAP_CHANGES 128u
struct map_change { // an entry for these addresses was written
    uint64_t va, size;
};

// What all address spaces share: each page of RAM.
struct frames {
    const struct guest_ram *ram;
    uint64_t count;
    uint8_t *traced;       // TRACED_ bits for each page of RAM
    uint32_t *writable;    // how often each is mapped writable
    struct table_use *use; // of those that are TRACED_TABLE
    struct map_change change[MAP_CHANGES];
    uint64_t changes; // so far
    struct map *maps; // of all address spaces
};

struct map {
    struct frames *frames;
    const struct guest_ram *ram;
    struct map_host host;
    struct map *next;
    bool user;
    uint32_t max_chunks;
    struct chunk *chunks;     // max_chunks
    uint64_t (*noted)[PAGES]; // for each chunk: entries of the guest's page table
    uint32_t used_chunks;     // those from here on have never been used
    uint32_t first_free;      // of the others
    uint32_t live_count;
    uint32_t *live;       // chunks with pages mapped
    uint32_t local_count; // of these, such as are not global
    uint32_t hash[HASH_SLOTS];
    bool huge;            // somewhere a 1 GiB page was mapped: one invlpg concerns many chunks
    unsigned areas;       // the host's memory areas that we have made, at most
    unsigned areas_limit; // beyond it, everything is dropped
};

static inline void map_set_global(struct map *m, struct chunk *c, bool global)
{
    m->local_count += (uint32_t)c->global - (uint32_t)global;
    c->global = global;
}

// ---- Chunks, and carrying out on the host (map_chunks.c) ----
struct chunk *map_find_chunk(struct map *m, uint64_t va);
bool map_is_full(const struct map *m);                   // no chunk is free, or the host's areas are at an end
struct chunk *map_new_chunk(struct map *m, uint64_t va); // the map is not full
void map_free_chunk(struct map *m, struct chunk *c);     // nothing is mapped in it
// Pages [first, first + count), counting up in RAM from the value on. False: the host would not.
bool map_pages(struct map *m, struct chunk *c, unsigned first, unsigned count, uint32_t value);
// These two drop everything where the host will not (false).
bool map_drop_pages(struct map *m, struct chunk *c, unsigned first, unsigned count);
bool map_write_protect(struct map *m, struct chunk *c, unsigned page);

// ---- What the guest's tables allow (map.c) ----
struct rules map_kernel_rules(const struct bt *bt);
void map_look_at_range(struct bt *bt, struct map *m, uint64_t va, uint64_t size);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// Traces: pages whose mappings, in all address spaces, are read-only because translated code was made from them, or
// because they are page tables that mappings rest on.
#include "engines/bt/map_inside.h"
#include "engines/bt/tlb.h"

// ---- Traces ----

// False: the host could not, and all of this map has gone.
static bool make_read_only(struct map *m, struct chunk *c, uint32_t ram_page)
{
    for (unsigned i = 0; i < PAGES; i++)
        if (c->page[i] & WRITABLE && c->page[i] >> RAM_PAGE_SHIFT == ram_page && !map_write_protect(m, c, i))
            return false;
    return true;
}

static void set_trace(struct bt *bt, uint32_t page, uint8_t kind)
{
    struct frames *f = bt->map->frames;
    f->traced[page] |= kind;
    tlb_forbid_stores(bt->tlb, bt->ram->base + (uint64_t)page * GUEST_PAGE_SIZE);
    for (struct map *m = f->maps; m && f->writable[page]; m = m->next) {
        for (uint32_t i = 0; i < m->live_count && f->writable[page]; i++) {
            struct chunk *c = &m->chunks[m->live[i]];
            if (c->ram_low <= page && page <= c->ram_high && !make_read_only(m, c, page))
                break;
        }
    }
}

void map_set_trace(struct bt *bt, uint64_t offset, bool traced)
{
    uint32_t page = (uint32_t)(offset / GUEST_PAGE_SIZE);
    if (traced)
        set_trace(bt, page, TRACED_CODE);
    else
        bt->map->frames->traced[page] &= (uint8_t)~TRACED_CODE;
}

bool map_is_traced(const struct map *m, uint64_t offset)
{
    return m->frames->traced[offset / GUEST_PAGE_SIZE];
}

bool map_is_traced_table(const struct map *m, uint64_t offset)
{
    return m->frames->traced[offset / GUEST_PAGE_SIZE] & TRACED_TABLE;
}

// ---- Traced page tables ----
//
// A table keeps its trace until it is found to be none any more: it would have to be protected again at each switch
// otherwise. What a write to it may concern is logged; a flush looks at that alone, where all else has been looked at
// with the same tables.

#define ENTRY_SHIFT(level) (12 + 9 * ((level)-1)) // of the addresses that one entry of it translates
#define NO_LEVEL 0u                               // nobody uses it as a table
#define ANY_LEVEL 5u                              // a table in several places
#define BULK 64u                                  // bytes written at once: that is no change of entries
#define MOST_WRITES 250u                          // with nobody having looked at it as a table

static uint64_t sign_extended(uint64_t va)
{
    return (uint64_t)((int64_t)(va << 16) >> 16);
}

static void log_change(struct frames *f, uint64_t va, uint64_t size)
{
    f->change[f->changes++ % MAP_CHANGES] = (struct map_change){va, size};
}

static void log_everything(struct frames *f)
{
    f->changes += MAP_CHANGES + 1; // more than is remembered
}

// The top-level table has two halves, so its entries are logged one by one.
static void log_entries(struct frames *f, const struct table_use *use, unsigned first, unsigned last)
{
    unsigned shift = use->level == ANY_LEVEL ? 0 : ENTRY_SHIFT(use->level);
    if (use->level == ANY_LEVEL || (use->level == 4 && last - first > 1))
        log_everything(f);
    else if (use->level == 4)
        for (unsigned i = first; i <= last; i++)
            log_change(f, sign_extended((uint64_t)i << shift), 1ull << shift);
    else
        log_change(f, use->va + ((uint64_t)first << shift), (uint64_t)(last - first + 1) << shift);
}

static void trace_table(struct bt *bt, uint32_t page, uint64_t va, unsigned level)
{
    struct frames *f = bt->map->frames;
    struct table_use *use = &f->use[page];
    va = level == 4 ? 0 : va & -(1ull << ENTRY_SHIFT(level + 1));
    use->writes = 0;
    if (f->traced[page] & TRACED_TABLE && use->level != NO_LEVEL) {
        if (use->va != va || use->level != level)
            use->level = ANY_LEVEL;
        return;
    }
    use->va = va;
    use->level = (uint8_t)level;
    if (!(f->traced[page] & TRACED_TABLE))
        set_trace(bt, page, TRACED_TABLE);
}

void map_trace_tables(struct bt *bt, uint64_t va)
{
    if (!bt->options.trace_tables)
        return;
    uint64_t table = bt->cr3 & PTE_ADDR;
    for (unsigned level = 4; level >= 1; level--) {
        const uint64_t *entries = (const uint64_t *)ram_at(bt->ram, gpa(table), GUEST_PAGE_SIZE);
        if (!entries)
            return;
        trace_table(bt, (uint32_t)(ram_offset(gpa(table)) / GUEST_PAGE_SIZE), va, level);
        uint64_t entry = entries[va >> (3 + 9 * level) & 511];
        if (!(entry & PTE_P) || (level < 4 && (entry & PTE_PS)))
            return;
        table = entry & PTE_ADDR;
    }
}

// Written by a user program, or again and again while nobody looks: a page that once was a table.
static bool is_none_any_more(const struct bt *bt, struct table_use *use)
{
    return bt->cpl == 3 || ++use->writes > MOST_WRITES;
}

// A page that is written as a whole may be given to another table; it keeps its trace, for most of them are.
void map_note_write(struct bt *bt, uint64_t offset, unsigned size)
{
    struct frames *f = bt->map->frames;
    uint64_t page = offset / GUEST_PAGE_SIZE;
    struct table_use *use = &f->use[page];
    unsigned first = offset % GUEST_PAGE_SIZE / 8, last = (offset % GUEST_PAGE_SIZE + size - 1) / 8;
    if (!(f->traced[page] & TRACED_TABLE))
        return;
    bool none = is_none_any_more(bt, use), all = none || size > BULK;
    if (use->level != NO_LEVEL)
        log_entries(f, use, all ? 0 : first, all ? 511 : last);
    if (all)
        use->level = NO_LEVEL;
    if (none)
        f->traced[page] &= (uint8_t)~TRACED_TABLE;
}

void map_note_all(struct bt *bt)
{
    log_everything(bt->map->frames);
}

uint64_t map_changes(const struct bt *bt)
{
    return bt->map->frames->changes;
}

void map_look_at_changes(struct bt *bt, struct map *m, uint64_t since)
{
    const struct frames *f = m->frames;
    if (f->changes - since > MAP_CHANGES) {
        map_revalidate(bt, m);
        return;
    }
    for (uint64_t i = since; i < f->changes; i++) {
        const struct map_change *c = &f->change[i % MAP_CHANGES];
        map_look_at_range(bt, m, c->va, c->size);
    }
}

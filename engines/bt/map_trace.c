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

static void trace_table(struct bt *bt, uint32_t page)
{
    struct frames *f = bt->map->frames;
    if (f->traced[page] & TRACED_TABLE)
        return;
    f->tables[f->table_count++] = page;
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
        trace_table(bt, (uint32_t)(ram_offset(gpa(table)) / GUEST_PAGE_SIZE));
        uint64_t entry = entries[va >> (3 + 9 * level) & 511];
        if (!(entry & PTE_P) || (level < 4 && (entry & PTE_PS)))
            return;
        table = entry & PTE_ADDR;
    }
}

void map_note_write(struct bt *bt, uint64_t offset)
{
    if (map_is_traced_table(bt->map, offset))
        bt->map->frames->tables_changed = true;
}

void map_note_all(struct bt *bt)
{
    bt->map->frames->tables_changed = true;
}

// All that decides about translations besides the tables.
static bool same_circumstances(const struct rules *a, const struct rules *b)
{
    return a->paging.cr3 == b->paging.cr3 && a->paging.wp == b->paging.wp && a->paging.nxe == b->paging.nxe &&
           a->paging.smep == b->paging.smep && a->no_user_pages == b->no_user_pages;
}

bool map_tables_unchanged(const struct bt *bt)
{
    const struct frames *f = bt->map->frames;
    struct rules rules = map_kernel_rules(bt);
    return bt->options.trace_tables && !f->tables_changed && same_circumstances(&rules, &f->looked_under);
}

void map_trace_tables_of(struct bt *bt, struct map *m)
{
    if (!bt->options.trace_tables)
        return;
    for (uint32_t i = m->live_count; i-- > 0;) {
        if (i < m->live_count) // a trace that the host has no room for drops everything
            map_trace_tables(bt, m->chunks[m->live[i]].va + m->chunks[m->live[i]].agreed_page * GUEST_PAGE_SIZE);
    }
}

void map_looked_at_all(struct bt *bt)
{
    struct frames *f = bt->map->frames;
    if (!bt->options.trace_tables)
        return;
    for (uint32_t i = 0; i < f->table_count; i++)
        f->traced[f->tables[i]] &= (uint8_t)~TRACED_TABLE;
    f->table_count = 0;
    f->tables_changed = false;
    f->looked_under = map_kernel_rules(bt);
    map_trace_tables_of(bt, bt->map);
}

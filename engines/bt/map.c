// SPDX-License-Identifier: BSD-2-Clause
// The fast world's mappings: made on hidden faults, looked at again on flushes, taken back page by page for traces.
//
// They are kept by chunks of 2 MiB of guest-virtual addresses, which is what one page table or one large page covers,
// so that one look at the upper levels serves all of a chunk's pages. A fault maps the page that it is about and those
// beside it that would be mapped in the same way, without having been accessed: only where their A bits, and for
// writing their D bits, are set already. All memory is reserved beforehand, as faults arrive in a signal handler.
#include "engines/bt/map_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

// ---- Creation ----

static void *reserve(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static unsigned host_areas_limit(void)
{
    unsigned long limit = 65530; // Linux's default
    FILE *f = fopen("/proc/sys/vm/max_map_count", "re");
    if (f) {
        if (fscanf(f, "%lu", &limit) != 1)
            limit = 65530;
        fclose(f);
    }
    return limit > 1u << 30 ? 1u << 29 : (unsigned)(limit / 2);
}

static void forget_all(struct map *m)
{
    for (uint32_t i = 0; i < MAX_CHUNKS; i++)
        m->chunks[i].hash_next = i + 1 < MAX_CHUNKS ? i + 1 : NO_CHUNK;
    m->first_free = 0;
    m->live_count = 0;
    memset(m->hash, 0xff, sizeof m->hash); // NO_CHUNK
    m->huge = false;
    m->areas = 0;
}

struct map *map_create(const struct guest_ram *ram)
{
    struct map *m = reserve(sizeof *m);
    if (!m)
        return NULL;
    m->ram = ram;
    m->ram_pages = ram->size / GUEST_PAGE_SIZE;
    m->areas_limit = host_areas_limit();
    m->chunks = reserve(MAX_CHUNKS * sizeof *m->chunks);
    m->noted = reserve(MAX_CHUNKS * sizeof *m->noted);
    m->traced = reserve(m->ram_pages);
    m->writable = reserve(m->ram_pages * sizeof *m->writable);
    m->tables = reserve(m->ram_pages * sizeof *m->tables);
    m->tables_changed = true;
    if (!m->tables || !m->chunks || !m->noted || !m->traced || !m->writable) {
        map_destroy(m);
        return NULL;
    }
    forget_all(m);
    return m;
}

// There is nothing else below BT_VMM_START. In one piece, as the host may not be able to split an area any more.
static void unmap_all(const struct map *m)
{
    if (m->live_count)
        munmap((void *)LOWEST_HOST, BT_VMM_START - LOWEST_HOST);
}

void map_destroy(struct map *m)
{
    unmap_all(m);
    if (m->chunks)
        munmap(m->chunks, MAX_CHUNKS * sizeof *m->chunks);
    if (m->noted)
        munmap(m->noted, MAX_CHUNKS * sizeof *m->noted);
    if (m->traced)
        munmap(m->traced, m->ram_pages);
    if (m->writable)
        munmap(m->writable, m->ram_pages * sizeof *m->writable);
    if (m->tables)
        munmap(m->tables, m->ram_pages * sizeof *m->tables);
    munmap(m, sizeof *m);
}

static void drop_all(struct map *m)
{
    unmap_all(m);
    for (uint32_t i = 0; i < m->live_count; i++) {
        const struct chunk *c = &m->chunks[m->live[i]];
        for (unsigned n = 0; n < PAGES; n++)
            if (c->page[n] & WRITABLE)
                m->writable[c->page[n] >> RAM_PAGE_SHIFT] = 0;
    }
    forget_all(m);
}

// ---- Chunks ----

static uint32_t *hash_slot(struct map *m, uint64_t chunk_va)
{
    return &m->hash[((chunk_va >> CHUNK_SHIFT) * 0x9e3779b97f4a7c15ull) >> 52];
}

static struct chunk *find_chunk(struct map *m, uint64_t va)
{
    va &= ~(CHUNK_SIZE - 1);
    for (uint32_t i = *hash_slot(m, va); i != NO_CHUNK; i = m->chunks[i].hash_next)
        if (m->chunks[i].va == va)
            return &m->chunks[i];
    return NULL;
}

// The caller has made sure that there is a free one.
static struct chunk *new_chunk(struct map *m, uint64_t va)
{
    uint32_t i = m->first_free;
    struct chunk *c = &m->chunks[i];
    m->first_free = c->hash_next;
    *c = (struct chunk){.va = va & ~(CHUNK_SIZE - 1), .live_at = m->live_count, .ram_low = ~0u};
    m->live[m->live_count++] = i;
    uint32_t *slot = hash_slot(m, c->va);
    c->hash_next = *slot;
    *slot = i;
    return c;
}

static void free_chunk(struct map *m, struct chunk *c)
{
    uint32_t i = (uint32_t)(c - m->chunks);
    uint32_t *at = hash_slot(m, c->va);
    while (*at != i)
        at = &m->chunks[*at].hash_next;
    *at = c->hash_next;
    uint32_t last = m->live[--m->live_count];
    m->live[c->live_at] = last;
    m->chunks[last].live_at = c->live_at;
    c->hash_next = m->first_free;
    m->first_free = i;
}

static void *host_of(const struct chunk *c, unsigned page)
{
    return (void *)(uintptr_t)(c->va + page * GUEST_PAGE_SIZE + BT_BIAS);
}

// Areas that begin at pages [from, to]: the host merges what goes on in the same way.
static unsigned areas_in(const struct chunk *c, unsigned from, unsigned to)
{
    unsigned n = 0;
    for (unsigned i = from; i <= to && i < PAGES; i++)
        n += c->page[i] && (i == 0 || c->page[i] != c->page[i - 1] + (1u << RAM_PAGE_SHIFT));
    return n;
}

// Notes value for page [from, from + count), counting up in RAM, or 0 for all of them.
static void note(struct map *m, struct chunk *c, unsigned from, unsigned count, uint32_t value)
{
    unsigned before = areas_in(c, from, from + count);
    for (unsigned i = from; i < from + count; i++) {
        uint32_t old = c->page[i];
        if (old & WRITABLE)
            m->writable[old >> RAM_PAGE_SHIFT]--;
        if (value & WRITABLE)
            m->writable[value >> RAM_PAGE_SHIFT]++;
        c->mapped += !!value - !!old;
        c->page[i] = value;
        if (value)
            value += 1u << RAM_PAGE_SHIFT;
    }
    m->areas += areas_in(c, from, from + count) - before;
}

static void drop_pages(struct map *m, struct chunk *c, unsigned from, unsigned count)
{
    if (munmap(host_of(c, from), count * GUEST_PAGE_SIZE) == 0)
        note(m, c, from, count, 0);
    else // the host cannot split an area any more
        drop_all(m);
}

// ---- What the guest's tables allow ----

static struct rules rules_of(const struct bt *bt)
{
    return (struct rules){
        .paging =
            {
                .cr3 = bt->cr3,
                .wp = bt->cr0 & CR0_WP,
                .nxe = bt->efer & EFER_NXE,
                .smep = bt->cr4 & CR4_SMEP,
                .smap = (bt->cr4 & CR4_SMAP) && !(bt->rflags & FLAG_AC),
            },
        .no_user_pages = bt->cr4 & CR4_SMAP,
    };
}

// All that decides besides the last entry, in one word: upper levels leave all but W, U and A set.
static uint64_t key_of(const struct rules *r, const struct paging_leaf *leaf)
{
    return (leaf->above & (PTE_W | PTE_U | PTE_A)) | (r->no_user_pages ? 1ull << 62 : 0) |
           (r->paging.nxe ? 1ull << 61 : 0);
}

// What may be mapped by this last entry for the page of RAM at a: 0 for nothing.
static uint32_t allowed(const struct map *m, const struct rules *r, uint64_t above, uint64_t entry, gpa_t a)
{
    uint64_t all = above & entry;
    if ((all & (PTE_P | PTE_A)) != (PTE_P | PTE_A) || (r->no_user_pages && (all & PTE_U)) ||
        (!r->paging.nxe && (entry & PTE_NX)) || !ram_at(m->ram, a, GUEST_PAGE_SIZE))
        return 0;
    uint64_t page = ram_offset(a) / GUEST_PAGE_SIZE;
    bool writable = (all & (PTE_W | PTE_D)) == (PTE_W | PTE_D) && !m->traced[page];
    return (uint32_t)(page << RAM_PAGE_SHIFT) | MAPPED | (writable ? WRITABLE : 0);
}

// A chunk as the guest's tables have it now, seen from one of its pages.
struct view {
    struct paging_leaf leaf;
    unsigned page; // whose leaf it is
};

static bool view_chunk(const struct map *m, const struct rules *r, const struct chunk *c, unsigned page, struct view *v)
{
    v->page = page;
    return paging_peek(m->ram, &r->paging, c->va + page * GUEST_PAGE_SIZE, &v->leaf);
}

static uint32_t allowed_at(const struct map *m, const struct rules *r, const struct view *v, unsigned page)
{
    const struct paging_leaf *leaf = &v->leaf;
    int64_t distance = (int64_t)page - v->page;
    if (leaf->page_size > GUEST_PAGE_SIZE)
        return allowed(m, r, leaf->above, *leaf->entry, gpa(leaf->page.v + (uint64_t)distance * GUEST_PAGE_SIZE));
    uint64_t entry = leaf->entry[distance];
    return allowed(m, r, leaf->above, entry, gpa(entry & PTE_ADDR));
}

// ---- Looking again ----

// What is mapped may have fewer rights than allowed, not more.
static bool agrees(uint32_t mapped, uint32_t may)
{
    return mapped == may || (mapped | WRITABLE) == may;
}

static bool is_large(const struct paging_leaf *leaf)
{
    return leaf->page_size > GUEST_PAGE_SIZE;
}

static uint64_t *noted_of(const struct map *m, const struct chunk *c)
{
    return m->noted[c - m->chunks];
}

// The table that the view's leaf is in.
static const uint64_t *table_of(const struct view *v)
{
    return v->leaf.entry - v->page;
}

// The guest maps the chunk by one page table, in the circumstances that the noted entries agreed in.
static bool notes_count(const struct rules *r, const struct chunk *c, const struct view *v)
{
    return c->agreed && !c->large && !is_large(&v->leaf) && key_of(r, &v->leaf) == c->agreed_key;
}

static bool page_agrees(const struct map *m, const struct rules *r, const struct chunk *c, unsigned page,
                        struct view *v, bool *viewed)
{
    if (!*viewed) // nothing is known yet: from page on
        *viewed = view_chunk(m, r, c, page, v);
    if (!*viewed)
        return false;
    if (notes_count(r, c, v) && table_of(v)[page] == noted_of(m, c)[page])
        return true;
    return agrees(c->page[page], allowed_at(m, r, v, page));
}

// All pages of the chunk agree with what the view shows.
static void note_agreement(const struct map *m, const struct rules *r, struct chunk *c, const struct view *v)
{
    c->large = is_large(&v->leaf);
    c->agreed = true;
    c->agreed_page = (uint16_t)v->page;
    c->agreed_entry = *v->leaf.entry;
    c->agreed_key = key_of(r, &v->leaf);
    if (!c->large)
        memcpy(noted_of(m, c), table_of(v), PAGES * sizeof(uint64_t));
}

// Drops what does not agree; the chunk may be gone afterwards.
static void look_again(struct map *m, const struct rules *r, struct chunk *c)
{
    struct view v = {.page = 0};
    bool viewed = false;
    unsigned page = 0;
    for (unsigned good = 0; good < c->mapped;) {
        if (!c->page[page] || page_agrees(m, r, c, page, &v, &viewed)) {
            good += !!c->page[page++];
            continue;
        }
        unsigned from = page;
        while (page < PAGES && c->page[page] && !page_agrees(m, r, c, page, &v, &viewed))
            page++;
        uint32_t live = m->live_count;
        drop_pages(m, c, from, page - from);
        if (m->live_count < live) // all were dropped
            return;
    }
    if (c->mapped)
        note_agreement(m, r, c, &v);
    else
        free_chunk(m, c);
}

static bool unchanged(const struct map *m, const struct rules *r, const struct chunk *c)
{
    struct view v;
    if (!c->agreed || !view_chunk(m, r, c, c->agreed_page, &v))
        return false;
    if (c->large)
        return is_large(&v.leaf) && *v.leaf.entry == c->agreed_entry && key_of(r, &v.leaf) == c->agreed_key;
    return notes_count(r, c, &v) && memcmp(table_of(&v), noted_of(m, c), PAGES * sizeof(uint64_t)) == 0;
}

static void look_again_quickly(struct map *m, const struct rules *r, struct chunk *c)
{
    if (!unchanged(m, r, c))
        look_again(m, r, c);
}

void map_revalidate(struct bt *bt)
{
    struct map *m = bt->map;
    struct rules rules = rules_of(bt);
    for (uint32_t i = m->live_count; i-- > 0;) { // downwards: a chunk that goes is replaced by one already seen
        if (i >= m->live_count)
            break; // all were dropped
        look_again_quickly(m, &rules, &m->chunks[m->live[i]]);
    }
}

void map_invlpg(struct bt *bt, uint64_t va)
{
    struct map *m = bt->map;
    if (m->huge) {
        map_revalidate(bt);
        return;
    }
    struct chunk *c = find_chunk(m, va);
    if (!c)
        return;
    struct rules rules = rules_of(bt);
    unsigned page = va / GUEST_PAGE_SIZE % PAGES;
    if (c->large) { // all of it goes, be it one no more
        look_again_quickly(m, &rules, c);
        return;
    }
    struct view v;
    bool viewed = false;
    if (!c->page[page] || page_agrees(m, &rules, c, page, &v, &viewed))
        return;
    drop_pages(m, c, page, 1);
    if (m->live_count && !c->mapped)
        free_chunk(m, c);
}

// ---- Faults ----

bool map_reaches(uint64_t va)
{
    uint64_t host = va + BT_BIAS;
    return canonical(va) && host >= LOWEST_HOST && host < BT_VMM_START;
}

// Pages around `page` that are to be mapped like it, counting up in RAM with it, and are not yet.
static unsigned run_around(const struct map *m, const struct rules *r, const struct chunk *c, const struct view *v,
                           unsigned page, uint32_t value, unsigned *first)
{
    const uint32_t step = 1u << RAM_PAGE_SHIFT;
    unsigned low = page, high = page + 1;
    uint32_t next = value + step;
    while (high < PAGES && c->page[high] != next && allowed_at(m, r, v, high) == next)
        high++, next += step;
    next = value - step;
    while (low > 0 && c->page[low - 1] != next && allowed_at(m, r, v, low - 1) == next)
        low--, next -= step;
    *first = low;
    return high - low;
}

static bool map_host(struct map *m, struct chunk *c, unsigned first, unsigned count, uint32_t value)
{
    int protection = PROT_READ | (value & WRITABLE ? PROT_WRITE : 0);
    int flags = MAP_SHARED | MAP_FIXED | (count <= POPULATE_PAGES ? MAP_POPULATE : 0);
    off_t offset = (off_t)((uint64_t)(value >> RAM_PAGE_SHIFT) * GUEST_PAGE_SIZE);
    if (mmap(host_of(c, first), count * GUEST_PAGE_SIZE, protection, flags, m->ram->memfd, offset) == MAP_FAILED)
        return false;
    note(m, c, first, count, value);
    if (value >> RAM_PAGE_SHIFT < c->ram_low)
        c->ram_low = value >> RAM_PAGE_SHIFT;
    if ((value >> RAM_PAGE_SHIFT) + count - 1 > c->ram_high)
        c->ram_high = (value >> RAM_PAGE_SHIFT) + count - 1;
    return true;
}

// Pages [first, first + count) were mapped as the view shows. The others, where there are any, agree as they did.
static void note_run(struct map *m, const struct rules *r, struct chunk *c, const struct view *v, unsigned first,
                     unsigned count)
{
    bool large = is_large(&v->leaf);
    m->huge |= v->leaf.page_size > CHUNK_SIZE;
    if (c->mapped == count) { // there are none
        note_agreement(m, r, c, v);
        return;
    }
    if (large != c->large || key_of(r, &v->leaf) != c->agreed_key || (large && *v->leaf.entry != c->agreed_entry))
        c->agreed = false;
    c->large |= large;
    if (!large)
        memcpy(noted_of(m, c) + first, table_of(v) + first, count * sizeof(uint64_t));
}

// Maps the page that v looks at, and its like. False: not to be mapped.
static bool map_run(struct map *m, const struct rules *r, struct chunk *c, const struct view *v, bool write)
{
    uint32_t value = allowed_at(m, r, v, v->page);
    if (!value || (write && !(value & WRITABLE)))
        return false;
    unsigned first, count = run_around(m, r, c, v, v->page, value, &first);
    if (!map_host(m, c, first, count, value - ((v->page - first) << RAM_PAGE_SHIFT)))
        return false;
    note_run(m, r, c, v, first, count);
    return true;
}

static bool map_page(struct map *m, const struct rules *r, uint64_t va, bool write)
{
    if (m->first_free == NO_CHUNK || m->areas + 3 > m->areas_limit)
        drop_all(m);
    struct chunk *c = find_chunk(m, va);
    if (c && c->large) { // its entry may have got an A or D bit, or be another one
        look_again_quickly(m, r, c);
        c = find_chunk(m, va);
    }
    if (!c)
        c = new_chunk(m, va);
    struct view v;
    bool mapped = view_chunk(m, r, c, va / GUEST_PAGE_SIZE % PAGES, &v) && map_run(m, r, c, &v, write);
    if (!c->mapped)
        free_chunk(m, c);
    return mapped;
}

enum map_result map_fault(struct bt *bt, uint64_t va, bool write, uint32_t *error)
{
    if (!canonical(va) || (va >= BT_VMM_START - BT_BIAS && va < BT_VMM_END - BT_BIAS))
        return MAP_CHECKED;
    struct rules rules = rules_of(bt);
    struct translation t;
    if (!paging_walk(bt->ram, &rules.paging, va, write ? PF_WRITE : 0, &t, error))
        return MAP_TRUE;
    map_trace_tables(bt, va);
    if (!map_reaches(va) || !map_page(bt->map, &rules, va, write))
        return MAP_CHECKED;
    count(bt, EV_hidden_faults);
    return MAP_DONE;
}

const char *map_refusal(const struct bt *bt, uint64_t va)
{
    struct rules rules = rules_of(bt);
    struct paging_leaf leaf;
    if (!map_reaches(va))
        return "an address that the bias cannot reach";
    if (!paging_peek(bt->ram, &rules.paging, va, &leaf) || !ram_at(bt->ram, leaf.page, GUEST_PAGE_SIZE))
        return "a device";
    if (bt->map->traced[ram_offset(leaf.page) / GUEST_PAGE_SIZE])
        return "a traced page";
    return "rights that a host mapping cannot express";
}

// ---- Traces ----

// False: the host could not split an area, and everything has gone.
static bool make_read_only(struct map *m, struct chunk *c, uint32_t value)
{
    for (unsigned i = 0; i < PAGES; i++) {
        if (c->page[i] != value)
            continue;
        if (mprotect(host_of(c, i), GUEST_PAGE_SIZE, PROT_READ)) {
            drop_all(m);
            return false;
        }
        note(m, c, i, 1, value & ~WRITABLE);
    }
    return true;
}

static void set_trace(struct map *m, uint32_t page, uint8_t kind)
{
    m->traced[page] |= kind;
    uint32_t value = page << RAM_PAGE_SHIFT | MAPPED | WRITABLE;
    for (uint32_t i = 0; i < m->live_count && m->writable[page]; i++) {
        struct chunk *c = &m->chunks[m->live[i]];
        if (c->ram_low <= page && page <= c->ram_high && !make_read_only(m, c, value))
            return;
    }
}

void map_set_trace(struct bt *bt, uint64_t offset, bool traced)
{
    uint32_t page = (uint32_t)(offset / GUEST_PAGE_SIZE);
    if (traced)
        set_trace(bt->map, page, TRACED_CODE);
    else
        bt->map->traced[page] &= (uint8_t)~TRACED_CODE;
}

bool map_is_traced(const struct map *m, uint64_t offset)
{
    return m->traced[offset / GUEST_PAGE_SIZE];
}

// ---- Traced page tables ----

static void trace_table(struct map *m, uint32_t page)
{
    if (m->traced[page] & TRACED_TABLE)
        return;
    m->tables[m->table_count++] = page;
    set_trace(m, page, TRACED_TABLE);
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
        trace_table(bt->map, (uint32_t)(ram_offset(gpa(table)) / GUEST_PAGE_SIZE));
        uint64_t entry = entries[va >> (3 + 9 * level) & 511];
        if (!(entry & PTE_P) || (level < 4 && (entry & PTE_PS)))
            return;
        table = entry & PTE_ADDR;
    }
}

void map_note_write(struct bt *bt, uint64_t offset)
{
    if (bt->map->traced[offset / GUEST_PAGE_SIZE] & TRACED_TABLE)
        bt->map->tables_changed = true;
}

void map_note_all(struct bt *bt)
{
    bt->map->tables_changed = true;
}

// All that decides about translations besides the tables.
static bool same_circumstances(const struct rules *a, const struct rules *b)
{
    return a->paging.cr3 == b->paging.cr3 && a->paging.wp == b->paging.wp && a->paging.nxe == b->paging.nxe &&
           a->paging.smep == b->paging.smep && a->no_user_pages == b->no_user_pages;
}

bool map_tables_unchanged(const struct bt *bt)
{
    struct rules rules = rules_of(bt);
    return bt->options.trace_tables && !bt->map->tables_changed && same_circumstances(&rules, &bt->map->looked_under);
}

void map_looked_at_all(struct bt *bt)
{
    struct map *m = bt->map;
    if (!bt->options.trace_tables)
        return;
    for (uint32_t i = 0; i < m->table_count; i++)
        m->traced[m->tables[i]] &= (uint8_t)~TRACED_TABLE;
    m->table_count = 0;
    m->tables_changed = false;
    m->looked_under = rules_of(bt);
    for (uint32_t i = m->live_count; i-- > 0;) {
        if (i < m->live_count) // a trace that the host has no room for drops everything
            map_trace_tables(bt, m->chunks[m->live[i]].va + m->chunks[m->live[i]].agreed_page * GUEST_PAGE_SIZE);
    }
}

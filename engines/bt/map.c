// SPDX-License-Identifier: BSD-2-Clause
// Mappings: made on hidden faults, looked at again on flushes.
//
// One look at the upper levels serves all of a chunk's pages. A fault maps the page that it is about and those beside
// it that would be mapped in the same way, without having been accessed: only where their A bits, and for writing their
// D bits, are set already.
#include "engines/bt/map_inside.h"

#include <string.h>

#define SAMPLE 8u // chunks whose loss says that most are lost

// ---- What the guest's tables allow ----

struct rules map_kernel_rules(const struct bt *bt)
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

static struct rules rules_of(const struct bt *bt, const struct map *m)
{
    if (!m->user)
        return map_kernel_rules(bt);
    return (struct rules){.paging = {.cr3 = bt->cr3, .nxe = bt->efer & EFER_NXE}, .user = true};
}

// Where a process can have guest memory.
static bool user_reaches(uint64_t va)
{
    return va >= PROCESS_LOWEST && va < PROCESS_HIGHEST && va - PROCESS_WINDOW >= PROCESS_WINDOW_BYTES;
}

// All that decides besides the last entry, in one word: upper levels leave all but W, U and A set.
static uint64_t key_of(const struct rules *r, const struct paging_leaf *leaf)
{
    return (leaf->above & (PTE_W | PTE_U | PTE_A)) | (r->no_user_pages ? 1ull << 62 : 0) |
           (r->paging.nxe ? 1ull << 61 : 0) | (leaf->no_execute_above ? 1ull << 60 : 0);
}

// What may be mapped by this last entry for the page of RAM at a: 0 for nothing.
static uint32_t allowed(const struct map *m, const struct rules *r, const struct paging_leaf *leaf, uint64_t entry,
                        gpa_t a)
{
    uint64_t all = leaf->above & entry, needed = PTE_P | PTE_A | (r->user ? PTE_U : 0);
    if ((all & needed) != needed || (r->no_user_pages && (all & PTE_U)) || (!r->paging.nxe && (entry & PTE_NX)) ||
        !ram_at(m->ram, a, GUEST_PAGE_SIZE))
        return 0;
    uint64_t page = ram_offset(a) / GUEST_PAGE_SIZE;
    bool writable = (all & (PTE_W | PTE_D)) == (PTE_W | PTE_D) && !m->frames->traced[page];
    bool executable = r->user && !(entry & PTE_NX) && !leaf->no_execute_above;
    return (uint32_t)(page << RAM_PAGE_SHIFT) | MAPPED | (writable ? WRITABLE : 0) | (executable ? EXECUTABLE : 0);
}

// A chunk as the guest's tables have it now, seen from one of its pages.
struct view {
    struct paging_leaf leaf;
    uint64_t va;   // of the chunk
    unsigned page; // whose leaf it is
};

static bool view_chunk(const struct map *m, const struct rules *r, const struct chunk *c, unsigned page, struct view *v)
{
    v->va = c->va;
    v->page = page;
    return paging_peek(m->ram, &r->paging, c->va + page * GUEST_PAGE_SIZE, &v->leaf);
}

static uint32_t allowed_at(const struct map *m, const struct rules *r, const struct view *v, unsigned page)
{
    const struct paging_leaf *leaf = &v->leaf;
    int64_t distance = (int64_t)page - v->page;
    if (r->user && !user_reaches(v->va + page * GUEST_PAGE_SIZE))
        return 0;
    if (leaf->page_size > GUEST_PAGE_SIZE)
        return allowed(m, r, leaf, *leaf->entry, gpa(leaf->page.v + (uint64_t)distance * GUEST_PAGE_SIZE));
    uint64_t entry = leaf->entry[distance];
    return allowed(m, r, leaf, entry, gpa(entry & PTE_ADDR));
}

// ---- Looking again ----

// What is mapped may have fewer rights than allowed, not more.
static bool agrees(uint32_t mapped, uint32_t may)
{
    return mapped == may || (mapped | (may & RIGHTS_MASK)) == may;
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

// The entries of these pages, where they are mapped, have G.
static bool all_global(const struct chunk *c, const struct view *v, unsigned first, unsigned count)
{
    if (is_large(&v->leaf))
        return *v->leaf.entry & PTE_G;
    for (unsigned i = first; i < first + count; i++)
        if (c->page[i] && !(table_of(v)[i] & PTE_G))
            return false;
    return true;
}

// All pages of the chunk agree with what the view shows.
static void note_agreement(struct map *m, const struct rules *r, struct chunk *c, const struct view *v)
{
    map_set_global(m, c, all_global(c, v, 0, PAGES));
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
        if (!map_drop_pages(m, c, from, page - from))
            return;
    }
    if (c->mapped)
        note_agreement(m, r, c, &v);
    else
        map_free_chunk(m, c);
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

// Its tables may be other ones than they were, or have lost their traces. (Those of processes are held against their
// tables before they run again, whatever has changed.)
static void look_and_trace(struct bt *bt, struct map *m, const struct rules *r, struct chunk *c)
{
    uint64_t va = c->va + c->agreed_page * GUEST_PAGE_SIZE;
    look_again_quickly(m, r, c);
    if (!m->user)
        map_trace_tables(bt, va);
}

void map_revalidate(struct bt *bt, struct map *m)
{
    struct rules rules = rules_of(bt, m);
    for (uint32_t i = m->live_count; i-- > 0;) { // downwards: a chunk that goes is replaced by one already seen
        if (i >= m->live_count)
            break; // all were dropped
        look_and_trace(bt, m, &rules, &m->chunks[m->live[i]]);
    }
}

void map_revalidate_local(struct bt *bt, struct map *m)
{
    if (!(bt->cr4 & CR4_PGE)) {
        map_revalidate(bt, m);
        return;
    }
    struct rules rules = rules_of(bt, m);
    for (uint32_t i = m->live_count; m->local_count && i-- > 0;) {
        if (i < m->live_count && !m->chunks[m->live[i]].global)
            look_and_trace(bt, m, &rules, &m->chunks[m->live[i]]);
    }
}

static void look_at_chunks(struct bt *bt, struct map *m, uint64_t va, uint64_t size)
{
    struct rules rules = rules_of(bt, m);
    for (uint32_t i = m->live_count; i-- > 0;)
        if (i < m->live_count && m->chunks[m->live[i]].va - va < size)
            look_and_trace(bt, m, &rules, &m->chunks[m->live[i]]);
}

void map_invlpg(struct bt *bt, struct map *m, uint64_t va)
{
    if (m->huge) { // all of the largest page that may be there
        look_at_chunks(bt, m, va & -HUGE_SIZE, HUGE_SIZE);
        return;
    }
    struct chunk *c = map_find_chunk(m, va);
    if (!c)
        return;
    struct rules rules = rules_of(bt, m);
    unsigned page = va / GUEST_PAGE_SIZE % PAGES;
    if (c->large) { // all of it goes, be it one no more
        look_again_quickly(m, &rules, c);
        return;
    }
    struct view v;
    bool viewed = false;
    if (!c->page[page])
        return;
    if (page_agrees(m, &rules, c, page, &v, &viewed)) {
        map_set_global(m, c, c->global && all_global(c, &v, page, 1));
        return;
    }
    if (map_drop_pages(m, c, page, 1) && !c->mapped)
        map_free_chunk(m, c);
}

void map_look_at_range(struct bt *bt, struct map *m, uint64_t va, uint64_t size)
{
    if (size <= GUEST_PAGE_SIZE)
        map_invlpg(bt, m, va);
    else
        look_at_chunks(bt, m, va, size);
}

bool map_is_lost(const struct bt *bt, const struct map *m)
{
    struct rules rules = rules_of(bt, m);
    uint32_t step = m->live_count / SAMPLE + 1, sampled = 0, lost = 0;
    for (uint32_t i = 0; i < m->live_count; i += step, sampled++) {
        const struct chunk *c = &m->chunks[m->live[i]];
        struct view v;
        lost += !(view_chunk(m, &rules, c, c->agreed_page, &v) && *v.leaf.entry & PTE_P);
    }
    return lost > sampled / 2;
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
    unsigned low = page, high = page + 1;
    uint32_t next = value + NEXT_PAGE;
    while (high < PAGES && c->page[high] != next && allowed_at(m, r, v, high) == next)
        high++, next += NEXT_PAGE;
    next = value - NEXT_PAGE;
    while (low > 0 && c->page[low - 1] != next && allowed_at(m, r, v, low - 1) == next)
        low--, next -= NEXT_PAGE;
    *first = low;
    return high - low;
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
    map_set_global(m, c, c->global && all_global(c, v, first, count));
    if (!large)
        memcpy(noted_of(m, c) + first, table_of(v) + first, count * sizeof(uint64_t));
}

// Maps the page that v looks at, and its like, where that gives these rights. False: not to be mapped.
static bool map_run(struct map *m, const struct rules *r, struct chunk *c, const struct view *v, uint32_t rights)
{
    uint32_t value = allowed_at(m, r, v, v->page);
    if (!value || (rights & ~value))
        return false;
    unsigned first, count = run_around(m, r, c, v, v->page, value, &first);
    if (!map_pages(m, c, first, count, value - ((v->page - first) << RAM_PAGE_SHIFT)))
        return false;
    note_run(m, r, c, v, first, count);
    return true;
}

static bool map_page(struct map *m, const struct rules *r, uint64_t va, uint32_t rights)
{
    if (map_is_full(m))
        map_drop_all(m);
    struct chunk *c = map_find_chunk(m, va);
    if (c && c->large) { // its entry may have got an A or D bit, or be another one
        look_again_quickly(m, r, c);
        c = map_find_chunk(m, va);
    }
    if (!c)
        c = map_new_chunk(m, va);
    struct view v;
    bool mapped = view_chunk(m, r, c, va / GUEST_PAGE_SIZE % PAGES, &v) && map_run(m, r, c, &v, rights);
    if (!c->mapped)
        map_free_chunk(m, c);
    return mapped;
}

enum map_result map_fault(struct bt *bt, uint64_t va, bool write, uint32_t *error)
{
    if (!canonical(va) || (va >= BT_VMM_START - BT_BIAS && va < BT_VMM_END - BT_BIAS))
        return MAP_CHECKED;
    struct rules rules = map_kernel_rules(bt);
    struct translation t;
    if (!paging_walk(bt->ram, &rules.paging, va, write ? PF_WRITE : 0, &t, error))
        return MAP_TRUE;
    map_trace_tables(bt, va);
    if (!map_reaches(va) || !map_page(bt->map, &rules, va, write ? WRITABLE : 0))
        return MAP_CHECKED;
    count(bt, EV_hidden_faults);
    return MAP_DONE;
}

enum map_result map_fault_user(struct bt *bt, struct map *m, uint64_t va, uint32_t access, uint32_t *error)
{
    struct rules rules = rules_of(bt, m);
    struct translation t;
    if (!canonical(va))
        return MAP_CHECKED;
    if (!paging_walk(bt->ram, &rules.paging, va, access | PF_USER, &t, error))
        return MAP_TRUE;
    uint32_t rights = (access & PF_WRITE ? WRITABLE : 0) | (access & PF_FETCH ? EXECUTABLE : 0);
    if (!map_page(m, &rules, va, rights))
        return MAP_CHECKED;
    count(bt, EV_hidden_faults);
    return MAP_DONE;
}

// The guest's tables let CPL 3 write there: that much has been walked.
bool map_user_code_page(const struct bt *bt, uint64_t va, uint64_t *offset)
{
    struct rules rules = map_kernel_rules(bt);
    struct paging_leaf leaf;
    if (!paging_peek(bt->ram, &rules.paging, va, &leaf) || !ram_at(bt->ram, leaf.page, GUEST_PAGE_SIZE))
        return false;
    *offset = ram_offset(leaf.page);
    return bt->map->frames->traced[*offset / GUEST_PAGE_SIZE] == TRACED_CODE;
}

const char *map_refusal(const struct bt *bt, uint64_t va)
{
    struct rules rules = map_kernel_rules(bt);
    struct paging_leaf leaf;
    if (!map_reaches(va))
        return "an address that the bias cannot reach";
    if (!paging_peek(bt->ram, &rules.paging, va, &leaf) || !ram_at(bt->ram, leaf.page, GUEST_PAGE_SIZE))
        return "a device";
    if (bt->map->frames->traced[ram_offset(leaf.page) / GUEST_PAGE_SIZE])
        return "a traced page";
    return "rights that a host mapping cannot express";
}

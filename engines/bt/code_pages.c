// SPDX-License-Identifier: BSD-2-Clause
// Pages of code by guest-virtual address: a hash table over an array, and a dense list of those that are awake.
#include "engines/bt/code_pages.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "engines/bt/map.h"
#include "engines/bt/memory.h"
#include "engines/bt/tc.h"
#include "x86/paging.h"

#define HASH_BITS 10
#define HASH_SLOTS (1u << HASH_BITS)
#define NOBODY (~0u)
#define REGION_SHIFT 21 // what one page table covers
#define REGIONS 32u     // whose tables one look remembers: a kernel of 64 MiB
#define HUGE_SHIFT 30   // the largest page
#define SAMPLE 4u       // pages whose loss says that all are lost

struct code_pages {
    struct code_page *page;
    uint32_t used, most; // page[used] and those behind it have never been used
    uint32_t first_free;
    uint32_t *awake[WORLDS], awake_count[WORLDS];
    uint32_t local_count[WORLDS]; // of those that are awake, such as are not global
    uint32_t hash[HASH_SLOTS];
};

static void *reserve(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

struct code_pages *code_pages_create(uint32_t most)
{
    struct code_pages *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->most = most;
    p->page = reserve(most * sizeof *p->page);
    bool room = p->page != NULL;
    for (unsigned world = 0; world < WORLDS; world++) {
        p->awake[world] = reserve(most * sizeof *p->awake[world]);
        room = room && p->awake[world];
    }
    if (!room) {
        code_pages_destroy(p);
        return NULL;
    }
    code_pages_clear(p);
    return p;
}

void code_pages_destroy(struct code_pages *p)
{
    if (p->page)
        munmap(p->page, p->most * sizeof *p->page);
    for (unsigned world = 0; world < WORLDS; world++)
        if (p->awake[world])
            munmap(p->awake[world], p->most * sizeof *p->awake[world]);
    free(p);
}

void code_pages_clear(struct code_pages *p)
{
    p->used = 0;
    p->first_free = NOBODY;
    memset(p->awake_count, 0, sizeof p->awake_count);
    memset(p->local_count, 0, sizeof p->local_count);
    memset(p->hash, 0xff, sizeof p->hash); // NOBODY
}

static uint32_t *hash_slot(struct code_pages *p, uint64_t va)
{
    return &p->hash[((va / GUEST_PAGE_SIZE) * 0x9e3779b97f4a7c15ull) >> (64 - HASH_BITS)];
}

static uint32_t number(const struct code_pages *p, const struct code_page *page)
{
    return (uint32_t)(page - p->page);
}

static struct code_page *find(struct code_pages *p, uint64_t va, enum world world, uint64_t frame)
{
    for (uint32_t i = *hash_slot(p, va); i != NOBODY; i = p->page[i].hash_next)
        if (p->page[i].va == va && p->page[i].world == world && p->page[i].frame == frame)
            return &p->page[i];
    return NULL;
}

static struct code_page *new_page(struct code_pages *p, uint64_t va, enum world world, uint64_t frame)
{
    uint32_t i = p->first_free;
    if (i != NOBODY)
        p->first_free = p->page[i].hash_next;
    else
        i = p->used++;
    uint32_t *slot = hash_slot(p, va);
    p->page[i] = (struct code_page){.va = va, .frame = frame, .hash_next = *slot, .world = (uint8_t)world};
    *slot = i;
    return &p->page[i];
}

static void fall_asleep(struct code_pages *p, struct code_page *page)
{
    if (!page->awake)
        return;
    page->awake = false;
    p->local_count[page->world] -= !page->global;
    uint32_t *awake = p->awake[page->world], last = awake[--p->awake_count[page->world]];
    awake[page->awake_at] = last;
    p->page[last].awake_at = page->awake_at;
}

static void wake(struct code_pages *p, struct code_page *page)
{
    if (page->awake)
        return;
    page->awake = true;
    p->local_count[page->world] += !page->global;
    page->awake_at = p->awake_count[page->world]++;
    p->awake[page->world][page->awake_at] = number(p, page);
}

void code_pages_remove(struct code_pages *p, struct code_page *page)
{
    if (--page->ccfs)
        return;
    fall_asleep(p, page);
    uint32_t i = number(p, page), *at = hash_slot(p, page->va);
    while (*at != i)
        at = &p->page[*at].hash_next;
    *at = page->hash_next;
    page->hash_next = p->first_free;
    p->first_free = i;
}

// ---- Looking at the guest's tables ----

// Pages of code lie side by side, so one look at the upper levels serves many.
struct regions {
    unsigned known; // a bit each: most looks are at few pages, and have nothing to clear
    struct {
        uint64_t va; // of the page whose leaf it is
        struct paging_leaf leaf;
        uint64_t frames; // of a large page that code is fetched from: minus its address
        bool large, global;
    } region[REGIONS];
};

static bool peek(struct bt *bt, struct regions *regions, uint64_t va, struct paging_leaf *leaf, uint64_t *entry)
{
    unsigned i = (va >> REGION_SHIFT) % REGIONS;
    if (regions->known & 1u << i && (regions->region[i].va ^ va) >> REGION_SHIFT == 0) {
        *leaf = regions->region[i].leaf;
        int64_t distance = (int64_t)(va - regions->region[i].va);
        if (leaf->page_size > GUEST_PAGE_SIZE)
            leaf->page.v += (uint64_t)distance;
        else
            leaf->entry += distance / (int64_t)GUEST_PAGE_SIZE;
        *entry = *leaf->entry;
        if (leaf->page_size == GUEST_PAGE_SIZE)
            leaf->page.v = *entry & PTE_ADDR;
        return *entry & PTE_P;
    }
    struct paging paging = {.cr3 = bt->cr3, .nxe = bt->efer & EFER_NXE};
    if (!canonical(va) || !paging_peek(bt->ram, &paging, va, leaf))
        return false;
    regions->region[i].va = va;
    regions->known |= 1u << i;
    regions->region[i].leaf = *leaf;
    regions->region[i].large = false;
    *entry = *leaf->entry;
    return true;
}

static void set_global(struct code_pages *p, struct code_page *page, bool global)
{
    if (page->awake)
        p->local_count[page->world] += (uint32_t)page->global - (uint32_t)global;
    page->global = global;
}

static void note_large(struct regions *regions, const struct code_page *page)
{
    unsigned i = (page->va >> REGION_SHIFT) % REGIONS;
    regions->region[i].large = page->large;
    regions->region[i].global = page->global;
    regions->region[i].frames = page->frame - page->va;
}

// Would code at the page's address be fetched from its frame now, and would that change nothing in the tables? Reserved
// bits in the entry make it another frame.
static bool leads_to_frame(struct bt *bt, struct code_pages *p, struct regions *regions, struct code_page *page)
{
    struct paging_leaf leaf;
    uint64_t entry;
    if (!peek(bt, regions, page->va, &leaf, &entry) || leaf.page.v != page->frame)
        return false;
    bool user = entry & leaf.above & PTE_U, accessed = entry & leaf.above & PTE_A;
    if (leaf.no_execute_above || entry & PTE_NX ||
        (page->world >= WORLD_USER ? !user || !accessed : user && bt->cr4 & CR4_SMEP))
        return false;
    page->large = leaf.page_size > GUEST_PAGE_SIZE;
    set_global(p, page, entry & PTE_G);
    map_trace_tables(bt, page->va);
    note_large(regions, page);
    return true;
}

// The same for one that lies beside another one in a large page.
static bool leads_there_too(const struct regions *regions, const struct code_page *page)
{
    unsigned i = (page->va >> REGION_SHIFT) % REGIONS;
    return regions->known & 1u << i && regions->region[i].large &&
           (regions->region[i].va ^ page->va) >> REGION_SHIFT == 0 &&
           page->frame == page->va + regions->region[i].frames && page->large &&
           page->global == regions->region[i].global;
}

struct code_page *code_pages_add(struct bt *bt, struct code_pages *p, uint64_t va, enum world world, uint64_t frame)
{
    struct code_page *page = find(p, va, world, frame);
    if (!page)
        page = new_page(p, va, world, frame);
    page->ccfs++;
    if (!page->awake) {
        struct regions regions;
        regions.known = 0;
        if (!leads_to_frame(bt, p, &regions, page)) { // but did: until the next flush that is good enough
            page->large = true;
            page->global = false;
            map_trace_tables(bt, va);
        }
        wake(p, page);
    }
    return page;
}

bool code_pages_wake(struct bt *bt, struct code_pages *p, struct code_page *page)
{
    struct regions regions;
    regions.known = 0;
    if (page->awake)
        return true;
    mem_fetch(bt, page->va); // as the processor would, A bits included
    if (leads_to_frame(bt, p, &regions, page))
        wake(p, page);
    return page->awake;
}

static void look(struct bt *bt, struct code_pages *p, struct regions *regions, struct code_page *page,
                 code_page_moved *moved)
{
    if (leads_there_too(regions, page) || leads_to_frame(bt, p, regions, page))
        return;
    fall_asleep(p, page);
    moved(bt, page);
}

// Downwards: the place of a page that goes is taken by one already seen. Of its own, as below: mostly all are global.
static __attribute__((noinline)) void look_down_from(struct bt *bt, struct code_pages *p, enum world world, bool all,
                                                     uint32_t i, code_page_moved *moved)
{
    struct regions regions;
    regions.known = 0;
    do {
        if (i >= p->awake_count[world]) // a CCF on two pages has taken both away
            continue;
        struct code_page *page = &p->page[p->awake[world][i]];
        if (all || !page->global)
            look(bt, p, &regions, page, moved);
    } while (i-- > 0);
}

void code_pages_look_again(struct bt *bt, struct code_pages *p, enum world world, bool all, code_page_moved *moved)
{
    all = all || !(bt->cr4 & CR4_PGE);
    for (uint32_t i = p->awake_count[world]; (all || p->local_count[world]) && i-- > 0;) {
        if (all || !p->page[p->awake[world][i]].global) {
            look_down_from(bt, p, world, all, i, moved);
            return;
        }
    }
}

static bool is_there(const struct bt *bt, uint64_t va)
{
    struct paging paging = {.cr3 = bt->cr3, .nxe = bt->efer & EFER_NXE};
    struct paging_leaf leaf;
    return canonical(va) && paging_peek(bt->ram, &paging, va, &leaf) && *leaf.entry & PTE_P;
}

bool code_pages_share_tables(const struct bt *bt, const struct code_pages *p, enum world world, uint64_t before)
{
    if (!p->awake_count[world])
        return false;
    uint64_t at = (p->page[p->awake[world][0]].va >> 39 & 511) * 8;
    const uint64_t *now = (const uint64_t *)ram_at(bt->ram, gpa((bt->cr3 & PTE_ADDR) + at), 8);
    const uint64_t *then = (const uint64_t *)ram_at(bt->ram, gpa((before & PTE_ADDR) + at), 8);
    return now && then && *now & PTE_P && *now == *then;
}

bool code_pages_are_lost(const struct bt *bt, const struct code_pages *p, enum world world)
{
    uint32_t count = p->awake_count[world], step = count / SAMPLE + 1, sampled = 0, lost = 0;
    for (uint32_t i = 0; i < count; i += step, sampled++)
        lost += !is_there(bt, p->page[p->awake[world][i]].va);
    return lost > sampled / 2;
}

// Of its own, so that what finds no page of code, as most do, has no table to clear.
static __attribute__((noinline)) void look_alone(struct bt *bt, struct code_pages *p, struct code_page *page,
                                                 code_page_moved *moved)
{
    struct regions regions;
    regions.known = 0;
    look(bt, p, &regions, page, moved);
}

// One invlpg drops a large page as a whole.
void code_pages_invlpg(struct bt *bt, struct code_pages *p, enum world world, uint64_t va, code_page_moved *moved)
{
    for (uint32_t i = p->awake_count[world]; i-- > 0;) {
        if (i >= p->awake_count[world])
            continue;
        struct code_page *page = &p->page[p->awake[world][i]];
        uint64_t differs = page->va ^ va;
        if (differs < GUEST_PAGE_SIZE || (page->large && differs >> HUGE_SHIFT == 0))
            look_alone(bt, p, page, moved);
    }
}

// SPDX-License-Identifier: BSD-2-Clause
// Pages of code by guest-virtual address: a hash table over a dense array.
#include "engines/bt/code_pages.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "engines/bt/map.h"
#include "engines/bt/memory.h"
#include "engines/bt/tc.h"

#define HASH_BITS 10
#define HASH_SLOTS (1u << HASH_BITS)
#define NOBODY (~0u)

struct code_pages {
    struct code_page *page;
    uint32_t count, most;
    bool large; // since the last clear, some page lay in a large page of the guest's: one invlpg may concern many
    uint32_t hash[HASH_SLOTS];
};

struct code_pages *code_pages_create(uint32_t most)
{
    struct code_pages *p = malloc(sizeof *p);
    if (!p)
        return NULL;
    void *room =
        mmap(NULL, most * sizeof *p->page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED) {
        free(p);
        return NULL;
    }
    p->page = room;
    p->most = most;
    code_pages_clear(p);
    return p;
}

void code_pages_destroy(struct code_pages *p)
{
    munmap(p->page, p->most * sizeof *p->page);
    free(p);
}

void code_pages_clear(struct code_pages *p)
{
    p->count = 0;
    p->large = false;
    memset(p->hash, 0xff, sizeof p->hash); // NOBODY
}

static uint32_t *hash_slot(struct code_pages *p, uint64_t va)
{
    return &p->hash[((va / GUEST_PAGE_SIZE) * 0x9e3779b97f4a7c15ull) >> (64 - HASH_BITS)];
}

static struct code_page *find(struct code_pages *p, uint64_t va, unsigned cpl, uint64_t frame)
{
    for (uint32_t i = *hash_slot(p, va); i != NOBODY; i = p->page[i].hash_next)
        if (p->page[i].va == va && p->page[i].cpl == cpl && p->page[i].frame == frame)
            return &p->page[i];
    return NULL;
}

// The link that leads to page i.
static uint32_t *link_to(struct code_pages *p, uint32_t i)
{
    uint32_t *at = hash_slot(p, p->page[i].va);
    while (*at != i)
        at = &p->page[*at].hash_next;
    return at;
}

static void remove_page(struct code_pages *p, uint32_t i)
{
    *link_to(p, i) = p->page[i].hash_next;
    uint32_t last = --p->count;
    if (i == last)
        return;
    *link_to(p, last) = i;
    p->page[i] = p->page[last];
}

void code_pages_add(struct bt *bt, struct code_pages *p, uint64_t va, unsigned cpl, uint64_t frame)
{
    struct code_page *page = find(p, va, cpl, frame);
    if (page) {
        page->ccfs++;
        return;
    }
    bool large = false;
    mem_code_frame(bt, va, cpl, &large);
    map_trace_tables(bt, va);
    p->large |= large;
    uint32_t *slot = hash_slot(p, va);
    page = &p->page[p->count];
    *page = (struct code_page){
        .va = va, .frame = frame, .ccfs = 1, .hash_next = *slot, .cpl = (uint8_t)cpl, .large = large};
    *slot = p->count++;
}

void code_pages_remove(struct code_pages *p, uint64_t va, unsigned cpl, uint64_t frame)
{
    struct code_page *page = find(p, va, cpl, frame);
    if (page && --page->ccfs == 0)
        remove_page(p, (uint32_t)(page - p->page));
}

// False: it has moved, and other pages have changed their places.
static bool look(struct bt *bt, struct code_pages *p, uint32_t i, code_page_moved *moved)
{
    struct code_page *page = &p->page[i];
    bool large = false;
    if (mem_code_frame(bt, page->va, page->cpl, &large) == page->frame) {
        page->large = large;
        p->large |= large;
        map_trace_tables(bt, page->va);
        return true;
    }
    struct code_page copy = *page;
    moved(bt, &copy);
    return false;
}

// Downwards: the place of a page that goes is taken by one already seen.
void code_pages_look_again(struct bt *bt, struct code_pages *p, code_page_moved *moved)
{
    for (uint32_t i = p->count; i-- > 0;)
        if (i < p->count) // a CCF on two pages takes both away
            look(bt, p, i, moved);
}

static bool look_at_one(struct bt *bt, struct code_pages *p, uint64_t va, code_page_moved *moved)
{
    for (uint32_t i = *hash_slot(p, va); i != NOBODY; i = p->page[i].hash_next)
        if (p->page[i].va == va && !look(bt, p, i, moved))
            return false;
    return true;
}

void code_pages_invlpg(struct bt *bt, struct code_pages *p, uint64_t va, code_page_moved *moved)
{
    if (p->large) {
        code_pages_look_again(bt, p, moved);
        return;
    }
    while (!look_at_one(bt, p, va & GUEST_PAGE_MASK, moved))
        continue;
}

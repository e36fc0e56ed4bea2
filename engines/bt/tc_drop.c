// SPDX-License-Identifier: BSD-2-Clause
// The translation cache: what leads to a CCF, and how it goes when its code is written or its address is mapped anew.
#include "engines/bt/map.h"
#include "engines/bt/tc_inside.h"

// ---- Lists ----

struct ccf **tc_hash_slot(struct tc *tc, uint64_t rip)
{
    return &tc->hash[(rip * 0x9e3779b97f4a7c15ull) >> (64 - HASH_BITS)];
}

bool tc_page_index(const struct bt *bt, uint64_t page, uint64_t *index)
{
    if (page == NO_PAGE || !ram_at(bt->ram, gpa(page), GUEST_PAGE_SIZE))
        return false;
    *index = ram_offset(gpa(page)) / GUEST_PAGE_SIZE;
    return true;
}

static struct ccf **next_on_page(struct ccf *ccf, uint64_t page)
{
    return &ccf->page_next[(ccf->gpa & GUEST_PAGE_MASK) == page ? 0 : 1];
}

static void rest_on_pages(struct bt *bt, struct ccf *ccf)
{
    struct code_pages *pages = bt->tc->code_pages;
    uint64_t va = ccf->rip & GUEST_PAGE_MASK;
    ccf->on[0] = code_pages_add(bt, pages, va, ccf->world, ccf->gpa & GUEST_PAGE_MASK);
    if (ccf->second_page != NO_PAGE)
        ccf->on[1] = code_pages_add(bt, pages, va + GUEST_PAGE_SIZE, ccf->world, ccf->second_page);
}

void tc_enlist(struct bt *bt, struct ccf *ccf)
{
    struct tc *tc = bt->tc;
    rest_on_pages(bt, ccf);
    struct ccf **slot = tc_hash_slot(tc, ccf->rip);
    ccf->hash_next = *slot;
    *slot = ccf;
    uint64_t pages[2] = {ccf->gpa & GUEST_PAGE_MASK, ccf->second_page};
    for (unsigned i = 0; i < 2; i++) {
        uint64_t index;
        if (!tc_page_index(bt, pages[i], &index))
            continue;
        bool first = !tc->page[index];
        ccf->page_next[i] = tc->page[index];
        tc->page[index] = ccf;
        if (first)
            map_set_trace(bt, index * GUEST_PAGE_SIZE, true);
    }
}

static void unlist(struct bt *bt, struct ccf *dead)
{
    struct tc *tc = bt->tc;
    code_pages_remove(tc->code_pages, dead->on[0]);
    if (dead->on[1])
        code_pages_remove(tc->code_pages, dead->on[1]);
    struct ccf **at = tc_hash_slot(tc, dead->rip);
    while (*at && *at != dead)
        at = &(*at)->hash_next;
    if (*at)
        *at = dead->hash_next;
    uint64_t pages[2] = {dead->gpa & GUEST_PAGE_MASK, dead->second_page};
    for (unsigned i = 0; i < 2; i++) {
        uint64_t index;
        if (!tc_page_index(bt, pages[i], &index))
            continue;
        at = &tc->page[index];
        while (*at && *at != dead)
            at = next_on_page(*at, pages[i]);
        if (*at)
            *at = *next_on_page(dead, pages[i]);
        if (!tc->page[index])
            map_set_trace(bt, index * GUEST_PAGE_SIZE, false);
    }
}

// ---- Chains ----

void tc_chain(struct bt *bt, struct site *site, struct ccf *to)
{
    uint8_t *in = site->calls ? tc_call_in(bt, to, site->live) : tc_way_in(bt, to, site->live);
    if (!site->field || !in)
        return;
    patch_rel32(site->field, in);
    site->to = to;
    count(bt, EV_chains);
    site->next_incoming = to->incoming;
    to->incoming = tc_site_number(bt->tc, site);
}

static void unchain(struct site *site)
{
    if (site->field)
        patch_rel32(site->field, site->stub);
    site->to = NULL;
}

// But for branches that can be taken only while the CCF is awake, where those may stay.
static void unchain_all(struct tc *tc, struct ccf *to, bool keep_beside)
{
    uint32_t next, kept = 0;
    for (uint32_t n = to->incoming; n; n = next) {
        struct site *site = &tc->sites[n];
        next = site->next_incoming;
        if (site->to != to)
            continue;
        if (keep_beside && site->from && ccf_beside(to, site->from)) {
            site->next_incoming = kept;
            kept = n;
        } else {
            unchain(site);
        }
    }
    to->incoming = kept;
}

// Overwrites the first bytes at `at` by a jump. Chained branches of ccf under it must not be patched any more.
void tc_overwrite(struct bt *bt, struct ccf *ccf, uint8_t *at, const uint8_t *to)
{
    for (uint32_t i = ccf->first_site; i < ccf->end_site; i++) {
        struct site *site = &bt->tc->sites[i];
        if (site->field && site->field + 4 > at && site->field < at + 5)
            site->field = NULL;
    }
    count(bt, EV_forwards);
    struct code patch = {.at = at, .end = at + 128};
    put_jmp(&patch, to);
}

static void forget_target(struct bt *bt, const struct ccf *ccf)
{
    const uint64_t *entry = &bt->targets[ccf->world][ccf->rip % TARGETS];
    if (ccf->check && *entry == (uint64_t)(uintptr_t)ccf->check)
        tc_set_target(bt, ccf->world, ccf->rip, bt->tc->miss_stub);
}

void tc_drop(struct bt *bt, struct ccf *ccf)
{
    struct tc *tc = bt->tc;
    if (ccf->dead)
        return;
    ccf->dead = true;
    unchain_all(tc, ccf, false);
    forget_target(bt, ccf);
    unlist(bt, ccf);
    count(bt, EV_blocks_invalidated);
    struct site *site = tc_new_site(tc, SITE_BRANCH, ccf->rip);
    if (!site) // no room for the stub: nothing of the cache is used again
        return;
    site->stub = tc_stub(tc, site);
    tc_overwrite(bt, ccf, ccf->start, site->stub);
    site->field = ccf->start + 1; // what falls into it is chained anew
}

static bool overlaps(const struct ccf *ccf, uint64_t page, unsigned first, unsigned last)
{
    if (ccf->second_page == page)
        return first < (ccf->gpa + ccf->tu_bytes) % GUEST_PAGE_SIZE;
    unsigned start = ccf->gpa % GUEST_PAGE_SIZE;
    return start <= last && first < start + ccf->tu_bytes;
}

void tc_invalidate(struct bt *bt, uint64_t offset, unsigned size)
{
    struct tc *tc = bt->tc;
    uint64_t page = offset & GUEST_PAGE_MASK;
    if (page >= RAM_HOLE_START)
        page += RAM_HOLE_END - RAM_HOLE_START;
    unsigned first = offset % GUEST_PAGE_SIZE;
    struct ccf *next, *ccf = tc->page[offset / GUEST_PAGE_SIZE];
    for (unsigned drops = 0; ccf; ccf = next) {
        next = *next_on_page(ccf, page);
        if (!overlaps(ccf, page, first, first + size - 1))
            continue;
        if (++drops > MAX_DROPS) { // one by one would take quadratic time
            tc_flush(bt);
            return;
        }
        tc_drop(bt, ccf);
    }
}

bool tc_page_has_code(const struct tc *tc, uint64_t offset)
{
    return tc->page[offset / GUEST_PAGE_SIZE] != NULL;
}

// ---- The guest's mappings changed ----

// A CCF was made from the page that its address had then. Where the address leads elsewhere now, or nowhere, entering
// it has to look, or fault. Kernel code goes: that happens when a module does. User code sleeps until its process is
// back.

static bool rests_on(const struct ccf *ccf, const struct code_page *page)
{
    return ccf->on[0] == page || ccf->on[1] == page;
}

static void send_to_sleep(struct bt *bt, struct ccf *ccf)
{
    unchain_all(bt->tc, ccf, true);
    forget_target(bt, ccf);
}

static void leave_page(struct bt *bt, struct ccf *ccf, bool user)
{
    if (user)
        send_to_sleep(bt, ccf);
    else
        tc_drop(bt, ccf);
}

static void page_moved(struct bt *bt, struct code_page *page)
{
    struct tc *tc = bt->tc;
    uint64_t index;
    bool user = page->world >= WORLD_USER;
    const struct code_page *gone = page;           // with its last CCF
    if (!tc_page_index(bt, page->frame, &index)) { // not RAM: there is no list of it
        for (uint32_t i = 0; i < tc->ccf_count; i++)
            if (!tc->order[i]->alone && !tc->order[i]->dead && rests_on(tc->order[i], gone))
                leave_page(bt, tc->order[i], user);
        return;
    }
    uint64_t frame = page->frame;
    struct ccf *next, *ccf = tc->page[index];
    for (; ccf; ccf = next) {
        next = *next_on_page(ccf, frame);
        if (rests_on(ccf, gone))
            leave_page(bt, ccf, user);
    }
}

void tc_revalidate(struct bt *bt, enum world world, bool all)
{
    code_pages_look_again(bt, bt->tc->code_pages, world, all, page_moved);
}

void tc_invlpg(struct bt *bt, enum world world, uint64_t va)
{
    code_pages_invlpg(bt, bt->tc->code_pages, world, va, page_moved);
}

bool tc_shares_tables(const struct bt *bt, enum world world, uint64_t before)
{
    return code_pages_share_tables(bt, bt->tc->code_pages, world, before);
}

bool tc_is_lost(const struct bt *bt, enum world world)
{
    return code_pages_are_lost(bt, bt->tc->code_pages, world);
}

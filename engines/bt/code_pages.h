// SPDX-License-Identifier: BSD-2-Clause
// The guest-virtual pages that CCFs were made from, each with the frame it led to then and the number of CCFs that rest
// on it, so that a guest flush looks once at each page of code, and invlpg at one page only. A page sleeps while its
// address leads elsewhere, in another process's address space: nothing leads to its CCFs then, but they are there.
#ifndef RINGSIDE_BT_CODE_PAGES_H
#define RINGSIDE_BT_CODE_PAGES_H

#include "engines/bt/bt.h"

struct code_page {
    uint64_t va, frame;
    uint32_t ccfs;
    uint32_t hash_next; // also links free ones
    uint32_t awake_at;  // in the list of those of its world, while awake
    uint8_t world;      // that the code runs in
    bool large;         // lay in a large page of the guest's when last looked at
    bool global;        // by an entry with G, then
    bool awake;         // va led to frame when last looked at; else none of its CCFs may be entered
};

struct code_pages *code_pages_create(uint32_t most); // NULL where memory is short
void code_pages_destroy(struct code_pages *p);
void code_pages_clear(struct code_pages *p);

// One more CCF, or one less, rests on the page, which is awake from now on. There is room for `most` pages. They keep
// their places.
struct code_page *code_pages_add(struct bt *bt, struct code_pages *p, uint64_t va, enum world world, uint64_t frame);
void code_pages_remove(struct code_pages *p, struct code_page *page);

// Does the page lead to its frame now, fetching from it at the present CPL? It is awake then. Raises what fetching
// raises.
bool code_pages_wake(struct bt *bt, struct code_pages *p, struct code_page *page);

// Calls moved() for each page that does not lead to its frame any more, of all of a world that are awake: but for
// global pages, which a mov to cr3 need not see changed, unless all; or of those that an invlpg of va concerns. It
// sleeps then, and must not be entered; moved() may remove all CCFs that rest on it.
typedef void code_page_moved(struct bt *bt, struct code_page *page);
void code_pages_look_again(struct bt *bt, struct code_pages *p, enum world world, bool all, code_page_moved *moved);
void code_pages_invlpg(struct bt *bt, struct code_pages *p, enum world world, uint64_t va, code_page_moved *moved);
// Has bt->cr3 the same entry of the top-level table for one of those that are awake as cr3 `before`, as the address
// spaces of most kernels have that share the tables of its half?
bool code_pages_share_tables(const struct bt *bt, const struct code_pages *p, enum world world, uint64_t before);
// Do most of those that are awake, by a sample, lead nowhere at all? Changes nothing.
bool code_pages_are_lost(const struct bt *bt, const struct code_pages *p, enum world world);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// The translation cache's own state, for tc.c and tc_drop.c alone.
#ifndef RINGSIDE_BT_TC_INSIDE_H
#define RINGSIDE_BT_TC_INSIDE_H

#include "engines/bt/code_pages.h"
#include "engines/bt/guilt.h"
#include "engines/bt/tc.h"

#define HOT_BYTES (32u << 20)
#define COLD_BYTES (32u << 20)
#define MAX_SITES (1u << 18)
#define MAX_CCFS (1u << 17)
#define ARENA_BYTES (64u << 20)
#define HASH_BITS 16
#define MAX_DROPS 256u // by one write; for more than that everything goes
#define CCF_MAX_COPIES 3

struct tc {
    uint8_t *buffer; // hot half, then cold half
    struct code hot, cold;
    uint8_t *cold_start; // behind the fixed stubs
    uint8_t *leave_stub; // rdi saved, rdi = bt, to bt_world_left
    uint8_t *miss_stub;  // SITE_MISS
    uint8_t *return_miss_stub;
    uint8_t *refill_stub[WORLDS];
    struct site *sites; // [0] is never used
    uint32_t site_count;
    struct ccf **order; // in the order of their hot code's addresses
    uint32_t ccf_count;
    uint8_t *arena; // struct ccf, one behind the other
    size_t arena_used;
    uint64_t ram_pages;
    struct ccf **page; // per page of RAM: CCFs made from it
    struct code_pages *code_pages;
    struct ccf *hash[1u << HASH_BITS];
    struct guilt guilt;
    unsigned flushes;
    uint64_t *landings; // what bt->returns had before all targets were forgotten
    bool forgot;
};

// Where the list begins of the CCFs that may have been made from guest address rip.
struct ccf **tc_hash_slot(struct tc *tc, uint64_t rip);
// Number of the page of RAM at this guest-physical address; false where there is none.
bool tc_page_index(const struct bt *bt, uint64_t page, uint64_t *index);
// May it be entered: not dropped, and its pages not asleep?
static inline bool ccf_awake(const struct ccf *ccf)
{
    return !ccf->dead && ccf->on[0]->awake && (!ccf->on[1] || ccf->on[1]->awake);
}
// Is all of it on pages that the other rests on, too, so that it is awake whenever the other is?
static inline bool ccf_beside(const struct ccf *ccf, const struct ccf *other)
{
    return (ccf->on[0] == other->on[0] || ccf->on[0] == other->on[1]) && (!ccf->on[1] || ccf->on[1] == other->on[1]);
}
// From now on it is found, and dropped when its code or its mapping changes.
void tc_enlist(struct bt *bt, struct ccf *ccf);
// Where to enter it by code that knows that these vector classes are live: its start, or its guard. NULL: no room.
uint8_t *tc_way_in(struct bt *bt, struct ccf *ccf, unsigned live);
// The same for a call.
uint8_t *tc_call_in(struct bt *bt, struct ccf *ccf, unsigned live);
// Patches the branch that the site belongs to, to go to the CCF directly.
void tc_chain(struct bt *bt, struct site *site, struct ccf *to);
// Nothing leads to it any more, and its start leads to the dispatcher.
void tc_drop(struct bt *bt, struct ccf *ccf);
// A jump over what is at `at` in the CCF.
void tc_overwrite(struct bt *bt, struct ccf *ccf, uint8_t *at, const uint8_t *to);

#endif

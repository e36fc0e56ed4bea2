// SPDX-License-Identifier: BSD-2-Clause
// The guest-virtual pages that CCFs were made from, each with the frame it led to then and the number of CCFs that rest
// on it, so that a guest flush walks the guest's tables once for each page of code, and invlpg for one page only.
#ifndef RINGSIDE_BT_CODE_PAGES_H
#define RINGSIDE_BT_CODE_PAGES_H

#include "engines/bt/bt.h"

struct code_page {
    uint64_t va, frame;
    uint32_t ccfs;
    uint32_t hash_next;
    uint8_t cpl; // that the code runs at: 0 or 3
    bool large;  // lay in a large page of the guest's when last looked at
};

struct code_pages *code_pages_create(uint32_t most); // NULL where memory is short
void code_pages_destroy(struct code_pages *p);
void code_pages_clear(struct code_pages *p);

// One more CCF, or one less, rests on the page. There is room for `most` pages.
void code_pages_add(struct bt *bt, struct code_pages *p, uint64_t va, unsigned cpl, uint64_t frame);
void code_pages_remove(struct code_pages *p, uint64_t va, unsigned cpl, uint64_t frame);

// Calls moved() for each page that does not lead to its frame any more, of all, or of those that an invlpg of va
// concerns. moved() removes all CCFs that rest on the page.
typedef void code_page_moved(struct bt *bt, const struct code_page *page);
void code_pages_look_again(struct bt *bt, struct code_pages *p, code_page_moved *moved);
void code_pages_invlpg(struct bt *bt, struct code_pages *p, uint64_t va, code_page_moved *moved);

#endif

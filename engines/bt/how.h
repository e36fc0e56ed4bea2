// SPDX-License-Identifier: BSD-2-Clause
// What became of each instruction, in the paper's words, for statistics and for people to read.
#ifndef RINGSIDE_BT_HOW_H
#define RINGSIDE_BT_HOW_H

#include <stdint.h>

enum how {
    HOW_NONE, // not said: how_translated() finds out
    HOW_IDENT,
    HOW_BIASED,
    HOW_PC_RELATIVE,
    HOW_RSP,
    HOW_STRING,
    HOW_LEFT_OUT,
    HOW_CONTROL,
    HOW_IN_TC,
    HOW_CHECKED,
    HOW_CALLOUT,
    HOW_TRAP,
    HOW_RAISES,
    HOWS
};

struct how_info {
    const char *name;
    const char *meaning;
};
extern const struct how_info how_table[HOWS];

// What the translator has done so far.
struct bt_stats {
    uint64_t insns[HOWS];
    uint64_t units, guest_bytes, hot_bytes, cold_bytes;
    uint64_t cycles;  // TSC, from reading the TU to the finished CCF
    uint64_t started; // when the one being made was begun
};

struct translator;
// How t->in has become the host code [from, to).
enum how how_translated(const struct translator *t, const uint8_t *from, const uint8_t *to);

#endif

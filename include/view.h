// SPDX-License-Identifier: BSD-2-Clause
// What an engine has made of the guest's code, for people to read (`ringside translate`). Pointers are the engine's,
// and hold until the vCPU runs or is destroyed.
#ifndef RINGSIDE_VIEW_H
#define RINGSIDE_VIEW_H

#include <stdbool.h>
#include <stdint.h>

enum { VIEW_INSNS_MAX = 16, VIEW_LINKS_MAX = 8, VIEW_BYTES_MAX = 16 };

struct view_insn {
    uint64_t rip;
    uint8_t bytes[VIEW_BYTES_MAX];
    unsigned length;     // of the guest's instruction; 0: what the engine puts before or behind them
    const uint8_t *host; // its translation, maybe empty
    unsigned host_length;
    const char *kind;
};

// A direct branch out of a unit.
struct view_link {
    uint64_t rip;        // where the guest goes
    const uint8_t *host; // the unit that it is chained to; NULL: to the translator
    bool elided;         // no jump at all: that unit follows
};

struct view_unit {
    uint64_t rip;
    const uint8_t *host;
    unsigned insn_count, link_count;
    struct view_insn insn[VIEW_INSNS_MAX];
    struct view_link link[VIEW_LINKS_MAX];
};

typedef void view_fn(void *ctx, const struct view_unit *unit);

#endif

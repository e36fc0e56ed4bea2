// SPDX-License-Identifier: BSD-2-Clause
// What direct execution is kept in: for direct.c and direct_spaces.c alone.
#ifndef RINGSIDE_BT_DIRECT_INSIDE_H
#define RINGSIDE_BT_DIRECT_INSIDE_H

#include <time.h>

#include "engines/bt/direct.h"
#include "engines/bt/map.h"
#include "engines/bt/policy.h"
#include "engines/bt/process.h"

#define SPACES 64u // address spaces that something is known of
#define NO_ROOT (~0ull)

// A guest address space, by the page of its top-level table and its PCID, as what is cached of it is.
struct space {
    uint64_t root, used_at;
    struct policy policy;
    struct slot *slot; // NULL: none now
    unsigned odd;      // how much of late it did that had to be left to the translator
};

// A process, and whose it is.
struct slot {
    struct process *process;
    struct map *map;
    struct space *space; // NULL: nobody's
    uint64_t used_at;
    unsigned refusals; // by the host, without anything else between them
    uint64_t flushes;  // bt->flushes when its map was last known to agree
};

struct direct {
    struct process_pool *pool;
    unsigned slots;
    struct slot slot[BT_PROCESSES_MOST];
    struct space space[SPACES];
    struct space *current; // of the user code that runs, or ran last
    uint64_t clock;        // of used_at
    uint64_t hand_over;    // what one costs, as policy.h has it
    uint64_t delivery;     // the part of it that the process counts as its own: a signal's delivery
    // Translated user code: from when on its time counts, TSC cycles in which nothing is translated. 0: it does not.
    uint64_t since;
    bool counts; // the stretch of user code that is under way: for the policy's sum, or against a ban
    // Direct user code, since it was entered: TSC cycles that it had, and that getting there and back took.
    uint64_t ran, spent;
    bool has_timer;
    timer_t timer;
};

// Sets d->current to that of cr3.
struct space *direct_find_space(struct bt *bt);
// The process of this space, with mappings that agree with the guest's tables.
struct slot *direct_slot(struct bt *bt, struct space *space);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// The counters of events.def as an enum, a struct and a table of names.
#ifndef RINGSIDE_EVENTS_H
#define RINGSIDE_EVENTS_H

#include <stdint.h>

enum event {
#define EVENT(name, meaning) EV_##name,
#include "include/events.def"
#undef EVENT
    EV_COUNT
};

struct counters {
    uint64_t n[EV_COUNT];
};

struct event_info {
    const char *name;
    const char *meaning;
};

extern const struct event_info event_table[EV_COUNT]; // run/events.c

typedef unsigned __int128 event_mask; // a bit for each event
#define EVENT_BIT(name) ((event_mask)1 << EV_##name)

#endif

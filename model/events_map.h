// SPDX-License-Identifier: BSD-2-Clause
// model/events: what an architectural event is in terms of counters, and who counts it; and how often each happens.
#ifndef RINGSIDE_MODEL_EVENTS_MAP_H
#define RINGSIDE_MODEL_EVENTS_MAP_H

#include "model/sheet.h"
#include "model/sources.h"

enum { MODEL_EVENTS_MAX = 64 };

struct events_map {
    struct sheet sheet; // a line an event
};

// How often each event happens, by its place in the map. Missing: nobody counted it.
struct counts {
    struct value event[MODEL_EVENTS_MAX];
};

// 0, or -1 with one line in err. events_free() in either case.
int events_read(struct events_map *e, const char *path, char *err, size_t err_size);
void events_free(struct events_map *e);

int events_find(const struct events_map *e, const char *name); // place, or -1
const char *events_name(const struct events_map *e, size_t at);
const char *events_meaning(const struct events_map *e, size_t at);

// Of one iteration of a benchmark in the results. 0, or -1 with one line in err: model/events makes no sense.
int events_count(const struct events_map *e, struct sources *sources, const char *bench, struct counts *counts,
                 char *err, size_t err_size);

// --set of a count goes before all others.
void events_change(const struct events_map *e, const struct sources *sources, struct counts *counts);

#endif

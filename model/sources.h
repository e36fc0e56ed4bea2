// SPDX-License-Identifier: BSD-2-Clause
// Where a number may come from: ref(FIGURE), which is published, and measured(ENGINE.SUITE/BENCH), which the results
// given have. And what the person at the keyboard wants otherwise.
#ifndef RINGSIDE_MODEL_SOURCES_H
#define RINGSIDE_MODEL_SOURCES_H

#include "model/figures.h"
#include "model/measurements.h"

enum { CHANGES_MAX = 32 };

// NAME=VALUE of --set: of a primitive or of an event's count.
struct change {
    char name[MEASURED_NAME_MAX];
    double number;
    bool count;
};

struct sources {
    struct figures figures;
    struct measurements measurements;
    struct change change[CHANGES_MAX];
    size_t changes;
};

void sources_free(struct sources *s);

// FUNCTION(name). Wrong where there is no such function or no such published figure, missing where it was not measured.
struct value sources_value(struct sources *s, const char *function, const char *name);

// Adds a change, or makes it anew. False where there are too many, or the name is too long.
bool sources_change(struct sources *s, const char *name, bool count, double number);
const struct change *sources_changed(const struct sources *s, const char *name, bool count); // or NULL

#endif

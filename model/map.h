// SPDX-License-Identifier: BSD-2-Clause
// What if: the cost of one benchmark under several monitors over a grid of two quantities.
#ifndef RINGSIDE_MODEL_MAP_H
#define RINGSIDE_MODEL_MAP_H

#include "model/model.h"

enum { MAP_STEPS_MAX = 200 };

// A quantity, an event's count or a primitive, from low to high in steps of the same size, or by the same factor.
struct axis {
    char name[MEASURED_NAME_MAX];
    double low, high;
    size_t steps; // 2 or more
    bool log;     // then low is above 0
};

struct map {
    struct axis x, y;
    const char *bench;
    const struct profile *profile;
    struct policy *const *policy;
    size_t policies;
    struct value *cell; // cycles, by y, then x, then policy
};

// Parses X:LO:HI:N,Y:LO:HI:N, with :log behind an N whose axis is logarithmic. 0, or -1 with what is wrong in err.
int map_parse(struct map *map, const char *text, char *err, size_t err_size);

// Fills the cells, row after row, for as long as go_on(context) says so (NULL: to the end). 0, or -1 with one line in
// err. bench, profile and policies must stay as long as the map.
int map_fill(struct map *map, struct model *m, const char *bench, struct profile *profile,
             struct policy *const *policies, size_t count, bool (*go_on)(void *context), void *context, char *err,
             size_t err_size);
void map_free(struct map *map);

double axis_at(const struct axis *axis, size_t step);
const struct value *map_at(const struct map *map, size_t x, size_t y, size_t policy);
// The policy that costs least in a cell, or -1 where none has a figure.
int map_cheapest(const struct map *map, size_t x, size_t y);

#endif

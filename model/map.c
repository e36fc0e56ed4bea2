// SPDX-License-Identifier: BSD-2-Clause
// Each cell is a prediction with two numbers changed.
#include "model/map.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// X:LO:HI:N or X:LO:HI:N:log
static bool parse_axis(struct axis *axis, const char *text)
{
    char steps[16];
    int length = 0;
    if (sscanf(text, "%95[A-Za-z0-9_]:%lf:%lf:%15[0-9]%n", axis->name, &axis->low, &axis->high, steps, &length) != 4)
        return false;
    axis->steps = strtoul(steps, NULL, 10);
    axis->log = !strcmp(text + length, ":log");
    return (axis->log ? axis->low > 0 : !text[length] && axis->low >= 0) && isfinite(axis->low) &&
           isfinite(axis->high) && axis->high > axis->low && axis->steps >= 2 && axis->steps <= MAP_STEPS_MAX;
}

int map_parse(struct map *map, const char *text, char *err, size_t err_size)
{
    char first[200];
    const char *comma = strchr(text, ',');
    size_t length = comma ? (size_t)(comma - text) : 0;
    snprintf(first, sizeof first, "%.*s", (int)length, text);
    *map = (struct map){0};
    if (!comma || length >= sizeof first || !parse_axis(&map->x, first) || !parse_axis(&map->y, comma + 1) ||
        !strcmp(map->x.name, map->y.name)) {
        snprintf(err, err_size,
                 "no map: '%.60s'; X:LO:HI:N[:log],Y:LO:HI:N[:log] with 0 <= LO < HI (log: 0 < LO) and 2 <= N <= %d",
                 text, MAP_STEPS_MAX);
        return -1;
    }
    return 0;
}

double axis_at(const struct axis *axis, size_t step)
{
    double share = (double)step / (double)(axis->steps - 1);
    return axis->log ? axis->low * pow(axis->high / axis->low, share) : axis->low + (axis->high - axis->low) * share;
}

static struct value *cell(const struct map *map, size_t x, size_t y)
{
    return &map->cell[(y * map->x.steps + x) * map->policies];
}

const struct value *map_at(const struct map *map, size_t x, size_t y, size_t policy)
{
    return &cell(map, x, y)[policy];
}

static int fill_cell(struct map *map, struct model *m, struct profile *profile, size_t x, size_t y, char *err,
                     size_t err_size)
{
    struct counts counts;
    struct prediction p;
    if (model_change(m, map->x.name, axis_at(&map->x, x), err, err_size) ||
        model_change(m, map->y.name, axis_at(&map->y, y), err, err_size) ||
        model_counts(m, map->bench, profile, &counts, err, err_size))
        return -1;
    for (size_t i = 0; i < map->policies; i++) {
        const struct prices *prices = model_prices(m, map->policy[i], profile, err, err_size);
        if (!prices)
            return -1;
        predict(&m->events, prices, &counts, &p);
        cell(map, x, y)[i] = p.cycles;
    }
    return 0;
}

int map_fill(struct map *map, struct model *m, const char *bench, struct profile *profile,
             struct policy *const *policies, size_t count, bool (*go_on)(void *context), void *context, char *err,
             size_t err_size)
{
    map->bench = bench;
    map->profile = profile;
    map->policy = policies;
    map->policies = count;
    map->cell = calloc(map->x.steps * map->y.steps * count, sizeof *map->cell);
    if (!map->cell)
        return snprintf(err, err_size, "no memory"), -1;
    for (size_t y = 0; y < map->y.steps; y++)
        for (size_t x = 0; x < map->x.steps; x++) {
            if (go_on && !go_on(context))
                return snprintf(err, err_size, "interrupted"), -1;
            if (fill_cell(map, m, profile, x, y, err, err_size))
                return -1;
        }
    return 0;
}

void map_free(struct map *map)
{
    free(map->cell);
    map->cell = NULL;
}

int map_cheapest(const struct map *map, size_t x, size_t y)
{
    int best = -1;
    for (size_t i = 0; i < map->policies; i++) {
        const struct value *v = map_at(map, x, y, i);
        if (v->state == VALUE_KNOWN && (best < 0 || v->number < map_at(map, x, y, (size_t)best)->number))
            best = (int)i;
    }
    return best;
}

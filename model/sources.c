// SPDX-License-Identifier: BSD-2-Clause
// Published and measured figures by the same kind of name.
#include "model/sources.h"

#include <stdio.h>
#include <string.h>

void sources_free(struct sources *s)
{
    figures_free(&s->figures);
    measurements_free(&s->measurements);
}

static struct value published(struct sources *s, const char *name)
{
    int at = figures_find(&s->figures, name);
    if (at == FIGURE_NONE || s->figures.figure[at].measured)
        return value_none(VALUE_WRONG, "no published figure '%.100s'", name);
    return figure_value(&s->figures, at);
}

// A measured figure gets its place when it is first asked for.
static struct value measured(struct sources *s, const char *name)
{
    char whole[2 * MEASURED_NAME_MAX + 16], engine[MEASURED_NAME_MAX];
    double cycles;
    const char *dot = strchr(name, '.');
    if (!dot || (size_t)(dot - name) >= sizeof engine || strlen(dot) >= MEASURED_NAME_MAX)
        return value_none(VALUE_WRONG, "no ENGINE.SUITE/BENCH: '%.100s'", name);
    snprintf(engine, sizeof engine, "%.*s", (int)(dot - name), name);
    snprintf(whole, sizeof whole, "measured(%s)", name);
    int at = figures_find(&s->figures, whole);
    if (at != FIGURE_NONE)
        return figure_value(&s->figures, at);
    if (!measurements_cycles(&s->measurements, engine, dot + 1, &cycles))
        return value_none(VALUE_MISSING, "no %.100s in the results", whole);
    at = figures_add(&s->figures, whole, cycles, true);
    return at != FIGURE_NONE ? figure_value(&s->figures, at) : value_none(VALUE_WRONG, "too many figures");
}

struct value sources_value(struct sources *s, const char *function, const char *name)
{
    if (!strcmp(function, "ref"))
        return published(s, name);
    if (!strcmp(function, "measured"))
        return measured(s, name);
    return value_none(VALUE_WRONG, "no function '%.40s'", function);
}

const struct change *sources_changed(const struct sources *s, const char *name, bool count)
{
    for (size_t i = 0; i < s->changes; i++)
        if (s->change[i].count == count && !strcmp(s->change[i].name, name))
            return &s->change[i];
    return NULL;
}

bool sources_change(struct sources *s, const char *name, bool count, double number)
{
    struct change *old = (struct change *)sources_changed(s, name, count);
    if (!old && s->changes < CHANGES_MAX && strlen(name) < MEASURED_NAME_MAX)
        old = &s->change[s->changes++];
    if (!old)
        return false;
    old->count = count;
    old->number = number;
    snprintf(old->name, sizeof old->name, "%s", name);
    return true;
}

// SPDX-License-Identifier: BSD-2-Clause
// Counters are looked up among the results of the engine that a line names.
#include "model/events_map.h"

#include <stdio.h>
#include <string.h>

#include "include/events.h"

enum { ENGINES, MEANING }; // fields

int events_read(struct events_map *e, const char *path, char *err, size_t err_size)
{
    static const struct sheet_kind kind = {.fields = 2, .form = "event = expression | engines | meaning"};
    if (sheet_read(&e->sheet, path, &kind, err, err_size))
        return -1;
    if (e->sheet.count > MODEL_EVENTS_MAX)
        return text_wrong(path, 0, err, err_size, "more than %d events", MODEL_EVENTS_MAX);
    return 0;
}

void events_free(struct events_map *e)
{
    sheet_free(&e->sheet);
}

int events_find(const struct events_map *e, const char *name)
{
    const struct sheet_line *line = sheet_find(&e->sheet, name);
    return line ? (int)(line - e->sheet.line) : -1;
}

const char *events_name(const struct events_map *e, size_t at)
{
    return e->sheet.line[at].name;
}

const char *events_meaning(const struct events_map *e, size_t at)
{
    return e->sheet.line[at].field[MEANING];
}

// ---- Counters of a benchmark ----

struct asked {
    struct sources *sources;
    const char *bench, *engines;
};

static int counter_named(const char *name)
{
    for (int i = 0; i < EV_COUNT; i++)
        if (!strcmp(event_table[i].name, name))
            return i;
    return -1;
}

// Of the first engine of a list with commas that has counted it.
static struct value counter(const struct asked *asked, const char *engines, const char *name)
{
    char engine[MEASURED_NAME_MAX];
    double count;
    int event = counter_named(name);
    if (event < 0)
        return value_none(VALUE_WRONG, "no counter '%.60s'", name);
    for (const char *at = engines; *at; at += strspn(at, ", ")) {
        size_t length = strcspn(at, ", ");
        snprintf(engine, sizeof engine, "%.*s", (int)length, at);
        at += length;
        if (measurements_count(&asked->sources->measurements, engine, asked->bench, (enum event)event, &count))
            return value_of(count < 0 ? 0 : count, CLASS_PUBLISHED); // below 0 by the noise of what is not exact
    }
    return value_none(VALUE_MISSING, "%.60s of %.60s is not in the results", name, engines);
}

static struct value lookup(void *context, const char *function, const char *name)
{
    const struct asked *asked = context;
    char engine[MEASURED_NAME_MAX];
    if (!function)
        return counter(asked, asked->engines, name);
    const char *dot = strrchr(name, '.');
    if (strcmp(function, "counted") || !dot || (size_t)(dot - name) >= sizeof engine)
        return value_none(VALUE_WRONG, "no counted(ENGINE.COUNTER): %.40s(%.60s)", function, name);
    snprintf(engine, sizeof engine, "%.*s", (int)(dot - name), name);
    return counter(asked, engine, dot + 1);
}

int events_count(const struct events_map *e, struct sources *sources, const char *bench, struct counts *counts,
                 char *err, size_t err_size)
{
    *counts = (struct counts){0};
    for (size_t i = 0; i < e->sheet.count; i++) {
        const struct sheet_line *line = &e->sheet.line[i];
        struct asked asked = {sources, bench, line->field[ENGINES]};
        counts->event[i] = expr_value(&line->expr, &(struct scope){lookup, &asked});
        if (counts->event[i].state == VALUE_WRONG)
            return text_wrong(e->sheet.text.path, line->number, err, err_size, "%s", counts->event[i].why);
    }
    return 0;
}

void events_change(const struct events_map *e, const struct sources *sources, struct counts *counts)
{
    for (size_t i = 0; i < e->sheet.count; i++) {
        const struct change *change = sources_changed(sources, e->sheet.line[i].name, true);
        if (change)
            counts->event[i] = value_of(change->number, CLASS_ASSUMED);
    }
}

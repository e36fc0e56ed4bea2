// SPDX-License-Identifier: BSD-2-Clause
// A policy, with another behind it for what it does not say. Its lines are made for one processor at a time.
#include "model/policy.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BASES_MAX = 8 };
enum { TITLE, BASE, ENGINE, PAGING }; // heads

static const struct sheet_kind kind = {
    .head = {[TITLE] = "title", [BASE] = "base", [ENGINE] = "engine", [PAGING] = "paging"},
    .fields = 1,
    .form = "event = expression | source",
};

// ---- Files ----

static struct policy *load(const char *folder, const char *name, const struct events_map *events,
                           struct sources *sources, unsigned depth, char *err, size_t err_size);

static int fill(struct policy *p, const char *folder, unsigned depth, char *err, size_t err_size)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s.policy", folder, p->name);
    if (sheet_read(&p->sheet, path, &kind, err, err_size) ||
        sheet_check_typed(&p->sheet, &p->sources->figures, err, err_size))
        return -1;
    if (!p->sheet.head[TITLE])
        return text_wrong(path, 0, err, err_size, "no line `title = ...`");
    if (!p->sheet.head[BASE])
        return 0;
    if (depth == BASES_MAX)
        return text_wrong(path, 0, err, err_size, "based on more than %d policies, one on another", BASES_MAX);
    p->base = load(folder, p->sheet.head[BASE], p->events, p->sources, depth + 1, err, err_size);
    return p->base ? 0 : -1;
}

static struct policy *load(const char *folder, const char *name, const struct events_map *events,
                           struct sources *sources, unsigned depth, char *err, size_t err_size)
{
    struct policy *p = calloc(1, sizeof *p);
    if (!p || strlen(name) >= sizeof p->name || strchr(name, '/')) {
        snprintf(err, err_size, p ? "no policy can have the name '%.100s'" : "no memory", name);
        free(p);
        return NULL;
    }
    p->events = events;
    p->sources = sources;
    snprintf(p->name, sizeof p->name, "%s", name);
    if (!fill(p, folder, depth, err, err_size))
        return p;
    policy_free(p);
    return NULL;
}

struct policy *policy_load(const char *folder, const char *name, const struct events_map *events,
                           struct sources *sources, char *err, size_t err_size)
{
    return load(folder, name, events, sources, 0, err, err_size);
}

void policy_free(struct policy *p)
{
    if (!p)
        return;
    policy_free(p->base);
    sheet_free(&p->sheet);
    free(p);
}

const char *policy_title(const struct policy *p)
{
    return p->sheet.head[TITLE];
}

// ---- Prices ----

struct pricing {
    struct policy *policy; // the one asked for, not its base
    struct profile *profile;
};

static struct value line_value(struct pricing *pricing, const char *name, bool *found);

// A name is an auxiliary line's, or else a primitive's: events have names of their own, and cost() asks for them.
static struct value lookup(void *context, const char *function, const char *name)
{
    struct pricing *pricing = context;
    bool event = events_find(pricing->policy->events, name) >= 0, found;
    if (function && strcmp(function, "cost"))
        return sources_value(pricing->policy->sources, function, name);
    if (function && !event)
        return value_none(VALUE_WRONG, "no event '%.60s'", name);
    if (function || !event) {
        struct value v = line_value(pricing, name, &found);
        if (found)
            return v;
        if (function)
            return value_none(VALUE_MISSING, "%.60s does not price %.40s", pricing->policy->name, name);
    }
    return profile_value(pricing->profile, name);
}

static struct value line_value(struct pricing *pricing, const char *name, bool *found)
{
    struct scope scope = {lookup, pricing};
    for (struct policy *p = pricing->policy; p; p = p->base) {
        struct sheet_line *line = sheet_find(&p->sheet, name);
        if (!line)
            continue;
        *found = true;
        return sheet_value(&p->sheet, line, &scope);
    }
    *found = false;
    return value_none(VALUE_MISSING, "%.60s does not price %.40s", pricing->policy->name, name);
}

// Lines that another one with the same name stands before are not in use.
static int price_all(struct pricing *pricing, struct policy *p, struct prices *prices, char *err, size_t err_size)
{
    bool found;
    for (size_t i = 0; i < p->sheet.count; i++) {
        struct value v = line_value(pricing, p->sheet.line[i].name, &found);
        set_unite(&prices->from, &v.from);
        if (v.state == VALUE_WRONG) {
            snprintf(err, err_size, "%s", v.why);
            return -1;
        }
    }
    return p->base ? price_all(pricing, p->base, prices, err, err_size) : 0;
}

int policy_price(struct policy *p, struct profile *profile, struct prices *prices, char *err, size_t err_size)
{
    struct pricing pricing = {p, profile};
    bool found;
    *prices = (struct prices){0};
    for (struct policy *each = p; each; each = each->base)
        sheet_forget(&each->sheet);
    if (price_all(&pricing, p, prices, err, err_size))
        return -1;
    for (size_t i = 0; i < p->events->sheet.count; i++)
        prices->event[i] = line_value(&pricing, events_name(p->events, i), &found);
    return 0;
}

bool policy_cites(const struct policy *p, const struct figure *figure, char *where, size_t where_size)
{
    for (; p; p = p->base) {
        const struct sheet_line *line = sheet_cites(&p->sheet, figure);
        if (line)
            return snprintf(where, where_size, "%s.policy:%u", p->name, line->number), true;
    }
    return false;
}

// ---- Beside it ----

// A back end of KVM that is no hardware is never a figure of hardware.
static bool works_alike(const struct policy *p, const char *engine)
{
    const struct measured_engine *found = measurements_engine(&p->sources->measurements, engine);
    if (!found || (!strncmp(engine, "vtx", 3) && !found->hardware))
        return false;
    return !p->sheet.head[PAGING] || strstr(found->paging, p->sheet.head[PAGING]);
}

bool policy_measured(const struct policy *p, const char *bench, double *cycles, char engine[static MEASURED_NAME_MAX])
{
    const char *at = p->sheet.head[ENGINE];
    for (at = at ? at : ""; *at; at += strspn(at, ", ")) {
        size_t length = strcspn(at, ", ");
        snprintf(engine, MEASURED_NAME_MAX, "%.*s", (int)length, at);
        at += length;
        if (works_alike(p, engine) && measurements_cycles(&p->sources->measurements, engine, bench, cycles))
            return true;
    }
    return false;
}

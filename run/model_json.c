// SPDX-License-Identifier: BSD-2-Clause
// What the model says, as JSON. A number that is not known is null, with `why` beside it.
#include <math.h>
#include <stdio.h>

#include "run/model_report.h"

static json_t *json_value(const struct value *v)
{
    return v->state == VALUE_KNOWN ? json_real(v->number) : json_null();
}

static json_t *json_sum(const struct value *v)
{
    json_t *o = json_pack("{s:o, s:s}", "cycles", json_value(v), "class", class_name(v->class));
    if (v->state != VALUE_KNOWN)
        json_object_set_new(o, "why", json_string(v->why));
    return o;
}

// The names of all figures in a set.
static json_t *json_from(const struct model *m, const struct figure_set *set)
{
    json_t *list = json_array();
    for (size_t i = 0; i < m->sources.figures.count; i++)
        if (set_has(set, i))
            json_array_append_new(list, json_string(m->sources.figures.figure[i].name));
    return list;
}

static json_t *json_parts(const struct model *m, const struct answer *a)
{
    json_t *list = json_array();
    for (size_t i = 0; i < m->events.sheet.count; i++) {
        const struct value *part = &a->own.part[i], *count = &a->counts.event[i];
        if (part->state == VALUE_KNOWN && part->number == 0 && count->state == VALUE_KNOWN && count->number == 0)
            continue;
        json_t *o = json_sum(part);
        json_object_set_new(o, "event", json_string(events_name(&m->events, i)));
        json_object_set_new(o, "count", json_value(count));
        json_object_set_new(o, "cost", json_value(&a->basis.prices->event[i]));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *json_comparison(const struct comparison *c)
{
    double error;
    json_t *o = json_pack("{s:f, s:o, s:s, s:s}", "figure", c->against, "predicted", json_value(&c->predicted), "class",
                          class_name(c->predicted.class), "kind", c->set ? "set" : "prediction");
    if (c->target) {
        json_object_set_new(o, "name", json_string(c->target->name));
        json_object_set_new(o, "meaning", json_string(target_meaning(c->target)));
    } else {
        json_object_set_new(o, "engine", json_string(c->engine));
    }
    json_object_set_new(o, "error", comparison_error(c, &error) ? json_real(error) : json_null());
    if (c->set)
        json_object_set_new(o, "by", json_string(c->by));
    if (c->predicted.state != VALUE_KNOWN)
        json_object_set_new(o, "why", json_string(c->predicted.why));
    return o;
}

json_t *json_answer(const struct model *m, const struct answer *a)
{
    json_t *o = json_sum(&a->own.cycles), *published = json_array(), *measured = json_null();
    for (size_t i = 0; i < a->comparison_count; i++) {
        json_t *comparison = json_comparison(&a->comparison[i]);
        if (a->comparison[i].target)
            json_array_append_new(published, comparison);
        else
            measured = comparison;
    }
    json_object_set_new(o, "bench", json_string(a->basis.bench));
    json_object_set_new(o, "policy", json_string(a->basis.policy->name));
    json_object_set_new(o, "profile", json_string(a->basis.profile->name));
    json_object_set_new(o, "parts", json_parts(m, a));
    json_object_set_new(o, "rests_on", json_from(m, &a->own.cycles.from));
    json_object_set_new(o, "measured", measured);
    json_object_set_new(o, "published", published);
    return o;
}

json_t *json_score(struct score *s)
{
    double median = score_median(s);
    return json_pack("{s:I, s:I, s:I, s:o, s:I}", "predictions", (json_int_t)s->predictions, "set", (json_int_t)s->sets,
                     "unknown", (json_int_t)s->unknown, "median_error", isnan(median) ? json_null() : json_real(median),
                     "within_25_percent", (json_int_t)score_within(s, 0.25));
}

// ---- What there is ----

static json_t *json_names(const struct model *m, const char *kind, char *err, size_t err_size)
{
    struct names names;
    if (model_names(m, kind, &names, err, err_size))
        return NULL;
    json_t *list = json_array();
    for (size_t i = 0; i < names.count; i++)
        json_array_append_new(list, json_string(names.name[i]));
    return list;
}

json_t *json_list(struct model *m, char *err, size_t err_size)
{
    json_t *o = json_object(), *events = json_array(), *figures = json_array(), *targets = json_array();
    static const struct {
        const char *kind, *key;
    } kinds[] = {{"profile", "profiles"}, {"policy", "policies"}, {"mix", "mixes"}};
    bool wrong = false;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        json_t *names = json_names(m, kinds[i].kind, err, err_size);
        wrong = wrong || !names;
        json_object_set_new(o, kinds[i].key, names ? names : json_null());
    }
    for (size_t i = 0; i < m->events.sheet.count; i++)
        json_array_append_new(events, json_pack("{s:s, s:s}", "name", events_name(&m->events, i), "meaning",
                                                events_meaning(&m->events, i)));
    for (size_t i = 0; i < m->sources.figures.count; i++)
        json_array_append_new(figures, json_pack("{s:s, s:f}", "name", m->sources.figures.figure[i].name, "value",
                                                 m->sources.figures.figure[i].number));
    for (size_t i = 0; i < m->targets.sheet.count; i++)
        json_array_append_new(targets, json_string(m->targets.sheet.line[i].name));
    json_object_set_new(o, "events", events);
    json_object_set_new(o, "figures", figures);
    json_object_set_new(o, "targets", targets);
    if (!wrong)
        return o;
    json_decref(o);
    return NULL;
}

// ---- A map ----

static json_t *json_axis(const struct axis *axis)
{
    json_t *values = json_array();
    for (size_t i = 0; i < axis->steps; i++)
        json_array_append_new(values, json_real(axis_at(axis, i)));
    return json_pack("{s:s, s:b, s:o}", "name", axis->name, "log", axis->log, "values", values);
}

// One list a value of y, with one entry a value of x: a policy's cycles, or where policy is -1 the cheapest's name.
static json_t *json_cells(const struct map *map, int policy)
{
    json_t *rows = json_array();
    for (size_t y = 0; y < map->y.steps; y++) {
        json_t *row = json_array();
        for (size_t x = 0; x < map->x.steps; x++) {
            int best = map_cheapest(map, x, y);
            json_array_append_new(row, policy >= 0 ? json_value(map_at(map, x, y, (size_t)policy))
                                       : best >= 0 ? json_string(map->policy[best]->name)
                                                   : json_null());
        }
        json_array_append_new(rows, row);
    }
    return rows;
}

json_t *json_map(const struct map *map)
{
    json_t *cycles = json_object();
    for (size_t i = 0; i < map->policies; i++)
        json_object_set_new(cycles, map->policy[i]->name, json_cells(map, (int)i));
    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o}", "bench", map->bench, "profile", map->profile->name, "x",
                     json_axis(&map->x), "y", json_axis(&map->y), "cycles", cycles, "cheapest", json_cells(map, -1));
}

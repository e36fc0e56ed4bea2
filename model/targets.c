// SPDX-License-Identifier: BSD-2-Clause
// The names of a target's expression: cycles, native, part(), native(), and the processor's primitives.
#include "model/targets.h"

#include <string.h>

enum { BENCH, POLICY, PROFILE, MEANING }; // fields

int targets_read(struct targets *t, const char *path, const struct figures *figures, char *err, size_t err_size)
{
    static const struct sheet_kind kind = {
        .fields = 4, .form = "figure = expression | benchmark | policy | profile | meaning", .free_names = true};
    if (sheet_read(&t->sheet, path, &kind, err, err_size))
        return -1;
    for (size_t i = 0; i < t->sheet.count; i++)
        if (figures_find(figures, t->sheet.line[i].name) == FIGURE_NONE)
            return text_wrong(path, t->sheet.line[i].number, err, err_size, "no published figure '%.100s'",
                              t->sheet.line[i].name);
    return sheet_check_typed(&t->sheet, figures, err, err_size);
}

void targets_free(struct targets *t)
{
    sheet_free(&t->sheet);
}

const char *target_bench(const struct sheet_line *target)
{
    return target->field[BENCH];
}

const char *target_policy(const struct sheet_line *target)
{
    return target->field[POLICY];
}

const char *target_profile(const struct sheet_line *target)
{
    return target->field[PROFILE];
}

const char *target_meaning(const struct sheet_line *target)
{
    return target->field[MEANING];
}

static struct value lookup(void *context, const char *function, const char *name)
{
    const struct target_case *c = context;
    const char *whose = function ? function : name;
    const struct prediction *of = !strcmp(whose, "native") ? c->native : c->own;
    bool part = function && (!strcmp(function, "native") || !strcmp(function, "part"));
    int event = part ? events_find(c->events, name) : -1;
    if (part)
        return event >= 0 ? of->part[event] : value_none(VALUE_WRONG, "no event '%.60s'", name);
    if (function)
        return sources_value(c->profile->sources, function, name);
    if (!strcmp(name, "cycles") || !strcmp(name, "native"))
        return of->cycles;
    return profile_value(c->profile, name);
}

struct value target_value(struct targets *t, struct sheet_line *target, struct target_case *c)
{
    target->state = LINE_NEW;
    return sheet_value(&t->sheet, target, &(struct scope){lookup, c});
}

// SPDX-License-Identifier: BSD-2-Clause
// Counts by hand, with a source for each.
#include "model/mix.h"

#include <stdio.h>
#include <string.h>

static int check_events(const struct mix *m, char *err, size_t err_size)
{
    for (size_t i = 0; i < m->sheet.count; i++) {
        const struct sheet_line *line = &m->sheet.line[i];
        if (events_find(m->events, line->name) < 0)
            return text_wrong(m->sheet.text.path, line->number, err, err_size, "no event '%.60s'", line->name);
    }
    return 0;
}

int mix_read(struct mix *m, const char *path, const struct events_map *events, const struct figures *figures, char *err,
             size_t err_size)
{
    static const struct sheet_kind kind = {.head = {"title"}, .fields = 1, .form = "event = expression | source"};
    const char *slash = strrchr(path, '/'), *stem = slash ? slash + 1 : path, *dot = strrchr(stem, '.');
    m->events = events;
    snprintf(m->bench, sizeof m->bench, "mix/%.*s", (int)(dot ? dot - stem : (long)strlen(stem)), stem);
    if (sheet_read(&m->sheet, path, &kind, err, err_size) || check_events(m, err, err_size))
        return -1;
    return sheet_check_typed(&m->sheet, figures, err, err_size);
}

void mix_free(struct mix *m)
{
    sheet_free(&m->sheet);
}

const char *mix_title(const struct mix *m)
{
    return m->sheet.head[0] ? m->sheet.head[0] : "";
}

static struct value lookup(void *context, const char *function, const char *name)
{
    struct profile *profile = context;
    return function ? sources_value(profile->sources, function, name) : profile_value(profile, name);
}

int mix_count(struct mix *m, struct profile *profile, struct counts *counts, char *err, size_t err_size)
{
    *counts = (struct counts){0};
    sheet_forget(&m->sheet);
    for (size_t i = 0; i < m->sheet.count; i++) {
        struct value v = sheet_value(&m->sheet, &m->sheet.line[i], &(struct scope){lookup, profile});
        if (v.state == VALUE_WRONG) {
            snprintf(err, err_size, "%s", v.why);
            return -1;
        }
        counts->event[events_find(m->events, m->sheet.line[i].name)] = v;
    }
    return 0;
}

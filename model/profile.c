// SPDX-License-Identifier: BSD-2-Clause
// A profile, with another behind it for what it does not say.
#include "model/profile.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BASES_MAX = 8 };
enum { TITLE, BASE, MACHINE }; // heads

static const struct sheet_kind kind = {
    .head = {[TITLE] = "title", [BASE] = "base", [MACHINE] = "machine"},
    .fields = 2,
    .form = "primitive = expression | class | source",
    .classed = true,
};

static struct value lookup(void *context, const char *function, const char *name)
{
    struct profile *p = context;
    if (function)
        return sources_value(p->sources, function, name);
    if (!profile_has(p, name))
        return value_none(VALUE_WRONG, "no primitive '%.60s' in this profile", name);
    return profile_value(p, name);
}

static int evaluate(struct profile *p, char *err, size_t err_size)
{
    for (size_t i = 0; i < p->sheet.count; i++) {
        struct value v = profile_value(p, p->sheet.line[i].name);
        if (v.state == VALUE_WRONG) {
            snprintf(err, err_size, "%s", v.why);
            return -1;
        }
    }
    return 0;
}

static int check_heads(const struct profile *p, char *err, size_t err_size)
{
    const char *machine = p->sheet.head[MACHINE];
    if (!p->sheet.head[TITLE])
        return text_wrong(p->sheet.text.path, 0, err, err_size, "no line `title = ...`");
    if (machine && strcmp(machine, "results"))
        return text_wrong(p->sheet.text.path, 0, err, err_size, "machine can only be `results`");
    return 0;
}

static struct profile *load(const char *folder, const char *name, struct sources *sources, unsigned depth, char *err,
                            size_t err_size);

static int fill(struct profile *p, const char *folder, unsigned depth, char *err, size_t err_size)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s.profile", folder, p->name);
    if (sheet_read(&p->sheet, path, &kind, err, err_size) || check_heads(p, err, err_size) ||
        sheet_check_typed(&p->sheet, &p->sources->figures, err, err_size))
        return -1;
    if (p->sheet.head[BASE] && depth == BASES_MAX)
        return text_wrong(path, 0, err, err_size, "based on more than %d profiles, one on another", BASES_MAX);
    if (p->sheet.head[BASE] && !(p->base = load(folder, p->sheet.head[BASE], p->sources, depth + 1, err, err_size)))
        return -1;
    return evaluate(p, err, err_size);
}

static struct profile *load(const char *folder, const char *name, struct sources *sources, unsigned depth, char *err,
                            size_t err_size)
{
    struct profile *p = calloc(1, sizeof *p);
    if (!p || strlen(name) >= sizeof p->name || strchr(name, '/')) {
        snprintf(err, err_size, p ? "no profile can have the name '%.100s'" : "no memory", name);
        free(p);
        return NULL;
    }
    p->sources = sources;
    snprintf(p->name, sizeof p->name, "%s", name);
    if (!fill(p, folder, depth, err, err_size))
        return p;
    profile_free(p);
    return NULL;
}

struct profile *profile_load(const char *folder, const char *name, struct sources *sources, char *err, size_t err_size)
{
    return load(folder, name, sources, 0, err, err_size);
}

void profile_free(struct profile *p)
{
    if (!p)
        return;
    profile_free(p->base);
    sheet_free(&p->sheet);
    free(p);
}

const char *profile_title(const struct profile *p)
{
    return p->sheet.head[TITLE];
}

bool profile_is_of_results(const struct profile *p)
{
    return p->sheet.head[MACHINE] != NULL;
}

bool profile_has(const struct profile *p, const char *primitive)
{
    return p && (sheet_find(&p->sheet, primitive) || profile_has(p->base, primitive));
}

struct value profile_value(struct profile *p, const char *primitive)
{
    const struct change *change = sources_changed(p->sources, primitive, false);
    struct sheet_line *line = sheet_find(&p->sheet, primitive);
    if (change)
        return value_of(change->number, CLASS_ASSUMED);
    if (line)
        return sheet_value(&p->sheet, line, &(struct scope){lookup, p});
    if (!profile_has(p->base, primitive))
        return value_none(VALUE_MISSING, "%.60s has no %.60s", p->name, primitive);
    struct value v = profile_value(p->base, primitive);
    value_weaken(&v, CLASS_ASSUMED);
    return v;
}

// A line with another of the same name before it is not in use, but the value that stands for it is asked for again.
struct figure_set profile_from(struct profile *top)
{
    struct figure_set all = {0};
    for (const struct profile *p = top; p; p = p->base)
        for (size_t i = 0; i < p->sheet.count; i++) {
            struct value v = profile_value(top, p->sheet.line[i].name);
            set_unite(&all, &v.from);
        }
    return all;
}

bool profile_cites(const struct profile *p, const struct figure *figure, char *where, size_t where_size)
{
    for (; p; p = p->base) {
        const struct sheet_line *line = sheet_cites(&p->sheet, figure);
        if (line)
            return snprintf(where, where_size, "%s.profile:%u", p->name, line->number), true;
    }
    return false;
}

void profile_forget(struct profile *p)
{
    sheet_forget(&p->sheet);
    if (p->base)
        profile_forget(p->base);
}

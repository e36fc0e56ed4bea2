// SPDX-License-Identifier: BSD-2-Clause
// Splits lines into names, expressions and fields. Nobody is trusted to have written them well.
#include "model/sheet.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RUNNING_MAX = 40 }; // lines that need one another, in a row

struct reader {
    struct sheet *s;
    const struct sheet_kind *kind;
    unsigned number;
    char *err;
    size_t err_size;
};

static int wrong(const struct reader *r, const char *what)
{
    return text_wrong(r->s->text.path, r->number, r->err, r->err_size, "%s", what);
}

static int bad_form(const struct reader *r)
{
    return text_wrong(r->s->text.path, r->number, r->err, r->err_size, "no line of the form `%s`", r->kind->form);
}

static bool is_name(const char *name)
{
    if (!isalpha((unsigned char)*name) && *name != '_')
        return false;
    while (isalnum((unsigned char)*name) || *name == '_')
        name++;
    return !*name;
}

// The fields behind the expression; each needs words.
static int read_fields(const struct reader *r, struct sheet_line *line, char *rest)
{
    size_t count = 0;
    for (; rest; count++) {
        char *bar = strchr(rest, '|');
        if (bar)
            *bar = '\0';
        rest = text_trim(rest);
        if (count == r->kind->fields || !*rest)
            return bad_form(r);
        line->field[count] = rest;
        rest = bar ? bar + 1 : NULL;
    }
    if (count != r->kind->fields)
        return bad_form(r);
    if (r->kind->classed && !class_named(line->field[0], &line->class))
        return wrong(r, "the class is none of published, measured, fitted, assumed");
    return 0;
}

static int read_line(const struct reader *r, char *name, char *rest)
{
    char what[160];
    struct sheet *s = r->s;
    if (sheet_find(s, name))
        return wrong(r, "a second line of this name");
    if (!r->kind->free_names && !is_name(name))
        return wrong(r, "what stands before the = is no name: letters, digits and _");
    if (s->count == SHEET_LINES_MAX)
        return wrong(r, "too many lines");
    char *bar = strchr(rest, '|');
    if (!bar)
        return bad_form(r);
    *bar = '\0';
    struct sheet_line *line = &s->line[s->count++];
    *line = (struct sheet_line){.name = name, .number = r->number};
    if (expr_parse(&line->expr, rest, what, sizeof what))
        return wrong(r, what);
    return read_fields(r, line, bar + 1);
}

static int read_any(const struct reader *r, char *words)
{
    char *equals = strchr(words, '=');
    if (!equals)
        return bad_form(r);
    *equals = '\0';
    char *name = text_trim(words), *rest = text_trim(equals + 1);
    for (size_t i = 0; r->kind->head[i]; i++) {
        if (strcmp(r->kind->head[i], name))
            continue;
        if (r->s->head[i] || !*rest)
            return wrong(r, *rest ? "a second line of this name" : "nothing behind the =");
        r->s->head[i] = rest;
        return 0;
    }
    return read_line(r, name, rest);
}

int sheet_read(struct sheet *s, const char *path, const struct sheet_kind *kind, char *err, size_t err_size)
{
    *s = (struct sheet){0};
    if (text_read(&s->text, path, err, err_size))
        return -1;
    s->line = calloc(SHEET_LINES_MAX, sizeof *s->line);
    if (!s->line)
        return text_wrong(path, 0, err, err_size, "no memory");
    for (size_t i = 0; i < s->text.count; i++) {
        struct reader r = {s, kind, s->text.line[i].number, err, err_size};
        if (*s->text.line[i].words != '#' && read_any(&r, s->text.line[i].words))
            return -1;
    }
    struct sheet_line *fitting = reallocarray(s->line, s->count + 1, sizeof *fitting);
    s->line = fitting ? fitting : s->line;
    return 0;
}

void sheet_free(struct sheet *s)
{
    for (size_t i = 0; i < s->count; i++)
        expr_free(&s->line[i].expr);
    free(s->line);
    text_free(&s->text);
    *s = (struct sheet){0};
}

int sheet_check_typed(struct sheet *s, const struct figures *f, char *err, size_t err_size)
{
    s->figures = f;
    for (size_t i = 0; i < s->count; i++) {
        const struct sheet_line *line = &s->line[i];
        bool chance = line->class == CLASS_MEASURED || line->class == CLASS_ASSUMED;
        for (size_t k = 0; !chance && k < line->expr.count; k++) {
            const struct expr_node *node = &line->expr.node[k];
            int typed = node->kind == EXPR_NUMBER ? figures_typed(f, node->number, 0) : FIGURE_NONE;
            if (typed != FIGURE_NONE)
                return text_wrong(s->text.path, line->number, err, err_size,
                                  "%.10g is a published figure: write ref(%.200s)", node->number,
                                  f->figure[typed].name);
        }
    }
    return 0;
}

// All figures that a line has as numbers.
static void add_typed(const struct sheet *s, const struct sheet_line *line, struct figure_set *set)
{
    for (size_t k = 0; s->figures && k < line->expr.count; k++) {
        const struct expr_node *node = &line->expr.node[k];
        int at = node->kind == EXPR_NUMBER ? figures_typed(s->figures, node->number, 0) : FIGURE_NONE;
        for (; at != FIGURE_NONE; at = figures_typed(s->figures, node->number, (size_t)at + 1))
            set_add(set, (size_t)at);
    }
}

struct sheet_line *sheet_find(const struct sheet *s, const char *name)
{
    for (size_t i = 0; i < s->count; i++)
        if (!strcmp(s->line[i].name, name))
            return &s->line[i];
    return NULL;
}

static bool cites(const struct sheet *s, const struct expr_node *node, const struct figure *figure)
{
    char name[320];
    if (node->kind == EXPR_NUMBER && !figure->measured && s->figures && node->number == figure->number)
        return figures_typed(s->figures, node->number, 0) != FIGURE_NONE;
    if (node->kind != EXPR_NAME || !node->function)
        return false;
    if (!figure->measured)
        return !strcmp(node->function, "ref") && !strcmp(node->name, figure->name);
    snprintf(name, sizeof name, "%s(%s)", node->function, node->name);
    return !strcmp(name, figure->name);
}

// By its name, or typed as a number.
const struct sheet_line *sheet_cites(const struct sheet *s, const struct figure *figure)
{
    for (size_t i = 0; i < s->count; i++)
        for (size_t k = 0; k < s->line[i].expr.count; k++)
            if (cites(s, &s->line[i].expr.node[k], figure))
                return &s->line[i];
    return NULL;
}

void sheet_forget(struct sheet *s)
{
    for (size_t i = 0; i < s->count; i++)
        s->line[i].state = LINE_NEW;
}

// A line can be told by the last part of the path: FILE:LINE.
static struct value locate(const struct sheet *s, const struct sheet_line *line, const char *why)
{
    const char *slash = strrchr(s->text.path, '/');
    struct value v = value_none(VALUE_WRONG, "%.60s:%u: %.80s", slash ? slash + 1 : s->text.path, line->number, why);
    v.placed = true;
    return v;
}

static size_t running(const struct sheet *s)
{
    size_t count = 0;
    for (size_t i = 0; i < s->count; i++)
        count += s->line[i].state == LINE_RUNNING;
    return count;
}

struct value sheet_value(struct sheet *s, struct sheet_line *line, const struct scope *scope)
{
    if (line->state == LINE_DONE)
        return line->value;
    if (line->state == LINE_RUNNING)
        return locate(s, line, "needs itself");
    if (running(s) == RUNNING_MAX)
        return locate(s, line, "too many lines that need one another");
    line->state = LINE_RUNNING;
    line->value = expr_value(&line->expr, scope);
    add_typed(s, line, &line->value.from);
    line->state = LINE_DONE;
    value_weaken(&line->value, line->class);
    if (line->value.state == VALUE_WRONG && !line->value.placed) {
        struct figure_set from = line->value.from;
        line->value = locate(s, line, line->value.why);
        line->value.from = from;
    }
    return line->value;
}

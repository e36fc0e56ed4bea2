// SPDX-License-Identifier: BSD-2-Clause
// Reads the reference files, which have different shapes, and keeps figures by name.
#include "model/figures.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/text.h"

enum { CELLS_MAX = 16, NAME_SIZE = 256 };

int figures_find(const struct figures *f, const char *name)
{
    for (size_t i = 0; i < f->count; i++)
        if (!strcmp(f->figure[i].name, name))
            return (int)i;
    return FIGURE_NONE;
}

int figures_add(struct figures *f, const char *name, double number, bool measured)
{
    char *kept = f->count < FIGURES_MAX ? strdup(name) : NULL;
    struct figure *more = kept ? reallocarray(f->figure, f->count + 1, sizeof *more) : NULL;
    if (!more) {
        free(kept);
        return FIGURE_NONE;
    }
    f->figure = more;
    more[f->count] = (struct figure){.name = kept, .number = number, .measured = measured};
    return (int)f->count++;
}

void figures_free(struct figures *f)
{
    for (size_t i = 0; i < f->count; i++)
        free(f->figure[i].name);
    free(f->figure);
    *f = (struct figures){0};
}

struct value figure_value(const struct figures *f, int at)
{
    const struct figure *figure = &f->figure[at];
    struct value v = value_of(figure->number, figure->measured ? CLASS_MEASURED : CLASS_PUBLISHED);
    v.from = figure->made_of;
    set_add(&v.from, (size_t)at);
    return v;
}

static unsigned digits(double number)
{
    char text[32];
    unsigned count = 0, last = 0;
    snprintf(text, sizeof text, "%.14e", fabs(number));
    for (const char *c = text; *c && *c != 'e'; c++) {
        count += *c != '.';
        last = *c != '.' && *c != '0' ? count : last;
    }
    return last;
}

int figures_typed(const struct figures *f, double number, size_t from)
{
    bool telling = digits(number) >= 3;
    for (size_t i = from; telling && i < f->count; i++)
        if (f->figure[i].number == number && !f->figure[i].measured)
            return (int)i;
    return FIGURE_NONE;
}

// ---- Reference files ----

struct columns {
    char *name[CELLS_MAX];
    size_t count;
    char *made, *part[CELLS_MAX]; // the column that was computed from others, NULL: none
    size_t parts;
};

// Splits at commas, in place; what is behind the last column's beginning belongs to it.
static size_t split(char *line, char *cell[static CELLS_MAX], size_t most)
{
    size_t count = 0;
    for (char *rest = line; rest && count < most;) {
        char *comma = count + 1 < most ? strchr(rest, ',') : NULL;
        if (comma)
            *comma = '\0';
        cell[count++] = text_trim(rest);
        rest = comma ? comma + 1 : NULL;
    }
    return count;
}

// A number, alone or with words behind it.
static bool is_number(const char *cell, double *number)
{
    char *end;
    if (!strchr("+-.0123456789", *cell) || !*cell || (cell[0] == '0' && (cell[1] | 0x20) == 'x'))
        return false;
    *number = strtod(cell, &end);
    return end != cell && (!*end || *end == ' ') && isfinite(*number);
}

struct place {
    const char *path, *stem; // FILE of FILE.ROW.COLUMN
    unsigned line;
    char *err;
    size_t err_size;
};

static int add_figure(struct figures *f, const struct place *p, const char *row, const char *column, double number)
{
    char name[2 * NAME_SIZE];
    snprintf(name, sizeof name, "%s.%s.%s", p->stem, row, column);
    if (figures_find(f, name) != FIGURE_NONE)
        return text_wrong(p->path, p->line, p->err, p->err_size, "a second %.200s", name);
    if (figures_add(f, name, number, false) == FIGURE_NONE)
        return text_wrong(p->path, p->line, p->err, p->err_size, "more than %d figures", FIGURES_MAX);
    return 0;
}

static int read_row(struct figures *f, const struct place *p, const struct columns *columns, char *line)
{
    char *cell[CELLS_MAX], row[NAME_SIZE] = "";
    size_t count = split(line, cell, columns->count), used = 0, found = 0;
    for (size_t i = 0; i < count; i++) {
        double number;
        if (!strcmp(columns->name[i], "note") || !strcmp(columns->name[i], "source"))
            break;
        if (is_number(cell[i], &number)) {
            found++;
            if (add_figure(f, p, row, columns->name[i], number))
                return -1;
        } else if (!found && strcmp(columns->name[i], "unit")) {
            used += (size_t)snprintf(row + used, sizeof row - used, "%s%s", used ? "/" : "", cell[i]);
            if (used >= sizeof row)
                return text_wrong(p->path, p->line, p->err, p->err_size, "the row's name is too long");
        }
    }
    if (!found || !used)
        return text_wrong(p->path, p->line, p->err, p->err_size, "a row without %s", found ? "a name" : "a number");
    return 0;
}

// A comment: its last word may be the columns' names, unless it says what a column was made of.
static void read_comment(struct columns *columns, char *comment)
{
    static const char made_of[] = "# made of: ";
    char *blank = strrchr(comment, ' '), *equals = strchr(comment, '=');
    if (!strncmp(comment, made_of, strlen(made_of)) && equals) {
        *equals = '\0';
        columns->made = text_trim(comment + strlen(made_of));
        columns->parts = split(equals + 1, columns->part, CELLS_MAX);
    } else {
        columns->count = blank ? split(blank + 1, columns->name, CELLS_MAX) : 0;
    }
}

static bool is_column(const struct figure *figure, const char *column)
{
    const char *dot = strrchr(figure->name, '.');
    return dot && !strcmp(dot + 1, column);
}

// The figures of one row are those from `first` on.
static void note_parts(struct figures *f, size_t first, const struct columns *columns)
{
    for (size_t made = first; columns->made && made < f->count; made++)
        for (size_t of = first; is_column(&f->figure[made], columns->made) && of < f->count; of++)
            for (size_t i = 0; i < columns->parts; i++)
                if (is_column(&f->figure[of], columns->part[i]))
                    set_add(&f->figure[made].made_of, of);
}

static int read_rows(struct figures *f, struct text *t, const char *stem, char *err, size_t err_size)
{
    struct columns columns = {0};
    bool rows = false;
    for (size_t i = 0; i < t->count; i++) {
        char *line = t->line[i].words;
        struct place p = {t->path, stem, t->line[i].number, err, err_size};
        size_t first = f->count;
        if (*line == '#' && !rows)
            read_comment(&columns, line);
        if (*line == '#')
            continue;
        rows = true;
        if (columns.count < 2)
            return text_wrong(t->path, p.line, err, err_size, "no comment above the first row names its columns");
        if (read_row(f, &p, &columns, line))
            return -1;
        note_parts(f, first, &columns);
    }
    return 0;
}

static int is_csv(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);
    return length > 4 && length < NAME_SIZE / 2 && !strcmp(entry->d_name + length - 4, ".csv");
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int read_file(struct figures *f, const char *folder, const char *file, char *err, size_t err_size)
{
    char path[PATH_MAX], stem[NAME_SIZE];
    struct text t;
    snprintf(path, sizeof path, "%s/%s", folder, file);
    snprintf(stem, sizeof stem, "%.*s", (int)(strlen(file) - strlen(".csv")), file);
    int result = text_read(&t, path, err, err_size);
    if (!result)
        result = read_rows(f, &t, stem, err, err_size);
    text_free(&t);
    return result;
}

int figures_read(struct figures *f, const char *folder, char *err, size_t err_size)
{
    struct dirent **entry;
    int count = scandir(folder, &entry, is_csv, by_name), result = 0;
    if (count < 0)
        return text_wrong(folder, 0, err, err_size, "%s", strerror(errno));
    for (int i = 0; i < count; i++) {
        if (!result)
            result = read_file(f, folder, entry[i]->d_name, err, err_size);
        free(entry[i]);
    }
    free(entry);
    return result;
}

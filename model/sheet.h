// SPDX-License-Identifier: BSD-2-Clause
// What the model's files have in common: lines `NAME = EXPRESSION | FIELD | ...` and heads `NAME = TEXT`, read, checked
// for their form, and evaluated each at most once.
#ifndef RINGSIDE_MODEL_SHEET_H
#define RINGSIDE_MODEL_SHEET_H

#include "model/expr.h"
#include "model/figures.h"
#include "model/text.h"

enum { SHEET_FIELDS_MAX = 4, SHEET_HEADS_MAX = 4, SHEET_LINES_MAX = 500 };

// One kind of file.
struct sheet_kind {
    const char *head[SHEET_HEADS_MAX + 1]; // names whose lines are text, then NULL
    size_t fields;                         // behind the expression
    const char *form;                      // as words: what a line looks like
    bool classed;                          // the first field is a class
    bool free_names;                       // names are any text; elsewhere letters, digits and _
};

struct sheet_line {
    const char *name;
    const char *field[SHEET_FIELDS_MAX];
    unsigned number;
    enum model_class class; // CLASS_PUBLISHED where lines have none: it weakens nothing
    struct expr expr;
    enum { LINE_NEW, LINE_RUNNING, LINE_DONE } state;
    struct value value; // once done
};

struct sheet {
    struct text text;
    struct sheet_line *line;
    size_t count;
    const char *head[SHEET_HEADS_MAX]; // NULL where it is not there
    const struct figures *figures;     // that no line may use in secret, or NULL
};

// 0, or -1 with one line in err; sheet_free() in either case.
int sheet_read(struct sheet *s, const char *path, const struct sheet_kind *kind, char *err, size_t err_size);
void sheet_free(struct sheet *s);

// Numbers that are a published figure's are not to be typed again: -1 and one line in err where a line that is
// published or fitted does. In other lines it may be chance; but from here on they rest on that figure, too.
int sheet_check_typed(struct sheet *s, const struct figures *f, char *err, size_t err_size);

struct sheet_line *sheet_find(const struct sheet *s, const char *name); // or NULL

// The value of a line, at least as weak as its class. Names are the affair of the scope, which may come back here for
// other lines: going round in circles is noticed. What is wrong has FILE:LINE in its words.
struct value sheet_value(struct sheet *s, struct sheet_line *line, const struct scope *scope);

// The first line whose expression names a figure, or NULL.
const struct sheet_line *sheet_cites(const struct sheet *s, const struct figure *figure);

// Every line's value is to be made again.
void sheet_forget(struct sheet *s);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// Every figure that a prediction can be held against, or be made of: the published ones of results/reference/*.csv, and
// the measured ones of the results given. Each has a name, and a place by which a struct figure_set knows it.
#ifndef RINGSIDE_MODEL_FIGURES_H
#define RINGSIDE_MODEL_FIGURES_H

#include "model/value.h"

struct figure {
    char *name; // FILE.ROW.COLUMN; of a measured one measured(ENGINE.SUITE/BENCH)
    double number;
    bool measured;
    struct figure_set made_of; // of figures that a comment `made of` says it was computed from
};

struct figures {
    struct figure *figure;
    size_t count;
};

enum { FIGURE_NONE = -1 };

// Reads every .csv file of a folder, in alphabetical order: the last word of the comment above the first row names the
// columns; a row's name is its cells before its first number, a column `unit` aside, with / between them; a
// column `note` or `source` and what follows it is text. A comment `# made of: COLUMN = COLUMN, COLUMN` says that the
// first was computed from the others, so who uses it has used them. 0, or -1 with one line in err.
int figures_read(struct figures *f, const char *folder, char *err, size_t err_size);
void figures_free(struct figures *f);

// The place of a figure, or FIGURE_NONE.
int figures_find(const struct figures *f, const char *name);
// Adds one, and gives its place, or FIGURE_NONE where there are too many.
int figures_add(struct figures *f, const char *name, double number, bool measured);

// The value of a figure, resting on itself and on what it was made of.
struct value figure_value(const struct figures *f, int at);

// The first published figure from place `from` on that is this very number, where it has three digits or more (zeros at
// its end aside): its place, or FIGURE_NONE.
int figures_typed(const struct figures *f, double number, size_t from);

#endif

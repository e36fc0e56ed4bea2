// SPDX-License-Identifier: BSD-2-Clause
// A number of the model together with what it rests on: the figures that it was made of and how good they are. What a
// prediction may be held against is decided by these two, so nothing in the model hands on a bare number.
#ifndef RINGSIDE_MODEL_VALUE_H
#define RINGSIDE_MODEL_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// From strong to weak. A value is as weak as the weakest that it is made of.
enum model_class { CLASS_PUBLISHED, CLASS_MEASURED, CLASS_FITTED, CLASS_ASSUMED, CLASS_COUNT };

const char *class_name(enum model_class class);
// False where name is none of them.
bool class_named(const char *name, enum model_class *class);

enum { FIGURES_MAX = 1024, WHY_SIZE = 160 };

// A set of figures, by their place in struct figures.
struct figure_set {
    uint64_t bits[FIGURES_MAX / 64];
};

void set_add(struct figure_set *set, size_t figure);
bool set_has(const struct figure_set *set, size_t figure);
void set_unite(struct figure_set *set, const struct figure_set *more);

enum value_state {
    VALUE_KNOWN,
    VALUE_MISSING, // something that it needs is not there: the row that wants it has no figure
    VALUE_WRONG    // what the file says makes no sense: the file is refused
};

struct value {
    enum value_state state;
    enum model_class class;
    double number;      // 0 unless it is known
    char why[WHY_SIZE]; // why it is not known
    bool placed;        // why says already which line is wrong
    struct figure_set from;
};

struct value value_of(double number, enum model_class class);
__attribute__((format(printf, 2, 3))) struct value value_none(enum value_state state, const char *format, ...);

// a OP b, OP being one of + - * / < (the smaller) > (the larger). It rests on both, whatever they are worth.
struct value value_join(const struct value *a, char op, const struct value *b);

// As if it had this class where it has a stronger one.
void value_weaken(struct value *v, enum model_class class);

#endif

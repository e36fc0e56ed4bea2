// SPDX-License-Identifier: BSD-2-Clause
// Arithmetic that keeps account of what it rests on.
#include "model/value.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const class_names[CLASS_COUNT] = {
    [CLASS_PUBLISHED] = "published",
    [CLASS_MEASURED] = "measured",
    [CLASS_FITTED] = "fitted",
    [CLASS_ASSUMED] = "assumed",
};

const char *class_name(enum model_class class)
{
    return class_names[class];
}

bool class_named(const char *name, enum model_class *class)
{
    for (int i = 0; i < CLASS_COUNT; i++)
        if (!strcmp(class_names[i], name))
            return *class = (enum model_class)i, true;
    return false;
}

void set_add(struct figure_set *set, size_t figure)
{
    set->bits[figure / 64] |= 1ull << figure % 64;
}

bool set_has(const struct figure_set *set, size_t figure)
{
    return set->bits[figure / 64] >> figure % 64 & 1;
}

void set_unite(struct figure_set *set, const struct figure_set *more)
{
    for (size_t i = 0; i < FIGURES_MAX / 64; i++)
        set->bits[i] |= more->bits[i];
}

struct value value_of(double number, enum model_class class)
{
    return (struct value){.class = class, .number = number};
}

struct value value_none(enum value_state state, const char *format, ...)
{
    struct value v = {.state = state};
    va_list list;
    va_start(list, format);
    vsnprintf(v.why, sizeof v.why, format, list);
    va_end(list);
    return v;
}

static double apply(double a, char op, double b)
{
    switch (op) {
    case '+':
        return a + b;
    case '-':
        return a - b;
    case '*':
        return a * b;
    case '/':
        return a / b;
    case '<':
        return fmin(a, b);
    default:
        return fmax(a, b);
    }
}

struct value value_join(const struct value *a, char op, const struct value *b)
{
    // What is wrong is told before what is missing.
    struct value v = b->state > a->state ? *b : *a;
    v.class = a->class > b->class ? a->class : b->class;
    v.from = a->from;
    set_unite(&v.from, &b->from);
    if (v.state != VALUE_KNOWN)
        return v;
    v.number = apply(a->number, op, b->number);
    if (isfinite(v.number))
        return v;
    struct value none = value_none(VALUE_WRONG, op == '/' && b->number == 0 ? "divides by 0" : "is too large");
    none.from = v.from;
    return none;
}

void value_weaken(struct value *v, enum model_class class)
{
    if (v->class < class)
        v->class = class;
}

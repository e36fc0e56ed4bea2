// SPDX-License-Identifier: BSD-2-Clause
// Expressions of the model's files: numbers, names, + - * /, parentheses, max(a, b), min(a, b), and FUNCTION(TEXT),
// whose meaning, as that of names, is the affair of whoever evaluates.
#ifndef RINGSIDE_MODEL_EXPR_H
#define RINGSIDE_MODEL_EXPR_H

#include <stddef.h>

#include "model/value.h"

struct expr_node {
    enum { EXPR_NUMBER, EXPR_NAME, EXPR_JOIN } kind;
    char op;              // EXPR_JOIN, of the two values before: as value_join() has it
    double number;        // EXPR_NUMBER
    const char *function; // EXPR_NAME: FUNCTION(name); NULL where it is a plain name
    const char *name;
};

struct expr {
    struct expr_node *node; // operands before what joins them
    size_t count;
    char *strings; // the names' text
};

// What names mean: function is NULL, or FUNCTION of FUNCTION(name).
struct scope {
    struct value (*lookup)(void *context, const char *function, const char *name);
    void *context;
};

// text is printable, as text_read() has it. 0, or -1 with what is wrong in err, without a place. expr_free() in either
// case.
int expr_parse(struct expr *e, const char *text, char *err, size_t err_size);
void expr_free(struct expr *e);

// Of an expression that expr_parse() has let through.
struct value expr_value(const struct expr *e, const struct scope *scope);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// A parser by recursive descent, whose output is a program for a stack machine: evaluating is one loop.
#include "model/expr.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NODES_MAX = 200, DEPTH_MAX = 32 };

struct parser {
    struct expr *e;
    const char *at;
    char *string; // where the next name's text goes
    unsigned depth;
    char *err;
    size_t err_size;
};

static int wrong(struct parser *p, const char *what)
{
    if (*p->at)
        snprintf(p->err, p->err_size, "%s at '%.40s'", what, p->at);
    else
        snprintf(p->err, p->err_size, "%s at the end of the expression", what);
    return -1;
}

static int add(struct parser *p, struct expr_node node)
{
    if (p->e->count == NODES_MAX)
        return wrong(p, "the expression is too long");
    p->e->node[p->e->count++] = node;
    return 0;
}

static void skip_blanks(struct parser *p)
{
    while (*p->at == ' ' || *p->at == '\t')
        p->at++;
}

static bool take(struct parser *p, char c)
{
    skip_blanks(p);
    if (*p->at != c)
        return false;
    p->at++;
    return true;
}

static const char *keep(struct parser *p, const char *text, size_t length)
{
    char *kept = memcpy(p->string, text, length);
    kept[length] = '\0';
    p->string += length + 1;
    return kept;
}

static int sum(struct parser *p);

// Digits, a point, an exponent: none of the hexadecimal numbers, infinities and NaNs that strtod takes as well.
static int number(struct parser *p)
{
    char *end;
    if (p->at[0] == '0' && (p->at[1] | 0x20) == 'x')
        return wrong(p, "no decimal number");
    errno = 0;
    double value = strtod(p->at, &end);
    if (end == p->at || errno || !isfinite(value) || isalnum((unsigned char)*end))
        return wrong(p, "no number");
    p->at = end;
    return add(p, (struct expr_node){.kind = EXPR_NUMBER, .number = value});
}

static int join(struct parser *p, char op)
{
    return add(p, (struct expr_node){.kind = EXPR_JOIN, .op = op});
}

static int two_arguments(struct parser *p, char op)
{
    if (sum(p))
        return -1;
    if (!take(p, ','))
        return wrong(p, "no comma");
    if (sum(p))
        return -1;
    return take(p, ')') ? join(p, op) : wrong(p, "no closing parenthesis");
}

// Behind FUNCTION( all up to the parenthesis that closes it is one text.
static int text_argument(struct parser *p, const char *function)
{
    const char *start = p->at;
    for (int open = 1; open; p->at++) {
        if (!*p->at)
            return wrong(p, "no closing parenthesis");
        open += (*p->at == '(') - (*p->at == ')');
    }
    size_t length = (size_t)(p->at - start) - 1;
    const char *name = keep(p, start, length);
    return *name ? add(p, (struct expr_node){.kind = EXPR_NAME, .function = function, .name = name})
                 : wrong(p, "nothing in the parentheses before");
}

static int name(struct parser *p)
{
    const char *start = p->at;
    while (isalnum((unsigned char)*p->at) || *p->at == '_')
        p->at++;
    const char *word = keep(p, start, (size_t)(p->at - start));
    if (!take(p, '('))
        return add(p, (struct expr_node){.kind = EXPR_NAME, .name = word});
    if (!strcmp(word, "max") || !strcmp(word, "min"))
        return two_arguments(p, word[1] == 'a' ? '>' : '<');
    return text_argument(p, word);
}

static int factor(struct parser *p)
{
    skip_blanks(p);
    if (isdigit((unsigned char)*p->at) || *p->at == '.')
        return number(p);
    if (isalpha((unsigned char)*p->at) || *p->at == '_')
        return name(p);
    if (!take(p, '('))
        return wrong(p, "no number, name or parenthesis");
    return sum(p) ? -1 : take(p, ')') ? 0 : wrong(p, "no closing parenthesis");
}

static int product(struct parser *p)
{
    if (factor(p))
        return -1;
    for (;;) {
        char op = take(p, '*') ? '*' : take(p, '/') ? '/' : 0;
        if (!op)
            return 0;
        if (factor(p) || join(p, op))
            return -1;
    }
}

static int sum(struct parser *p)
{
    if (p->depth++ == DEPTH_MAX)
        return wrong(p, "too many parentheses");
    if (product(p))
        return -1;
    for (;;) {
        char op = take(p, '+') ? '+' : take(p, '-') ? '-' : 0;
        if (!op) {
            p->depth--;
            return 0;
        }
        if (product(p) || join(p, op))
            return -1;
    }
}

int expr_parse(struct expr *e, const char *text, char *err, size_t err_size)
{
    // Of a name no more than its letters is kept, and a NUL, for which the next character of the text makes room.
    *e = (struct expr){.node = calloc(NODES_MAX, sizeof *e->node), .strings = malloc(strlen(text) + 2)};
    struct parser p = {.e = e, .at = text, .string = e->strings, .err = err, .err_size = err_size};
    if (!e->node || !e->strings) {
        snprintf(err, err_size, "no memory");
        return -1;
    }
    if (sum(&p))
        return -1;
    skip_blanks(&p);
    if (*p.at)
        return wrong(&p, "no op");
    struct expr_node *fitting = reallocarray(e->node, e->count, sizeof *fitting);
    e->node = fitting ? fitting : e->node;
    return 0;
}

void expr_free(struct expr *e)
{
    free(e->node);
    free(e->strings);
    *e = (struct expr){0};
}

// The nodes are in the order of a stack machine's program. Within each of DEPTH_MAX sums no more can be waiting on the
// stack than the left sides of a sum, a product and a pair of arguments.
struct value expr_value(const struct expr *e, const struct scope *scope)
{
    struct value stack[3 * DEPTH_MAX + 1];
    size_t top = 0;
    for (size_t i = 0; i < e->count; i++) {
        const struct expr_node *node = &e->node[i];
        if (node->kind == EXPR_NUMBER)
            stack[top++] = value_of(node->number, CLASS_PUBLISHED);
        else if (node->kind == EXPR_NAME)
            stack[top++] = scope->lookup(scope->context, node->function, node->name);
        else {
            stack[top - 2] = value_join(&stack[top - 2], node->op, &stack[top - 1]);
            top--;
        }
    }
    return stack[0];
}

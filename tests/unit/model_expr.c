// SPDX-License-Identifier: BSD-2-Clause
// Expressions of the model: what they are worth, what they rest on, and what is no expression.
#include "model/expr.h"

#include <stdlib.h>

#include "tests/unit/check.h"

// Names: a is 2 and published as figure 0, b is 3 and a guess, f(TEXT) is TEXT's length, figure 1; all else is missing.
static struct value lookup(void *context, const char *function, const char *name)
{
    struct value v = value_none(VALUE_MISSING, "no %s", name);
    (void)context;
    if (function && strcmp(function, "f"))
        return value_none(VALUE_WRONG, "no function %s", function);
    if (function) {
        v = value_of((double)strlen(name), CLASS_MEASURED);
        set_add(&v.from, 1);
    } else if (!strcmp(name, "a")) {
        v = value_of(2, CLASS_PUBLISHED);
        set_add(&v.from, 0);
    } else if (!strcmp(name, "b")) {
        v = value_of(3, CLASS_ASSUMED);
    }
    return v;
}

static struct value value(const char *text)
{
    struct expr e;
    char err[160];
    struct value v = value_none(VALUE_WRONG, "does not parse");
    if (!expr_parse(&e, text, err, sizeof err))
        v = expr_value(&e, &(struct scope){lookup, NULL});
    expr_free(&e);
    return v;
}

static bool is(const char *text, double number)
{
    struct value v = value(text);
    return v.state == VALUE_KNOWN && v.number == number;
}

static void numbers(void)
{
    CHECK(is("1", 1) && is(" 1.5e3 ", 1500) && is(".25", 0.25) && is("a", 2));
    CHECK(is("1 + 2 * 3", 7) && is("(1 + 2) * 3", 9));
    CHECK(is("10 - 4 - 3", 3) && is("24 / 4 / 3", 2)); // from the left
    CHECK(is("a*b+a", 8) && is("a-b", -1));
    CHECK(is("max(a, b)", 3) && is("min(a, b + 1)", 2) && is("max(a - b, 0) + 1", 1));
    CHECK(is("f(x)", 1) && is("f(a (b) c/d.e) * 2", 22)); // all up to its own parenthesis
}

static void classes(void)
{
    CHECK_EQ(value("a").class, CLASS_PUBLISHED);
    CHECK_EQ(value("a + f(x)").class, CLASS_MEASURED);
    CHECK_EQ(value("f(x) * b").class, CLASS_ASSUMED);
    CHECK_EQ(value("min(a, b)").class, CLASS_ASSUMED); // whichever is smaller has looked at both
    struct value v = value("f(x) - 1");
    CHECK(set_has(&v.from, 1) && !set_has(&v.from, 0));
    v = value("0 * a + f(x)");
    CHECK(set_has(&v.from, 0) && set_has(&v.from, 1)); // a figure that drops out has been used all the same
    v = value("a / (a - a) + nothing");
    CHECK(set_has(&v.from, 0)); // what is not known rests on what it would have been made of
}

static void unknown(void)
{
    CHECK_EQ(value("nothing + 1").state, VALUE_MISSING);
    CHECK_STR(value("1 * nothing").why, "no nothing");
    CHECK_STR(value("1 / (a - 2)").why, "divides by 0");
    CHECK_STR(value("0 / (a - 2)").why, "divides by 0");
    CHECK_STR(value("1e300 * 1e300").why, "is too large");
    CHECK_EQ(value("nothing + g(x)").state, VALUE_WRONG); // an error is told before a gap
}

static void refused(void)
{
    static const char *const bad[] = {"",     " ",     "1 +",    "+ 1",   "-1",         "1 2",     "a b",    "(1",
                                      "1)",   "()",    "f(",     "f()",   "f(a",        "max(1)",  "max(1,", "max(1, 2",
                                      "1..2", "1.2.3", "0x10",   "1e999", "inf(",       "3.8GHz",  "1,2",    "a | b",
                                      "%",    "a = b", "min(,)", "1e",    "max(1,2,3)", "((((1)))"};
    char err[160];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct expr e;
        if (!CHECK(expr_parse(&e, bad[i], err, sizeof err) != 0 && err[0]))
            printf("# '%s'\n", bad[i]);
        expr_free(&e);
    }
}

// Deep and long ones are refused before they are a danger.
static void bounds(void)
{
    char text[4000] = "", err[160];
    struct expr e;
    memset(text, '(', 1000);
    CHECK_EQ(expr_parse(&e, text, err, sizeof err), -1);
    CHECK(strstr(err, "too many parentheses") != NULL);
    expr_free(&e);
    for (size_t i = 0; i < 1500; i++)
        memcpy(text + 2 * i, "1+", 3);
    text[2999] = '\0';
    CHECK_EQ(expr_parse(&e, text, err, sizeof err), -1);
    CHECK(strstr(err, "too long") != NULL);
    expr_free(&e);
    // The deepest and widest that is let through: each level holds a sum, a product and an argument back.
    text[0] = '\0';
    for (int i = 0; i < 31; i++)
        strcat(text, "max(1,1+1*");
    strcat(text, "1");
    for (int i = 0; i < 31; i++)
        strcat(text, ")");
    CHECK_EQ(expr_parse(&e, text, err, sizeof err), 0);
    CHECK(expr_value(&e, &(struct scope){lookup, NULL}).number == 32);
    expr_free(&e);
}

// Random texts of the language's own letters: any answer but a crash, and what parses has a value.
static void random_texts(void)
{
    static const char letters[] = "ab1.e0+-*/(),fmaxin _|=";
    unsigned parsed = 0;
    srandom(2006);
    for (int i = 0; i < 200000; i++) {
        char text[32], err[160];
        size_t length = (size_t)random() % (sizeof text - 1);
        for (size_t k = 0; k < length; k++)
            text[k] = letters[(size_t)random() % (sizeof letters - 1)];
        text[length] = '\0';
        struct expr e;
        if (!expr_parse(&e, text, err, sizeof err)) {
            parsed++;
            expr_value(&e, &(struct scope){lookup, NULL});
        }
        expr_free(&e);
    }
    CHECK(parsed > 1000);
}

int main(void)
{
    numbers();
    classes();
    unknown();
    refused();
    bounds();
    random_texts();
    return check_done("model_expr");
}

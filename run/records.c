// SPDX-License-Identifier: BSD-2-Clause
// Parser of the serial line's records (include/guest_abi.h, "Serial line format").
#include "run/records.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "include/guest_abi.h"

enum { FIELDS_MAX = 8 };

struct field {
    const char *key, *value;
};

struct fields {
    struct field field[FIELDS_MAX];
    size_t count;
};

struct records *records_create(void)
{
    return calloc(1, sizeof(struct records));
}

void records_destroy(struct records *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->bench_count; i++)
        free(r->bench[i].repetitions);
    for (size_t i = 0; i < RECORDS_TEXTS_MAX; i++) {
        free(r->checks[i].what);
        free(r->texts[i]);
    }
    free(r);
}

__attribute__((format(printf, 2, 3))) static void complain(struct records *r, const char *format, ...)
{
    if (r->error[0])
        return;
    int used = snprintf(r->error, sizeof r->error, "line %zu: ", r->line_number);
    va_list args;
    va_start(args, format);
    vsnprintf(r->error + used, sizeof r->error - (size_t)used, format, args);
    va_end(args);
}

// ---- Fields ----

static bool is_text_key(const char *key)
{
    return !strcmp(key, "what") || !strcmp(key, "why");
}

// Splits `key=value key=value ...` in place. A text's value runs to the end of the line.
static bool split(char *line, struct fields *fields)
{
    fields->count = 0;
    for (char *at = line; at && *at;) {
        char *equals = strchr(at, '=');
        if (!equals || fields->count == FIELDS_MAX)
            return false;
        *equals = '\0';
        char *end = is_text_key(at) ? NULL : strchr(equals + 1, ' ');
        if (end)
            *end++ = '\0';
        fields->field[fields->count++] = (struct field){at, equals + 1};
        at = end;
    }
    return true;
}

static const char *text_of(const struct fields *fields, const char *key)
{
    for (size_t i = 0; i < fields->count; i++)
        if (!strcmp(fields->field[i].key, key))
            return fields->field[i].value;
    return NULL;
}

static bool number_of(const struct fields *fields, const char *key, uint64_t *value)
{
    const char *text = text_of(fields, key);
    char *end;
    if (!text || *text < '0' || *text > '9')
        return false;
    errno = 0;
    *value = strtoull(text, &end, 10);
    return !*end && !errno;
}

// ---- Kinds of records ----

static struct bench_record *bench_named(struct records *r, const struct fields *fields)
{
    const char *name = text_of(fields, "name");
    if (!name || !*name || strlen(name) >= RECORDS_NAME_MAX) {
        complain(r, "a record without a name, or with too long a one");
        return NULL;
    }
    for (size_t i = 0; i < r->bench_count; i++)
        if (!strcmp(r->bench[i].name, name))
            return &r->bench[i];
    if (r->bench_count == RECORDS_NAMES_MAX) {
        complain(r, "more than %d names", RECORDS_NAMES_MAX);
        return NULL;
    }
    struct bench_record *b = &r->bench[r->bench_count++];
    strcpy(b->name, name);
    return b;
}

static struct repetition *add_repetition(struct records *r, struct bench_record *b)
{
    if (r->repetition_count == RECORDS_REPETITIONS_MAX) {
        complain(r, "more than %d repetitions", RECORDS_REPETITIONS_MAX);
        return NULL;
    }
    if ((b->count & (b->count - 1)) == 0) { // full at each power of two
        struct repetition *more = reallocarray(b->repetitions, b->count ? 2 * b->count : 1, sizeof *more);
        if (!more) {
            complain(r, "no memory for more repetitions");
            return NULL;
        }
        b->repetitions = more;
    }
    r->repetition_count++;
    struct repetition *rep = &b->repetitions[b->count++];
    memset(rep, 0, sizeof *rep);
    return rep;
}

static struct repetition *on_warm(struct records *r, const struct fields *fields)
{
    struct repetition rep = {0};
    uint64_t n = 0;
    struct bench_record *b = bench_named(r, fields);
    if (!b)
        return NULL;
    bool times = number_of(fields, "n", &n) && number_of(fields, "t1", &rep.t1) && number_of(fields, "t2", &rep.t2);
    bool empty = number_of(fields, "e1", &rep.e1) && number_of(fields, "e2", &rep.e2);
    if (!times || !n || (!empty && (text_of(fields, "e1") || text_of(fields, "e2")))) {
        complain(r, "a bad 'warm' record of %s", b->name);
        return NULL;
    }
    if (b->count && (b->n != n || b->has_empty != empty)) {
        complain(r, "the repetitions of %s differ in n or in their fields", b->name);
        return NULL;
    }
    struct repetition *added = add_repetition(r, b);
    if (!added)
        return NULL;
    b->n = n;
    b->has_empty = empty;
    *added = rep;
    return added;
}

static void on_cold(struct records *r, const struct fields *fields)
{
    struct bench_record *b = bench_named(r, fields);
    if (!b)
        return;
    b->has_cold = number_of(fields, "tsc", &b->cold);
    if (!b->has_cold)
        complain(r, "a bad 'cold' record of %s", b->name);
}

static void on_value(struct records *r, const struct fields *fields)
{
    struct bench_record *b = bench_named(r, fields);
    if (!b)
        return;
    b->has_value = number_of(fields, "value", &b->value);
    if (!b->has_value)
        complain(r, "a bad 'value' record of %s", b->name);
}

static void on_skip(struct records *r, const struct fields *fields)
{
    struct bench_record *b = bench_named(r, fields);
    const char *why = text_of(fields, "why");
    if (!b)
        return;
    b->skipped = true;
    snprintf(b->why, sizeof b->why, "%s", why ? why : "");
}

static void on_check(struct records *r, const struct fields *fields)
{
    uint64_t ok;
    const char *what = text_of(fields, "what");
    if (!number_of(fields, "ok", &ok) || ok > 1) {
        complain(r, "a bad 'check' record");
        return;
    }
    r->checks_failed += !ok;
    if (r->check_count < RECORDS_TEXTS_MAX)
        r->checks[r->check_count] = (struct check_result){.ok = ok, .what = strdup(what ? what : "")};
    r->check_count++;
}

static void on_begin(struct records *r, const struct fields *fields)
{
    const char *name = text_of(fields, "name");
    r->began = true;
    snprintf(r->image, sizeof r->image, "%s", name ? name : "");
}

static void on_end(struct records *r, const struct fields *fields)
{
    r->ended = number_of(fields, "status", &r->end_status);
    if (!r->ended)
        complain(r, "a bad 'end' record");
}

static struct repetition *on_record(struct records *r, char *line)
{
    struct fields fields;
    char *rest = strchr(line, ' ');
    if (rest)
        *rest++ = '\0';
    if (!rest || !split(rest, &fields)) {
        complain(r, "a '%.20s' record that is not key=value", line);
        return NULL;
    }
    if (!strcmp(line, "warm"))
        return on_warm(r, &fields);
    static const struct {
        const char *kind;
        void (*handler)(struct records *r, const struct fields *fields);
    } kinds[] = {{"cold", on_cold},   {"value", on_value}, {"skip", on_skip},
                 {"check", on_check}, {"begin", on_begin}, {"end", on_end}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(line, kinds[i].kind))
            kinds[i].handler(r, &fields);
    return NULL; // `run` is for others; kinds that are not known are for later readers
}

// ---- Lines ----

static struct repetition *on_line(struct records *r)
{
    r->line[r->line_length] = '\0';
    r->line_length = 0;
    r->line_number++;
    if (!strncmp(r->line, RS1_PREFIX, strlen(RS1_PREFIX)))
        return on_record(r, r->line + strlen(RS1_PREFIX));
    if (r->line[0]) {
        if (r->text_count < RECORDS_TEXTS_MAX)
            r->texts[r->text_count] = strdup(r->line);
        r->text_count++;
    }
    return NULL;
}

struct repetition *records_byte(struct records *r, uint8_t byte)
{
    if (byte == '\n')
        return on_line(r);
    if (byte == '\r' || r->line_length == RECORDS_LINE_MAX - 1)
        return NULL;
    // Printable ASCII only, so that what is kept can go into JSON and to a terminal.
    r->line[r->line_length++] = byte >= ' ' && byte <= '~' ? (char)byte : '?';
    return NULL;
}

void records_finish(struct records *r)
{
    if (r->line_length)
        on_line(r);
}

double repetition_cost(const struct repetition *rep, uint64_t n)
{
    double body = (double)rep->t2 - (double)rep->t1, empty = (double)rep->e2 - (double)rep->e1;
    return (body - empty) / (double)n;
}

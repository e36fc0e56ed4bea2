// SPDX-License-Identifier: BSD-2-Clause
// Reads results files, of which nothing is trusted: what is not as docs/results.md says is refused with its line.
#include "model/measurements.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/text.h"

struct reader {
    struct measurements *m;
    const char *path;
    unsigned line;
    bool run; // a `run` record was seen
    char *err;
    size_t err_size;
};

static int wrong(const struct reader *r, const char *what)
{
    return text_wrong(r->path, r->line, r->err, r->err_size, "%s", what);
}

// ---- Series ----

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Sorts them. Of none, 0.
static double median(struct series *s)
{
    if (!s->count)
        return 0;
    qsort(s->value, s->count, sizeof *s->value, by_size);
    return s->count % 2 ? s->value[s->count / 2] : (s->value[s->count / 2 - 1] + s->value[s->count / 2]) / 2;
}

static int push(const struct reader *r, struct series *s, double value)
{
    if (!isfinite(value))
        return wrong(r, "a figure is too large");
    double *more = reallocarray(s->value, s->count + 1, sizeof *more);
    if (!more)
        return wrong(r, "no memory");
    s->value = more;
    more[s->count++] = value;
    return 0;
}

static void measured_free(struct measured *m)
{
    free(m->cost.value);
    for (int i = 0; i < EV_COUNT; i++)
        free(m->event[i].value);
}

// ---- Values of a record ----

// A name out of printable ASCII, as it may be printed.
static const char *name_of(const json_t *record, const char *key)
{
    const char *text = json_string_value(json_object_get(record, key));
    if (!text || !*text || strlen(text) >= MEASURED_NAME_MAX / 2)
        return NULL;
    for (const char *c = text; *c; c++)
        if (*c <= ' ' || *c > '~')
            return NULL;
    return text;
}

static struct measured *measured_at(const struct reader *r, const char *bench, const char *engine)
{
    struct measurements *m = r->m;
    for (size_t i = m->count; i-- > 0;) { // the newest first: records of one benchmark lie close together
        struct measured *found = &m->measured[i];
        if (found->file == m->files && !strcmp(found->bench, bench) && !strcmp(found->engine, engine))
            return found;
    }
    struct measured *more = reallocarray(m->measured, m->count + 1, sizeof *more);
    if (!more) {
        wrong(r, "no memory");
        return NULL;
    }
    m->measured = more;
    struct measured *new = &more[m->count++];
    *new = (struct measured){.file = m->files};
    snprintf(new->bench, sizeof new->bench, "%s", bench);
    snprintf(new->engine, sizeof new->engine, "%s", engine);
    return new;
}

static struct measured *measured_of(const struct reader *r, const json_t *record, const char *bench_key)
{
    char bench[MEASURED_NAME_MAX];
    const char *suite = name_of(record, "suite"), *name = name_of(record, bench_key),
               *engine = name_of(record, "engine");
    if (!suite || !name || !engine) {
        wrong(r, "a record without the names of suite, benchmark and engine");
        return NULL;
    }
    snprintf(bench, sizeof bench, "%s/%s", suite, name);
    return measured_at(r, bench, engine);
}

static const struct measured_engine *engine_named(const struct measurements *m, size_t file, const char *name)
{
    for (size_t i = 0; i < m->engine_count; i++)
        if (m->engine[i].file == file && !strcmp(m->engine[i].name, name))
            return &m->engine[i];
    return NULL;
}

static int event_named(const char *name)
{
    for (int i = 0; i < EV_COUNT; i++)
        if (!strcmp(event_table[i].name, name))
            return i;
    return -1;
}

// ---- Records ----

// Only the last run of a file counts.
static int read_run(struct reader *r, const json_t *record)
{
    struct measurements *m = r->m;
    while (m->count && m->measured[m->count - 1].file == m->files)
        measured_free(&m->measured[--m->count]);
    while (m->engine_count && m->engine[m->engine_count - 1].file == m->files)
        m->engine_count--;
    r->run = true;
    m->tsc_khz = json_number_value(json_object_get(json_object_get(record, "machine"), "tsc_khz"));
    return 0;
}

static int read_engine(struct reader *r, const json_t *record)
{
    struct measurements *m = r->m;
    const char *name = name_of(record, "name"), *paging = json_string_value(json_object_get(record, "paging"));
    if (!name)
        return wrong(r, "an engine without a name");
    struct measured_engine *more = reallocarray(m->engine, m->engine_count + 1, sizeof *more);
    if (!more)
        return wrong(r, "no memory");
    m->engine = more;
    struct measured_engine *new = &more[m->engine_count++];
    *new = (struct measured_engine){.file = m->files, .hardware = json_is_true(json_object_get(record, "hardware"))};
    snprintf(new->name, sizeof new->name, "%s", name);
    snprintf(new->paging, sizeof new->paging, "%s", paging ? paging : "");
    size_t i;
    json_t *counter;
    json_array_foreach(json_object_get(record, "counts"), i, counter)
    {
        int event = json_is_string(counter) ? event_named(json_string_value(counter)) : -1;
        if (event >= 0) // a newer file may know more
            new->counts |= (event_mask)1 << event;
    }
    return 0;
}

// The number at `key`, or at the i-th place of the list there. What is absent or null is 0.
static double number_at(const json_t *list, size_t i)
{
    return json_number_value(json_array_get(list, i));
}

// One iteration's cost for each repetition; the process's median is kept.
static int read_cost(struct reader *r, struct measured *to, const json_t *record, double n)
{
    const json_t *t1 = json_object_get(record, "t1"), *t2 = json_object_get(record, "t2"),
                 *e1 = json_object_get(record, "e1"), *e2 = json_object_get(record, "e2");
    struct series process = {0};
    size_t count = json_array_size(t1);
    int result = 0;
    if (json_array_size(t2) != count)
        return wrong(r, "t1 and t2 differ in length");
    for (size_t i = 0; !result && i < count; i++) {
        double empty = number_at(e2, i) - number_at(e1, i);
        result = push(r, &process, (number_at(t2, i) - number_at(t1, i) - empty) / n);
    }
    if (!result && count)
        result = push(r, &to->cost, median(&process));
    free(process.value);
    return result;
}

static int read_counts(struct reader *r, struct measured *to, const json_t *record, double n)
{
    const json_t *once = json_object_get(record, "counters_n"), *twice = json_object_get(record, "counters_2n");
    const struct measured_engine *engine = engine_named(r->m, r->m->files, to->engine);
    if (!json_is_array(once) || !json_is_array(twice) || !engine)
        return 0;
    for (size_t i = 0; i < json_array_size(once) && i < json_array_size(twice); i++) {
        const json_t *a = json_array_get(once, i), *b = json_array_get(twice, i);
        for (int event = 0; event < EV_COUNT; event++) {
            const char *name = event_table[event].name;
            double rate = json_number_value(json_object_get(b, name)) - json_number_value(json_object_get(a, name));
            if (engine->counts >> event & 1 && push(r, &to->event[event], rate / n))
                return -1;
        }
    }
    return 0;
}

static int read_sample(struct reader *r, const json_t *record)
{
    double n = json_number_value(json_object_get(record, "n"));
    if (!(n >= 0) || n > 0x1p53)
        return wrong(r, "n is no number of iterations");
    struct measured *to = n > 0 ? measured_of(r, record, "bench") : NULL;
    if (!to)
        return n > 0 ? -1 : 0; // runs once: what it costs warm is not known
    return read_cost(r, to, record, n) || read_counts(r, to, record, n) ? -1 : 0;
}

// Of scripts/boot.py: counters and time of the whole, without the waiting. One iteration is a boot.
static int read_boot(struct reader *r, const json_t *record)
{
    const json_t *counters = json_object_get(record, "counters");
    struct measured *to = measured_of(r, record, "image");
    if (!to)
        return -1;
    const struct measured_engine *engine = engine_named(r->m, r->m->files, to->engine);
    double ns =
        json_number_value(json_object_get(record, "wall_ns")) - json_number_value(json_object_get(record, "idle_ns"));
    if (r->m->tsc_khz > 0 && push(r, &to->cost, ns * r->m->tsc_khz / 1e6))
        return -1;
    for (int event = 0; engine && event < EV_COUNT; event++)
        if (engine->counts >> event & 1 &&
            push(r, &to->event[event], json_number_value(json_object_get(counters, event_table[event].name))))
            return -1;
    return 0;
}

static const struct {
    const char *type;
    int (*read)(struct reader *r, const json_t *record);
} record_table[] = {{"run", read_run}, {"engine", read_engine}, {"sample", read_sample}, {"boot", read_boot}};

static int read_record(struct reader *r, const json_t *record)
{
    const char *type = json_string_value(json_object_get(record, "type"));
    if (!type)
        return wrong(r, "a record without a type");
    if (!r->run && strcmp(type, "run"))
        return wrong(r, "a record before the first `run` record");
    for (size_t i = 0; i < sizeof record_table / sizeof *record_table; i++)
        if (!strcmp(record_table[i].type, type))
            return record_table[i].read(r, record);
    return 0; // a reader skips types that it does not know
}

// ---- Files ----

// A FIFO must not keep us waiting. NULL with one line in err.
static FILE *open_regular(const char *path, char *err, size_t err_size)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool other = fd >= 0 && !fstat(fd, &st) && !S_ISREG(st.st_mode);
    FILE *file = fd < 0 || other ? NULL : fdopen(fd, "r");
    if (!file)
        text_wrong(path, 0, err, err_size, "%s", other ? "is not a regular file" : strerror(errno));
    if (!file && fd >= 0)
        close(fd);
    return file;
}

static int at_end(FILE *file)
{
    int c;
    while ((c = getc(file)) == '\n' || c == ' ')
        continue;
    return c == EOF;
}

static int read_line(struct reader *r, FILE *file, const char *line, size_t length)
{
    json_error_t problem;
    if (strspn(line, " \r\n") == length)
        return 0;
    json_t *record = json_loadb(line, length, JSON_REJECT_DUPLICATES, &problem);
    if (!record && at_end(file))
        return 0; // a last line that is no complete JSON counts as absent
    int result = record ? read_record(r, record)
                        : text_wrong(r->path, r->line, r->err, r->err_size, "not JSON: %.100s", problem.text);
    json_decref(record);
    return result;
}

static int suite_rank(const char *bench)
{
    static const char *const suites[] = {"nano/", "micro/", "user/", "macro/"};
    int rank = 0;
    while (rank < 4 && strncmp(bench, suites[rank], strlen(suites[rank])))
        rank++;
    return rank;
}

static int by_suite(const void *a, const void *b)
{
    int ranks = suite_rank(a) - suite_rank(b);
    return ranks ? ranks : strcmp(a, b);
}

static int list_benches(struct measurements *m, char *err, size_t err_size)
{
    free(m->bench);
    m->bench_count = 0;
    m->bench = calloc(m->count + 1, sizeof *m->bench);
    if (!m->bench)
        return text_wrong("results", 0, err, err_size, "no memory");
    for (size_t i = 0; i < m->count; i++)
        memcpy(m->bench[i], m->measured[i].bench, MEASURED_NAME_MAX);
    qsort(m->bench, m->count, sizeof *m->bench, by_suite);
    for (size_t i = 0; i < m->count; i++)
        if (!i || strcmp(m->bench[i], m->bench[m->bench_count - 1]))
            memmove(m->bench[m->bench_count++], m->bench[i], MEASURED_NAME_MAX);
    return 0;
}

int measurements_read(struct measurements *m, const char *path, char *err, size_t err_size)
{
    struct reader r = {.m = m, .path = path, .err = err, .err_size = err_size};
    char *line = NULL;
    size_t room = 0;
    int result = 0;
    FILE *file = open_regular(path, err, err_size);
    if (!file)
        return -1;
    for (ssize_t length; !result && (length = getline(&line, &room, file)) > 0;) {
        r.line++;
        result = read_line(&r, file, line, (size_t)length);
    }
    if (!result && ferror(file))
        result = text_wrong(path, 0, err, err_size, "%s", strerror(errno));
    fclose(file);
    free(line);
    if (!result && !r.run)
        result = text_wrong(path, 0, err, err_size, "holds no run");
    m->files++;
    return result ? result : list_benches(m, err, err_size);
}

void measurements_free(struct measurements *m)
{
    for (size_t i = 0; i < m->count; i++)
        measured_free(&m->measured[i]);
    free(m->measured);
    free(m->engine);
    free(m->bench);
    *m = (struct measurements){0};
}

// ---- Questions ----

bool measurements_count(const struct measurements *m, const char *engine, const char *bench, enum event event,
                        double *count)
{
    for (size_t i = 0; i < m->count; i++) {
        struct measured *at = &m->measured[i];
        if (strcmp(at->bench, bench) || strcmp(at->engine, engine) || !at->event[event].count)
            continue;
        *count = median(&at->event[event]);
        return true;
    }
    return false;
}

const struct measured_engine *measurements_engine(const struct measurements *m, const char *name)
{
    for (size_t i = 0; i < m->engine_count; i++)
        if (!strcmp(m->engine[i].name, name))
            return &m->engine[i];
    return NULL;
}

bool measurements_cycles(const struct measurements *m, const char *engine, const char *bench, double *cycles)
{
    for (size_t i = 0; i < m->count; i++) {
        struct measured *at = &m->measured[i];
        if (strcmp(at->bench, bench) || strcmp(at->engine, engine) || !at->cost.count)
            continue;
        *cycles = median(&at->cost);
        return true;
    }
    return false;
}

// SPDX-License-Identifier: BSD-2-Clause
// Fuzzing what the cost model reads: expressions, the lines of its files, and results files. What is refused is refused
// in one line; what is taken can be asked about.
#include "tests/fuzz/fuzz.h"

#include <math.h>
#include <sys/mman.h>
#include <unistd.h>

#include "model/measurements.h"
#include "model/sheet.h"

const char fuzz_name[] = "model";
const unsigned fuzz_runs = 30000;

const char *fuzz_start(void)
{
    return NULL;
}

// A name is worth its length, rests on a figure, and is missing where it begins with m.
static struct value lookup(void *context, const char *function, const char *name)
{
    struct value v = value_of((double)strlen(name), function ? CLASS_MEASURED : CLASS_FITTED);
    (void)context;
    set_add(&v.from, strlen(name) % FIGURES_MAX);
    return *name == 'm' ? value_none(VALUE_MISSING, "no %.40s", name) : v;
}

static const struct scope scope = {lookup, NULL};

static void check_value(const struct value *v, const uint8_t *data, size_t size)
{
    FUZZ_CHECK(v->state == VALUE_KNOWN ? isfinite(v->number) : v->why[0] && v->number == 0, data, size);
}

static void check_refusal(int result, const char *err, const uint8_t *data, size_t size)
{
    FUZZ_CHECK(result == 0 || (result == -1 && err[0] && !strchr(err, '\n')), data, size);
}

static void expression(const uint8_t *data, size_t size)
{
    char err[256] = "", text[FUZZ_INPUT_MAX + 1];
    struct expr e;
    snprintf(text, sizeof text, "%.*s", (int)size, (const char *)data);
    for (char *c = text; *c; c++)
        *c = *c < ' ' || *c > '~' ? ' ' : *c; // text_read() lets nothing else through
    int result = expr_parse(&e, text, err, sizeof err);
    check_refusal(result, err, data, size);
    if (!result) {
        struct value v = expr_value(&e, &scope);
        check_value(&v, data, size);
    }
    expr_free(&e);
}

static void sheet(const char *path, const uint8_t *data, size_t size)
{
    static const struct sheet_kind kind = {.head = {"title", "base"}, .fields = 2, .form = "a", .classed = true};
    char err[512] = "";
    struct sheet s;
    int result = sheet_read(&s, path, &kind, err, sizeof err);
    check_refusal(result, err, data, size);
    for (size_t i = 0; !result && i < s.count; i++) {
        struct value v = sheet_value(&s, &s.line[i], &scope);
        check_value(&v, data, size);
        FUZZ_CHECK(v.state != VALUE_KNOWN || v.class >= s.line[i].class, data, size);
        FUZZ_CHECK(sheet_find(&s, s.line[i].name) == &s.line[i], data, size);
    }
    sheet_free(&s);
}

static void results(const char *path, const uint8_t *data, size_t size)
{
    char err[512] = "";
    double number;
    struct measurements m = {0};
    int result = measurements_read(&m, path, err, sizeof err);
    check_refusal(result, err, data, size);
    for (size_t i = 0; !result && i < m.bench_count; i++) {
        if (measurements_cycles(&m, "bt", m.bench[i], &number))
            FUZZ_CHECK(isfinite(number), data, size);
        if (measurements_count(&m, "bt", m.bench[i], EV_exits, &number))
            FUZZ_CHECK(isfinite(number), data, size);
    }
    measurements_free(&m);
}

// The first byte says what the rest is read as.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[40];
    if (!size || size > FUZZ_INPUT_MAX)
        return 0;
    if (data[0] % 3 == 0) {
        expression(data + 1, size - 1);
        return 0;
    }
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (write(fd, data + 1, size - 1) == (ssize_t)(size - 1))
        (data[0] % 3 == 1 ? sheet : results)(path, data, size);
    close(fd);
    return 0;
}

// A sensible text, cut at times, with some bytes changed for others of its kind of file.
size_t fuzz_input(uint8_t *data, uint64_t *rng)
{
    static const char *const texts[] = {
        "a + 2.5e3 * (b - ref(x.y/z (1).c)) / max(m, 3) - min(4, a)",
        "# c\ntitle = t\nbase = b\na = 1 + b | fitted | s\nb = ref(a.b.c) / 2 | published | p. 1\nm = m1 | assumed | "
        "x\n",
        "{\"type\":\"run\",\"machine\":{\"tsc_khz\":1000}}\n"
        "{\"type\":\"engine\",\"name\":\"bt\",\"counts\":[\"exits\"],\"hardware\":true}\n"
        "{\"type\":\"sample\",\"suite\":\"nano\",\"bench\":\"in\",\"engine\":\"bt\",\"n\":4,\"t1\":[10,11],\"t2\":[20,"
        "22],"
        "\"e1\":null,\"e2\":[1,1],\"counters_n\":[{\"exits\":3}],\"counters_2n\":[{\"exits\":7}]}\n"
        "{\"type\":\"boot\",\"suite\":\"macro\",\"image\":\"b\",\"engine\":\"bt\",\"wall_ns\":9,\"counters\":{"
        "\"exits\":1}}\n",
    };
    static const char letters[] = "ab1209.e+-*/(),=|#\n \"{}[]:m_\\\xff";
    unsigned kind = (unsigned)(fuzz_random(rng) % 3);
    size_t size = strlen(texts[kind]);
    data[0] = (uint8_t)kind;
    memcpy(data + 1, texts[kind], size);
    for (unsigned n = (unsigned)(fuzz_random(rng) % 6); n; n--)
        data[1 + fuzz_random(rng) % size] = (uint8_t)letters[fuzz_random(rng) % (sizeof letters - 1)];
    return 1 + (fuzz_random(rng) % 4 ? size : fuzz_random(rng) % size);
}

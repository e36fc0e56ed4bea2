// SPDX-License-Identifier: BSD-2-Clause
// The results file: one line a record, appended and never written over; and the JSON of a benchmark's records.
#include "run/results.h"

#include <stdlib.h>
#include <unistd.h>

#include "run/stats.h"
#include "tests/unit/check.h"

static char folder[] = "/tmp/ringside-results-XXXXXX";
static char message[256];

// The lines of a file, each parsed: a JSON array.
static json_t *lines_of(const char *path)
{
    char line[4096];
    json_t *list = json_array();
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f))
        json_array_append_new(list, json_loads(line, 0, NULL));
    if (f)
        fclose(f);
    return list;
}

static void write_one(const char *path, int number)
{
    struct results r;
    CHECK_EQ(results_open(&r, path, NULL, message, sizeof message), 0);
    CHECK_EQ(results_write(&r, json_pack("{s:i, s:o}", "number", number, "text", json_text("a\nb\xff")), message,
                           sizeof message),
             0);
    json_t *seen = lines_of(path); // before the file is closed: each record is flushed
    CHECK_EQ(json_array_size(seen), number);
    json_decref(seen);
    results_close(&r);
}

static void appends(void)
{
    char path[128];
    snprintf(path, sizeof path, "%s/a.jsonl", folder);
    write_one(path, 1);
    write_one(path, 2);
    json_t *lines = lines_of(path);
    CHECK_EQ(json_integer_value(json_object_get(json_array_get(lines, 0), "number")), 1);
    CHECK_EQ(json_integer_value(json_object_get(json_array_get(lines, 1), "number")), 2);
    const char *text = json_string_value(json_object_get(json_array_get(lines, 0), "text"));
    CHECK_STR(text ? text : "", "a?b?");
    json_decref(lines);
    unlink(path);
}

static void new_names(void)
{
    struct results a, b;
    char deep[128];
    snprintf(deep, sizeof deep, "%s/results/local", folder);
    CHECK_EQ(results_open(&a, NULL, deep, message, sizeof message), 0);
    CHECK_EQ(results_open(&b, NULL, deep, message, sizeof message), 0);
    CHECK(strcmp(a.path, b.path) != 0); // within one second
    results_close(&a);
    results_close(&b);
    unlink(a.path);
    unlink(b.path);
    rmdir(deep);
    snprintf(deep, sizeof deep, "%s/results", folder);
    rmdir(deep);
}

static void errors(void)
{
    struct results r;
    CHECK_EQ(results_open(&r, "/no/such/folder/x", NULL, message, sizeof message), -1);
    CHECK(strstr(message, "No such file") != NULL);
    CHECK_EQ(results_open(&r, NULL, "/proc/results", message, sizeof message), -1);
    CHECK_EQ(results_open(&r, "/dev/full", NULL, message, sizeof message), 0);
    CHECK_EQ(results_write(&r, json_object(), message, sizeof message), -1);
    CHECK(strstr(message, "No space") != NULL);
    results_close(&r);
}

static uint64_t at(const json_t *o, const char *key, size_t i)
{
    return (uint64_t)json_integer_value(json_array_get(json_object_get(o, key), i));
}

static void benchmark(void)
{
    struct pmu pmu = {.count = 1, .name = {"perf::CYCLES"}};
    struct repetition reps[2] = {{.t1 = 1, .t2 = 2, .e1 = 3, .e2 = 4}, {.t1 = 5, .t2 = 6, .e1 = 7, .e2 = UINT64_MAX}};
    struct bench_record b = {
        .name = "x", .has_value = true, .value = UINT64_MAX, .n = 8, .repetitions = reps, .count = 2};
    json_t *o = json_bench(&b, &pmu);
    CHECK(at(o, "t1", 1) == 5 && at(o, "t2", 0) == 2);
    CHECK(json_is_null(json_object_get(o, "e1")) && json_is_null(json_object_get(o, "cold")));
    CHECK_STR(json_string_value(json_object_get(o, "value")), "18446744073709551615");
    CHECK(json_is_null(json_object_get(o, "counters_n")) && json_is_null(json_object_get(o, "pmu_2n")));
    json_decref(o);

    b.has_empty = true;
    reps[0].once.counted = reps[1].once.counted = reps[0].once.pmu_counted = reps[1].once.pmu_counted = true;
    reps[1].once.counters.n[EV_exit_pio] = 9;
    reps[1].once.pmu[0] = 10;
    o = json_bench(&b, &pmu);
    CHECK(at(o, "e1", 0) == 3 && at(o, "e2", 1) == INT64_MAX); // what a guest makes up stays a positive number
    json_t *counters = json_array_get(json_object_get(o, "counters_n"), 1);
    CHECK_EQ(json_object_size(counters), 1); // zeros are left out
    CHECK_EQ(json_integer_value(json_object_get(counters, "exit_pio")), 9);
    json_t *pmu_values = json_array_get(json_object_get(o, "pmu_n"), 1);
    CHECK_EQ(json_integer_value(json_object_get(pmu_values, "perf::CYCLES")), 10);
    CHECK(json_is_null(json_object_get(o, "counters_2n")));
    json_decref(o);
}

static void engine(void)
{
    struct engine_info info = {.available = true, .backend = "kvm_pvm", .paging = "shadow", .nested = "in a VM"};
    json_t *o = json_engine("vtx", &info, EVENT_BIT(exits) | EVENT_BIT(exit_pio));
    CHECK_STR(json_string_value(json_object_get(o, "column")),
              "vtx: kvm_pvm (software back end, not hardware), shadow, in a VM");
    CHECK_EQ(json_array_size(json_object_get(o, "counts")), 2);
    json_decref(o);
    info.hardware = true;
    memcpy(info.backend, "kvm_amd", 8);
    o = json_engine("vtx", &info, 0);
    CHECK_STR(json_string_value(json_object_get(o, "column")), "vtx: kvm_amd, shadow, in a VM");
    json_decref(o);
}

static void median(void)
{
    double odd[] = {3, -1, 2}, even[] = {4, 1, 3, 2};
    CHECK(stats_median(odd, 3) == 2);
    CHECK(stats_median(even, 4) == 2.5);
    CHECK(stats_median(odd, 0) != stats_median(odd, 0)); // NaN
}

int main(void)
{
    if (!CHECK(mkdtemp(folder) != NULL))
        return check_done("results");
    appends();
    new_names();
    errors();
    benchmark();
    engine();
    median();
    rmdir(folder);
    return check_done("results");
}

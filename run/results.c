// SPDX-License-Identifier: BSD-2-Clause
// Making JSON of what is known, and writing it line by line.
#include "run/results.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "run/engines.h"

enum { TEXT_MAX = 1024 };

// ---- The file ----

static int make_folders(const char *path, char *err, size_t err_size)
{
    char part[RESULTS_PATH_MAX];
    snprintf(part, sizeof part, "%s", path);
    for (char *slash = strchr(part + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash)
            *slash = '\0';
        if (mkdir(part, 0777) && errno != EEXIST) {
            snprintf(err, err_size, "cannot make the folder %.200s: %s", part, strerror(errno));
            return -1;
        }
        if (!slash)
            return 0;
        *slash = '/';
    }
}

static void name_file(char *path, const char *folder, unsigned attempt)
{
    char host[65] = "unknown", when[32], again[16] = "";
    time_t now = time(NULL);
    struct tm utc;
    gethostname(host, sizeof host - 1);
    strftime(when, sizeof when, "%Y%m%dT%H%M%SZ", gmtime_r(&now, &utc));
    if (attempt)
        snprintf(again, sizeof again, "-%u", attempt);
    snprintf(path, RESULTS_PATH_MAX, "%.3900s/%s-%s%s.jsonl", folder, when, host, again);
}

int results_open(struct results *r, const char *path, const char *folder, char *err, size_t err_size)
{
    r->file = NULL;
    if (path) {
        snprintf(r->path, sizeof r->path, "%s", path);
        r->file = fopen(path, "ae");
    } else if (make_folders(folder, err, err_size)) {
        return -1;
    }
    for (unsigned attempt = 0; !path && !r->file && attempt < 100; attempt++) {
        name_file(r->path, folder, attempt);
        r->file = fopen(r->path, "axe"); // x: never over a file that is there
        if (!r->file && errno != EEXIST)
            break;
    }
    if (r->file)
        return 0;
    snprintf(err, err_size, "cannot write results to %.200s: %s", r->path, strerror(errno));
    return -1;
}

int results_write(struct results *r, json_t *record, char *err, size_t err_size)
{
    int bad = !record || json_dumpf(record, r->file, JSON_COMPACT) || fputc('\n', r->file) == EOF || fflush(r->file);
    json_decref(record);
    if (!bad)
        return 0;
    snprintf(err, err_size, "cannot write results to %.200s: %s", r->path, strerror(errno));
    return -1;
}

void results_close(struct results *r)
{
    if (r->file)
        fclose(r->file);
    r->file = NULL;
}

// ---- Values ----

json_t *json_text(const char *text)
{
    char clean[TEXT_MAX];
    size_t i = 0;
    for (; text[i] && i < sizeof clean - 1; i++)
        clean[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
    clean[i] = '\0';
    return json_string(clean);
}

json_t *json_utc_now(void)
{
    char when[32];
    time_t now = time(NULL);
    struct tm utc;
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    return json_string(when);
}

// Times and counts stay below 2^63; what a guest makes up may not.
static json_t *json_u64(uint64_t value)
{
    return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

static json_t *json_counters(const struct counters *counters)
{
    json_t *object = json_object();
    for (int i = 0; i < EV_COUNT; i++)
        if (counters->n[i])
            json_object_set_new(object, event_table[i].name, json_u64(counters->n[i]));
    return object;
}

static json_t *json_pmu_values(const struct pmu *pmu, const uint64_t *values)
{
    json_t *object = json_object();
    for (size_t i = 0; i < pmu->count; i++)
        json_object_set_new(object, pmu->name[i], json_u64(values[i]));
    return object;
}

json_t *json_engine(const char *name, const struct engine_info *info, event_mask counts)
{
    char column[COLUMN_SIZE];
    engine_column(name, info, column);
    json_t *counted = json_array();
    for (int i = 0; i < EV_COUNT; i++)
        if (counts >> i & 1)
            json_array_append_new(counted, json_string(event_table[i].name));
    return json_pack("{s:s, s:b, s:o, s:o, s:o, s:b, s:o, s:o, s:o}", "name", name, "available", info->available,
                     "backend", json_text(info->backend), "paging", json_text(info->paging), "nested",
                     json_text(info->nested), "hardware", info->hardware, "reason", json_text(info->reason), "column",
                     json_text(column), "counts", counted);
}

// ---- One benchmark ----

static json_t *json_times(const struct bench_record *b, size_t offset)
{
    json_t *list = json_array();
    for (size_t i = 0; i < b->count; i++) {
        uint64_t time;
        memcpy(&time, (const char *)&b->repetitions[i] + offset, sizeof time);
        json_array_append_new(list, json_u64(time));
    }
    return list;
}

static const struct between_marks *between(const struct bench_record *b, size_t i, bool twice)
{
    return twice ? &b->repetitions[i].twice : &b->repetitions[i].once;
}

static json_t *json_marks(const struct bench_record *b, bool twice)
{
    json_t *list = json_array();
    for (size_t i = 0; i < b->count; i++) {
        if (!between(b, i, twice)->counted) {
            json_decref(list);
            return json_null();
        }
        json_array_append_new(list, json_counters(&between(b, i, twice)->counters));
    }
    return list;
}

static json_t *json_pmu(const struct bench_record *b, const struct pmu *pmu, bool twice)
{
    json_t *list = json_array();
    for (size_t i = 0; i < b->count; i++) {
        if (!between(b, i, twice)->pmu_counted) {
            json_decref(list);
            return json_null();
        }
        json_array_append_new(list, json_pmu_values(pmu, between(b, i, twice)->pmu));
    }
    return list;
}

json_t *json_bench(const struct bench_record *b, const struct pmu *pmu)
{
    char value[24];
    snprintf(value, sizeof value, "%llu", (unsigned long long)b->value);
    json_t *o = json_object();
    json_object_set_new(o, "bench", json_text(b->name));
    json_object_set_new(o, "cold", b->has_cold ? json_u64(b->cold) : json_null());
    json_object_set_new(o, "n", json_u64(b->n));
    json_object_set_new(o, "t1", json_times(b, offsetof(struct repetition, t1)));
    json_object_set_new(o, "t2", json_times(b, offsetof(struct repetition, t2)));
    json_object_set_new(o, "e1", b->has_empty ? json_times(b, offsetof(struct repetition, e1)) : json_null());
    json_object_set_new(o, "e2", b->has_empty ? json_times(b, offsetof(struct repetition, e2)) : json_null());
    json_object_set_new(o, "value", b->has_value ? json_string(value) : json_null());
    json_object_set_new(o, "counters_n", json_marks(b, false));
    json_object_set_new(o, "counters_2n", json_marks(b, true));
    json_object_set_new(o, "pmu_n", json_pmu(b, pmu, false));
    json_object_set_new(o, "pmu_2n", json_pmu(b, pmu, true));
    return o;
}

// ---- One run ----

static void add_records(json_t *o, const struct records *records, const struct pmu *pmu)
{
    json_t *benches = json_array(), *skips = json_array(), *checks = json_array(), *texts = json_array();
    for (size_t i = 0; records && i < records->bench_count; i++) {
        const struct bench_record *b = &records->bench[i];
        if (b->skipped)
            json_array_append_new(skips,
                                  json_pack("{s:o, s:o}", "bench", json_text(b->name), "reason", json_text(b->why)));
        else
            json_array_append_new(benches, json_bench(b, pmu));
    }
    for (size_t i = 0; records && i < records->check_count && i < RECORDS_TEXTS_MAX; i++)
        json_array_append_new(checks, json_pack("{s:b, s:o}", "ok", records->checks[i].ok, "what",
                                                json_text(records->checks[i].what ? records->checks[i].what : "")));
    for (size_t i = 0; records && i < records->text_count && i < RECORDS_TEXTS_MAX; i++)
        json_array_append_new(texts, json_text(records->texts[i] ? records->texts[i] : ""));
    json_object_set_new(o, "benchmarks", benches);
    json_object_set_new(o, "skipped", skips);
    json_object_set_new(o, "checks", checks);
    json_object_set_new(o, "text", texts);
}

static void add_counts(json_t *o, const struct run_request *request, const struct run_outcome *outcome)
{
    bool counted = request->engines->count == 1 && counts_instructions(request->engines->engine[0].engine);
    uint64_t instructions = instructions_in(&outcome->counters);
    double seconds = (double)outcome->wall_ns / 1e9;
    json_t *stats = json_object();
    for (size_t i = 0; i < outcome->stat_count; i++)
        json_object_set_new(stats, outcome->stats[i].name, json_u64(outcome->stats[i].value));
    json_object_set_new(o, "wall_ns", json_u64(outcome->wall_ns));
    json_object_set_new(o, "idle_ns", json_u64(outcome->idle_ns));
    json_object_set_new(o, "instructions", counted ? json_u64(instructions) : json_null());
    json_object_set_new(o, "instructions_per_second",
                        counted && seconds > 0 ? json_real((double)instructions / seconds) : json_null());
    json_object_set_new(o, "counters", json_counters(&outcome->counters));
    json_object_set_new(o, "stats", stats);
    json_object_set_new(
        o, "pmu",
        json_pack("{s:b, s:o}", "available", outcome->pmu.count > 0, "reason", json_text(outcome->pmu.reason)));
}

// Only of a guest that moved between engines.
static void add_switches(json_t *o, const struct run_request *request, const struct run_outcome *outcome)
{
    json_t *names = json_array();
    for (size_t i = 0; i < request->engines->count; i++)
        json_array_append_new(names, json_text(request->engines->engine[i].name));
    if (request->engines->count > 1) {
        json_object_set(o, "engines", names);
        json_object_set_new(o, "switches", json_u64(outcome->switches));
    }
    json_decref(names);
}

json_t *json_run(const struct run_request *request, const char *image, const struct run_outcome *outcome)
{
    json_t *o = json_object();
    json_object_set_new(o, "image", json_text(image));
    const struct variant *first = &request->engines->engine[0];
    json_object_set_new(o, "engine", json_engine(first->name, &outcome->engine, outcome->counts));
    add_switches(o, request, outcome);
    json_object_set_new(o, "status", json_integer(outcome->status));
    json_object_set_new(o, "result", json_string(exit_status_name(outcome->status)));
    json_object_set_new(o, "reason", json_text(outcome->reason));
    json_object_set_new(o, "pinned_cpu", request->cpu >= 0 ? json_integer(request->cpu) : json_null());
    add_counts(o, request, outcome);
    add_records(o, outcome->records, &outcome->pmu);
    return o;
}

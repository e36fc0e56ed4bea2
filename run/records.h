// SPDX-License-Identifier: BSD-2-Clause
// What a guest or a native program says on its serial line or standard output: the records of include/guest_abi.h,
// kept per benchmark, and other text. Nothing in it is trusted: numbers of everything are limited.
#ifndef RINGSIDE_RUN_RECORDS_H
#define RINGSIDE_RUN_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "include/events.h"
#include "run/pmu.h"

enum {
    RECORDS_LINE_MAX = 512, // longer lines are cut
    RECORDS_NAME_MAX = 48,
    RECORDS_NAMES_MAX = 64,          // benchmarks in one run
    RECORDS_REPETITIONS_MAX = 20000, // over all benchmarks
    RECORDS_TEXTS_MAX = 1000,        // checks, and lines of free text
};

// What happened between the marks around one count of iterations.
struct between_marks {
    bool counted, pmu_counted;
    struct counters counters;
    uint64_t pmu[PMU_EVENTS_MAX];
};

struct repetition {
    uint64_t t1, t2, e1, e2;
    struct between_marks once, twice; // around n, around 2n; filled in by whoever sees the marks
};

struct bench_record {
    char name[RECORDS_NAME_MAX];
    bool has_cold, has_empty, has_value, skipped;
    uint64_t cold, n, value;
    char why[RECORDS_LINE_MAX]; // skipped
    struct repetition *repetitions;
    size_t count;
};

struct check_result {
    bool ok;
    char *what;
};

struct records {
    struct bench_record bench[RECORDS_NAMES_MAX];
    size_t bench_count, repetition_count;
    struct check_result checks[RECORDS_TEXTS_MAX];
    size_t check_count, checks_failed; // all are counted, the first are kept
    char *texts[RECORDS_TEXTS_MAX];
    size_t text_count; // all are counted, the first are kept
    char image[RECORDS_NAME_MAX];
    bool began, ended;
    uint64_t end_status;
    char error[RECORDS_LINE_MAX]; // the first thing that is wrong with the records; empty where nothing is
    size_t line_number, line_length;
    char line[RECORDS_LINE_MAX];
};

struct records *records_create(void); // NULL where there is no memory
void records_destroy(struct records *r);

// Feeds one byte. Gives the repetition where this byte completed a `warm` record, else NULL. The pointer holds until
// the next byte.
struct repetition *records_byte(struct records *r, uint8_t byte);
void records_finish(struct records *r); // a last line without a newline

// One iteration's cost in TSC cycles.
double repetition_cost(const struct repetition *rep, uint64_t n);

#endif

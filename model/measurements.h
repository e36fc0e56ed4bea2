// SPDX-License-Identifier: BSD-2-Clause
// What results files (docs/results.md) say: for each benchmark and engine how often each counter's event happens in an
// iteration, and how many TSC cycles one takes. Medians, as the tables have them. Several files count as one: what the
// first does not have, the next may.
#ifndef RINGSIDE_MODEL_MEASUREMENTS_H
#define RINGSIDE_MODEL_MEASUREMENTS_H

#include <stdbool.h>
#include <stddef.h>

#include "include/events.h"

enum { MEASURED_NAME_MAX = 96 };

struct series {
    double *value;
    size_t count;
};

// One benchmark on one engine.
struct measured {
    size_t file;
    char bench[MEASURED_NAME_MAX]; // SUITE/BENCH
    char engine[MEASURED_NAME_MAX];
    struct series cost;            // one median a process, TSC cycles
    struct series event[EV_COUNT]; // one figure a repetition
};

struct measured_engine {
    size_t file;
    char name[MEASURED_NAME_MAX];
    char paging[64];
    bool hardware;
    event_mask counts; // what it can tell apart
};

struct measurements {
    size_t files;
    struct measured *measured;
    size_t count;
    struct measured_engine *engine;
    size_t engine_count;
    char (*bench)[MEASURED_NAME_MAX]; // each once: suites from small to large, names in order
    size_t bench_count;
    double tsc_khz; // of the run that is being read, 0: unknown
};

// Adds a file's last run. 0, or -1 with one line in err. measurements_free() in either case.
int measurements_read(struct measurements *m, const char *path, char *err, size_t err_size);
void measurements_free(struct measurements *m);

// Events of an iteration; false where no file has the benchmark on that engine, or the engine cannot count them.
bool measurements_count(const struct measurements *m, const char *engine, const char *bench, enum event event,
                        double *count);
// The first file's engine of that name, or NULL.
const struct measured_engine *measurements_engine(const struct measurements *m, const char *name);
// TSC cycles of an iteration; false where it was not measured.
bool measurements_cycles(const struct measurements *m, const char *engine, const char *bench, double *cycles);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// The results file (docs/results.md): JSON Lines, one record written and flushed at a time; and the JSON of what one
// run brought, which `run --json` prints and `bench` reads from its children.
#ifndef RINGSIDE_RUN_RESULTS_H
#define RINGSIDE_RUN_RESULTS_H

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

#include "include/vcpu.h"
#include "run/one_run.h"
#include "run/pmu.h"
#include "run/records.h"

enum { RESULTS_PATH_MAX = 4096 };

struct results {
    FILE *file;
    char path[RESULTS_PATH_MAX];
};

// Opens `path` for appending, or where it is NULL a new file FOLDER/TIME-HOST.jsonl, making the folders. 0, or -1 with
// one line in err.
int results_open(struct results *r, const char *path, const char *folder, char *err, size_t err_size);
// Writes one record and drops the reference to it. 0, or -1 with one line in err (e.g. disk full).
int results_write(struct results *r, json_t *record, char *err, size_t err_size);
void results_close(struct results *r);

// A JSON string of text of unknown origin: what is not printable ASCII becomes `?`.
json_t *json_text(const char *text);
json_t *json_utc_now(void);

json_t *json_engine(const char *name, const struct engine_info *info, event_mask counts);
// What one benchmark's records say; the counts between marks are null where there are none.
json_t *json_bench(const struct bench_record *bench, const struct pmu *pmu);
// Everything of one run.
json_t *json_run(const struct run_request *request, const char *image, const struct run_outcome *outcome);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// What `bench` is going to run: which images on which engines, how often, in which order.
#ifndef RINGSIDE_RUN_BENCH_PLAN_H
#define RINGSIDE_RUN_BENCH_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "include/vcpu.h"
#include "run/exit_status.h"
#include "run/images.h"
#include "run/options.h"
#include "run/variant.h"

enum { PLAN_ENGINES_MAX = 32 };

struct plan_engine {
    char name[VARIANT_NAME_SIZE];
    const struct engine *engine; // NULL for the native programs
    struct engine_info info;
};

struct job {
    size_t image, engine; // indices in the plan
    unsigned process;
};

struct plan {
    struct image_list all; // owns what image[] points to
    const struct image **image;
    size_t image_count;
    struct plan_engine engine[PLAN_ENGINES_MAX];
    size_t engine_count;
    struct job *job; // in the order to run them
    size_t job_count;
    unsigned runs, reps;
    uint64_t cycles, timeout_ns;
    uint64_t box_ns; // the whole run ends after this; UINT64_MAX: no such limit
    uint32_t seed;
    int cpu;
};

// STATUS_OK, or what is wrong with one line in err. The plan is to be freed either way.
enum exit_status plan_make(struct plan *plan, const struct options *o, char *err, size_t err_size);
void plan_free(struct plan *plan);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// Choosing images and engines, and shuffling. The order is random in rounds: process 0 of everything in random order,
// then process 1, and so on, so that what drifts in the host meets all alike, and an interrupted run is balanced.
#include "run/bench_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "run/engines.h"
#include "run/pin.h"

#define NS_PER_S 1000000000ull

struct effort {
    unsigned runs, reps;
    uint64_t cycles, timeout_ns, box_ns;
};

// A table for publication wants 10 processes of 10 repetitions. The quick run is bounded as a whole, so that building
// and drawing included, it is a matter of two minutes, whatever the engines' speed.
static const struct effort full = {10, 10, 2000000, 120 * NS_PER_S, UINT64_MAX};
static const struct effort quick = {4, 5, 1000000, 10 * NS_PER_S, 60 * NS_PER_S};

static uint64_t or_default(uint64_t given, uint64_t otherwise)
{
    return given ? given : otherwise;
}

static void set_effort(struct plan *plan, const struct options *o)
{
    const struct effort *e = o->quick ? &quick : &full;
    plan->runs = (unsigned)or_default(o->runs, e->runs);
    plan->reps = (unsigned)or_default(o->reps, e->reps);
    plan->cycles = or_default(o->cycles, e->cycles);
    plan->timeout_ns = or_default(o->timeout_ns, e->timeout_ns);
    plan->box_ns = or_default(o->within_ns, e->box_ns);
    plan->cpu = o->cpu_given ? (int)o->cpu : pin_default();
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    plan->seed = o->seed_given ? (uint32_t)o->seed : (uint32_t)(now.tv_sec * 1000003 + now.tv_nsec);
}

// ---- Engines ----

static int add_engine(struct plan *plan, const struct options *o, const char *name, char *err, size_t err_size)
{
    struct plan_engine e = {.name = NATIVE_NAME};
    if (!strcmp(name, NATIVE_NAME)) {
        native_probe(&e.info);
    } else {
        struct variant variant;
        if (variant_parse(&variant, name, o, err, err_size))
            return -1;
        e.engine = variant.engine;
        memcpy(e.name, variant.name, sizeof e.name);
        e.engine->probe(&e.info);
    }
    for (size_t i = 0; i < plan->engine_count; i++)
        if (!strcmp(plan->engine[i].name, e.name))
            return 0;
    if (plan->engine_count == PLAN_ENGINES_MAX) {
        snprintf(err, err_size, "more than %d engines", PLAN_ENGINES_MAX);
        return -1;
    }
    plan->engine[plan->engine_count++] = e;
    return 0;
}

static int choose_engines(struct plan *plan, const struct options *o, char *err, size_t err_size)
{
    const char *list = o->engines;
    int result = 0;
    if (!list) {
        result = add_engine(plan, o, NATIVE_NAME, err, err_size);
        for (size_t i = 0; result == 0 && i < engine_count; i++)
            result = add_engine(plan, o, engine_table[i]->name, err, err_size);
        return result;
    }
    char *copy = strdup(list), *save = NULL;
    for (char *name = copy ? strtok_r(copy, ",", &save) : NULL; name && !result; name = strtok_r(NULL, ",", &save))
        result = add_engine(plan, o, name, err, err_size);
    free(copy);
    if (!result && !plan->engine_count) {
        snprintf(err, err_size, "--engines names no engine");
        return -1;
    }
    return result;
}

// ---- Images ----

static bool wanted(const struct image_list *list, const struct image *image, const struct options *o)
{
    if (image_is_test(image))
        return false;
    for (size_t i = 0; i < o->name_count; i++)
        if (!strcmp(image->suite, o->names[i]) || images_named(list, o->names[i]) == image)
            return true;
    return o->name_count == 0;
}

static int choose_images(struct plan *plan, const struct options *o, char *err, size_t err_size)
{
    for (size_t i = 0; i < o->name_count; i++)
        if (!images_known(&plan->all, o->names[i], err, err_size))
            return -1;
    plan->image = calloc(plan->all.count + 1, sizeof *plan->image);
    for (size_t i = 0; plan->image && i < plan->all.count; i++)
        if (wanted(&plan->all, &plan->all.image[i], o))
            plan->image[plan->image_count++] = &plan->all.image[i];
    if (!plan->image_count)
        snprintf(err, err_size, "no benchmark image: `make images` builds them, `ringside list` shows them");
    return plan->image_count ? 0 : -1;
}

// ---- Order ----

// splitmix64 (Steele, Lea, Flood, OOPSLA 2014): small, and the same everywhere for one seed.
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static void shuffle(struct job *job, size_t count, uint64_t *state)
{
    for (size_t i = count; i > 1; i--) {
        size_t j = next_random(state) % i;
        struct job swap = job[i - 1];
        job[i - 1] = job[j];
        job[j] = swap;
    }
}

static bool runs_on(const struct image *image, const struct plan_engine *e)
{
    return e->info.available && (e->engine || image->native[0]);
}

static int order_jobs(struct plan *plan, char *err, size_t err_size)
{
    uint64_t state = plan->seed;
    plan->job = calloc(plan->image_count * plan->engine_count * plan->runs, sizeof *plan->job);
    if (!plan->job) {
        snprintf(err, err_size, "no memory for the plan");
        return -1;
    }
    for (unsigned process = 0; process < plan->runs; process++) {
        size_t first = plan->job_count;
        for (size_t i = 0; i < plan->image_count; i++)
            for (size_t e = 0; e < plan->engine_count; e++)
                if (runs_on(plan->image[i], &plan->engine[e]))
                    plan->job[plan->job_count++] = (struct job){i, e, process};
        shuffle(plan->job + first, plan->job_count - first, &state);
    }
    return 0;
}

enum exit_status plan_make(struct plan *plan, const struct options *o, char *err, size_t err_size)
{
    *plan = (struct plan){0};
    set_effort(plan, o);
    if (choose_engines(plan, o, err, err_size))
        return STATUS_USAGE;
    if (images_find(&plan->all, err, err_size))
        return STATUS_UNAVAILABLE;
    if (choose_images(plan, o, err, err_size))
        return STATUS_BAD_IMAGE;
    return order_jobs(plan, err, err_size) ? STATUS_UNAVAILABLE : STATUS_OK;
}

void plan_free(struct plan *plan)
{
    free(plan->image);
    free(plan->job);
    images_free(&plan->all);
}

// SPDX-License-Identifier: BSD-2-Clause
// Collects one cost per repetition, and prints medians. The real tables are made from the results file by scripts.
#include "run/summary.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run/engines.h"
#include "run/records.h"
#include "run/stats.h"

static struct summary_row *row_of(struct summary *s, const char *suite, const char *bench)
{
    for (size_t i = 0; i < s->row_count; i++)
        if (!strcmp(s->row[i].suite, suite) && !strcmp(s->row[i].bench, bench))
            return &s->row[i];
    struct summary_row *more = reallocarray(s->row, s->row_count + 1, sizeof *more);
    if (!more)
        return NULL;
    s->row = more;
    struct summary_row *row = &more[s->row_count++];
    *row = (struct summary_row){0};
    snprintf(row->suite, sizeof row->suite, "%s", suite);
    snprintf(row->bench, sizeof row->bench, "%s", bench);
    return row;
}

static uint64_t element(const json_t *sample, const char *key, size_t i)
{
    return (uint64_t)json_integer_value(json_array_get(json_object_get(sample, key), i));
}

void summary_add_sample(struct summary *s, const struct job *job, const json_t *sample)
{
    struct summary_row *row = row_of(s, json_string_value(json_object_get(sample, "suite")),
                                     json_string_value(json_object_get(sample, "bench")));
    uint64_t n = (uint64_t)json_integer_value(json_object_get(sample, "n"));
    size_t reps = json_array_size(json_object_get(sample, "t1"));
    s->samples++;
    if (!row || !n)
        return;
    double *more = reallocarray(row->engine[job->engine].cost, row->engine[job->engine].count + reps, sizeof *more);
    if (!more)
        return;
    row->engine[job->engine].cost = more;
    for (size_t i = 0; i < reps; i++) {
        const struct repetition rep = {.t1 = element(sample, "t1", i),
                                       .t2 = element(sample, "t2", i),
                                       .e1 = element(sample, "e1", i),
                                       .e2 = element(sample, "e2", i)};
        more[row->engine[job->engine].count++] = repetition_cost(&rep, n);
    }
}

void summary_add_failure(struct summary *s, const struct job *job, const char *reason)
{
    s->failed++;
    for (size_t i = 0; i < s->failure_count; i++) {
        if (s->failure[i].image == job->image && s->failure[i].engine == job->engine) {
            s->failure[i].times++;
            return;
        }
    }
    struct failure *more = reallocarray(s->failure, s->failure_count + 1, sizeof *more);
    if (!more)
        return;
    s->failure = more;
    struct failure *f = &more[s->failure_count++];
    *f = (struct failure){.image = job->image, .engine = job->engine, .times = 1};
    snprintf(f->reason, sizeof f->reason, "%s", reason);
}

static int by_name(const void *a, const void *b)
{
    const struct summary_row *x = a, *y = b;
    int suites = strcmp(x->suite, y->suite);
    return suites ? suites : strcmp(x->bench, y->bench);
}

static void print_row(struct summary_row *row, const struct plan *plan)
{
    printf("%-8s%-16s", row->suite, row->bench);
    for (size_t e = 0; e < plan->engine_count; e++) {
        double median = stats_median(row->engine[e].cost, row->engine[e].count);
        if (isnan(median))
            printf("%16s", "-");
        else
            printf("%16.*f", fabs(median) < 100 ? 2 : 0, median);
    }
    putchar('\n');
}

void summary_print(struct summary *s, const struct plan *plan)
{
    char column[COLUMN_SIZE];
    if (s->row_count)
        qsort(s->row, s->row_count, sizeof *s->row, by_name);
    printf("TSC cycles an iteration, median%s\n\n%-24s",
           plan->box_ns != UINT64_MAX ? " (a first look, bounded in time)" : "", "");
    for (size_t e = 0; e < plan->engine_count; e++)
        printf("%16s", plan->engine[e].name);
    putchar('\n');
    for (size_t i = 0; i < s->row_count; i++)
        print_row(&s->row[i], plan);
    putchar('\n');
    for (size_t e = 0; e < plan->engine_count; e++) {
        const struct engine_info *info = &plan->engine[e].info;
        engine_column(plan->engine[e].name, info, column);
        printf("%s%s%s\n", column, info->available ? "" : ": ", info->available ? "" : info->reason);
    }
    for (size_t i = 0; i < s->failure_count; i++) {
        const struct failure *f = &s->failure[i];
        const struct image *image = plan->image[f->image];
        printf("failed: %s/%s on %s, %u of %u processes: %s\n", image->suite, image->name, plan->engine[f->engine].name,
               f->times, plan->runs, f->reason);
    }
}

void summary_free(struct summary *s)
{
    for (size_t i = 0; i < s->row_count; i++)
        for (size_t e = 0; e < PLAN_ENGINES_MAX; e++)
            free(s->row[i].engine[e].cost);
    free(s->row);
    free(s->failure);
}

// SPDX-License-Identifier: BSD-2-Clause
// `ringside bench`: runs the plan, a process at a time, and writes the results file as it goes.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "run/bench_plan.h"
#include "run/commands.h"
#include "run/engines.h"
#include "run/host.h"
#include "run/progress.h"
#include "run/results.h"
#include "run/sample.h"
#include "run/summary.h"
#include "run/watch.h"

#define NS_PER_S 1000000000ull
#define RESULTS_FOLDER "results/local"

struct bench {
    const struct options *options;
    struct plan plan;
    struct results results;
    struct progress progress;
    struct summary summary;
    bool *gave_up; // by image and engine: a process of it ran into its time limit
    int stop_fd;
    uint64_t start_ns;
    char *err;
    size_t err_size;
};

static int write_record(struct bench *b, json_t *record)
{
    return results_write(&b->results, record, b->err, b->err_size);
}

// ---- The records before the samples ----

static json_t *own_command_line(void)
{
    char bytes[4096];
    json_t *words = json_array();
    FILE *f = fopen("/proc/self/cmdline", "re");
    size_t length = f ? fread(bytes, 1, sizeof bytes - 1, f) : 0;
    bytes[length] = '\0';
    for (size_t at = 0; at < length; at += strlen(bytes + at) + 1)
        json_array_append_new(words, json_text(bytes + at));
    if (f)
        fclose(f);
    return words;
}

static int write_run(struct bench *b)
{
    const struct plan *p = &b->plan;
    json_t *machine = host_describe(p->all.root), *warning;
    size_t i;
    json_array_foreach(json_object_get(machine, "unquiet"), i, warning)
        fprintf(stderr, "bench: note: %s\n", json_string_value(warning));
    return write_record(b, json_pack("{s:s, s:i, s:o, s:o, s:I, s:b, s:i, s:i, s:I, s:i, s:o}", "type", "run",
                                     "version", 1, "time", json_utc_now(), "command", own_command_line(), "seed",
                                     (json_int_t)p->seed, "quick", b->options->quick, "runs", (int)p->runs, "reps",
                                     (int)p->reps, "cycles", (json_int_t)p->cycles, "cpu", p->cpu, "machine", machine));
}

static json_t *file_sha256(const char *path)
{
    char hex[SHA256_HEX_SIZE], none[1];
    uint8_t *bytes;
    size_t size;
    if (!path[0] || file_read(path, &bytes, &size, none, sizeof none))
        return json_null();
    sha256_hex(bytes, size, hex);
    free(bytes);
    return json_string(hex);
}

static int write_heads(struct bench *b)
{
    const struct plan *p = &b->plan;
    if (write_run(b))
        return -1;
    for (size_t i = 0; i < p->engine_count; i++) {
        const struct plan_engine *e = &p->engine[i];
        json_t *o = json_engine(e->name, &e->info, e->engine ? engine_counts(e->engine, e->name) : 0);
        json_object_set_new(o, "type", json_string("engine"));
        if (write_record(b, o))
            return -1;
    }
    for (size_t i = 0; i < p->image_count; i++) {
        const struct image *image = p->image[i];
        if (write_record(b, json_pack("{s:s, s:s, s:s, s:o, s:b, s:o}", "type", "image", "suite", image->suite, "bench",
                                      image->name, "sha256", file_sha256(image->path), "native", image->native[0] != 0,
                                      "native_sha256", file_sha256(image->native))))
            return -1;
    }
    return 0;
}

// ---- The samples ----

static void tick(void *ctx)
{
    progress_show(ctx);
}

static int keep(struct bench *b, const struct job *job, json_t *record)
{
    const char *type = json_string_value(json_object_get(record, "type"));
    if (!strcmp(type, "sample"))
        summary_add_sample(&b->summary, job, record);
    else if (!strcmp(type, "failed"))
        summary_add_failure(&b->summary, job, json_string_value(json_object_get(record, "reason")));
    else
        b->summary.skipped++;
    return write_record(b, json_incref(record));
}

// The record of a job that is not started at all, or NULL.
static json_t *refusal(const struct bench *b, const struct job *job, size_t order)
{
    if (monotonic_ns() - b->start_ns >= b->plan.box_ns)
        return sample_skipped(&b->plan, job, order, "not run: the time of the whole run was used up");
    if (b->gave_up[job->image * b->plan.engine_count + job->engine])
        return sample_failed(&b->plan, job, order, -1, "not run again: an earlier process ran into its time limit");
    return NULL;
}

// 0; -1 where results cannot be written, 1 where interrupted.
static int do_job(struct bench *b, size_t order)
{
    const struct job *job = &b->plan.job[order];
    json_t *record = refusal(b, job, order);
    if (record) {
        int result = keep(b, job, record);
        json_decref(record);
        return result;
    }
    uint64_t left = b->plan.box_ns - (monotonic_ns() - b->start_ns);
    bool last = left < b->plan.timeout_ns;
    const struct sample_request request = {.plan = &b->plan,
                                           .job = job,
                                           .order = order,
                                           .timeout_ns = last ? left + NS_PER_S / 10 : b->plan.timeout_ns,
                                           .last = last,
                                           .stop_fd = b->stop_fd,
                                           .tick = tick,
                                           .tick_ctx = &b->progress};
    struct sample_result sample;
    size_t i;
    int result = 0;
    sample_run(&request, &sample);
    b->gave_up[job->image * b->plan.engine_count + job->engine] |= sample.timed_out;
    json_array_foreach(sample.records, i, record) if (!result && !sample.stopped) result = keep(b, job, record);
    json_decref(sample.records);
    return sample.stopped ? 1 : result;
}

static int do_jobs(struct bench *b)
{
    int result = 0;
    progress_start(&b->progress, &b->plan);
    for (size_t i = 0; i < b->plan.job_count && !result; i++) {
        progress_job_begins(&b->progress);
        result = do_job(b, i);
        progress_job_ended(&b->progress);
    }
    progress_end(&b->progress);
    return result;
}

static int write_end(struct bench *b, bool complete)
{
    const struct summary *s = &b->summary;
    return write_record(b, json_pack("{s:s, s:b, s:f, s:i, s:i, s:i}", "type", "end", "complete", complete, "seconds",
                                     (double)(monotonic_ns() - b->start_ns) / NS_PER_S, "samples", (int)s->samples,
                                     "failed", (int)s->failed, "skipped", (int)s->skipped));
}

// ---- The whole ----

static void print_plan(const struct plan *p)
{
    fprintf(stderr, "bench: %zu images, %zu engines, %zu processes: %u of each, %u repetitions of %llu cycles or more",
            p->image_count, p->engine_count, p->job_count, p->runs, p->reps, (unsigned long long)p->cycles);
    if (p->box_ns != UINT64_MAX)
        fprintf(stderr, ", at most %llu s in all", (unsigned long long)(p->box_ns / NS_PER_S));
    fprintf(stderr, "; pinned to CPU %d, seed %u\n", p->cpu, p->seed);
}

static enum exit_status measure(struct bench *b)
{
    if (write_heads(b))
        return STATUS_UNAVAILABLE;
    int result = do_jobs(b);
    if (result < 0 || write_end(b, result == 0))
        return STATUS_UNAVAILABLE;
    summary_print(&b->summary, &b->plan);
    printf("\nresults: %s\n", b->results.path);
    if (result > 0) {
        snprintf(b->err, b->err_size, "interrupted; what was measured is in %.300s", b->results.path);
        return STATUS_INTERRUPTED;
    }
    if (!b->summary.samples) {
        snprintf(b->err, b->err_size, "nothing could be measured; the reasons are in %.300s", b->results.path);
        return STATUS_UNAVAILABLE;
    }
    if (b->summary.skipped)
        printf("left out: %zu rows; the reasons are in the file\n", b->summary.skipped);
    if (b->summary.failed)
        snprintf(b->err, b->err_size, "%zu of %zu processes gave no sample", b->summary.failed, b->plan.job_count);
    return b->summary.failed ? STATUS_GUEST_FAILED : STATUS_OK;
}

static int block_signals(sigset_t *before)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, before);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static enum exit_status prepared(struct bench *b)
{
    char folder[IMAGE_PATH_MAX + sizeof RESULTS_FOLDER];
    snprintf(folder, sizeof folder, "%s/" RESULTS_FOLDER, b->plan.all.root);
    b->gave_up = calloc(b->plan.image_count * b->plan.engine_count, sizeof *b->gave_up);
    if (!b->gave_up || results_open(&b->results, b->options->out, folder, b->err, b->err_size))
        return STATUS_UNAVAILABLE;
    sigset_t before;
    print_plan(&b->plan);
    b->start_ns = monotonic_ns();
    b->stop_fd = block_signals(&before);
    enum exit_status status = measure(b);
    if (b->stop_fd >= 0)
        close(b->stop_fd);
    results_close(&b->results);
    return status;
}

enum exit_status command_bench(const struct options *o, char *err, size_t err_size)
{
    struct bench b = {.options = o, .stop_fd = -1, .err = err, .err_size = err_size};
    enum exit_status status = plan_make(&b.plan, o, err, err_size);
    if (status == STATUS_OK)
        status = prepared(&b);
    summary_free(&b.summary);
    free(b.gave_up);
    plan_free(&b.plan);
    return status;
}

// SPDX-License-Identifier: BSD-2-Clause
// A process is this program as `run --json`, or a native program, whose records are parsed here.
#include "run/sample.h"

#include <stdio.h>
#include <string.h>

#include "run/child.h"
#include "run/engines.h"
#include "run/records.h"
#include "run/results.h"
#include "run/watch.h"

#define NS_PER_S 1000000000ull
#define GRACE_NS (5 * NS_PER_S) // the child's own --timeout comes first

enum { ARGUMENTS = 12, ARGUMENT_SIZE = 128 };

struct command_line {
    char text[ARGUMENTS][ARGUMENT_SIZE];
    char *argv[ARGUMENTS + 1];
    size_t count;
};

static void add(struct command_line *c, const char *format, unsigned long long value)
{
    snprintf(c->text[c->count], ARGUMENT_SIZE, format, value);
    c->argv[c->count] = c->text[c->count];
    c->count++;
}

static void native_command(struct command_line *c, const struct sample_request *request)
{
    const struct plan *plan = request->plan;
    c->argv[c->count++] = (char *)plan->image[request->job->image]->native;
    add(c, "reps=%llu", plan->reps);
    add(c, "cycles=%llu", plan->cycles);
    add(c, "cpu=%llu", (unsigned)plan->cpu);
}

static void engine_command(struct command_line *c, const struct sample_request *request)
{
    const struct plan *plan = request->plan;
    c->argv[c->count++] = (char *)"/proc/self/exe";
    c->argv[c->count++] = (char *)"run";
    c->argv[c->count++] = (char *)"--json";
    c->argv[c->count++] = (char *)"--pmu";
    snprintf(c->text[c->count], ARGUMENT_SIZE, "--engine=%s", plan->engine[request->job->engine].name);
    c->argv[c->count] = c->text[c->count];
    c->count++;
    snprintf(c->text[c->count], ARGUMENT_SIZE, "--append=reps=%u cycles=%llu", plan->reps,
             (unsigned long long)plan->cycles);
    c->argv[c->count] = c->text[c->count];
    c->count++;
    add(c, "--cpu=%llu", (unsigned)plan->cpu);
    snprintf(c->text[c->count], ARGUMENT_SIZE, "--timeout=%.3f", (double)request->timeout_ns / NS_PER_S);
    c->argv[c->count] = c->text[c->count];
    c->count++;
    c->argv[c->count++] = (char *)plan->image[request->job->image]->path;
}

// ---- Records ----

// What every record of a process says.
static json_t *heading(const char *type, const struct plan *plan, const struct job *job, size_t order)
{
    const struct image *image = plan->image[job->image];
    return json_pack("{s:s, s:s, s:s, s:s, s:i, s:i}", "type", type, "suite", image->suite, "image", image->name,
                     "engine", plan->engine[job->engine].name, "process", (int)job->process, "order", (int)order);
}

json_t *sample_failed(const struct plan *plan, const struct job *job, size_t order, int status, const char *reason)
{
    json_t *o = heading("failed", plan, job, order);
    json_object_set_new(o, "bench", json_null());
    json_object_set_new(o, "status", status < 0 ? json_null() : json_integer(status));
    json_object_set_new(o, "reason", json_text(reason));
    return o;
}

static void add_failed(const struct sample_request *r, struct sample_result *result, int status, const char *reason)
{
    json_array_append_new(result->records, sample_failed(r->plan, r->job, r->order, status, reason));
}

json_t *sample_skipped(const struct plan *plan, const struct job *job, size_t order, const char *reason)
{
    json_t *o = heading("skipped", plan, job, order);
    json_object_set_new(o, "bench", json_null());
    json_object_set_new(o, "reason", json_text(reason));
    return o;
}

static void add_sample(const struct sample_request *r, struct sample_result *result, json_t *bench, uint64_t wall_ns,
                       json_t *instructions)
{
    size_t reps = json_array_size(json_object_get(bench, "t1"));
    bool runs_once = reps == 0 && json_is_integer(json_object_get(bench, "cold"));
    if (reps != r->plan->reps && !runs_once) {
        json_t *failed = sample_failed(r->plan, r->job, r->order, 0, "not as many repetitions as asked for");
        json_object_set(failed, "bench", json_object_get(bench, "bench"));
        json_array_append_new(result->records, failed);
        return;
    }
    json_t *o = heading("sample", r->plan, r->job, r->order);
    json_object_update(o, bench);
    json_object_set_new(o, "pinned_cpu", json_integer(r->plan->cpu));
    json_object_set_new(o, "wall_ns", json_integer((json_int_t)wall_ns));
    json_object_set(o, "instructions_total", instructions);
    json_array_append_new(result->records, o);
}

static void add_skipped(const struct sample_request *r, struct sample_result *result, const json_t *skip)
{
    json_t *o = heading("skipped", r->plan, r->job, r->order);
    json_object_set(o, "bench", json_object_get(skip, "bench"));
    json_object_set(o, "reason", json_object_get(skip, "reason"));
    json_array_append_new(result->records, o);
}

// ---- What a child printed ----

static void from_engine(const struct sample_request *r, struct sample_result *result, const json_t *run,
                        uint64_t wall_ns)
{
    json_t *instructions = json_object_get(run, "instructions"), *entry;
    size_t i;
    json_array_foreach(json_object_get(run, "benchmarks"), i, entry)
        add_sample(r, result, entry, wall_ns, instructions);
    json_array_foreach(json_object_get(run, "skipped"), i, entry) add_skipped(r, result, entry);
}

static void from_native(const struct sample_request *r, struct sample_result *result, const struct child_result *child,
                        uint64_t wall_ns)
{
    const struct pmu none = {0};
    struct records *records = records_create();
    if (!records) {
        add_failed(r, result, -1, "no memory for the records");
        return;
    }
    for (size_t i = 0; i < child->out_length; i++)
        records_byte(records, (uint8_t)child->out[i]);
    records_finish(records);
    for (size_t i = 0; i < records->bench_count; i++) {
        if (records->bench[i].skipped)
            continue; // a name that exists in the image alone
        json_t *bench = json_bench(&records->bench[i], &none), *null = json_null();
        add_sample(r, result, bench, wall_ns, null);
        json_decref(bench);
    }
    if (records->error[0])
        add_failed(r, result, 0, records->error);
    records_destroy(records);
}

// The last line on standard error, which is the child's own reason.
static const char *last_line(char *text)
{
    if (!text)
        return "";
    size_t length = strlen(text);
    while (length && text[length - 1] == '\n')
        text[--length] = '\0';
    char *newline = strrchr(text, '\n');
    return newline ? newline + 1 : text;
}

static void add_failure_of(const struct sample_request *r, struct sample_result *result, struct child_result *child,
                           const json_t *run)
{
    char reason[256];
    const char *said = json_string_value(json_object_get(run, "reason"));
    bool late = child->timed_out || child->status == STATUS_TIMEOUT;
    if (late && r->last)
        snprintf(reason, sizeof reason, "cut off: the time of the whole run was used up");
    else if (child->timed_out)
        snprintf(reason, sizeof reason, "did not end within %.1f s", (double)r->timeout_ns / NS_PER_S);
    else if (child->signal)
        snprintf(reason, sizeof reason, "ended by signal %d (%s)", child->signal, strsignal(child->signal));
    else
        snprintf(reason, sizeof reason, "%.250s", said && *said ? said : last_line(child->err));
    if (late ? r->last : child->status == STATUS_UNSUPPORTED)
        json_array_append_new(result->records, sample_skipped(r->plan, r->job, r->order, reason));
    else
        add_failed(r, result, child->status, reason);
    result->timed_out = late;
}

void sample_run(const struct sample_request *request, struct sample_result *result)
{
    struct command_line command = {0};
    struct child_result child;
    char err[256];
    bool native = !request->plan->engine[request->job->engine].engine;
    *result = (struct sample_result){.records = json_array()};
    (native ? native_command : engine_command)(&command, request);
    const struct child_request child_request = {.argv = command.argv,
                                                .timeout_ns = request->timeout_ns + (native ? 0 : GRACE_NS),
                                                .pin = native, // a program that forks need not know how
                                                .cpu = request->plan->cpu,
                                                .stop_fd = request->stop_fd,
                                                .tick = request->tick,
                                                .tick_ctx = request->tick_ctx};
    uint64_t start = monotonic_ns();
    int started = child_run(&child_request, &child, err, sizeof err);
    uint64_t wall_ns = monotonic_ns() - start;
    json_t *run = !started && !native && child.out ? json_loads(child.out, 0, NULL) : NULL;
    if ((result->stopped = child.stopped))
        ; // what it had is not whole
    else if (started)
        add_failed(request, result, -1, err);
    else if (child.timed_out || child.status != STATUS_OK)
        add_failure_of(request, result, &child, run);
    else if (native)
        from_native(request, result, &child, wall_ns);
    else
        from_engine(request, result, run, wall_ns);
    if (!result->stopped && !json_array_size(result->records))
        add_failed(request, result, child.status, "it measured nothing");
    json_decref(run);
    child_free(&child);
}

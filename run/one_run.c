// SPDX-License-Identifier: BSD-2-Clause
// The loop around engine->run(): timers, marks, the serial line, and what each way of ending means.
#include "run/one_run.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "include/guest_abi.h"
#include "machine/machine.h"
#include "machine/multiboot.h"
#include "run/engines.h"
#include "run/gdb.h"
#include "run/input.h"
#include "run/pin.h"
#include "run/variant.h"
#include "run/watch.h"
#include "x86/regs.h"

enum { MARK_IDS = 2 }; // n and 2n

struct snapshot {
    struct counters counters;
    uint64_t pmu[PMU_EVENTS_MAX];
    bool pmu_ok;
};

struct run {
    const struct run_request *request;
    struct run_outcome *outcome;
    struct machine *machine;
    struct vcpu *vcpu; // on the engine that the guest is on now
    const struct switch_plan *plan;
    struct switch_plan legacy_plan; // for a guest that starts in 32-bit mode, on an engine that cannot
    bool starting;                  // it is in that mode still
    struct switcher switcher;
    struct watch *watch;
    struct gdb *gdb;     // NULL: nobody debugs
    struct input *input; // for the serial line; NULL: none
    uint64_t serial_bytes;
    uint32_t mark; // the last one written; looked at when run() comes back for it
    bool begun[MARK_IDS];
    struct snapshot begin[MARK_IDS];
    struct between_marks between[MARK_IDS]; // waits for the `warm` record that it belongs to
};

__attribute__((format(printf, 3, 4))) static enum exit_status ends(struct run *r, enum exit_status status,
                                                                   const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(r->outcome->reason, sizeof r->outcome->reason, format, args);
    va_end(args);
    return status;
}

// ---- What the machine calls ----

static bool on_serial(void *ctx, uint8_t byte)
{
    struct run *r = ctx;
    if (r->serial_bytes++ >= r->request->serial_limit)
        return false;
    if (r->request->serial)
        r->request->serial(r->request->serial_ctx, byte);
    struct repetition *rep = records_byte(r->outcome->records, byte);
    if (rep) {
        rep->once = r->between[0];
        rep->twice = r->between[1];
        memset(r->between, 0, sizeof r->between);
    }
    return true;
}

static int on_input(void *ctx)
{
    return input_next(((struct run *)ctx)->input);
}

static void on_mark(void *ctx, uint32_t value)
{
    ((struct run *)ctx)->mark = value;
}

// ---- Marks ----

// By all engines that the guest has been on.
static void count_all(struct run *r, struct counters *sum)
{
    *sum = (struct counters){0};
    for (unsigned i = 0; i < r->plan->count; i++) {
        struct vcpu *v = machine_engine(r->machine, i);
        struct counters c;
        v->engine->counters(v, &c);
        for (int e = 0; e < EV_COUNT; e++)
            sum->n[e] += c.n[e];
    }
}

static void take(struct run *r, struct snapshot *s)
{
    count_all(r, &s->counters);
    s->pmu_ok = r->request->count_pmu && pmu_read(&r->outcome->pmu, s->pmu);
}

static void do_mark(struct run *r)
{
    unsigned id = MARK_ID(r->mark), kind = MARK_KIND(r->mark);
    struct snapshot end;
    if (id >= MARK_IDS)
        return; // others may come to mean something else
    if (kind == MARK_BEGIN) {
        r->begun[id] = true;
        take(r, &r->begin[id]);
    } else if (kind == MARK_END && r->begun[id]) {
        const struct snapshot *begin = &r->begin[id];
        struct between_marks *m = &r->between[id];
        take(r, &end);
        r->begun[id] = false;
        m->counted = true;
        m->pmu_counted = begin->pmu_ok && end.pmu_ok;
        for (int i = 0; i < EV_COUNT; i++)
            m->counters.n[i] = end.counters.n[i] - begin->counters.n[i];
        for (size_t i = 0; m->pmu_counted && i < r->outcome->pmu.count; i++)
            m->pmu[i] = end.pmu[i] - begin->pmu[i];
    }
}

// ---- A start in 32-bit mode (machine/multiboot.h) ----
// Where the engine does not have that mode, the interpreter runs the guest until it is in 64-bit mode; then the guest
// moves to its engine, for good. vtx has the mode.

#define START_SLICE 1000 // instructions between two looks

static bool in_64_bit_mode(struct run *r)
{
    struct vcpu_state *state = malloc(sizeof *state);
    bool is = state && r->vcpu->engine->get_state(r->vcpu, state) == 0 && (state->efer & EFER_LMA) &&
              (state->seg[SEG_CS].attr & SEG_L);
    free(state);
    return is;
}

static bool plan_start(struct run *r)
{
    const struct run_request *request = r->request;
    r->plan = request->engines;
    const struct engine *engine = r->plan->engine[0].engine;
    if (!multiboot_is_for(request->files.image, request->files.image_size) || engine == &engine_interp ||
        engine == &engine_vtx)
        return true;
    if (r->plan->count > 1 || request->gdb) {
        ends(r, STATUS_USAGE, "a guest that starts in 32-bit mode starts on interp: no --switch, no --gdb with others");
        return false;
    }
    r->legacy_plan = (struct switch_plan){.engine = {{.engine = &engine_interp, .name = "interp"}, r->plan->engine[0]},
                                          .count = 2,
                                          .every_ns = INT64_MAX};
    r->plan = &r->legacy_plan;
    r->starting = true;
    return true;
}

// ---- The loop ----

uint64_t instructions_in(const struct counters *counters)
{
    return counters->n[EV_insns_kernel] + counters->n[EV_insns_user];
}

bool counts_instructions(const struct engine *engine)
{
    const event_mask both = EVENT_BIT(insns_kernel) | EVENT_BIT(insns_user);
    return (engine->counts & both) == both;
}

// What is left of the budget: 0 where there is no limit, UINT64_MAX where it is used up.
static uint64_t budget_left(struct run *r)
{
    struct counters now;
    if (!r->request->budget)
        return 0;
    count_all(r, &now);
    uint64_t used = instructions_in(&now);
    return used < r->request->budget ? r->request->budget - used : UINT64_MAX;
}

// The guest ended by itself.
static enum exit_status powered_off(struct run *r)
{
    struct records *records = r->outcome->records;
    uint32_t code = 0;
    records_finish(records);
    if (records->checks_failed) {
        const char *what = "";
        for (size_t i = records->check_count < RECORDS_TEXTS_MAX ? records->check_count : RECORDS_TEXTS_MAX; i-- > 0;)
            if (!records->checks[i].ok)
                what = records->checks[i].what;
        return ends(r, STATUS_GUEST_FAILED, "the guest failed %zu of %zu checks, first: %s", records->checks_failed,
                    records->check_count, what ? what : "");
    }
    if (machine_exit_code(r->machine, &code) && code)
        return ends(r, STATUS_GUEST_FAILED, "the guest ended with status %u", code);
    if (records->ended && records->end_status)
        return ends(r, STATUS_GUEST_FAILED, "the guest ended with status %llu",
                    (unsigned long long)records->end_status);
    if (records->error[0])
        return ends(r, STATUS_GUEST_FAILED, "the guest's records: %s", records->error);
    return STATUS_OK;
}

// hlt: false where nothing will ever wake the guest.
static bool wait_for_interrupt(struct run *r)
{
    struct vcpu_state *state = malloc(sizeof *state);
    bool deaf = state && r->vcpu->engine->get_state(r->vcpu, state) == 0 && !(state->rflags & FLAG_IF);
    free(state);
    if (deaf)
        return false;
    if (!machine_can_wake(r->machine))
        return false;
    uint64_t deadline = machine_next_deadline(r->machine), start = monotonic_ns();
    if (deadline != UINT64_MAX || (r->input && !machine_interrupt_pending(r->machine)))
        watch_sleep(r->watch, deadline); // no longer than until now, where it has passed or input has come
    r->outcome->idle_ns += monotonic_ns() - start;
    machine_tick(r->machine);
    return true;
}

static bool wished_to_end(struct run *r, enum exit_status *status)
{
    if (watch_interrupted(r->watch))
        *status = ends(r, STATUS_INTERRUPTED, "interrupted");
    else if (watch_timed_out(r->watch))
        *status = ends(r, STATUS_TIMEOUT, "the guest did not end within %g s (--timeout)",
                       (double)r->request->timeout_ns / 1e9);
    else if (r->gdb && gdb_wants_end(r->gdb))
        *status = ends(r, STATUS_INTERRUPTED, "%s", gdb_wants_end(r->gdb));
    else
        return false;
    return true;
}

// True where the exit ends the run.
static bool handle_exit(struct run *r, enum vcpu_exit exit, enum exit_status *status)
{
    switch (exit) {
    case VCPU_EXIT_MARK:
        do_mark(r);
        return false;
    case VCPU_EXIT_KICK:
    case VCPU_CONTINUE:
    case VCPU_EXIT_BREAKPOINT:
        machine_tick(r->machine);
        return false;
    case VCPU_EXIT_HALT:
        if (wait_for_interrupt(r))
            return false;
        *status = ends(r, STATUS_HALTED, "the guest halted for good: nothing can wake it");
        return true;
    case VCPU_EXIT_POWER:
        *status = powered_off(r);
        return true;
    case VCPU_EXIT_SHUTDOWN:
        *status = ends(r, STATUS_SHUTDOWN, "the guest shut down (triple fault)");
        return true;
    case VCPU_EXIT_BUDGET:
        *status = ends(r, STATUS_TIMEOUT, "the guest did not end within %llu instructions (--budget)",
                       (unsigned long long)r->request->budget);
        return true;
    case VCPU_EXIT_ERROR:
        *status = ends(r, r->vcpu->unsupported ? STATUS_UNSUPPORTED : STATUS_ENGINE_ERROR, "%s: %s",
                       r->vcpu->engine->name, r->vcpu->error);
        return true;
    }
    *status = ends(r, STATUS_ENGINE_ERROR, "%s: unknown exit %d", r->vcpu->engine->name, (int)exit);
    return true;
}

static uint64_t next_deadline(struct run *r)
{
    uint64_t timer = machine_next_deadline(r->machine);
    return timer < r->switcher.due ? timer : r->switcher.due;
}

// The guest moves to the next engine. What the last one was kicked for has to be looked at here.
static bool move_on(struct run *r)
{
    if (switch_engines(&r->switcher, r->outcome->reason, sizeof r->outcome->reason))
        return false;
    r->vcpu = machine_vcpu(r->machine);
    watch_vcpu(r->watch, r->vcpu);
    machine_tick(r->machine);
    return true;
}

static enum vcpu_exit run_guest(struct run *r, uint64_t budget)
{
    if (budget == UINT64_MAX)
        return VCPU_EXIT_BUDGET;
    if (r->starting && (!budget || budget > START_SLICE)) {
        enum vcpu_exit exit = r->vcpu->engine->run(r->vcpu, START_SLICE);
        return exit == VCPU_EXIT_BUDGET ? VCPU_CONTINUE : exit;
    }
    return r->gdb ? gdb_run(r->gdb, budget) : r->vcpu->engine->run(r->vcpu, budget);
}

// After a halt has been slept over: what comes in between ends the sleep, and the interrupt must not be slept over.
static void take_input(struct run *r)
{
    if (!r->input || !input_came(r->input))
        return;
    machine_serial_input(r->machine);
    machine_tick(r->machine);
}

static enum exit_status loop(struct run *r)
{
    enum exit_status status;
    for (;;) {
        watch_deadline(r->watch, next_deadline(r));
        enum vcpu_exit exit = run_guest(r, budget_left(r));
        watch_seen(r->watch);
        if (machine_serial_refused(r->machine))
            return ends(r, STATUS_FLOOD, "the guest sent more than %llu bytes on the serial line (--serial-limit)",
                        (unsigned long long)r->request->serial_limit);
        if (handle_exit(r, exit, &status))
            return status;
        take_input(r);
        bool started = r->starting && in_64_bit_mode(r);
        if ((started || switch_due(&r->switcher)) && !move_on(r))
            return STATUS_ENGINE_ERROR;
        r->starting &= !started;
        if (wished_to_end(r, &status))
            return status;
    }
}

// ---- Before and after ----

static void add_stat(void *ctx, const char *name, uint64_t value)
{
    struct run_outcome *outcome = ctx;
    struct engine_stat *more = reallocarray(outcome->stats, outcome->stat_count + 1, sizeof *more);
    if (!more)
        return;
    outcome->stats = more;
    snprintf(more[outcome->stat_count].name, sizeof more->name, "%s", name);
    more[outcome->stat_count++].value = value;
}

static void finish_counting(struct run *r)
{
    r->outcome->switches = r->switcher.switches;
    count_all(r, &r->outcome->counters);
    for (unsigned i = 0; i < r->plan->count; i++) {
        struct vcpu *v = machine_engine(r->machine, i);
        if (v->engine->stats)
            v->engine->stats(v, add_stat, r->outcome);
    }
}

static bool contain(struct run *r)
{
    const int *device = machine_engine(r->machine, 0)->device;
    for (unsigned i = 1; i < r->plan->count && device[0] < 0; i++)
        device = machine_engine(r->machine, i)->device;
    for (unsigned i = 0; i < r->plan->count; i++) {
        struct vcpu *v = machine_engine(r->machine, i);
        if (v->engine->contain && v->engine->contain(v, device)) {
            ends(r, STATUS_UNAVAILABLE, "%s: %s", v->engine->name, v->error);
            return false;
        }
    }
    return true;
}

// Before system calls are given up; the signals that end a run are watched already.
static bool wait_for_debugger(struct run *r)
{
    char *reason = r->outcome->reason;
    const size_t size = sizeof r->outcome->reason;
    if (!r->request->gdb)
        return true;
    r->gdb = gdb_open(r->request->gdb, reason, size);
    return r->gdb && gdb_accept(r->gdb, r->watch, r->vcpu, reason, size) == 0;
}

static enum exit_status run_loaded(struct run *r)
{
    const struct run_request *request = r->request;
    struct run_outcome *outcome = r->outcome;
    r->watch = watch_start(r->vcpu, request->cpu, request->timeout_ns, outcome->reason, sizeof outcome->reason);
    if (!r->watch)
        return STATUS_UNAVAILABLE;
    if (request->count_pmu)
        pmu_open(&outcome->pmu, pmu_core_events, pmu_core_event_count);
    if (!wait_for_debugger(r))
        return STATUS_UNAVAILABLE;
    if (r->input)
        input_begin(r->input, r->watch);
    if (!contain(r)) // before the pin, which an engine's processes would inherit
        return STATUS_UNAVAILABLE;
    if (request->cpu >= 0 && pin_to(request->cpu, outcome->reason, sizeof outcome->reason))
        return STATUS_UNAVAILABLE;
    uint64_t start = monotonic_ns();
    enum exit_status status = loop(r);
    outcome->wall_ns = monotonic_ns() - start;
    pmu_close(&outcome->pmu);
    records_finish(outcome->records);
    finish_counting(r);
    return status;
}

static bool probe_all(struct run *r)
{
    const struct switch_plan *plan = r->plan;
    for (size_t i = plan->count; i-- > 0;) { // what is said of the first stays
        const struct engine *engine = plan->engine[i].engine;
        engine->probe(&r->outcome->engine);
        if (!r->outcome->engine.available)
            ends(r, STATUS_UNAVAILABLE, "engine %s cannot run here: %s", engine->name, r->outcome->engine.reason);
        else if (r->request->budget && !counts_instructions(engine))
            ends(r, STATUS_UNAVAILABLE, "engine %s cannot count instructions, so it knows no --budget", engine->name);
        else
            continue;
        return false;
    }
    return true;
}

static enum exit_status prepare_and_run(struct run *r)
{
    const struct run_request *request = r->request;
    struct run_outcome *outcome = r->outcome;
    if (!plan_start(r))
        return STATUS_USAGE;
    const struct variant *first = &r->plan->engine[0];
    struct machine_config config = {.ram_bytes = request->ram_bytes,
                                    .cmdline = request->cmdline,
                                    .initrd = request->files.initrd,
                                    .initrd_size = request->files.initrd_size,
                                    .settings = variant_settings(first->name),
                                    .serial_out = on_serial,
                                    .serial_in = request->takes_input ? on_input : NULL,
                                    .mark = on_mark,
                                    .ctx = r};
    for (size_t i = 1; i < r->plan->count; i++)
        config.later[i - 1] = r->plan->engine[i].engine;
    outcome->records = records_create();
    if (!outcome->records)
        return ends(r, STATUS_UNAVAILABLE, "no memory for the records");
    if (!probe_all(r))
        return STATUS_UNAVAILABLE;
    if (request->takes_input && !(r->input = input_open(outcome->reason, sizeof outcome->reason)))
        return STATUS_UNAVAILABLE;
    outcome->counts = engine_counts(request->engines->engine[0].engine, request->engines->engine[0].name);
    r->machine = machine_create(&config, first->engine, outcome->reason, sizeof outcome->reason);
    if (!r->machine || switch_begin(&r->switcher, r->plan, r->machine, outcome->reason, sizeof outcome->reason))
        return STATUS_UNAVAILABLE;
    r->vcpu = machine_vcpu(r->machine);
    if (machine_load(r->machine, request->files.image, request->files.image_size, outcome->reason,
                     sizeof outcome->reason))
        return STATUS_BAD_IMAGE;
    return run_loaded(r);
}

void one_run(const struct run_request *request, struct run_outcome *outcome)
{
    *outcome = (struct run_outcome){0};
    struct run *r = calloc(1, sizeof *r);
    if (!r) {
        outcome->status = STATUS_UNAVAILABLE;
        snprintf(outcome->reason, sizeof outcome->reason, "no memory");
        return;
    }
    r->request = request;
    r->outcome = outcome;
    outcome->status = prepare_and_run(r);
    gdb_close(r->gdb, (int)outcome->status);
    watch_stop(r->watch);
    input_close(r->input);
    machine_destroy(r->machine);
    free(r);
}

void run_outcome_free(struct run_outcome *outcome)
{
    records_destroy(outcome->records);
    free(outcome->stats);
    *outcome = (struct run_outcome){0};
}

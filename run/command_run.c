// SPDX-License-Identifier: BSD-2-Clause
// `ringside run`: one image, its serial line on standard output, and on request what was counted.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run/bt_stats.h"
#include "run/commands.h"
#include "run/gdb.h"
#include "run/images.h"
#include "run/one_run.h"
#include "run/results.h"
#include "run/terminal.h"
#include "run/variant.h"

#define INPUT_NONE "none"
#define INPUT_TERMINAL "tty"
#define INPUT_STDIN "-"

#define DEFAULT_TIMEOUT_NS (60ull * 1000000000)

// The guest's last line may lack its newline; what we say goes on a line of its own.
struct console {
    FILE *to;
    uint8_t last;
};

static void console_byte(void *ctx, uint8_t byte)
{
    struct console *console = ctx;
    console->last = byte;
    putc_unlocked(byte, console->to);
}

static void print_counters(const struct run_request *request, const struct run_outcome *outcome)
{
    double seconds = (double)outcome->wall_ns / 1e9;
    printf("%-22s %33.6f  seconds in the run\n", "time", seconds);
    bool counted = request->engines->count == 1 && counts_instructions(request->engines->engine[0].engine);
    if (counted && seconds > 0)
        printf("%-22s %33.1f  million guest instructions a second\n", "speed",
               (double)instructions_in(&outcome->counters) / seconds / 1e6);
    if (request->engines->count > 1)
        printf("%-22s %33llu  moves from one engine to the next\n", "switches", (unsigned long long)outcome->switches);
    for (int i = 0; i < EV_COUNT; i++)
        if (outcome->counters.n[i])
            printf("%-22s %33llu  %s\n", event_table[i].name, (unsigned long long)outcome->counters.n[i],
                   event_table[i].meaning);
    for (size_t i = 0; i < outcome->stat_count; i++)
        if (outcome->stats[i].value)
            printf("%-39s %16llu\n", outcome->stats[i].name, (unsigned long long)outcome->stats[i].value);
}

static void print_json(const struct run_request *request, const char *path, const struct run_outcome *outcome)
{
    json_t *o = json_run(request, path, outcome);
    json_dumpf(o, stdout, JSON_INDENT(1));
    putchar('\n');
    json_decref(o);
}

static enum exit_status run_image(const struct options *o, struct run_request *request, const char *path, char *err,
                                  size_t err_size)
{
    bool talks_to_gdb = o->gdb && !strcmp(o->gdb, GDB_STDIO);
    struct console console = {.to = talks_to_gdb ? stderr : stdout, .last = '\n'};
    struct run_outcome outcome;
    if (guest_files_read(&request->files, path, o->initrd, err, err_size))
        return STATUS_BAD_IMAGE;
    if (!o->json) {
        // Whoever reads along gets each line when the guest ends it; whoever answers needs what does not end a line,
        // too.
        setvbuf(stdout, NULL, request->takes_input ? _IONBF : _IOLBF, 0);
        request->serial = console_byte;
        request->serial_ctx = &console;
    }
    one_run(request, &outcome);
    guest_files_free(&request->files);
    if (console.last != '\n')
        putc('\n', console.to);
    if (o->json)
        print_json(request, path, &outcome);
    else if (o->counters)
        print_counters(request, &outcome);
    if (o->bt_stats && !o->json)
        print_bt_stats(stdout, &outcome);
    enum exit_status status = outcome.status;
    snprintf(err, err_size, "%s: %s", path, outcome.reason);
    run_outcome_free(&outcome);
    return status;
}

static bool has_engine(const struct switch_plan *plan, const struct engine *engine)
{
    bool found = false;
    for (size_t i = 0; i < plan->count; i++)
        found = found || plan->engine[i].engine == engine;
    return found;
}

static bool gdb_possible(const struct options *o, const struct switch_plan *engines, char *err, size_t err_size)
{
    bool has_stdout = !strcmp(o->gdb, GDB_STDIO);
    if (!gdb_where_ok(o->gdb))
        snprintf(err, err_size, "bad value in '--gdb=%.40s': not a PORT, a PATH with a / in it, or -", o->gdb);
    else if (has_stdout && (o->json || o->counters || o->bt_stats))
        snprintf(err, err_size, "--gdb=- has standard output for itself: no --json, --counters, --bt-stats");
    else if (has_stdout && strcmp(o->input, INPUT_NONE))
        snprintf(err, err_size, "--gdb=- has standard input for itself: no --input");
    else if (engines->count > 1)
        snprintf(err, err_size, "a guest that moves between engines (--switch) cannot be debugged (--gdb)");
    else
        return true;
    return false;
}

static bool input_possible(const struct options *o, char *err, size_t err_size)
{
    bool terminal = !strcmp(o->input, INPUT_TERMINAL);
    if (!terminal && strcmp(o->input, INPUT_STDIN) && strcmp(o->input, INPUT_NONE))
        snprintf(err, err_size, "bad value in '--input=%.40s': not tty, - or none", o->input);
    else if (terminal && o->json)
        snprintf(err, err_size, "--json shows nothing of what the guest answers: no --input=tty");
    else
        return true;
    return false;
}

enum exit_status command_run(const struct options *o, char *err, size_t err_size)
{
    struct image_list images;
    struct switch_plan engines;
    enum exit_status status;
    bool at_terminal = !strcmp(o->input, INPUT_TERMINAL);
    if (switch_parse(&engines, o->engine, o->switch_ns, o, err, err_size))
        return STATUS_USAGE;
    if (o->bt_stats && !has_engine(&engines, &engine_bt)) {
        snprintf(err, err_size, "option --bt-stats is not for engine %s", engines.engine[0].engine->name);
        return STATUS_USAGE;
    }
    if ((o->gdb && !gdb_possible(o, &engines, err, err_size)) || !input_possible(o, err, err_size))
        return STATUS_USAGE;
    if (at_terminal && !terminal_split(&status, err, err_size))
        return status;
    struct run_request request = {
        .engines = &engines,
        .cmdline = o->append,
        .ram_bytes = o->ram,
        .serial_limit = o->serial_limit,
        .timeout_ns = o->timeout_ns           ? o->timeout_ns
                      : o->gdb || at_terminal ? UINT64_MAX
                                              : DEFAULT_TIMEOUT_NS,
        .gdb = o->gdb,
        .takes_input = strcmp(o->input, INPUT_NONE) != 0,
        .budget = o->budget,
        .cpu = o->cpu_given ? (int)o->cpu : -1,
        .count_pmu = o->pmu,
    };
    char none[1];
    images_find(&images, none, sizeof none); // without images there are still paths
    const char *path = images_path(&images, o->names[0], err, err_size);
    status = path ? run_image(o, &request, path, err, err_size) : STATUS_BAD_IMAGE;
    images_free(&images);
    return status;
}

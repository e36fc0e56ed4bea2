// SPDX-License-Identifier: BSD-2-Clause
// `ringside compare`: two engines in step, and what is said of the first difference.
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run/commands.h"
#include "run/compare.h"
#include "run/images.h"
#include "run/results.h"
#include "run/suggest.h"
#include "run/switch.h"
#include "run/symbols.h"
#include "run/variant.h"
#include "x86/decode.h"

#define DEFAULT_TIMEOUT_NS (60ull * 1000000000)
#define DEFAULT_RAM (32ull << 20)
#define DEFAULT_ENGINES "interp,bt"

enum { LINE_SIZE = 256 };

struct report {
    const struct compare_request *request;
    const struct compare_outcome *outcome;
    const char *path;
};

// ---- The command line ----

static int parse_fault(struct compare_fault *fault, const char *text, char *err, size_t err_size)
{
    char *end;
    *fault = (struct compare_fault){.gpr = -1};
    if (!text)
        return 0;
    fault->step = strtoull(text, &end, 10);
    bool number = text[0] >= '0' && text[0] <= '9' && *end == ':' && fault->step;
    const char *where = number ? end + 1 : "";
    fault->gpr = register_number(where);
    fault->address = strtoull(where, &end, 0);
    if (number && (fault->gpr >= 0 || (*where >= '0' && *where <= '9' && !*end)))
        return 0;
    snprintf(err, err_size, "bad value in '--fault=%.40s': N:REGISTER or N:ADDRESS, as 1000:rbx or 1000:0x200000",
             text);
    return -1;
}

static int parse_engines(struct compare_request *r, const struct options *o, char *err, size_t err_size)
{
    const char *names = o->engines ? o->engines : DEFAULT_ENGINES, *comma = strchr(names, ',');
    struct switch_plan plan; // engines, each once
    if (!comma || strchr(comma + 1, ',')) {
        snprintf(err, err_size, "compare takes two engines: --engines=A,B");
        return -1;
    }
    if (switch_parse(&plan, names, 1, o, err, err_size))
        return -1;
    for (int i = 0; i < 2; i++)
        r->engine[i] = plan.engine[i];
    return 0;
}

static int parse(struct compare_request *r, const struct options *o, char *err, size_t err_size)
{
    *r = (struct compare_request){.cmdline = o->append,
                                  .ram_bytes = o->ram_given ? o->ram : DEFAULT_RAM,
                                  .timeout_ns = o->timeout_ns ? o->timeout_ns : DEFAULT_TIMEOUT_NS,
                                  .budget = o->budget};
    return parse_engines(r, o, err, err_size) || parse_fault(&r->fault, o->fault, err, err_size) ? -1 : 0;
}

// Time of its own in the kernel, or no count of instructions: such an engine cannot be kept in step.
static bool can_compare(const struct compare_request *r, char *err, size_t err_size)
{
    for (int i = 0; i < 2; i++) {
        const struct engine *engine = r->engine[i].engine;
        struct engine_info info = {0};
        engine->probe(&info);
        if (!info.available)
            snprintf(err, err_size, "engine %s cannot run here: %s", engine->name, info.reason);
        else if (engine_has_irqchip(engine, variant_settings(r->engine[i].name)))
            snprintf(err, err_size, "engine %s has timers of its own: it cannot be kept in step", engine->name);
        else if (!engine->keeps_budget)
            snprintf(err, err_size, "engine %s cannot run one instruction at a time", engine->name);
        else
            continue;
        return false;
    }
    return true;
}

// ---- As text ----

static const char *place_text(const struct report *r, const struct compare_place *place, char *text, size_t size)
{
    char name[LINE_SIZE / 4], code[LINE_SIZE / 2];
    symbol_text(r->request->files.image, r->request->files.image_size, place->rip, name, sizeof name);
    x86_format(place->code, place->code_bytes, place->rip, code, sizeof code);
    snprintf(text, size, "%#18" PRIx64 "  %-32s  %s", place->rip, name, code);
    return text;
}

static void print_values(const char *name, uint64_t a, uint64_t b)
{
    printf("%s %-16s %#20" PRIx64 " %#20" PRIx64 "\n", a == b ? " " : "*", name, a, b);
}

static bool always_shown(const char *name)
{
    return register_number(name) >= 0 || !strcmp(name, "rip") || !strcmp(name, "rflags");
}

static void print_difference(const struct report *r)
{
    const struct compare_outcome *o = r->outcome;
    char text[LINE_SIZE];
    printf("different after instruction %" PRIu64 "; how they got there:\n", o->steps);
    for (size_t i = 0; i < o->path_length; i++)
        printf("%s %s\n", i + 1 < o->path_length ? "  " : "=>", place_text(r, &o->path[i], text, sizeof text));
    printf("\n%-18s %20s %20s\n", "", r->request->engine[0].name, r->request->engine[1].name);
    for (int i = 0; i < GPR_COUNT; i++)
        print_values(register_name(i), o->state[0].gpr[i], o->state[1].gpr[i]);
    print_values("rip", o->state[0].rip, o->state[1].rip);
    print_values("rflags", o->state[0].rflags, o->state[1].rflags);
    for (size_t i = 0; i < o->differences.count; i++)
        if (!always_shown(o->differences.list[i].name))
            print_values(o->differences.list[i].name, o->differences.list[i].value[0], o->differences.list[i].value[1]);
    if (o->ram_differs)
        printf("* RAM %#-12" PRIx64 " %#20x %#20x  (the same after instruction %" PRIu64 ")\n", o->ram_address,
               o->ram_byte[0], o->ram_byte[1], o->ram_since);
}

static void print_text(const struct report *r)
{
    const struct compare_outcome *o = r->outcome;
    if (o->status == STATUS_DIFFERENT)
        print_difference(r);
    else if (o->status == STATUS_OK)
        printf("the same on %s and %s: %s\n", r->request->engine[0].name, r->request->engine[1].name, o->reason);
    printf("%" PRIu64 " instructions compared, %" PRIu64 " exits; all RAM %" PRIu64 " times; %" PRIu64
           " times undefined flags\n",
           o->steps, o->exits, o->ram_compared, o->undefined);
}

// ---- As JSON ----

static json_t *json_address(uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%#" PRIx64, value);
    return json_string(text);
}

static json_t *json_difference(const struct report *r)
{
    const struct compare_outcome *o = r->outcome;
    json_t *state = json_array(), *path = json_array();
    for (size_t i = 0; i < o->differences.count; i++) {
        const struct difference *d = &o->differences.list[i];
        json_array_append_new(state, json_pack("{s:s, s:[o, o]}", "name", d->name, "values", json_address(d->value[0]),
                                               json_address(d->value[1])));
    }
    for (size_t i = 0; i < o->path_length; i++) {
        char code[LINE_SIZE / 2];
        x86_format(o->path[i].code, o->path[i].code_bytes, o->path[i].rip, code, sizeof code);
        json_array_append_new(path,
                              json_pack("{s:o, s:o}", "rip", json_address(o->path[i].rip), "code", json_text(code)));
    }
    json_t *ram = o->ram_differs ? json_pack("{s:o, s:[i, i], s:I}", "address", json_address(o->ram_address), "values",
                                             o->ram_byte[0], o->ram_byte[1], "same_after", (json_int_t)o->ram_since)
                                 : json_null();
    return json_pack("{s:I, s:o, s:o, s:o}", "instruction", (json_int_t)o->steps, "state", state, "ram", ram, "path",
                     path);
}

static void print_json(const struct report *r)
{
    const struct compare_outcome *o = r->outcome;
    json_t *object = json_pack("{s:o, s:[s, s], s:i, s:s, s:o, s:I, s:I, s:I, s:I, s:o}", "image", json_text(r->path),
                               "engines", r->request->engine[0].name, r->request->engine[1].name, "status",
                               (int)o->status, "result", exit_status_name(o->status), "reason", json_text(o->reason),
                               "instructions", (json_int_t)o->steps, "exits", (json_int_t)o->exits, "ram_compared",
                               (json_int_t)o->ram_compared, "undefined_flags", (json_int_t)o->undefined, "difference",
                               o->status == STATUS_DIFFERENT ? json_difference(r) : json_null());
    json_dumpf(object, stdout, JSON_INDENT(1));
    putchar('\n');
    json_decref(object);
}

// ---- The command ----

static enum exit_status compare_files(struct compare_request *request, const char *path, const struct options *o,
                                      char *err, size_t err_size)
{
    struct compare_outcome outcome;
    const struct report report = {request, &outcome, path};
    if (guest_files_read(&request->files, path, o->initrd, err, err_size))
        return STATUS_BAD_IMAGE;
    compare_run(request, &outcome);
    (o->json ? print_json : print_text)(&report);
    guest_files_free(&request->files);
    if (outcome.status == STATUS_DIFFERENT)
        snprintf(err, err_size, "%s: different after instruction %" PRIu64, path, outcome.steps);
    else
        snprintf(err, err_size, "%s: %s", path, outcome.reason);
    return outcome.status;
}

enum exit_status command_compare(const struct options *o, char *err, size_t err_size)
{
    struct compare_request request;
    struct image_list images;
    if (parse(&request, o, err, err_size))
        return STATUS_USAGE;
    if (!can_compare(&request, err, err_size))
        return STATUS_UNAVAILABLE;
    char none[1];
    images_find(&images, none, sizeof none); // without images there are still paths
    const char *path = images_path(&images, o->names[0], err, err_size);
    enum exit_status status = path ? compare_files(&request, path, o, err, err_size) : STATUS_BAD_IMAGE;
    images_free(&images);
    return status;
}

// SPDX-License-Identifier: BSD-2-Clause
// gdb's `monitor COMMAND`: what a debugger's user may ask of the monitor rather than of the guest.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "run/gdb_session.h"
#include "run/guest_memory.h"

typedef void monitor_fn(struct gdb_session *s, const char *argument, struct gdb_text *out);

static void print_help(struct gdb_session *s, const char *argument, struct gdb_text *out);
static void print_counters(struct gdb_session *s, const char *argument, struct gdb_text *out);
static void print_system(struct gdb_session *s, const char *argument, struct gdb_text *out);
static void print_walk(struct gdb_session *s, const char *argument, struct gdb_text *out);

static const struct {
    const char *name, *argument, *help;
    monitor_fn *fn;
} commands[] = {
    {"help", "", "this list", print_help},
    {"counters", "", "what the engine has counted", print_counters},
    {"system", "", "segments, tables and control registers", print_system},
    {"walk", " ADDRESS", "where a guest-virtual address leads", print_walk},
};
enum { COMMAND_COUNT = sizeof commands / sizeof *commands };

static void print_help(struct gdb_session *s, const char *argument, struct gdb_text *out)
{
    (void)s, (void)argument;
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        gdb_print(out, "%s%s: %s\n", commands[i].name, commands[i].argument, commands[i].help);
}

static void print_counters(struct gdb_session *s, const char *argument, struct gdb_text *out)
{
    struct counters c;
    (void)argument;
    s->vcpu->engine->counters(s->vcpu, &c);
    for (int i = 0; i < EV_COUNT; i++)
        if (c.n[i])
            gdb_print(out, "%-20s %20" PRIu64 "  %s\n", event_table[i].name, c.n[i], event_table[i].meaning);
}

static void print_segment(struct gdb_text *out, const char *name, const struct segment *g)
{
    gdb_print(out, "%-4s %04x base %016" PRIx64 " limit %08x attributes %04x%s\n", name, g->selector, g->base, g->limit,
              g->attr, g->unusable ? " unusable" : "");
}

static void print_system(struct gdb_session *s, const char *argument, struct gdb_text *out)
{
    static const char *const names[SEG_COUNT] = {"es", "cs", "ss", "ds", "fs", "gs"};
    const struct vcpu_state *state = gdb_session_state(s);
    (void)argument;
    if (!state) {
        gdb_print(out, "%s\n", s->vcpu->error);
        return;
    }
    for (int i = 0; i < SEG_COUNT; i++)
        print_segment(out, names[i], &state->seg[i]);
    print_segment(out, "ldtr", &state->ldtr);
    print_segment(out, "tr", &state->tr);
    gdb_print(out, "gdtr base %016" PRIx64 " limit %04x\nidtr base %016" PRIx64 " limit %04x\n", state->gdtr.base,
              state->gdtr.limit, state->idtr.base, state->idtr.limit);
    gdb_print(out, "cr0 %" PRIx64 " cr2 %" PRIx64 " cr3 %" PRIx64 " cr4 %" PRIx64 " cr8 %" PRIx64 " efer %" PRIx64 "\n",
              state->cr0, state->cr2, state->cr3, state->cr4, state->cr8, state->efer);
    gdb_print(out, "%s%s%s%s", state->halted ? "halted\n" : "", state->sti_shadow ? "sti shadow\n" : "",
              state->mov_ss_shadow ? "mov ss shadow\n" : "", state->nmi_masked ? "in an NMI's handler\n" : "");
}

static void print_walk(struct gdb_session *s, const char *argument, struct gdb_text *out)
{
    char *end;
    uint64_t va = strtoull(argument, &end, 16), size;
    const struct vcpu_state *state = gdb_session_state(s);
    gpa_t at;
    if (!*argument || *end)
        gdb_print(out, "walk takes an ADDRESS in hexadecimal\n");
    else if (!state || !guest_translate(s->vcpu->ram, state, va, &at, &size))
        gdb_print(out, "%016" PRIx64 " is mapped to nothing\n", va);
    else
        gdb_print(out, "%016" PRIx64 " is %016" PRIx64 ", %s, in a page of %" PRIu64 " KiB\n", va, at.v,
                  ram_at(s->vcpu->ram, at, 1) ? "RAM" : "not RAM", size / 1024);
}

void gdb_monitor(struct gdb_session *s, const char *command, struct gdb_text *out)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        size_t length = strlen(commands[i].name);
        if (strncmp(command, commands[i].name, length) || (command[length] && command[length] != ' '))
            continue;
        commands[i].fn(s, command + length + strspn(command + length, " "), out);
        return;
    }
    gdb_print(out, "no such command; `monitor help` lists them\n");
}

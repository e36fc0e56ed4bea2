// SPDX-License-Identifier: BSD-2-Clause
// The translator's statistics in words. The kinds of translation are those statistics whose names have a colon.
#include "run/bt_stats.h"

#include <string.h>

static uint64_t stat(const struct run_outcome *outcome, const char *name)
{
    for (size_t i = 0; i < outcome->stat_count; i++)
        if (!strcmp(outcome->stats[i].name, name))
            return outcome->stats[i].value;
    return 0;
}

static double ratio(uint64_t a, uint64_t b)
{
    return b ? (double)a / (double)b : 0;
}

static void line(FILE *to, const char *what, uint64_t value, const char *note, double figure)
{
    fprintf(to, "  %-34s %14llu", what, (unsigned long long)value);
    if (note)
        fprintf(to, "   %.2f %s", figure, note);
    fputc('\n', to);
}

static uint64_t print_kinds(FILE *to, const struct run_outcome *outcome)
{
    uint64_t all = 0;
    for (size_t i = 0; i < outcome->stat_count; i++)
        all += strchr(outcome->stats[i].name, ':') ? outcome->stats[i].value : 0;
    fprintf(to, "\ntranslated instructions, by kind\n");
    for (size_t i = 0; i < outcome->stat_count; i++) {
        const struct engine_stat *s = &outcome->stats[i];
        const char *colon = strchr(s->name, ':');
        if (colon)
            fprintf(to, "  %-14.*s %8llu %6.2f %%  %s\n", (int)(colon - s->name), s->name, (unsigned long long)s->value,
                    100 * ratio(s->value, all), colon + 2);
    }
    return all;
}

static void print_events(FILE *to, const struct counters *counters)
{
    static const enum event events[] = {
        EV_block_lookups,  EV_chains,          EV_elisions,        EV_callouts,           EV_callout_privileged,
        EV_callout_memory, EV_callout_branch,  EV_callout_miss,    EV_callout_other,      EV_adaptations,
        EV_forwards,       EV_traced_writes,   EV_hidden_faults,   EV_true_faults,        EV_traps,
        EV_trap_memory,    EV_trap_privileged, EV_trap_poll,       EV_trap_exception,     EV_blocks_invalidated,
        EV_tc_flushes,     EV_direct_entries,  EV_direct_syscalls, EV_direct_exceptions,  EV_direct_kicks,
        EV_direct_singles, EV_direct_commands, EV_user_to_direct,  EV_user_to_translated,
    };
    fprintf(to, "\nat run time\n");
    for (size_t i = 0; i < sizeof events / sizeof *events; i++)
        fprintf(to, "  %-20s %14llu  %s\n", event_table[events[i]].name, (unsigned long long)counters->n[events[i]],
                event_table[events[i]].meaning);
}

void print_bt_stats(FILE *to, const struct run_outcome *outcome)
{
    uint64_t units = stat(outcome, "units"), guest = stat(outcome, "guest_bytes");
    uint64_t hot = stat(outcome, "hot_bytes"), cold = stat(outcome, "cold_bytes"), cycles = stat(outcome, "cycles");
    uint64_t insns = print_kinds(to, outcome);
    fprintf(to, "\ntranslation\n");
    line(to, "TUs, each to one CCF", units, "instructions each", ratio(insns, units));
    line(to, "guest bytes in", guest, "an instruction", ratio(guest, insns));
    line(to, "host bytes out, where it runs", hot, "times the guest's", ratio(hot, guest));
    line(to, "host bytes out, stubs", cold, "times the guest's", ratio(cold, guest));
    line(to, "TSC cycles", cycles, "an instruction", ratio(cycles, insns));
    line(to, "host processes for user code", stat(outcome, "processes"), NULL, 0);
    print_events(to, &outcome->counters);
}

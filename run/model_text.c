// SPDX-License-Identifier: BSD-2-Clause
// What the model says, as text.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run/model_report.h"

// ---- Numbers ----

static void add_commas(const char *plain, char text[static NUMBER_SIZE])
{
    size_t whole = strcspn(plain, "."), used = 0;
    for (size_t i = 0; plain[i] && used < NUMBER_SIZE - 2; i++) {
        if (i && i < whole && (whole - i) % 3 == 0 && plain[i - 1] != '-')
            text[used++] = ',';
        text[used++] = plain[i];
    }
    text[used] = '\0';
}

const char *number_text(double number, char text[static NUMBER_SIZE])
{
    char plain[NUMBER_SIZE];
    double size = fabs(number);
    if (size >= 1e15 || (size > 0 && size < 0.005)) {
        snprintf(text, NUMBER_SIZE, "%.3g", number);
        return text;
    }
    snprintf(plain, sizeof plain, "%.*f", size >= 100 || number == floor(number) ? 0 : size >= 10 ? 1 : 2, number);
    add_commas(plain, text);
    return text;
}

// A published figure as it stands in print.
static const char *figure_text(double number, char text[static NUMBER_SIZE])
{
    char plain[NUMBER_SIZE];
    snprintf(plain, sizeof plain, "%.10g", number);
    add_commas(plain, text);
    return text;
}

static const char *value_text(const struct value *v, char text[static NUMBER_SIZE])
{
    return v->state == VALUE_KNOWN ? number_text(v->number, text) : "n/a";
}

static const char *error_text(const struct comparison *c, char text[static NUMBER_SIZE])
{
    double error;
    if (!comparison_error(c, &error))
        return "";
    snprintf(text, NUMBER_SIZE, "%+.1f %%", 100 * error);
    return text;
}

// ---- An answer ----

struct share {
    size_t event;
    double cycles;
};

static int by_cycles(const void *a, const void *b)
{
    const struct share *x = a, *y = b;
    return (x->cycles < y->cycles) - (x->cycles > y->cycles);
}

// Each event's part, the largest first.
static void print_parts(const struct model *m, const struct answer *a)
{
    struct share share[MODEL_EVENTS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < m->events.sheet.count; i++)
        if (a->own.part[i].number != 0)
            share[count++] = (struct share){i, a->own.part[i].number};
    qsort(share, count, sizeof *share, by_cycles);
    for (size_t i = 0; i < count; i++) {
        char times[NUMBER_SIZE], cost[NUMBER_SIZE], cycles[NUMBER_SIZE];
        size_t event = share[i].event;
        printf("      %-14s %12s x %10s = %14s  %5.1f %%  %s\n", events_name(&m->events, event),
               number_text(a->counts.event[event].number, times),
               number_text(a->basis.prices->event[event].number, cost), number_text(share[i].cycles, cycles),
               100 * share[i].cycles / a->own.cycles.number, class_name(a->own.part[event].class));
    }
}

static void print_comparison(const struct comparison *c, const char *beside)
{
    char predicted[NUMBER_SIZE], against[NUMBER_SIZE], error[NUMBER_SIZE];
    printf("    %-48s %12s, predicted %12s %10s  %s", beside,
           c->target ? figure_text(c->against, against) : number_text(c->against, against),
           value_text(&c->predicted, predicted), error_text(c, error), c->set ? "set" : "prediction");
    if (c->predicted.state != VALUE_KNOWN)
        printf(" n/a: %s", c->predicted.why);
    else
        printf(" (%s)", c->set ? c->by : class_name(c->predicted.class));
    putchar('\n');
}

void report_answer(const struct model *m, const struct answer *a)
{
    char cycles[NUMBER_SIZE], engine[MEASURED_NAME_MAX + 16];
    const struct value *sum = &a->own.cycles;
    if (sum->state != VALUE_KNOWN) {
        printf("  %-24s n/a: %s\n", a->basis.policy->name, sum->why);
        return;
    }
    printf("  %-24s %14s cycles, %s\n", a->basis.policy->name, number_text(sum->number, cycles),
           class_name(sum->class));
    print_parts(m, a);
    for (size_t i = 0; i < a->comparison_count; i++) {
        const struct comparison *c = &a->comparison[i];
        snprintf(engine, sizeof engine, "measured, %s", c->engine);
        print_comparison(c, c->target ? c->target->name : engine);
    }
}

void report_comparison(const struct model *m, const struct answer *a)
{
    (void)m;
    print_comparison(&a->comparison[0], a->comparison[0].target->name);
}

void report_score(struct score *s)
{
    char miss[NUMBER_SIZE];
    printf("\npredictions: %zu", s->predictions + s->zeros);
    if (s->predictions)
        printf("; median error %.1f %%, %zu of %zu within 25 %%", 100 * score_median(s), score_within(s, 0.25),
               s->predictions);
    if (s->zeros)
        printf("; of figures that are 0: %zu, the largest %s", s->zeros, number_text(s->zero_miss, miss));
    printf("\nused to set parameters, and testing nothing: %zu\n", s->sets);
    if (s->unknown)
        printf("without a prediction: %zu\n", s->unknown);
}

// ---- What there is ----

// The title of a file of one kind, or NULL with one line in err.
static const char *title(struct model *m, const char *kind, const char *name, char *err, size_t err_size)
{
    char bench[MEASURED_NAME_MAX + 8];
    if (!strcmp(kind, "profile")) {
        const struct profile *profile = model_profile(m, name, err, err_size);
        return profile ? profile_title(profile) : NULL;
    }
    if (!strcmp(kind, "policy")) {
        const struct policy *policy = model_policy(m, name, err, err_size);
        return policy ? policy_title(policy) : NULL;
    }
    snprintf(bench, sizeof bench, "mix/%s", name);
    const struct mix *mix = model_mix(m, bench, err, err_size);
    return mix ? mix_title(mix) : NULL;
}

static int list_files(struct model *m, const char *kind, const char *head, char *err, size_t err_size)
{
    struct names names;
    if (model_names(m, kind, &names, err, err_size))
        return -1;
    printf("%s:\n", head);
    for (size_t i = 0; i < names.count; i++) {
        const char *text = title(m, kind, names.name[i], err, err_size);
        if (!text)
            return -1;
        printf("  %-22s %s\n", names.name[i], text);
    }
    return 0;
}

int report_list(struct model *m, char *err, size_t err_size)
{
    if (list_files(m, "profile", "Processors (--cpu)", err, err_size) ||
        list_files(m, "policy", "\nMonitors (--policy)", err, err_size) ||
        list_files(m, "mix", "\nMixes of events", err, err_size))
        return -1;
    printf("\nEvents:\n");
    for (size_t i = 0; i < m->events.sheet.count; i++)
        printf("  %-22s %s\n", events_name(&m->events, i), events_meaning(&m->events, i));
    printf("\n%zu published figures, %zu of them named in model/targets\n", m->sources.figures.count,
           m->targets.sheet.count);
    return 0;
}

// ---- A map ----

static char letter(int policy)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    return policy < 0 ? '-' : letters[policy];
}

void report_map(const struct map *map)
{
    char number[NUMBER_SIZE], low[NUMBER_SIZE], high[NUMBER_SIZE];
    printf("The cheapest policy for %s on %s\n", map->bench, map->profile->name);
    for (size_t i = 0; i < map->policies; i++)
        printf("  %c %s\n", letter((int)i), map->policy[i]->name);
    printf("\n%s%s\n", map->y.name, map->y.log ? ", logarithmic" : "");
    for (size_t y = map->y.steps; y-- > 0;) {
        printf("%12s ", number_text(axis_at(&map->y, y), number));
        for (size_t x = 0; x < map->x.steps; x++)
            putchar(letter(map_cheapest(map, x, y)));
        putchar('\n');
    }
    printf("%12s %s from %s to %s%s\n", "", map->x.name, number_text(map->x.low, low), number_text(map->x.high, high),
           map->x.log ? ", logarithmic" : "");
}

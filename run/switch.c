// SPDX-License-Identifier: BSD-2-Clause
// Going round the engines. The time between two moves starts anew after each, so that every engine has its turn however
// long moving takes.
#include "run/switch.h"

#include <stdio.h>
#include <string.h>

#include "run/watch.h"

// Each engine has state that belongs to the process: it can be there once. The setting with which a guest can move is
// taken where the user says nothing else: it stands first, and the last one counts.
static int add(struct switch_plan *plan, const char *given, const struct options *o, char *err, size_t err_size)
{
    char name[VARIANT_NAME_SIZE];
    if (plan->count == SWITCH_ENGINES_MAX) {
        snprintf(err, err_size, "more than %d engines", SWITCH_ENGINES_MAX);
        return -1;
    }
    struct variant *v = &plan->engine[plan->count];
    if (variant_parse(v, given, o, err, err_size))
        return -1;
    if (plan->every_ns && v->engine->moves_with) {
        const char *settings = variant_settings(given);
        snprintf(name, sizeof name, "%s:%s%s%s", v->engine->name, v->engine->moves_with, *settings ? ":" : "",
                 settings);
        if (variant_parse(v, name, o, err, err_size))
            return -1;
    }
    if (plan->every_ns && engine_has_irqchip(v->engine, variant_settings(v->name))) {
        snprintf(err, err_size,
                 "--switch: engine %s has interrupt controllers of its own, which cannot move, but with %s",
                 v->engine->name, v->engine->moves_with ? v->engine->moves_with : "no setting");
        return -1;
    }
    for (size_t i = 0; i < plan->count; i++) {
        if (plan->engine[i].engine == v->engine) {
            snprintf(err, err_size, "engine %s is there twice", v->engine->name);
            return -1;
        }
    }
    plan->count++;
    return 0;
}

// Whether each --ENGINE-NAME word of the command line is for one of the engines.
static int take_all(const struct switch_plan *plan, const struct options *o, char *err, size_t err_size)
{
    for (size_t w = 0; w < o->engine_word_count; w++) {
        struct options one = {.engine_words = {o->engine_words[w]}, .engine_word_count = 1};
        bool taken = false;
        for (size_t i = 0; i < plan->count && !taken; i++)
            taken = variant_takes_all(&plan->engine[i], &one, err, err_size) == 0;
        if (!taken)
            return -1;
    }
    return 0;
}

int switch_parse(struct switch_plan *plan, const char *names, uint64_t every_ns, const struct options *o, char *err,
                 size_t err_size)
{
    *plan = (struct switch_plan){.every_ns = every_ns};
    while (true) {
        char name[VARIANT_NAME_SIZE];
        size_t length = strcspn(names, ",");
        snprintf(name, sizeof name, "%.*s", (int)length, names);
        if (add(plan, name, o, err, err_size))
            return -1;
        if (!names[length])
            break;
        names += length + 1;
    }
    if (!every_ns != (plan->count == 1)) {
        snprintf(err, err_size,
                 every_ns ? "--switch takes more engines than one: --engine=A,B"
                          : "more engines than one, but no --switch=S says when to move to the next");
        return -1;
    }
    return take_all(plan, o, err, err_size);
}

static void wait_for_next(struct switcher *s)
{
    s->due = s->plan->count > 1 ? monotonic_ns() + s->plan->every_ns : UINT64_MAX;
}

int switch_begin(struct switcher *s, const struct switch_plan *plan, struct machine *m, char *err, size_t err_size)
{
    *s = (struct switcher){.plan = plan, .machine = m};
    for (size_t i = 1; i < plan->count; i++) {
        const struct variant *v = &plan->engine[i];
        if (machine_add_engine(m, v->engine, variant_settings(v->name), err, err_size))
            return -1;
    }
    wait_for_next(s);
    return 0;
}

bool switch_due(const struct switcher *s)
{
    return s->due != UINT64_MAX && monotonic_ns() >= s->due;
}

int switch_engines(struct switcher *s, char *err, size_t err_size)
{
    unsigned next = (s->now + 1) % (unsigned)s->plan->count;
    if (machine_move(s->machine, next, err, err_size))
        return -1;
    s->now = next;
    s->switches++;
    wait_for_next(s);
    return 0;
}

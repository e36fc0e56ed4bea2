// SPDX-License-Identifier: BSD-2-Clause
// Counts, prices and figures brought together.
#include "model/answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char native_name[] = "native"; // the policy that `native` of a target means

static int make_basis(struct model *m, const char *bench, struct policy *policy, struct profile *profile,
                      struct basis *b, char *err, size_t err_size)
{
    *b = (struct basis){.bench = bench, .profile = profile, .policy = policy};
    b->native = model_policy(m, native_name, err, err_size);
    if (!b->native || !(b->prices = model_prices(m, policy, profile, err, err_size)))
        return -1;
    b->native_prices = model_prices(m, b->native, profile, err, err_size);
    return b->native_prices ? 0 : -1;
}

// An answer without comparisons.
static struct answer *begin(struct model *m, const char *bench, struct policy *policy, struct profile *profile,
                            char *err, size_t err_size)
{
    struct answer *a = calloc(1, sizeof *a);
    if (!a)
        return snprintf(err, err_size, "no memory"), NULL;
    if (make_basis(m, bench, policy, profile, &a->basis, err, err_size) ||
        model_counts(m, bench, profile, &a->counts, err, err_size)) {
        answer_free(a);
        return NULL;
    }
    predict(&m->events, a->basis.prices, &a->counts, &a->own);
    predict(&m->events, a->basis.native_prices, &a->counts, &a->native);
    return a;
}

static struct comparison *add(struct answer *a, char *err, size_t err_size)
{
    struct comparison *more = reallocarray(a->comparison, a->comparison_count + 1, sizeof *more);
    if (!more)
        return snprintf(err, err_size, "no memory"), NULL;
    a->comparison = more;
    struct comparison *new = &more[a->comparison_count++];
    *new = (struct comparison){.figure = FIGURE_NONE};
    return new;
}

static int compare_measured(struct model *m, struct answer *a, char *err, size_t err_size)
{
    char engine[MEASURED_NAME_MAX], name[3 * MEASURED_NAME_MAX];
    double cycles;
    if (!profile_is_of_results(a->basis.profile) || !policy_measured(a->basis.policy, a->basis.bench, &cycles, engine))
        return 0;
    struct comparison *c = add(a, err, err_size);
    if (!c)
        return -1;
    snprintf(c->engine, sizeof c->engine, "%s", engine);
    snprintf(name, sizeof name, "measured(%s.%s)", engine, a->basis.bench);
    c->figure = figures_find(&m->sources.figures, name);
    c->against = cycles;
    c->predicted = a->own.cycles;
    c->set = provenance_set(m, c->figure, &a->basis, &c->predicted.from, c->by);
    return 0;
}

static int compare_target(struct model *m, struct answer *a, struct sheet_line *target, char *err, size_t err_size)
{
    struct target_case over = {&m->events, a->basis.profile, &a->own, &a->native};
    struct comparison *c = add(a, err, err_size);
    if (!c)
        return -1;
    c->target = target;
    c->figure = figures_find(&m->sources.figures, target->name);
    c->against = m->sources.figures.figure[c->figure].number;
    c->predicted = target_value(&m->targets, target, &over);
    c->set = provenance_set(m, c->figure, &a->basis, &c->predicted.from, c->by);
    if (c->predicted.state == VALUE_WRONG)
        return snprintf(err, err_size, "%s", c->predicted.why), -1;
    return 0;
}

static bool is_about(const struct answer *a, const struct sheet_line *target)
{
    return !strcmp(target_bench(target), a->basis.bench) && !strcmp(target_policy(target), a->basis.policy->name) &&
           !strcmp(target_profile(target), a->basis.profile->name);
}

struct answer *answer_make(struct model *m, const char *bench, struct policy *policy, struct profile *profile,
                           char *err, size_t err_size)
{
    struct answer *a = begin(m, bench, policy, profile, err, err_size);
    bool as_it_is = !m->sources.changes; // what if a number were another is no test of the model
    int result = !a ? -1 : as_it_is ? compare_measured(m, a, err, err_size) : 0;
    for (size_t i = 0; as_it_is && !result && i < m->targets.sheet.count; i++)
        if (is_about(a, &m->targets.sheet.line[i]))
            result = compare_target(m, a, &m->targets.sheet.line[i], err, err_size);
    if (!result)
        return a;
    answer_free(a);
    return NULL;
}

struct answer *answer_target(struct model *m, struct sheet_line *target, char *err, size_t err_size)
{
    struct policy *policy = model_policy(m, target_policy(target), err, err_size);
    struct profile *profile = policy ? model_profile(m, target_profile(target), err, err_size) : NULL;
    struct answer *a = profile ? begin(m, target_bench(target), policy, profile, err, err_size) : NULL;
    if (a && !compare_target(m, a, target, err, err_size))
        return a;
    answer_free(a);
    return NULL;
}

void answer_free(struct answer *a)
{
    if (a)
        free(a->comparison);
    free(a);
}

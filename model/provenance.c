// SPDX-License-Identifier: BSD-2-Clause
// The one place that tells predictions from what was put in by hand.
#include "model/provenance.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

// A published figure that is 0; or a measured time below what timing can tell from nothing.
static bool is_zero(const struct comparison *c)
{
    return c->target ? c->against == 0 : fabs(c->against) < MEASURABLE_CYCLES;
}

bool comparison_error(const struct comparison *c, double *error)
{
    if (c->predicted.state != VALUE_KNOWN || is_zero(c))
        return false;
    *error = (c->predicted.number - c->against) / c->against;
    return true;
}

bool provenance_set(struct model *m, int figure, const struct basis *basis, const struct figure_set *values,
                    char by[static WHERE_SIZE])
{
    struct figure_set used = profile_from(basis->profile);
    by[0] = '\0';
    set_unite(&used, &basis->prices->from);
    set_unite(&used, &basis->native_prices->from);
    set_unite(&used, values);
    if (figure == FIGURE_NONE || !set_has(&used, (size_t)figure))
        return false;
    const struct figure *named = &m->sources.figures.figure[figure];
    if (!profile_cites(basis->profile, named, by, WHERE_SIZE) && !policy_cites(basis->policy, named, by, WHERE_SIZE) &&
        !policy_cites(basis->native, named, by, WHERE_SIZE) && !model_cites(m, basis->bench, named, by, WHERE_SIZE))
        snprintf(by, WHERE_SIZE, "a figure made of it"); // results/reference says so
    return true;
}

int score_add(struct score *s, const struct comparison *c)
{
    double error;
    if (c->set) {
        s->sets++;
        return 0;
    }
    if (c->predicted.state == VALUE_KNOWN && is_zero(c)) {
        s->zeros++;
        s->zero_miss = fmax(s->zero_miss, fabs(c->predicted.number));
        return 0;
    }
    if (!comparison_error(c, &error)) {
        s->unknown++;
        return 0;
    }
    double *more = reallocarray(s->error, s->predictions + 1, sizeof *more);
    if (!more)
        return -1;
    s->error = more;
    more[s->predictions++] = fabs(error);
    return 0;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double score_median(struct score *s)
{
    size_t n = s->predictions;
    if (!n)
        return NAN;
    qsort(s->error, n, sizeof *s->error, by_size);
    return n % 2 ? s->error[n / 2] : (s->error[n / 2 - 1] + s->error[n / 2]) / 2;
}

size_t score_within(const struct score *s, double limit)
{
    size_t count = 0;
    for (size_t i = 0; i < s->predictions; i++)
        count += s->error[i] <= limit;
    return count;
}

void score_free(struct score *s)
{
    free(s->error);
    *s = (struct score){0};
}

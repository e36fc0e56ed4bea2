// SPDX-License-Identifier: BSD-2-Clause
// What is said of a run at its end: lines for people, and all of it as JSON.
#include <inttypes.h>
#include <stdio.h>

#include "tests/cpu/run.h"

bool run_is_clean(const struct run *r)
{
    struct totals sum;
    if (r->skipped[0] || !r->totals)
        return true;
    run_sum(r, &sum);
    return !sum.verdict[DIFFERENT] && !sum.verdict[LEFT_DIED] && !sum.verdict[LEFT_HUNG] && !r->crashes && !r->hangs;
}

struct coverage {
    unsigned rows, compared, not_on_host;
};

static bool on_host(unsigned i)
{
    return host_has((enum need)rows[i].need) || host_has((enum need)rows[i].vex_need);
}

static struct coverage coverage_of(const struct totals *sum)
{
    struct coverage c = {.rows = rows_count};
    for (unsigned i = 0; i < rows_count; i++) {
        c.not_on_host += !on_host(i);
        c.compared += sum->row_compared[i] > 0;
    }
    return c;
}

static void say_not_compared(const struct totals *sum)
{
    enum { NAMES = 12 };
    unsigned n = 0;
    for (unsigned i = 0; i < rows_count; i++) {
        char label[64];
        if (!sum->row_cases[i] || sum->row_compared[i] || n++ >= NAMES)
            continue;
        printf("%s%s", n == 1 ? "  never compared: " : ", ", row_label(i, label, sizeof label));
    }
    if (n)
        printf("%s\n", n > NAMES ? ", ..." : "");
}

void run_say(const struct run *r)
{
    struct totals sum;
    if (r->skipped[0] || !r->totals) {
        printf("%s: skipped: %s\n", r->subject->name, r->skipped);
        return;
    }
    run_sum(r, &sum);
    struct coverage c = coverage_of(&sum);
    printf("%s: %" PRIu64 " cases in %.0f s (%.0f/s), seed %" PRIu64 "%s: %" PRIu64 " differ, %" PRIu64
           " crashes, %" PRIu64 " without end; %" PRIu64 " faults; %u of %u rows compared, %u not on this host\n",
           r->subject->name, sum.cases, r->seconds, (double)sum.cases / r->seconds, r->plan.seed,
           r->interrupted ? ", interrupted" : "", sum.verdict[DIFFERENT], r->crashes, r->hangs, sum.faults, c.compared,
           c.rows, c.not_on_host);
    for (unsigned k = 0; k < VERDICTS; k++)
        if (k != SAME && k != DIFFERENT && sum.verdict[k])
            printf("  %" PRIu64 " %s\n", sum.verdict[k], verdict_names[k]);
    if (sum.again)
        printf("  %" PRIu64 " run once more: the judge's process stood still in them\n", sum.again);
    for (unsigned k = 0; k < VARIATIONS; k++)
        if (sum.host_varies.used[k] + sum.other_varies.used[k])
            printf("  may vary, %" PRIu64 " times: %s\n", sum.host_varies.used[k] + sum.other_varies.used[k],
                   variations[k].name);
    say_not_compared(&sum);
}

static json_t *rows_json(const struct totals *sum)
{
    json_t *all = json_array();
    for (unsigned i = 0; i < rows_count + KINDS; i++) {
        char label[64];
        bool row = i < rows_count;
        json_array_append_new(all, json_pack("{s:s, s:s, s:s, s:b, s:I, s:I}", "row", row_label(i, label, sizeof label),
                                             "needs", row ? need_name((enum need)rows[i].need) : "base", "needs_vex",
                                             row ? need_name((enum need)rows[i].vex_need) : "nothing", "on_host",
                                             !row || on_host(i), "cases", (json_int_t)sum->row_cases[i], "compared",
                                             (json_int_t)sum->row_compared[i]));
    }
    return all;
}

static json_t *variations_json(const struct totals *sum)
{
    json_t *all = json_array();
    for (unsigned i = 0; i < VARIATIONS; i++)
        json_array_append_new(all, json_pack("{s:s, s:s, s:s, s:I, s:I}", "name", variations[i].name, "what",
                                             variations[i].what, "where", variations[i].where, "against_host",
                                             (json_int_t)sum->host_varies.used[i], "against_interp",
                                             (json_int_t)sum->other_varies.used[i]));
    return all;
}

json_t *run_json(const struct run *r)
{
    struct totals sum;
    if (r->skipped[0] || !r->totals)
        return json_pack("{s:s, s:s}", "engine", r->subject->name, "skipped", r->skipped);
    run_sum(r, &sum);
    json_t *verdicts = json_object();
    for (unsigned k = 0; k < VERDICTS; k++)
        json_object_set_new(verdicts, verdict_names[k], json_integer((json_int_t)sum.verdict[k]));
    return json_pack(
        "{s:s, s:I, s:I, s:I, s:f, s:f, s:I, s:I, s:I, s:I, s:b, s:o, s:o, s:o}", "engine", r->subject->name, "seed",
        (json_int_t)r->plan.seed, "first", (json_int_t)r->options->first, "cases", (json_int_t)sum.cases, "seconds",
        r->seconds, "cases_per_second", (double)sum.cases / r->seconds, "faults", (json_int_t)sum.faults, "crashes",
        (json_int_t)r->crashes, "hangs", (json_int_t)r->hangs, "again", (json_int_t)sum.again, "interrupted",
        r->interrupted, "verdicts", verdicts, "variations", variations_json(&sum), "rows", rows_json(&sum));
}

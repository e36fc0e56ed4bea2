// SPDX-License-Identifier: BSD-2-Clause
// What interp_cpu and bt_cpu do: all cases that have once found something, then the first ones of seed 1.
#ifndef RINGSIDE_TESTS_UNIT_CPU_SHORT_H
#define RINGSIDE_TESTS_UNIT_CPU_SHORT_H

#include <stdlib.h>

#include "tests/cpu/tester.h"
#include "tests/unit/check.h"

enum { CPU_SHORT_SHOWN = 8 };

struct cpu_short {
    struct tester tester;
    struct totals totals;
    unsigned shown;
};

static void cpu_short_found(void *ctx, struct tester *t, uint64_t number, const struct test_case *c,
                            enum verdict_kind kind)
{
    struct cpu_short *s = ctx;
    struct test_case small = *c;
    char text[CASE_TEXT];
    if (s->shown++ >= CPU_SHORT_SHOWN)
        return;
    if (kind == DIFFERENT)
        minimise(t, &small);
    struct verdict v = tester_try(t, &small, false);
    verdict_print(&v, &small, t->subject->name, text);
    printf("# case %" PRIu64 ", %s: %s\n", number, verdict_names[kind], text);
    case_print(&small, text);
    printf("#   %s\n", text);
}

// Each line of tests/cpu/regressions, in every world of a translator.
static void cpu_short_regressions(struct cpu_short *s)
{
    char line[CASE_TEXT];
    unsigned n = 0;
    FILE *f = fopen("tests/cpu/regressions", "r");
    if (!CHECK(f != NULL))
        return;
    while (fgets(line, sizeof line, f)) {
        struct test_case c;
        if (*line == '#' || *line == '\n')
            continue;
        if (!CHECK(case_parse(line, &c)))
            printf("# not a case: %s", line);
        for (unsigned world = 0; world < (s->tester.subject->translator ? 4 : 1); world++) {
            if (world)
                c.way = (c.way & ~(uint32_t)WAY_WORLD) | way_make(WAY_WORLD, (way_field(c.way, WAY_WORLD) + 1) % 4);
            if (!CHECK_SAY(tester_try(&s->tester, &c, false).kind != DIFFERENT, "a case that once differed"))
                cpu_short_found(s, &s->tester, n, &c, DIFFERENT);
        }
        n++;
    }
    fclose(f);
    CHECK(n > 0);
}

static int cpu_short(const char *name, const struct subject *subject, uint64_t count)
{
    static struct cpu_short s;
    static struct case_plan plan = {.seed = 1};
    char err[200];
    plan.translator = subject->translator;
    setvbuf(stdout, NULL, _IOLBF, 0); // what was found is there even if a case ends the test
    if (!tester_start(&s.tester, subject, &s.totals, err, sizeof err)) {
        SKIP(err);
        return 0;
    }
    cpu_short_regressions(&s);
    CHECK(tester_run(&s.tester, &plan, 0, count, cpu_short_found, &s));
    CHECK(s.totals.cases == count);
    for (unsigned i = 0; i < VERDICTS; i++)
        printf("# %" PRIu64 " %s\n", s.totals.verdict[i], verdict_names[i]);
    printf("# what may vary, against the host:\n");
    say_variations(&s.totals.host_varies);
    CHECK(s.totals.verdict[DIFFERENT] == 0);
    CHECK(s.totals.faults > 0);
    CHECK(s.totals.verdict[LEFT_DIED] + s.totals.verdict[LEFT_HUNG] == 0);
    tester_stop(&s.tester);
    return check_done(name);
}

#endif

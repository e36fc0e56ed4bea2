// SPDX-License-Identifier: BSD-2-Clause
// check_cpu: the differential test for as long as one likes (docs/testing.md).
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engines/bt/region.h"
#include "tests/cpu/run.h"

enum { STATUS_CLEAN = 0, STATUS_FOUND = 1, STATUS_USAGE = 2, STATUS_NOTHING_RUN = 3, STATUS_INTERRUPTED = 130 };

static const struct subject *const subjects[] = {&subject_interp, &subject_bt};
enum { SUBJECTS = sizeof subjects / sizeof subjects[0] };

static void say_help(FILE *to)
{
    fprintf(to,
            "usage: check_cpu [OPTION...]\n"
            "The engines against the host's CPU: random instructions and runs of them, in random states.\n\n"
            "  --engine=NAME   interp or bt; default: one after the other, half of the cases each\n"
            "  --cases=N       how many, default 24000000\n"
            "  --seconds=N     at most so long for each engine\n"
            "  --seed=N        other cases; default 1\n"
            "  --first=N       start at case N: with --cases=1 to repeat one\n"
            "  --only=NAME     rows of that name (addps, \"movss 0f f3 10 mem\") or kind (sequence, flow, stray)\n"
            "  --jobs=N        worker processes, default 1; each keeps up to two CPUs busy\n"
            "  --json=FILE     all figures, with the cases of every row\n"
            "  --replay=LINE   run one case, as a difference is printed, and say what each side makes of it\n"
            "  --help          this text\n\n"
            "A difference is made small and printed as one line, which --replay takes, and which becomes a test as\n"
            "a line of tests/cpu/regressions. Ctrl-C ends with the totals so far; twice, at once.\n"
            "Exit status: 0 no difference, 1 found something, 2 usage, 3 nothing could be run, 130 Ctrl-C.\n");
}

static bool read_number(const char *text, uint64_t *value)
{
    char *end;
    *value = strtoull(text, &end, 0);
    return *text && *text != '-' && !*end;
}

static int usage(const char *what, const char *value)
{
    fprintf(stderr, "check_cpu: %s: %s (see --help)\n", what, value);
    return STATUS_USAGE;
}

// 0, or a status to end with.
static int read_options(int argc, char **argv, struct run_options *o)
{
    static const struct option options[] = {{"engine", required_argument, NULL, 'e'},
                                            {"cases", required_argument, NULL, 'c'},
                                            {"seconds", required_argument, NULL, 't'},
                                            {"seed", required_argument, NULL, 's'},
                                            {"first", required_argument, NULL, 'f'},
                                            {"only", required_argument, NULL, 'o'},
                                            {"jobs", required_argument, NULL, 'j'},
                                            {"json", required_argument, NULL, 'J'},
                                            {"replay", required_argument, NULL, 'r'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    uint64_t seconds = 0, jobs = 1;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        bool ok = true;
        switch (c) {
        case 'e':
            o->engine = optarg;
            break;
        case 'c':
            ok = read_number(optarg, &o->cases);
            break;
        case 't':
            ok = read_number(optarg, &seconds) && seconds < UINT32_MAX;
            break;
        case 's':
            ok = read_number(optarg, &o->seed);
            break;
        case 'f':
            ok = read_number(optarg, &o->first);
            break;
        case 'o':
            o->only = optarg;
            break;
        case 'j':
            ok = read_number(optarg, &jobs) && jobs >= 1 && jobs <= MOST_JOBS;
            break;
        case 'J':
            o->json = optarg;
            break;
        case 'r':
            o->replay = optarg;
            break;
        case 'h':
            say_help(stdout);
            exit(STATUS_CLEAN);
        default:
            return STATUS_USAGE;
        }
        if (!ok)
            return usage("not a number that will do", optarg);
    }
    o->seconds = (unsigned)seconds;
    o->jobs = (unsigned)jobs;
    return optind < argc ? usage("not an option", argv[optind]) : 0;
}

static bool wanted(const struct run_options *o, const struct subject *s)
{
    return !o->engine || strcmp(o->engine, s->name) == 0;
}

// ---- One case ----

static int replay_on(const struct subject *s, const struct test_case *c)
{
    static struct tester tester;
    static struct totals totals;
    char err[200], text[CASE_TEXT];
    if (!tester_start(&tester, s, &totals, err, sizeof err)) {
        printf("%s: skipped: %s\n", s->name, err);
        return STATUS_NOTHING_RUN;
    }
    struct verdict v = tester_try(&tester, c, true);
    verdict_print(&v, c, s->name, text);
    printf("%s: %s; %s\n", s->name, verdict_names[v.kind], v.kind == DIFFERENT ? text : "");
    say_variations(&totals.host_varies);
    tester_stop(&tester);
    return v.kind == DIFFERENT ? STATUS_FOUND : STATUS_CLEAN;
}

static int replay(const struct run_options *o)
{
    struct test_case c;
    int status = STATUS_NOTHING_RUN;
    if (!case_parse(o->replay, &c))
        return usage("not a case", o->replay);
    for (unsigned i = 0; i < SUBJECTS; i++) {
        int one = wanted(o, subjects[i]) ? replay_on(subjects[i], &c) : STATUS_NOTHING_RUN;
        if (one != STATUS_NOTHING_RUN)
            status = status == STATUS_FOUND ? status : one;
    }
    return status;
}

// ---- Many ----

static bool write_json(const struct run_options *o, const struct run *runs, unsigned count)
{
    json_t *engines = json_array();
    for (unsigned i = 0; i < count; i++)
        json_array_append_new(engines, run_json(&runs[i]));
    json_t *all = json_pack("{s:s, s:o}", "check", "cpu", "engines", engines);
    bool ok = json_dump_file(all, o->json, JSON_INDENT(1) | JSON_PRESERVE_ORDER) == 0;
    json_decref(all);
    if (!ok)
        fprintf(stderr, "check_cpu: %s cannot be written\n", o->json);
    return ok;
}

static int status_of(const struct run *runs, unsigned count)
{
    bool ran = false, clean = true, interrupted = false;
    for (unsigned i = 0; i < count; i++) {
        ran |= !runs[i].skipped[0];
        clean &= run_is_clean(&runs[i]);
        interrupted |= runs[i].interrupted;
    }
    return !clean ? STATUS_FOUND : interrupted ? STATUS_INTERRUPTED : ran ? STATUS_CLEAN : STATUS_NOTHING_RUN;
}

int main(int argc, char **argv)
{
    static struct run runs[SUBJECTS];
    struct run_options o = {.seed = 1, .cases = 24000000};
    unsigned engines = 0, count = 0;
    region_fix_layout(argv);
    setvbuf(stdout, NULL, _IOLBF, 0);
    int status = read_options(argc, argv, &o);
    if (status)
        return status;
    if (o.replay)
        return replay(&o);
    for (unsigned i = 0; i < SUBJECTS; i++)
        engines += wanted(&o, subjects[i]);
    if (!engines)
        return usage("no such engine", o.engine);
    for (unsigned i = 0; i < SUBJECTS; i++) {
        struct run *r = &runs[count];
        if (!wanted(&o, subjects[i]) || (count && runs[count - 1].interrupted))
            continue;
        *r = (struct run){.subject = subjects[i], .options = &o, .cases = o.cases / engines};
        r->plan.seed = o.seed;
        r->plan.translator = subjects[i]->translator;
        if (o.only && !case_plan_only(&r->plan, o.only))
            return usage("no row or kind of that name for this engine and host", o.only);
        count++;
        run_engine(r);
        run_say(r);
    }
    if (o.json && !write_json(&o, runs, count))
        return STATUS_FOUND;
    return status_of(runs, count);
}

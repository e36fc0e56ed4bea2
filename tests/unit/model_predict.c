// SPDX-License-Identifier: BSD-2-Clause
// Predictions by hand, and which of them are none: a figure that set a parameter cannot be predicted.
#include "tests/unit/model_fixture.h"

static const char results[] =
    "{\"type\":\"run\",\"machine\":{\"tsc_khz\":2000000}}\n"
    "{\"type\":\"engine\",\"name\":\"interp\",\"counts\":[\"syscalls\",\"true_faults\",\"unheard_of\"]}\n"
    "{\"type\":\"engine\",\"name\":\"bt\",\"counts\":[\"syscalls\",\"traced_writes\"],\"paging\":\"shadow\"}\n"
    "{\"type\":\"engine\",\"name\":\"bt:mmu=trace\",\"counts\":[\"syscalls\",\"traced_writes\"]}\n"
    "{\"type\":\"engine\",\"name\":\"native\",\"counts\":[]}\n"
    "{\"type\":\"engine\",\"name\":\"vtx\",\"counts\":[],\"hardware\":false,\"paging\":\"shadow\"}\n"
    // Three repetitions of 2, 3 and 3 calls each, and of no fault: medians 3 and 0.
    "{\"type\":\"sample\",\"suite\":\"micro\",\"bench\":\"forks\",\"engine\":\"interp\",\"n\":10,\"t1\":[],\"t2\":[],"
    "\"counters_n\":[{\"syscalls\":20},{\"syscalls\":30},{}],"
    "\"counters_2n\":[{\"syscalls\":40},{\"syscalls\":60},{\"syscalls\":30}]}\n"
    // Two processes, whose medians are 100 and 200 cycles.
    "{\"type\":\"sample\",\"suite\":\"micro\",\"bench\":\"forks\",\"engine\":\"bt\",\"n\":10,\"t1\":[1000,0,7],"
    "\"t2\":[2010,1010,7],\"e1\":[1,1,0],\"e2\":[11,11,0],\"counters_n\":[{\"traced_writes\":5}],"
    "\"counters_2n\":[{\"traced_writes\":15}]}\n"
    "{\"type\":\"sample\",\"suite\":\"micro\",\"bench\":\"forks\",\"engine\":\"bt\",\"n\":1,\"t1\":[0],\"t2\":[200],"
    "\"e1\":null,\"e2\":null,\"counters_n\":null,\"counters_2n\":null}\n"
    "{\"type\":\"sample\",\"suite\":\"micro\",\"bench\":\"forks\",\"engine\":\"bt:mmu=trace\",\"n\":1,\"t1\":[0],"
    "\"t2\":[9],"
    "\"counters_n\":[{}],\"counters_2n\":[{}]}\n"
    "{\"type\":\"sample\",\"suite\":\"micro\",\"bench\":\"forks\",\"engine\":\"vtx\",\"n\":1,\"t1\":[0],\"t2\":[77],"
    "\"counters_n\":null,\"counters_2n\":null}\n"
    "{\"type\":\"sample\",\"suite\":\"nano\",\"bench\":\"fault\",\"engine\":\"native\",\"n\":1,\"t1\":[0],\"t2\":[700],"
    "\"counters_n\":null,\"counters_2n\":null}\n"
    "{\"type\":\"sample\",\"suite\":\"nano\",\"bench\":\"fault\",\"engine\":\"interp\",\"n\":1,\"t1\":[0],\"t2\":[5],"
    "\"counters_n\":[{}],\"counters_2n\":[{\"true_faults\":1}]}\n"
    "{\"type\":\"boot\",\"suite\":\"macro\",\"image\":\"boot\",\"engine\":\"interp\",\"wall_ns\":1500,\"idle_ns\":500,"
    "\"counters\":{\"syscalls\":4}}\n"
    "{\"type\":\"sample\",\"suite\":\"mic"; // an interrupted run

static struct fixture f;
static struct model *m;

static struct answer *answer(const char *bench, const char *policy_name, const char *profile_name)
{
    struct policy *policy = model_policy(m, policy_name, f.err, sizeof f.err);
    struct profile *profile = model_profile(m, profile_name, f.err, sizeof f.err);
    struct answer *a = policy && profile ? answer_make(m, bench, policy, profile, f.err, sizeof f.err) : NULL;
    if (!CHECK(a != NULL))
        printf("# %s\n", f.err);
    return a;
}

static void measured(void)
{
    double n;
    const struct measurements *s = &m->sources.measurements;
    CHECK(measurements_count(s, "interp", "micro/forks", EV_syscalls, &n) && n == 3);
    CHECK(measurements_count(s, "interp", "micro/forks", EV_true_faults, &n) && n == 0); // counted, and none
    CHECK(!measurements_count(s, "interp", "micro/forks", EV_traced_writes, &n));        // not counted
    CHECK(measurements_cycles(s, "bt", "micro/forks", &n) && n == 150);                  // of the processes' medians
    CHECK(!measurements_cycles(s, "interp", "micro/forks", &n));                         // no times
    CHECK(measurements_cycles(s, "interp", "macro/boot", &n) && n == 2000);              // 1000 ns at 2 GHz
    CHECK(measurements_count(s, "interp", "macro/boot", EV_syscalls, &n) && n == 4);
    CHECK_EQ(s->bench_count, 3); // the smallest suite first
    CHECK_STR(s->bench[0], "nano/fault");
    CHECK_STR(s->bench[1], "micro/forks");
    CHECK_STR(s->bench[2], "macro/boot");
}

// 3 calls at 2308: 100 natively and the switch of 2208. Traced writes are fewer than bt's, so none.
static void by_hand(void)
{
    struct answer *a = answer("micro/forks", "bt", "old");
    if (!a)
        return;
    CHECK(a->own.cycles.state == VALUE_KNOWN && a->own.cycles.number == 6924);
    CHECK_EQ(a->own.cycles.class, CLASS_FITTED);
    CHECK(a->native.cycles.number == 300);
    CHECK(a->basis.prices->event[1].number == 2 * 1000 + 2308); // by the auxiliary, and cost() of another event
    CHECK_EQ(a->comparison_count, 1);
    const struct comparison *c = &a->comparison[0];
    double error;
    CHECK(c->against == 9 && c->predicted.number == 6.924 && !c->set); // a million forks at 1 GHz, in seconds
    CHECK_EQ(c->predicted.class, CLASS_ASSUMED);                       // by the clock
    CHECK(comparison_error(c, &error) && error < -0.23 && error > -0.231);
    answer_free(a);
}

// What was used to set a parameter is said so, with the line; it counts in no score.
static void provenance(void)
{
    struct score score = {0};
    struct comparison all[4];
    for (size_t i = 0; i < 4; i++) {
        struct answer *a = answer_target(m, &m->targets.sheet.line[i], f.err, sizeof f.err);
        if (!CHECK(a != NULL))
            return;
        all[i] = a->comparison[0];
        CHECK_EQ(score_add(&score, &all[i]), 0);
        answer_free(a);
    }
    CHECK(all[0].set && all[0].predicted.number == 2308);
    CHECK_STR(all[0].by, "old.profile:4");
    CHECK(!all[1].set);
    CHECK(!all[2].set && all[2].against == 0);
    CHECK(all[3].set); // the count was made of this very figure: results/reference says so
    CHECK_STR(all[3].by, "a figure made of it");
    CHECK(score.predictions == 1 && score.sets == 2 && score.zeros == 1 && score.unknown == 0);
    CHECK(score.zero_miss == 2208);
    CHECK(score_median(&score) > 0.23 && score_within(&score, 0.25) == 1 && score_within(&score, 0.1) == 0);
    score_free(&score);
}

// A published figure that an assumption types, by chance or not, has been used; two digits are everybody's.
static void typed(void)
{
    struct sheet *sheet = &model_profile(m, "old", f.err, sizeof f.err)->sheet;
    int call = figures_find(&m->sources.figures, "paper.nano/call.software");
    CHECK_EQ(figures_typed(&m->sources.figures, 2308, 0), call);
    CHECK_EQ(figures_typed(&m->sources.figures, 2308, (size_t)call + 1), FIGURE_NONE);
    CHECK_EQ(figures_typed(&m->sources.figures, 100, 0), FIGURE_NONE);
    CHECK_EQ(figures_typed(&m->sources.figures, 2309, 0), FIGURE_NONE);
    fixture_write(&f, "model/profiles/typed.profile",
                  "title = x\nclock_mhz = 1000 | assumed | x\ncall_native = 100 | assumed | x\n"
                  "switch = 2308 - 100 | assumed | a guess\nfault_native = 1 | assumed | x\n");
    CHECK(sheet->figures == &m->sources.figures);
    struct answer *a = answer("mix/one", "bt", "typed");
    if (a)
        CHECK(set_has(&a->own.cycles.from, (size_t)call));
    answer_free(a);
    char where[WHERE_SIZE];
    struct profile *profile = model_profile(m, "typed", f.err, sizeof f.err);
    CHECK(profile_cites(profile, &m->sources.figures.figure[call], where, sizeof where));
    CHECK_STR(where, "typed.profile:4");
    unlink(fixture_path(&f, "model/profiles/typed.profile"));
}

// Nothing can be held against nothing: neither a published 0 nor a time too short to be told from 0.
static void zeros(void)
{
    const struct sheet_line target = {.name = "x"};
    struct comparison c = {.target = &target, .against = 0, .predicted = value_of(1, CLASS_FITTED)};
    double error;
    CHECK(!comparison_error(&c, &error));
    c.against = 0.1;
    CHECK(comparison_error(&c, &error) && error == 9);
    c.target = NULL; // measured
    CHECK(!comparison_error(&c, &error));
    c.against = -0.6;
    CHECK(comparison_error(&c, &error));
    c.predicted = value_none(VALUE_MISSING, "x");
    CHECK(!comparison_error(&c, &error));
}

static void gaps(void)
{
    struct answer *a = answer("mix/one", "hw", "old");
    if (a)
        CHECK(a->own.cycles.number == 100); // no trace happens, so vm_exit is not missed
    answer_free(a);
    CHECK_EQ(model_change(m, "trace", 2, f.err, sizeof f.err), 0);
    if ((a = answer("mix/one", "hw", "old")))
        CHECK_STR(a->own.cycles.why, "old has no vm_exit");
    answer_free(a);
    if ((a = answer("mix/one", "bt", "old")))
        CHECK_STR(a->own.cycles.why, "bt does not price trace");
    answer_free(a);
    CHECK_EQ(model_change(m, "trace", 0, f.err, sizeof f.err), 0);
    if ((a = answer("nano/fault", "hw", "old")))
        CHECK(a->own.cycles.number == 2 * 1000 + 100); // a base's line uses what stands in its place: call costs 100
    answer_free(a);
    m->sources.changes = 0;
    if ((a = answer("macro/boot", "hw", "old"))) // nobody has counted its traced writes, which hw prices
        CHECK_STR(a->own.cycles.why, "traced_writes of bt:mmu=trace is not in the results");
    answer_free(a);
}

// On the machine of the results: measured times beside predictions, unless they have set a parameter.
static void this_machine(void)
{
    struct answer *a = answer("nano/fault", "native", "new");
    if (a) {
        CHECK(a->own.cycles.number == 700);
        CHECK_EQ(a->own.cycles.class, CLASS_MEASURED);
        CHECK_EQ(a->comparison_count, 0); // the policy native has no engine here
    }
    answer_free(a);
    if ((a = answer("micro/forks", "bt", "new"))) {
        CHECK_EQ(a->own.cycles.class, CLASS_ASSUMED); // as on the old one
        CHECK(a->comparison_count == 1 && !a->comparison[0].set && a->comparison[0].against == 150);
        CHECK_STR(a->comparison[0].engine, "bt");
    }
    answer_free(a);
    if ((a = answer("micro/forks", "hw", "new")))
        CHECK_EQ(a->comparison_count, 0); // vtx was measured, but is no hardware
    answer_free(a);
}

static void what_if(void)
{
    struct map map;
    struct policy *policies[] = {model_policy(m, "bt", f.err, sizeof f.err), model_policy(m, "native", f.err, 1)};
    struct profile *profile = model_profile(m, "old", f.err, sizeof f.err);
    CHECK_EQ(map_parse(&map, "call:0:4:3,switch:0:10:2", f.err, sizeof f.err), 0);
    CHECK_EQ(map_fill(&map, m, "mix/one", profile, policies, 2, NULL, NULL, f.err, sizeof f.err), 0);
    CHECK(map_at(&map, 2, 1, 0)->number == 4 * 110 && map_at(&map, 2, 1, 1)->number == 4 * 100);
    CHECK_EQ(map_at(&map, 2, 1, 0)->class, CLASS_ASSUMED);
    CHECK(map_cheapest(&map, 2, 1) == 1 && map_cheapest(&map, 0, 0) == 0);
    map_free(&map);
    CHECK_EQ(map_parse(&map, "call:0:4:3,switch:0.5:50:3:log", f.err, sizeof f.err), 0);
    CHECK(!map.x.log && map.y.log && axis_at(&map.x, 1) == 2);
    CHECK(axis_at(&map.y, 0) == 0.5 && axis_at(&map.y, 1) == 5 && axis_at(&map.y, 2) == 50);
    m->sources.changes = 0;
    static const char *const bad[] = {"",
                                      "a:1:2:3",
                                      "a:1:2:3,",
                                      "a:1:2:1,b:1:2:2",
                                      "a:2:1:3,b:1:2:2",
                                      "a:1:2:2,a:1:2:2",
                                      "a:1:2:201,b:1:2:2",
                                      "a:-1:2:2,b:1:2:2",
                                      "a:0:inf:2,b:1:2:2",
                                      "a:0:2:2:log,b:1:2:2", // 0 lies at no factor from anything
                                      "a:1:2:2:lin,b:1:2:2",
                                      "a:1:2:2:log,b:1:2:2:log:",
                                      "a:1:2:2,b:1:2:2x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (!CHECK_EQ(map_parse(&map, bad[i], f.err, sizeof f.err), -1))
            printf("# %s\n", bad[i]);
}

int main(void)
{
    if (!fixture_make(&f))
        return check_done("model_predict");
    fixture_write(&f, "results.jsonl", results);
    char path[160];
    snprintf(path, sizeof path, "%s", f.path);
    m = fixture_open(&f, path);
    if (!CHECK(m != NULL)) {
        printf("# %s\n", f.err);
        return check_done("model_predict");
    }
    measured();
    by_hand();
    provenance();
    typed();
    zeros();
    gaps();
    this_machine();
    what_if();
    model_close(m);
    unlink(path);
    fixture_remove(&f);
    return check_done("model_predict");
}

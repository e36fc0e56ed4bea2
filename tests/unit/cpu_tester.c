// SPDX-License-Identifier: BSD-2-Clause
// What the differential test makes of a judge that dies or stands still: a judge and a subject that agree in
// everything, but for what is said here of some cases.
#include <stdlib.h>

#include "tests/cpu/tester.h"
#include "tests/unit/check.h"

enum { CASES = 3000 };

// The judge's status when it is asked for the first time, and from the second time on; and what the tester is to find.
// Not in the batch behind one with a find: that is put to the judge twice.
static struct odd {
    uint64_t number;
    enum judge_status first, then;
    bool differs; // where it is done
    int found;    // a verdict, or -1
    struct test_case t;
    unsigned asked, seen;
} odds[] = {
    {.number = 3, .first = JUDGE_HUNG, .then = JUDGE_DONE, .found = -1},
    {.number = 1100, .first = JUDGE_HUNG, .then = JUDGE_DONE, .differs = true, .found = DIFFERENT},
    {.number = 1101, .first = JUDGE_HUNG, .then = JUDGE_HUNG, .found = LEFT_HUNG},
    {.number = 1500, .first = JUDGE_DIED, .then = JUDGE_DIED, .found = LEFT_DIED},
    {.number = CASES - 1, .first = JUDGE_DONE, .then = JUDGE_DONE, .differs = true, .found = DIFFERENT},
};
enum { ODDS = sizeof odds / sizeof odds[0] };

static struct odd *odd_of(const struct test_case *t)
{
    for (unsigned i = 0; i < ODDS; i++) {
        const struct test_case *s = &odds[i].t;
        if (s->length == t->length && !memcmp(s->bytes, t->bytes, t->length) && !memcmp(&s->in, &t->in, sizeof t->in))
            return &odds[i];
    }
    return NULL;
}

static struct outcome outcome_of(const struct test_case *t)
{
    return (struct outcome){.regs = t->in, .rip = INSN_AT, .vector = VEC_UD};
}

// ---- The judge: all is done when it is put ----

bool judge_start(struct judge *j, const uint8_t *pattern, char *err, unsigned err_size)
{
    (void)pattern;
    memset(j, 0, sizeof *j);
    j->shared = calloc(1, sizeof *j->shared);
    snprintf(err, err_size, "no memory");
    return j->shared;
}

void judge_stop(struct judge *j)
{
    free(j->shared);
}

void judge_put(struct judge *j, unsigned slot, const struct test_case *t)
{
    struct odd *s = odd_of(t);
    j->shared->slot[slot].out = outcome_of(t);
    j->shared->slot[slot].status = !s ? JUDGE_DONE : s->asked++ ? s->then : s->first;
    if (s && s->differs)
        j->shared->slot[slot].out.regs.gpr[RAX] ^= 1;
}

void judge_post(struct judge *j, unsigned first, unsigned count)
{
    CHECK(first + count <= JUDGE_SLOTS);
    j->batch++;
}

bool judge_wait(struct judge *j)
{
    return j->batch;
}

// ---- The subject ----

static void *start(const uint8_t *pattern, uint64_t components, char *err, unsigned err_size)
{
    (void)components;
    (void)err;
    (void)err_size;
    return (void *)(uintptr_t)pattern;
}

static void stop(void *self)
{
    (void)self;
}

static void run(void *self, const struct test_case *t, struct subject_result *r)
{
    static const uint8_t nothing[WINDOW_RW];
    (void)self;
    *r = (struct subject_result){.out = outcome_of(t), .memory = nothing};
}

static const struct subject subject = {"agrees", false, start, stop, run};

// ---- What is found ----

static void found(void *ctx, struct tester *t, uint64_t number, const struct test_case *c, enum verdict_kind kind)
{
    struct odd *s = odd_of(c);
    (void)t;
    *(unsigned *)ctx += 1;
    if (CHECK(s && s->number == number)) {
        CHECK_EQ(kind, s->found);
        s->seen++;
    }
}

int main(void)
{
    static struct tester tester;
    static struct totals totals;
    const struct case_plan plan = {.seed = 1};
    unsigned count = 0;
    char err[200];
    for (unsigned i = 0; i < ODDS; i++)
        make_case(&plan, odds[i].number, &odds[i].t);
    if (!CHECK(tester_start(&tester, &subject, &totals, err, sizeof err)))
        return check_done("cpu_tester");
    CHECK(tester_run(&tester, &plan, 0, CASES, found, &count));
    tester_stop(&tester);
    for (unsigned i = 0; i < ODDS; i++)
        CHECK_EQ(odds[i].seen, odds[i].found >= 0);
    CHECK_EQ(count, 4);
    CHECK_EQ(totals.cases, CASES);
    CHECK_EQ(totals.again, 3);
    CHECK_EQ(totals.verdict[DIFFERENT], 2);
    CHECK_EQ(totals.verdict[LEFT_HUNG], 1);
    CHECK_EQ(totals.verdict[LEFT_DIED], 1);
    CHECK_EQ(totals.verdict[SAME] + totals.verdict[LEFT_JUDGE_MEMORY] + totals.verdict[LEFT_ASTRAY], CASES - 4);
    return check_done("cpu_tester");
}

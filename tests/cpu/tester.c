// SPDX-License-Identifier: BSD-2-Clause
// Two batches are on their way at any time: one is run by the judge while the subject runs the one before.
#include "tests/cpu/tester.h"

#include <stdio.h>
#include <stdlib.h>

enum { BATCH = JUDGE_SLOTS / 2 };

const char *const verdict_names[VERDICTS] = {
    [SAME] = "same",
    [SECOND_ONLY] = "same, by interp alone",
    [DIFFERENT] = "different",
    [LEFT_NOT_ANNOUNCED] = "left out: refused, and not announced by CPUID",
    [LEFT_NO_ROW] = "left out: refused, and no row's instruction",
    [LEFT_JUDGE_MEMORY] = "left out: the judge has memory there",
    [LEFT_ASTRAY] = "left out: ran into bytes that are not the case's",
    [LEFT_ENDED_BADLY] = "left out: a bad target, or an end that is none",
    [LEFT_SYSCALL] = "left out: a system call",
    [LEFT_DIED] = "left out: ended the judge's process",
    [LEFT_HUNG] = "left out: did not end in the judge's process",
};

bool tester_start(struct tester *t, const struct subject *subject, struct totals *totals, char *err, unsigned err_size)
{
    memset(t, 0, sizeof *t);
    t->subject = subject;
    t->totals = totals;
    t->cpuid = machine_cpuid(t->leaves, x86_host_features());
    make_pattern(t->pattern, sizeof t->pattern);
    if (!judge_start(&t->judge, t->pattern, err, err_size))
        return false;
    t->self = subject->start(t->pattern, t->judge.shared->components, err, err_size);
    if (!t->self)
        judge_stop(&t->judge);
    return t->self;
}

void tester_stop(struct tester *t)
{
    t->subject->stop(t->self);
    judge_stop(&t->judge);
}

// ---- The verdict ----

// Into the code page's other bytes, which are not the same everywhere, or with a stack there.
static bool astray(const struct test_case *c, const struct outcome *o)
{
    uint64_t behind = o->rip - INSN_AT - c->length;
    return (behind && behind < PAGE) || o->regs.gpr[RSP] / PAGE == CODE / PAGE;
}

// Whoever refuses an instruction that the other takes may do so where no guest can expect it.
static bool may_refuse(struct tester *t, const struct test_case *c, const struct outcome *who,
                       const struct outcome *other)
{
    return who->vector == VEC_UD && (other->vector != VEC_UD || other->rip != who->rip) &&
           !case_announced(c, who->rip, &t->cpuid);
}

static enum verdict_kind refusal(const struct test_case *c)
{
    return c->row == (int)(rows_count + KIND_STRAY) ? LEFT_NO_ROW : LEFT_NOT_ANNOUNCED;
}

static struct difference compare(const struct test_case *c, const struct verdict *v, struct variation_counts *counts)
{
    struct variation_counts unused = {0};
    struct sides_of sides = {c, &v->judge, &v->subject, v->judge_memory, v->subject_memory};
    return settle(&sides, counts ? counts : &unused);
}

static void by_second(struct tester *t, const struct test_case *c, const struct subject_result *r, bool counted,
                      struct verdict *v)
{
    v->judge = r->other;
    v->judge_memory = r->other_memory;
    v->by = r->by;
    v->difference = compare(c, v, counted ? &t->totals->other_varies : NULL);
    if (!any_difference(&v->difference) && !r->other_differs)
        return;
    if (!may_refuse(t, c, &r->other, &r->out)) // else the host alone is asked
        v->kind = may_refuse(t, c, &r->out, &r->other) ? refusal(c) : DIFFERENT;
}

static void by_host(struct tester *t, const struct test_case *c, const struct judge_slot *slot, bool counted,
                    struct verdict *v)
{
    v->judge = slot->out;
    v->judge_memory = slot->window;
    v->by = "host";
    if (t->subject->translator && v->subject.vector == VEC_PF) // at whatever CPL it ran
        v->subject.error |= PF_USER;
    if (slot->status != JUDGE_DONE)
        v->kind = slot->status == JUDGE_SYSCALL ? LEFT_SYSCALL : slot->status == JUDGE_HUNG ? LEFT_HUNG : LEFT_DIED;
    else if (v->subject.vector == VEC_PF && judge_owns(v->subject.cr2))
        v->kind = LEFT_JUDGE_MEMORY;
    else if (astray(c, &v->subject) || astray(c, &v->judge))
        v->kind = LEFT_ASTRAY;
    if (v->kind != SAME)
        return;
    v->difference = compare(c, v, counted ? &t->totals->host_varies : NULL);
    if (any_difference(&v->difference))
        v->kind = may_refuse(t, c, &v->subject, &v->judge) ? refusal(c) : DIFFERENT;
}

static struct verdict give_verdict(struct tester *t, const struct test_case *c, const struct judge_slot *slot,
                                   bool counted)
{
    struct subject_result r;
    struct verdict v = {.kind = SAME};
    t->subject->run(t->self, c, &r);
    v.subject = r.out;
    v.subject_memory = r.memory;
    if (r.left_out) {
        v.kind = LEFT_ENDED_BADLY;
        return v;
    }
    if (r.by)
        by_second(t, c, &r, counted, &v);
    if (v.kind == SAME && r.host_cannot)
        v.kind = SECOND_ONLY;
    else if (v.kind == SAME)
        by_host(t, c, slot, counted, &v);
    return v;
}

struct verdict tester_try(struct tester *t, const struct test_case *c, bool counted)
{
    judge_put(&t->judge, 0, c);
    judge_post(&t->judge, 0, 1);
    judge_wait(&t->judge);
    return give_verdict(t, c, &t->judge.shared->slot[0], counted);
}

// ---- Many ----

static void note(struct totals *n, const struct test_case *c, const struct verdict *v)
{
    n->cases++;
    n->verdict[v->kind]++;
    n->faults += v->kind <= DIFFERENT && v->subject.vector >= 0;
    n->row_cases[c->row]++;
    n->row_compared[c->row] += v->kind <= DIFFERENT;
}

struct batch {
    uint64_t first;
    unsigned count, slot;
    struct test_case *cases;
};

static void post(struct tester *t, const struct case_plan *plan, struct batch *b)
{
    for (unsigned i = 0; i < b->count; i++) {
        make_case(plan, b->first + i, &b->cases[i]);
        judge_put(&t->judge, b->slot + i, &b->cases[i]);
    }
    judge_post(&t->judge, b->slot, b->count);
}

static bool is_found(enum verdict_kind kind)
{
    return kind == DIFFERENT || kind == LEFT_DIED || kind == LEFT_HUNG;
}

// A case that does not end may be a host that stands still in its middle: what counts is the second time.
static enum verdict_kind ask_again(struct tester *t, const struct test_case *c)
{
    struct verdict v = tester_try(t, c, true);
    t->totals->again++;
    note(t->totals, c, &v);
    return v.kind;
}

// The subject's turn. What is found is looked at when the judge has nothing else to do.
static unsigned judge_batch(struct tester *t, const struct batch *b, uint8_t *kinds)
{
    unsigned found = 0;
    for (unsigned i = 0; i < b->count; i++) {
        t->totals->number = b->first + i;
        struct verdict v = give_verdict(t, &b->cases[i], &t->judge.shared->slot[b->slot + i], true);
        if (v.kind != LEFT_HUNG)
            note(t->totals, &b->cases[i], &v);
        kinds[i] = (uint8_t)v.kind;
        found += is_found(v.kind);
    }
    return found;
}

bool tester_run(struct tester *t, const struct case_plan *plan, uint64_t first, uint64_t count, tester_fn *found,
                void *ctx)
{
    struct test_case *cases = calloc(2 * BATCH, sizeof *cases);
    struct batch now = {.count = 0}, next;
    bool ok = cases, turn = false;
    for (uint64_t at = first; ok; at += next.count) {
        uint64_t left = t->totals->stop ? 0 : first + count - at;
        next = (struct batch){at, left < BATCH ? (unsigned)left : BATCH, turn ? BATCH : 0, cases + (turn ? BATCH : 0)};
        turn = !turn;
        uint8_t kinds[BATCH];
        if (next.count)
            post(t, plan, &next);
        bool any = now.count && judge_batch(t, &now, kinds);
        ok = !next.count || judge_wait(&t->judge);
        // What was found is tried again in slot 0: with a judge that is done with the next batch, whose answers are
        // then asked for once more.
        for (unsigned i = 0; any && ok && i < now.count; i++) {
            enum verdict_kind kind = kinds[i] == LEFT_HUNG ? ask_again(t, &now.cases[i]) : kinds[i];
            if (is_found(kind))
                found(ctx, t, now.first + i, &now.cases[i], kind);
        }
        if (any && ok && next.count) {
            post(t, plan, &next);
            ok = judge_wait(&t->judge);
        }
        now = next;
        if (!next.count)
            break;
    }
    free(cases);
    return ok;
}

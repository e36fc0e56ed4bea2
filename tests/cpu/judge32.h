// SPDX-License-Identifier: BSD-2-Clause
// The judgement of 32- and 16-bit code: one case by the host's CPU and by a subject, and what may differ between them.
#ifndef RINGSIDE_TESTS_CPU_JUDGE32_H
#define RINGSIDE_TESTS_CPU_JUDGE32_H

#include "tests/cpu/compare.h"
#include "tests/cpu/native32.h"
#include "tests/unit/check.h"
#include "tests/unit/range.h"

enum { JUDGE32_SHOWN = 20 };

struct totals32 {
    uint64_t cases, faults, skipped, failed, either_fault;
    struct variation_counts variations;
};

struct judge32 {
    const char *name; // the subject's
    void *subject;
    void (*run)(void *subject, const struct case32 *k, struct outcome *out, struct selectors *selectors);
    uint8_t *window;        // the subject's
    uint64_t tables;        // its page with descriptor tables, which no case knows of
    const uint8_t *pattern; // of the windows
    struct totals32 totals;
};

static inline void make_judged32(uint64_t seed, uint64_t number, struct case32 *k)
{
    uint64_t mixed = seed, rng;
    mixed = rng_next(&mixed) + number;
    rng = rng_next(&mixed);
    while (!make_case32(&rng, k))
        ;
}

// The return from any interrupt makes a null selector 0 (SDM vol. 2, IRET).
static inline uint16_t shown_selector(uint16_t selector)
{
    return selector < 4 ? 0 : selector;
}

static inline bool same_selectors(const struct selectors *a, const struct selectors *b)
{
    return shown_selector(a->ds) == shown_selector(b->ds) && shown_selector(a->es) == shown_selector(b->es) &&
           shown_selector(a->gs) == shown_selector(b->gs) && a->ss == b->ss;
}

static inline void say_selectors(const struct case32 *k, const char *name, const struct selectors *host,
                                 const struct selectors *subject)
{
    printf(" | cs=%x ds=%x es=%x gs=%x ss=%x", k->cs, k->in.ds, k->in.es, k->in.gs, k->in.ss);
    if (!same_selectors(host, subject))
        printf(" host ds=%x es=%x gs=%x ss=%x %s ds=%x es=%x gs=%x ss=%x", host->ds, host->es, host->gs, host->ss, name,
               subject->ds, subject->es, subject->gs, subject->ss);
}

// Where two accesses of one instruction fault, or the instruction is not one and reaches beyond the limit, too, the
// manual does not say which comes first.
static inline bool both_fault(const struct case32 *k, const struct outcome *host, const struct outcome *subject)
{
    static const char *const several[] = {"cmps", "popa", "pusha", "enter", "iret", "retf", "lcall"};
    bool cut = k->cs == LDT_SELECTOR(LDT_CODE32_SHORT) && host->vector == VEC_GP && subject->vector == VEC_UD;
    if (host->vector < 0 || subject->vector < 0 || (host->vector == subject->vector && host->cr2 == subject->cr2))
        return false;
    for (unsigned i = 0; i < sizeof several / sizeof *several; i++)
        if (!strcmp(k->t.name, several[i]))
            return true;
    return cut;
}

// Bits 16 to 19 of what lar gives are undefined (SDM vol. 2, LAR).
static inline void drop_undefined_access(const struct case32 *k, struct outcome *o)
{
    for (unsigned i = 0; !strcmp(k->t.name, "lar") && i < 8; i++)
        o->regs.gpr[i] &= ~0xf0000ull;
}

// A call beyond the segment's limit may have written its return address, below the stack pointer (seen on Sapphire
// Rapids; in the SDM's pseudo-code the check comes first).
static inline bool refused_call(const struct case32 *k, const struct outcome *host)
{
    return (!strcmp(k->t.name, "call") || !strcmp(k->t.name, "lcall")) && host->vector >= 0;
}

static inline void run_case32(struct judge32 *j, uint64_t seed, uint64_t number)
{
    struct case32 k;
    struct outcome host, subject;
    struct selectors host_selectors, subject_selectors;
    struct totals32 *totals = &j->totals;
    const struct sides sides = {"host", j->name};
    uint8_t *host_window = (uint8_t *)(uintptr_t)WINDOW;
    totals->cases++;
    make_judged32(seed, number, &k);
    fill_memory(host_window, j->pattern, &k.t);
    fill_memory(j->window, j->pattern, &k.t);
    j->run(j->subject, &k, &subject, &subject_selectors);
    if (may_be_ours(&subject) || subject.cr2 / PAGE == j->tables / PAGE) {
        totals->skipped++;
        return;
    }
    native32_run(&k, &host, &host_selectors);
    drop_undefined_access(&k, &host);
    drop_undefined_access(&k, &subject);
    struct sides_of outcomes = {&k.t, &host, &subject, NULL, NULL};
    struct difference left = settle(&outcomes, &totals->variations);
    bool same_memory = refused_call(&k, &host) || memcmp(host_window, j->window, WINDOW_RW) == 0;
    totals->faults += host.vector >= 0;
    if (!strcmp(k.t.name, "cmps") && host.vector >= 0) // variations.c, which knows no segments
        left.flags &= ~(uint64_t)FLAGS_ARITH;
    if (both_fault(&k, &host, &subject)) {
        left.fault = false;
        if (!strcmp(k.t.name, "popa")) // registers that were loaded before it
            left.gpr = 0;
        totals->either_fault++;
    }
    if (!any_difference(&left) && same_memory && same_selectors(&host_selectors, &subject_selectors))
        return;
    if (totals->failed++ < JUDGE32_SHOWN) {
        printf("# seed %" PRIu64 " case %" PRIu64 " %s:", seed, number, k.t.name);
        say_difference(&sides, &k.t, &host, &subject);
        if (!same_memory)
            say_memory(&sides, host_window, j->window);
        say_selectors(&k, j->name, &host_selectors, &subject_selectors);
        say_inputs(&k.t);
        printf("\n");
    }
}

static inline void say_totals32(const struct totals32 *totals)
{
    printf("# %" PRIu64 " cases, %" PRIu64 " of them faults, %" PRIu64 " left out, %" PRIu64 " differ\n", totals->cases,
           totals->faults, totals->skipped, totals->failed);
    say_variations(&totals->variations);
}

// All cases of the range, and what must be true of any of them together.
static inline void judge32_range(struct judge32 *judge, const struct range *range)
{
    const struct totals32 *totals = &judge->totals;
    for (uint64_t i = 0; i < range->count; i++)
        run_case32(judge, range->seed, range->first + i);
    say_totals32(totals);
    CHECK(totals->either_fault <= totals->cases / 100);
    CHECK(totals->cases == range->count);
    CHECK(totals->failed == 0);
    CHECK(totals->skipped <= totals->cases / 100);
    CHECK(range->count < 1000 || totals->faults > 0);
}

#endif

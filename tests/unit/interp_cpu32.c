// SPDX-License-Identifier: BSD-2-Clause
// The interpreter's 32- and 16-bit code against the host's CPU, in segments of every kind: random instructions run in
// this process, by a far jump to a code segment of that size, and in the interpreter's compatibility mode; registers,
// flags, memory, segment registers and faults must agree.
//
// interp_cpu32 [SEED [COUNT [FIRST]]]: cases FIRST to FIRST + COUNT of SEED, as interp_cpu has them.
#include <stdlib.h>

#include "tests/cpu/compare.h"
#include "tests/cpu/native32.h"
#include "tests/cpu/subject32.h"
#include "tests/unit/check.h"

enum { DEFAULT_COUNT = 200000, SHOWN = 20 };

static const struct sides sides = {"host", "interp"};

struct totals {
    uint64_t cases, faults, skipped, failed, either_fault;
    struct variation_counts variations;
};

static void make_case(uint64_t seed, uint64_t number, struct case32 *k)
{
    uint64_t mixed = seed, rng;
    mixed = rng_next(&mixed) + number;
    rng = rng_next(&mixed);
    while (!make_case32(&rng, k))
        ;
}

// The return from any interrupt makes a null selector 0 (SDM vol. 2, IRET).
static uint16_t shown(uint16_t selector)
{
    return selector < 4 ? 0 : selector;
}

static bool same_selectors(const struct selectors *a, const struct selectors *b)
{
    return shown(a->ds) == shown(b->ds) && shown(a->es) == shown(b->es) && shown(a->gs) == shown(b->gs) &&
           a->ss == b->ss;
}

static void say_selectors(const struct case32 *k, const struct selectors *host, const struct selectors *interp)
{
    printf(" | cs=%x ds=%x es=%x gs=%x ss=%x", k->cs, k->in.ds, k->in.es, k->in.gs, k->in.ss);
    if (!same_selectors(host, interp))
        printf(" host ds=%x es=%x gs=%x ss=%x interp ds=%x es=%x gs=%x ss=%x", host->ds, host->es, host->gs, host->ss,
               interp->ds, interp->es, interp->gs, interp->ss);
}

// Where two accesses of one instruction fault, or the instruction is not one and reaches beyond the limit, too, the
// manual does not say which comes first.
static bool both_fault(const struct case32 *k, const struct outcome *host, const struct outcome *interp)
{
    static const char *const several[] = {"cmps", "popa", "pusha", "enter", "iret", "retf", "lcall"};
    bool cut = k->cs == LDT_SELECTOR(LDT_CODE32_SHORT) && host->vector == VEC_GP && interp->vector == VEC_UD;
    if (host->vector < 0 || interp->vector < 0 || (host->vector == interp->vector && host->cr2 == interp->cr2))
        return false;
    for (unsigned i = 0; i < sizeof several / sizeof *several; i++)
        if (!strcmp(k->t.name, several[i]))
            return true;
    return cut;
}

// Bits 16 to 19 of what lar gives are undefined (SDM vol. 2, LAR).
static void drop_undefined_access(const struct case32 *k, struct outcome *o)
{
    for (unsigned i = 0; !strcmp(k->t.name, "lar") && i < 8; i++)
        o->regs.gpr[i] &= ~0xf0000ull;
}

// A call beyond the segment's limit may have written its return address, below the stack pointer (seen on Sapphire
// Rapids; in the SDM's pseudo-code the check comes first).
static bool refused_call(const struct case32 *k, const struct outcome *host)
{
    return (!strcmp(k->t.name, "call") || !strcmp(k->t.name, "lcall")) && host->vector >= 0;
}

static void run_case(struct subject_guest *s, const uint8_t *pattern, uint64_t seed, uint64_t number,
                     struct totals *totals)
{
    struct case32 k;
    struct outcome host, interp;
    struct selectors host_selectors, interp_selectors;
    uint8_t *host_window = (uint8_t *)(uintptr_t)WINDOW, *interp_window = s->ram.base + WINDOW_GPA;
    totals->cases++;
    make_case(seed, number, &k);
    fill_memory(host_window, pattern, &k.t);
    fill_memory(interp_window, pattern, &k.t);
    subject32_run(s, &k, &interp, &interp_selectors);
    if (may_be_ours(&interp) || interp.cr2 / PAGE == TABLES / PAGE) {
        totals->skipped++;
        return;
    }
    native32_run(&k, &host, &host_selectors);
    drop_undefined_access(&k, &host);
    drop_undefined_access(&k, &interp);
    struct sides_of outcomes = {&k.t, &host, &interp, NULL, NULL};
    struct difference left = settle(&outcomes, &totals->variations);
    bool same_memory = refused_call(&k, &host) || memcmp(host_window, interp_window, WINDOW_RW) == 0;
    totals->faults += host.vector >= 0;
    if (!strcmp(k.t.name, "cmps") && host.vector >= 0) // variations.c, which knows no segments
        left.flags &= ~(uint64_t)FLAGS_ARITH;
    if (both_fault(&k, &host, &interp)) {
        left.fault = false;
        if (!strcmp(k.t.name, "popa")) // registers that were loaded before it
            left.gpr = 0;
        totals->either_fault++;
    }
    if (!any_difference(&left) && same_memory && same_selectors(&host_selectors, &interp_selectors))
        return;
    if (totals->failed++ < SHOWN) {
        printf("# seed %" PRIu64 " case %" PRIu64 " %s:", seed, number, k.t.name);
        say_difference(&sides, &k.t, &host, &interp);
        if (!same_memory)
            say_memory(&sides, host_window, interp_window);
        say_selectors(&k, &host_selectors, &interp_selectors);
        say_inputs(&k.t);
        printf("\n");
    }
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 0) : DEFAULT_COUNT;
    uint64_t first = argc > 3 ? strtoull(argv[3], NULL, 0) : 0;
    static struct subject_guest subject;
    static uint8_t pattern[WINDOW_BYTES];
    struct totals totals = {0};
    for (uint64_t i = 0, rng = 42; i < sizeof pattern; i++)
        pattern[i] = (uint8_t)rng_next(&rng);
    const char *missing = native32_start(pattern + WINDOW_RW);
    if (missing) {
        SKIP(missing);
        return 0;
    }
    if (!CHECK(subject32_start(&subject, pattern + WINDOW_RW)))
        return check_done("interp_cpu32");
    for (uint64_t i = first; i < first + count; i++)
        run_case(&subject, pattern, seed, i, &totals);
    printf("# %" PRIu64 " cases, %" PRIu64 " of them faults, %" PRIu64 " left out, %" PRIu64 " differ\n", totals.cases,
           totals.faults, totals.skipped, totals.failed);
    say_variations(&totals.variations);
    CHECK(totals.either_fault <= totals.cases / 100);
    CHECK(totals.cases == count);
    CHECK(totals.failed == 0);
    CHECK(totals.skipped <= totals.cases / 100);
    CHECK(count < 1000 || totals.faults > 0);
    subject_stop(&subject);
    return check_done("interp_cpu32");
}

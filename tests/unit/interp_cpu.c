// SPDX-License-Identifier: BSD-2-Clause
// The interpreter's integer instructions against the host's CPU: random instructions, alone
// and in short runs, with random inputs run on both,
// and registers, flags, memory and faults must agree but for what the manual leaves undefined.
//
// interp_cpu [SEED [COUNT [FIRST]]]: cases FIRST to FIRST + COUNT of SEED. A case depends on seed and number alone, so
// `interp_cpu SEED 1 N` repeats one.
#include <stdlib.h>

#include "tests/cpu/compare.h"
#include "tests/cpu/native.h"
#include "tests/cpu/sequence.h"
#include "tests/cpu/subject_interp.h"
#include "tests/unit/check.h"

enum { DEFAULT_COUNT = 400000, SHOWN = 20 };

static const struct sides sides = {"host", "interp"};

static void make_case(uint64_t seed, uint64_t number, struct test_case *t)
{
    uint64_t mixed = seed, rng;
    mixed = rng_next(&mixed) + number;
    rng = rng_next(&mixed); // so that one case's numbers are not the next one's shifted by a place
    do
        start_case(&rng, t);
    while (one_in(&rng, 3) ? !make_sequence(&rng, t) : !make_single(&rng, t));
}

struct totals {
    uint64_t cases, faults, skipped, failed;
    struct variation_counts varied;
};

static void run_case(struct subject *s, const uint8_t *pattern, uint64_t seed, uint64_t number, struct totals *totals)
{
    struct test_case t;
    struct outcome host, interp;
    uint8_t *host_window = (uint8_t *)(uintptr_t)WINDOW, *interp_window = s->ram.base + WINDOW_GPA;
    totals->cases++;
    make_case(seed, number, &t);
    fill_memory(host_window, pattern, &t);
    fill_memory(interp_window, pattern, &t);
    subject_run(s, &t, &interp);
    if (may_be_ours(&interp)) {
        totals->skipped++;
        return;
    }
    native_run(&t, &host);
    bool same_memory = memcmp(host_window, interp_window, WINDOW_RW) == 0;
    totals->faults += host.vector >= 0;
    if (same_outcome(&t, &host, &interp, &totals->varied) && same_memory)
        return;
    if (totals->failed++ < SHOWN) {
        printf("# seed %" PRIu64 " case %" PRIu64 " %s:", seed, number, t.name);
        say_difference(&sides, &t, &host, &interp);
        if (!same_memory)
            say_memory(&sides, host_window, interp_window);
        say_inputs(&t);
        printf("\n");
    }
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 0) : DEFAULT_COUNT;
    uint64_t first = argc > 3 ? strtoull(argv[3], NULL, 0) : 0;
    static struct subject subject;
    static uint8_t pattern[WINDOW_BYTES];
    struct totals totals = {0};
    for (uint64_t i = 0, rng = 42; i < sizeof pattern; i++)
        pattern[i] = (uint8_t)rng_next(&rng);
    if (!native_start(pattern + WINDOW_RW)) {
        SKIP("the addresses that the test needs are taken");
        return 0;
    }
    if (!CHECK(subject_start(&subject, pattern + WINDOW_RW)))
        return check_done("interp_cpu");
    for (uint64_t i = first; i < first + count; i++)
        run_case(&subject, pattern, seed, i, &totals);
    printf("# %" PRIu64 " cases, %" PRIu64 " of them faults, %" PRIu64 " left out, %" PRIu64 " differ\n", totals.cases,
           totals.faults, totals.skipped, totals.failed);
    say_variations(&totals.varied);
    CHECK(totals.cases == count);
    CHECK(totals.failed == 0);
    CHECK(totals.skipped <= totals.cases / 100);
    CHECK(count < 1000 || totals.faults > 0);
    subject_stop(&subject);
    return check_done("interp_cpu");
}

// SPDX-License-Identifier: BSD-2-Clause
// The interpreter's 32- and 16-bit code against the host's CPU, in segments of every kind: random instructions run in
// this process, by a far jump to a code segment of that size, and in the interpreter's compatibility mode; registers,
// flags, memory, segment registers and faults must agree.
//
// interp_cpu32 [SEED [COUNT [FIRST]]]: cases FIRST to FIRST + COUNT of SEED, as interp_cpu has them.
#include <stdlib.h>

#include "tests/cpu/judge32.h"
#include "tests/cpu/subject32.h"
#include "tests/unit/check.h"

enum { DEFAULT_COUNT = 200000 };

static void run(void *subject, const struct case32 *k, struct outcome *out, struct selectors *selectors)
{
    subject32_run(subject, k, out, selectors);
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 0) : DEFAULT_COUNT;
    uint64_t first = argc > 3 ? strtoull(argv[3], NULL, 0) : 0;
    static struct subject_guest subject;
    static uint8_t pattern[WINDOW_BYTES];
    static struct judge32 judge = {.name = "interp", .subject = &subject, .run = run, .tables = TABLES};
    const struct totals32 *totals = &judge.totals;
    for (uint64_t i = 0, rng = 42; i < sizeof pattern; i++)
        pattern[i] = (uint8_t)rng_next(&rng);
    const char *missing = native32_start(pattern + WINDOW_RW);
    if (missing) {
        SKIP(missing);
        return 0;
    }
    if (!CHECK(subject32_start(&subject, pattern + WINDOW_RW)))
        return check_done("interp_cpu32");
    judge.window = subject.ram.base + WINDOW_GPA;
    judge.pattern = pattern;
    for (uint64_t i = first; i < first + count; i++)
        run_case32(&judge, seed, i);
    say_totals32(totals);
    CHECK(totals->either_fault <= totals->cases / 100);
    CHECK(totals->cases == count);
    CHECK(totals->failed == 0);
    CHECK(totals->skipped <= totals->cases / 100);
    CHECK(count < 1000 || totals->faults > 0);
    subject_stop(&subject);
    return check_done("interp_cpu32");
}

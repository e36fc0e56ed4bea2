// SPDX-License-Identifier: BSD-2-Clause
// The interpreter's 32- and 16-bit code against the host's CPU, in segments of every kind: random instructions run in
// this process, by a far jump to a code segment of that size, and in the interpreter's compatibility mode; registers,
// flags, memory, segment registers and faults must agree.
//
// interp_cpu32 [SEED [COUNT [FIRST]]]: cases FIRST to FIRST + COUNT of SEED, as interp_cpu has them.
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
    const struct range range = range_from(argc, argv, DEFAULT_COUNT);
    static struct subject_guest subject;
    static uint8_t pattern[WINDOW_BYTES];
    static struct judge32 judge = {.name = "interp", .subject = &subject, .run = run, .tables = TABLES};
    make_pattern(pattern, sizeof pattern);
    const char *missing = native32_start(pattern + WINDOW_RW);
    if (missing) {
        SKIP(missing);
        return 0;
    }
    if (!CHECK(subject32_start(&subject, pattern + WINDOW_RW)))
        return check_done("interp_cpu32");
    judge.window = subject.ram.base + WINDOW_GPA;
    judge.pattern = pattern;
    judge32_range(&judge, &range);
    subject_stop(&subject);
    return check_done("interp_cpu32");
}

// SPDX-License-Identifier: BSD-2-Clause
// Runs cases on a subject and in the judge's process at the same time, and compares.
#ifndef RINGSIDE_TESTS_CPU_TESTER_H
#define RINGSIDE_TESTS_CPU_TESTER_H

#include "machine/cpuid.h"
#include "tests/cpu/cases.h"
#include "tests/cpu/judge.h"
#include "tests/cpu/subject.h"
#include "tests/cpu/variations.h"

enum verdict_kind {
    SAME,
    SECOND_ONLY, // the same, by the subject's own second judge; the host cannot judge the case
    DIFFERENT,
    LEFT_NOT_ANNOUNCED, // the engine refuses an instruction that CPUID does not announce
    LEFT_NO_ROW,        // ... or that no row has: the host can do more
    LEFT_JUDGE_MEMORY,  // an access to where the judge's own memory lies
    LEFT_ASTRAY,        // ran into bytes that are not the case's
    LEFT_ENDED_BADLY,   // the subject says that it cannot be judged
    LEFT_SYSCALL,
    LEFT_DIED,
    LEFT_HUNG,
    VERDICTS
};
extern const char *const verdict_names[VERDICTS];

// Counted in memory that a process which watches the tester can see.
struct totals {
    uint64_t cases, faults, verdict[VERDICTS];
    uint64_t number; // the case that is being run
    uint64_t again;  // cases that did not end in the judge's process, and were run once more
    uint64_t row_cases[MOST_ROWS], row_compared[MOST_ROWS];
    struct variation_counts host_varies, other_varies;
    uint32_t stop; // set from outside: no more batches
};

struct verdict {
    enum verdict_kind kind;
    const char *by; // who disagrees
    struct difference difference;
    struct outcome judge, subject;
    const uint8_t *judge_memory, *subject_memory; // until the next case
};

struct tester {
    const struct subject *subject;
    void *self;
    struct judge judge;
    uint8_t pattern[WINDOW_BYTES];
    struct cpuid_leaf leaves[MACHINE_CPUID_LEAVES];
    struct cpuid_table cpuid; // what guests are told
    struct totals *totals;
};

// False, with one line in err, where something is missing on this host.
bool tester_start(struct tester *t, const struct subject *subject, struct totals *totals, char *err, unsigned err_size);
void tester_stop(struct tester *t);

// One case. Counts in totals->host_varies and other_varies only where `counted`.
struct verdict tester_try(struct tester *t, const struct test_case *c, bool counted);

// What is done with each case that differs, or that the judge's process did not survive (LEFT_DIED, LEFT_HUNG).
typedef void tester_fn(void *ctx, struct tester *t, uint64_t number, const struct test_case *c, enum verdict_kind kind);

// The plan's cases from first to first + count. False where the judge cannot be started any more.
bool tester_run(struct tester *t, const struct case_plan *plan, uint64_t first, uint64_t count, tester_fn *found,
                void *ctx);

// The smallest case that can be made of it that still differs (minimise.c).
void minimise(struct tester *t, struct test_case *c);

// ---- Text (text.c) ----

enum { CASE_TEXT = 4096 };
// One line with all of a case's inputs; the other way round, false where it is none.
void case_print(const struct test_case *c, char out[CASE_TEXT]);
bool case_parse(const char *text, struct test_case *c);
// One line for people: the instructions and what is different.
void verdict_print(const struct verdict *v, const struct test_case *c, const char *subject, char out[CASE_TEXT]);

#endif

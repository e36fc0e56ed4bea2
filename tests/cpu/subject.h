// SPDX-License-Identifier: BSD-2-Clause
// What is judged: an engine that runs cases.
#ifndef RINGSIDE_TESTS_CPU_SUBJECT_H
#define RINGSIDE_TESTS_CPU_SUBJECT_H

#include <string.h>

#include "include/cpuid.h"
#include "tests/cpu/case.h"

struct subject_result {
    struct outcome out;
    const uint8_t *memory; // the window afterwards, until the next case
    // A second judge that the subject has itself, and whose answer must be the same: where there is one.
    const char *by;
    struct outcome other;
    const uint8_t *other_memory;
    bool left_out;      // the case cannot be judged
    bool other_differs; // in what outcomes do not show
    bool host_cannot;   // only that second judge can
};

struct subject {
    const char *name;
    bool translator; // cases with more control flow, and ways to run them
    // Something for run() and stop(), or NULL with the reason in err.
    void *(*start)(const uint8_t *pattern, uint64_t components, char *err, unsigned err_size);
    void (*stop)(void *self);
    void (*run)(void *self, const struct test_case *t, struct subject_result *r);
};

extern const struct subject subject_interp, subject_bt;

static inline void fill_memory(uint8_t *window, const uint8_t *pattern, const struct test_case *t)
{
    memcpy(window, pattern, WINDOW_RW);
    for (unsigned i = 0; i < t->patches; i++)
        memcpy(window + (t->patch[i].at - WINDOW), t->patch[i].bytes, sizeof t->patch[i].bytes);
}

enum { ENDED_BADLY = -2 }; // outcome.vector: neither at the end of the case nor in a handler

#endif

// SPDX-License-Identifier: BSD-2-Clause
// What two processors, or a processor and an engine, may do differently and both be right: a table whose entries each
// say what may differ and when, and where the manual says so or that it does not. All else is compared, and how often
// an entry was needed is counted.
#ifndef RINGSIDE_TESTS_CPU_VARIATIONS_H
#define RINGSIDE_TESTS_CPU_VARIATIONS_H

#include "tests/cpu/case.h"

struct difference {
    uint64_t flags; // the bits that differ
    uint32_t mxcsr;
    uint16_t gpr, ymm; // one bit a register
    uint16_t fcw, fsw;
    uint8_t ftw, st;
    bool rip;
    bool fault; // vector, error code or address
    bool memory;
};

struct sides_of { // one case, as both sides did it
    const struct test_case *t;
    const struct outcome *judge, *subject;
    const uint8_t *judge_memory, *subject_memory; // the window; NULL: compared elsewhere
};

bool same_difference(const struct difference *a, const struct difference *b);
bool any_difference(const struct difference *d);
bool memory_unseen(const struct test_case *t, uint64_t at); // left out of all comparisons

// Whether an x87 store that raised this page fault may have written va: a part of its operand before the page.
bool split_store_reached(const struct test_case *t, const struct outcome *fault, uint64_t va);

struct variation {
    const char *name;
    void (*settle)(const struct sides_of *s, struct difference *d); // takes out of d what both may do
    const char *what, *where;                                       // what differs, and where the manual says so
};

enum { VARIATIONS = 16 };
extern const struct variation variations[VARIATIONS];

struct variation_counts {
    uint64_t used[VARIATIONS];
};

// What is left of the difference of two outcomes when all that may vary is taken out; counts what was needed for that.
struct difference settle(const struct sides_of *s, struct variation_counts *counts);
void say_variations(const struct variation_counts *counts);

#endif

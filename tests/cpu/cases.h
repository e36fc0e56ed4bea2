// SPDX-License-Identifier: BSD-2-Clause
// Cases by number: a case depends on the plan and its number alone.
#ifndef RINGSIDE_TESTS_CPU_CASES_H
#define RINGSIDE_TESTS_CPU_CASES_H

#include "tests/cpu/case.h"
#include "tests/cpu/rows.h"

struct case_plan {
    uint64_t seed;
    bool translator;          // more control flow, and ways to run it (enum way_bits)
    uint16_t only[MOST_ROWS]; // rows and kinds (rows.h) that cases are made of; none: all
    unsigned only_count;
};

// Only rows and kinds of that name or label. False where this host has none, or the plan has no use for it.
bool case_plan_only(struct case_plan *plan, const char *name);
void make_case(const struct case_plan *plan, uint64_t number, struct test_case *t);

// Whether the instruction of the case at rip is of a row that a guest with this CPUID may expect to have. Engines may
// refuse all others. Integer rows are always expected.
bool case_announced(const struct test_case *t, uint64_t rip, const struct cpuid_table *table);

// Whether an instruction of the case may use vector registers.
bool case_of_vectors(const struct test_case *t);

// The instruction that the bytes begin with, by the engines' decoder; length 0: they hold no whole valid one.
struct insn_kind {
    unsigned length;
    unsigned id; // X86_INS_*
};
struct insn_kind insn_kind(const uint8_t *bytes, unsigned n);

// Whether a memory operand of the case's only instruction lies in its own page, which holds other bytes for each side.
bool case_meets_code(const struct test_case *t);

// A case by itself, for looking at encodings: false where the row makes none this time.
bool make_of_row(uint64_t *rng, unsigned row, struct test_case *t);

#endif

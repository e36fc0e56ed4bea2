// SPDX-License-Identifier: BSD-2-Clause
// The differential test's world: one instruction, its inputs, and what came out of it. Host and interpreter see the
// same addresses: a window of memory with its edges, and the instruction's page.
#ifndef RINGSIDE_TESTS_CPU_CASE_H
#define RINGSIDE_TESTS_CPU_CASE_H

#include <stdbool.h>
#include <stdint.h>

#include "include/vcpu_state.h"
#include "x86/regs.h"

#define PAGE 4096u
#define WINDOW 0x10010000ull // two pages to read and write, one to read; nothing before and behind
#define WINDOW_RW (2 * PAGE)
#define WINDOW_BYTES (3 * PAGE)
#define CODE 0x10020000ull
#define INSN_AT (CODE + 16)
#define EXIT_AT (CODE + 1024)
#define GS_BASE 0x2468ull

struct regs {
    uint64_t gpr[16];
    uint64_t flags;
};

struct outcome {
    struct regs regs;
    uint64_t rip;
    int vector; // exception, or -1
    uint64_t error;
    uint64_t cr2; // page faults only
};

struct patch { // what memory holds besides the pattern
    uint64_t at;
    uint8_t bytes[16];
};

enum { MAX_INSNS = 20, MAX_PATCHES = 16 };

struct test_case {
    uint8_t bytes[MAX_INSNS * 16];
    unsigned length;
    unsigned insns;
    uint8_t start[MAX_INSNS];
    const char *name;
    struct regs in;
    struct patch patch[MAX_PATCHES];
    unsigned patches;
    uint64_t undefined; // flags not to be compared
    bool cold;          // the interpreter starts with an empty TLB
};

// A small generator that any seed leads to any case again (splitmix64).
static inline uint64_t rng_next(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}
static inline uint64_t rng_below(uint64_t *state, uint64_t n)
{
    return rng_next(state) % n;
}
static inline bool one_in(uint64_t *state, unsigned n)
{
    return rng_below(state, n) == 0;
}

#endif

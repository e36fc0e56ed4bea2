// SPDX-License-Identifier: BSD-2-Clause
// The differential test's world: a few instructions, their inputs, and what came out of them. Judge and engine see the
// same addresses: a window of memory with its edges, and the instructions' page.
#ifndef RINGSIDE_TESTS_CPU_CASE_H
#define RINGSIDE_TESTS_CPU_CASE_H

#include <stdbool.h>
#include <stdint.h>

#include "include/vcpu_state.h"
#include "tests/cpu/fpu.h"
#include "x86/regs.h"

#define PAGE 4096u
#define WINDOW 0x10010000ull // two pages to read and write, one to read; nothing before and behind
#define WINDOW_RW (2 * PAGE)
#define WINDOW_BYTES (3 * PAGE)
#define CODE 0x10020000ull
#define INSN_AT (CODE + 16)
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
    uint64_t cr2;   // page faults only
    struct fpu fpu; // where the case has vector state
};

struct patch { // what memory holds besides the pattern
    uint64_t at;
    uint8_t bytes[16];
};

enum { MAX_INSNS = 20, MAX_PATCHES = 16, MAX_BYTES = MAX_INSNS * 16 };
// The code page is 0 but for the case from INSN_AT, a side's own way out behind it, and nops up to this many bytes.
enum { CODE_BYTES = MAX_BYTES + 16, CODE_FILLER = 0x90 };

// How an engine runs a case, in bits; what an engine has no use for it ignores.
enum { WAY_USER = 2 }; // the value of WAY_WORLD
enum way_bits {
    WAY_COLD = 1,         // with an empty TLB, nothing mapped
    WAY_WORLD = 6,        // bt: the fast, the checked, the user's and the entry world; a number from 0 to 3
    WAY_DEVICE = 8,       // the window is a device: guilty instructions
    WAY_TRACED = 0x10,    // the window's pages hold translated code
    WAY_POLL = 0x20,      // the first poll leaves
    WAY_STEP = 0x40,      // TF: each instruction on its own
    WAY_INTERRUPT = 0x80, // one waits until IF allows
    WAY_NO_CHAINING = 0x100,
    WAY_NO_ELISION = 0x200,
    WAY_NO_ADAPT = 0x400,
    WAY_TU = 0x1800,       // most instructions of a TU, 0: any number
    WAY_EMULATE = 0x6000,  // enum bt_emulate
    WAY_RETURNS = 0x18000, // enum bt_returns
};
static inline unsigned way_field(uint32_t way, uint32_t mask)
{
    return (way & mask) / (mask & (0 - mask));
}
static inline uint32_t way_make(uint32_t mask, uint64_t value)
{
    return (uint32_t)(value * (mask & (0 - mask))) & mask;
}

struct test_case {
    uint8_t bytes[MAX_BYTES];
    unsigned length;
    unsigned insns;
    uint8_t start[MAX_INSNS];
    const char *name; // of the row, or of the kind
    int row;          // what the case counts for (rows.h)
    struct regs in;
    bool vector; // the x87, SSE and AVX registers are loaded and compared
    struct fpu fpu;
    struct patch patch[MAX_PATCHES];
    unsigned patches;
    uint64_t undefined;     // flags not to be compared
    uint16_t undefined_fsw; // bits of the x87 status word, likewise
    struct {                // memory that is not compared either
        uint64_t at;
        unsigned bytes;
    } unseen[2];
    bool privileged; // only an engine can judge it
    uint32_t way;
    uint8_t mode; // enum x86_mode
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
// What lies in the window before a case: bytes at random, the same ones in every run.
static inline void make_pattern(uint8_t *at, unsigned bytes)
{
    uint64_t rng = 42;
    for (unsigned i = 0; i < bytes; i++)
        at[i] = (uint8_t)rng_next(&rng);
}

#endif

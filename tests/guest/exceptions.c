// SPDX-License-Identifier: BSD-2-Clause
// Exceptions at CPL 0 without tricks: vector, error code, and rip at the instruction for faults, behind it for traps
// (SDM vol. 3, 6.15).
#include "tests/guest/access.h"

IMAGE("exceptions");

// A bare instruction between two labels, to compare the pushed rip with.
#define INSTRUCTION(name, text)                                                                                        \
    extern const char name##_at[], name##_after[];                                                                     \
    static void __attribute__((noinline)) name(void *arg)                                                              \
    {                                                                                                                  \
        __asm__ volatile(".globl " #name "_at, " #name "_after\n" #name "_at: " text "\n" #name "_after:"              \
                         :                                                                                             \
                         : "D"(arg), "a"(0), "c"(0), "d"(0)                                                            \
                         : "memory", "cc");                                                                            \
    }
INSTRUCTION(undefined, "ud2");
INSTRUCTION(undefined_cr1, ".byte 0x0f, 0x20, 0xc8");
INSTRUCTION(breakpoint, "int3");
INSTRUCTION(divide, "divb %%cl");
INSTRUCTION(general, "movq (%%rdi), %%rax");
INSTRUCTION(page, "movq (%%rdi), %%rax");

struct expected {
    const char *name;
    void (*fn)(void *);
    const char *rip;
    int vector;
    uint64_t error;
    uint64_t arg;
};

#define ROW(fn, vector, error, arg)                                                                                    \
    {                                                                                                                  \
#fn, fn, fn##_at, vector, error, arg                                                                           \
    }

int image_main(void)
{
    const struct expected rows[] = {
        ROW(undefined, VEC_UD, 0, 0),  ROW(undefined_cr1, VEC_UD, 0, 0),
        ROW(divide, VEC_DE, 0, 0),     ROW(general, VEC_GP, 0, 0x8000000000000000),
        ROW(page, VEC_PF, 0, TEST_VA), {"breakpoint", breakpoint, breakpoint_after, VEC_BP, 0, 0},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct expected *row = &rows[i];
        struct caught c = catch_fault(row->fn, (void *)row->arg);
        bool ok = c.vector == row->vector && c.error == row->error && c.rip == (uint64_t)row->rip;
        if (!ok)
            print("%s: vector %d error %lx rip %lx\n", row->name, c.vector, c.error, c.rip - (uint64_t)row->rip);
        check_record(ok, row->name, c.vector, row->vector);
    }
    return 0;
}

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
INSTRUCTION(undefined_ud0, "ud0 (%%rdi), %%eax");
INSTRUCTION(undefined_push_es, ".byte 0x06"); // gone in 64-bit mode
INSTRUCTION(undefined_into, ".byte 0xce");
INSTRUCTION(undefined_daa, ".byte 0x27");
INSTRUCTION(undefined_aam, ".byte 0xd4, 0x0a");
INSTRUCTION(undefined_salc, ".byte 0xd6");
INSTRUCTION(undefined_far_jump, ".byte 0xea, 0, 0, 0, 0, 0x10, 0");
INSTRUCTION(undefined_lea_register, ".byte 0x8d, 0xc0");
INSTRUCTION(undefined_mov_cs, "movl %%eax, %%ds; .byte 0x8e, 0xc8");
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
        ROW(undefined, VEC_UD, 0, 0),
        ROW(undefined_ud0, VEC_UD, 0, 0),
        ROW(undefined_push_es, VEC_UD, 0, 0),
        ROW(undefined_into, VEC_UD, 0, 0),
        ROW(undefined_daa, VEC_UD, 0, 0),
        ROW(undefined_aam, VEC_UD, 0, 0),
        ROW(undefined_salc, VEC_UD, 0, 0),
        ROW(undefined_far_jump, VEC_UD, 0, 0),
        ROW(undefined_lea_register, VEC_UD, 0, 0),
        ROW(undefined_cr1, VEC_UD, 0, 0),
        ROW(divide, VEC_DE, 0, 0),
        ROW(general, VEC_GP, 0, 0x8000000000000000),
        ROW(page, VEC_PF, 0, TEST_VA),
        {"breakpoint", breakpoint, breakpoint_after, VEC_BP, 0, 0},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct expected *row = &rows[i];
        struct caught c = catch_fault(row->fn, (void *)row->arg);
        bool ok = c.vector == row->vector && c.error == row->error && c.rip == (uint64_t)row->rip;
        if (!ok)
            print("%s: vector %d error %lx rip %lx\n", row->name, c.vector, c.error, c.rip - (uint64_t)row->rip);
        check_record(ok, row->name, c.vector, row->vector);
    }
    // mov to cs is #UD, too; the mov before it has run.
    CHECK_EQ(catch_fault(undefined_mov_cs, NULL).vector, VEC_UD);
    return 0;
}

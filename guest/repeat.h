// SPDX-License-Identifier: BSD-2-Clause
// The loop of every nano benchmark, for images and native programs alike: a subject in assembly, n times.
//
// Sixteen copies of the subject to one `sub; jnz` keep the loop from hiding in, or adding to, a subject of a few
// cycles. What is left of the loop is taken out by an empty loop of the same shape, which the framework times in each
// repetition (e1, e2 in guest_abi.h). The `idle` image runs an empty subject through all of that, so it reads 0 exactly
// if the method adds nothing of its own.
#ifndef RINGSIDE_GUEST_REPEAT_H
#define RINGSIDE_GUEST_REPEAT_H

#include <stdint.h>

// Usage: __asm__ volatile(REPEAT_ASM("...") : [left] "+r"(n) : inputs : clobbers). [left] counts down from n to 0; the
// n % 16 odd ones come first. In the subject, \\i is this copy's number from 1 up, so that left - \\i runs through the
// numbers n-1 to 0, once each: -8*\\i(base, %[left], 8) is entry n-1 to 0 of an array.
#define REPEAT_ASM(subject)                                                                                            \
    ".p2align 5\n"                                                                                                     \
    "901: testq $15, %[left]\n"                                                                                        \
    "jz 902f\n"                                                                                                        \
    ".irp i, 1\n" subject "\n.endr\n"                                                                                  \
    "subq $1, %[left]\n"                                                                                               \
    "jmp 901b\n"                                                                                                       \
    "902: testq %[left], %[left]\n"                                                                                    \
    "jz 904f\n"                                                                                                        \
    ".p2align 5\n"                                                                                                     \
    "903:\n"                                                                                                           \
    ".irp i, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16\n" subject "\n.endr\n"                              \
    "subq $16, %[left]\n"                                                                                              \
    "jnz 903b\n"                                                                                                       \
    "904:\n"

// A bench_fn with no subject; attributes: the section it shall be in.
#define REPEAT_DEFINE_EMPTY(function, attributes)                                                                      \
    attributes static void function(uint64_t n, void *ctx)                                                             \
    {                                                                                                                  \
        (void)ctx;                                                                                                     \
        __asm__ volatile(REPEAT_ASM("") : [left] "+r"(n) : : "cc");                                                    \
    }

#endif

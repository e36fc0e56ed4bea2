// SPDX-License-Identifier: BSD-2-Clause
// For benchmarks that say `vectors: yes`: they are compiled with SSE2, which all the rest of an image does without.
// What runs where CPUID may have none is scalar.
#ifndef RINGSIDE_BENCH_MICRO_VECTORS_H
#define RINGSIDE_BENCH_MICRO_VECTORS_H

#include <stdbool.h>
#include <stdint.h>

#define SCALAR_CODE __attribute__((target("general-regs-only")))
#define VECTOR_CODE USER_CODE
#define INLINE inline __attribute__((always_inline)) // code is where who calls it is

SCALAR_CODE static inline bool has_vectors(void)
{
    const uint32_t sse2 = 1u << 26;
    uint32_t a = 1, b, c = 0, d;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return d & sse2;
}

SCALAR_CODE static inline void skip_vectors(void)
{
#ifdef NATIVE
    printf("rs1 skip name=%s why=CPUID has no SSE2\n", image_name);
#else
    skip("CPUID has no SSE2");
#endif
}

#endif

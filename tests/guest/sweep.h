// SPDX-License-Identifier: BSD-2-Clause
// For tests that go through many operand values: one check per instruction, the first mismatch in words, and boundary
// values worth trying. A width is 8, 16, 32 or 64 bits throughout.
#ifndef RINGSIDE_TESTS_GUEST_SWEEP_H
#define RINGSIDE_TESTS_GUEST_SWEEP_H

#include "guest/lib.h"

static const uint64_t boundary[] = {0,
                                    1,
                                    0xf,
                                    0x10,
                                    0x7f,
                                    0x80,
                                    0xff,
                                    0x7fff,
                                    0x8000,
                                    0xffff,
                                    0x7fffffff,
                                    0x80000000,
                                    0xffffffff,
                                    0x7fffffffffffffff,
                                    0x8000000000000000,
                                    0xffffffffffffffff};
#define BOUNDARIES (sizeof boundary / sizeof *boundary)

struct result {
    uint64_t value, flags;
};

static inline uint64_t width_mask(unsigned width)
{
    return ~0ull >> (64 - width);
}

// What a write of a width-bit result to a register leaves there: 32 bits clear the upper half, 8 and 16 keep the rest
// (SDM vol. 1, 3.4.1.1).
static inline uint64_t register_after(uint64_t before, uint64_t result, unsigned width)
{
    uint64_t mask = width_mask(width);
    return width == 32 ? result & mask : (before & ~mask) | (result & mask);
}

// SF, ZF and PF of a result.
static inline uint64_t result_flags(uint64_t result, unsigned width)
{
    result &= width_mask(width);
    uint64_t flags = result ? 0 : FLAG_ZF;
    if (result >> (width - 1))
        flags |= FLAG_SF;
    if (!__builtin_parity((unsigned)(result & 0xff)))
        flags |= FLAG_PF;
    return flags;
}

// One comparison of a sweep; flags only as far as `defined` says. Prints the first mismatch of each sweep.
static inline void sweep_compare(unsigned *bad, const char *what, uint64_t a, uint64_t b, struct result got,
                                 struct result want, uint64_t defined)
{
    if (got.value == want.value && !((got.flags ^ want.flags) & defined))
        return;
    if (!(*bad)++)
        print("%s a=%lx b=%lx: got %lx flags %lx, want %lx flags %lx\n", what, a, b, got.value, got.flags & defined,
              want.value, want.flags & defined);
}

#endif

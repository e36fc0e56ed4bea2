// SPDX-License-Identifier: BSD-2-Clause
// cmpxchg16b: both outcomes, no flag but ZF changes, and the operand must be aligned (SDM vol. 2,
// CMPXCHG8B/CMPXCHG16B).
#include "guest/lib.h"
#include "tests/guest/feature.h"

IMAGE("cmpxchg16b");

static void misaligned(void *arg)
{
    __asm__ volatile("cmpxchg16b (%0)" : : "r"(arg) : "rax", "rbx", "rcx", "rdx", "memory");
}

int image_main(void)
{
    if (!HAS_CX16) {
        skip("no cmpxchg16b");
        return 0;
    }
    volatile uint64_t memory[4] __attribute__((aligned(16))) = {5, 6, 7, 8};
    uint64_t low = 5, high = 6, flags;
    __asm__ volatile("cmpxchg16b (%4)" : "+a"(low), "+d"(high) : "b"(9ull), "c"(10ull), "r"(memory) : "cc", "memory");
    CHECK(memory[0] == 9 && memory[1] == 10 && low == 5 && high == 6);
    // Only ZF changes.
    __asm__ volatile("pushq $0x8d7; popfq; lock cmpxchg16b (%5); pushfq; popq %2"
                     : "+a"(low), "+d"(high), "=&r"(flags)
                     : "b"(1ull), "c"(2ull), "r"(memory)
                     : "cc", "memory");
    CHECK_EQ(flags & FLAGS_ARITH, 0x8d5 & ~(uint64_t)FLAG_ZF);
    CHECK(memory[0] == 9 && memory[1] == 10 && low == 9 && high == 10);
    CHECK_EQ(catch_fault(misaligned, (void *)&memory[1]).vector, VEC_GP);
    return 0;
}

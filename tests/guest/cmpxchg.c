// SPDX-License-Identifier: BSD-2-Clause
// cmpxchg, cmpxchg8b, cmpxchg16b, xadd and xchg, plain and locked; lock where it must not stand is #UD; cmpxchg16b
// wants its operand aligned (SDM vol. 2, CMPXCHG, CMPXCHG8B/CMPXCHG16B, XADD, XCHG, LOCK).
#include "guest/lib.h"
#include "tests/guest/judge.h"

IMAGE("cmpxchg");

// Both outcomes of `op new, memory` at one width. Each type's own value is in the low bits of these constants.
#define BOTH_OUTCOMES(op, type, suffix, modifier)                                                                      \
    do {                                                                                                               \
        type memory_ = (type)0x1122334455667788, old_ = memory_;                                                       \
        bool zf_;                                                                                                      \
        __asm__ volatile(op suffix " %" modifier "3, %0"                                                               \
                         : "+m"(memory_), "+a"(old_), "=@ccz"(zf_)                                                     \
                         : "r"((type)0x99aabbccddeeff00));                                                             \
        CHECK(zf_ &&memory_ == (type)0x99aabbccddeeff00 && old_ == (type)0x1122334455667788);                          \
        __asm__ volatile(op suffix " %" modifier "3, %0" : "+m"(memory_), "+a"(old_), "=@ccz"(zf_) : "r"((type)0));    \
        CHECK(!zf_ && memory_ == (type)0x99aabbccddeeff00 && old_ == memory_);                                         \
    } while (0)

static void single(void)
{
    BOTH_OUTCOMES("cmpxchg", uint8_t, "b", "b");
    BOTH_OUTCOMES("cmpxchg", uint16_t, "w", "w");
    BOTH_OUTCOMES("cmpxchg", uint32_t, "l", "k");
    BOTH_OUTCOMES("cmpxchg", uint64_t, "q", "q");
    BOTH_OUTCOMES("lock; cmpxchg", uint8_t, "b", "b");
    BOTH_OUTCOMES("lock; cmpxchg", uint16_t, "w", "w");
    BOTH_OUTCOMES("lock; cmpxchg", uint32_t, "l", "k");
    BOTH_OUTCOMES("lock; cmpxchg", uint64_t, "q", "q");
    // The flags are those of cmp rax, memory: 1 - 2 borrows.
    uint64_t memory = 2, accumulator = 1, flags;
    __asm__ volatile("cmpxchgq %3, %0; pushfq; popq %2" : "+m"(memory), "+a"(accumulator), "=&r"(flags) : "r"(7ull));
    CHECK_EQ(flags & FLAGS_ARITH, FLAG_CF | FLAG_SF | FLAG_AF | FLAG_PF);
    CHECK_EQ(accumulator, 2);
    uint64_t destination = 5;
    accumulator = 5;
    __asm__ volatile("cmpxchgq %2, %0" : "+r"(destination), "+a"(accumulator) : "r"(9ull) : "cc");
    CHECK(destination == 9 && accumulator == 5);
}

static void eight_bytes(void)
{
    uint64_t memory = 0x1122334455667788;
    uint32_t low = 0x55667788, high = 0x11223344;
    bool zf;
    __asm__ volatile("cmpxchg8b %0" : "+m"(memory), "+a"(low), "+d"(high), "=@ccz"(zf) : "b"(1), "c"(2));
    CHECK(zf && memory == 0x200000001);
    __asm__ volatile("lock cmpxchg8b %0" : "+m"(memory), "+a"(low), "+d"(high), "=@ccz"(zf) : "b"(3), "c"(4));
    CHECK(!zf && memory == 0x200000001 && low == 1 && high == 2);
}

static void exchange(void)
{
    uint64_t memory = 0x1122334455667788, r = ~0ull, flags;
    __asm__ volatile("xchgl %k1, %0" : "+m"(memory), "+r"(r));
    CHECK(memory == 0x11223344ffffffff && r == 0x55667788);
    __asm__ volatile("xchgb %b1, %0" : "+m"(memory), "+q"(r));
    CHECK(memory == 0x11223344ffffff88 && r == 0x556677ff);
    __asm__ volatile("lock xaddq %1, %0; pushfq; popq %2" : "+m"(memory), "+r"(r), "=&r"(flags) : : "cc");
    CHECK(memory == 0x1122334555667787 && r == 0x11223344ffffff88);
    CHECK_EQ(flags & (FLAG_CF | FLAG_ZF | FLAG_SF | FLAG_OF | FLAG_AF), FLAG_AF);
    __asm__ volatile("xaddw %w1, %0" : "+m"(memory), "+r"(r) : : "cc");
    CHECK(memory == 0x112233455566770f && r == 0x11223344ffff7787);
    r = 3;
    __asm__ volatile("xaddq %0, %0" : "+r"(r) : : "cc"); // the sum wins
    CHECK_EQ(r, 6);
    uint64_t a = 0x1234;
    __asm__ volatile("xchgb %%ah, %%al" : "+a"(a));
    CHECK_EQ(a, 0x3412);
}

#define BAD_LOCK(name, bytes)                                                                                          \
    static void name(void *arg)                                                                                        \
    {                                                                                                                  \
        __asm__ volatile(".byte " bytes : : "D"(arg) : "rax", "rbx", "rcx", "memory", "cc");                           \
    }
BAD_LOCK(lock_mov, "0xf0, 0x48, 0x89, 0x07");          // lock mov %rax, (%rdi)
BAD_LOCK(lock_add_register, "0xf0, 0x48, 0x01, 0xc3"); // lock add %rax, %rbx
BAD_LOCK(lock_cmp, "0xf0, 0x48, 0x39, 0x07");          // lock cmp %rax, (%rdi)
BAD_LOCK(lock_load, "0xf0, 0x48, 0x03, 0x07");         // lock add (%rdi), %rax
BAD_LOCK(lock_bt, "0xf0, 0x48, 0x0f, 0xa3, 0x07");     // lock bt %rax, (%rdi)
BAD_LOCK(lock_nop, "0xf0, 0x90");

static void bad_locks(void)
{
    uint64_t memory = 0;
    // SDM vol. 2, LOCK: only the listed instructions with a memory destination. QEMU lets mov and bt pass.
    CHECK_EQ_NOT_QEMU(catch_fault(lock_mov, &memory).vector, VEC_UD);
    CHECK_EQ(catch_fault(lock_add_register, &memory).vector, VEC_UD);
    CHECK_EQ(catch_fault(lock_cmp, &memory).vector, VEC_UD);
    CHECK_EQ(catch_fault(lock_load, &memory).vector, VEC_UD);
    CHECK_EQ_NOT_QEMU(catch_fault(lock_bt, &memory).vector, VEC_UD);
    CHECK_EQ(catch_fault(lock_nop, &memory).vector, VEC_UD);
}

int image_main(void)
{
    single();
    eight_bytes();
    exchange();
    bad_locks();
    return 0;
}

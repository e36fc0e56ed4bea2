// SPDX-License-Identifier: BSD-2-Clause
// Memory-mapped I/O by all kinds of instructions: moves, arithmetic to and from it, exchanges, tests, bit tests, pushes
// of it. The initial count of the local APIC's timer, whose interrupt is masked, serves as the memory behind it. (Not
// the task priority: under SVM, KVM keeps four bits of it.)
#include "tests/guest/pc.h"

IMAGE("pmmio");

#define COUNT (LAPIC + LAPIC_TIMER_INITIAL)

static uint32_t count(void)
{
    return lapic_read(LAPIC_TIMER_INITIAL);
}

static void moves(void)
{
    uint64_t r = ~0ull;
    __asm__ volatile("movl $0x30, (%0)" : : "r"(COUNT) : "memory");
    CHECK_EQ(count(), 0x30);
    __asm__ volatile("movl %k1, (%0); movl (%0), %k1" : : "r"(COUNT), "r"(0x40) : "memory");
    CHECK_EQ(count(), 0x40);
    __asm__ volatile("movl (%1), %k0" : "=r"(r) : "r"(COUNT) : "memory");
    CHECK_EQ(r, 0x40);
    __asm__ volatile("movslq (%1), %0" : "=r"(r) : "r"(COUNT) : "memory");
    CHECK_EQ(r, 0x40);
    uint32_t word = 0;
    void *to = &word;
    const void *from = (const void *)COUNT;
    __asm__ volatile("movsl" : "+D"(to), "+S"(from) : : "memory");
    CHECK_EQ(word, 0x40);
    word = 0x50, from = &word, to = (void *)COUNT;
    __asm__ volatile("movsl" : "+D"(to), "+S"(from) : : "memory");
    CHECK_EQ(count(), 0x50);
    to = (void *)COUNT;
    __asm__ volatile("stosl" : "+D"(to) : "a"(0x60) : "memory");
    CHECK_EQ(count(), 0x60);
}

static void arithmetic(void)
{
    uint32_t r = 1;
    bool flag;
    lapic_write(LAPIC_TIMER_INITIAL, 0x10);
    __asm__ volatile("addl $0x20, (%0)" : : "r"(COUNT) : "memory", "cc");
    CHECK_EQ(count(), 0x30);
    __asm__ volatile("orl %1, (%0)" : : "r"(COUNT), "r"(0x40) : "memory", "cc");
    CHECK_EQ(count(), 0x70);
    __asm__ volatile("andl $0x50, (%0)" : : "r"(COUNT) : "memory", "cc");
    CHECK_EQ(count(), 0x50);
    __asm__ volatile("subl (%1), %0" : "+r"(r) : "r"(COUNT) : "memory", "cc");
    CHECK_EQ(r, (uint32_t)(1 - 0x50));
    __asm__ volatile("incl (%0); incl (%0); decl (%0)" : : "r"(COUNT) : "memory", "cc");
    CHECK_EQ(count(), 0x51);
    __asm__ volatile("cmpl $0x51, (%1)" : "=@ccz"(flag) : "r"(COUNT) : "memory");
    CHECK(flag);
    __asm__ volatile("testl $0x40, (%1)" : "=@ccnz"(flag) : "r"(COUNT) : "memory");
    CHECK(flag);
    r = 0x70;
    __asm__ volatile("xchgl %0, (%1)" : "+r"(r) : "r"(COUNT) : "memory");
    CHECK(r == 0x51 && count() == 0x70);
    __asm__ volatile("btrl $5, (%1)" : "=@ccc"(flag) : "r"(COUNT) : "memory");
    CHECK(flag && count() == 0x50);
    __asm__ volatile("shll $1, (%0); shrl $2, (%0)" : : "r"(COUNT) : "memory", "cc");
    CHECK_EQ(count(), 0x28);
    lapic_write(LAPIC_TIMER_INITIAL, 0);
}

int image_main(void)
{
    lapic_enable(0xff);
    moves();
    arithmetic();
    return 0;
}

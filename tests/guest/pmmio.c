// SPDX-License-Identifier: BSD-2-Clause
// Memory-mapped I/O by all kinds of instructions: moves, arithmetic to and from it, exchanges, tests, bit tests, pushes
// of it. The local APIC's task priority register serves as the memory behind it: 32 bits wide, eight of them kept.
#include "tests/guest/pc.h"

IMAGE("pmmio");

#define TPR (LAPIC + LAPIC_TPR)

static uint32_t tpr(void)
{
    return lapic_read(LAPIC_TPR);
}

static void moves(void)
{
    uint64_t r = ~0ull;
    __asm__ volatile("movl $0x30, (%0)" : : "r"(TPR) : "memory");
    CHECK_EQ(tpr(), 0x30);
    __asm__ volatile("movl %k1, (%0); movl (%0), %k1" : : "r"(TPR), "r"(0x40) : "memory");
    CHECK_EQ(tpr(), 0x40);
    __asm__ volatile("movl (%1), %k0" : "=r"(r) : "r"(TPR) : "memory");
    CHECK_EQ(r, 0x40);
    __asm__ volatile("movslq (%1), %0" : "=r"(r) : "r"(TPR) : "memory");
    CHECK_EQ(r, 0x40);
    uint32_t word = 0;
    void *to = &word;
    const void *from = (const void *)TPR;
    __asm__ volatile("movsl" : "+D"(to), "+S"(from) : : "memory");
    CHECK_EQ(word, 0x40);
    word = 0x50, from = &word, to = (void *)TPR;
    __asm__ volatile("movsl" : "+D"(to), "+S"(from) : : "memory");
    CHECK_EQ(tpr(), 0x50);
    to = (void *)TPR;
    __asm__ volatile("stosl" : "+D"(to) : "a"(0x60) : "memory");
    CHECK_EQ(tpr(), 0x60);
}

static void arithmetic(void)
{
    uint32_t r = 1;
    bool flag;
    lapic_write(LAPIC_TPR, 0x10);
    __asm__ volatile("addl $0x20, (%0)" : : "r"(TPR) : "memory", "cc");
    CHECK_EQ(tpr(), 0x30);
    __asm__ volatile("orl %1, (%0)" : : "r"(TPR), "r"(0x40) : "memory", "cc");
    CHECK_EQ(tpr(), 0x70);
    __asm__ volatile("andl $0x50, (%0)" : : "r"(TPR) : "memory", "cc");
    CHECK_EQ(tpr(), 0x50);
    __asm__ volatile("subl (%1), %0" : "+r"(r) : "r"(TPR) : "memory", "cc");
    CHECK_EQ(r, (uint32_t)(1 - 0x50));
    __asm__ volatile("incl (%0); incl (%0); decl (%0)" : : "r"(TPR) : "memory", "cc");
    CHECK_EQ(tpr(), 0x51);
    __asm__ volatile("cmpl $0x51, (%1)" : "=@ccz"(flag) : "r"(TPR) : "memory");
    CHECK(flag);
    __asm__ volatile("testl $0x40, (%1)" : "=@ccnz"(flag) : "r"(TPR) : "memory");
    CHECK(flag);
    r = 0x70;
    __asm__ volatile("xchgl %0, (%1)" : "+r"(r) : "r"(TPR) : "memory");
    CHECK(r == 0x51 && tpr() == 0x70);
    __asm__ volatile("btrl $5, (%1)" : "=@ccc"(flag) : "r"(TPR) : "memory");
    CHECK(flag && tpr() == 0x50);
    __asm__ volatile("shll $1, (%0); shrl $2, (%0)" : : "r"(TPR) : "memory", "cc");
    CHECK_EQ(tpr(), 0x28);
    lapic_write(LAPIC_TPR, 0);
}

int image_main(void)
{
    lapic_enable(0xff);
    moves();
    arithmetic();
    return 0;
}

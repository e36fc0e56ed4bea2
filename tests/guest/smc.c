// SPDX-License-Identifier: BSD-2-Clause
// Code that changes: from outside, from its own page, by an alias of the page, by a string instruction, by a store that
// begins in the page before, each time after it has run in its old form (SDM vol. 3, 8.1.3).
#include "tests/guest/access.h"

IMAGE("smc");

// Two neighbouring executable and writable pages.
#define CODE TEST_VA
static uint8_t *frames[2]; // the same memory, by the library's mapping

// movl $value, %eax; ret
static void put_return(volatile uint8_t *at, uint32_t value)
{
    at[0] = 0xb8;
    at[1] = (uint8_t)value, at[2] = (uint8_t)(value >> 8), at[3] = (uint8_t)(value >> 16),
    at[4] = (uint8_t)(value >> 24);
    at[5] = RET_INSTRUCTION;
}

static uint32_t call(uint64_t at)
{
    uint32_t r;
    __asm__ volatile("call *%1" : "=a"(r) : "r"(at) : "rcx", "rdx", "rsi", "rdi", "memory", "cc");
    return r;
}

static void from_outside(void)
{
    unsigned bad = 0;
    for (uint32_t i = 0; i < 50; i++) {
        put_return((uint8_t *)CODE, i);
        bad += call(CODE) != i;
    }
    CHECK_EQ(bad, 0);
    *(volatile uint8_t *)(CODE + 1) = 200; // a part of the instruction
    CHECK_EQ(call(CODE), 200);
    *(volatile uint64_t *)CODE = 0xc3c031; // another instruction: xorl %eax, %eax; ret
    CHECK_EQ(call(CODE), 0);
}

static void by_alias(void)
{
    unsigned bad = 0;
    for (uint32_t i = 0; i < 10; i++) {
        put_return(frames[0] + 64, i);
        cpuid(0, 0); // another linear address: the manual asks for a serializing instruction
        bad += call(CODE + 64) != i;
    }
    CHECK_EQ(bad, 0);
    // The frame behind an address changes.
    put_return(frames[0] + 64, 1);
    put_return(frames[1] + 64, 2);
    CHECK_EQ(call(CODE + 64), 1);
    remap(CODE, phys_of(frames[1]) | PTE_P | PTE_W);
    CHECK_EQ(call(CODE + 64), 2);
    remap(CODE, phys_of(frames[0]) | PTE_P | PTE_W);
    CHECK_EQ(call(CODE + 64), 1);
}

static void by_string_instruction(void)
{
    uint8_t code[6];
    unsigned bad = 0;
    for (uint32_t i = 0; i < 10; i++) {
        put_return(code, i + 1000);
        void *to = (void *)(CODE + 128);
        const void *from = code;
        uint64_t count = sizeof code;
        __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
        bad += call(CODE + 128) != i + 1000;
    }
    CHECK_EQ(bad, 0);
}

// The store starts in the first page; the code is at the start of the second.
static void across_border(void)
{
    unsigned bad = 0;
    put_return((uint8_t *)CODE + PAGE - 1, 0); // its immediate lies in the second page
    for (uint32_t i = 0; i < 10; i++) {
        *(volatile uint32_t *)(CODE + PAGE - 2) = 0x0000b890 | i << 16;
        bad += call(CODE + PAGE - 1) != i;
    }
    CHECK_EQ(bad, 0);
    put_return((uint8_t *)CODE + PAGE, 5);
    CHECK_EQ(call(CODE + PAGE), 5);
    *(volatile uint64_t *)(CODE + PAGE - 6) = 0x06b8909090909090; // the opcode and the immediate's low byte
    CHECK_EQ(call(CODE + PAGE - 6), 6);
}

int image_main(void)
{
    frames[1] = page_alloc(), frames[0] = page_alloc();
    map_page(CODE, phys_of(frames[0]), PTE_P | PTE_W);
    map_page(CODE + PAGE, phys_of(frames[1]), PTE_P | PTE_W);
    from_outside();
    by_alias();
    by_string_instruction();
    across_border();
    return 0;
}

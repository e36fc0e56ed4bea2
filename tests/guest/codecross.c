// SPDX-License-Identifier: BSD-2-Clause
// Fetching: an instruction over a page border, its second page absent or not executable, jumps into an instruction's
// middle, and the limit of 15 bytes (SDM vol. 3, 4.7; vol. 2, 2.3.11).
#include "tests/guest/access.h"

IMAGE("codecross");

#define CODE TEST_VA
#define BORDER (CODE + PAGE)

static uint8_t *frames[2];

static void put(uint64_t at, const uint8_t *bytes, unsigned count)
{
    for (unsigned i = 0; i < count; i++, at++)
        frames[at >= BORDER][at % PAGE] = bytes[i];
}

static uint64_t result;
static void call(void *at)
{
    __asm__ volatile("call *%1" : "=a"(result) : "r"(at) : "rcx", "memory", "cc");
}

static const uint8_t move[] = {0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8, 0xc3}; // movabsq $0x0807060504030201, %rax; ret

static void over_border(void)
{
    for (unsigned before = 1; before < 10; before++) {
        uint64_t at = BORDER - before;
        put(at, move, sizeof move);
        remap(BORDER, phys_of(frames[1]) | PTE_P);
        result = 0;
        call((void *)at);
        CHECK_EQ(result, 0x0807060504030201);
        remap(BORDER, 0);
        struct caught c = catch_fault(call, (void *)at);
        CHECK(c.vector == VEC_PF && c.error == PF_FETCH && c.cr2 == BORDER && c.rip == at);
    }
    remap(BORDER, phys_of(frames[1]) | PTE_P | PTE_NX);
    struct caught c = catch_fault(call, (void *)(BORDER - 5));
    CHECK(c.vector == VEC_PF && c.error == (PF_FETCH | PF_PRESENT) && c.cr2 == BORDER && c.rip == BORDER - 5);
    // An instruction that ends with the page does not need the next one.
    static const uint8_t ends[] = {0xb8, 9, 0, 0, 0, 0xc3};
    remap(BORDER, 0);
    put(BORDER - sizeof ends, ends, sizeof ends);
    call((void *)(BORDER - sizeof ends));
    CHECK_EQ(result, 9);
}

static void into_the_middle(void)
{
    // movl $0x90c3c031, %eax; its immediate is xorl %eax, %eax; ret
    static const uint8_t code[] = {0xb8, 0x31, 0xc0, 0xc3, 0x90, 0xc3};
    put(CODE, code, sizeof code);
    call((void *)CODE);
    CHECK_EQ(result, 0x90c3c031);
    call((void *)(CODE + 1));
    CHECK_EQ(result, 0);
    call((void *)CODE);
    CHECK_EQ(result, 0x90c3c031);
}

static void too_long(void)
{
    uint8_t code[18];
    for (unsigned i = 0; i < sizeof code; i++)
        code[i] = 0x66;
    code[14] = 0x90, code[15] = 0xc3; // 15 bytes of nop
    put(CODE, code, sizeof code);
    CHECK_EQ(catch_fault(call, (void *)CODE).vector, -1);
    code[14] = 0x66, code[15] = 0x90, code[16] = 0xc3;
    put(CODE, code, sizeof code);
    struct caught c = catch_fault(call, (void *)CODE);
    CHECK(c.vector == VEC_GP && c.error == 0 && c.rip == CODE);
    CHECK_EQ(catch_fault(call, (void *)(CODE + 1)).vector, -1);
}

int image_main(void)
{
    frames[1] = page_alloc(), frames[0] = page_alloc();
    map_page(CODE, phys_of(frames[0]), PTE_P);
    map_page(BORDER, 0, 0);
    over_border();
    into_the_middle();
    too_long();
    return 0;
}

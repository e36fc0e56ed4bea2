// SPDX-License-Identifier: BSD-2-Clause
// Code that changes: a user program that writes its own, before it and ahead of it; and one page that both the kernel
// executes, at its own address, and the user writes at a low one, by turns. What is executed is always what was written
// last (SDM vol. 3, 11.6: on the same processor, behind a jump).
#include "tests/guest/low.h"

IMAGE("direct_code");

#define VA 0x5000000000ull
#define KERNEL_VA 0xffffc00000000000ull
#define ROUNDS 40
#define USER_RW (PTE_P | PTE_W | PTE_U)

// mov $n, %eax; ret, again and again at one place, run each time.
static USER_CODE uint64_t rewrite(void *at)
{
    volatile uint8_t *code = at;
    uint64_t sum = 0;
    for (unsigned n = 1; n <= 100; n++) {
        code[0] = 0xb8, code[1] = (uint8_t)n, code[2] = code[3] = code[4] = 0, code[5] = 0xc3;
        sum += ((uint64_t(*)(void))at)();
    }
    return sum;
}

static USER_CODE uint64_t write_number(void *at)
{
    volatile uint8_t *number = (uint8_t *)((uint64_t)at & ~0xffull);
    *number = (uint8_t)(uint64_t)at;
    return *number;
}

static USER_CODE uint64_t call_it(void *at)
{
    return ((uint64_t(*)(void))at)();
}

static void shared(uint8_t *page)
{
    static const uint8_t code[] = {0xb8, 0, 0, 0, 0, 0xc3};
    const uint64_t number = VA + 0x100; // the immediate's address
    for (unsigned i = 0; i < sizeof code; i++)
        page[0xff + i] = code[i];
    map_page(KERNEL_VA, phys_of(page), PTE_P);
    for (unsigned n = 0; n < ROUNDS; n++) {
        CHECK_EQ(low_run(write_number, number | n), n);
        CHECK_EQ(((uint64_t(*)(void))(KERNEL_VA + 0xff))(), n);
        if (n % 3 == 0)
            CHECK_EQ(low_run(call_it, VA + 0xff), n);
        page[0x100] = (uint8_t)(n + 100); // by the kernel, where it is neither executed
        CHECK_EQ(low_run(call_it, VA + 0xff), n + 100);
        CHECK_EQ(((uint64_t(*)(void))(KERNEL_VA + 0xff))(), n + 100);
    }
}

int image_main(void)
{
    low_map();
    uint8_t *page = page_alloc(), *other = page_alloc();
    map_page(VA, phys_of(page), USER_RW);
    map_page(VA + LOW_PAGE, phys_of(other), USER_RW);
    for (unsigned i = 0; i < 3; i++) {
        CHECK_EQ(low_run(rewrite, VA + 512), 5050);
        CHECK_EQ(low_run(rewrite, VA + LOW_PAGE - 2), 5050); // on two pages
    }
    shared(page);
    CHECK_EQ(low_run(rewrite, VA + 512), 5050);
    return 0;
}

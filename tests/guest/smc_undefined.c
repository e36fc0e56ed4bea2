// SPDX-License-Identifier: BSD-2-Clause
// Code that changes where it was no instruction: one byte makes it one, which is not its first, and the other way round
// (SDM vol. 3, 8.1.3).
#include "tests/guest/access.h"

IMAGE("smc_undefined");

static volatile uint8_t *code;

static void by_its_opcode(void)
{
    unsigned bad = 0;
    code[0] = 0x0f, code[2] = 0xc0, code[3] = RET_INSTRUCTION;
    for (unsigned i = 0; i < 10; i++) {
        code[1] = 0x04; // nothing
        bad += catch_fault(fetch, (void *)code).vector != VEC_UD;
        code[1] = 0x1f; // nop %eax
        bad += catch_fault(fetch, (void *)code).vector != -1;
    }
    CHECK_EQ(bad, 0);
}

// The fifteenth byte says whether there are too many (SDM vol. 2, 2.3.11; vol. 3, 6.15, #GP).
static void by_its_length(void)
{
    unsigned bad = 0;
    for (unsigned i = 0; i < 14; i++)
        code[i] = 0x66;
    code[15] = code[16] = RET_INSTRUCTION;
    for (unsigned i = 0; i < 10; i++) {
        code[14] = 0x66;
        bad += catch_fault(fetch, (void *)code).vector != VEC_GP;
        code[14] = 0x90;
        bad += catch_fault(fetch, (void *)code).vector != -1;
    }
    CHECK_EQ(bad, 0);
}

// What comes behind the fifteenth byte says nothing: neither makes it an instruction, nor #UD of #GP.
static void by_what_lies_behind(void)
{
    static const uint8_t behind[] = {0x90, 0x04, 0x66, 0xc0, RET_INSTRUCTION, 0xff};
    unsigned bad = 0;
    for (unsigned opcode = 0; opcode < 2; opcode++) {
        for (unsigned i = 0; i < 15; i++)
            code[i] = 0x66;
        code[14] = opcode ? 0x0f : 0x66;
        for (unsigned i = 0; i < 2 * sizeof behind; i++) {
            code[15] = behind[i % sizeof behind];
            bad += catch_fault(fetch, (void *)code).vector != VEC_GP;
        }
    }
    CHECK_EQ(bad, 0);
}

// The byte lies in the next page.
static void across_a_border(void)
{
    unsigned bad = 0;
    volatile uint8_t *at = code + PAGE - 1;
    at[0] = 0x0f, at[2] = 0xc0, at[3] = RET_INSTRUCTION;
    for (unsigned i = 0; i < 10; i++) {
        at[1] = 0x04;
        bad += catch_fault(fetch, (void *)at).vector != VEC_UD;
        at[1] = 0x1f;
        bad += catch_fault(fetch, (void *)at).vector != -1;
    }
    CHECK_EQ(bad, 0);
}

int image_main(void)
{
    code = (volatile uint8_t *)TEST_VA;
    map_page(TEST_VA, phys_of(page_alloc()), PTE_P | PTE_W);
    map_page(TEST_VA + PAGE, phys_of(page_alloc()), PTE_P | PTE_W);
    by_its_opcode();
    by_its_length();
    by_what_lies_behind();
    across_a_border();
    return 0;
}

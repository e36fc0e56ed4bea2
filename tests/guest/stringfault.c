// SPDX-License-Identifier: BSD-2-Clause
// A page fault in the middle of a repeated string instruction: rsi, rdi and rcx say exactly how far it came, rip is the
// instruction, and it goes on from there (SDM vol. 2, REP: "can be suspended by an exception").
#include "guest/insn.h"
#include "guest/lib.h"

IMAGE("stringfault");

#define VA 0x400000000000ull // two pages; the second comes when it is asked for
#define SECOND (VA + 4096)

static uint8_t *pages[2];
static struct {
    struct trap_frame frame;
    uint64_t cr2;
    unsigned count;
    uint8_t near_end; // what the first page held when the fault came
} seen;
static void on_page_fault(struct trap_frame *frame)
{
    if (!seen.count++) {
        seen.frame = *frame;
        seen.cr2 = read_cr2();
        seen.near_end = pages[0][4092];
    }
    *pte_of(SECOND, 1) = phys_of(pages[1]) | PTE_P | PTE_W;
}

static void reset(void)
{
    *pte_of(SECOND, 1) = 0;
    invlpg((void *)SECOND);
    seen.count = 0;
}

static bool stopped_at(uint64_t rsi, uint64_t rdi, uint64_t rcx, uint64_t cr2)
{
    return seen.count == 1 && seen.frame.rsi == rsi && seen.frame.rdi == rdi && seen.frame.rcx == rcx &&
           seen.cr2 == cr2;
}

#define RUN(text, rsi, rdi, rcx, rax)                                                                                  \
    do {                                                                                                               \
        uint64_t s_ = (uint64_t)(rsi), d_ = (uint64_t)(rdi), c_ = (rcx), a_ = (rax);                                   \
        reset();                                                                                                       \
        __asm__ volatile(text "; cld" : "+S"(s_), "+D"(d_), "+c"(c_), "+a"(a_) : : "memory", "cc");                    \
    } while (0)

static uint8_t buffer[256];

static void writes(void)
{
    for (unsigned i = 0; i < sizeof buffer; i++)
        buffer[i] = (uint8_t)(i + 1);
    RUN("rep movsb", buffer, SECOND - 40, 100, 0);
    CHECK(stopped_at((uint64_t)buffer + 40, SECOND, 60, SECOND));
    CHECK_EQ(seen.frame.error, PF_WRITE);
    CHECK(pages[0][4095] == 40 && pages[1][0] == 41 && pages[1][59] == 100 && pages[1][60] == 0);
    RUN("rep movsq", buffer, SECOND - 20, 5, 0); // the third element crosses the border
    CHECK(stopped_at((uint64_t)buffer + 16, SECOND - 4, 3, SECOND));
    CHECK_EQ(seen.near_end, 37); // nothing of it was written yet
    CHECK(pages[0][4095] == 20 && pages[1][0] == 21 && pages[1][19] == 40);
    RUN("rep stosl", buffer, SECOND - 8, 4, 0x01020304);
    CHECK(stopped_at((uint64_t)buffer, SECOND, 2, SECOND));
    CHECK(pages[1][7] == 1 && pages[1][4] == 4);
    RUN("std; rep stosb", buffer, SECOND + 5, 3, 0x77); // faults at once
    CHECK(stopped_at((uint64_t)buffer, SECOND + 5, 3, SECOND + 5));
    CHECK(seen.frame.rflags & FLAG_DF);
}

static void reads(void)
{
    RUN("rep movsb", SECOND - 7, buffer, 9, 0);
    CHECK(stopped_at(SECOND, (uint64_t)buffer + 7, 2, SECOND));
    CHECK_EQ(seen.frame.error, 0);
    RUN("rep lodsw", SECOND - 4, buffer, 3, 0);
    CHECK(stopped_at(SECOND, (uint64_t)buffer, 1, SECOND));
    RUN("repne scasb", buffer, SECOND - 3, 10, 0xee); // 0xee is nowhere
    CHECK(stopped_at((uint64_t)buffer, SECOND, 7, SECOND));
    RUN("repe cmpsb", SECOND - 2, SECOND - 2, 5, 0);
    CHECK(stopped_at(SECOND, SECOND, 3, SECOND));
}

int image_main(void)
{
    pages[0] = page_alloc(), pages[1] = page_alloc();
    map_page(VA, phys_of(pages[0]), PTE_P | PTE_W);
    map_page(SECOND, 0, 0);
    trap_set(VEC_PF, on_page_fault);
    writes();
    reads();
    return 0;
}

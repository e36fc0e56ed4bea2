// SPDX-License-Identifier: BSD-2-Clause
// Single steps and breakpoints in 32-bit code: addresses in debug registers are linear, so the base of a code segment
// counts (SDM vol. 3, 17.2.1, 17.3.1).
#include "tests/guest/code32.h"
#include "tests/guest/judge.h"

IMAGE("compat_debug");

#define BASE (AT32 - 0x1000)
#define BASED_CODE ((uint16_t)(OWN_SELECTOR(0) | 3))
#define AT_INSTRUCTION 2ull // of dr7, G0 alone
#define AT_WRITE_OF_4 (2ull | 0xd0000)

static uint64_t table[LIBRARY_ENTRIES + OWN_ENTRIES] __attribute__((aligned(16)));

static volatile struct {
    unsigned count;
    uint64_t rip[16], dr6[16];
    bool set_rf;
} seen;

static void on_debug(struct trap_frame *frame)
{
    uint64_t dr6;
    __asm__ volatile("movq %%dr6, %0" : "=r"(dr6));
    if (seen.count < 16) {
        seen.rip[seen.count] = frame->rip;
        seen.dr6[seen.count] = dr6 & 0xe00f;
    }
    seen.count++;
    __asm__ volatile("movq %0, %%dr6" : : "r"(0xffff0ff0ull));
    if (seen.set_rf)
        frame->rflags |= FLAG_RF;
}

static void break_at(uint64_t address, uint64_t dr7)
{
    seen.count = 0;
    seen.set_rf = dr7 == AT_INSTRUCTION;
    __asm__ volatile("movq %0, %%dr7; movq %1, %%dr0; movq %2, %%dr7" : : "r"(0ull), "r"(address), "r"(dr7));
}

// From the nop at 9 on, each a byte.
CODE32(steps, "pushfl; orl $0x100, (%esp); popfl; nop; incl %eax; pushl %eax; popl %ecx; int3");
CODE32(plain, "nop; nop; incl %eax; nop; int3");
CODE32(writes, "movl %eax, (%ebx); movl (%ebx), %ecx; movw %ax, 3(%ebx); movb %al, 4(%ebx); int3");
CODE32(pushes, "pushl %eax; popl %ecx; int3");

static void single_steps(void)
{
    seen.count = 0;
    RUN32(steps);
    CHECK(ENDED(VEC_BP, 14) && RESULT == 1 && ended.at.rcx == 1);
    CHECK_EQ(seen.count, 4);
    for (unsigned i = 0; i < 4; i++)
        CHECK(seen.rip[i] == AT32 + 10 + i && seen.dr6[i] == 0x4000);
}

static void on_instructions(void)
{
    break_at(AT32 + 2, AT_INSTRUCTION);
    RUN32(plain);
    CHECK(ENDED(VEC_BP, 5) && RESULT == 1);
    CHECK(seen.count == 1 && seen.rip[0] == AT32 + 2 && seen.dr6[0] == 1);
    struct trap_frame regs = regs32();
    regs.cs = BASED_CODE;
    regs.rip = AT32 - BASE;
    break_at(AT32 + 2, AT_INSTRUCTION);
    run_regs(plain, plain_end, &regs);
    CHECK(ended.at.vector == VEC_BP && RESULT == 1);
    CHECK_NOT_QEMU(seen.count == 1 && seen.rip[0] == AT32 - BASE + 2);
    break_at(AT32 - BASE + 2, AT_INSTRUCTION);
    run_regs(plain, plain_end, &regs);
    CHECK_NOT_QEMU(seen.count == 0);
}

static void on_data(void)
{
    break_at(DATA32, AT_WRITE_OF_4);
    RUN32(writes);
    CHECK(ENDED(VEC_BP, LENGTH32(writes)));
    CHECK_NOT_QEMU(seen.count == 2 && seen.rip[0] == AT32 + 2 && seen.rip[1] == AT32 + 8);
    break_at(STACK32 - 4, AT_WRITE_OF_4);
    RUN32(pushes);
    CHECK(ENDED(VEC_BP, LENGTH32(pushes)));
    CHECK(seen.count == 1 && seen.rip[0] == AT32 + 1 && seen.dr6[0] == 1);
    break_at(0, 0);
}

int image_main(void)
{
    map32();
    own_gdt(table);
    table[LIBRARY_ENTRIES] =
        D_TYPE(TYPE_EXECUTE_READ) | D_S | D_DPL(3) | D_P | D_DB | D_LIMIT(0xffffff >> 12) | D_BASE(BASE) | 1ull << 55;
    trap_set(VEC_DB, on_debug);
    single_steps();
    on_instructions();
    on_data();
    return 0;
}

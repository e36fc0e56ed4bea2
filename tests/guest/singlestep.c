// SPDX-License-Identifier: BSD-2-Clause
// The trap flag: #DB after each instruction from the one behind the popf that set it, with rip at the next; not set in
// the handler, saved in the frame; int1 too (SDM vol. 3, 17.3.1.4).
#include "guest/insn.h"
#include "guest/lib.h"

IMAGE("singlestep");

#define STEPS 16
static struct {
    unsigned count;
    uint64_t rip[STEPS], flags[STEPS];
    uint64_t flags_inside, dr6;
} seen;

static void on_debug(struct trap_frame *frame)
{
    seen.flags_inside = read_flags();
    __asm__ volatile("movq %%dr6, %0" : "=r"(seen.dr6));
    if (seen.count < STEPS) {
        seen.rip[seen.count] = frame->rip;
        seen.flags[seen.count] = frame->rflags;
    }
    seen.count++;
    __asm__ volatile("movq %0, %%dr6" : : "r"(0xffff0ff0ull));
}

extern const char step_1[], step_2[], step_3[], step_4[], step_5[], step_6[];

static __attribute__((noinline)) void straight(void)
{
    __asm__ volatile(".globl step_1, step_2, step_3, step_4, step_5, step_6\n"
                     "pushfq; pushfq; orq %0, (%%rsp); popfq\n"
                     "nop\n"
                     "step_1: movl $3, %%ecx\n"
                     "step_2: jmp step_3\n"
                     "ud2\n"
                     "step_3: pushfq\n"
                     "step_4: popq %%rax\n"
                     "step_5: popfq\n"
                     "step_6: nop"
                     :
                     : "i"(FLAG_TF)
                     : "rax", "rcx", "memory", "cc");
}

int image_main(void)
{
    trap_set(VEC_DB, on_debug);
    straight();
    // The popf that clears TF is stepped over with TF still set: the trap comes behind it.
    CHECK_EQ(seen.count, 6);
    const char *const want[] = {step_1, step_2, step_3, step_4, step_5, step_6};
    for (unsigned i = 0; i < 6; i++)
        CHECK_EQ(seen.rip[i], (uint64_t)want[i]);
    CHECK(seen.flags[0] & FLAG_TF);
    CHECK(!(seen.flags[5] & FLAG_TF));
    CHECK(!(seen.flags_inside & FLAG_TF));
    CHECK_EQ(seen.dr6 & 0xe00f, 0x4000); // BS
    return 0;
}

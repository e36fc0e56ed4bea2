// SPDX-License-Identifier: BSD-2-Clause
// A true page fault of user code: CPL 3 reads an absent page; the kernel's gate, swapgs, all registers saved, a call of
// a function that steps over the instruction, and iretq. The page stays absent.
#include "bench/nano/entry.h"
#include "guest/repeat.h"

IMAGE("pguser");

#define USER_TEXT 0x4000000000ull
#define ABSENT 0x4000100000ull

__attribute__((used, noinline)) static void pguser_work(struct trap_frame *frame)
{
    frame->rip += 2; // `movl (%rdi), %eax` is two bytes long
}

// The vector is pushed beside the error code, as the frame has it.
__attribute__((naked)) static void handler(void)
{
    __asm__("pushq $14\n"
            "testb $3, 24(%rsp)\njz 1f\nswapgs\n1:\n" PUSH_REGISTERS "movq %rsp, %rdi\n"
            "call pguser_work\n" POP_REGISTERS "addq $16, %rsp\n"
            "testb $3, 8(%rsp)\njz 2f\nswapgs\n2:\n"
            "iretq");
}

USER_CODE static void body(uint64_t n, void *ctx)
{
    __asm__ volatile(REPEAT_ASM("movl (%%rdi), %%eax") : [left] "+r"(n) : "D"(ctx) : "rax", "cc", "memory");
}

int image_main(void)
{
    entry_map_user_text(USER_TEXT);
    map_page(ABSENT, 0, 0);
    idt_set_raw(VEC_PF, handler, 0, 0);
    bench_run_user(image_name, entry_user_function(USER_TEXT, body), (void *)ABSENT);
    return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
// What a kernel does on its way in from CPL 3 and back, for the images that measure just that: swapgs, the stack of the
// task, all registers saved.
#ifndef RINGSIDE_BENCH_ENTRY_H
#define RINGSIDE_BENCH_ENTRY_H

#include "guest/insn.h"
#include "guest/layout.h"
#include "guest/lib.h"

#define PUSH_REGISTERS                                                                                                 \
    "pushq %rax\npushq %rbx\npushq %rcx\npushq %rdx\npushq %rsi\npushq %rdi\npushq %rbp\npushq %r8\n"                  \
    "pushq %r9\npushq %r10\npushq %r11\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
#define POP_REGISTERS                                                                                                  \
    "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %r11\npopq %r10\npopq %r9\npopq %r8\n"                           \
    "popq %rbp\npopq %rdi\npopq %rsi\npopq %rdx\npopq %rcx\npopq %rbx\npopq %rax\n"

#define ENTRY_TEXT(x) ENTRY_TEXT2(x)
#define ENTRY_TEXT2(x) #x

// At LSTAR: gs leads to struct entry_cpu, a frame as iretq would have it is built, `work` is called, sysretq.
#define DEFINE_SYSCALL_ENTRY(name, work)                                                                               \
    __attribute__((naked)) static void name(void)                                                                      \
    {                                                                                                                  \
        __asm__("swapgs\n"                                                                                             \
                "movq %rsp, %gs:8\n"                                                                                   \
                "movq %gs:0, %rsp\n"                                                                                   \
                "pushq $" ENTRY_TEXT(USER_DS) "\npushq %gs:8\npushq %r11\npushq $" ENTRY_TEXT(                         \
                    USER_CS) "\npushq %rcx\n" PUSH_REGISTERS "movq %rsp, %rdi\n"                                       \
                             "call " work "\n" POP_REGISTERS "movq (%rsp), %rcx\nmovq 16(%rsp), %r11\n"                \
                             "movq 24(%rsp), %rsp\n"                                                                   \
                             "swapgs\n"                                                                                \
                             "sysretq");                                                                               \
    }

struct entry_cpu {
    uint64_t kernel_stack, user_stack;
};

static inline void entry_init(struct entry_cpu *cpu, void (*entry)(void), void *stack_top)
{
    cpu->kernel_stack = (uint64_t)stack_top;
    write_msr(MSR_KERNEL_GS_BASE, (uint64_t)cpu);
    write_msr(MSR_LSTAR, (uint64_t)entry);
}

// User code where user programs are: USER_CODE functions again in the lower half, with pages that are not global. The
// same function at its place there.
#define ENTRY_USER_VA 0x400000000000ull
extern const char user_text_start[], rodata_start[]; // image.ld

static inline void entry_map_user_text(uint64_t va)
{
    uint64_t bytes = (uint64_t)(rodata_start - user_text_start);
    for (uint64_t at = 0; at < bytes; at += 4096)
        map_page(va + at, phys_of(user_text_start) + at, PTE_P | PTE_U);
}

static inline void *entry_user_function(uint64_t va, const void *function)
{
    return (void *)(va + (uint64_t)((const char *)function - user_text_start));
}

#endif

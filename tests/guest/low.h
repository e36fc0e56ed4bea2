// SPDX-License-Identifier: BSD-2-Clause
// User code at low addresses, where programs live and where a binary translator can run them directly: the image's
// user text once more at LOW, a stack there, and a way there and back. Functions for it are USER_CODE that reaches its
// data by pointers alone.
#ifndef RINGSIDE_TESTS_GUEST_LOW_H
#define RINGSIDE_TESTS_GUEST_LOW_H

#include "guest/insn.h"
#include "guest/layout.h"
#include "guest/state.h"

#ifndef LOW
#define LOW 0x4000000000ull
#endif
#define LOW_STACK 0x4100000000ull // its top
#define LOW_PAGE 4096ull

#define LOW_STRING(x) #x
#define LOW_VALUE(x) LOW_STRING(x)

extern const char low_done[], low_back[], user_text_start[], rodata_start[]; // the last two: image.ld
extern uint64_t low_rsp;
uint64_t low_enter(uint64_t fn, uint64_t arg, uint64_t rsp, uint64_t flags);
__asm__(".text\nlow_enter: pushq %rbx; pushq %rbp; pushq %r12; pushq %r13; pushq %r14; pushq %r15; pushfq\n"
        "movq %rsp, low_rsp; pushq $" LOW_VALUE(USER_DS) "; pushq %rdx; pushq %rcx; pushq $" LOW_VALUE(
            USER_CS) "\n"
                     "pushq %rdi; movq %rsi, %rdi; iretq\n"
                     "low_back: movq low_rsp, %rsp; popfq; popq %r15; popq %r14; popq %r13; popq %r12; popq %rbp; popq "
                     "%rbx; ret\n"
                     ".section .user.text, \"ax\"\nlow_done: int3\n.text\n"
                     ".bss\n.balign 8\nlow_rsp: .skip 8\n.text\n");

// Where user text is at LOW.
static inline uint64_t low_of(const void *code)
{
    return (uint64_t)code - KERNEL_VIRT_BASE + LOW;
}

static void low_on_breakpoint(struct trap_frame *frame)
{
    if (frame->rip != low_of(low_done) + 1)
        panic("breakpoint at 0x%lx", frame->rip);
    frame->rip = (uint64_t)low_back, frame->cs = KERNEL_CS, frame->ss = KERNEL_DS;
    frame->rsp = low_rsp, frame->rflags = FLAG_FIXED1;
}

static inline void low_map(void)
{
    for (uint64_t at = (uint64_t)user_text_start; at < (uint64_t)rodata_start; at += LOW_PAGE)
        map_page(low_of((void *)at), phys_of((void *)at), PTE_P | PTE_U);
    for (unsigned i = 1; i <= 4; i++)
        map_page(LOW_STACK - i * LOW_PAGE, phys_of(page_alloc()), PTE_P | PTE_W | PTE_U | PTE_NX);
    trap_set(VEC_BP, low_on_breakpoint);
}

// fn(arg) at CPL 3 with these flags. The return address is put on its stack by a mapping of the kernel's own, which is
// the user's: images run without SMAP.
static inline uint64_t low_run_flags(uint64_t (*fn)(void *), uint64_t arg, uint64_t flags)
{
    uint64_t *top = (uint64_t *)(LOW_STACK - 8);
    *top = low_of(low_done);
    return low_enter(low_of((const void *)fn), arg, (uint64_t)top, flags | FLAG_FIXED1);
}

static inline uint64_t low_run(uint64_t (*fn)(void *), uint64_t arg)
{
    return low_run_flags(fn, arg, 0);
}

struct low_call {
    uint64_t (*fn)(void *);
    uint64_t arg, result;
};

static inline void low_call(void *call)
{
    struct low_call *c = call;
    c->result = low_run(c->fn, c->arg);
}

// What comes of fn(arg): the exception, or vector -1.
static inline struct caught low_catch(uint64_t (*fn)(void *), uint64_t arg)
{
    struct low_call call = {fn, arg, 0};
    return catch_fault(low_call, &call);
}

#endif

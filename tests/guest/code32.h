// SPDX-License-Identifier: BSD-2-Clause
// 32- and 16-bit code for tests: pieces of it at an address below 4 GiB, with a stack there, a way in with chosen
// registers by iretq, and a way out by whatever exception comes: the frame says how it ended.
#ifndef RINGSIDE_TESTS_GUEST_CODE32_H
#define RINGSIDE_TESTS_GUEST_CODE32_H

#include "tests/guest/descriptors.h"

#define AT32 0x40000000ull     // the code, user pages
#define DATA32 0x40010000ull   // a page to read and write
#define STACK32 0x40021000ull  // the stack's top; a page
#define GAP32 0x40030000ull    // nothing
#define KERNEL32 0x40200000ull // the code once more, for CPL 0
#define PAGE32 4096ull
#define GATE32 0x80 // int n at CPL 3

// A piece of code by name; position-independent.
#define CODE(bits, name, text)                                                                                         \
    extern const char name[], name##_end[];                                                                            \
    __asm__(".section .rodata\n.code" #bits "\n" #name ":\n" text "\n" #name "_end:\n.code64\n.text\n")
#define CODE32(name, text) CODE(32, name, text)

extern uint64_t rsp32;
void enter32(const struct trap_frame *regs);
extern const char back32[];
__asm__(".text\nenter32: pushq %rbx; pushq %rbp; pushq %r12; pushq %r13; pushq %r14; pushq %r15\n"
        "movq %rsp, rsp32; movq %rdi, %rsp\n"
        "popq %r15; popq %r14; popq %r13; popq %r12; popq %r11; popq %r10; popq %r9; popq %r8; popq %rbp; popq %rdi\n"
        "popq %rsi; popq %rdx; popq %rcx; popq %rbx; popq %rax; addq $16, %rsp; iretq\n"
        "back32: movq rsp32, %rsp; popq %r15; popq %r14; popq %r13; popq %r12; popq %rbp; popq %rbx; ret\n"
        ".bss\n.balign 8\nrsp32: .skip 8\n.text\n");

struct ended {
    struct trap_frame at;
    uint64_t cr2;
    uint16_t ds, es;
};
static struct ended ended;

static void on_end32(struct trap_frame *frame)
{
    ended.at = *frame;
    ended.cr2 = read_cr2();
    __asm__ volatile("movw %%ds, %0; movw %%es, %1" : "=r"(ended.ds), "=r"(ended.es));
    frame->rip = (uint64_t)back32, frame->cs = KERNEL_CS, frame->ss = KERNEL_DS;
    frame->rsp = rsp32, frame->rflags = FLAG_FIXED1;
}

static inline void copy32(uint64_t to, const char *from, const char *end)
{
    for (uint64_t i = 0; i < (uint64_t)(end - from); i++)
        ((volatile char *)to)[i] = from[i];
}

static inline void map32(void)
{
    static const uint8_t ends[] = {VEC_DE, VEC_BP, VEC_OF, VEC_BR, VEC_UD, VEC_NP, VEC_SS, VEC_GP, VEC_PF, VEC_AC};
    *pte_of(AT32, 2) = 0; // the library maps the low 4 GiB in large pages
    *pte_of(KERNEL32, 2) = 0;
    write_cr3(read_cr3());
    uint64_t code = phys_of(page_alloc());
    map_page(AT32, code, PTE_P | PTE_W | PTE_U);
    map_page(KERNEL32, code, PTE_P | PTE_W);
    map_page(DATA32, phys_of(page_alloc()), PTE_P | PTE_W | PTE_U);
    map_page(STACK32 - PAGE32, phys_of(page_alloc()), PTE_P | PTE_W | PTE_U);
    for (unsigned i = 0; i < sizeof ends; i++)
        trap_set(ends[i], on_end32);
    trap_set(GATE32, on_end32);
    idt_set_raw(GATE32, (void (*)(void))(trap_stubs + (size_t)GATE32 * TRAP_STUB_BYTES), 0, 3);
    idt_set_raw(VEC_OF, (void (*)(void))(trap_stubs + (size_t)VEC_OF * TRAP_STUB_BYTES), 0, 3);
}

static inline void load_data_segments(uint16_t selector)
{
    __asm__ volatile("movw %0, %%ds; movw %0, %%es" : : "r"(selector));
}

static inline struct trap_frame regs32(void)
{
    return (struct trap_frame){
        .rip = AT32, .cs = USER_CS32, .rsp = STACK32, .ss = USER_DS, .rflags = FLAG_FIXED1, .rbx = DATA32};
}

// Runs a piece of code from these registers; `ended` says how it ended.
static inline void run_regs(const char *from, const char *end, const struct trap_frame *regs)
{
    copy32((regs->cs & 3) == 3 ? AT32 : KERNEL32, from, end);
    static struct {
        uint64_t room[64]; // for the frame of a fault of iretq, which goes below its operands
        struct trap_frame regs;
    } stack;
    stack.regs = *regs;
    load_data_segments((regs->cs & 3) == 3 ? USER_DS : KERNEL_DS);
    enter32(&stack.regs);
    load_data_segments(KERNEL_DS);
}

static inline void run_named(const char *from, const char *end)
{
    struct trap_frame regs = regs32();
    run_regs(from, end, &regs);
}
#define RUN32(name) run_named(name, name##_end)
#define LENGTH32(name) ((uint64_t)(name##_end - name))

// Ended by the exception, at the offset in the code (which is the next instruction's for int3, into and int n).
#define ENDED(vec, offset) (ended.at.vector == (vec) && ended.at.rip == AT32 + (offset))
#define RESULT ((uint32_t)ended.at.rax)

#endif

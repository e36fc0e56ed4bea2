// SPDX-License-Identifier: BSD-2-Clause
// Stacks that are none: rsp at every sort of address when a fault comes that has nothing to do with it, pushes and
// calls down to the end of a stack and past it, deep recursion. The faults are delivered on stacks of their own.
#include "tests/guest/access.h"
#include "tests/guest/judge.h"

IMAGE("abuse_stack");

#define STACK_VA 0x500000000000ull
#define STACK_PAGES 64

// Divides by zero with rsp at va: nothing is pushed, so nothing but the #DE may come of it.
static void divide(void *va)
{
    __asm__ volatile("movq %%rsp, %%rbx; movq %%rdi, %%rsp; xorl %%ecx, %%ecx; movl $1, %%eax; cltd; divl %%ecx;"
                     "movq %%rbx, %%rsp"
                     :
                     : "D"(va)
                     : "rax", "rbx", "rcx", "rdx", "memory", "cc");
}

static void read_below(void *va) // of what is not mapped, by an rsp that is not either
{
    __asm__ volatile("movq %%rsp, %%rbx; movq %%rdi, %%rsp; movb %1, %%al; movq %%rbx, %%rsp"
                     :
                     : "D"(va), "m"(*(char *)0x600000000000)
                     : "rax", "rbx", "memory");
}

#define RUN_OFF(name, text)                                                                                            \
    static void name(void *va)                                                                                         \
    {                                                                                                                  \
        __asm__ volatile("movq %%rsp, %%rbx; movq %%rdi, %%rsp; " text "; movq %%rbx, %%rsp"                           \
                         :                                                                                             \
                         : "D"(va)                                                                                     \
                         : "rax", "rbx", "memory", "cc");                                                              \
    }
RUN_OFF(push_off, "1: pushq $1; jmp 1b")
RUN_OFF(call_off, "1: call 1b")
RUN_OFF(pop_off, "1: popq %%rax; jmp 1b")
RUN_OFF(ret_off, "ret")
RUN_OFF(pushf_off, "1: pushfq; jmp 1b")
RUN_OFF(enter_off, "movq %%rbp, %%rax; 1: enter $64, $0; jmp 1b")

static bool de_at(uint64_t rsp)
{
    return catch_fault(divide, (void *)rsp).vector == VEC_DE;
}

__attribute__((noinline)) static uint64_t descend(uint64_t n)
{
    uint64_t (*volatile again)(uint64_t) = descend; // neither a loop nor a tail call
    return n ? 1 + again(n - 1) : 0;
}

static void recurse(void *depth)
{
    uint64_t got;
    __asm__ volatile("movq %%rsp, %%rbx; movq %3, %%rsp; call *%2; movq %%rbx, %%rsp"
                     : "=a"(got)
                     : "D"(depth), "r"(descend), "r"(STACK_VA + STACK_PAGES * PAGE)
                     : "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "memory", "cc");
    CHECK_EQ(got, depth);
}

static void check_ends(void)
{
    uint64_t low = STACK_VA, high = STACK_VA + STACK_PAGES * PAGE;
    CHECK_EQ(fault_of(push_off, high), OTHER_FAULT | VEC_PF); // cr2 is the last address below
    CHECK_EQ(read_cr2(), low - 8);
    CHECK_EQ(catch_fault(call_off, (void *)(high - 64)).vector, VEC_PF);
    CHECK_EQ(read_cr2(), low - 8);
    CHECK_EQ(catch_fault(pushf_off, (void *)(low + 100)).vector, VEC_PF);
    CHECK_EQ(read_cr2(), low - 4); // eight bytes from there on
    CHECK_EQ(catch_fault(enter_off, (void *)(low + 1000)).vector, VEC_PF);
    CHECK_EQ(catch_fault(pop_off, (void *)(high - 64)).vector, VEC_PF);
    CHECK_EQ(read_cr2(), high);
    CHECK_EQ(fault_of(ret_off, high), 0);
    CHECK_EQ(fault_of(push_off, 0x600000000008), OTHER_FAULT | VEC_PF);
    CHECK_EQ(read_cr2(), 0x600000000000);
}

int image_main(void)
{
    use_ist(VEC_DE, 1), use_ist(VEC_PF, 2), use_ist(VEC_GP, 3), use_ist(VEC_SS, 4);
    for (unsigned i = 0; i < STACK_PAGES; i++)
        map_page(STACK_VA + i * PAGE, phys_of(page_alloc()), PTE_P | PTE_W | PTE_NX);
    static const uint64_t wild[] = {0,
                                    1,
                                    8,
                                    0x7fffffffffff,
                                    0x800000000000,
                                    0x8000000000000000,
                                    ~0ull,
                                    ~7ull,
                                    0xffff800000000000,
                                    0xffff7fffffffffff,
                                    0x80000000,
                                    0x10000000000,
                                    0xffff80ffffffffff};
    for (unsigned i = 0; i < sizeof wild / sizeof *wild; i++) {
        CHECK(de_at(wild[i]));
        CHECK_EQ(catch_fault(read_below, (void *)wild[i]).vector, VEC_PF);
    }
    // Where monitors may keep themselves: none of this is touched.
    bool all = true;
    for (uint64_t va = 0x8000000000; va < 0x10000000000; va += 0x100000000)
        all &= de_at(va) && de_at(va + 0x7fff0);
    for (uint64_t va = 0xfff0000000; va < 0x10000000000; va += 0x20000)
        all &= de_at(va);
    CHECK(all);
    check_ends();
    recurse((void *)4000);
    CHECK_EQ(catch_fault(recurse, (void *)1000000).vector, VEC_PF);
    return 0;
}

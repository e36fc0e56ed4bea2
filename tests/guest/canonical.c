// SPDX-License-Identifier: BSD-2-Clause
// Non-canonical addresses: #GP(0), #SS(0) where the stack segment is meant, and nothing in cr2 (SDM vol. 1, 3.3.7.1).
#include "tests/guest/access.h"
#include "tests/guest/judge.h"

IMAGE("canonical");

#define HOLE_START 0x800000000000ull
#define HOLE_END 0xffff7fffffffffffull

#define ACCESS(name, text)                                                                                             \
    static void name(void *va)                                                                                         \
    {                                                                                                                  \
        __asm__ volatile("movq %%rsp, %%rbx; movq %%rbp, %%r12; " text "; movq %%rbx, %%rsp; movq %%r12, %%rbp"        \
                         :                                                                                             \
                         : "D"(va)                                                                                     \
                         : "rax", "rbx", "r12", "memory", "cc");                                                       \
    }
ACCESS(by_rsp, "movq %%rdi, %%rsp; movb (%%rsp), %%al");
ACCESS(by_rbp, "movq %%rdi, %%rbp; movb (%%rbp), %%al");
ACCESS(by_push, "leaq 8(%%rdi), %%rsp; pushq %%rax");
ACCESS(by_pop, "movq %%rdi, %%rsp; popq %%rax");
ACCESS(by_call, "leaq 8(%%rdi), %%rsp; call 1f; 1:");
ACCESS(by_jump, "jmp *%%rdi");
ACCESS(by_ret, "pushq %%rdi; ret");
ACCESS(by_load8, "movq (%%rdi), %%rax");
ACCESS(by_stos, "stosq");
ACCESS(by_lea, "leaq (%%rdi), %%rax; invlpg (%%rdi)"); // neither is an access

static bool faults(void (*access)(void *), uint64_t va, int vector)
{
    write_cr2(0x5555);
    struct caught c = catch_fault(access, (void *)va);
    return c.vector == vector && c.error == 0 && (vector < 0 || c.cr2 == 0x5555);
}

int image_main(void)
{
    use_ist(VEC_GP, 2), use_ist(VEC_SS, 3); // some of these leave no stack for the fault
    map_page(HOLE_START - PAGE, phys_of(page_alloc()), PTE_P | PTE_W);
    CHECK(faults(load, HOLE_START, VEC_GP));
    CHECK(faults(load, HOLE_END, VEC_GP));
    CHECK(faults(store, 0x8000000000000000, VEC_GP));
    CHECK(faults(by_load8, HOLE_START - 4, VEC_GP)); // its second half only
    CHECK(faults(by_load8, HOLE_END - 3, VEC_GP));
    CHECK(faults(by_stos, HOLE_START, VEC_GP));
    // QEMU says #GP whatever the segment.
    CHECK_NOT_QEMU(faults(by_rsp, HOLE_START, VEC_SS));
    CHECK_NOT_QEMU(faults(by_rbp, HOLE_START, VEC_SS));
    CHECK_NOT_QEMU(faults(by_push, HOLE_START, VEC_SS));
    CHECK_NOT_QEMU(faults(by_pop, HOLE_END, VEC_SS));
    CHECK_NOT_QEMU(faults(by_call, HOLE_START, VEC_SS));
    CHECK(faults(by_jump, HOLE_START, VEC_GP));
    CHECK(faults(by_ret, HOLE_START, VEC_GP));
    CHECK(faults(by_lea, HOLE_START, -1));
    CHECK(faults(user_load, HOLE_START, VEC_GP));
    CHECK(faults(user_store, HOLE_END, VEC_GP));
    CHECK_EQ(fault_of(load, HOLE_START - 1), NO_FAULT); // canonical
    CHECK_EQ(fault_of(load, HOLE_END + 1), 0);          // canonical: a page fault
    return 0;
}

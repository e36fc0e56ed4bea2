// SPDX-License-Identifier: BSD-2-Clause
// A fault while a fault is delivered: benign ones are followed by the second alone, contributory ones and page faults
// by #DF with error code 0 (SDM vol. 3, 6.15, table 6-5). The library gives #DF an IST stack.
#include "tests/guest/access.h"
#include "tests/guest/judge.h"

IMAGE("doublefault");

#define GATE_PRESENT 0x8000
#define SELECTOR_ERROR(vector) ((vector)*8 + 2)
#define EXT 1 // the error comes from delivering an event, not from int n

static void undefined(void *arg)
{
    (void)arg;
    __asm__ volatile("ud2");
}

static void general(void *arg)
{
    (void)arg;
    load((void *)0x8000000000000000);
}

static void page(void *arg)
{
    (void)arg;
    load((void *)TEST_VA);
}

static void break_gate(unsigned vector)
{
    guest.idt[vector].attributes &= (uint16_t)~GATE_PRESENT;
}

static void stack_on_nothing(void *arg)
{
    __asm__ volatile("movq %0, %%rsp; pushq %%rax" : : "r"(arg) : "memory");
}

int image_main(void)
{
    break_gate(VEC_UD);
    struct caught c = catch_fault(undefined, NULL);
    CHECK_EQ(c.vector, VEC_NP);
    // SDM vol. 3, 6.13: the vector in bits 3 to 15, EXT for an event from within. QEMU multiplies by 16.
    CHECK_EQ_NOT_QEMU(c.error, SELECTOR_ERROR(VEC_UD) | EXT);
    break_gate(VEC_GP);
    c = catch_fault(general, NULL);
    CHECK_EQ(c.vector, VEC_DF);
    CHECK_EQ(c.error, 0);
    break_gate(VEC_PF);
    c = catch_fault(page, NULL);
    CHECK_EQ(c.vector, VEC_DF);
    CHECK_EQ(c.error, 0);
    CHECK_EQ(c.cr2, TEST_VA);
    trap_set(VEC_PF, NULL);
    // A page fault by push, and another one when its frame is pushed.
    c = catch_fault(stack_on_nothing, (void *)(TEST_VA + PAGE));
    CHECK_EQ(c.vector, VEC_DF);
    return 0;
}

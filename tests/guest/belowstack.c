// SPDX-License-Identifier: BSD-2-Clause
// What calls, returns and jumps leave below rsp: the return address where ret took it, and nothing else. With
// interrupts off it is the guest's to look at (SDM vol. 2, CALL and RET, say what is written; nothing says it goes
// away).
#include "guest/lib.h"

IMAGE("belowstack");

#define SENTINEL 0x1234

// A call and its return, then a jump to where the call returned to.
static void landing_and_jump(void)
{
    uint64_t after_ret, after_jump, back;
    __asm__ volatile("xorl %%ecx, %%ecx\n"
                     "call 3f\n"
                     "1: testl %%ecx, %%ecx\n"
                     "jnz 2f\n"
                     "movq -8(%%rsp), %[after_ret]\n"
                     "movq %[sentinel], -8(%%rsp)\n"
                     "incl %%ecx\n"
                     "leaq 1b(%%rip), %%rdx\n"
                     "jmp *%%rdx\n"
                     "3: ret\n"
                     "2: movq -8(%%rsp), %[after_jump]\n"
                     "leaq 1b(%%rip), %[back]\n"
                     : [after_ret] "=&r"(after_ret), [after_jump] "=&r"(after_jump), [back] "=&r"(back)
                     : [sentinel] "i"(SENTINEL)
                     : "rcx", "rdx", "cc", "memory");
    CHECK_EQ(after_ret, back);
    CHECK_EQ(after_jump, SENTINEL);
}

// ret to an address that no call has pushed, twice: the first time nobody knows it.
static void computed_return(void)
{
    for (unsigned i = 0; i < 2; i++) {
        uint64_t target, below;
        __asm__ volatile("leaq 1f(%%rip), %[target]\n"
                         "pushq %[target]\n"
                         "ret\n"
                         "1: movq -8(%%rsp), %[below]\n"
                         : [target] "=&r"(target), [below] "=&r"(below)
                         :
                         : "memory");
        CHECK_EQ(below, target);
    }
}

// ret that drops an argument: the slot lies 16 bytes below the new rsp, and the argument's below that is untouched.
static void return_with_operand(void)
{
    uint64_t argument, slot, back;
    __asm__ volatile("pushq %[sentinel]\n"
                     "call 2f\n"
                     "1: movq -8(%%rsp), %[argument]\n"
                     "movq -16(%%rsp), %[slot]\n"
                     "leaq 1b(%%rip), %[back]\n"
                     "jmp 3f\n"
                     "2: ret $8\n"
                     "3:\n"
                     : [argument] "=&r"(argument), [slot] "=&r"(slot), [back] "=&r"(back)
                     : [sentinel] "i"(SENTINEL)
                     : "memory");
    CHECK_EQ(argument, SENTINEL);
    CHECK_EQ(slot, back);
}

int image_main(void)
{
    landing_and_jump();
    computed_return();
    return_with_operand();
    return 0;
}

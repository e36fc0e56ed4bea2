// SPDX-License-Identifier: BSD-2-Clause
// Near calls and returns: deep recursion, ret with an immediate, returns that match no call, indirect calls through
// registers and memory, calls that use rsp itself (SDM vol. 2, CALL, RET).
#include "guest/lib.h"

IMAGE("nearcall");

static __attribute__((noinline)) uint64_t depth(uint64_t n)
{
    if (!n)
        return 0;
    uint64_t below = depth(n - 1);
    __asm__("" : "+r"(below));
    return below + n;
}

static __attribute__((noinline)) uint64_t even(uint64_t n);
static __attribute__((noinline)) uint64_t odd(uint64_t n)
{
    return n ? even(n - 1) + 1 : 1;
}

static __attribute__((noinline)) uint64_t even(uint64_t n)
{
    return n ? odd(n - 1) : 0;
}

static uint64_t add_one(uint64_t n)
{
    return n + 1;
}

static uint64_t twice(uint64_t n)
{
    return 2 * n;
}

static void returns(void)
{
    uint64_t r = 0, rsp_before, rsp_after;
    __asm__ volatile(
        "movq %%rsp, %1; pushq $5; pushq $6; call 1f; jmp 2f; 1: movq 8(%%rsp), %0; ret $16; 2: movq %%rsp, %2"
        : "=&r"(r), "=&r"(rsp_before), "=&r"(rsp_after)
        :
        : "memory");
    CHECK(r == 6 && rsp_before == rsp_after);
    // A return to where nobody called from.
    __asm__ volatile("leaq 1f(%%rip), %%rax; pushq %%rax; movl $1, %k0; ret; movl $2, %k0; 1:"
                     : "=&r"(r)
                     :
                     : "rax", "memory");
    CHECK_EQ(r, 1);
    // A call whose return address is changed on the way.
    __asm__ volatile(
        "call 1f; movl $1, %k0; jmp 2f; 1: leaq 2f(%%rip), %%rax; movq %%rax, (%%rsp); movl $3, %k0; ret; 2:"
        : "=&r"(r)
        :
        : "rax", "memory");
    CHECK_EQ(r, 3);
    // A call that is no call but reads rip.
    __asm__ volatile("call 1f; 1: popq %0; leaq 1b(%%rip), %%rax; subq %%rax, %0" : "=&r"(r) : : "rax", "memory");
    CHECK_EQ(r, 0);
    // Two frames dropped at once.
    __asm__ volatile("call 1f; jmp 3f; 1: call 2f; movl $1, %k0; ret; 2: addq $8, %%rsp; movl $4, %k0; ret; 3:"
                     : "=&r"(r)
                     :
                     : "memory");
    CHECK_EQ(r, 4);
}

static void indirect(void)
{
    uint64_t (*volatile functions[2])(uint64_t) = {add_one, twice};
    uint64_t v = 1;
    for (unsigned i = 0; i < 40; i++)
        v = functions[i & 1](v) & 0xffff;
    uint64_t want = 1;
    for (unsigned i = 0; i < 40; i++)
        want = (i & 1 ? 2 * want : want + 1) & 0xffff;
    CHECK_EQ(v, want);
    // The operand is read before the return address is pushed, by a memory operand relative to rsp too.
    uint64_t r;
    __asm__ volatile("leaq 1f(%%rip), %%rax; pushq %%rax; call *(%%rsp); jmp 2f; 1: movl $7, %k0; ret; 2: popq %%rax"
                     : "=&r"(r)
                     :
                     : "rax", "memory");
    CHECK_EQ(r, 7);
    __asm__ volatile("leaq 1f(%%rip), %%rax; pushq %%rax; jmp *(%%rsp); movl $1, %k0; 1: movl $8, %k0; popq %%rax"
                     : "=&r"(r)
                     :
                     : "rax", "memory");
    CHECK_EQ(r, 8);
}

int image_main(void)
{
    CHECK_EQ(depth(300), 45150);
    CHECK_EQ(even(101), 51);
    returns();
    indirect();
    return 0;
}

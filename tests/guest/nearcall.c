// SPDX-License-Identifier: BSD-2-Clause
// Near calls and returns: deep recursion, ret with an immediate, returns that match no call, indirect calls through
// registers and memory, calls that use rsp itself (SDM vol. 2, CALL, RET).
#include "guest/state.h"

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

// Through tables, by every kind of address, and by the registers that a translator would like to borrow.
static void through_tables(void)
{
    uint64_t (*const table[4])(uint64_t) = {add_one, twice, add_one, twice};
    uint64_t r, v, c, d;
    __asm__ volatile("movq $3, %%rcx; movq $9, %%rdx; movq $5, %%rdi; call *-16(%[table],%%rcx,8)" // twice
                     : "=a"(r), "=c"(c), "=d"(d)
                     : [table] "b"(table)
                     : "rdi", "rsi", "r8", "r9", "r10", "r11", "memory", "cc");
    CHECK_EQ(r, 10);
    __asm__ volatile("movq %[table], %%rcx; movq $5, %%rdi; call *(%%rcx)"
                     : "=a"(r)
                     : [table] "b"(table)
                     : "rcx", "rdx", "rdi", "rsi", "r8", "r9", "r10", "r11", "memory", "cc");
    CHECK_EQ(r, 6);
    __asm__ volatile(
        "leaq 1f(%%rip), %%rax; pushq %%rax; movq %%rsp, %%rdx; movq $11, %%rcx; jmp *(%%rdx); movl $1, %k0\n"
        "1: popq %%rax; movq %%rcx, %[v]; movl $2, %k0; subq %%rdx, %%rsp; addq %%rdx, %%rsp"
        : "=&b"(r), [v] "=&S"(v)
        :
        : "rax", "rcx", "rdx", "memory", "cc");
    CHECK(r == 2 && v == 11);
    __asm__ volatile("movq $12, %%rcx; jmp *2f(%%rip); 2: .quad 1f; 1: movq %%rcx, %0" : "=&r"(v) : : "rcx");
    CHECK_EQ(v, 12);
}

// The target cannot be read, or the return address not be pushed: nothing has changed.
static uint64_t fault_registers[3]; // rcx, rdx, rsp

static void note_registers(struct trap_frame *frame)
{
    fault_registers[0] = frame->rcx;
    fault_registers[1] = frame->rdx;
    fault_registers[2] = frame->rsp;
    frame->rip = frame->rbx;
    frame->rsp = frame->rbp;
}

#define ABSENT 0x4000000000ull

static void faults(void)
{
    uint64_t sp;
    map_page(ABSENT, 0, 0);
    trap_set(VEC_PF, note_registers);
    tss_set_ist(7, (uint64_t)page_alloc() + 4096);
    idt_set_raw(VEC_PF, (void (*)(void))(trap_stubs + VEC_PF * TRAP_STUB_BYTES), 7, 0);
    __asm__ volatile("pushq %%rbp; leaq 1f(%%rip), %%rbx; movq %%rsp, %%rbp; movq $21, %%rcx; movq $22, %%rdx\n"
                     "movq %%rsp, %0; call *(%[absent])\n1: popq %%rbp"
                     : "=&S"(sp)
                     : [absent] "D"(ABSENT)
                     : "rax", "rbx", "rcx", "rdx", "memory", "cc");
    CHECK(fault_registers[0] == 21 && fault_registers[1] == 22 && fault_registers[2] == sp);
    uint64_t (*const target)(uint64_t) = add_one;
    __asm__ volatile("pushq %%rbp; leaq 1f(%%rip), %%rbx; movq %%rsp, %%rbp; movq $23, %%rcx; movq $24, %%rdx\n"
                     "movq %[absent], %%rsp; call *(%[target])\n1: popq %%rbp"
                     :
                     : [absent] "D"(ABSENT + 64), [target] "S"(&target)
                     : "rax", "rbx", "rcx", "rdx", "memory", "cc");
    CHECK(fault_registers[0] == 23 && fault_registers[1] == 24 && fault_registers[2] == ABSENT + 64);
}

int image_main(void)
{
    CHECK_EQ(depth(300), 45150);
    CHECK_EQ(even(101), 51);
    returns();
    indirect();
    through_tables();
    faults();
    return 0;
}

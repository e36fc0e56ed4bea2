// SPDX-License-Identifier: BSD-2-Clause
// Far jumps and returns within CPL 0, and what they refuse (SDM vol. 3, 5.8; vol. 2, JMP, RET). Gates: callgate.
#include "tests/guest/descriptors.h"
#include "tests/guest/judge.h"

IMAGE("farcontrol");

static uint64_t table[LIBRARY_ENTRIES + OWN_ENTRIES] __attribute__((aligned(16)));

enum entry { CODE0, ABSENT, BOTH_MODES };
#define SELECTOR(entry) ((uint64_t)OWN_SELECTOR(entry))

static uint16_t read_cs(void)
{
    uint16_t cs;
    __asm__ volatile("movw %%cs, %0" : "=r"(cs));
    return cs;
}

// lretq to the same level with a selector; returns the cs seen there.
static uint64_t far_return(uint64_t selector)
{
    uint64_t cs = 0;
    __asm__ volatile("pushq %1; leaq 1f(%%rip), %%rcx; pushq %%rcx; lretq; 1: movw %%cs, %w0\n"
                     "pushq %2; leaq 2f(%%rip), %%rcx; pushq %%rcx; lretq; 2:"
                     : "+r"(cs)
                     : "r"(selector), "i"(KERNEL_CS)
                     : "rcx", "memory");
    return cs;
}

static void bad_return(void *selector)
{
    far_return((uint64_t)selector);
}

// A far pointer with 32 bits of offset: the form with 64 is Intel's alone.
struct far_pointer {
    uint32_t offset;
    uint16_t selector;
} __attribute__((packed));

// To the identity map's alias of the next instruction, which 32 bits reach, and back.
static void far_jump(void *pointer)
{
    struct far_pointer *p = pointer;
    __asm__ volatile("leaq 1f(%%rip), %%rax; movl %%eax, (%0); subl %1, (%0)\n"
                     "ljmp *(%0); ud2; 1: movq $2f, %%rax; jmp *%%rax; 2:"
                     :
                     : "r"(p), "i"(KERNEL_VIRT_BASE & 0xffffffff)
                     : "rax", "memory", "cc");
}

static bool gives(void (*fn)(void *), void *arg, int vector, uint64_t error)
{
    struct caught c = catch_fault(fn, arg);
    return c.vector == vector && (vector < 0 || c.error == error);
}

static void within_cpl0(void)
{
    CHECK_EQ(far_return(SELECTOR(CODE0)), SELECTOR(CODE0));
    CHECK_EQ(read_cs(), KERNEL_CS);
    CHECK(gives(bad_return, (void *)0, VEC_GP, 0));
    CHECK(gives(bad_return, (void *)KERNEL_DS, VEC_GP, KERNEL_DS));
    CHECK(gives(bad_return, (void *)0xfff8, VEC_GP, 0xfff8));
    CHECK(gives(bad_return, (void *)SELECTOR(ABSENT), VEC_NP, SELECTOR(ABSENT)));
    // L and D both set (SDM vol. 3, 3.4.5); QEMU does not look.
    CHECK_NOT_QEMU(gives(bad_return, (void *)SELECTOR(BOTH_MODES), VEC_GP, SELECTOR(BOTH_MODES)));
    struct far_pointer p = {0, (uint16_t)SELECTOR(CODE0)};
    far_jump(&p);
    CHECK_EQ(read_cs(), SELECTOR(CODE0));
    p.selector = KERNEL_CS;
    far_jump(&p);
    CHECK_EQ(read_cs(), KERNEL_CS);
    p.selector = KERNEL_DS;
    CHECK(gives(far_jump, &p, VEC_GP, KERNEL_DS));
    p.selector = USER_CS; // not conforming, another level
    CHECK(gives(far_jump, &p, VEC_GP, USER_CS & ~3));
}

int image_main(void)
{
    own_gdt(table);
    table[LIBRARY_ENTRIES + CODE0] = CODE64_DESCRIPTOR(0);
    table[LIBRARY_ENTRIES + ABSENT] = CODE64_DESCRIPTOR(0) & ~D_P;
    table[LIBRARY_ENTRIES + BOTH_MODES] = CODE64_DESCRIPTOR(0) | D_DB;
    within_cpl0();
    return 0;
}

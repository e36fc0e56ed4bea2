// SPDX-License-Identifier: BSD-2-Clause
// Code that is made to break translators: rewritten in tight loops while it runs, made faster than any cache of
// translations can hold, jumped into at every byte, and changed behind a store that turned out to go to a device.
#include "tests/guest/access.h"

IMAGE("abuse_code");

#define CODE_VA 0x500000000000ull
#define MANY_VA 0x510000000000ull
#define MANY_PAGES 200u
#define DEVICE_VA 0x520000000000ull
#define MOV_EAX 0xb8
#define RET 0xc3

static uint64_t call(uint64_t at, uint64_t rdi)
{
    uint64_t r;
    __asm__ volatile("call *%1"
                     : "=a"(r), "+c"(at), "+D"(rdi)
                     :
                     : "rdx", "rsi", "r8", "r9", "r10", "r11", "memory", "cc");
    return (uint32_t)r;
}

static void put_function(uint64_t at, uint32_t result) // mov $result, %eax; ret
{
    volatile uint8_t *p = (volatile uint8_t *)at;
    p[0] = MOV_EAX;
    for (unsigned i = 0; i < 4; i++)
        p[1 + i] = (uint8_t)(result >> 8 * i);
    p[5] = RET;
}

static void rewrite(void)
{
    bool all = true;
    for (uint32_t i = 0; i < 5000; i++) {
        put_function(CODE_VA + i % 7, i);
        all &= call(CODE_VA + i % 7, 0) == i;
    }
    CHECK(all);
}

// As many functions as fit, called once each, and again: every page is a different mapping of the same RAM, so that the
// code is the same and its addresses are not.
static void fill(void)
{
    uint64_t pa = phys_of(page_alloc());
    for (unsigned i = 0; i < MANY_PAGES; i++)
        map_page(MANY_VA + i * PAGE, pa, PTE_P | PTE_W);
    for (unsigned i = 0; i + 6 <= PAGE; i += 6)
        put_function(MANY_VA + i, i);
    uint64_t sum = 0, want = 0;
    for (unsigned pass = 0; pass < 2; pass++)
        for (unsigned page = 0; page < MANY_PAGES; page++)
            for (unsigned i = 0; i + 6 <= PAGE; i += 6)
                sum += call(MANY_VA + page * PAGE + i, 0), want += i;
    CHECK_EQ(sum, want);
    put_function(MANY_VA, 12345); // all of them at once
    CHECK_EQ(call(MANY_VA + (MANY_PAGES - 1) * PAGE, 0), 12345);
    CHECK_EQ(call(MANY_VA, 0), 12345);
}

// Twelve instructions, of which the last is a short store; what follows is a function too.
extern const uint8_t tail_jump[], tail_start[], tail_next[], tail_end[];
__asm__(".section .rodata\n"
        "tail_jump: cmpl $0, %esi; jne tail_next; testl %esi, %esi; je tail_next; ret\n"
        "tail_start: xorl %eax, %eax; incl %eax; incl %eax; incl %eax; incl %eax; incl %eax; incl %eax; incl %eax\n"
        "incl %eax; incl %eax; incl %eax; movb %al, (%rdi)\n"
        "tail_next: movl $0x11223344, %eax; ret\ntail_end:\n"
        ".text");

static void store_at_the_end(void)
{
    uint8_t byte;
    volatile uint8_t *to = (volatile uint8_t *)CODE_VA;
    map_page(DEVICE_VA, 0xfee00000, PTE_P | PTE_W);
    for (const uint8_t *p = tail_jump; p < tail_end; p++)
        *to++ = *p;
    uint64_t start = CODE_VA + (uint64_t)(tail_start - tail_jump), next = CODE_VA + (uint64_t)(tail_next - tail_jump);
    CHECK_EQ(call(start, (uint64_t)&byte), 0x11223344);
    CHECK_EQ(call(CODE_VA, 0), 0x11223344);
    CHECK_EQ(call(next, 0), 0x11223344);
    CHECK_EQ(call(start, DEVICE_VA + 0x80), 0x11223344);
    CHECK_EQ(call(next, 0), 0x11223344);
    CHECK_EQ(call(CODE_VA, 0), 0x11223344);
    CHECK_EQ(call(start, (uint64_t)&byte), 0x11223344);
    CHECK_EQ(byte, 10);
}

static void jump_to(void *va)
{
    __asm__ volatile("movq %%rsp, %%rbx; movq %%rbp, %%r12; call *%%rdi; movq %%rbx, %%rsp; movq %%r12, %%rbp"
                     :
                     : "D"(va)
                     : "rax", "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "r12", "memory", "cc");
}

// Every byte of an instruction is an entry; then off the page's end, between two instructions and inside one.
static void odd_entries(void)
{
    volatile uint8_t *p = (volatile uint8_t *)CODE_VA;
    for (unsigned i = 0; i < PAGE; i++)
        p[i] = (uint8_t) "\x48\xb8\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc"[i % 11]; // movabs $..., %rax; int3
    for (unsigned i = 0; i < 22; i++) {
        struct caught c = catch_fault(jump_to, (void *)(CODE_VA + i));
        CHECK_EQ(c.vector, VEC_BP);
        CHECK_EQ(c.rip, CODE_VA + i / 11 * 11 + (i % 11 == 0 ? 11 : i % 11 == 1 ? 7 : i % 11 + 1));
    }
    for (unsigned i = 0; i < PAGE; i++)
        p[i] = 0x90;
    CHECK_EQ(catch_fault(jump_to, (void *)CODE_VA).vector, VEC_PF);
    CHECK_EQ(read_cr2(), CODE_VA + PAGE);
    p[PAGE - 1] = MOV_EAX; // its immediate is on the page that is not there
    CHECK_EQ(catch_fault(jump_to, (void *)(CODE_VA + PAGE - 8)).vector, VEC_PF);
    CHECK_EQ(read_cr2(), CODE_VA + PAGE);
}

static void nowhere(void)
{
    static const uint64_t wild[] = {0x600000000000,     0x600000000fff, 0xffff900000000000, 0x10000000000,
                                    0xffff810000000000, 0x7f0000000000, 0x7f9000000000};
    for (unsigned i = 0; i < sizeof wild / sizeof *wild; i++)
        CHECK_EQ(fault_of(jump_to, wild[i]), 0x10);
    CHECK_EQ(catch_fault(jump_to, (void *)0x800000000000).vector, VEC_GP);
    CHECK_EQ(catch_fault(jump_to, (void *)0xffff7fffffffffff).vector, VEC_GP);
    map_page(DEVICE_VA, 0, 0);
    remap(DEVICE_VA, phys_of(page_alloc()) | PTE_P | PTE_W | PTE_NX);
    CHECK_EQ(fault_of(jump_to, DEVICE_VA + 100), 0x11);
}

int image_main(void)
{
    map_page(CODE_VA, phys_of(page_alloc()), PTE_P | PTE_W);
    rewrite();
    store_at_the_end();
    odd_entries();
    nowhere();
    fill();
    return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
// Code that changes itself as it runs: the next instruction, the same one in the next turn of a loop, one in the block
// before. Processors since the P6 see each store at once (SDM vol. 3, 8.1.3, 11.6).
#include "tests/guest/access.h"

IMAGE("smc_self");

#define CODE TEST_VA

// Position-independent code between two labels, to be copied to a page that can be written.
extern const uint8_t next_start[], next_end[], loop_start[], loop_end[], before_start[], before_end[];
extern const uint8_t insn_start[], insn_end[], rep_start[], rep_end[];
__asm__(".section .rodata\n"
        // The second instruction is changed by the first: returns 7 and not 1.
        "next_start: movb $7, 1f+1(%rip)\n1: movl $1, %eax\n ret\nnext_end:\n"
        // Sums what its immediate runs through: 0 + 1 + ... + 99.
        "loop_start: xorl %eax, %eax; movl $100, %ecx; movl $0, 1f+1(%rip)\n"
        "1: addl $0x1000000, %eax; incl 1b+1(%rip); decl %ecx; jnz 1b; ret\nloop_end:\n"
        // A block that changes one that has run before, and goes there again: 1 then 2.
        "before_start: movl $0, %edx; movb $1, 1f+1(%rip)\n"
        "1: movl $1, %eax; addl %eax, %edx; cmpl $2, %eax; je 2f; movb $2, 1b+1(%rip); jmp 1b\n"
        "2: movl %edx, %eax; ret\nbefore_end:\n"
        // A jump becomes two nops, while the block is running.
        "insn_start: movw $0x9090, 1f(%rip)\n1: jmp 2f; movl $3, %eax; ret; 2: movl $4, %eax; ret\ninsn_end:\n"
        // rep stosb writes over the instruction behind it: nops over an instruction of 5 bytes.
        "rep_start: movl $9, %ebx; leaq 1f(%rip), %rdi; movl $0x90, %eax; movl $5, %ecx; rep stosb\n"
        "1: movl $8, %ebx; movl %ebx, %eax; ret\nrep_end:\n"
        ".text");

static uint32_t run(const uint8_t *start, const uint8_t *end)
{
    volatile uint8_t *to = (volatile uint8_t *)CODE;
    for (const uint8_t *p = start; p < end; p++)
        *to++ = *p;
    uint32_t r;
    __asm__ volatile("call *%1" : "=a"(r) : "r"(CODE) : "rbx", "rcx", "rdx", "rdi", "memory", "cc");
    return r;
}

int image_main(void)
{
    map_page(CODE, phys_of(page_alloc()), PTE_P | PTE_W);
    for (unsigned i = 0; i < 3; i++) {
        CHECK_EQ(run(next_start, next_end), 7);
        CHECK_EQ(run(loop_start, loop_end), 4950);
        CHECK_EQ(run(before_start, before_end), 3);
        CHECK_EQ(run(insn_start, insn_end), 3);
        CHECK_EQ(run(rep_start, rep_end), 9);
    }
    return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
// 32-bit code at CPL 3 under a 64-bit kernel: what its instructions mean there, and every way in and out: iretq,
// sysret, far jumps and returns, int n, exceptions, interrupts (SDM vol. 1, 3.1; vol. 2 under each name; vol. 3, 6.14).
#include "tests/guest/code32.h"
#include "tests/guest/judge.h"
#include "tests/guest/pc.h"

IMAGE("compat");

// ---- Instructions ----

CODE32(inc_dec, "xorl %eax, %eax; .byte 0x40, 0x40, 0x40, 0x48; int3"); // REX in 64-bit mode
CODE32(stack_width, "movl %esp, %ecx; pushl $7; subl %esp, %ecx; popl %eax; int3");
CODE32(calls, "call 1f; addl $1, %eax; int3; 1: movl $0x10, %eax; ret");
CODE32(pushes_all, "movl $1, %eax; pusha; movl 28(%esp), %edx; movl 12(%esp), %ecx; int3");
CODE32(pops_all,
       "movl $1, %eax; movl $6, %esi; pusha; xorl %esi, %esi; movl $9, 28(%esp); movl $8, 12(%esp); popa; int3");
CODE32(decimal, "movw $0x0905, %ax; addb $7, %al; aaa; aam; aad; int3");
CODE32(packed, "movb $0x38, %al; addb $0x45, %al; daa; int3");
CODE32(addressing16, "movw %bx, %si; movl $0x12345678, (%ebx); .byte 0x67; leal 4(%si), %eax; int3");
CODE32(strings, "movl %ebx, %edi; movl $0x41414141, %eax; movl $8, %ecx; rep stosl; movl %ebx, %esi\n"
                "leal 64(%ebx), %edi; movl $32, %ecx; rep movsb; movl 92(%ebx), %eax; int3");
CODE32(enters, "movl %esp, %ebp; movl %esp, %edx; enter $16, $1; movl %esp, %ecx; leave; subl %esp, %edx\n"
               "movl %edx, %eax; subl %ecx, %esp; movl %esp, %ecx; int3");
CODE32(loops, "movl $5, %ecx; xorl %eax, %eax; 1: addl %ecx, %eax; loop 1b; int3");
CODE32(upper_half, "movl $-1, %eax; incl %ecx; int3");
CODE32(segments, "pushl %ds; popl %es; movw %es, %ax; int3");
CODE32(flags32, "pushfl; popl %eax; orl $0x200000, %eax; pushl %eax; popfl; pushfl; popl %eax; int3");

static void instructions(void)
{
    RUN32(inc_dec);
    CHECK(ENDED(VEC_BP, LENGTH32(inc_dec)) && RESULT == 2);
    CHECK(ended.at.cs == USER_CS32 && ended.at.ss == USER_DS && ended.at.rsp == STACK32);
    RUN32(stack_width);
    CHECK(ENDED(VEC_BP, LENGTH32(stack_width)) && RESULT == 7 && ended.at.rcx == 4);
    RUN32(calls);
    CHECK(ended.at.vector == VEC_BP && RESULT == 0x11 && ended.at.rsp == STACK32);
    RUN32(pushes_all);
    CHECK(ended.at.rdx == 1 && ended.at.rcx == STACK32 && ended.at.rsp == STACK32 - 32);
    RUN32(pops_all);
    CHECK(RESULT == 9 && ended.at.rsi == 6 && ended.at.rsp == STACK32); // esp is not popped
    RUN32(decimal);
    CHECK_EQ(RESULT & 0xffff, 2);
    RUN32(packed);
    CHECK_EQ(RESULT & 0xff, 0x83);
    RUN32(addressing16);
    CHECK_EQ(RESULT, 4);
    RUN32(strings);
    CHECK_EQ(RESULT, 0x41414141);
    RUN32(enters);
    CHECK(RESULT == 0);
    RUN32(loops);
    CHECK_EQ(RESULT, 15);
    struct trap_frame regs = regs32();
    regs.r8 = 0x1122334455667788; // out of reach, and kept
    run_regs(upper_half, upper_half_end, &regs);
    CHECK(ended.at.rax == 0xffffffff && ended.at.rcx == 1 && ended.at.r8 == 0x1122334455667788);
    RUN32(segments);
    CHECK(ended.es == USER_DS && (RESULT & 0xffff) == USER_DS);
    RUN32(flags32);
    CHECK(RESULT & FLAG_ID);
}

// ---- Exceptions ----

CODE32(divides, "xorl %edx, %edx; xorl %ecx, %ecx; divl %ecx");
CODE32(undefined, "ud2");
CODE32(halts, "hlt");
CODE32(overflows, "movl $0x7fffffff, %eax; incl %eax; into");
CODE32(no_overflow, "xorl %eax, %eax; into; int3");
CODE32(bounds,
       "movl $3, (%ebx); movl $5, 4(%ebx); movl $4, %eax; bound %eax, (%ebx); movl $6, %eax; bound %eax, (%ebx)");
CODE32(calls_kernel, "movl $0x55, %eax; int $0x80");
CODE32(writes_gap, "movl $0x40030ffe, %ecx; movl %eax, (%ecx)");
CODE32(jumps_gap, "movl $0x40030000, %ecx; jmp *%ecx");
CODE32(loads_kernel_segment, "movl $0x18, %eax; movw %ax, %ds");
CODE32(uses_null, "xorl %eax, %eax; movw %ax, %es; movl %es:(%ebx), %eax");

static void exceptions(void)
{
    RUN32(divides);
    CHECK(ENDED(VEC_DE, 4));
    RUN32(undefined);
    CHECK(ENDED(VEC_UD, 0));
    RUN32(halts);
    CHECK(ENDED(VEC_GP, 0) && ended.at.error == 0);
    RUN32(overflows);
    CHECK(ENDED(VEC_OF, LENGTH32(overflows)));
    RUN32(no_overflow);
    CHECK(ENDED(VEC_BP, LENGTH32(no_overflow)));
    RUN32(bounds);
    CHECK(ENDED(VEC_BR, LENGTH32(bounds) - 2));
    RUN32(calls_kernel);
    CHECK(ENDED(GATE32, LENGTH32(calls_kernel)) && RESULT == 0x55 && ended.at.cs == USER_CS32);
    RUN32(writes_gap);
    CHECK(ENDED(VEC_PF, 5) && ended.cr2 == GAP32 + 0xffe && ended.at.error == (PF_WRITE | PF_USER));
    RUN32(jumps_gap);
    CHECK(ended.at.vector == VEC_PF && ended.at.rip == GAP32 && ended.cr2 == GAP32);
    RUN32(loads_kernel_segment);
    CHECK(ENDED(VEC_GP, 5) && ended.at.error == KERNEL_DS);
    RUN32(uses_null);
    CHECK_NOT_QEMU(ENDED(VEC_GP, 4) && ended.at.error == 0);
}

// ---- Ways in and out ----

// In 64-bit code at CPL 3: to the far pointer at rbx, and back to AT32 + 0x40 from there.
CODE(64, far_jumps,
     "ljmp *(%rbx); .org far_jumps + 0x20; movl $0x77, %ecx; int3\n"
     ".org far_jumps + 0x40; .code32; .byte 0x40; movl %cs, %edx; ljmp $0x33, $0x40000020; .code64");
CODE(64, far_returns,
     "pushq $0x23; pushq $0x40000040; lretq; .org far_returns + 0x40; .code32\n"
     "movl %cs, %edx; pushl $0x33; pushl $0x40000060; lret; .org far_returns + 0x60; .code64\n"
     "movl $0x78, %ecx; int3");
CODE32(sysret_target, "movl %cs, %edx; .byte 0x40; int3");

void sysret32(uint64_t rip, uint64_t stack);
__asm__(".text\nsysret32: pushq %rbx; pushq %rbp; pushq %r12; pushq %r13; pushq %r14; pushq %r15\n"
        "movq %rsp, rsp32; movq %rsi, %rsp; movq %rdi, %rcx; movl $2, %r11d; xorl %eax, %eax; sysretl\n");

static void ways(void)
{
    struct trap_frame regs = regs32();
    struct far_pointer {
        uint32_t offset;
        uint16_t selector;
    } __attribute__((packed)) *pointer = (void *)DATA32;
    *pointer = (struct far_pointer){AT32 + 0x40, USER_CS32};
    regs.cs = USER_CS;
    run_regs(far_jumps, far_jumps_end, &regs);
    CHECK(ENDED(VEC_BP, 0x26) && ended.at.rcx == 0x77 && ended.at.rdx == USER_CS32 && ended.at.cs == USER_CS);
    CHECK_EQ(ended.at.rax, 1);
    run_regs(far_returns, far_returns_end, &regs);
    CHECK(ended.at.vector == VEC_BP && ended.at.rcx == 0x78 && ended.at.rdx == USER_CS32 && ended.at.rsp == STACK32);
    copy32(AT32, sysret_target, sysret_target_end);
    load_data_segments(USER_DS);
    write_msr(MSR_EFER, read_msr(MSR_EFER) | EFER_SCE);
    sysret32(0xdeadbeef00000000 | AT32, STACK32); // the upper half of rcx does not count
    load_data_segments(KERNEL_DS);
    CHECK(ENDED(VEC_BP, LENGTH32(sysret_target)) && ended.at.rdx == USER_CS32 && ended.at.rax == 1);
    CHECK(ended.at.cs == USER_CS32 && ended.at.ss == USER_DS && ended.at.rsp == STACK32);
}

// ---- Interrupts ----

#define SELF_IPI 0x4000
#define IPI_VECTOR 0x61

static unsigned interrupts;
static uint16_t interrupted_cs;

static void on_interrupt(struct trap_frame *frame)
{
    interrupts++;
    interrupted_cs = (uint16_t)frame->cs;
    lapic_write(LAPIC_EOI, 0);
}

CODE32(counts, "movl $1000, %ecx; xorl %eax, %eax; 1: addl $1, %eax; pushl %eax; popl %edx; loop 1b; int3");

static void interrupted(void)
{
    struct trap_frame regs = regs32();
    regs.rflags |= FLAG_IF;
    lapic_enable(0xff);
    trap_set(IPI_VECTOR, on_interrupt);
    lapic_write(LAPIC_ICR_LOW, 0x40000 | SELF_IPI | IPI_VECTOR);
    run_regs(counts, counts_end, &regs);
    CHECK_EQ(interrupts, 1);
    CHECK_EQ(interrupted_cs, USER_CS32);
    CHECK(ENDED(VEC_BP, LENGTH32(counts)) && RESULT == 1000 && ended.at.rdx == 1000);
}

int image_main(void)
{
    map32();
    instructions();
    exceptions();
    ways();
    interrupted();
    return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
// All ways into the kernel and out of it: system calls, exceptions and interrupts, the first run of a process, the switch
// between two kernel stacks, and copying from and to user memory. gs is the kernel's inside (struct cpu), the program's
// outside: swapgs is the first thing that happens on the way in and the last on the way out.
#include "guest/bantam/layout.h"
#include "guest/frame.h"
#include "x86/regs.h"

#define POPPED_RSP (FRAME_RSP - FRAME_VECTOR) // of the frame, when its 15 registers are popped
#define STUB_RIP (FRAME_RIP - FRAME_VECTOR)   // at a stub's end
#define STUB_CS (FRAME_CS - FRAME_VECTOR)

        .text
// LSTAR. CPL 0 on the user's stack, interrupts off by SFMASK; rcx = the user's rip, r11 = rflags.
        .balign 64
        .globl  syscall_entry
syscall_entry:
        swapgs
        movq    %rsp, %gs:CPU_USER_SP
        movq    %gs:CPU_KERNEL_SP, %rsp
        pushq   $USER_DS
        pushq   %gs:CPU_USER_SP
        pushq   %r11
        pushq   $USER_CS
        pushq   %rcx
        pushq   %rax            // in the place of the error code: the number, as rax becomes the result
        pushq   $SYSCALL_VECTOR
        push_registers
        movq    %rsp, %rdi
        cmpq    $SYSCALL_TABLE_SIZE, %rax
        jae     1f
        call    *syscall_table(, %rax, 8)
2:      movq    %rax, FRAME_RAX(%rsp)

// rsp = the frame, at the top of the process's kernel stack.
        .globl  return_to_user
return_to_user:
        cmpq    $0, %gs:CPU_WORK
        jne     3f
// sysret takes rip from rcx and rflags from r11. Where a signal or an exec changed the frame they differ: iretq. A frame's
// rip is below USER_TOP (signal.c, process.c), so that sysretq never sees a non-canonical one, at which it would fault
// at CPL 0 on the user's stack (SDM vol. 2, SYSRET).
4:      movq    FRAME_RCX(%rsp), %rcx
        cmpq    %rcx, FRAME_RIP(%rsp)
        jne     return_by_iret
        movq    FRAME_R11(%rsp), %rdx
        cmpq    %rdx, FRAME_RFLAGS(%rsp)
        jne     return_by_iret
        testl   $(FLAG_TF | FLAG_RF), %edx
        jnz     return_by_iret
        pop_registers
        movq    POPPED_RSP(%rsp), %rsp
        swapgs
        sysretq

1:      call    syscall_beyond
        jmp     2b
3:      movq    %rsp, %rdi
        call    return_work
        jmp     4b

// Entry stubs, one a vector.
#define IS_FATAL(v) ((v) == VEC_NMI || (v) == VEC_DF || (v) == VEC_MC)
        .balign TRAP_STUB_BYTES
        .globl  entry_stubs
entry_stubs:
        .set    vector, 0
        .rept   ENTRY_STUBS
        .balign TRAP_STUB_BYTES
        .if     !(PUSHES_ERROR(vector))
        pushq   $0
        .endif
        pushq   $vector
        .if     IS_FATAL(vector)
        jmp     fatal_common
        .elseif vector == VEC_DB
        jmp     debug_entry
        .else
        jmp     trap_common
        .endif
        .set    vector, vector + 1
        .endr

// A debug exception has a stack of its own: some processors raise it behind a `syscall` that was single-stepped (Bochs
// does), where rsp and gs are still the program's. That one is passed over: the program's TF is in r11 and comes back.
debug_entry:
        testb   $3, STUB_CS(%rsp)
        jnz     9f
        cmpq    $syscall_entry, STUB_RIP(%rsp)
        jne     fatal_common
        addq    $16, %rsp       // vector and error code
        iretq
9:      swapgs
        pushq   %rax
        movq    %rsp, %rax
        movq    %gs:CPU_KERNEL_SP, %rsp
        swapgs
        .irp    word, 56, 48, 40, 32, 24, 16, 8 // ss to the vector
        pushq   \word(%rax)
        .endr
        movq    (%rax), %rax

// From CPL 3 on the process's kernel stack, from CPL 0 on the running stack.
trap_common:
        testb   $3, STUB_CS(%rsp)
        jz      5f
        swapgs
5:      push_registers
        cld
        movq    %rsp, %rdi
        testb   $3, FRAME_CS(%rsp)
        jz      6f
        cmpb    $0, has_smap    // a program may have set AC
        je      7f
        clac
7:      call    trap_user
        cmpq    $0, %gs:CPU_WORK
        jne     8f
return_by_iret:
        pop_registers
        addq    $16, %rsp       // vector and error code
        swapgs
        iretq
8:      movq    %rsp, %rdi
        call    return_work
        jmp     return_by_iret

// The CPU aligned the frame but not at an odd error code (SDM vol. 3, 6.14.2).
6:      movq    %rsp, %rbp
        andq    $-16, %rsp
        call    trap_kernel
        movq    %rbp, %rsp
        pop_registers
        addq    $16, %rsp
        iretq

// On a stack of their own, and gs may be anybody's.
fatal_common:
        push_registers
        movq    %rsp, %rdi
        cld
        call    trap_fatal
        ud2

// void switch_stacks(uint64_t *save, uint64_t load): goes on where `load` was saved.
        .globl  switch_stacks
switch_stacks:
        pushq   %rbx
        pushq   %rbp
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        movq    %rsp, (%rdi)
        movq    %rsi, %rsp
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %rbp
        popq    %rbx
        ret

// _Noreturn void first_enter(void): from the boot stack to process 1's, whose frame exec_first() fills in.
        .globl  first_enter
first_enter:
        movq    %gs:CPU_KERNEL_SP, %rsp
        subq    $FRAME_BYTES, %rsp
        call    exec_first
        jmp     return_to_user

// ---- User memory. A fault between here and user_access_end that cannot be cured goes on at user_access_failed
// (trap.c), with the stack as these functions found it: so they push nothing. ----
        .globl  user_access_start
user_access_start:

// int user_copy(void *to, const void *from, size_t size)
        .globl  user_copy
user_copy:
        movq    %rdx, %rcx
        cmpb    $0, has_smap
        je      1f
        stac
        rep movsb
        clac
        xorl    %eax, %eax
        ret
1:      rep movsb
        xorl    %eax, %eax
        ret

// int64_t user_copy_string(char *to, const char *from, size_t size): the length, or size where there is no NUL.
        .globl  user_copy_string
user_copy_string:
        xorl    %ecx, %ecx
        cmpb    $0, has_smap
        je      1f
        stac
1:      cmpq    %rdx, %rcx
        je      2f
        movb    (%rsi, %rcx), %al
        movb    %al, (%rdi, %rcx)
        testb   %al, %al
        jz      2f
        incq    %rcx
        jmp     1b
2:      cmpb    $0, has_smap
        je      3f
        clac
3:      movq    %rcx, %rax
        ret
        .globl  user_access_end
user_access_end:

        .globl  user_access_failed
user_access_failed:
        cmpb    $0, has_smap
        je      1f
        clac
1:      movq    $-USER_ACCESS_FAILED, %rax
        ret

        .bss
        .balign 16
        .skip   DEBUG_STACK_BYTES
        .globl  debug_stack_top
debug_stack_top:

// The kernel's half of every address space, beside the image's own (guest/tables.S): the direct map.
        .section .page_tables, "aw"
        .balign 4096
        .globl  direct_pdpt
direct_pdpt:
        .quad   direct_pd - KERNEL_VIRT_BASE + PTE_P + PTE_W + PTE_A
        .fill   511, 8, 0
direct_pd:
        .set    address, 0
        .rept   DIRECT_MAP_BYTES >> 21
        .quad   PTE_NX + address + PTE_P + PTE_W + PTE_A + PTE_D + PTE_PS + PTE_G
        .set    address, address + 0x200000
        .endr

        .section .note.GNU-stack, "", @progbits

// SPDX-License-Identifier: BSD-2-Clause
// To CPL 3 and back. The way back is a breakpoint and not syscall, so that LSTAR is the image's to use; and not another
// vector, because software back ends of /dev/kvm know int3 at CPL 3 but not int n.
#include "guest/layout.h"
#include "x86/regs.h"

        .text
// uint64_t user_call(fn, arg0, arg1): fn(arg0, arg1) at CPL 3 on the user stack, with the caller's flags. Not
// re-entrant: there is one user stack.
        .globl  user_call
user_call:
        pushq   %rbx
        pushq   %rbp
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        pushfq
        movq    (%rsp), %r8
        movq    %rsp, user_call_rsp
        pushq   $USER_DS
        pushq   $user_stack_top
        pushq   %r8
        pushq   $USER_CS
        pushq   $user_start
        movq    %rdi, %rax
        movq    %rsi, %rdi
        movq    %rdx, %rsi
        iretq

// _Noreturn void user_return(result): from trap_dispatch(), after the breakpoint, back into user_call's frame.
        .globl  user_return
user_return:
        movq    %rdi, %rax
        movq    user_call_rsp, %rsp
        popfq
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %rbp
        popq    %rbx
        ret

// What LSTAR holds until the image sets it; syscall has left us on the user's stack.
        .globl  syscall_unexpected
syscall_unexpected:
        movq    $trap_stack_top, %rsp
        call    panic_at_syscall
        ud2

        .section .user.text, "ax"
user_start:
        call    *%rax
        int3
        .globl  user_done
user_done:
        ud2

        .section .user.bss, "aw", @nobits
        .balign 16
        .skip   USER_STACK_BYTES
user_stack_top:

        .bss
        .balign 8
user_call_rsp:
        .quad   0

        .section .note.GNU-stack, "", @progbits

// SPDX-License-Identifier: BSD-2-Clause
// To CPL 3 and back. The way back is a software interrupt and not syscall, so that LSTAR is the image's to use.
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

// Gate VEC_USER_RETURN, on the trap stack: back into user_call's frame, rax = fn's result.
        .globl  user_return
user_return:
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
        int     $VEC_USER_RETURN
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

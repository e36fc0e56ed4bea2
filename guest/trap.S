// SPDX-License-Identifier: BSD-2-Clause
// Entry stubs of all 256 vectors, the common path into trap_dispatch() with a struct trap_frame, and catch_fault()'s
// way there and back.
#include "guest/frame.h"
#include "guest/layout.h"
#include "x86/regs.h"

        .text
        .balign TRAP_STUB_BYTES
        .globl  trap_stubs
trap_stubs:
        .set    vector, 0
        .rept   256
        .balign TRAP_STUB_BYTES
        .if     !(PUSHES_ERROR(vector))
        pushq   $0
        .endif
        pushq   $vector
        jmp     trap_common
        .set    vector, vector + 1
        .endr

// The stack is the one the gate chose: the running one at CPL 0, the trap stack from CPL 3.
trap_common:
        push_registers
        cld
        movq    %rsp, %rdi
        movq    %rsp, %rbp      // the CPU aligned the frame (SDM vol. 3, 6.14.2), but not at an odd error code
        andq    $-16, %rsp
        call    trap_dispatch
        movq    %rbp, %rsp
        pop_registers
        addq    $16, %rsp       // vector and error code
        iretq

// void catch_call(fn, arg, point): fn(arg), with our stack pointer noted as the point's first member.
        .globl  catch_call
catch_call:
        pushq   %rbx
        pushq   %rbp
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        pushfq
        movq    %rsp, (%rdx)
        movq    %rdi, %rax
        movq    %rsi, %rdi
        call    *%rax
// Where trap_dispatch() sends a caught fault, with rsp = point->rsp.
        .globl  catch_resume
catch_resume:
        popfq
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %rbp
        popq    %rbx
        ret

        .bss
        .balign 16
        .skip   TRAP_STACK_BYTES
        .globl  trap_stack_top
trap_stack_top:
        .skip   TRAP_STACK_BYTES
        .globl  double_fault_stack_top
double_fault_stack_top:

        .section .note.GNU-stack, "", @progbits

// SPDX-License-Identifier: BSD-2-Clause
// For assembly: the registers of struct trap_frame (guest/lib.h), and what the CPU has pushed before them.
#ifndef RINGSIDE_GUEST_FRAME_H
#define RINGSIDE_GUEST_FRAME_H

#include "x86/regs.h"

// Vectors at which the CPU pushes an error code (SDM vol. 3, table 6-1).
#define PUSHES_ERROR(v)                                                                                                \
    ((v) == VEC_DF || ((v) >= VEC_TS && (v) <= VEC_PF) || (v) == VEC_AC || (v) == 21 || (v) == 29 || (v) == 30)

// clang-format off
        .macro  push_registers
        pushq   %rax
        pushq   %rbx
        pushq   %rcx
        pushq   %rdx
        pushq   %rsi
        pushq   %rdi
        pushq   %rbp
        pushq   %r8
        pushq   %r9
        pushq   %r10
        pushq   %r11
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        .endm

        .macro  pop_registers
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %r11
        popq    %r10
        popq    %r9
        popq    %r8
        popq    %rbp
        popq    %rdi
        popq    %rsi
        popq    %rdx
        popq    %rcx
        popq    %rbx
        popq    %rax
        .endm
// clang-format on

#endif

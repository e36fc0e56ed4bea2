// SPDX-License-Identifier: BSD-2-Clause
// A program's first instruction. System V ABI for AMD64, 3.4.1: rsp points to argc, the argv pointers and a NULL, the
// envp pointers and a NULL, then the auxiliary vector; rbp is to be 0.
        .text
        .globl  _start
_start:
        xorl    %ebp, %ebp
        movq    %rsp, %rdi
        andq    $-16, %rsp
        call    user_main
        ud2

// Where a signal handler returns to: SA_RESTORER in sigaction(2). The kernel takes the context from the stack.
#define SYS_RT_SIGRETURN 15
        .globl  signal_return
signal_return:
        movl    $SYS_RT_SIGRETURN, %eax
        syscall
        ud2

        .section .note.GNU-stack, "", @progbits

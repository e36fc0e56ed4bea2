// SPDX-License-Identifier: BSD-2-Clause
// The stub: the only code in a process for directly executed guest code that is not the guest's. Copied to
// PROCESS_WINDOW; everything it touches lies at a fixed distance from it, nothing it does needs a stack, and it calls
// nobody. Guest code can jump anywhere here; process.c says why that gains it nothing.
//
// In the monitor it is data: it must not be run there.
#include <asm/unistd.h>

#include "engines/bt/process_inside.h"

#define WAIT_ON_FUTEX 0
#define SET_MASK 2
#define AUTODISARM 0x80000000
#define DISPATCH 59 // PR_SET_SYSCALL_USER_DISPATCH
#define SPECULATE 4 // SECCOMP_FILTER_FLAG_SPEC_ALLOW

#define AT(offset) process_stub_here + (offset) - IN_TEXT(%rip)
#define TOLD(field) AT(IN_TOLD + field)
#define STATE(field) AT(IN_STATE + field)
#define REG(offset) FRAME_MC + 8 * offset(%rsp) // in the signal frame
#define REG_RSP 15
#define REG_RIP 16
#define REG_RFLAGS 17
#define REG_FPU 23

// What to do behind an announcement, in r12d.
#define THEN_ARM 1
#define THEN_UNBLOCK 2

// Vector registers from the image at rcx. Components that the kernel does not save, though the CPU has them (AMX tiles),
// must not be asked for: an Intel CPU touches the image's memory up to their end.
.macro load_vectors
    mov TOLD(T_XCR0), %eax
    mov TOLD(T_XCR0 + 4), %edx
    xrstor64 (%rcx)
.endm

// Both kinds of leaving: everything from a block of 16 registers, behind which nothing is needed any more.
.macro load_registers block, rip, rflags
    lea AT(\rflags), %rsp
    popfq
    mov AT(\block + 8 * 0), %rax
    mov AT(\block + 8 * 1), %rcx
    mov AT(\block + 8 * 2), %rdx
    mov AT(\block + 8 * 3), %rbx
    mov AT(\block + 8 * 5), %rbp
    mov AT(\block + 8 * 6), %rsi
    mov AT(\block + 8 * 7), %rdi
    mov AT(\block + 8 * 8), %r8
    mov AT(\block + 8 * 9), %r9
    mov AT(\block + 8 * 10), %r10
    mov AT(\block + 8 * 11), %r11
    mov AT(\block + 8 * 12), %r12
    mov AT(\block + 8 * 13), %r13
    mov AT(\block + 8 * 14), %r14
    mov AT(\block + 8 * 15), %r15
    mov AT(\block + 8 * 4), %rsp
    jmp *AT(\rip)
.endm

// The next signal goes to that one of the two stacks which the address in eax is not on.
.macro arm_other_stack label
    lea process_stub_stack_a(%rip), %rdi
    lea process_stub_stack_b(%rip), %rcx
    test $STACK_BYTES, %eax
    cmovz %rcx, %rdi
    xor %esi, %esi
    mov $__NR_sigaltstack, %eax
    syscall
    .globl \label
\label:
.endm

.macro note_time field
    rdtsc
    shl $32, %rdx
    or %rdx, %rax
    mov %rax, STATE(\field)
.endm

.macro unblock_signals label
    mov $SET_MASK, %edi
    lea process_stub_no_signals(%rip), %rsi
    xor %edx, %edx
    mov $8, %r10d
    mov $__NR_rt_sigprocmask, %eax
    syscall
    .globl \label
\label:
.endm

.macro keep_late to from
    mov REG(\from), %rax
    mov %rax, STATE(S_LATE_GPR + 8 * \to)
.endm

.macro global name
    .globl \name
\name:
.endm

    .section .rodata
    .balign 64
global process_stub
process_stub_here:

// Constants, which guest code cannot change.
global process_stub_stack_a
    .quad WINDOW + IN_STACK_A
    .long AUTODISARM, 0
    .quad STACK_BYTES
global process_stub_stack_b
    .quad WINDOW + IN_STACK_B
    .long AUTODISARM, 0
    .quad STACK_BYTES
global process_stub_no_signals
    .quad 0

// ---- A stop: the kernel has put a frame on one of the two stacks, and forgotten about both ----

    .balign 16
global process_stub_stop
    mov $THEN_ARM, %r12d
stopped:
    mov %rsp, STATE(S_FRAME)
    rdfsbase %rax
    mov %rax, STATE(S_FS)
    rdgsbase %rax
    mov %rax, STATE(S_GS)
    incl STATE(S_STOPS)
    note_time S_LEFT

// ---- Announcing: the kernel adds to a number that guest code cannot reach ----
announce:
    mov TOLD(T_GO), %rax
    mov %rax, STATE(S_ECHO)
    mov %rax, STATE(S_HINT)
    mov $__NR_write, %eax
    mov $FD_SAID, %edi
    lea STATE(S_ECHO), %rsi
    mov $8, %edx
    syscall
// No message that has come before this is acted on any more.
global process_stub_did_say
    mov TOLD(T_GO), %rbx
    cmp STATE(S_ECHO), %rbx
    jne announce
    test $THEN_ARM, %r12d
    jz wait
    mov %esp, %eax
    arm_other_stack process_stub_did_arm
    test $THEN_UNBLOCK, %r12d
    jz wait
    unblock_signals process_stub_did_unblock

// ---- Waiting for another message than rbx ----
wait:
    xor %ecx, %ecx
1:
    mov TOLD(T_GO), %rax
    cmp %rbx, %rax
    jne told
    inc %ecx
    cmp TOLD(T_SPINS), %ecx
    jae sleep
    pause
    jmp 1b
sleep:
    mov $1, %eax
    xchg %eax, STATE(S_SLEEPS)
    lea TOLD(T_GO), %rdi
    mov $WAIT_ON_FUTEX, %esi
    mov %ebx, %edx
    xor %r10d, %r10d
    mov $__NR_futex, %eax
    syscall
global process_stub_did_wait
    movl $0, STATE(S_SLEEPS)
    jmp wait

told:
    xor %r12d, %r12d
    test $GO_ANSWER, %al
    jz run
    test $(GO_COMMANDS & ~GO_ANSWER), %al
    jz announce

// ---- Commands: here, and only here, is the secret in registers ----
    mov %rax, %rbx
    mov TOLD(T_SECRET), %r13
    mov TOLD(T_SECRET + 8), %r14
    mov TOLD(T_COUNT), %r15
    lea AT(IN_COMMANDS), %rbp
1:
    mov 0(%rbp), %rdi
    mov 8(%rbp), %rsi
    mov 16(%rbp), %rdx
    mov 24(%rbp), %r10
    or %r13, %r10
    mov 32(%rbp), %r8
    or %r14, %r8
    mov 40(%rbp), %r9
    mov 48(%rbp), %rax
    syscall
global process_stub_did_call
    cmp $-4095, %rax
    jae 2f
    add $64, %rbp
    dec %r15
    jnz 1b
    xor %eax, %eax
2:
    xor %r8d, %r8d
    xor %r10d, %r10d
    xor %r13d, %r13d
    xor %r14d, %r14d
    mov %eax, STATE(S_RESULT)
    mov %rbx, STATE(S_DONE)
    jmp wait

// ---- Running the guest ----
run:
    mov TOLD(T_FPU), %rcx
    jrcxz process_stub_leave
    load_vectors
// From here on a signal finds everything that the guest is to have in the shared page or in vector registers.
global process_stub_leave
    note_time S_ENTERED
    cmpl $0, STATE(S_LATE)
    jne too_late
    rdfsbase %rax
    mov TOLD(T_FS), %rcx
    cmp %rax, %rcx
    je 1f
    wrfsbase %rcx
1:
    rdgsbase %rax
    mov TOLD(T_GS), %rcx
    cmp %rax, %rcx
    je 1f
    wrgsbase %rcx
1:
    load_registers IN_TOLD + T_GPR, IN_TOLD + T_RIP, IN_TOLD + T_RFLAGS
too_late: // a kick came behind the message: a fault is the shortest way to announce that
    hlt
global process_stub_leave_end

// ---- SIGURG, a kick; blocked until unblocked ----
    .balign 16
global process_stub_urgent
    mov $THEN_ARM | THEN_UNBLOCK, %r12d
    mov REG(REG_RIP), %rax
    lea process_stub_here(%rip), %rcx
    sub %rcx, %rax
    cmp $process_stub_end - process_stub_here, %rax
    jae stopped
    cmp $process_stub_leave - process_stub_here, %rax
    jb late
    cmp $process_stub_leave_end - process_stub_here, %rax
    jb stopped
    cmp $late_load - process_stub_here, %rax
    jb late
    cmp $late_end - process_stub_here, %rax
    jb late_again

// It has interrupted the stub: make a note of it, and let that go on as if nothing had been.
late:
    movl $1, STATE(S_LATE)
    keep_late 0 13
    keep_late 1 14
    keep_late 2 12
    keep_late 3 11
    keep_late 4 REG_RSP
    keep_late 5 10
    keep_late 6 9
    keep_late 7 8
    keep_late 8 0
    keep_late 9 1
    keep_late 10 2
    keep_late 11 3
    keep_late 12 4
    keep_late 13 5
    keep_late 14 6
    keep_late 15 7
    keep_late 16 REG_RIP
    keep_late 17 REG_RFLAGS
late_again: // or has interrupted the end of this: that begins anew
    mov REG(REG_FPU), %rcx
    load_vectors
late_load:
    mov STATE(S_LATE_GPR + 8 * 4), %rax
    arm_other_stack process_stub_did_late_arm
    unblock_signals process_stub_did_late_unblock
    load_registers IN_STATE + S_LATE_GPR, IN_STATE + S_LATE_RIP, IN_STATE + S_LATE_RFLAGS
late_end:

// ---- The end of setting up: from here on nothing of the monitor is there ----
    .balign 16
global process_stub_begin
    mov $PROCESS_STEP_STUB, %ebp
    xor %edi, %edi
    mov $WINDOW, %rsi
    mov $__NR_munmap, %eax
    syscall
    test %rax, %rax
    js failed
    mov $WINDOW + WINDOW_BYTES, %rdi
    mov $USER_END - WINDOW - WINDOW_BYTES, %rsi
    mov $__NR_munmap, %eax
    syscall
    test %rax, %rax
    js failed
    inc %ebp
    mov $DISPATCH, %edi
    mov $1, %esi
    lea process_stub_here + 8(%rip), %rdx // a system call of the page in front ends at its very beginning
    mov $TEXT_BYTES - 8, %r10d
    xor %r8d, %r8d
    mov $__NR_prctl, %eax
    syscall
    test %rax, %rax
    js failed
    inc %ebp
    mov $1, %edi // SECCOMP_SET_MODE_FILTER
    mov $SPECULATE, %esi
    lea AT(IN_FILTER), %rdx
    mov $__NR_seccomp, %eax
    syscall
    test %rax, %rax
    js failed
    lea AT(IN_STACK_A + STACK_BYTES - 64), %rsp
    mov $THEN_ARM, %r12d
    jmp announce
failed:
    mov %eax, STATE(S_RESULT)
    mov %rbp, STATE(S_FRAME)
    mov $__NR_exit_group, %eax
    syscall
global process_stub_end

    .section .note.GNU-stack, "", @progbits

// SPDX-License-Identifier: BSD-2-Clause
// The crossing between C and translated code. Offsets into struct bt are checked in run.c.
#include "engines/bt/world.h"
#include "engines/bt/xstate.h"
#include "x86/regs.h"

#define BT(field) BT_REGION + field

    .text

// uint8_t bt_world_enter(struct bt *bt, const void *host): loads the guest's registers, goes to host, and returns when a
// callout or signal handler sends us to bt_world_leave.
    .globl bt_world_enter
    .type bt_world_enter, @function
bt_world_enter:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, BT_HOST_RSP(%rdi)
    mov %rsi, BT_RESUME(%rdi)

// rdi = struct bt, resume set: load everything and go.
load_guest:
    cmpl $0, BT_LIVE(%rdi)
    jne load_vectors
load_registers:
    // popfq takes its time (20 cycles), so the arithmetic flags come one by one: 7ffff800 and 800 overflow, and sahf
    // loads all others (SDM vol. 2). DF is hardly ever set.
    mov BT_FLAGS(%rdi), %eax
    test $FLAG_DF, %eax
    jnz load_all_flags
    mov %eax, %ecx
    shl $8, %eax
    and $FLAG_OF, %ecx
    add $0x80000000 - FLAG_OF, %ecx
    sahf
flags_loaded:
    mov BT_GPR + 8 * 0(%rdi), %rax
    mov BT_GPR + 8 * 1(%rdi), %rcx
    mov BT_GPR + 8 * 2(%rdi), %rdx
    mov BT_GPR + 8 * 3(%rdi), %rbx
    mov BT_GPR + 8 * 5(%rdi), %rbp
    mov BT_GPR + 8 * 6(%rdi), %rsi
    mov BT_GPR + 8 * 8(%rdi), %r8
    mov BT_GPR + 8 * 9(%rdi), %r9
    mov BT_GPR + 8 * 10(%rdi), %r10
    mov BT_GPR + 8 * 11(%rdi), %r11
    mov BT_GPR + 8 * 12(%rdi), %r12
    mov BT_GPR + 8 * 13(%rdi), %r13
    mov BT_GPR + 8 * 14(%rdi), %r14
    mov BT_GPR + 8 * 15(%rdi), %r15
    mov BT_HOST_GUEST_RSP(%rdi), %rsp
    // rdi last: jump through the cell in its own region, which a stub there can reach
    jmp *BT_GO(%rdi)

// Where the stub at BT_GO's target has put us: rdi is saved in gpr, rdi = struct bt.
    .globl bt_world_left
    .type bt_world_left, @function
bt_world_left:
    mov %rax, BT_GPR + 8 * 0(%rdi)
    mov %rcx, BT_GPR + 8 * 1(%rdi)
    mov %rdx, BT_GPR + 8 * 2(%rdi)
    mov %rbx, BT_GPR + 8 * 3(%rdi)
    mov %rsp, BT_HOST_GUEST_RSP(%rdi)
    mov %rbp, BT_GPR + 8 * 5(%rdi)
    mov %rsi, BT_GPR + 8 * 6(%rdi)
    mov %r8, BT_GPR + 8 * 8(%rdi)
    mov %r9, BT_GPR + 8 * 9(%rdi)
    mov %r10, BT_GPR + 8 * 10(%rdi)
    mov %r11, BT_GPR + 8 * 11(%rdi)
    mov %r12, BT_GPR + 8 * 12(%rdi)
    mov %r13, BT_GPR + 8 * 13(%rdi)
    mov %r14, BT_GPR + 8 * 14(%rdi)
    mov %r15, BT_GPR + 8 * 15(%rdi)
    mov BT_HOST_RSP(%rdi), %rsp
    pushfq
    pop BT_FLAGS(%rdi)
    cld
    cmpl $0, BT_LIVE(%rdi)
    jne save_vectors
saved:
    mov %rdi, %rbx
    sub $8, %rsp
    call bt_left
    add $8, %rsp
    mov %rbx, %rdi
    test %rax, %rax
    jz 1f
    mov %rax, BT_RESUME(%rdi)
    jmp load_guest
1:
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret

// The guest's vector registers are live (vectors.h). Most of the time they may stay; else they go out of the way, and
// what C code expects is put in their place.
save_vectors:
    mov %rdi, %rbx
    sub $8, %rsp
    call bt_access_quickly
    add $8, %rsp
    mov %rbx, %rdi
    test %rax, %rax
    jz 1f
    mov %rax, BT_RESUME(%rdi)
    jmp load_registers
1:
    mov $XSTATE_ALL, %eax
    xor %edx, %edx
    xsaveopt64 BT_XSAVE(%rdi)
    stmxcsr BT_XSAVE + XSAVE_MXCSR(%rdi)
    testb $XSTATE_X87, BT_XSAVE + XSAVE_HEADER(%rdi)
    jz 2f
    fninit
2:
    vzeroupper
    ldmxcsr BT_MXCSR_RESET(%rdi)
    jmp saved

load_all_flags:
    push BT_FLAGS(%rdi)
    popfq
    jmp flags_loaded

load_vectors:
    mov $XSTATE_ALL, %eax
    xor %edx, %edx
    xrstor64 BT_XSAVE(%rdi)
    jmp load_registers

    .section .note.GNU-stack, "", @progbits

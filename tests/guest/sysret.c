// SPDX-License-Identifier: BSD-2-Clause
// sysretq's selectors come from STAR with RPL 3 forced, its descriptors from nowhere: flat whatever the GDT says; a
// non-canonical rcx is #GP (SDM vol. 2, SYSRET: at CPL 0, Intel; AMD faults at CPL 3 instead).
#include "guest/insn.h"
#include "guest/state.h"

IMAGE("sysret");

// Goes to CPL 3 at rcx with rsp = rdi.
void go_to_user(void *stack);
extern const char user_target[];
__asm__(".text\ngo_to_user: movq %rdi, %rsp; movq $2, %r11; movq $user_target, %rcx; sysretq\n"
        ".section .user.text, \"ax\"\nuser_target: movl %cs, %eax; movl %ss, %ebx; int3; ud2\n.text");

static struct {
    uint64_t cs, ss, rax, rbx, rsp;
} seen;

static void on_breakpoint(struct trap_frame *frame)
{
    seen.cs = frame->cs, seen.ss = frame->ss, seen.rax = frame->rax, seen.rbx = frame->rbx, seen.rsp = frame->rsp;
    __asm__ volatile("divb %%cl" : : "a"(0), "c"(0) : "cc"); // out through catch_fault()
}

static USER_DATA uint64_t stack[32];

static void run(void *arg)
{
    (void)arg;
    go_to_user(&stack[32]);
}

int image_main(void)
{
    trap_set(VEC_BP, on_breakpoint);
    idt_set_raw(VEC_BP, (void (*)(void))(trap_stubs + (size_t)VEC_BP * TRAP_STUB_BYTES), 0, 3);
    CHECK_EQ(catch_fault(run, NULL).vector, VEC_DE);
    CHECK_EQ(seen.cs, USER_CS);
    CHECK_EQ(seen.ss, USER_DS);
    CHECK(seen.rax == USER_CS && seen.rbx == USER_DS);
    CHECK_EQ(seen.rsp, (uint64_t)&stack[32]);
    // RPL bits in STAR do not matter.
    write_msr(MSR_STAR, (uint64_t)(USER_CS32 & ~3) << 48 | (uint64_t)KERNEL_CS << 32);
    CHECK_EQ(catch_fault(run, NULL).vector, VEC_DE);
    CHECK_EQ(seen.cs, USER_CS);
    CHECK_EQ(seen.ss, USER_DS);
    return 0;
}

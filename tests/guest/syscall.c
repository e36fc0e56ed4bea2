// SPDX-License-Identifier: BSD-2-Clause
// syscall and sysretq: selectors from STAR, rip from LSTAR, rcx and r11, SFMASK, the way back; #UD without EFER.SCE
// (SDM vol. 2, SYSCALL, SYSRET).
#include "guest/insn.h"
#include "guest/state.h"
#include "tests/guest/judge.h"

IMAGE("syscall");

// The entry notes what it finds and goes back; rsp is the caller's.
void syscall_entry(void);
uint64_t syscall_seen[6]; // rcx, r11, rflags, rsp, cs, ss
__asm__(".text\nsyscall_entry:\n"
        "movq %rcx, syscall_seen; movq %r11, syscall_seen+8; movq %rsp, syscall_seen+24\n"
        "movq $scratch_top, %rsp; pushfq; popq syscall_seen+16\n"
        "movl %cs, %eax; movq %rax, syscall_seen+32; movl %ss, %eax; movq %rax, syscall_seen+40\n"
        "movq syscall_seen+24, %rsp; movq %rdi, %r11; movl $42, %eax; sysretq\n"
        ".bss\n.balign 16\n.skip 256\nscratch_top:\n.text");

#define RCX syscall_seen[0]
#define R11 syscall_seen[1]
#define FLAGS syscall_seen[2]
#define RSP syscall_seen[3]
#define CS syscall_seen[4]
#define SS syscall_seen[5]

struct after { // at CPL 3, behind the syscall
    uint64_t rip, rsp, flags_before, flags, rax, rcx, cs, ss;
};
static USER_DATA struct after after;

// arg: what sysret shall take as flags.
static USER_CODE uint64_t user_syscall(void *arg)
{
    struct after *a = &after;
    __asm__ volatile("movq %%rsp, 8(%1); leaq 1f(%%rip), %%rax; movq %%rax, (%1)\n"
                     "pushfq; orq $0x8c5, (%%rsp); popfq; pushfq; popq 16(%1)\n"
                     "syscall\n"
                     "1: pushfq; popq 24(%1); movq %%rax, 32(%1); movq %%rcx, 40(%1)\n"
                     "movl %%cs, %%eax; movq %%rax, 48(%1); movl %%ss, %%eax; movq %%rax, 56(%1); cld; pushq $2; popfq"
                     :
                     : "D"(arg), "b"(a)
                     : "rax", "rcx", "r11", "memory", "cc");
    return 0;
}

static void run(void *arg)
{
    run_user(user_syscall, arg);
}

static void sysret_at_cpl0_without_sce(void *arg)
{
    (void)arg;
    __asm__ volatile("sysretq" : : "c"(0) : "r11", "memory");
}

static void round_trip(void)
{
    uint64_t wanted = FLAGS_ARITH | FLAG_DF | FLAG_ID | FLAG_RF | 0x8028; // not VM: QEMU would enter it
    run((void *)wanted);
    CHECK_EQ(RCX, after.rip);
    CHECK_EQ(RSP, after.rsp); // not touched
    CHECK_EQ(R11, after.flags_before);
    // QEMU loses the arithmetic flags.
    CHECK_EQ_NOT_QEMU(FLAGS, (after.flags_before & ~read_msr(MSR_SFMASK)) | FLAG_FIXED1);
    CHECK(CS == KERNEL_CS && SS == KERNEL_DS);
    CHECK_EQ(after.rax, 42);
    CHECK_EQ(after.rcx, after.rip);
    CHECK(after.cs == USER_CS && after.ss == USER_DS);
    CHECK_EQ(after.flags, FLAGS_ARITH | FLAG_DF | FLAG_ID | FLAG_FIXED1); // sysret drops RF and the reserved ones
}

static void mask(void)
{
    write_msr(MSR_SFMASK, FLAGS_ARITH);
    run((void *)FLAG_FIXED1);
    CHECK_EQ(R11 & FLAGS_ARITH, after.flags_before & FLAGS_ARITH);
    CHECK_EQ(FLAGS & FLAGS_ARITH, 0);
    write_msr(MSR_SFMASK, 0);
    run((void *)FLAG_FIXED1);
    CHECK_EQ_NOT_QEMU(FLAGS, after.flags_before);
}

int image_main(void)
{
    write_msr(MSR_LSTAR, (uint64_t)syscall_entry);
    round_trip();
    mask();
    write_msr(MSR_EFER, read_msr(MSR_EFER) & ~(uint64_t)EFER_SCE);
    CHECK_EQ(catch_fault(run, NULL).vector, VEC_UD);
    CHECK_EQ(catch_fault(sysret_at_cpl0_without_sce, NULL).vector, VEC_UD);
    write_msr(MSR_EFER, read_msr(MSR_EFER) | EFER_SCE);
    run((void *)FLAG_FIXED1);
    CHECK_EQ(after.rax, 42);
    return 0;
}

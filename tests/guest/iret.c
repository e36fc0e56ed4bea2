// SPDX-License-Identifier: BSD-2-Clause
// iretq: within CPL 0 it restores rsp and ss too, drops flags it may not set, and refuses bad frames with the selector
// in the error code (SDM vol. 2, IRET/IRETD/IRETQ).
#include "guest/insn.h"
#include "guest/state.h"

IMAGE("iret");

struct iret_frame {
    uint64_t rip, cs, rflags, rsp, ss;
};

static struct {
    uint64_t rflags, rsp;
    uint16_t ss, cs;
} seen;

// Returns through a copy of the frame to the label 1, where it notes what it got.
static void do_iret(void *arg)
{
    struct iret_frame *f = arg;
    uint64_t keep[5] = {f->ss, f->rsp, f->rflags, f->cs, f->rip};
    __asm__ volatile("movq %%rsp, %%r12; movl %%ss, %%r13d\n"
                     "pushq (%4); pushq 8(%4); pushq 16(%4); pushq 24(%4)\n"
                     "movq 32(%4), %%rax; testq %%rax, %%rax; jnz 2f; leaq 1f(%%rip), %%rax\n"
                     "2: pushq %%rax; iretq\n"
                     "1: movq %%rsp, %%rax; movw %%ss, %%cx; movl %%r13d, %%ss; movq %%r12, %%rsp\n"
                     "pushfq; popq %0; movq %%rax, %1; movw %%cx, %2; movw %%cs, %3\n"
                     "pushq $2; popfq"
                     : "=m"(seen.rflags), "=m"(seen.rsp), "=m"(seen.ss), "=m"(seen.cs)
                     : "r"(keep)
                     : "rax", "rcx", "r12", "r13", "memory", "cc");
}

static struct caught try(struct iret_frame f)
{
    return catch_fault(do_iret, &f);
}

static bool refused(struct iret_frame f, int vector, uint64_t error)
{
    struct caught c = try(f);
    return c.vector == vector && c.error == error;
}

int image_main(void)
{
    uint64_t stack = (uint64_t)page_alloc() + 2048;
    struct iret_frame good = {0, KERNEL_CS, FLAG_FIXED1, stack, KERNEL_DS};
    struct iret_frame f = good;
    CHECK_EQ(try(f).vector, -1);
    CHECK(seen.rsp == stack && seen.ss == KERNEL_DS && seen.cs == KERNEL_CS);
    f.rsp = stack + 3; // no alignment is asked for
    f.rflags = FLAGS_ARITH | FLAG_DF | FLAG_AC | FLAG_ID | FLAG_IOPL | 0x8028;
    CHECK_EQ(try(f).vector, -1);
    CHECK_EQ(seen.rsp, stack + 3);
    CHECK_EQ(seen.rflags, FLAGS_ARITH | FLAG_DF | FLAG_AC | FLAG_ID | FLAG_IOPL | FLAG_FIXED1);
    f = good, f.ss = 0; // a null ss is good at CPL 0
    CHECK_EQ(try(f).vector, -1);
    CHECK_EQ(seen.ss, 0);

    f = good, f.cs = 0;
    CHECK(refused(f, VEC_GP, 0));
    f = good, f.cs = KERNEL_DS;
    CHECK(refused(f, VEC_GP, KERNEL_DS));
    f = good, f.cs = 0xfff8;
    CHECK(refused(f, VEC_GP, 0xfff8));
    f = good, f.ss = USER_DS;
    CHECK(refused(f, VEC_GP, USER_DS & ~3));
    f = good, f.ss = KERNEL_CS;
    CHECK(refused(f, VEC_GP, KERNEL_CS));
    f = good, f.cs = USER_CS, f.ss = 0; // not for CPL 3
    CHECK(refused(f, VEC_GP, 0));
    f = good, f.cs = USER_CS, f.ss = KERNEL_DS;
    CHECK(refused(f, VEC_GP, KERNEL_DS));
    f = good, f.rip = 0x800000000000;
    CHECK_EQ(try(f).vector, VEC_GP);
    f = good, f.rflags |= FLAG_NT; // NT in the frame is only a flag
    CHECK_EQ(try(f).vector, -1);
    write_flags(FLAG_NT); // NT now: a task return, which 64-bit mode does not have
    CHECK(refused(good, VEC_GP, 0));
    write_flags(0);
    return 0;
}

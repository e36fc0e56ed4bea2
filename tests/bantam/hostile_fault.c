// SPDX-License-Identifier: BSD-2-Clause
// Programs that do what only a kernel may, or what nobody may: each ends by the signal that it ends by on Linux, and
// nobody else notices. Kernel addresses, privileged instructions, far returns and interrupt gates, bad stacks.
#include "tests/bantam/children.h"

IMAGE("hostile_fault");

#define IMAGE_ADDRESS "0xffffffff80100000"
#define DIRECT_MAP "0xffff888000100000"
#define NOT_CANONICAL "0x800000000000"

// P(name, signal, code): code that ends by the signal. Where it goes on, its status is 42.
#define PROGRAMS(P)                                                                                                    \
    /* Addresses. */                                                                                                   \
    P(jump_image, SIGSEGV, "movq $" IMAGE_ADDRESS ", %rax; jmp *%rax")                                                 \
    P(jump_direct_map, SIGSEGV, "movabsq $" DIRECT_MAP ", %rax; jmp *%rax")                                            \
    P(jump_not_canonical, SIGSEGV, "movabsq $" NOT_CANONICAL ", %rax; jmp *%rax")                                      \
    P(call_image, SIGSEGV, "movq $" IMAGE_ADDRESS ", %rax; call *%rax")                                                \
    P(return_not_canonical, SIGSEGV, "movabsq $" NOT_CANONICAL ", %rax; pushq %rax; ret")                              \
    P(jump_nowhere, SIGSEGV, "movl $0x1000, %eax; jmp *%rax")                                                          \
    P(read_image, SIGSEGV, "movq $" IMAGE_ADDRESS ", %rax; movq (%rax), %rax")                                         \
    P(write_image, SIGSEGV, "movq $" IMAGE_ADDRESS ", %rax; movq %rax, (%rax)")                                        \
    P(read_direct_map, SIGSEGV, "movabsq $" DIRECT_MAP ", %rax; movq (%rax), %rax")                                    \
    P(write_direct_map, SIGSEGV, "movabsq $" DIRECT_MAP ", %rax; lock incq (%rax)")                                    \
    P(read_not_canonical, SIGSEGV, "movabsq $" NOT_CANONICAL ", %rax; movb (%rax), %al")                               \
    P(write_null, SIGSEGV, "xorl %eax, %eax; movl $1, (%rax)")                                                         \
    P(write_code, SIGSEGV, "leaq 1f(%rip), %rax; 1: movb $0x90, (%rax)")                                               \
    P(run_stack, SIGSEGV, "movb $0xc3, -256(%rsp); leaq -256(%rsp), %rax; call *%rax")                                 \
    P(copy_to_image, SIGSEGV, "movq $" IMAGE_ADDRESS ", %rdi; leaq (%rsp), %rsi; movl $64, %ecx; rep movsb")           \
    P(copy_out_of_image, SIGSEGV, "movq $" IMAGE_ADDRESS ", %rsi; leaq -256(%rsp), %rdi; movl $64, %ecx; rep movsb")   \
    P(push_to_image, SIGSEGV, "movq $" IMAGE_ADDRESS ", %rsp; pushq %rax")                                             \
    P(push_not_canonical, SIGBUS, "movabsq $" NOT_CANONICAL ", %rsp; addq $8, %rsp; pushq %rax")                       \
    P(pop_from_image, SIGSEGV, "movq $" IMAGE_ADDRESS ", %rsp; popq %rax")                                             \
    /* Privileged instructions. */                                                                                     \
    P(do_hlt, SIGSEGV, "hlt")                                                                                          \
    P(do_cli, SIGSEGV, "cli")                                                                                          \
    P(do_sti, SIGSEGV, "sti")                                                                                          \
    P(do_in, SIGSEGV, "inb $0x60, %al")                                                                                \
    P(do_out, SIGSEGV, "movw $0x3f8, %dx; movb $'!', %al; outb %al, %dx")                                              \
    P(do_out_exit, SIGSEGV, "xorl %eax, %eax; outb %al, $0xf4")                                                        \
    P(do_outs, SIGSEGV, "movw $0x3f8, %dx; leaq (%rsp), %rsi; movl $4, %ecx; rep outsb")                               \
    P(do_ins, SIGSEGV, "movw $0x3f8, %dx; leaq -64(%rsp), %rdi; insb")                                                 \
    P(do_lgdt, SIGSEGV, "lgdt -64(%rsp)")                                                                              \
    P(do_lidt, SIGSEGV, "lidt -64(%rsp)")                                                                              \
    P(do_lldt, SIGSEGV, "xorl %eax, %eax; lldt %ax")                                                                   \
    P(do_ltr, SIGSEGV, "movl $0x40, %eax; ltr %ax")                                                                    \
    P(do_lmsw, SIGSEGV, "xorl %eax, %eax; lmsw %ax")                                                                   \
    P(do_clts, SIGSEGV, "clts")                                                                                        \
    P(do_invd, SIGSEGV, "invd")                                                                                        \
    P(do_wbinvd, SIGSEGV, "wbinvd")                                                                                    \
    P(do_invlpg, SIGSEGV, "invlpg (%rsp)")                                                                             \
    P(do_rdmsr, SIGSEGV, "movl $0xc0000080, %ecx; rdmsr")                                                              \
    P(do_wrmsr, SIGSEGV, "movl $0xc0000082, %ecx; xorl %eax, %eax; xorl %edx, %edx; wrmsr")                            \
    P(do_swapgs, SIGSEGV, "swapgs")                                                                                    \
    P(do_sysret, SIGSEGV, "leaq 1f(%rip), %rcx; movl $2, %r11d; sysretq; 1:")                                          \
    P(do_read_cr0, SIGSEGV, "movq %cr0, %rax")                                                                         \
    P(do_write_cr3, SIGSEGV, "xorl %eax, %eax; movq %rax, %cr3")                                                       \
    P(do_write_cr8, SIGSEGV, "xorl %eax, %eax; movq %rax, %cr8")                                                       \
    P(do_write_dr7, SIGSEGV, "xorl %eax, %eax; movq %rax, %dr7")                                                       \
    /* Selectors and gates. */                                                                                         \
    P(far_return_to_kernel, SIGSEGV, "leaq 1f(%rip), %rax; pushq $0x10; pushq %rax; lretq; 1:")                        \
    P(iret_to_kernel, SIGSEGV,                                                                                         \
      "movq %rsp, %rcx; leaq 1f(%rip), %rax; pushq $0x18; pushq %rcx; pushfq; pushq $0x10\n"                           \
      "pushq %rax; iretq; 1:")                                                                                         \
    P(iret_to_kernel_stack, SIGSEGV,                                                                                   \
      "movq %rsp, %rcx; leaq 1f(%rip), %rax; pushq $0x18; pushq %rcx; pushfq; pushq $0x33\n"                           \
      "pushq %rax; iretq; 1:")                                                                                         \
    P(iret_not_canonical, SIGSEGV,                                                                                     \
      "movq %rsp, %rcx; movabsq $" NOT_CANONICAL ", %rax; pushq $0x2b; pushq %rcx; pushfq\n"                           \
      "pushq $0x33; pushq %rax; iretq")                                                                                \
    P(load_kernel_ds, SIGSEGV, "movl $0x18, %eax; movl %eax, %ds")                                                     \
    P(load_kernel_ss, SIGSEGV, "movl $0x18, %eax; movl %eax, %ss")                                                     \
    P(load_beyond_gdt, SIGSEGV, "movl $0xfff3, %eax; movl %eax, %es")                                                  \
    /* Exceptions that are anybody's. */                                                                               \
    P(do_ud2, SIGILL, "ud2")                                                                                           \
    P(do_int3, SIGTRAP, "int3")                                                                                        \
    P(divide_by_zero, SIGFPE, "xorl %ecx, %ecx; xorl %edx, %edx; movl $1, %eax; divl %ecx")                            \
    P(divide_overflow, SIGFPE, "movabsq $0x8000000000000000, %rax; cqto; movq $-1, %rcx; idivq %rcx")                  \
    P(single_step, SIGTRAP, "pushfq; orq $0x100, (%rsp); popfq; nop; nop")

#define CODE(name, signal, code)                                                                                       \
    void name(void);                                                                                                   \
    __asm__(".text\n" #name ": " code "\nmovl $42, %edi; movl $231, %eax; syscall; ud2");
PROGRAMS(CODE)

static const struct {
    void (*program)(void);
    const char *name;
    int signal;
} programs[] = {
#define ROW(name, signal, code) {name, #name, signal},
    PROGRAMS(ROW)};

int image_main(void)
{
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        int status = wait_status_of(programs[i].program);
        // QEMU 7.2 raises #GP for a push to an address that is not canonical, not #SS (SDM vol. 2, PUSH).
        const char *what =
            strcmp(programs[i].name, "push_not_canonical") ? programs[i].name : "not-qemu: push_not_canonical";
        check_record(status == KILLED_BY(programs[i].signal), what, (uint64_t)status, (uint64_t)programs[i].signal);
    }
    return 0;
}

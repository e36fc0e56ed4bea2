// SPDX-License-Identifier: BSD-2-Clause
// Programs that enter the kernel with a state that only a hostile one has: any stack pointer, any flags, the last
// address there is behind the system call. Where that is allowed they go on, with the state as it was; else they are
// ended. By system calls, by faults and by the timer's interrupts.
#include "tests/bantam/children.h"

IMAGE("hostile_state");

#define EXIT(status) "\nmovl $" #status ", %edi; movl $231, %eax; syscall; ud2\n"
#define GETPID "movl $39, %eax; syscall; "
// Some ticks of the timer's long, by the TSC, without a system call.
#define WAIT                                                                                                           \
    "rdtsc; shlq $32, %rdx; leaq 100000000(%rax, %rdx), %r8\n1: rdtsc; shlq $32, %rdx; orq %rdx, %rax; cmpq %r8, "     \
    "%rax; jb 1b\n"
#define WITH_RSP(rsp, then)                                                                                            \
    "movq $" #rsp ", %rbx; movq %rbx, %rsp; " then "cmpq %rbx, %rsp; jne 2f;" EXIT(7) "2:" EXIT(8)
// Flags as wanted before and after what is done; those that CPL 3 cannot change are not looked at.
#define WITH_FLAGS(flags, then)                                                                                        \
    "pushq $2; popfq; pushq $" #flags "; popfq; pushfq; popq %rbx; " then "pushfq; popq %rcx; pushq $2; popfq\n"       \
    "xorq %rcx, %rbx; testl $0x244cd5, %ebx; jnz 2f; testl $0x3000, %ecx; jnz 2f;" EXIT(7) "2:" EXIT(8)

// P(name, wait status, code)
#define PROGRAMS(P)                                                                                                    \
    P(syscall_rsp_null, EXITED(7), WITH_RSP(0, GETPID))                                                                \
    P(syscall_rsp_odd, EXITED(7), WITH_RSP(1, GETPID))                                                                 \
    P(syscall_rsp_image, EXITED(7), WITH_RSP(0xffffffff80200000, GETPID))                                              \
    P(syscall_rsp_direct_map, EXITED(7), WITH_RSP(0xffff888000200000, GETPID))                                         \
    P(syscall_rsp_not_canonical, EXITED(7), WITH_RSP(0x800000000000, GETPID))                                          \
    P(syscall_rsp_top, EXITED(7), WITH_RSP(0xffffffffffffffff, GETPID))                                                \
    P(timer_rsp_null, EXITED(7), WITH_RSP(0, WAIT))                                                                    \
    P(timer_rsp_image, EXITED(7), WITH_RSP(0xffffffff80200000, WAIT))                                                  \
    P(timer_rsp_not_canonical, EXITED(7), WITH_RSP(0x800000000000, WAIT))                                              \
    P(fault_rsp_image, KILLED_BY(SIGILL), WITH_RSP(0xffffffff80200000, "ud2;"))                                        \
    P(fault_rsp_not_canonical, KILLED_BY(SIGFPE), WITH_RSP(0x800000000000, "xorl %ecx, %ecx; divl %ecx;"))             \
    P(missing_page_rsp_image, EXITED(7), WITH_RSP(0xffffffff80200000, "movb $1, far_page;"))                           \
    P(missing_page_rsp_null, EXITED(7), WITH_RSP(0, "movb $1, far_page;"))                                             \
    P(syscall_df, EXITED(7), WITH_FLAGS(0x402, GETPID))                                                                \
    P(syscall_arithmetic, EXITED(7), WITH_FLAGS(0x8d7, GETPID))                                                        \
    P(syscall_nt, EXITED(7), WITH_FLAGS(0x4002, GETPID))                                                               \
    P(syscall_iopl_id_ac, EXITED(7), WITH_FLAGS(0x243002, GETPID))                                                     \
    P(fault_df_nt, EXITED(7), WITH_FLAGS(0x4402, "movb $1, far_page;"))                                                \
    P(timer_df, EXITED(7),                                                                                             \
      "pushq $0x402; popfq;" WAIT "pushfq; popq %rcx; cld; testl $0x400, %ecx; jz 2f;" EXIT(7) "2:" EXIT(8))           \
    P(timer_nt, EXITED(7), "pushq $0x4002; popfq;" WAIT EXIT(7))                                                       \
    P(flags_not_ours, EXITED(7),                                                                                       \
      "pushq $0x1b3002; popfq; pushfq; popq %rcx; testl $0x1b3000, %ecx; jnz 2f;" EXIT(7) "2:" EXIT(8))                \
    P(step_over_syscall, KILLED_BY(SIGTRAP), "pushfq; orq $0x100, (%rsp); movl $39, %eax; popfq; syscall;" EXIT(7))    \
    P(write_backwards, EXITED(7),                                                                                      \
      "std; leaq far_page, %rsi; movl $1, %edi; xorl %edx, %edx; movl $1, %eax; syscall;"                              \
      "cld; testq %rax, %rax; jnz 2f;" EXIT(7) "2:" EXIT(8))                                                           \
    P(syscall_negative_number, EXITED(7), "movq $-1, %rax; syscall; cmpq $-38, %rax; jne 2f;" EXIT(7) "2:" EXIT(8))    \
    P(null_selectors, EXITED(7),                                                                                       \
      "xorl %eax, %eax; movl %eax, %ds; movl %eax, %es; movl %eax, %fs; movl %eax, %gs;" GETPID WAIT EXIT(7))          \
    P(user_selectors, EXITED(7),                                                                                       \
      "movl $0x2b, %eax; movl %eax, %ds; movl %eax, %gs; movl %eax, %fs;" GETPID WAIT EXIT(7))

#define CODE(name, status, code)                                                                                       \
    void name(void);                                                                                                   \
    __asm__(".text\n" #name ": " code);
PROGRAMS(CODE)
__asm__(".bss\n.balign 4096\n.skip 4096\nfar_page: .skip 4096\n.text");

// What Linux does otherwise, or does on some CPUs only: vectors that no program may call, and the other way in. Either
// signal will do: some software back ends of /dev/kvm have #UD there.
#define REFUSED(P)                                                                                                     \
    P(int_timer, SIGSEGV, "int $0x20")                                                                                 \
    P(int_double_fault, SIGSEGV, "int $8")                                                                             \
    P(int_page_fault, SIGSEGV, "int $14")                                                                              \
    P(int_linux32, SIGSEGV, "movl $1, %eax; movl $7, %ebx; int $0x80")                                                 \
    P(int_top, SIGSEGV, "int $0xff")                                                                                   \
    P(do_sysenter, SIGSEGV, "movq %rsp, %rbp; sysenter")
#define REFUSED_CODE(name, signal, code)                                                                               \
    void name(void);                                                                                                   \
    __asm__(".text\n" #name ": " code EXIT(7));
REFUSED(REFUSED_CODE)

struct row {
    void (*program)(void);
    const char *name;
    int status;
};
#define ROW(name, status, code) {name, #name, status},
static const struct row programs[] = {PROGRAMS(ROW)}, refused[] = {REFUSED(ROW)};

// syscall as the last bytes below the limit of user addresses: rcx is where no program can be. sysretq must not be what
// finds out.
static void syscall_at_the_top(void)
{
    char *page = (char *)0x7fffffffe000;
    void *got = mmap(page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (got != page)
        _exit(9);
    page[4094] = 0x0f, page[4095] = 0x05;
    __asm__ volatile("jmp *%1" : : "a"(39), "r"(page + 4094) : "memory");
}

static void handler(int signal)
{
    (void)signal;
    _exit(8);
}

// The frame of a signal would lie in the kernel.
static void signal_onto_the_kernel(void)
{
    signal_set(SIGILL, handler, 0);
    __asm__ volatile("movq $0xffffffff80200000, %%rsp; ud2" : : : "memory");
}

static void signal_onto_nothing(void)
{
    signal_set(SIGSEGV, handler, 0);
    __asm__ volatile("movl $0x2000, %%esp; pushq %%rax" : : : "memory");
}

static void handler_in_the_kernel(void)
{
    signal_set(SIGILL, (void (*)(int))0xffffffff80100000, 0);
    __asm__ volatile("ud2");
}

static void handler_not_canonical(void)
{
    signal_set(SIGILL, (void (*)(int))0x800000000000, 0);
    __asm__ volatile("ud2");
}

static const struct row in_c[] = {
    ROW(syscall_at_the_top, KILLED_BY(SIGSEGV), ) ROW(signal_onto_the_kernel, KILLED_BY(SIGSEGV), )
        ROW(signal_onto_nothing, KILLED_BY(SIGSEGV), ) ROW(handler_in_the_kernel, KILLED_BY(SIGSEGV), )
            ROW(handler_not_canonical, KILLED_BY(SIGSEGV), )};

static void run_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int status = wait_status_of(rows[i].program);
        check_record(status == rows[i].status, rows[i].name, (uint64_t)status, (uint64_t)rows[i].status);
    }
}

int image_main(void)
{
    run_rows(programs, sizeof programs / sizeof *programs);
    run_rows(in_c, sizeof in_c / sizeof *in_c);
    if (on_linux())
        return 0;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        int status = wait_status_of(refused[i].program);
        check_record(status == KILLED_BY(SIGSEGV) || status == KILLED_BY(SIGILL), refused[i].name, (uint64_t)status,
                     SIGSEGV);
    }
    return 0;
}

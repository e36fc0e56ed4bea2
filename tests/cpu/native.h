// SPDX-License-Identifier: BSD-2-Clause
// A judge within the test's own process: runs one instruction on the host's own CPU with all registers loaded, and
// catches what it raises.
#ifndef RINGSIDE_TESTS_CPU_NATIVE_H
#define RINGSIDE_TESTS_CPU_NATIVE_H

#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "tests/cpu/case.h"

#define EXIT_AT (CODE + 1024)

// The assembly below finds this by name: the state of the one instruction that runs.
static struct native {
    struct regs out;    // 0
    uint64_t host_rsp;  // 136
    uint64_t code;      // 144
    struct outcome got; // of a signal
    uint8_t *writable;  // the instruction's page
    bool running;
} cpu_native __attribute__((used));
_Static_assert(offsetof(struct native, host_rsp) == 136 && offsetof(struct native, code) == 144, "used below");

// native_enter(regs): loads flags and registers and jumps to the instruction, behind which a jump to native_exit
// lies. native_leave: where the signal handler goes on. Loads and stores are aligned: AC may be set.
void native_enter(const struct regs *regs);
extern const char native_exit[], native_leave[];
__asm__(".text\n"
        "native_enter:\n"
        "    push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
        "    mov %rsp, cpu_native+136(%rip)\n"
        "    pushq 128(%rdi)\n"
        "    popfq\n"
        "    mov 0(%rdi), %rax; mov 8(%rdi), %rcx; mov 16(%rdi), %rdx; mov 24(%rdi), %rbx\n"
        "    mov 32(%rdi), %rsp; mov 40(%rdi), %rbp; mov 48(%rdi), %rsi; mov 64(%rdi), %r8\n"
        "    mov 72(%rdi), %r9; mov 80(%rdi), %r10; mov 88(%rdi), %r11; mov 96(%rdi), %r12\n"
        "    mov 104(%rdi), %r13; mov 112(%rdi), %r14; mov 120(%rdi), %r15; mov 56(%rdi), %rdi\n"
        "    jmp *cpu_native+144(%rip)\n"
        "native_exit:\n"
        "    mov %rax, cpu_native+0(%rip); mov %rcx, cpu_native+8(%rip)\n"
        "    mov %rdx, cpu_native+16(%rip); mov %rbx, cpu_native+24(%rip)\n"
        "    mov %rsp, cpu_native+32(%rip); mov %rbp, cpu_native+40(%rip)\n"
        "    mov %rsi, cpu_native+48(%rip); mov %rdi, cpu_native+56(%rip)\n"
        "    mov %r8, cpu_native+64(%rip); mov %r9, cpu_native+72(%rip)\n"
        "    mov %r10, cpu_native+80(%rip); mov %r11, cpu_native+88(%rip)\n"
        "    mov %r12, cpu_native+96(%rip); mov %r13, cpu_native+104(%rip)\n"
        "    mov %r14, cpu_native+112(%rip); mov %r15, cpu_native+120(%rip)\n"
        "    lea cpu_native+136(%rip), %rsp\n"
        "    pushfq\n" // to cpu_native+128
        "    mov cpu_native+136(%rip), %rsp\n"
        "native_leave:\n"
        "    pushq $2\n"
        "    popfq\n"
        "    pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
        "    ret\n");

static void native_signal(int sig, siginfo_t *info, void *context)
{
    static const int order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                  REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    __builtin_ia32_writeeflags_u64(__builtin_ia32_readeflags_u64() & ~(uint64_t)FLAG_AC);
    greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;
    bool fetch = g[REG_TRAPNO] == VEC_PF && (uint64_t)g[REG_RIP] == (uint64_t)(uintptr_t)info->si_addr;
    if (!cpu_native.running || ((uint64_t)g[REG_RIP] / PAGE != CODE / PAGE && !fetch)) { // a bug of the test itself
        signal(sig, SIG_DFL);
        return;
    }
    struct outcome *o = &cpu_native.got;
    for (unsigned i = 0; i < 16; i++)
        o->regs.gpr[i] = (uint64_t)g[order[i]];
    o->regs.flags = (uint64_t)g[REG_EFL];
    o->rip = (uint64_t)g[REG_RIP];
    o->vector = (int)g[REG_TRAPNO];
    o->error = (uint64_t)g[REG_ERR];
    o->cr2 = o->vector == VEC_PF ? (uint64_t)(uintptr_t)info->si_addr : 0;
    g[REG_RIP] = (greg_t)native_leave;
    g[REG_RSP] = (greg_t)cpu_native.host_rsp;
    g[REG_EFL] = FLAG_FIXED1 | FLAG_IF;
}

static bool map_at(uint64_t at, size_t size, int prot, int fd)
{
    int kind = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
    void *p = mmap((void *)(uintptr_t)at, size, prot, kind | MAP_FIXED_NOREPLACE, fd, 0);
    return p == (void *)(uintptr_t)at;
}

// The instruction's page can be written only through a second mapping, as the guest cannot write its own.
static bool map_code(void)
{
    int fd = memfd_create("code", 0);
    if (fd < 0 || ftruncate(fd, PAGE) < 0 || !map_at(CODE, PAGE, PROT_READ | PROT_EXEC, fd))
        return false;
    void *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (p == MAP_FAILED)
        return false;
    cpu_native.writable = p;
    uint64_t exit = (uint64_t)(uintptr_t)native_exit;
    memcpy(cpu_native.writable + (EXIT_AT - CODE), &exit, sizeof exit);
    return true;
}

// False where the addresses cannot be had.
static bool native_start(const uint8_t *read_only_page)
{
    static uint8_t stack[64 * 1024];
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    if (!map_at(WINDOW, WINDOW_BYTES, PROT_READ | PROT_WRITE, -1) || !map_code())
        return false;
    uint8_t *page = (uint8_t *)(uintptr_t)(WINDOW + WINDOW_RW);
    memcpy(page, read_only_page, PAGE);
    mprotect(page, PAGE, PROT_READ);
    sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, NULL);
    struct sigaction action = {.sa_sigaction = native_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    for (unsigned i = 0; i < sizeof signals / sizeof signals[0]; i++)
        sigaction(signals[i], &action, NULL);
    syscall(SYS_arch_prctl, 0x1001 /* ARCH_SET_GS */, GS_BASE);
    cpu_native.code = INSN_AT;
    return true;
}

// Puts the case's code to its page, and a jump to native_exit behind it.
static inline void native_put_code(const struct test_case *t)
{
    uint8_t *code = cpu_native.writable + (INSN_AT - CODE);
    static const uint8_t jump[2] = {0xff, 0x25}; // jmp [rip + distance], where the address of native_exit lies
    uint32_t distance = (uint32_t)(EXIT_AT - (INSN_AT + t->length + 6));
    memset(code, CODE_FILLER, CODE_BYTES);
    memcpy(code, t->bytes, t->length);
    memcpy(code + t->length, jump, sizeof jump);
    memcpy(code + t->length + sizeof jump, &distance, sizeof distance);
}

static inline void native_run(const struct test_case *t, struct outcome *out)
{
    native_put_code(t);
    cpu_native.got.vector = -1;
    cpu_native.running = true;
    native_enter(&t->in);
    cpu_native.running = false;
    if (cpu_native.got.vector >= 0)
        *out = cpu_native.got;
    else
        *out = (struct outcome){.regs = cpu_native.out, .rip = INSN_AT + t->length, .vector = -1};
}

#endif

// SPDX-License-Identifier: BSD-2-Clause
// The judge for 32- and 16-bit code: this process itself, which reaches a code segment of that kind by a far jump, as
// Linux has one for 32-bit programs and gives out others on request (modify_ldt). Signals find its state.
#ifndef RINGSIDE_TESTS_CPU_NATIVE32_H
#define RINGSIDE_TESTS_CPU_NATIVE32_H

#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "tests/cpu/generate32.h"

// The assembly below finds this by name.
static struct native32 {
    struct regs out;                         // 0
    uint64_t host_rsp;                       // 136
    uint32_t target;                         // 144: a far pointer to the code
    uint16_t target_cs;                      // 148
    uint16_t ds, es, gs, ss;                 // 150
    uint16_t out_ds, out_es, out_gs, out_ss; // 158
    struct outcome got;                      // of a signal
    uint8_t *writable;                       // the code's page
    bool running;
} native32 __attribute__((used));
_Static_assert(offsetof(struct native32, host_rsp) == 136 && offsetof(struct native32, target) == 144 &&
                   offsetof(struct native32, ds) == 150 && offsetof(struct native32, out_ds) == 158,
               "used below");

void native32_enter(const struct regs *regs);
extern const char native32_exit[], native32_leave[];
__asm__(".text\n"
        "native32_enter:\n"
        "    push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
        "    mov %rsp, native32+136(%rip)\n"
        "    movw native32+150(%rip), %ds; movw native32+152(%rip), %es; movw native32+154(%rip), %gs\n"
        "    pushq 128(%rdi)\n"
        "    popfq\n"
        "    movw native32+156(%rip), %ss\n"
        "    mov 32(%rdi), %rsp\n"
        "    mov 0(%rdi), %rax; mov 8(%rdi), %rcx; mov 16(%rdi), %rdx; mov 24(%rdi), %rbx\n"
        "    mov 40(%rdi), %rbp; mov 48(%rdi), %rsi; mov 64(%rdi), %r8\n"
        "    mov 72(%rdi), %r9; mov 80(%rdi), %r10; mov 88(%rdi), %r11; mov 96(%rdi), %r12\n"
        "    mov 104(%rdi), %r13; mov 112(%rdi), %r14; mov 120(%rdi), %r15; mov 56(%rdi), %rdi\n"
        "    ljmp *native32+144(%rip)\n"
        "native32_exit:\n" // in 64-bit mode again
        "    mov %rax, native32+0(%rip); mov %rcx, native32+8(%rip)\n"
        "    mov %rdx, native32+16(%rip); mov %rbx, native32+24(%rip)\n"
        "    mov %rsp, native32+32(%rip); mov %rbp, native32+40(%rip)\n"
        "    mov %rsi, native32+48(%rip); mov %rdi, native32+56(%rip)\n"
        "    mov %r8, native32+64(%rip); mov %r9, native32+72(%rip)\n"
        "    mov %r10, native32+80(%rip); mov %r11, native32+88(%rip)\n"
        "    mov %r12, native32+96(%rip); mov %r13, native32+104(%rip)\n"
        "    mov %r14, native32+112(%rip); mov %r15, native32+120(%rip)\n"
        "    movw %ss, native32+164(%rip)\n"
        "    lea native32+136(%rip), %rsp\n"
        "    pushfq\n" // to native32+128
        "    mov native32+136(%rip), %rsp\n"
        "native32_leave:\n"
        "    movw %ds, native32+158(%rip); movw %es, native32+160(%rip); movw %gs, native32+162(%rip)\n"
        "    mov $0x2b, %eax; movw %ax, %ss\n"
        "    pushq $2\n"
        "    popfq\n"
        "    pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
        "    ret\n");

static void native32_signal(int sig, siginfo_t *info, void *context)
{
    static const int order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                  REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    __builtin_ia32_writeeflags_u64(__builtin_ia32_readeflags_u64() & ~(uint64_t)FLAG_AC);
    greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;
    uint16_t cs = (uint16_t)g[REG_CSGSFS];
    if (!native32.running || cs == HOST_CS64) { // a bug of the test itself
        signal(sig, SIG_DFL);
        return;
    }
    struct outcome *o = &native32.got;
    for (unsigned i = 0; i < 16; i++)
        o->regs.gpr[i] = (uint64_t)g[order[i]];
    o->regs.flags = (uint64_t)g[REG_EFL];
    o->rip = (uint32_t)((uint64_t)g[REG_RIP] + segment_base32(cs));
    o->vector = (int)g[REG_TRAPNO];
    o->error = (uint64_t)g[REG_ERR];
    o->cr2 = o->vector == VEC_PF ? (uint64_t)(uintptr_t)info->si_addr : 0;
    native32.out_ss = (uint16_t)((uint64_t)g[REG_CSGSFS] >> 48);
    g[REG_RIP] = (greg_t)native32_leave;
    g[REG_RSP] = (greg_t)native32.host_rsp;
    g[REG_EFL] = FLAG_FIXED1 | FLAG_IF;
    g[REG_CSGSFS] = (g[REG_CSGSFS] & ~(greg_t)0xffff & 0xffffffffffff) | HOST_CS64 | (greg_t)HOST_DS << 48;
}

static bool native32_map_at(uint64_t at, size_t size, int prot, int fd)
{
    int kind = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
    void *p = mmap((void *)(uintptr_t)at, size, prot, kind | MAP_FIXED_NOREPLACE, fd, 0);
    return p == (void *)(uintptr_t)at;
}

// The code's page can be written only through a second mapping. At EXIT_AT, which 32-bit code can name, 64-bit code
// goes on to native32_exit.
static bool native32_map_code(void)
{
    static const uint8_t jump[6] = {0xff, 0x25, 10}; // jmp [rip + 10]: aligned, as AC may be set
    int fd = memfd_create("code", 0);
    if (fd < 0 || ftruncate(fd, PAGE) < 0 || !native32_map_at(CODE, PAGE, PROT_READ | PROT_EXEC, fd))
        return false;
    void *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (p == MAP_FAILED)
        return false;
    native32.writable = p;
    uint64_t exit = (uint64_t)(uintptr_t)native32_exit;
    memcpy(native32.writable + (EXIT_AT - CODE), jump, sizeof jump);
    memcpy(native32.writable + (EXIT_AT - CODE) + 16, &exit, sizeof exit);
    return true;
}

// What the host does not have, or NULL.
static const char *native32_start(const uint8_t *read_only_page)
{
    static uint8_t stack[64 * 1024];
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    for (unsigned i = 0; i < LDT_USED; i++) {
        struct user_desc entry = ldt_entries[i];
        entry.seg_not_present = ldt_is_absent(i);
        if (syscall(SYS_modify_ldt, 0x11, &entry, sizeof entry) != 0)
            return "the host's Linux gives out no local descriptors (modify_ldt)";
    }
    if (!native32_map_at(WINDOW, WINDOW_BYTES, PROT_READ | PROT_WRITE, -1) || !native32_map_code())
        return "the addresses that the test needs are taken";
    uint8_t *page = (uint8_t *)(uintptr_t)(WINDOW + WINDOW_RW);
    memcpy(page, read_only_page, PAGE);
    mprotect(page, PAGE, PROT_READ);
    sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, NULL);
    struct sigaction action = {.sa_sigaction = native32_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    for (unsigned i = 0; i < sizeof signals / sizeof signals[0]; i++)
        sigaction(signals[i], &action, NULL);
    return NULL;
}

// A far jump to 64-bit code at EXIT_AT, from code of either size.
static unsigned native32_put_exit(uint8_t *code, enum x86_mode mode)
{
    unsigned n = 0;
    uint32_t to = EXIT_AT;
    uint16_t cs = HOST_CS64;
    if (mode == X86_CODE16)
        code[n++] = 0x66;
    code[n++] = 0xea;
    memcpy(code + n, &to, 4);
    memcpy(code + n + 4, &cs, 2);
    return n + 6;
}

static void native32_run(const struct case32 *k, struct outcome *out, struct selectors *selectors)
{
    const struct test_case *t = &k->t;
    uint8_t *code = native32.writable + (INSN_AT - CODE);
    memset(code, CODE_FILLER, CODE_BYTES);
    memcpy(code, t->bytes, t->length);
    native32_put_exit(code + t->length, k->mode);
    native32.target = (uint32_t)(INSN_AT - segment_base32(k->cs));
    native32.target_cs = k->cs;
    native32.ds = k->in.ds, native32.es = k->in.es, native32.gs = k->in.gs, native32.ss = k->in.ss;
    native32.got.vector = -1;
    native32.running = true;
    native32_enter(&t->in);
    native32.running = false;
    const struct outcome *got = &native32.got; // the exit's jump may lie beyond the segment's limit
    bool ended = got->vector == VEC_GP && got->rip == INSN_AT + t->length && got->error == 0;
    if (got->vector >= 0)
        *out = *got;
    if (ended)
        out->vector = -1;
    if (got->vector < 0)
        *out = (struct outcome){.regs = native32.out, .rip = INSN_AT + t->length, .vector = -1};
    *selectors = (struct selectors){native32.out_ds, native32.out_es, native32.out_gs, native32.out_ss};
}

#endif

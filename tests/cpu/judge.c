// SPDX-License-Identifier: BSD-2-Clause
// The judge's program: runs each case of a batch on the host's CPU with all registers loaded, and catches what it
// raises. Freestanding, and without vector instructions of its own. It gives up everything but its own few pages and
// two system calls before the first case.
#include "tests/cpu/judge.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <ucontext.h>

#define SHARED ((struct judge_shared *)JUDGE_SHARED)
#define EXIT_AT (CODE + 2048)
#define USER_END 0x7ffffffff000ull

// The assembly below finds this by name: the state of the case that runs.
static struct native {
    struct regs out;   // 0
    uint64_t host_rsp; // 136
    uint64_t code;     // 144
    struct judge_slot *slot;
    uint32_t running;
    uint8_t image[FPU_IMAGE_BYTES] __attribute__((aligned(64)));
} native __attribute__((used));
_Static_assert(offsetof(struct native, host_rsp) == 136 && offsetof(struct native, code) == 144, "used below");
_Static_assert(sizeof(struct judge_shared) <= JUDGE_END - JUDGE_SHARED, "fits");

static uint8_t stack[32 * 1024] __attribute__((aligned(64), used));
static uint8_t signal_stack[64 * 1024] __attribute__((aligned(64))); // a frame with AVX-512 and AMX: 11 KiB

// native_enter(regs): loads flags and registers and jumps to the case, behind which a jump to native_exit lies.
// native_leave: where the signal handler goes on. Loads and stores are aligned: AC may be set.
void native_enter(const struct regs *regs);
void judge_main(void);
extern const char native_exit[], native_leave[];
void native_restorer(void);
__asm__(".text\n"
        ".globl _start\n"
        "_start:\n"
        "    lea stack+32768(%rip), %rsp\n"
        "    call judge_main\n"
        "    ud2\n"
        "native_restorer:\n"
        "    mov $15, %eax\n" // rt_sigreturn
        "    syscall\n"
        "native_enter:\n"
        "    push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
        "    mov %rsp, native+136(%rip)\n"
        "    pushq 128(%rdi)\n"
        "    popfq\n"
        "    mov 0(%rdi), %rax; mov 8(%rdi), %rcx; mov 16(%rdi), %rdx; mov 24(%rdi), %rbx\n"
        "    mov 32(%rdi), %rsp; mov 40(%rdi), %rbp; mov 48(%rdi), %rsi; mov 64(%rdi), %r8\n"
        "    mov 72(%rdi), %r9; mov 80(%rdi), %r10; mov 88(%rdi), %r11; mov 96(%rdi), %r12\n"
        "    mov 104(%rdi), %r13; mov 112(%rdi), %r14; mov 120(%rdi), %r15; mov 56(%rdi), %rdi\n"
        "    jmp *native+144(%rip)\n"
        "native_exit:\n"
        "    mov %rax, native+0(%rip); mov %rcx, native+8(%rip)\n"
        "    mov %rdx, native+16(%rip); mov %rbx, native+24(%rip)\n"
        "    mov %rsp, native+32(%rip); mov %rbp, native+40(%rip)\n"
        "    mov %rsi, native+48(%rip); mov %rdi, native+56(%rip)\n"
        "    mov %r8, native+64(%rip); mov %r9, native+72(%rip)\n"
        "    mov %r10, native+80(%rip); mov %r11, native+88(%rip)\n"
        "    mov %r12, native+96(%rip); mov %r13, native+104(%rip)\n"
        "    mov %r14, native+112(%rip); mov %r15, native+120(%rip)\n"
        "    lea native+136(%rip), %rsp\n"
        "    pushfq\n" // to native+128
        "    mov native+136(%rip), %rsp\n"
        "native_leave:\n"
        "    pushq $2\n"
        "    popfq\n"
        "    pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
        "    ret\n");

static long call6(long n, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    register uint64_t r10 __asm__("r10") = d;
    register uint64_t r8 __asm__("r8") = e;
    register uint64_t r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}
#define CALL(n, a, b, c, d) call6(n, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), (uint64_t)(d), 0, 0)

static _Noreturn void die(void)
{
    __builtin_trap();
}

static void must(long result)
{
    if (result < 0)
        die();
}

// ---- What a case raises ----

static void catch_signal(int sig, siginfo_t *info, void *context)
{
    static const uint8_t order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                      REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    struct judge_slot *s = native.slot;
    ucontext_t *u = context;
    greg_t *g = u->uc_mcontext.gregs;
    bool fetch = g[REG_TRAPNO] == VEC_PF && (uint64_t)g[REG_RIP] == (uint64_t)(uintptr_t)info->si_addr;
    bool inside = (uint64_t)g[REG_RIP] / PAGE == CODE / PAGE || fetch || sig == SIGSYS;
    bool wild = (uint64_t)g[REG_RIP] > JUDGE_END; // a fault of a transfer to nowhere that no page fault told
    if (!native.running || !(inside || wild))     // a bug of the judge itself
        die();
    struct outcome *o = &s->out;
    for (unsigned i = 0; i < 16; i++)
        o->regs.gpr[i] = (uint64_t)g[order[i]];
    o->regs.flags = (uint64_t)g[REG_EFL];
    o->rip = (uint64_t)g[REG_RIP];
    o->vector = (int)g[REG_TRAPNO];
    o->error = (uint64_t)g[REG_ERR];
    o->cr2 = o->vector == VEC_PF ? (uint64_t)(uintptr_t)info->si_addr : 0;
    s->status = sig == SIGSYS ? JUDGE_SYSCALL : JUDGE_DONE;
    if (s->vector)
        fpu_from_image(&o->fpu, (const uint8_t *)u->uc_mcontext.fpregs, SHARED->components);
    native.running = 2;
    g[REG_RIP] = (greg_t)(uintptr_t)native_leave;
    g[REG_RSP] = (greg_t)native.host_rsp;
    g[REG_EFL] = FLAG_FIXED1 | FLAG_IF;
}

// The kernel's own form of struct sigaction.
struct kernel_sigaction {
    void (*handler)(int, siginfo_t *, void *);
    uint64_t flags;
    void (*restorer)(void);
    uint64_t mask;
};

static void catch_signals(void)
{
    static const uint8_t signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
    static const stack_t own = {.ss_sp = signal_stack, .ss_size = sizeof signal_stack};
    struct kernel_sigaction action = {catch_signal, SA_SIGINFO | SA_ONSTACK | 0x04000000 /* SA_RESTORER */,
                                      native_restorer, 0};
    must(CALL(SYS_sigaltstack, &own, 0, 0, 0));
    for (unsigned i = 0; i < sizeof signals; i++)
        must(CALL(SYS_rt_sigaction, signals[i], &action, 0, 8));
}

// ---- Start ----

static void map_memory(void)
{
    struct judge_shared *s = SHARED;
    must(call6(SYS_mmap, JUDGE_SHARED, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, JUDGE_SHARED_FD, 0));
    must(call6(SYS_mmap, CODE, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED, JUDGE_SHARED_FD,
               offsetof(struct judge_shared, code)));
    must(call6(SYS_mmap, WINDOW, WINDOW_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
               UINT64_MAX, 0));
    fpu_copy((void *)(WINDOW + WINDOW_RW), s->pattern + WINDOW_RW, PAGE);
    must(CALL(SYS_mprotect, WINDOW + WINDOW_RW, PAGE, PROT_READ, 0));
}

// All that is mapped but for what map_memory() made and the program itself: the first stack, the vDSO.
static void unmap_rest(void)
{
    const uint64_t from[] = {PAGE * 16, WINDOW + WINDOW_BYTES, CODE + PAGE, JUDGE_END};
    const uint64_t to[] = {WINDOW, CODE, JUDGE_TEXT, USER_END};
    for (unsigned i = 0; i < 4; i++)
        must(CALL(SYS_munmap, from[i], to[i] - from[i], 0, 0));
}

static void give_up_rights(void)
{
    static const struct rlimit none = {0, 0};
    static const uint8_t limits[] = {RLIMIT_FSIZE, RLIMIT_CORE, RLIMIT_NOFILE, RLIMIT_MEMLOCK, RLIMIT_MSGQUEUE};
    static const struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigreturn, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    static const struct sock_fprog program = {sizeof filter / sizeof filter[0], (struct sock_filter *)filter};
    must(CALL(SYS_close_range, 0, UINT32_MAX, 0, 0));
    for (unsigned i = 0; i < sizeof limits; i++)
        must(CALL(SYS_prlimit64, 0, limits[i], &none, 0));
    must(CALL(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0));
    must(CALL(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0));
    must(CALL(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0));
    must(CALL(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program, 0));
}

// ---- A case ----

// Which a case may change; without these instructions it cannot.
static void set_bases(void)
{
    if (SHARED->fsgsbase)
        __asm__ volatile("wrgsbase %0; wrfsbase %1" : : "r"((uint64_t)GS_BASE), "r"((uint64_t)0));
}

static void load_fpu(const struct judge_slot *s)
{
    uint64_t components = SHARED->components;
    fpu_to_image(&s->fpu, native.image, components);
    __asm__ volatile("xrstor64 %0" : : "m"(native.image), "a"((uint32_t)components), "d"((uint32_t)(components >> 32)));
}

static void save_fpu(struct judge_slot *s)
{
    uint64_t components = SHARED->components;
    fpu_zero(native.image, sizeof native.image);
    __asm__ volatile("xsave64 %0"
                     : "=m"(native.image)
                     : "a"((uint32_t)components), "d"((uint32_t)(components >> 32))
                     : "memory");
    fpu_from_image(&s->out.fpu, native.image, components);
}

// Behind the case's bytes: jmp *[rip + distance], to where the address of native_exit lies.
static void put_code(const struct judge_slot *s)
{
    uint8_t *code = SHARED->code + (INSN_AT - CODE);
    uint64_t exit = (uint64_t)(uintptr_t)native_exit;
    uint32_t length = s->length < MAX_BYTES ? s->length : MAX_BYTES;
    uint32_t distance = (uint32_t)(EXIT_AT - (INSN_AT + length + 6));
    fpu_fill(code, CODE_FILLER, CODE_BYTES);
    fpu_copy(code, s->bytes, length);
    code[length] = 0xff;
    code[length + 1] = 0x25;
    fpu_copy(code + length + 2, &distance, 4);
    fpu_copy(SHARED->code + (EXIT_AT - CODE), &exit, 8);
}

static void put_memory(const struct judge_slot *s)
{
    uint8_t *window = (uint8_t *)WINDOW;
    fpu_copy(window, SHARED->pattern, WINDOW_RW);
    for (uint32_t i = 0; i < s->patches && i < MAX_PATCHES; i++)
        fpu_copy(window + (s->patch[i].at - WINDOW), s->patch[i].bytes, 16);
}

static void run_case(struct judge_slot *s)
{
    put_code(s);
    put_memory(s);
    set_bases();
    fpu_zero(&s->out, sizeof s->out);
    native.slot = s;
    native.running = 1;
    if (s->vector)
        load_fpu(s);
    native_enter(&s->regs);
    if (native.running == 1) {
        if (s->vector)
            save_fpu(s);
        s->out.regs = native.out;
        s->out.rip = INSN_AT + s->length;
        s->out.vector = -1;
        s->status = JUDGE_DONE;
    }
    native.running = 0;
    fpu_copy(s->window, (const void *)WINDOW, WINDOW_RW);
}

static void serve(struct judge_shared *s)
{
    for (uint32_t seen = 0;;) {
        uint32_t posted = __atomic_load_n(&s->posted, __ATOMIC_ACQUIRE);
        if (posted == seen) {
            CALL(SYS_futex, &s->posted, FUTEX_WAIT, seen, 0);
            continue;
        }
        seen = posted;
        uint32_t end = s->end < JUDGE_SLOTS ? s->end : JUDGE_SLOTS;
        for (uint32_t i = s->first; i < end; i++) {
            run_case(&s->slot[i]);
            __atomic_store_n(&s->progress, i + 1, __ATOMIC_RELEASE);
        }
        __atomic_store_n(&s->finished, posted, __ATOMIC_RELEASE);
        CALL(SYS_futex, &s->finished, FUTEX_WAKE, 1, 0);
    }
}

void judge_main(void)
{
    map_memory();
    catch_signals();
    must(CALL(SYS_arch_prctl, 0x1001 /* ARCH_SET_GS */, GS_BASE, 0, 0));
    native.code = INSN_AT;
    unmap_rest();
    give_up_rights();
    __atomic_store_n(&SHARED->started, 1, __ATOMIC_RELEASE);
    CALL(SYS_futex, &SHARED->started, FUTEX_WAKE, 1, 0);
    serve(SHARED);
}

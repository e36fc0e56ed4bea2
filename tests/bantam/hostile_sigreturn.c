// SPDX-License-Identifier: BSD-2-Clause
// Signal frames that a program has written itself: rt_sigreturn loads registers from them, and must load nothing that a
// program could not have. A frame of a real signal with one thing changed, and no frame at all.
#include "tests/bantam/children.h"

IMAGE("hostile_sigreturn");

#define SA_SIGINFO 4u
#define SA_RESTORER 0x04000000u
#define FLAGS_ALL (~0ull & ~0x100ull) // but TF
#define KERNEL_IMAGE 0xffffffff80100000ull
#define NOT_CANONICAL 0x800000000000ull

struct ucontext { // asm-generic/ucontext.h with asm/sigcontext.h
    uint64_t flags, link, stack[3];
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
    uint16_t cs, gs, fs, ss;
    uint64_t error, trapno, oldmask, cr2;
    uint64_t fpstate, reserved[8];
    uint64_t blocked;
};

// ud2 is skipped, or else it would fault for ever.
static void (*handler_does)(struct ucontext *uc);
extern const char behind_ud2[];
void signal_return(void); // the library's restorer

static void handler(int signal, void *info, struct ucontext *uc)
{
    (void)signal, (void)info;
    uc->rip = (uint64_t)behind_ud2;
    handler_does(uc);
}

// Goes on with the changed frame. 7: at CPL 3, with user selectors and no privileged flag; 8 otherwise.
static void with_changed_frame(void (*change)(struct ucontext *))
{
    handler_does = change;
    struct sigaction action = {
        .handler = (uint64_t)handler, .flags = SA_SIGINFO | SA_RESTORER, .restorer = (uint64_t)signal_return};
    syscall6(SYS_rt_sigaction, SIGILL, (uint64_t)&action, 0, 8, 0, 0);
    uint64_t cs, ss, flags;
    __asm__ volatile("ud2; behind_ud2: movl %%cs, %k0; movl %%ss, %k1; pushfq; popq %2; pushq $2; popfq; cld"
                     : "=r"(cs), "=r"(ss), "=r"(flags)
                     :
                     : "memory", "cc");
    _exit((cs & 3) == 3 && (ss & 3) == 3 && (flags & 0x3200) == 0x200 ? 7 : 8);
}

// P(name, wait status or another that is as good, change)
#define CHANGES(P)                                                                                                     \
    P(nothing, EXITED(7), EXITED(7), (void)uc)                                                                         \
    P(kernel_cs, EXITED(7), KILLED_BY(SIGSEGV), uc->cs = 0x10)                                                         \
    P(kernel_ss, EXITED(7), KILLED_BY(SIGSEGV), uc->ss = 0x18)                                                         \
    P(kernel_both, EXITED(7), KILLED_BY(SIGSEGV), (uc->cs = 0x10, uc->ss = 0x18))                                      \
    P(null_selectors, EXITED(7), KILLED_BY(SIGSEGV), (uc->cs = 0, uc->ss = 0))                                         \
    P(tss_selector, EXITED(7), KILLED_BY(SIGSEGV), uc->cs = 0x43)                                                      \
    P(odd_selectors, EXITED(7), KILLED_BY(SIGSEGV), (uc->cs = 0xffff, uc->ss = 0xffff))                                \
    P(all_flags, EXITED(7), EXITED(7), uc->rflags = FLAGS_ALL)                                                         \
    P(no_flags, EXITED(7), EXITED(7), uc->rflags = 0)                                                                  \
    P(trap_flag, KILLED_BY(SIGTRAP), KILLED_BY(SIGTRAP), uc->rflags |= 0x100)                                          \
    P(rip_in_kernel, KILLED_BY(SIGSEGV), KILLED_BY(SIGSEGV), uc->rip = KERNEL_IMAGE)                                   \
    P(rip_not_canonical, KILLED_BY(SIGSEGV), KILLED_BY(SIGSEGV), uc->rip = NOT_CANONICAL)                              \
    P(rip_top, KILLED_BY(SIGSEGV), KILLED_BY(SIGSEGV), uc->rip = ~0ull)                                                \
    P(rip_behind_user, KILLED_BY(SIGSEGV), KILLED_BY(SIGSEGV), uc->rip = 0x7ffffffff000)                               \
    P(rsp_in_kernel, KILLED_BY(SIGSEGV), KILLED_BY(SIGSEGV), uc->rsp = KERNEL_IMAGE)                                   \
    P(rsp_null, KILLED_BY(SIGSEGV), KILLED_BY(SIGSEGV), uc->rsp = 0)                                                   \
    P(all_blocked, EXITED(7), EXITED(7), uc->blocked = ~0ull)

#define CODE(name, status, other, change)                                                                              \
    static void change_##name(struct ucontext *uc)                                                                     \
    {                                                                                                                  \
        change;                                                                                                        \
    }                                                                                                                  \
    static void frame_##name(void)                                                                                     \
    {                                                                                                                  \
        with_changed_frame(change_##name);                                                                             \
    }
CHANGES(CODE)

#define ROW(name, status, other, change) {frame_##name, "frame: " #name, status, other},
static const struct {
    void (*program)(void);
    const char *name;
    int status, other;
} rows[] = {CHANGES(ROW)};

// rt_sigreturn with any rsp.
static uint64_t wanted_rsp;

static void return_from(void)
{
    __asm__ volatile("movq %0, %%rsp; movl $15, %%eax; syscall; ud2" : : "r"(wanted_rsp) : "memory");
}

static void without_frames(void)
{
    static const uint64_t places[] = {
        0, 1, 0x1000, KERNEL_IMAGE, 0xffff888000100000ull, NOT_CANONICAL, 0x7ffffffff000ull - 8, ~0ull, ~0ull - 300};
    unsigned wrong = 0;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        wanted_rsp = places[i];
        wrong += wait_status_of(return_from) != KILLED_BY(SIGSEGV);
    }
    CHECK_EQ(wrong, 0);
}

// Frames of random words: the child ends by a signal, whichever, or comes to the code that the frame names.
static uint64_t random_state = 0x9e3779b97f4a7c15;

static uint64_t random_word(void)
{
    random_state ^= random_state << 13, random_state ^= random_state >> 7, random_state ^= random_state << 17;
    return random_state;
}

static void random_frames(void)
{
    static uint64_t words[128];
    unsigned exited = 0;
    for (unsigned k = 0; k < 100; k++) {
        for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
            uint64_t word = random_word();
            words[i] = k % 3 == 0 ? word : k % 3 == 1 ? (uint64_t)(int64_t)(int8_t)word : word & 0x7fffff;
        }
        wanted_rsp = (uint64_t)words;
        exited += WIFEXITED(wait_status_of(return_from));
    }
    CHECK_EQ(exited, 0);
}

// SIGKILL cannot be blocked.
static void unblockable(void)
{
    int fds[2], status = -1;
    CHECK_EQ(pipe(fds), 0);
    int pid = fork();
    if (pid == 0) {
        uint64_t mask = ~0ull;
        syscall6(SYS_rt_sigprocmask, 2, (uint64_t)&mask, 0, 8, 0, 0);
        write(fds[1], "", 1);
        for (;;)
            sched_yield();
    }
    char byte;
    CHECK_EQ(read(fds[0], &byte, 1), 1);
    CHECK_EQ(kill(pid, 15), 0);
    CHECK_EQ(waitpid(pid, &status, WNOHANG), 0);
    CHECK_EQ(kill(pid, SIGKILL), 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, KILLED_BY(SIGKILL));
}

int image_main(void)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int status = wait_status_of(rows[i].program);
        check_record(status == rows[i].status || status == rows[i].other, rows[i].name, (uint64_t)status,
                     (uint64_t)rows[i].status);
    }
    without_frames();
    random_frames();
    unblockable();
    return 0;
}

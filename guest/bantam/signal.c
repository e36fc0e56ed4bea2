// SPDX-License-Identifier: BSD-2-Clause
// Signals: sent, waiting, delivered to a handler by a frame on the user's stack, or by their default. Structs and frame
// are Linux's, so that a program's handlers are the same here and there; there are no job control, no queues and no
// alternative stack.
#include "guest/bantam/kernel.h"

#define SIG_BLOCK 0
#define SIG_UNBLOCK 1
#define SIG_SETMASK 2
#define SA_RESTORER 0x04000000u
#define SA_RESTART 0x10000000u
#define SA_NODEFER 0x40000000u
#define SA_RESETHAND 0x80000000u
#define RED_ZONE 128
#define SYSCALL_INSN_BYTES 2
#define BIT(signal) (1ull << ((signal)-1))
#define UNBLOCKABLE (BIT(SIGKILL) | BIT(SIGSTOP))

struct siginfo { // asm-generic/siginfo.h, of a fault
    int32_t signo, error, code, pad;
    uint64_t address;
    uint64_t rest[13];
};

struct ucontext { // asm-generic/ucontext.h with asm/sigcontext.h, struct sigcontext_64
    uint64_t flags, link, stack[3];
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
    uint16_t cs, gs, fs, ss;
    uint64_t error, trapno, oldmask, cr2;
    uint64_t fpstate, reserved[8];
    uint64_t blocked;
};

struct signal_frame { // struct rt_sigframe: the handler returns to the restorer
    uint64_t restorer;
    struct ucontext uc;
    struct siginfo info;
};

static bool ignored_by_default(int signal)
{
    return signal == SIGCHLD || signal == SIGCONT || signal == SIGURG || signal == SIGWINCH ||
           (signal >= SIGSTOP && signal <= SIGTTOU);
}

static bool is_ignored(const struct process *p, int signal)
{
    uint64_t handler = p->actions[signal - 1].handler;
    return handler == SIG_IGN || (handler == SIG_DFL && ignored_by_default(signal));
}

bool signal_waiting(const struct process *p)
{
    return p->pending & ~p->blocked;
}

static void note_work(struct process *p)
{
    if (p == cpu.current && signal_waiting(p))
        cpu.work |= WORK_SIGNAL;
}

void signal_send(struct process *p, int signal)
{
    if (is_ignored(p, signal))
        return;
    p->pending |= BIT(signal);
    if (signal_waiting(p))
        process_interrupt(p);
    note_work(p);
}

// Of the running process, by an exception: where it is blocked or ignored, the program cannot go on.
void signal_fault(int signal, int code, uint64_t address)
{
    struct process *p = current();
    if (p->blocked & BIT(signal) || p->actions[signal - 1].handler == SIG_IGN) {
        p->blocked &= ~BIT(signal);
        p->actions[signal - 1].handler = SIG_DFL;
    }
    p->fault_signal = signal;
    p->fault_code = code;
    p->fault_address = address;
    p->pending |= BIT(signal);
    note_work(p);
}

// ---- Delivery ----

static void save(struct ucontext *uc, const struct trap_frame *f, const struct process *p)
{
    *uc = (struct ucontext){
        .r8 = f->r8,
        .r9 = f->r9,
        .r10 = f->r10,
        .r11 = f->r11,
        .r12 = f->r12,
        .r13 = f->r13,
        .r14 = f->r14,
        .r15 = f->r15,
        .rdi = f->rdi,
        .rsi = f->rsi,
        .rbp = f->rbp,
        .rbx = f->rbx,
        .rdx = f->rdx,
        .rax = f->rax,
        .rcx = f->rcx,
        .rsp = f->rsp,
        .rip = f->rip,
        .rflags = f->rflags,
        .cs = (uint16_t)f->cs,
        .ss = (uint16_t)f->ss,
        .oldmask = p->blocked,
        .blocked = p->blocked,
    };
    if (f->vector < IRQ_BASE) {
        uc->error = f->error;
        uc->trapno = f->vector;
        uc->cr2 = p->fault_address;
    }
}

static void restore(struct trap_frame *f, const struct ucontext *uc)
{
    *f = (struct trap_frame){
        .r8 = uc->r8,
        .r9 = uc->r9,
        .r10 = uc->r10,
        .r11 = uc->r11,
        .r12 = uc->r12,
        .r13 = uc->r13,
        .r14 = uc->r14,
        .r15 = uc->r15,
        .rdi = uc->rdi,
        .rsi = uc->rsi,
        .rbp = uc->rbp,
        .rbx = uc->rbx,
        .rdx = uc->rdx,
        .rax = uc->rax,
        .rcx = uc->rcx,
        .rsp = uc->rsp,
        .rip = uc->rip,
        .rflags = (uc->rflags & FLAGS_USER) | FLAG_IF | FLAG_FIXED1,
        .cs = USER_CS,
        .ss = USER_DS,
        .vector = IRQ_BASE, // neither a system call nor an exception any more
    };
}

// The program goes on in its handler. False: there is no room for the frame, or no restorer.
static bool enter_handler(struct trap_frame *f, struct process *p, int signal, const struct sigaction *action)
{
    struct signal_frame s = {.restorer = action->restorer, .info = {.signo = signal}};
    save(&s.uc, f, p);
    if (p->fault_signal == signal) {
        s.info.code = p->fault_code;
        s.info.address = p->fault_address;
        p->fault_signal = 0;
    }
    // As at a function's first instruction: rsp is 8 below a multiple of 16.
    uint64_t at = ((f->rsp - RED_ZONE - sizeof s) & ~15ull) - 8;
    if (!(action->flags & SA_RESTORER) || action->handler >= USER_TOP || copy_to_user(at, &s, sizeof s))
        return false;
    *f = (struct trap_frame){
        .rdi = (uint64_t)signal,
        .rsi = at + offsetof(struct signal_frame, info),
        .rdx = at + offsetof(struct signal_frame, uc),
        .rip = action->handler,
        .cs = USER_CS,
        .rflags = f->rflags & ~(uint64_t)(FLAG_DF | FLAG_TF | FLAG_RF),
        .rsp = at,
        .ss = USER_DS,
        .vector = IRQ_BASE,
    };
    p->blocked |= (action->mask | (action->flags & SA_NODEFER ? 0 : BIT(signal))) & ~UNBLOCKABLE;
    if (action->flags & SA_RESETHAND)
        p->actions[signal - 1].handler = SIG_DFL;
    return true;
}

// A system call that a signal ended early: once more, or -EINTR.
static void settle_syscall(struct trap_frame *f, bool again)
{
    if (f->vector != SYSCALL_VECTOR || (int64_t)f->rax != -ERESTARTSYS)
        return;
    if (again) {
        f->rax = f->error; // the number
        f->rip -= SYSCALL_INSN_BYTES;
    } else {
        f->rax = (uint64_t)-EINTR;
    }
}

void signal_deliver(struct trap_frame *frame)
{
    struct process *p = current();
    uint64_t waiting;
    while ((waiting = p->pending & ~p->blocked)) {
        // An exception's first, as its frame is of here and now.
        int signal = waiting & BIT(SIGKILL) ? SIGKILL : p->fault_signal;
        if (!signal || !(waiting & BIT(signal)))
            signal = __builtin_ctzll(waiting) + 1;
        p->pending &= ~BIT(signal);
        struct sigaction action = p->actions[signal - 1];
        if (is_ignored(p, signal))
            continue;
        if (action.handler == SIG_DFL)
            process_exit(signal);
        settle_syscall(frame, action.flags & SA_RESTART);
        if (!enter_handler(frame, p, signal, &action))
            process_exit(SIGSEGV);
    }
    settle_syscall(frame, true);
    cpu.work &= ~(uint64_t)WORK_SIGNAL;
}

// ---- System calls ----

int64_t sys_rt_sigreturn(struct trap_frame *frame)
{
    struct process *p = current();
    struct ucontext uc;
    // The handler's ret has taken the restorer's address.
    if (copy_from_user(&uc, frame->rsp, sizeof uc) || uc.rip >= USER_TOP) {
        signal_fault(SIGSEGV, 0, 0);
        return 0;
    }
    restore(frame, &uc);
    p->blocked = uc.blocked & ~UNBLOCKABLE;
    note_work(p);
    return (int64_t)frame->rax;
}

static bool is_signal(uint64_t signal)
{
    return signal >= 1 && signal <= SIGNALS;
}

int64_t sys_rt_sigaction(struct trap_frame *frame)
{
    uint64_t signal = ARG0(frame);
    if (!is_signal(signal) || ARG3(frame) != sizeof(uint64_t))
        return -EINVAL;
    struct sigaction *action = &current()->actions[signal - 1], old = *action, wanted;
    if (ARG1(frame)) {
        if (signal == SIGKILL || signal == SIGSTOP)
            return -EINVAL;
        if (copy_from_user(&wanted, ARG1(frame), sizeof wanted))
            return -EFAULT;
        *action = wanted;
    }
    if (ARG2(frame) && copy_to_user(ARG2(frame), &old, sizeof old))
        return -EFAULT;
    return 0;
}

int64_t sys_rt_sigprocmask(struct trap_frame *frame)
{
    struct process *p = current();
    uint64_t how = ARG0(frame), old = p->blocked, mask;
    if (ARG3(frame) != sizeof mask)
        return -EINVAL;
    if (ARG1(frame)) {
        if (copy_from_user(&mask, ARG1(frame), sizeof mask))
            return -EFAULT;
        if (how > SIG_SETMASK)
            return -EINVAL;
        uint64_t wanted = how == SIG_BLOCK ? old | mask : how == SIG_UNBLOCK ? old & ~mask : mask;
        p->blocked = wanted & ~UNBLOCKABLE;
        note_work(p);
    }
    return ARG2(frame) && copy_to_user(ARG2(frame), &old, sizeof old) ? -EFAULT : 0;
}

// To one process: there are no groups.
int64_t sys_kill(struct trap_frame *frame)
{
    int pid = (int)ARG0(frame);
    uint64_t signal = ARG1(frame);
    if (pid <= 0 || (signal && !is_signal(signal)))
        return -EINVAL;
    struct process *p = process_find(pid);
    if (!p)
        return -ESRCH;
    if (signal)
        signal_send(p, (int)signal);
    return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
// Faults of translated code, as signals: hidden page faults, true ones, divide errors, polls. The handler gives *bt the
// state that the guest instruction started from; then the instruction either runs again, or the handler leaves for the
// run loop by longjmp, which costs less than returning through the kernel.
//
// That is sound because the handler runs on a stack of its own with no signal blocked (SA_ONSTACK, SA_NODEFER), and
// interrupts translated code only, never C code that holds anything. rsp is the guest's, who may point it into that
// stack; so the kernel must not ask where it is, which SS_AUTODISARM tells it. After a longjmp the stack is armed anew.
// Vector registers are the C library's own in a handler, which the kernel sees to; the guest's are in the frame, from
// where they are loaded again or, before a longjmp, taken.
#include "engines/bt/signal.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>

#include "engines/bt/direct.h"
#include "engines/bt/map.h"
#include "engines/bt/run.h"
#include "engines/bt/tc.h"
#include "engines/bt/vectors.h"
#include "engines/bt/world.h"

#define STACK_BYTES (256u << 10)
#define ACCESS_BYTES 32 // of cold code: a load of the address, and an instruction
#define NUDGE SIGURG    // ignored where no handler is installed
static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, NUDGE};
#define SIGNALS (sizeof signals / sizeof signals[0])
#ifndef SS_AUTODISARM // Linux 4.7; not in every libc's header
#define SS_AUTODISARM (1u << 31)
#endif
#define PATIENCE_NS (5 * 1000 * 1000) // of the vCPU thread's CPU time, before a kick is repeated by a signal

struct signals {
    void *stack;
    struct sigaction old[SIGNALS];
    volatile bool disarmed; // a handler is running, or was left by longjmp: there is no alternate stack
    atomic_bool running;    // `thread` is in bt_run()
    pthread_t thread;
    clockid_t cpu_clock;
    atomic_ullong kicked_at; // CPU time when the kick came that has not been seen
};

// ucontext's order of registers, by the numbers that instructions use
static const uint8_t greg_of[GPR_COUNT] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                           REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

static void save_state(struct bt *bt, const greg_t *gregs)
{
    for (unsigned i = 0; i < GPR_COUNT; i++)
        bt->gpr[i] = (uint64_t)gregs[greg_of[i]];
    bt->flags = (uint64_t)gregs[REG_EFL];
    bt->world_rsp = (uint64_t)gregs[REG_RSP];
    bt_state_from_world(bt);
}

static void recover_state(struct bt *bt, const struct point *point)
{
    for (uint32_t parked = point->parked; parked; parked &= parked - 1) {
        unsigned reg = (unsigned)__builtin_ctz(parked);
        bt->gpr[reg] = bt->parked[reg];
    }
    switch (point->recover) {
    case RECOVER_SLOT:
        bt->gpr[point->reg] = bt->slot[0];
        break;
    case RECOVER_TWO:
        bt->gpr[point->reg % GPR_COUNT] = bt->slot[0];
        bt->gpr[point->reg / GPR_COUNT] = bt->slot[3];
        break;
    case RECOVER_RETURN:
        bt->gpr[RCX] = bt->slot[0];
        break;
    case RECOVER_STRING:
        bt->gpr[point->reg] = bt->slot[0];
        bt->gpr[RSI] -= BT_BIAS;
        bt->gpr[RDI] -= BT_BIAS;
        break;
    default:
        break;
    }
}

// Where the instruction at bt->rip is to be run again, or, a repeated one, to go on: RF says so (SDM vol. 3, 17.3.1.1).
static _Noreturn void to_run_loop(struct bt *bt, const struct point *point)
{
    bt->rflags |= point->recover == RECOVER_STRING ? FLAG_RF : 0;
    bt->event.pending = false;
    longjmp(bt->fault, BT_FAULT);
}

// A privileged instruction by trap: the rest is as if it had left through its site.
static _Noreturn void trap(struct bt *bt, const uint8_t *host)
{
    uint32_t site;
    memcpy(&site, host + 1, sizeof site);
    bt->site = site;
    bt_left(bt);
    longjmp(bt->fault, BT_TRAPPED);
}

// Has the operand of the instruction at bt->rip been translated in software already?
static bool checked_form(const struct bt *bt)
{
    return bt->world != WORLD_FAST || bt->stepping || tc_is_guilty(bt->tc, bt->rip);
}

// The guest's memory access faulted on the host. Returns where it shall simply be made again.
static void memory_fault(struct bt *bt, const siginfo_t *info, bool write, struct ccf *ccf, const struct point *point)
{
    bool has_address = info->si_signo == SIGSEGV && (info->si_code == SEGV_MAPERR || info->si_code == SEGV_ACCERR);
    enum map_result result = MAP_CHECKED; // what has no address is not canonical on the host
    uint64_t va = (uint64_t)(uintptr_t)info->si_addr - BT_BIAS;
    uint32_t error = 0;
    if (has_address)
        result = map_fault(bt, va, write, &error);
    if (result == MAP_DONE) {
        if (bt->attention && !bt->stepping) // a string instruction may fault a million times
            to_run_loop(bt, point);
        return;
    }
    if (point->recover == RECOVER_LANDING)
        to_run_loop(bt, point);
    if (result == MAP_TRUE && !(point->recover == RECOVER_RETURN && write)) // ret itself only reads
        raise_page_fault(bt, va, error);
    if (!has_address && point->recover == RECOVER_SLOT && checked_form(bt))
        raise_error(bt, VEC_GP, 0); // not the address: cmpxchg16b on an operand that is not aligned
    bt->once = bt->options.no_adapt || bt->world != WORLD_FAST; // tlb.c: a stack that is not canonical
    if (!bt->once)
        tc_guilty(bt, ccf, point, has_address ? map_refusal(bt, va) : "an address that is not canonical for the host");
    to_run_loop(bt, point);
}

// Outside of hot code. The guest cannot get there but by overwriting the monitor (layout.h), or by a mistake of ours.
static void stray_fault(struct bt *bt, int number, const void *address, uint64_t rip)
{
    if (!bt->signals->running || !pthread_equal(pthread_self(), bt->signals->thread)) {
        signal(number, SIG_DFL); // not in the vCPU's run: let it be fatal
        return;
    }
    bt->signals->running = false; // no second attempt
    raise_engine_error(bt, "signal %d at host address %#" PRIx64 ", which touched %p: the monitor is damaged", number,
                       rip, address);
}

// Is that an access of the cold code behind a lookup that has missed? C code has just loaded all registers, and none of
// the guest's has changed since: *bt is the state that the instruction started from.
static struct site *access_at(struct bt *bt, const uint8_t *host)
{
    struct site *site = tc_site(bt->tc, bt->site);
    bool here = site->kind == SITE_ACCESS && !tc_is_hot(bt->tc, host) &&
                ((host >= site->resume && host < site->resume + ACCESS_BYTES) ||
                 (host >= site->special && host < site->special + ACCESS_BYTES));
    return here ? site : NULL;
}

// Exceptions of arithmetic (SDM vol. 3, 6.15; vol. 1, 8.7 and 11.5).
static _Noreturn void raise_arithmetic(struct bt *bt, const greg_t *gregs)
{
    switch (gregs[REG_TRAPNO]) {
    case VEC_MF:
        raise_exception(bt, VEC_MF);
    case VEC_XM:
        raise_exception(bt, bt->cr4 & CR4_OSXMMEXCPT ? VEC_XM : VEC_UD);
    default:
        raise_exception(bt, VEC_DE);
    }
}

static void cold_fault(struct bt *bt, int number, const siginfo_t *info, const ucontext_t *context)
{
    const greg_t *gregs = context->uc_mcontext.gregs;
    const struct site *site = access_at(bt, (const uint8_t *)(uintptr_t)gregs[REG_RIP]);
    if (!site || number == SIGILL || number == SIGBUS) {
        stray_fault(bt, number, info->si_addr, (uint64_t)gregs[REG_RIP]);
        return;
    }
    vectors_from_frame(bt, context->uc_mcontext.fpregs);
    count(bt, EV_trap_exception);
    bt->rip = site->rip;
    if (number == SIGFPE)
        raise_arithmetic(bt, gregs);
    raise_error(bt, VEC_GP, 0);
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    struct bt *bt = (struct bt *)BT_REGION;
    const ucontext_t *frame = context;
    const greg_t *gregs = frame->uc_mcontext.gregs;
    const struct point *point;
    bt->signals->disarmed = true;
    struct ccf *ccf = tc_ccf_at(bt->tc, (const uint8_t *)(uintptr_t)gregs[REG_RIP], &point);
    if (!ccf) {
        cold_fault(bt, number, info, frame);
        return;
    }
    vectors_from_frame(bt, frame->uc_mcontext.fpregs);
    uintptr_t address = (uintptr_t)info->si_addr, poll = (uintptr_t)bt->poll;
    bool polled = number == SIGSEGV && address >= poll && address < poll + sizeof bt->poll;
    save_state(bt, gregs);
    recover_state(bt, point);
    bt->rip = ccf->rip + point->guest;
    if (point->recover == RECOVER_TRAP)
        trap(bt, (const uint8_t *)(uintptr_t)gregs[REG_RIP]);
    if (polled)
        count(bt, EV_trap_poll);
    else
        count(bt, number == SIGFPE || number == SIGILL ? EV_trap_exception : EV_trap_memory);
    if (number == SIGFPE)
        raise_arithmetic(bt, gregs);
    if (number == SIGILL)
        raise_exception(bt, VEC_UD);
    if (polled) {
        atomic_store(&bt->poll_armed, true); // a kick may take the permission away after calm_down() gave it back
        to_run_loop(bt, point);
    }
    memory_fault(bt, info, gregs[REG_ERR] & 2, ccf, point);
    bt->signals->disarmed = false; // returning restores the alternate stack
}

// A kick has not been seen for a while: the guest is in a string instruction, or in a loop that comes by no poll, which
// is made of returns then. The one can be left here; the other finds its way when no target is known any more.
static void on_nudge(int number, siginfo_t *info, void *context)
{
    struct bt *bt = (struct bt *)BT_REGION;
    greg_t *gregs = ((ucontext_t *)context)->uc_mcontext.gregs;
    const uint8_t *host = (const uint8_t *)(uintptr_t)gregs[REG_RIP];
    const struct point *point;
    (void)number;
    if (!bt->signals->running || !tc_contains(bt->tc, host))
        return;                    // in C code, which looks by itself
    if (info->si_code == SI_TIMER) // and no sign that a kick has been overlooked
        direct_tick(bt);
    if (info->si_code == SI_TIMER || !atomic_load(&bt->kicked))
        return;
    struct ccf *ccf = tc_ccf_at(bt->tc, host, &point);
    if (!ccf || point->recover != RECOVER_STRING || bt->stepping) {
        tc_forget_targets(bt);
        return;
    }
    bt->signals->disarmed = true;
    vectors_from_frame(bt, ((ucontext_t *)context)->uc_mcontext.fpregs);
    save_state(bt, gregs);
    recover_state(bt, point);
    bt->rip = ccf->rip + point->guest;
    to_run_loop(bt, point);
}

struct signals *signals_install(struct bt *bt)
{
    struct signals *s = calloc(1, sizeof *s);
    void *stack = s ? malloc(STACK_BYTES) : NULL;
    if (!stack) {
        free(s);
        snprintf(bt->vcpu->error, sizeof bt->vcpu->error, "bt: not enough memory for a signal stack");
        return NULL;
    }
    s->stack = stack;
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTART};
    sigemptyset(&action.sa_mask);
    for (unsigned i = 0; i < SIGNALS; i++) {
        action.sa_sigaction = signals[i] == NUDGE ? on_nudge : on_fault;
        sigaction(signals[i], &action, &s->old[i]);
    }
    return s;
}

void signals_remove(struct signals *s)
{
    for (unsigned i = 0; i < SIGNALS; i++)
        sigaction(signals[i], &s->old[i], NULL);
    const stack_t none = {.ss_flags = SS_DISABLE};
    sigaltstack(&none, NULL);
    free(s->stack);
    free(s);
}

static void arm(struct signals *s)
{
    stack_t stack = {.ss_sp = s->stack, .ss_size = STACK_BYTES, .ss_flags = (int)SS_AUTODISARM};
    s->disarmed = false;
    sigaltstack(&stack, NULL);
}

void signals_begin_run(struct signals *s)
{
    s->thread = pthread_self();
    pthread_getcpuclockid(s->thread, &s->cpu_clock);
    arm(s);
    atomic_store(&s->running, true);
}

void signals_end_run(struct signals *s)
{
    atomic_store(&s->running, false);
}

void signals_rearm(struct signals *s)
{
    if (s->disarmed)
        arm(s);
}

// ---- Kicks that are not seen ----

static unsigned long long cpu_time(const struct signals *s)
{
    struct timespec now;
    return clock_gettime(s->cpu_clock, &now) ? 0
                                             : (unsigned long long)now.tv_sec * 1000000000 + (unsigned long)now.tv_nsec;
}

void signals_kicked(struct signals *s, bool again)
{
    if (!atomic_load(&s->running))
        return;
    if (!again)
        atomic_store(&s->kicked_at, cpu_time(s));
    else if (cpu_time(s) - atomic_load(&s->kicked_at) > PATIENCE_NS)
        pthread_kill(s->thread, NUDGE);
}

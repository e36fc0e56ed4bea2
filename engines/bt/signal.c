// SPDX-License-Identifier: BSD-2-Clause
// Faults of translated code, as signals: hidden page faults, true ones, divide errors, polls. The handler gives *bt the
// state that the guest instruction started from; then the instruction either runs again, or the handler leaves for the
// run loop by longjmp, which costs less than returning through the kernel.
//
// That is sound because the handler runs on a stack of its own with no signal blocked (SA_ONSTACK, SA_NODEFER), and
// interrupts translated code only, never C code that holds anything.
#include "engines/bt/signal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "engines/bt/map.h"
#include "engines/bt/run.h"
#include "engines/bt/tc.h"
#include "engines/bt/world.h"

#define STACK_BYTES (256u << 10)
static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};

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
    switch (point->recover) {
    case RECOVER_SLOT:
        bt->gpr[point->reg] = bt->slot[0];
        break;
    case RECOVER_RETURN:
        bt->gpr[RCX] = bt->slot[0];
        bt->gpr[RDX] = bt->slot[1];
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

static _Noreturn void to_run_loop(struct bt *bt)
{
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
    if (result == MAP_DONE)
        return;
    if (result == MAP_TRUE && !(point->recover == RECOVER_RETURN && write)) // ret itself only reads
        raise_page_fault(bt, va, error);
    if (!has_address && point->recover == RECOVER_SLOT && checked_form(bt))
        raise_error(bt, VEC_GP, 0); // not the address: cmpxchg16b on an operand that is not aligned
    bt->once = bt->options.no_adapt;
    if (!bt->once)
        tc_guilty(bt, ccf, point);
    to_run_loop(bt);
}

// Not a fault of the guest's: let it be fatal.
static void give_up(int number)
{
    signal(number, SIG_DFL);
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    struct bt *bt = (struct bt *)BT_REGION;
    greg_t *gregs = ((ucontext_t *)context)->uc_mcontext.gregs;
    const struct point *point;
    struct ccf *ccf = tc_ccf_at(bt->tc, (const uint8_t *)(uintptr_t)gregs[REG_RIP], &point);
    if (!ccf) {
        give_up(number);
        return;
    }
    save_state(bt, gregs);
    recover_state(bt, point);
    bt->rip = ccf->rip + point->guest;
    if (point->recover == RECOVER_TRAP)
        trap(bt, (const uint8_t *)(uintptr_t)gregs[REG_RIP]);
    if (number == SIGFPE)
        raise_exception(bt, VEC_DE);
    if (number == SIGILL)
        raise_exception(bt, VEC_UD);
    uintptr_t address = (uintptr_t)info->si_addr, poll = (uintptr_t)bt->poll;
    if (number == SIGSEGV && address >= poll && address < poll + sizeof bt->poll) {
        atomic_store(&bt->poll_armed, true); // a kick may take the permission away after calm_down() gave it back
        to_run_loop(bt);
    }
    memory_fault(bt, info, gregs[REG_ERR] & 2, ccf, point);
}

struct signals {
    void *stack;
    struct sigaction old[sizeof signals / sizeof signals[0]];
};

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
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    sigemptyset(&action.sa_mask);
    for (unsigned i = 0; i < sizeof signals / sizeof signals[0]; i++)
        sigaction(signals[i], &action, &s->old[i]);
    return s;
}

void signals_remove(struct signals *s)
{
    for (unsigned i = 0; i < sizeof signals / sizeof signals[0]; i++)
        sigaction(signals[i], &s->old[i], NULL);
    free(s->stack);
    free(s);
}

int signals_enter_thread(struct signals *s)
{
    stack_t stack = {.ss_sp = s->stack, .ss_size = STACK_BYTES};
    return sigaltstack(&stack, NULL);
}

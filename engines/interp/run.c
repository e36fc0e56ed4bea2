// SPDX-License-Identifier: BSD-2-Clause
// The run loop. Between two blocks it looks, in the architecture's order of priority (SDM vol. 3, table 6-2), at what
// the last instruction left behind, at what the host wants, and at what waits to be delivered; then it runs blocks
// until one of them asks for attention.
#include "engines/interp/run.h"

#include "engines/interp/block.h"
#include "engines/interp/bus.h"
#include "engines/interp/debug.h"
#include "engines/interp/deliver.h"
#include "engines/interp/fault.h"
#include "engines/interp/mxcsr.h"

void account_instructions(struct cpu *c)
{
    enum event event = c->cpl == 3 ? EV_insns_user : EV_insns_kernel;
    c->vcpu->counters.n[event] += c->icount - c->icount_split;
    c->icount_split = c->icount;
}

static void deliver(struct cpu *c, struct cpu_event event)
{
    count(c, event.type == EVENT_EXTERNAL || event.type == EVENT_NMI ? EV_interrupts : EV_exceptions);
    if (event.type == EVENT_EXCEPTION && event.vector == VEC_PF)
        count(c, EV_true_faults);
    c->delivering = event.vector;
    c->halted = false;
    deliver_event(c, event);
    c->delivering = NOT_DELIVERING;
}

// A fault came up in c->event. Where another event was being delivered the two combine, at worst to a shutdown.
static void after_fault(struct cpu *c)
{
    if (c->exit == VCPU_EXIT_ERROR || c->delivering == NOT_DELIVERING)
        return;
    unsigned first = c->delivering;
    c->delivering = NOT_DELIVERING;
    if (!combine_faults(c, first, &c->event)) {
        c->event.pending = false;
        c->exit = VCPU_EXIT_SHUTDOWN;
    }
}

static enum vcpu_exit take_exit(struct cpu *c)
{
    enum vcpu_exit exit = c->exit;
    c->exit = VCPU_CONTINUE;
    if (exit == VCPU_EXIT_SHUTDOWN) {
        count(c, EV_exits);
        count(c, EV_exit_shutdown);
    }
    return exit;
}

static enum vcpu_exit leave_for_host(struct cpu *c, enum vcpu_exit exit, enum event event)
{
    count(c, EV_exits);
    count(c, event);
    return exit;
}

// Delivers at most one interrupt, NMI first.
static void take_interrupt(struct cpu *c)
{
    if (c->inhibit)
        return;
    if (c->nmi_pending && !c->nmi_masked) {
        c->nmi_pending = false;
        deliver(c, (struct cpu_event){.vector = VEC_NMI, .type = EVENT_NMI});
    } else if (c->intr && (c->rflags & FLAG_IF)) {
        int vector = bus_interrupt_acknowledge(c);
        if (vector >= 0)
            deliver(c, (struct cpu_event){.vector = (uint8_t)vector, .type = EVENT_EXTERNAL});
    }
}

// Everything that comes between two blocks; VCPU_CONTINUE when the next one may run.
static enum vcpu_exit between_blocks(struct cpu *c)
{
    if (c->event.pending) {
        struct cpu_event event = c->event;
        c->event.pending = false;
        deliver(c, event);
    }
    if (c->exit != VCPU_CONTINUE)
        return take_exit(c);
    if (atomic_exchange(&c->kicked, false))
        return leave_for_host(c, VCPU_EXIT_KICK, EV_exit_host);
    if (c->icount >= c->budget_end)
        return VCPU_EXIT_BUDGET;
    take_interrupt(c);
    if (c->halted)
        return leave_for_host(c, VCPU_EXIT_HALT, EV_exit_halt);
    return VCPU_CONTINUE;
}

static void execute(struct cpu *c, const struct block *b)
{
    c->block = b;
    c->icount += b->insns;
    const struct op *op = b->op;
    do
        op = op->fn(c, op);
    while (INTERP_LOOP && op);
}

// One instruction, then the single-step trap where TF was set before it (SDM vol. 3, 17.3.1.4) and the instruction
// leaves it at that (transfer.c).
static void step(struct cpu *c)
{
    if (c->break_at && !c->inhibit_debug)
        debug_raise_at(c);
    c->rflags &= ~(uint64_t)FLAG_RF;
    c->stepping = true;
    c->step_trap = c->rflags & FLAG_TF;
    atomic_store_explicit(&c->limit, 0, memory_order_relaxed);
    c->inhibit = c->inhibit_debug = false;
    execute(c, block_single(c));
    c->stepping = false;
    debug_trap(c, c->step_trap);
}

static void run_blocks(struct cpu *c)
{
    if (!c->break_at) // there is nothing that RF could hold off
        c->rflags &= ~(uint64_t)FLAG_RF;
    bool single = (c->rflags & (FLAG_TF | FLAG_RF)) || c->inhibit || c->budget_end - c->icount < BLOCK_MAX_INSNS;
    if (single) {
        if (!c->debug_step && breakpoint_at(&c->breakpoints, c->rip))
            c->exit = VCPU_EXIT_BREAKPOINT;
        else
            step(c);
        return;
    }
    atomic_store(&c->limit, c->budget_end);
    if (atomic_load(&c->kicked)) // a kick between the last look and this store would have been overwritten
        return;
    execute(c, block_find(c));
    debug_trap(c, false);
}

enum vcpu_exit interp_run(struct vcpu *v, uint64_t budget)
{
    struct cpu *c = v->engine_data;
    c->budget_end = budget ? c->icount + budget : UINT64_MAX;
    mxcsr_enter(c);
    if (setjmp(c->fault)) {
        c->stepping = false;
        c->inhibit = c->inhibit_debug = false;
        c->debug_hits = 0;
        after_fault(c);
    }
    for (;;) {
        enum vcpu_exit exit = between_blocks(c);
        if (exit != VCPU_CONTINUE) {
            mxcsr_leave(c);
            return exit;
        }
        debug_trap(c, false); // what a delivery met comes before its handler's first instruction
        if (!c->event.pending)
            run_blocks(c);
    }
}

enum vcpu_exit interp_step(struct vcpu *v)
{
    struct cpu *c = v->engine_data;
    bool inhibit = c->inhibit;
    c->debug_step = true;
    c->inhibit = inhibit || !c->halted;
    enum vcpu_exit exit = interp_run(v, 1);
    c->debug_step = false;
    if (exit == VCPU_EXIT_KICK)
        c->inhibit = inhibit;
    return exit;
}

// SPDX-License-Identifier: BSD-2-Clause
// The run loop, and what happens when translated code leaves through a site. C code has the whole guest state in *bt;
// bt_left() says where in the translation cache the guest goes on, or that the run loop has to look first.
#include "engines/bt/run.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "engines/bt/debug.h"
#include "engines/bt/deliver.h"
#include "engines/bt/direct.h"
#include "engines/bt/flush.h"
#include "engines/bt/kinds.h"
#include "engines/bt/map.h"
#include "engines/bt/memory.h"
#include "engines/bt/region.h"
#include "engines/bt/segment.h"
#include "engines/bt/signal.h"
#include "engines/bt/tc.h"
#include "engines/bt/tlb.h"
#include "engines/bt/vectors.h"
#include "engines/bt/world.h"

_Static_assert(offsetof(struct bt, gpr) == BT_GPR, "world.S");
_Static_assert(offsetof(struct bt, flags) == BT_FLAGS, "world.S");
_Static_assert(offsetof(struct bt, host_rsp) == BT_HOST_RSP, "world.S");
_Static_assert(offsetof(struct bt, world_rsp) == BT_HOST_GUEST_RSP, "world.S");
_Static_assert(offsetof(struct bt, resume) == BT_RESUME, "world.S");
_Static_assert(offsetof(struct bt, go) == BT_GO, "world.S");
_Static_assert(offsetof(struct bt, live) == BT_LIVE, "world.S");
_Static_assert(offsetof(struct bt, mxcsr_reset) == BT_MXCSR_RESET, "world.S");
_Static_assert(offsetof(struct bt, xsave) == BT_XSAVE, "world.S");

// ---- Faults from C code ----

static _Noreturn void raise_event(struct bt *bt, struct bt_event event)
{
    bt->event = event;
    longjmp(bt->fault, BT_FAULT);
}

_Noreturn void raise_exception(struct bt *bt, unsigned vector)
{
    raise_event(bt, (struct bt_event){.pending = true, .vector = (uint8_t)vector, .type = EVENT_EXCEPTION});
}

_Noreturn void raise_error(struct bt *bt, unsigned vector, uint32_t error)
{
    raise_event(
        bt,
        (struct bt_event){
            .pending = true, .vector = (uint8_t)vector, .type = EVENT_EXCEPTION, .has_error = true, .error = error});
}

_Noreturn void raise_page_fault(struct bt *bt, uint64_t va, uint32_t error)
{
    bt->cr2 = va;
    raise_error(bt, VEC_PF, error);
}

_Noreturn void raise_engine_error(struct bt *bt, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(bt->vcpu->error, sizeof bt->vcpu->error, format, args);
    va_end(args);
    bt->exit = VCPU_EXIT_ERROR;
    raise_event(bt, (struct bt_event){0});
}

// ---- Worlds ----

static enum world world_of(const struct bt *bt)
{
    if (code_mode(bt) != X86_CODE64)
        return WORLD_COMPAT;
    if (bt->cpl == 3)
        return WORLD_USER;
    return bt->on_entry ? WORLD_ENTRY : flush_kernel_world(bt);
}

void bt_mode_changed(struct bt *bt)
{
    enum world before = bt->world;
    bt->world = world_of(bt);
    bt->segmented = bt->world == WORLD_COMPAT && (bt->cpl != 3 || !segments_are_flat(bt));
    if (bt->world != WORLD_FAST && bt->world != bt->stack_world) {
        tlb_forget_stack();
        bt->stack_world = bt->world;
    }
    flush_look(bt);
    if (bt->direct)
        direct_mode_changed(bt, before);
}

void bt_state_from_world(struct bt *bt)
{
    bt->gpr[RSP] = bt->world_rsp - (bt->world == WORLD_FAST ? BT_BIAS : 0);
    bt->flags &= FLAGS_ARITH | FLAG_DF;
}

// At home, some registers are in cells in the checked worlds (park.h).
_Static_assert(PARKED_AT_HOME == (1u << RCX | 1u << R14 | 1u << R15), "these three");

void bt_registers_home(struct bt *bt)
{
    bt_state_from_world(bt);
    if (bt->world == WORLD_FAST)
        return;
    bt->gpr[RCX] = bt->parked[RCX];
    bt->gpr[R14] = bt->parked[R14];
    bt->gpr[R15] = bt->parked[R15];
}

static void to_cells(struct bt *bt)
{
    bt->parked[RCX] = bt->gpr[RCX];
    bt->parked[R14] = bt->gpr[R14];
    bt->parked[R15] = bt->gpr[R15];
    mem_begin_world(bt);
}

void bt_state_to_world(struct bt *bt)
{
    if (bt->world != WORLD_FAST)
        to_cells(bt);
    bt->world_rsp = bt->gpr[RSP] + (bt->world == WORLD_FAST ? BT_BIAS : 0);
}

// ---- Sites ----

// May the guest go on without the run loop looking?
static bool calm(const struct bt *bt)
{
    return !bt->stepping && !bt->segmented && !bt->user_direct && !bt->attention && bt->exit == VCPU_CONTINUE &&
           !bt->event.pending && !bt->halted && !bt->inhibit && !bt->debug_hits &&
           !(bt->rflags & (FLAG_TF | FLAG_RF)) && !(bt->interrupt_flag && bt->interrupt_waits);
}

// The guest goes on behind the site, with its vector registers live if the code there takes them to be.
static uint8_t *go_on(struct bt *bt, const struct site *site, uint8_t *host)
{
    if (!site->live)
        vectors_sleep(bt);
    return host;
}

static uint8_t *emulate(struct bt *bt, const struct site *site)
{
    unsigned flushes = tc_flushes(bt->tc);
    enum world world = bt->world;
    bt->rip = site->rip;
    bt->met_special = false;
    site->emulate(bt, &site->insn); // may flush the cache; what the site and its CCF say stays until tc_enter
    if (site->guilty)
        tc_tried(bt, site, bt->met_special);
    if (!calm(bt))
        return NULL;
    bool same = flushes == tc_flushes(bt->tc) && !site->from->dead && world == bt->world;
    bool behind = same && site->resume && bt->rip == site->rip + site->insn.length;
    return behind ? go_on(bt, site, site->resume) : tc_enter(bt);
}

// What was written to the bounce buffer goes to where it belongs; then the guest goes on at `resume`.
static uint8_t *commit_and_go(struct bt *bt, const struct site *site, uint8_t *resume)
{
    const struct ccf *from = site->from;
    unsigned flushes = tc_flushes(bt->tc);
    bt->rip = site->rip;
    mem_commit(bt);
    bt->rip += site->insn.length;
    if (!calm(bt))
        return NULL;
    return flushes == tc_flushes(bt->tc) && !from->dead ? go_on(bt, site, resume) : tc_enter(bt);
}

// A mov to memory that is not plain RAM.
static uint8_t *store(struct bt *bt, const struct site *site, void *bounce)
{
    const struct x86_operand *from = &site->insn.op[1];
    uint64_t value = from->kind == OPERAND_IMM     ? (uint64_t)from->imm
                     : from->kind == OPERAND_HIGH8 ? bt->gpr[from->reg] >> 8
                                                   : bt->gpr[from->reg];
    memcpy(bounce, &value, sizeof value); // there is room for more than its size
    return commit_and_go(bt, site, site->special);
}

static bool demands_alignment(const struct insn *in, const struct x86_operand *o)
{
    return in->id == X86_INS_CMPXCHG16B || (is_vector(kind_of(in)) && vectors_aligned(in, o));
}

// What comes before an x87 or MMX instruction's access (SDM vol. 1, 8.7): #MF of an earlier one, and exceptions of its
// own in place of a store. True: there is no access.
static bool x87_before_access(struct bt *bt, const struct site *site)
{
    const struct insn *in = &site->insn;
    if (!(vectors_needed(in) & VECTORS_X87) || in->id == X86_INS_FNSTCW || in->id == X86_INS_FNSTSW)
        return false;
    if (vectors_pending(bt))
        raise_exception(bt, VEC_MF);
    return site->writes && in->opcode[0] >= 0xd8 && vectors_store_fails(bt, in);
}

static uint8_t *access_memory(struct bt *bt, const struct site *site)
{
    const struct x86_operand *o = &site->insn.op[site->operand];
    void *host;
    bt->rip = site->rip;
    uint64_t va = effective_address(bt, &site->insn, o);
    if (site->live && x87_before_access(bt, site)) {
        bt_next(bt, &site->insn);
        return calm(bt) ? tc_enter(bt) : NULL;
    }
    if (va % o->size && demands_alignment(&site->insn, o)) // comes before page faults
        raise_error(bt, VEC_GP, 0);
    if (bt->break_data && !bt->stepping && debug_watches(bt, va, o->size)) { // a trap comes behind it
        bt->once = true;
        return NULL;
    }
    struct mem_how how = {site->reads, site->writes, site->insn.stack_segment, vectors_anywhere(&site->insn)};
    bool plain = mem_access(bt, va, o->size, how, &host);
    bt->access = (uint64_t)(uintptr_t)host;
    if (site->guilty && tc_tried(bt, site, !plain || !map_reaches(va)))
        return tc_enter(bt);
    if (!plain && site->stores)
        return store(bt, site, host);
    return go_on(bt, site, plain ? site->resume : site->special);
}

static uint8_t *leave_through(struct bt *bt, struct site *site)
{
    count(bt, site->event);
    switch (site->kind) {
    case SITE_BRANCH:
        bt->rip = site->rip;
        return calm(bt) ? tc_branch(bt, site) : NULL;
    case SITE_MISS:
        bt->rip = bt->target;
        return calm(bt) ? tc_miss(bt) : NULL;
    case SITE_EMULATE:
        return emulate(bt, site);
    case SITE_ACCESS:
        return access_memory(bt, site);
    case SITE_COMMIT:
        return commit_and_go(bt, site, site->resume);
    case SITE_RAISE:
        bt->rip = site->rip;
        if (site->error)
            raise_error(bt, site->vector, 0);
        raise_exception(bt, site->vector);
    case SITE_GUARD:
        bt->rip = site->rip;
        return calm(bt) ? tc_guarded(bt, site->from) : NULL;
    case SITE_REFUSED:
        tc_refused(bt, site);
        return calm(bt) ? tc_enter(bt) : NULL;
    default: // SITE_LEAVE
        bt->rip = site->rip;
        return NULL;
    }
}

const void *bt_left(struct bt *bt)
{
    bt_registers_home(bt);
    uint8_t *host = leave_through(bt, tc_site(bt->tc, bt->site));
    bt_state_to_world(bt);
    return host;
}

// ---- Between two stretches of translated code (SDM vol. 3, table 6-2) ----

static void deliver(struct bt *bt, struct bt_event event)
{
    count(bt, event.type == EVENT_EXTERNAL || event.type == EVENT_NMI ? EV_interrupts : EV_exceptions);
    if (event.type == EVENT_EXCEPTION && event.vector == VEC_PF)
        count(bt, EV_true_faults);
    bt->delivering = event.vector;
    bt->halted = false;
    deliver_event(bt, event);
    bt->delivering = NOT_DELIVERING;
}

static void after_fault(struct bt *bt)
{
    if (bt->exit == VCPU_EXIT_ERROR || bt->delivering == NOT_DELIVERING)
        return;
    unsigned first = bt->delivering;
    bt->delivering = NOT_DELIVERING;
    if (!combine_faults(bt, first, &bt->event)) {
        bt->event.pending = false;
        bt->exit = VCPU_EXIT_SHUTDOWN;
    }
}

static enum vcpu_exit leave_for_host(struct bt *bt, enum vcpu_exit exit, enum event event)
{
    count(bt, EV_exits);
    count(bt, event);
    return exit;
}

static enum vcpu_exit take_exit(struct bt *bt)
{
    enum vcpu_exit exit = bt->exit;
    bt->exit = VCPU_CONTINUE;
    return exit == VCPU_EXIT_SHUTDOWN ? leave_for_host(bt, exit, EV_exit_shutdown) : exit;
}

static void take_interrupt(struct bt *bt)
{
    if (!bt->inhibit && bt->nmi_pending && !bt->nmi_masked) {
        bt->nmi_pending = false;
        deliver(bt, (struct bt_event){.vector = VEC_NMI, .type = EVENT_NMI});
    } else if (!bt->inhibit && bt->intr && bt->interrupt_flag) {
        int vector = bt->vcpu->bus.interrupt_acknowledge(bt->vcpu->bus.machine);
        if (vector >= 0)
            deliver(bt, (struct bt_event){.vector = (uint8_t)vector, .type = EVENT_EXTERNAL});
    }
    bt->interrupt_waits = bt->intr;
}

static void calm_down(struct bt *bt)
{
    bt->attention = 0;
    if (atomic_exchange(&bt->poll_armed, false))
        mprotect(bt->poll, sizeof bt->poll, PROT_READ);
    tc_remember_returns(bt);
}

static enum vcpu_exit between(struct bt *bt)
{
    if (bt->event.pending) {
        struct bt_event event = bt->event;
        bt->event.pending = false;
        deliver(bt, event);
    }
    if (bt->exit != VCPU_CONTINUE)
        return take_exit(bt);
    calm_down(bt);
    flush_settle(bt);
    if (atomic_exchange(&bt->kicked, false))
        return leave_for_host(bt, VCPU_EXIT_KICK, EV_exit_host);
    if (bt->budget && bt->retired >= bt->budget)
        return VCPU_EXIT_BUDGET;
    take_interrupt(bt);
    if (bt->halted)
        return leave_for_host(bt, VCPU_EXIT_HALT, EV_exit_halt);
    return VCPU_CONTINUE;
}

// One instruction, then the single-step trap where TF was set before it (SDM vol. 3, 17.3.1.4) and the instruction
// does not say otherwise.
static void step(struct bt *bt)
{
    if (bt->break_at && !bt->inhibit_debug)
        debug_raise_at(bt);
    bt->step_rf = bt->rflags & FLAG_RF;
    bt->rflags &= ~(uint64_t)FLAG_RF;
    bt->step_trap = bt->rflags & FLAG_TF;
    bt->inhibit = bt->inhibit_debug = false;
    bt->stepping = true;
    bt->unfinished = false;
    uint8_t *host = tc_enter_single(bt);
    bt_state_to_world(bt);
    bt_world_enter(bt, host);
    bt->stepping = false;
    bt->retired += !bt->unfinished;
    debug_trap(bt, bt->step_trap);
}

static void go(struct bt *bt)
{
    if (!bt->break_at) // there is nothing that RF could hold off
        bt->rflags &= ~(uint64_t)FLAG_RF;
    if ((bt->rflags & (FLAG_TF | FLAG_RF)) || bt->inhibit || bt->once || bt->budget || bt->segmented) {
        bt->once = false;
        if (!bt->debug_step && breakpoint_at(&bt->breakpoints, bt->rip))
            bt->exit = VCPU_EXIT_BREAKPOINT;
        else
            step(bt);
        return;
    }
    if (bt->direct && bt->world == WORLD_USER && !bt->user_direct)
        direct_look(bt);
    if (bt->user_direct) {
        direct_run(bt);
        return;
    }
    uint8_t *host = tc_enter(bt);
    bt_state_to_world(bt);
    bt_world_enter(bt, host);
    debug_trap(bt, false);
}

enum vcpu_exit bt_run(struct vcpu *v, uint64_t budget)
{
    struct bt *bt = v->engine_data;
    bt->budget = budget;
    bt->retired = 0;
    region_enter_thread();
    if (direct_prepare(bt))
        return VCPU_EXIT_ERROR;
    signals_begin_run(bt->signals);
    if (setjmp(bt->fault) == BT_FAULT) {
        if (bt->stepping && !bt->event.pending)
            bt->rflags |= bt->step_rf;
        bt->stepping = false;
        bt->inhibit = bt->inhibit_debug = false;
        bt->debug_hits = 0;
        after_fault(bt);
    }
    signals_rearm(bt->signals);
    for (;;) {
        vectors_sleep(bt);
        enum vcpu_exit exit = between(bt);
        if (exit != VCPU_CONTINUE) {
            signals_end_run(bt->signals);
            return exit;
        }
        debug_trap(bt, false); // what a delivery met comes before its handler's first instruction
        if (!bt->event.pending)
            go(bt);
    }
}

enum vcpu_exit bt_step(struct vcpu *v)
{
    struct bt *bt = v->engine_data;
    bool inhibit = bt->inhibit;
    bt->debug_step = true;
    bt->inhibit = inhibit || !bt->halted;
    enum vcpu_exit exit = bt_run(v, 1);
    bt->debug_step = false;
    if (exit == VCPU_EXIT_KICK)
        bt->inhibit = inhibit;
    return exit;
}

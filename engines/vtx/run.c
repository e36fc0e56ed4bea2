// SPDX-License-Identifier: BSD-2-Clause
// Running the guest: KVM_RUN, what each exit means to the machine, and the kick that gets a run back from any thread.
//
// Two rules of the KVM API shape this file (Documentation/virt/kvm/api.rst, 5 and 4.10):
// - After an I/O exit the instruction is unfinished: the next KVM_RUN stores what was read and moves rip. So before
//   run() returns from within an instruction, settle() enters once more with immediate_exit set, which completes the
//   instruction and runs no other. The state is then between two instructions, as get_state() promises.
// - immediate_exit makes KVM_RUN return EINTR; a signal makes a KVM_RUN that is under way do the same.
//
// A kick is never lost: kick() sets `kicked`, then immediate_exit, then signals; the vCPU thread clears immediate_exit
// and only then looks at `kicked`. Whichever way the two interleave, either the flag is seen or immediate_exit stays
// set for the next entry. `kicked` is looked at only after an EINTR, when no instruction is unfinished.
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engines/vtx/vtx.h"
#include "x86/regs.h"

#define KICK_SIGNAL SIGUSR1

static void set_immediate_exit(struct vtx *x, uint8_t value)
{
    __atomic_store_n(&x->run->immediate_exit, value, __ATOMIC_SEQ_CST);
}

static void on_kick_signal(int number)
{
    (void)number; // its arrival is the point: it interrupts KVM_RUN
}

// Somebody else's handler for the signal does as well as ours: any handler interrupts KVM_RUN. A signal may come late,
// when the thread runs another engine, whose stack is the guest's: hence SA_ONSTACK.
int vtx_kick_setup(struct vcpu *v)
{
    struct sigaction old, ours = {.sa_handler = on_kick_signal, .sa_flags = SA_RESTART | SA_ONSTACK};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, KICK_SIGNAL);
    if (sigaction(KICK_SIGNAL, NULL, &old) ||
        ((old.sa_handler == SIG_DFL || old.sa_handler == SIG_IGN) && sigaction(KICK_SIGNAL, &ours, NULL)))
        return vtx_fail(v, "sigaction: %s", strerror(errno));
    int error = pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    return error ? vtx_fail(v, "pthread_sigmask: %s", strerror(error)) : 0;
}

void vtx_kick(struct vcpu *v)
{
    struct vtx *x = vtx_of(v);
    int saved = errno;
    atomic_store(&x->kicked, true);
    set_immediate_exit(x, 1);
    pid_t thread = atomic_load(&x->thread), self = (pid_t)syscall(SYS_gettid);
    // On the vCPU's own thread we are in a signal handler already, which has interrupted KVM_RUN.
    if (thread && thread != self)
        syscall(SYS_tgkill, getpid(), thread, KICK_SIGNAL);
    errno = saved;
}

// `kicked` is looked at after immediate_exit has been cleared.
bool vtx_take_kick(struct vtx *x)
{
    set_immediate_exit(x, 0);
    return atomic_exchange(&x->kicked, false);
}

// KVM_RUN: 0, or the error.
static int enter(struct vcpu *v)
{
    struct vtx *x = vtx_of(v);
    if (x->options.user_irqchip)
        x->run->cr8 = v->cr8;
    int error = ioctl(x->cpu, KVM_RUN, NULL) ? errno : 0;
    bool access = !error && (x->run->exit_reason == KVM_EXIT_IO || x->run->exit_reason == KVM_EXIT_MMIO);
    x->settled = !access;
    if (x->options.user_irqchip && (!error || error == EINTR))
        vtx_pins_seen(v);
    return error;
}

static void count(struct vcpu *v, enum event reason)
{
    v->counters.n[EV_exits]++;
    v->counters.n[reason]++;
}

// A string instruction can bring several wishes in one exit; the end of the run outweighs a mark.
static enum vcpu_exit stronger(enum vcpu_exit a, enum vcpu_exit b)
{
    return a == VCPU_CONTINUE || b == VCPU_EXIT_POWER ? b : a;
}

static enum vcpu_exit do_pio(struct vcpu *v)
{
    struct kvm_run *run = vtx_of(v)->run;
    uint8_t *data = (uint8_t *)run + run->io.data_offset;
    enum vcpu_exit result = VCPU_CONTINUE;
    for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size) {
        uint32_t value = UINT32_MAX;
        if (run->io.direction == KVM_EXIT_IO_OUT) {
            value = 0;
            memcpy(&value, data, run->io.size);
            result = stronger(result, v->bus.pio_write(v->bus.machine, run->io.port, run->io.size, value));
        } else {
            result = stronger(result, v->bus.pio_read(v->bus.machine, run->io.port, run->io.size, &value));
            memcpy(data, &value, run->io.size);
        }
    }
    count(v, result == VCPU_EXIT_MARK ? EV_exit_mark : result == VCPU_EXIT_POWER ? EV_exit_shutdown : EV_exit_pio);
    return result;
}

static enum vcpu_exit do_mmio(struct vcpu *v)
{
    struct kvm_run *run = vtx_of(v)->run;
    uint64_t value = UINT64_MAX;
    enum vcpu_exit result;
    if (run->mmio.is_write) {
        value = 0;
        memcpy(&value, run->mmio.data, run->mmio.len);
        result = v->bus.mmio_write(v->bus.machine, gpa(run->mmio.phys_addr), run->mmio.len, value);
    } else {
        result = v->bus.mmio_read(v->bus.machine, gpa(run->mmio.phys_addr), run->mmio.len, &value);
        memcpy(run->mmio.data, &value, run->mmio.len);
    }
    count(v, EV_exit_mmio);
    return result;
}

static enum vcpu_exit run_failed(struct vcpu *v, int error)
{
    vtx_fail(v, "KVM_RUN: %s (errno %d) from %s", strerror(error), error, vtx_of(v)->backend);
    return VCPU_EXIT_ERROR;
}

// KVM cannot emulate an instruction of the guest's user code: that is no reason to end the machine for the guest's
// kernel, to which it is an undefined one. (kvm_amd emulates sysenter where CPUID names Intel, and gives up.)
static bool made_undefined(struct vcpu *v)
{
    struct vtx *x = vtx_of(v);
    struct kvm_sregs sregs;
    struct kvm_vcpu_events events;
    if (x->run->internal.suberror != KVM_INTERNAL_ERROR_EMULATION || VTX_IOCTL(v, x->cpu, KVM_GET_SREGS, &sregs) < 0 ||
        sregs.ss.dpl != 3 || VTX_IOCTL(v, x->cpu, KVM_GET_VCPU_EVENTS, &events) < 0)
        return false;
    events.exception.injected = 1;
    events.exception.nr = VEC_UD;
    events.exception.has_error_code = 0;
    return VTX_IOCTL(v, x->cpu, KVM_SET_VCPU_EVENTS, &events) == 0;
}

// The exits that are not an access of the guest's.
static enum vcpu_exit do_other(struct vcpu *v)
{
    switch (vtx_of(v)->run->exit_reason) {
    case KVM_EXIT_HLT: // only without the kernel's local APIC; with it, hlt waits in the kernel
        count(v, EV_exit_halt);
        vtx_of(v)->halted = true; // vtx_offer_interrupt() says what follows
        return VCPU_CONTINUE;
    case KVM_EXIT_SHUTDOWN:
        count(v, EV_exit_shutdown);
        return VCPU_EXIT_SHUTDOWN;
    case KVM_EXIT_IRQ_WINDOW_OPEN:
        count(v, EV_exit_window);
        return VCPU_CONTINUE;
    case KVM_EXIT_SET_TPR: // vtx_pins_seen() has looked
        count(v, EV_exit_other);
        return VCPU_CONTINUE;
    case KVM_EXIT_INTR:
        count(v, EV_exit_host);
        return VCPU_CONTINUE;
    case KVM_EXIT_DEBUG: // debug.c asked for it; the guest did not
        return vtx_of(v)->stepping ? VCPU_EXIT_BUDGET : VCPU_EXIT_BREAKPOINT;
    case KVM_EXIT_INTERNAL_ERROR:
        count(v, EV_exit_other);
        return made_undefined(v) ? VCPU_CONTINUE : vtx_error_exit(v);
    default:
        count(v, EV_exit_other);
        return vtx_error_exit(v);
    }
}

// Completes the instruction that asked for `result`: an access that KVM split goes on with its next part, which may
// have a wish of its own. Not an exit of the guest's, so not counted as one.
static enum vcpu_exit settle(struct vcpu *v, enum vcpu_exit result)
{
    struct vtx *x = vtx_of(v);
    for (;;) {
        set_immediate_exit(x, 1);
        int error = enter(v);
        if (error == EINTR)
            break;
        if (error)
            return run_failed(v, error);
        if (x->run->exit_reason == KVM_EXIT_IO)
            result = stronger(result, do_pio(v));
        else if (x->run->exit_reason == KVM_EXIT_MMIO)
            result = stronger(result, do_mmio(v));
        else if (x->run->exit_reason == KVM_EXIT_DEBUG) // a step is done with the instruction
            break;
        else if (x->run->exit_reason != KVM_EXIT_INTR)
            return do_other(v);
    }
    set_immediate_exit(x, 0);
    if (atomic_load(&x->kicked))
        set_immediate_exit(x, 1);
    return result;
}

// A guest that halted with interrupts off waits in the kernel for ever: say so, now that somebody asks.
static enum vcpu_exit kicked_exit(struct vcpu *v)
{
    struct vtx *x = vtx_of(v);
    struct kvm_mp_state mp;
    struct kvm_regs regs;
    if (VTX_IOCTL(v, x->cpu, KVM_GET_MP_STATE, &mp) < 0 || VTX_IOCTL(v, x->cpu, KVM_GET_REGS, &regs) < 0)
        return VCPU_EXIT_ERROR;
    if (mp.mp_state != KVM_MP_STATE_HALTED || (regs.rflags & FLAG_IF))
        return VCPU_EXIT_KICK;
    v->counters.n[EV_exit_halt]++;
    v->counters.n[EV_exit_host]--;
    return VCPU_EXIT_HALT;
}

static enum vcpu_exit interrupted(struct vcpu *v)
{
    count(v, EV_exit_host);
    return vtx_take_kick(vtx_of(v)) ? kicked_exit(v) : VCPU_CONTINUE;
}

// What one return of KVM_RUN asks for, with the guest between two instructions unless it is VCPU_CONTINUE.
static enum vcpu_exit dispatch(struct vcpu *v)
{
    enum vcpu_exit result;
    switch (vtx_of(v)->run->exit_reason) {
    case KVM_EXIT_IO:
        result = do_pio(v);
        break;
    case KVM_EXIT_MMIO:
        result = do_mmio(v);
        break;
    default:
        return do_other(v);
    }
    return result == VCPU_CONTINUE ? result : settle(v, result);
}

// One entry, and what comes of it.
static enum vcpu_exit run_once(struct vcpu *v)
{
    struct vtx *x = vtx_of(v);
    if (x->options.user_irqchip) {
        if ((x->intr || x->halted) && !x->settled)
            return settle(v, VCPU_CONTINUE);
        enum vcpu_exit exit = vtx_offer_interrupt(v);
        if (exit != VCPU_CONTINUE)
            return exit;
    }
    int error = enter(v);
    return !error ? dispatch(v) : error == EINTR ? interrupted(v) : run_failed(v, error);
}

// The CPU does not count instructions for us: budget is ignored, as struct engine allows.
enum vcpu_exit vtx_run(struct vcpu *v, uint64_t budget)
{
    (void)budget;
    enum vcpu_exit exit;
    atomic_store(&vtx_of(v)->thread, (pid_t)syscall(SYS_gettid));
    do
        exit = run_once(v);
    while (exit == VCPU_CONTINUE);
    return exit;
}

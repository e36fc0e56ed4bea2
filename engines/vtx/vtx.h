// SPDX-License-Identifier: BSD-2-Clause
// What the files of this engine share: the descriptors behind one vCPU, and the checked ioctl. Only this folder knows
// the KVM API.
#ifndef RINGSIDE_VTX_H
#define RINGSIDE_VTX_H

#include <linux/kvm.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "include/vcpu.h"

#define VTX_DEVICE "/dev/kvm"
#define VTX_BREAKPOINTS 4 // DR0-DR3
#define VTX_MAX_CPUID 16

// A CPUID register in which this engine's guest sees other features than the machine's table has.
struct vtx_cpuid {
    uint32_t leaf, subleaf;
    char reg[4];
    uint32_t missing, added;
};

#define VTX_REASONS 17
#define VTX_KVM_EVENTS 10

struct vtx_options {
    bool exits;        // count exits by the CPU's reason
    bool user_irqchip; // interrupt controllers and timers are the machine's, not the kernel's
};

// Where KVM keeps one of its statistics; fd -1: this kernel's has none of that name.
struct vtx_kvm_event {
    int fd;
    uint64_t offset;
};

// What hangs off vcpu->engine_data. Descriptors are -1 where not open.
struct vtx {
    int kvm, vm, cpu;
    int vm_stats, cpu_stats;
    struct kvm_run *run;
    size_t run_size;
    char backend[32];    // for error lines: who failed
    bool hardware;       // VT-x or SVM stands behind it
    bool has_tsc_offset; // KVM_VCPU_TSC_OFFSET (Linux 5.16 and later)
    bool has_xcrs;       // KVM_CAP_XCRS: the CPU has XSAVE, and the guest therefore an xcr0

    struct breakpoints breakpoints; // of a debugger outside
    bool stepping;                  // within vtx_step()

    struct vtx_cpuid cpuid[VTX_MAX_CPUID];
    size_t cpuid_count;

    struct vtx_options options;
    struct vtx_kvm_event kvm_event[VTX_KVM_EVENTS];
    int reason[VTX_REASONS]; // exits.c: perf events

    // With user_irqchip (user_irqchip.c):
    bool intr;    // level of INTR
    bool halted;  // hlt has been executed; the kernel does not remember it
    bool settled; // no instruction is unfinished, and what run says of readiness is of the state as it is

    // kick(): see run.c for the protocol.
    atomic_bool kicked;
    atomic_int thread; // the thread that calls run()
};

static inline struct vtx *vtx_of(const struct vcpu *v)
{
    return v->engine_data;
}

// One line into v->error; returns -1, so that callers can return it.
int vtx_fail(struct vcpu *v, const char *format, ...) __attribute__((format(printf, 2, 3)));

// ioctl() whose failure becomes "NAME: why" in v->error. Returns its result, -1 on failure.
int vtx_ioctl(struct vcpu *v, int fd, unsigned long request, const char *name, void *arg);
#define VTX_IOCTL(v, fd, request, arg) vtx_ioctl(v, fd, request, #request, arg)

// probe.c
void vtx_probe(struct engine_info *info);
// The same for any device file and module folder, which is what the tests vary.
void vtx_probe_at(const char *device, const char *sys_module, struct engine_info *info);

// memory.c, cpuid.c, irq.c: parts of create()
int vtx_memory_setup(struct vcpu *v);
// Makes KVM forget all that it knows of the guest's page tables, shadow page tables and TLBs alike: it is only told of
// what it sees the guest write itself. Taking a memory slot away does that (Documentation/virt/kvm/api.rst, 4.35).
int vtx_memory_renew(struct vcpu *v);
int vtx_cpuid_setup(struct vcpu *v);
int vtx_limit_cpuid(struct cpuid_leaf *leaves, size_t count, char *err, size_t err_size);
int vtx_irq_setup(struct vcpu *v); // before the vCPU exists
int vtx_tsc_setup(struct vcpu *v);

// user_irqchip.c
void vtx_set_intr(struct vcpu *v, bool asserted);
void vtx_pins_seen(struct vcpu *v);
enum vcpu_exit vtx_offer_interrupt(struct vcpu *v);

// irq.c
int vtx_irq_line(struct vcpu *v, unsigned gsi, bool level);
void vtx_inject_nmi(struct vcpu *v);

// state.c
int vtx_get_state(struct vcpu *v, struct vcpu_state *state);
int vtx_set_state(struct vcpu *v, const struct vcpu_state *state);

// run.c
int vtx_kick_setup(struct vcpu *v);
enum vcpu_exit vtx_run(struct vcpu *v, uint64_t budget);
void vtx_kick(struct vcpu *v);
bool vtx_take_kick(struct vtx *x); // whether there was one

// debug.c
int vtx_set_breakpoints(struct vcpu *v, const struct breakpoints *b);
enum vcpu_exit vtx_step(struct vcpu *v);

// error.c: the exits that end a run, as one line in v->error. Each returns VCPU_EXIT_ERROR.
enum vcpu_exit vtx_error_exit(struct vcpu *v);

// stats.c
void vtx_stats(struct vcpu *v, stat_fn *fn, void *ctx);
void vtx_kvm_events_setup(struct vtx *x); // before vtx_kvm_events_read()
void vtx_kvm_events_read(const struct vtx *x, struct counters *c);
event_mask vtx_kvm_events_known(void); // what this host's KVM counts

// exits.c: option `exits`. On the thread that will run the vCPU.
int vtx_exits_setup(struct vcpu *v);
void vtx_exits_read(const struct vtx *x, struct counters *c);
event_mask vtx_exits_known(void);

// options.c
extern const struct engine_option vtx_option_table[];
int vtx_options_parse(struct vtx_options *options, const char *settings, char *err, size_t err_size);
int vtx_options_check(const char *settings, char *err, size_t err_size);
bool vtx_has_irqchip(const char *settings);

#endif

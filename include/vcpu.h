// SPDX-License-Identifier: BSD-2-Clause
// The contract between the program, the machine and the engines: what an engine is, what a vCPU is, and why a run ends.
//
// One vCPU belongs to one host thread. Unless a comment says otherwise, every function here is called by that thread.
#ifndef RINGSIDE_VCPU_H
#define RINGSIDE_VCPU_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "include/breakpoints.h"
#include "include/cpuid.h"
#include "include/events.h"
#include "include/guest_ram.h"
#include "include/vcpu_state.h"
#include "include/view.h"

struct vcpu;

// Why run() came back, and what an I/O callback asks the engine to do.
enum vcpu_exit {
    VCPU_CONTINUE = 0,    // from a callback: go on with the next instruction; run() never returns it
    VCPU_EXIT_HALT,       // hlt with no interrupt to take: wait for one, then run again
    VCPU_EXIT_MARK,       // the guest wrote a measuring mark (guest_abi.h); run again to go on
    VCPU_EXIT_POWER,      // the guest asked to end (debug-exit port)
    VCPU_EXIT_SHUTDOWN,   // triple fault
    VCPU_EXIT_BUDGET,     // the instruction budget is used up
    VCPU_EXIT_KICK,       // kick() was called: look at timers and wishes, then run again
    VCPU_EXIT_BREAKPOINT, // the instruction at rip has a breakpoint (set_breakpoints); it has not been executed
    VCPU_EXIT_ERROR,      // the engine cannot go on; vcpu->error says why in one line
};

// The rest of the machine as an engine sees it. Set by the machine before engine->create(), constant afterwards.
// Sizes are in bytes: 1, 2, 4 for ports, 1 to 8 for memory-mapped I/O. An access that the guest splits (unaligned,
// string instructions) is split by the engine. What nobody answers reads as all ones.
struct vcpu_bus {
    void *machine; // first argument of each callback
    enum vcpu_exit (*pio_read)(void *machine, uint16_t port, unsigned size, uint32_t *value);
    enum vcpu_exit (*pio_write)(void *machine, uint16_t port, unsigned size, uint32_t value);
    enum vcpu_exit (*mmio_read)(void *machine, gpa_t addr, unsigned size, uint64_t *value);
    enum vcpu_exit (*mmio_write)(void *machine, gpa_t addr, unsigned size, uint64_t value);
    // The CPU takes the interrupt that set_intr(true) announced: its vector, or -1 where it has gone.
    int (*interrupt_acknowledge)(void *machine);
    // cr8 fell below vcpu->tpr_threshold: look again whether an interrupt can be taken.
    void (*tpr_lowered)(void *machine);
    // The guest wrote IA32_APIC_BASE.
    void (*apic_base_written)(void *machine, uint64_t value);
};

enum { VCPU_DEVICES = 2 };

struct vcpu {
    const struct engine *engine;
    const struct guest_ram *ram;
    struct vcpu_bus bus;
    struct cpuid_table cpuid;
    const char *settings; // for create(): "NAME[=VALUE]:..." out of engine->options; NULL or "": none
    bool has_irqchip;     // engine_has_irqchip() with these settings
    // The descriptors by whose ioctls the engine runs the vCPU, set by create(); -1: none
    int device[VCPU_DEVICES];

    // Task priority as cr8 holds it (0-15), shared by the engine (mov cr8) and the local APIC (its TPR is cr8 << 4 |
    // low bits). Like VT-x's TPR threshold: a mov to cr8 of less than tpr_threshold calls bus.tpr_lowered.
    // A vCPU with interrupt controllers of its own (has_irqchip) keeps its own.
    uint8_t cr8;
    uint8_t tpr_threshold;
    uint64_t apic_base; // IA32_APIC_BASE, kept by the local APIC likewise

    struct counters counters; // counted by the engine as it goes; read through engine->counters()
    char error[256];          // one line, no newline, set before VCPU_EXIT_ERROR or a failed call
    bool unsupported;         // with VCPU_EXIT_ERROR: beyond what a software back end of /dev/kvm can do

    void *engine_data; // the engine's own, from create() to destroy()
};

// What probe() finds out, in words for people and in fields for tables.
struct engine_info {
    bool available;
    bool hardware;    // runs guest code by VT-x or SVM; false for software, a software /dev/kvm back end included
    char backend[32]; // what does the work: "interp", "kvm_intel", "kvm_amd", "kvm_pvm"
    char paging[32];  // "software TLB", "nested (ept)", "shadow (ept=0)", ...: part of the column's name
    char nested[32];  // "bare metal", "in a VM" (CPUID hypervisor bit): part of the claim's scope
    char reason[160]; // why it cannot run here, empty where it can
};

// One callback per statistic that only this engine has, e.g. KVM's own; names live as long as the call.
typedef void stat_fn(void *ctx, const char *name, uint64_t value);

// A technique of an engine that can be turned off or varied: `--ENGINE-NAME[=VALUE]` on the command line.
struct engine_option {
    const char *name;
    const char *value; // what stands after the =, NULL for a switch
    const char *help;
};

struct engine {
    const char *name;    // as in --engine=NAME
    const char *summary; // one line for --help and `engines`
    event_mask counts;   // EVENT_BIT()s of the events that this engine counts
    // What it counts with these settings on this host, where that is not always the same. NULL: counts.
    event_mask (*counts_with)(const char *settings);

    bool keeps_budget; // run() stops behind exactly as many instructions, at whatever cost

    const struct engine_option *options; // ends with a NULL name; NULL: has none
    // Would create() take these settings? 0, or -1 with one line in err. NULL where there are no options.
    int (*check_settings)(const char *settings, char *err, size_t err_size);

    // Can it run here? Never fails: says no in info->reason.
    void (*probe)(struct engine_info *info);

    // The setting with which a guest can move between this engine and others; NULL: it needs none.
    const char *moves_with;
    // Takes out of a CPUID table what a vCPU of this engine could not show its guest on this host. 0, or -1 with one
    // line in err. NULL: it shows all of it.
    int (*limit_cpuid)(struct cpuid_leaf *leaves, size_t count, char *err, size_t err_size);

    // Give v an engine_data in reset state; v->ram, bus and cpuid are set. 0, or -1 with v->error.
    int (*create)(struct vcpu *v);
    void (*destroy)(struct vcpu *v);

    // Give up, for good and for the whole process, what is not needed to run the guest from here on: called before the
    // first run where nothing else is to come in this process. 0, or -1 with v->error. NULL: the guest is contained
    // without. device: of another engine that the guest moves to and from, whose ioctls are to stay; -1: none.
    int (*contain)(struct vcpu *v, const int device[VCPU_DEVICES]);

    // Run guest code until something needs the caller. budget: at most this many guest instructions (0: no limit;
    // engines without keeps_budget ignore it). One that faults has not been executed, its handler's first one has.
    enum vcpu_exit (*run)(struct vcpu *v, uint64_t budget);

    // For a debugger outside the guest, which sees nothing of it. run() returns VCPU_EXIT_BREAKPOINT whenever an
    // instruction at one of these addresses is to be executed next, at any CPL and in any address space, be it the
    // first. The set is copied, and has at most breakpoints_max. 0, or -1 with v->error.
    unsigned breakpoints_max;
    int (*set_breakpoints)(struct vcpu *v, const struct breakpoints *b);
    // One instruction, whatever breakpoints there are, and interrupts wait (but for a guest that is halted, which only
    // they can wake): VCPU_EXIT_BUDGET, or another exit that it asked for. As in run(), one that faults has not been
    // executed, its handler's first one has. A repeated string instruction is all done, or one iteration of it (vtx).
    enum vcpu_exit (*step)(struct vcpu *v);

    // The whole architectural state, between two instructions. 0, or -1 with v->error.
    int (*get_state)(struct vcpu *v, struct vcpu_state *state);
    int (*set_state)(struct vcpu *v, const struct vcpu_state *state);

    // Level of the INTR pin, from the machine's own interrupt controllers. The engine fetches the vector through
    // bus.interrupt_acknowledge when the guest can take it. May be called from within a bus callback.
    void (*set_intr)(struct vcpu *v, bool asserted);

    // Deliver an NMI at the next instruction boundary.
    void (*inject_nmi)(struct vcpu *v);

    // Whether a vCPU with these settings has interrupt controllers and timers of its own; NULL: none has. The machine's
    // are not there then.
    bool (*has_irqchip)(const char *settings);
    // Level of interrupt line gsi of such a vCPU.
    int (*irq_line)(struct vcpu *v, unsigned gsi, bool level);

    // Make run() return VCPU_EXIT_KICK soon. Async-signal-safe; from any thread; a kick is never lost.
    void (*kick)(struct vcpu *v);

    void (*counters)(struct vcpu *v, struct counters *out);
    void (*stats)(struct vcpu *v, stat_fn *fn, void *ctx); // NULL where there are none

    // Translate the guest's code at rip and what it leads to, at most max units, without running it; each is told to
    // fn. 0, or -1 with v->error. NULL for engines that do not translate.
    int (*view)(struct vcpu *v, uint64_t rip, unsigned max, view_fn *fn, void *ctx);
};

static inline bool engine_has_irqchip(const struct engine *engine, const char *settings)
{
    return engine->has_irqchip && engine->has_irqchip(settings);
}

extern const struct engine engine_interp; // engines/interp/engine.c
extern const struct engine engine_bt;     // engines/bt/engine.c
extern const struct engine engine_vtx;    // engines/vtx/engine.c

// First thing in main(): one engine wants the process's own addresses at the top, and restarts the program where the
// host has randomized them (engines/bt/region.c).
void region_fix_layout(char **argv);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// The translator's vCPU. Everything in engines/bt works on this one struct, which lies at BT_REGION, so that translated
// code reaches its fields by rip-relative operands and signal handlers by a constant.
//
// Five worlds, two forms of translated code:
//   WORLD_FAST     CPL 0. Memory operands are the guest's own but for a gs prefix; rsp holds guest rsp + BT_BIAS.
//                  Protection is the host's paging hardware: mappings made on hidden faults (map.h).
//   WORLD_CHECKED  CPL 0 under --bt-checked, and where the fast world will not do. rsp holds the guest's rsp; every
//                  access is looked up in the guest's page tables: in the translation cache (inline_tlb.c), or by a
//                  callout (memory.h). rcx, r14 and r15 are in memory where no instruction needs them (park.h).
//   WORLD_ENTRY    CPL 0, in the checked form, by page tables that have hardly more of the kernel than its way in, and
//                  do not count for what was made from its own (flush.h).
//   WORLD_USER     CPL 3, in the checked form; a world of its own because what may be executed differs.
//   WORLD_COMPAT   Compatibility mode, in the checked form: 32-bit code, and what else has CS.L clear (compat.h).
// In all, the other general registers and the arithmetic flags and DF are the guest's own, in the host's registers.
#ifndef RINGSIDE_BT_BT_H
#define RINGSIDE_BT_BT_H

#include <setjmp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engines/bt/how.h"
#include "engines/bt/layout.h"
#include "engines/bt/options.h"
#include "include/vcpu.h"
#include "x86/decode.h"
#include "x86/regs.h"

enum world { WORLD_FAST, WORLD_CHECKED, WORLD_ENTRY, WORLD_USER, WORLD_COMPAT, WORLDS };

struct direct;
struct tc;
struct map;
struct tlb;
struct signals;

// An event on its way into the guest (as engines agree in include/vcpu_state.h).
struct bt_event {
    bool pending;
    uint8_t vector;
    uint8_t type; // enum event_type
    bool has_error;
    uint32_t error;
};

// When what was made from the guest's page tables, for one world, was held against them last (flush.h).
struct look {
    uint64_t cr3, mode, changes; // as they were then
    uint8_t stale;               // and what the guest has flushed since
};

// Where the guest's rcx, r14 and r15 are at the start and end of each CCF of the checked worlds: in bt->parked.
#define PARKED_AT_HOME (1u << RCX | 1u << R14 | 1u << R15)

#define NOT_DELIVERING 0xff
enum { BT_FAULT = 1, BT_TRAPPED };

// Indirect branches and returns: host addresses by the low 16 bits of the guest-virtual target, one table per world. An
// entry leads to code that compares bt->target with its own guest address first; an empty one to the miss stub.
#define TARGETS (1u << 16)

struct bt {
    // ---- Reached by translated code and stubs (world.S has the offsets of this part) ----
    uint64_t gpr[GPR_COUNT];          // the guest's, while C code runs; rsp never biased here
    uint64_t flags;                   // arithmetic flags and DF, while C code runs; nothing else is ever set
    uint64_t host_rsp;                // of the C code that entered the translation cache
    uint64_t world_rsp;               // rsp as translated code has it: biased in the fast world
    uint64_t resume;                  // host address to go to when C code is done
    uint64_t go;                      // the stub that loads rdi and jumps to resume
    uint64_t left;                    // bt_world_left, for the stub that leaves
    uint32_t live;                    // vectors.h: classes whose registers are the guest's while translated code runs
    uint32_t mxcsr_reset;             // what C code expects there
    _Alignas(64) uint8_t xsave[4096]; // the guest's x87, SSE and AVX registers, while none is live; ready for xrstor
    uint64_t dead[8];                 // by a set of vector classes: those of them that are not live
    uint64_t site;                    // number of the site (tc.h) that left translated code
    uint64_t target;            // guest-virtual target of an indirect branch or return, for the check at the target
    uint64_t back;              // guest return address of the call that is being made (control.c)
    uint64_t slot[4];           // spilled scratch registers
    uint64_t stack_tag;         // as the TLB's (tlb.h), of the page that holds the stack of the checked worlds; and
    uint64_t stack_addend;      // host-virtual minus guest-virtual address, plus STACK_SHIFT
    uint64_t parked[GPR_COUNT]; // guest registers in the checked worlds, where they are not in their own (park.h)
    uint64_t access;            // host address that the checked form of a memory operand shall use
    uint64_t cr8_reserved;      // ~15: the bits that a write to cr8 may not set
    uint64_t one;               // 1
    uint64_t not_ac;            // ~FLAG_AC
    uint64_t host_flags;        // the flags that are the guest's own in the host's register: arithmetic, DF
    uint64_t seg_base[7];       // FS and GS bases at SEG_FS, SEG_GS; 0 else
    uint32_t attention;         // not 0: C code gives way to the run loop as soon as the instruction is done
    uint8_t interrupt_flag;     // rflags.IF, on its own so that cli is one store
    uint8_t interrupt_waits;    // an interrupt or NMI could be taken once IF allows: sti has to leave

    // ---- The rest of the vCPU ----
    uint64_t rip;    // valid while C code runs
    uint64_t rflags; // all but arithmetic flags, DF and IF
    uint32_t cpl;
    enum world world;       // of the code being executed (bt_mode_changed)
    enum world stack_world; // whose page stack_tag has

    uint64_t cr0, cr2, cr3, cr4, efer;
    struct segment seg[SEG_COUNT]; // bases of FS and GS live in seg_base and are stale here
    struct segment ldtr, tr;
    struct table_reg gdtr, idtr;
    uint64_t dr[4], dr6, dr7, xcr0;
    // Breakpoints that are enabled, a bit for each of dr0-dr3 (debug.h): at instructions, on data, on ports.
    uint8_t break_at, break_data, break_port;
    uint8_t debug_hits; // and those that the instruction being executed has met
    uint64_t star, lstar, cstar, sfmask, kernel_gs_base;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t pat, tsc_aux, tsc_offset;
    uint32_t vectors; // vectors.h: classes that may be used now
    bool vectors_all; // ... all that CPUID announces: user code, run directly, could do nothing that it may not do
    bool more_mxcsr;  // the host's MXCSR has bits that the guest's has not (AMD's MM)

    bool halted;
    bool nmi_masked, nmi_pending;
    bool inhibit, inhibit_debug; // interrupts (and #DB) wait for one instruction: after sti, after a load of ss
    bool intr;                   // INTR pin
    atomic_bool kicked;
    struct bt_event event;
    bool met_special;    // C code met a device or a traced page on the guest's behalf
    uint8_t delivering;  // vector being delivered, for the double-fault rules; NOT_DELIVERING otherwise
    enum vcpu_exit exit; // what an instruction asked for; VCPU_CONTINUE otherwise

    uint64_t budget; // of this run, in instructions, which are then executed one by one; 0: none, and nothing counts
    uint64_t retired;

    jmp_buf fault; // from C code back to the run loop: raise_*, and with BT_TRAPPED, where all is well

    struct vcpu *vcpu;
    const struct guest_ram *ram;
    struct x86_decoder decoder;
    uint64_t *targets[WORLDS]; // of TARGETS entries each
    uint64_t *returns;         // of the fast world, for its rets alone: landings behind calls (control.c)
    struct tc *tc;             // tc.h
    struct map *map;           // map.h: host mappings of the fast world
    struct tlb *tlb;           // memory.h: translations of the checked world
    struct signals *signals;   // signal.h
    struct direct *direct;     // direct.h: NULL where all user code is translated

    struct bt_options options;
    struct bt_stats stats;
    bool meets_monitor;             // the guest's tables map something where the fast world has the monitor
    bool once;                      // the next instruction is run on its own, in its checked form (no-adapt)
    bool stepping;                  // the code being executed is one instruction on its own (run.c)
    bool unfinished;                // ... and a repeated one that stopped in the middle
    bool segmented;                 // WORLD_COMPAT: segments are not flat; each instruction on its own
    bool step_trap;                 // ... and the single-step trap comes behind it
    uint64_t step_rf;               // ... RF as it was before it, should it have to be run again
    bool debug_step;                // within bt_step(): breakpoints do not count
    bool vectors_away;              // the vector registers are in the process of directly executed code, not in xsave
    bool user_direct;               // the guest is at CPL 3, and its code is to run directly
    bool direct_refused;            // there cannot be any processes
    struct breakpoints breakpoints; // of a debugger outside: while there are any, user code is translated
    uint64_t flushes;               // of all translations, so far
    struct look look[WORLDS];
    bool on_entry; // CPL 0 runs by page tables that have only its way in
    unsigned entry_walks;
    atomic_bool poll_armed;

    // Loop heads and the targets of indirect branches load zeros from this page, which cannot be written: one
    // instruction, no flag, no register. A kick takes the page away, so that the next of these loads faults.
    _Alignas(4096) uint64_t poll[512];
    _Alignas(4096) uint64_t checked_targets[WORLDS - 1][TARGETS];
};
_Static_assert(BT_RETURNS - BT_TARGETS == TARGETS * sizeof(uint64_t), "layout.h has room");
_Static_assert(BT_TLB - BT_RETURNS == TARGETS * sizeof(uint64_t), "layout.h has room");

static inline void count(struct bt *bt, enum event event)
{
    bt->vcpu->counters.n[event]++;
}

static inline bool canonical(uint64_t va)
{
    return (uint64_t)((int64_t)(va << 16) >> 16) == va;
}

static inline uint64_t flags_read(const struct bt *bt) // the whole register
{
    return bt->rflags | FLAG_FIXED1 | bt->flags | (bt->interrupt_flag ? FLAG_IF : 0);
}

static inline void flags_write(struct bt *bt, uint64_t f) // every bit that rflags has
{
    bt->flags = f & (FLAGS_ARITH | FLAG_DF);
    bt->interrupt_flag = (f & FLAG_IF) != 0;
    bt->rflags = f & ~(uint64_t)(FLAGS_ARITH | FLAG_DF | FLAG_IF | FLAG_FIXED1);
}

// ---- Faults, from C code only: rip is bt->rip, the address of the instruction ----
_Noreturn void raise_exception(struct bt *bt, unsigned vector);
_Noreturn void raise_error(struct bt *bt, unsigned vector, uint32_t error);
_Noreturn void raise_page_fault(struct bt *bt, uint64_t va, uint32_t error);
// The engine cannot go on: vcpu->error from the format, run() returns VCPU_EXIT_ERROR.
_Noreturn void raise_engine_error(struct bt *bt, const char *format, ...) __attribute__((format(printf, 2, 3)));

// ---- Emulation of one instruction in C: a callout ----
// Called with the whole guest state in *bt and bt->rip at the instruction. It raises, or does the instruction's work
// and moves bt->rip to where the guest goes on (call bt_next first: most instructions just go on behind themselves).
typedef void emulate_fn(struct bt *bt, const struct insn *in);
static inline void bt_next(struct bt *bt, const struct insn *in)
{
    bt->rip += in->length;
}

// CPL, CR0.AM/WP, CR4.SMAP/SMEP/..., EFER.NXE or RFLAGS.AC changed: worlds and translations are looked at again.
void bt_mode_changed(struct bt *bt);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// The interpreter's vCPU: registers, lazy flags, software TLB, and the state of the run loop. Everything in
// engines/interp works on this one struct.
#ifndef RINGSIDE_INTERP_CPU_H
#define RINGSIDE_INTERP_CPU_H

#include <setjmp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "engines/interp/x87_state.h"
#include "include/vcpu.h"
#include "x86/decode.h"
#include "x86/features.h"
#include "x86/regs.h"

struct op;
struct block;
struct block_cache;
struct jump_entry;

// ---- Registers ----
// gpr[] is followed by two cells that make every effective address the same sum: REG_ZERO always reads 0 (no base, no
// index), REG_EA holds an address that a pseudo-operation computed beforehand (32-bit address size).
#define REG_ZERO 16
#define REG_EA 17
#define GPR_CELLS 18

// ---- Software TLB ----
// One array per access mode, so that a change of privilege needs no flush. A tag is the page's guest-virtual address,
// or TLB_NONE, which no page-aligned address equals. `write` is set only where the PTE's dirty bit is and the page
// holds no decoded code; `read` and `exec` only where the accessed bit is set.
enum tlb_mode {
    TLB_KERNEL,      // CPL 0, user pages allowed (no SMAP, or AC set)
    TLB_KERNEL_SMAP, // CPL 0, user pages are faults for data
    TLB_USER,        // CPL 3
    TLB_USER_ALIGN,  // CPL 3 with alignment checks: stays empty, so that every access takes the slow path
    TLB_MODES
};
#define TLB_BITS 9
#define TLB_SIZE (1u << TLB_BITS)
#define TLB_NONE 1ull
#define TLB_FLUSH_FEW 64
#define CODE_FILTER_WORDS 8

struct tlb_entry {
    uint64_t read, write, exec; // tags
    uint64_t addend;            // host-virtual minus guest-virtual address
};

// ---- Segments outside 64-bit mode ----
// The offsets in a segment that may be read or written: low to high; none where low > high (segment.c).
struct seg_window {
    uint64_t low, high;
};

// ---- An event on its way into the guest ----
struct cpu_event {
    bool pending;
    uint8_t vector;
    uint8_t type; // enum event_type
    bool has_error;
    uint32_t error;
};

// ---- Vector registers: xmm is the lower half ----
typedef long long v128 __attribute__((vector_size(16), may_alias));
struct vreg {
    v128 lo, hi;
};

struct cpu {
    uint64_t gpr[GPR_CELLS];

    // Lazy arithmetic flags, the same form after every instruction (flags.h):
    //   result  sign-extended to 64 bits: ZF, SF, and PF from its low byte
    //   carries bit 63 = CF, bit 63 ^ bit 62 = OF, bit 3 = AF
    //   delta   FLAG_SF and FLAG_PF bits that invert what `result` says; for popf and others that set flags at will
    uint64_t result;
    uint64_t carries;
    uint32_t delta;

    uint32_t cpl;
    uint64_t rflags; // everything but FLAGS_ARITH, whose bits are 0 here

    // Indexed by op->seg: FS and GS bases at SEG_FS, SEG_GS, 0 at X86_NO_SEG. The others count outside 64-bit mode
    // only.
    uint64_t seg_base[7];
    struct tlb_entry *tlb; // the current mode's entries

    // Instructions retired since create(). A block counts all of its instructions when it is entered; whoever leaves it
    // early takes the rest back. What came after icount_split belongs to the present CPL (account_instructions).
    uint64_t icount;
    uint64_t icount_split;
    // The block entry check: icount > limit leaves to the run loop. kick() and anything that wants the run loop's
    // attention sets it to 0.
    _Atomic uint64_t limit;
    const struct block *block; // being executed
    uint64_t rip;              // valid in the run loop only; inside a block: block->rip + op->off

    struct jump_entry *jumps; // the present CPL's jump cache
    uint64_t link_generation; // block links made under another number are void (mappings or code changed)

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

    // What follows from CS, SS and EFER.LMA (segment.c): how code is decoded; and outside 64-bit mode where its segment
    // lies, which offsets each segment has (read, write), and the bits of rsp that stack accesses use.
    enum x86_mode mode;
    uint32_t code_base, code_limit;
    uint32_t sp_mask;
    struct seg_window window[SEG_COUNT][2];

    struct x87 x87;
    // SSE and AVX (simd.h, mxcsr.h)
    struct vreg ymm[16];
    struct vreg operand;      // a memory operand that is not plain memory within one page
    uint32_t mxcsr;           // while the guest runs, its flags are in the host's
    uint32_t host_mxcsr;      // the host's own, meanwhile
    bool mxcsr_unmasked;      // any exception is
    uint8_t mxcsr_pass;       // mxcsr_again()
    uint32_t mxcsr_flags;     // likewise
    x86_feature_set features; // of the host, and announced to the guest

    bool halted;
    bool nmi_masked, nmi_pending;
    bool inhibit;       // interrupts wait for one instruction: after sti or a load of ss
    bool inhibit_debug; // #DB waits too: after a load of ss
    bool intr;          // INTR pin
    atomic_bool kicked;
    bool stepping;   // the block being executed is one instruction on its own (run.c)
    bool step_trap;  // ... and the single-step trap comes behind it
    bool debug_step; // within interp_step(): breakpoints do not count
    struct cpu_event event;
    uint8_t delivering;  // vector being delivered, for the double-fault rules; NOT_DELIVERING otherwise
    enum vcpu_exit exit; // what an instruction asked for; VCPU_CONTINUE otherwise
    uint64_t budget_end; // icount at which the budget is used up

    jmp_buf fault; // back to the run loop from any depth (fault.h)

    struct vcpu *vcpu;
    const struct guest_ram *ram;
    struct block_cache *cache;
    struct x86_decoder decoder;
    struct breakpoints breakpoints; // of a debugger outside

    // What a flush has to undo: the slots filled since the last one, or more than fit.
    unsigned filled;
    uint16_t filled_slot[TLB_FLUSH_FEW]; // mode << TLB_BITS | slot
    // Bloom filters over guest-virtual addresses: 2 MiB regions that large pages filled, and 4 KiB pages that block
    // links may lead to. An invlpg of anything else is one slot's affair.
    uint64_t large_filter;
    uint64_t code_filter[CODE_FILTER_WORDS];
    enum tlb_mode tlb_mode;
    struct tlb_entry tlb_modes[TLB_MODES][TLB_SIZE];
};

#define NOT_DELIVERING 0xff

static inline void count(struct cpu *c, enum event event)
{
    c->vcpu->counters.n[event]++;
}

#endif

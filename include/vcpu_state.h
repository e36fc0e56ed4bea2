// SPDX-License-Identifier: BSD-2-Clause
// The whole architectural state of one x86-64 vCPU, in one form for all engines: complete enough to move a running
// guest from one engine to another between two instructions.
#ifndef RINGSIDE_VCPU_STATE_H
#define RINGSIDE_VCPU_STATE_H

#include <stdbool.h>
#include <stdint.h>

// Numbered as instructions encode them (SDM vol. 2, table 3-1).
enum gpr { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15, GPR_COUNT };
enum segreg { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_COUNT };

// A segment register with its hidden part. attr is the descriptor's second doubleword from bit 8 up, without the
// limit: type 0-3, S 4, DPL 5-6, P 7, AVL 8, L 9, D/B 10, G 11 (SDM vol. 3, 3.4.5); `unusable` marks a null selector.
struct segment {
    uint64_t base;
    uint32_t limit; // in bytes, after granularity
    uint16_t selector;
    uint16_t attr;
    bool unusable;
};

struct table_reg {
    uint64_t base;
    uint16_t limit;
};

struct vcpu_state {
    uint64_t gpr[GPR_COUNT];
    uint64_t rip;
    uint64_t rflags;

    struct segment seg[SEG_COUNT];
    struct segment ldtr, tr;
    struct table_reg gdtr, idtr;

    uint64_t cr0, cr2, cr3, cr4, cr8;
    uint64_t efer;
    uint64_t dr[4], dr6, dr7;
    uint64_t xcr0;

    uint64_t star, lstar, cstar, sfmask;
    uint64_t kernel_gs_base;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t pat;
    uint64_t tsc_aux;
    uint64_t tsc_offset; // guest TSC - host TSC, modulo 2^64
    uint64_t apic_base;

    bool halted;        // after hlt, until an interrupt
    bool sti_shadow;    // the instruction after sti: interrupts wait for one instruction
    bool mov_ss_shadow; // the instruction after a load of ss: interrupts and #DB wait
    bool nmi_masked;    // from NMI delivery to iret
    bool nmi_pending;   // one has come and was not delivered yet

    // An event on its way when the state was taken (delivery had begun, e.g. while walking the IDT): re-deliver it.
    bool event_pending;
    uint8_t event_vector;
    uint8_t event_type; // enum event_type
    bool event_has_error;
    uint32_t event_error;

    // x87, SSE and AVX state in standard (not compacted) XSAVE form, SDM vol. 1, 13.4.
    uint8_t xsave[4096] __attribute__((aligned(64)));
};

// As in the VMCS interruption-information field (SDM vol. 3, 25.8.3).
enum event_type { EVENT_EXTERNAL = 0, EVENT_NMI = 2, EVENT_EXCEPTION = 3, EVENT_SOFTWARE = 4 };

#endif

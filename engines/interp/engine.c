// SPDX-License-Identifier: BSD-2-Clause
// The interpreter as an engine: life cycle, state, and the few things that come from outside.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engines/interp/block.h"
#include "engines/interp/cpuid.h"
#include "engines/interp/debug.h"
#include "engines/interp/flags.h"
#include "engines/interp/mmu.h"
#include "engines/interp/mxcsr.h"
#include "engines/interp/run.h"
#include "engines/interp/segment.h"
#include "engines/interp/xsave.h"

static void probe(struct engine_info *info)
{
    memset(info, 0, sizeof *info);
    info->available = true;
    snprintf(info->backend, sizeof info->backend, "interp");
    snprintf(info->paging, sizeof info->paging, "software TLB");
    snprintf(info->nested, sizeof info->nested, "ordinary process");
}

static void reset(struct cpu *c)
{
    c->rflags = 0;
    c->efer = EFER_LME | EFER_LMA;
    c->cr0 = CR0_PE | CR0_PG | CR0_ET | CR0_NE;
    c->cr4 = CR4_PAE;
    c->pat = PAT_RESET;
    c->dr6 = 0xffff0ff0;
    c->dr7 = 0x400;
    c->xcr0 = 1;
    x87_reset(&c->x87);
    c->mxcsr = MXCSR_INIT;
    c->features = x86_host_features() & cpuid_features(c);
    c->link_generation = 1;
    c->delivering = NOT_DELIVERING;
    c->filled = TLB_FLUSH_FEW + 1; // nothing is known about the entries yet: flush them all
    mmu_flush(c);
    mmu_mode_changed(c);
}

static int create(struct vcpu *v)
{
    struct cpu *c = aligned_alloc(64, (sizeof *c + 63) & ~(size_t)63);
    if (c)
        memset(c, 0, sizeof *c);
    struct block_cache *cache = c ? block_cache_create(v->ram) : NULL;
    if (!cache) {
        free(c);
        snprintf(v->error, sizeof v->error, "interp: not enough memory for the decoded-block cache");
        return -1;
    }
    if (x86_decoder_open(&c->decoder) < 0) {
        block_cache_destroy(cache);
        free(c);
        snprintf(v->error, sizeof v->error, "interp: cannot open Capstone for x86-64");
        return -1;
    }
    c->vcpu = v;
    c->ram = v->ram;
    c->cache = cache;
    v->engine_data = c;
    reset(c);
    return 0;
}

static void destroy(struct vcpu *v)
{
    struct cpu *c = v->engine_data;
    x86_decoder_close(&c->decoder);
    block_cache_destroy(c->cache);
    free(c);
    v->engine_data = NULL;
}

// ---- State ----

static void get_system(const struct cpu *c, struct vcpu_state *s)
{
    memcpy(s->seg, c->seg, sizeof s->seg);
    s->seg[SEG_FS].base = c->seg_base[SEG_FS];
    s->seg[SEG_GS].base = c->seg_base[SEG_GS];
    s->ldtr = c->ldtr;
    s->tr = c->tr;
    s->gdtr = c->gdtr;
    s->idtr = c->idtr;
    s->cr0 = c->cr0;
    s->cr2 = c->cr2;
    s->cr3 = c->cr3;
    s->cr4 = c->cr4;
    s->cr8 = c->vcpu->cr8;
    s->efer = c->efer;
    memcpy(s->dr, c->dr, sizeof s->dr);
    s->dr6 = c->dr6;
    s->dr7 = c->dr7;
    s->xcr0 = c->xcr0;
    s->star = c->star;
    s->lstar = c->lstar;
    s->cstar = c->cstar;
    s->sfmask = c->sfmask;
    s->kernel_gs_base = c->kernel_gs_base;
    s->sysenter_cs = c->sysenter_cs;
    s->sysenter_esp = c->sysenter_esp;
    s->sysenter_eip = c->sysenter_eip;
    s->pat = c->pat;
    s->tsc_aux = c->tsc_aux;
    s->tsc_offset = c->tsc_offset;
    s->apic_base = c->vcpu->apic_base;
}

static int get_state(struct vcpu *v, struct vcpu_state *s)
{
    const struct cpu *c = v->engine_data;
    memset(s, 0, sizeof *s);
    memcpy(s->gpr, c->gpr, sizeof s->gpr);
    s->rip = c->rip;
    s->rflags = flags_read(c);
    get_system(c, s);
    s->halted = c->halted;
    s->sti_shadow = c->inhibit && !c->inhibit_debug;
    s->mov_ss_shadow = c->inhibit_debug;
    s->nmi_masked = c->nmi_masked;
    s->nmi_pending = c->nmi_pending;
    s->event_pending = c->event.pending;
    s->event_vector = c->event.vector;
    s->event_type = c->event.type;
    s->event_has_error = c->event.has_error;
    s->event_error = c->event.error;
    xsave_all(c, s->xsave);
    return 0;
}

static void set_system(struct cpu *c, const struct vcpu_state *s)
{
    memcpy(c->seg, s->seg, sizeof c->seg);
    c->seg_base[SEG_FS] = s->seg[SEG_FS].base;
    c->seg_base[SEG_GS] = s->seg[SEG_GS].base;
    c->ldtr = s->ldtr;
    c->tr = s->tr;
    c->gdtr = s->gdtr;
    c->idtr = s->idtr;
    c->cr0 = s->cr0;
    c->cr2 = s->cr2;
    c->cr3 = s->cr3;
    c->cr4 = s->cr4;
    c->vcpu->cr8 = (uint8_t)s->cr8;
    c->efer = s->efer;
    memcpy(c->dr, s->dr, sizeof c->dr);
    c->dr6 = s->dr6;
    c->dr7 = s->dr7;
    c->xcr0 = s->xcr0;
    c->star = s->star;
    c->lstar = s->lstar;
    c->cstar = s->cstar;
    c->sfmask = s->sfmask;
    c->kernel_gs_base = s->kernel_gs_base;
    c->sysenter_cs = s->sysenter_cs;
    c->sysenter_esp = s->sysenter_esp;
    c->sysenter_eip = s->sysenter_eip;
    c->pat = s->pat;
    c->tsc_aux = s->tsc_aux;
    c->tsc_offset = s->tsc_offset;
    c->vcpu->apic_base = s->apic_base;
}

static int set_state(struct vcpu *v, const struct vcpu_state *s)
{
    struct cpu *c = v->engine_data;
    bool long_mode = s->efer & EFER_LMA && s->cr0 & CR0_PG, protected = s->cr0 & CR0_PE && !(s->rflags & FLAG_VM);
    if (!protected || (!long_mode && s->cr0 & CR0_PG)) {
        snprintf(v->error, sizeof v->error,
                 "interp: this state is in real mode, virtual-8086 mode or 32-bit paging, which it does not have");
        return -1;
    }
    account_instructions(c);
    memcpy(c->gpr, s->gpr, sizeof s->gpr);
    c->gpr[REG_ZERO] = 0;
    c->rip = s->rip;
    flags_load_arith(c, s->rflags);
    c->rflags = s->rflags & ~(uint64_t)(FLAGS_ARITH | FLAG_FIXED1);
    set_system(c, s);
    c->cpl = s->seg[SEG_SS].attr >> SEG_DPL_SHIFT & 3;
    c->halted = s->halted;
    c->inhibit = s->sti_shadow || s->mov_ss_shadow;
    c->inhibit_debug = s->mov_ss_shadow;
    c->nmi_masked = s->nmi_masked;
    c->nmi_pending = s->nmi_pending;
    c->event = (struct cpu_event){.pending = s->event_pending,
                                  .vector = s->event_vector,
                                  .type = s->event_type,
                                  .has_error = s->event_has_error,
                                  .error = s->event_error};
    xrstor_all(c, s->xsave);
    mmu_flush(c);
    mmu_mode_changed(c);
    c->debug_hits = 0;
    debug_changed(c);
    code_changed(c);
    block_flush(c); // another engine may have run the guest, and rewritten its code
    return 0;
}

// ---- From outside ----

static void set_intr(struct vcpu *v, bool asserted)
{
    struct cpu *c = v->engine_data;
    c->intr = asserted;
    if (asserted)
        atomic_store(&c->limit, 0);
}

static void inject_nmi(struct vcpu *v)
{
    struct cpu *c = v->engine_data;
    c->nmi_pending = true;
    atomic_store(&c->limit, 0);
}

static void kick(struct vcpu *v)
{
    struct cpu *c = v->engine_data;
    atomic_store(&c->kicked, true);
    atomic_store(&c->limit, 0);
}

static int set_breakpoints(struct vcpu *v, const struct breakpoints *b)
{
    struct cpu *c = v->engine_data;
    c->breakpoints = *b;
    block_flush(c); // blocks end where they did not before
    return 0;
}

static void read_counters(struct vcpu *v, struct counters *out)
{
    account_instructions(v->engine_data);
    *out = v->counters;
}

const struct engine engine_interp = {
    .name = "interp",
    .summary = "interpreter: every instruction decoded once, then executed by threaded code",
    .counts = EVENT_BIT(insns_kernel) | EVENT_BIT(insns_user) | EVENT_BIT(exits) | EVENT_BIT(exit_pio) |
              EVENT_BIT(exit_mmio) | EVENT_BIT(exit_halt) | EVENT_BIT(exit_shutdown) | EVENT_BIT(exit_mark) |
              EVENT_BIT(exit_host) | EVENT_BIT(exceptions) | EVENT_BIT(true_faults) | EVENT_BIT(interrupts) |
              EVENT_BIT(syscalls) | EVENT_BIT(returns) | EVENT_BIT(cr8_writes) | EVENT_BIT(tlb_misses) |
              EVENT_BIT(tlb_flushes) | EVENT_BIT(tlb_invlpgs) | EVENT_BIT(insns_decoded) | EVENT_BIT(blocks) |
              EVENT_BIT(block_lookups) | EVENT_BIT(blocks_invalidated),
    .keeps_budget = true,
    .probe = probe,
    .create = create,
    .destroy = destroy,
    .run = interp_run,
    .breakpoints_max = BREAKPOINTS_MAX,
    .set_breakpoints = set_breakpoints,
    .step = interp_step,
    .get_state = get_state,
    .set_state = set_state,
    .set_intr = set_intr,
    .inject_nmi = inject_nmi,
    .kick = kick,
    .counters = read_counters,
};

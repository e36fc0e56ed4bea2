// SPDX-License-Identifier: BSD-2-Clause
// The translator as an engine: life cycle, state, and the few things that come from outside.
#include <cpuid.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "engines/bt/contain.h"
#include "engines/bt/debug.h"
#include "engines/bt/direct.h"
#include "engines/bt/flush.h"
#include "engines/bt/map.h"
#include "engines/bt/memory.h"
#include "engines/bt/region.h"
#include "engines/bt/run.h"
#include "engines/bt/signal.h"
#include "engines/bt/tc.h"
#include "engines/bt/vectors.h"
#include "engines/bt/view.h"
#include "engines/bt/world.h"

// IDENT translation runs the guest's instructions on the host's CPU, so that has to have what our CPUID announces.
static bool host_saves_vectors(void)
{
    unsigned a, b, c, d;
    __asm__("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return (a & XSTATE_ALL) == XSTATE_ALL && __get_cpuid_count(0xd, 1, &a, &b, &c, &d) && (a & bit_XSAVEOPT);
}

static bool host_has_instructions(void)
{
    unsigned a, b, c, d, b7;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !__get_cpuid_count(7, 0, &a, &b7, &d, &d))
        return false;
    bool vectors = (c & bit_OSXSAVE) && (c & bit_AVX) && host_saves_vectors();
    bool leaf1 = vectors && (c & bit_MOVBE) && (c & bit_POPCNT) && (c & bit_CMPXCHG16B) && (c & bit_SSE4_2);
    if (!__get_cpuid(0x80000001, &a, &b, &c, &d))
        return false;
    return leaf1 && (b7 & bit_BMI) && (b7 & bit_BMI2) && (b7 & bit_ADX) && (c & bit_LZCNT);
}

static void probe(struct engine_info *info)
{
    memset(info, 0, sizeof *info);
    snprintf(info->backend, sizeof info->backend, "bt");
    snprintf(info->paging, sizeof info->paging, "shadow (host mappings)");
    snprintf(info->nested, sizeof info->nested, "ordinary process");
    if (!host_has_instructions())
        snprintf(info->reason, sizeof info->reason,
                 "this CPU lacks BMI1, BMI2, ADX, MOVBE, LZCNT, SSE4.2, AVX or XSAVEOPT");
    else
        region_layout_ok(info->reason, sizeof info->reason);
    info->available = !info->reason[0];
}

static void reset(struct bt *bt)
{
    bt->efer = EFER_LME | EFER_LMA;
    bt->cr0 = CR0_PE | CR0_PG | CR0_ET | CR0_NE;
    bt->cr4 = CR4_PAE;
    bt->pat = PAT_RESET;
    bt->dr6 = 0xffff0ff0;
    bt->dr7 = 0x400;
    bt->xcr0 = 1;
    vectors_reset(bt);
    bt->delivering = NOT_DELIVERING;
    bt->cr8_reserved = ~0xfull;
    bt->not_ac = ~(uint64_t)FLAG_AC;
    bt->one = 1;
    bt->host_flags = FLAGS_ARITH | FLAG_DF;
    bt->left = (uint64_t)(uintptr_t)bt_world_left;
    bt->seg[SEG_CS].attr = SEG_L;
    bt->poll_armed = true; // the first look of the run loop makes the page readable, and no more
    bt_mode_changed(bt);
}

static void destroy(struct vcpu *v)
{
    struct bt *bt = v->engine_data;
    if (bt->signals)
        signals_remove(bt->signals);
    direct_destroy(bt);
    if (bt->map)
        map_destroy(bt->map);
    if (bt->tc)
        tc_destroy(bt->tc);
    if (bt->tlb)
        tlb_destroy(bt->tlb);
    if (bt->decoder.scratch)
        x86_decoder_close(&bt->decoder);
    region_destroy(bt);
    v->engine_data = NULL;
}

static int create(struct vcpu *v)
{
    struct bt *bt = region_create(v->error, sizeof v->error);
    if (!bt)
        return -1;
    v->engine_data = bt;
    if (bt_options_parse(&bt->options, v->settings, v->error, sizeof v->error)) {
        destroy(v);
        return -1;
    }
    bt->vcpu = v;
    bt->ram = v->ram;
    bool decoder = x86_decoder_open(&bt->decoder) == 0;
    bt->tlb = tlb_create();
    bt->map = map_create(v->ram);
    reset(bt);
    bt->tc = bt->map ? tc_create(bt) : NULL;
    if (!decoder || !bt->tlb || !bt->tc) {
        snprintf(v->error, sizeof v->error, "bt: not enough memory for the translation cache");
        destroy(v);
        return -1;
    }
    bt->signals = signals_install(bt);
    if (!bt->signals) {
        destroy(v);
        return -1;
    }
    return 0;
}

// ---- State ----

static int get_state(struct vcpu *v, struct vcpu_state *s)
{
    struct bt *bt = v->engine_data;
    memset(s, 0, sizeof *s);
    memcpy(s->gpr, bt->gpr, sizeof s->gpr);
    s->rip = bt->rip;
    s->rflags = flags_read(bt);
    memcpy(s->seg, bt->seg, sizeof s->seg);
    s->seg[SEG_FS].base = bt->seg_base[SEG_FS];
    s->seg[SEG_GS].base = bt->seg_base[SEG_GS];
    s->ldtr = bt->ldtr;
    s->tr = bt->tr;
    s->gdtr = bt->gdtr;
    s->idtr = bt->idtr;
    s->cr0 = bt->cr0;
    s->cr2 = bt->cr2;
    s->cr3 = bt->cr3;
    s->cr4 = bt->cr4;
    s->cr8 = v->cr8;
    s->efer = bt->efer;
    memcpy(s->dr, bt->dr, sizeof s->dr);
    s->dr6 = bt->dr6;
    s->dr7 = bt->dr7;
    s->xcr0 = bt->xcr0;
    s->star = bt->star;
    s->lstar = bt->lstar;
    s->cstar = bt->cstar;
    s->sfmask = bt->sfmask;
    s->kernel_gs_base = bt->kernel_gs_base;
    s->sysenter_cs = bt->sysenter_cs;
    s->sysenter_esp = bt->sysenter_esp;
    s->sysenter_eip = bt->sysenter_eip;
    s->pat = bt->pat;
    s->tsc_aux = bt->tsc_aux;
    s->tsc_offset = bt->tsc_offset;
    s->apic_base = v->apic_base;
    s->halted = bt->halted;
    s->sti_shadow = bt->inhibit && !bt->inhibit_debug;
    s->mov_ss_shadow = bt->inhibit_debug;
    s->nmi_masked = bt->nmi_masked;
    s->nmi_pending = bt->nmi_pending;
    s->event_pending = bt->event.pending;
    s->event_vector = bt->event.vector;
    s->event_type = bt->event.type;
    s->event_has_error = bt->event.has_error;
    s->event_error = bt->event.error;
    memcpy(s->xsave, vectors_image(bt), XSAVE_BYTES);
    return 0;
}

static int set_state(struct vcpu *v, const struct vcpu_state *s)
{
    struct bt *bt = v->engine_data;
    if (!(s->efer & EFER_LMA) || !(s->cr0 & CR0_PG)) {
        snprintf(v->error, sizeof v->error, "bt: only long mode can be run, and this state is not in it");
        return -1;
    }
    memcpy(bt->gpr, s->gpr, sizeof bt->gpr);
    bt->rip = s->rip;
    flags_write(bt, s->rflags);
    memcpy(bt->seg, s->seg, sizeof bt->seg);
    memset(bt->seg_base, 0, sizeof bt->seg_base);
    bt->seg_base[SEG_FS] = s->seg[SEG_FS].base;
    bt->seg_base[SEG_GS] = s->seg[SEG_GS].base;
    bt->ldtr = s->ldtr;
    bt->tr = s->tr;
    bt->gdtr = s->gdtr;
    bt->idtr = s->idtr;
    bt->cr0 = s->cr0;
    bt->cr2 = s->cr2;
    bt->cr3 = s->cr3;
    bt->cr4 = s->cr4;
    v->cr8 = (uint8_t)s->cr8;
    bt->efer = s->efer;
    memcpy(bt->dr, s->dr, sizeof bt->dr);
    bt->dr6 = s->dr6;
    bt->dr7 = s->dr7;
    bt->xcr0 = s->xcr0;
    bt->star = s->star;
    bt->lstar = s->lstar;
    bt->cstar = s->cstar;
    bt->sfmask = s->sfmask;
    bt->kernel_gs_base = s->kernel_gs_base;
    bt->sysenter_cs = s->sysenter_cs;
    bt->sysenter_esp = s->sysenter_esp;
    bt->sysenter_eip = s->sysenter_eip;
    bt->pat = s->pat;
    bt->tsc_aux = s->tsc_aux;
    bt->tsc_offset = s->tsc_offset;
    v->apic_base = s->apic_base;
    bt->cpl = s->seg[SEG_SS].attr >> SEG_DPL_SHIFT & 3;
    bt->halted = s->halted;
    bt->inhibit = s->sti_shadow || s->mov_ss_shadow;
    bt->inhibit_debug = s->mov_ss_shadow;
    bt->nmi_masked = s->nmi_masked;
    bt->nmi_pending = s->nmi_pending;
    bt->event = (struct bt_event){.pending = s->event_pending,
                                  .vector = s->event_vector,
                                  .type = s->event_type,
                                  .has_error = s->event_has_error,
                                  .error = s->event_error};
    bt->debug_hits = 0;
    debug_changed(bt);
    vectors_from_image(bt, s->xsave);
    vectors_mode_changed(bt);
    bt_mode_changed(bt);
    tc_flush(bt);
    map_note_all(bt); // nobody told us about writes from outside
    flush_all(bt);
    return 0;
}

// ---- From outside ----

static void set_intr(struct vcpu *v, bool asserted)
{
    struct bt *bt = v->engine_data;
    bt->intr = asserted;
    if (asserted)
        bt->attention = 1;
}

static void inject_nmi(struct vcpu *v)
{
    struct bt *bt = v->engine_data;
    bt->nmi_pending = true;
    bt->attention = 1;
}

// The order matters: calm_down() in run.c undoes attention and poll first and looks at `kicked` last.
static void kick(struct vcpu *v)
{
    struct bt *bt = v->engine_data;
    bool again = atomic_exchange(&bt->kicked, true);
    bt->attention = 1;
    atomic_store(&bt->poll_armed, true);
    mprotect(bt->poll, sizeof bt->poll, PROT_NONE);
    direct_wake(bt);
    signals_kicked(bt->signals, again);
}

static int set_breakpoints(struct vcpu *v, const struct breakpoints *b)
{
    struct bt *bt = v->engine_data;
    bt->breakpoints = *b;
    bt_mode_changed(bt); // user code may no longer run directly, or may again
    tc_flush(bt);
    return 0;
}

static void read_counters(struct vcpu *v, struct counters *out)
{
    *out = v->counters;
    for (unsigned e = EV_callout_privileged; e <= EV_callout_other; e++)
        out->n[EV_callouts] += out->n[e];
    for (unsigned e = EV_trap_memory; e <= EV_trap_exception; e++)
        out->n[EV_traps] += out->n[e];
}

static void read_stats(struct vcpu *v, stat_fn *fn, void *ctx)
{
    const struct bt *bt = v->engine_data;
    const struct bt_stats *s = &bt->stats;
    char name[64];
    fn(ctx, "units", s->units);
    fn(ctx, "guest_bytes", s->guest_bytes);
    fn(ctx, "hot_bytes", s->hot_bytes);
    fn(ctx, "cold_bytes", s->cold_bytes);
    fn(ctx, "cycles", s->cycles);
    fn(ctx, "processes", direct_processes(bt));
    for (unsigned how = HOW_IDENT; how < HOWS; how++) {
        snprintf(name, sizeof name, "%s: %s", how_table[how].name, how_table[how].meaning);
        fn(ctx, name, s->insns[how]);
    }
}

const struct engine engine_bt = {
    .name = "bt",
    .summary = "adaptive binary translation of kernel code, in an ordinary process",
    .counts = EVENT_BIT(exits) | EVENT_BIT(exit_pio) | EVENT_BIT(exit_mmio) | EVENT_BIT(exit_halt) |
              EVENT_BIT(exit_shutdown) | EVENT_BIT(exit_mark) | EVENT_BIT(exit_host) | EVENT_BIT(exceptions) |
              EVENT_BIT(true_faults) | EVENT_BIT(interrupts) | EVENT_BIT(syscalls) | EVENT_BIT(hidden_faults) |
              EVENT_BIT(tlb_misses) | EVENT_BIT(tlb_flushes) | EVENT_BIT(tlb_invlpgs) | EVENT_BIT(insns_decoded) |
              EVENT_BIT(blocks) | EVENT_BIT(block_lookups) | EVENT_BIT(blocks_invalidated) |
              EVENT_BIT(callout_privileged) | EVENT_BIT(callout_memory) | EVENT_BIT(callout_branch) |
              EVENT_BIT(callout_miss) | EVENT_BIT(callout_other) | EVENT_BIT(chains) | EVENT_BIT(elisions) |
              EVENT_BIT(adaptations) | EVENT_BIT(forwards) | EVENT_BIT(tc_flushes) | EVENT_BIT(traps) |
              EVENT_BIT(trap_memory) | EVENT_BIT(trap_privileged) | EVENT_BIT(trap_poll) | EVENT_BIT(trap_exception) |
              EVENT_BIT(callouts) | EVENT_BIT(traced_writes) | EVENT_BIT(reversions) | EVENT_BIT(direct_entries) |
              EVENT_BIT(direct_syscalls) | EVENT_BIT(direct_exceptions) | EVENT_BIT(direct_kicks) |
              EVENT_BIT(direct_singles) | EVENT_BIT(direct_commands) | EVENT_BIT(user_to_direct) |
              EVENT_BIT(user_to_translated),
    .keeps_budget = true,
    .options = bt_option_table,
    .check_settings = bt_options_check,
    .probe = probe,
    .create = create,
    .destroy = destroy,
    .contain = bt_contain,
    .run = bt_run,
    .breakpoints_max = BREAKPOINTS_MAX,
    .set_breakpoints = set_breakpoints,
    .step = bt_step,
    .get_state = get_state,
    .set_state = set_state,
    .set_intr = set_intr,
    .inject_nmi = inject_nmi,
    .kick = kick,
    .counters = read_counters,
    .stats = read_stats,
    .view = bt_view,
};

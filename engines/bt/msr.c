// SPDX-License-Identifier: BSD-2-Clause
// Model-specific registers (SDM vol. 4), the time-stamp counter, FS and GS bases. An MSR that is not here is #GP.
#include <x86intrin.h>

#include "engines/bt/cpuid.h"
#include "engines/bt/emulations.h"
#include "engines/bt/flush.h"
#include "engines/bt/tc.h"

#define MISC_ENABLE_FAST_STRINGS 1ull
#define APIC_BASE_FLAGS (APIC_BASE_BSP | APIC_BASE_ENABLE)

static uint64_t guest_tsc(const struct bt *bt)
{
    return __rdtsc() + bt->tsc_offset;
}

static bool has_tsc_aux(const struct bt *bt)
{
    return cpuid_has(bt, FEATURE_RDTSCP) || cpuid_has(bt, FEATURE_RDPID);
}

// Where an MSR that is a plain field of the vCPU lives; NULL for all others. What it takes is write_msr's affair.
static uint64_t *msr_field(struct bt *bt, uint32_t index)
{
    switch (index) {
    case MSR_SYSENTER_CS:
        return &bt->sysenter_cs;
    case MSR_SYSENTER_ESP:
        return &bt->sysenter_esp;
    case MSR_SYSENTER_EIP:
        return &bt->sysenter_eip;
    case MSR_PAT:
        return &bt->pat;
    case MSR_EFER:
        return &bt->efer;
    case MSR_STAR:
        return &bt->star;
    case MSR_LSTAR:
        return &bt->lstar;
    case MSR_CSTAR:
        return &bt->cstar;
    case MSR_SFMASK:
        return &bt->sfmask;
    case MSR_FS_BASE:
        return &bt->seg_base[SEG_FS];
    case MSR_GS_BASE:
        return &bt->seg_base[SEG_GS];
    case MSR_KERNEL_GS_BASE:
        return &bt->kernel_gs_base;
    case MSR_TSC_AUX:
        return has_tsc_aux(bt) ? &bt->tsc_aux : NULL;
    default:
        return NULL;
    }
}

static bool read_msr(struct bt *bt, uint32_t index, uint64_t *v)
{
    const uint64_t *field = msr_field(bt, index);
    switch (index) {
    case MSR_TSC:
        return *v = guest_tsc(bt), true;
    case MSR_APIC_BASE:
        return *v = bt->vcpu->apic_base, true;
    case MSR_MISC_ENABLE:
        return *v = MISC_ENABLE_FAST_STRINGS, true;
    case MSR_K7_EVNTSEL0 ... MSR_K7_PERFCTR3:
        return *v = 0, true;
    default:
        return field && (*v = *field, true);
    }
}

static void result_in_edx_eax(struct bt *bt, uint64_t v)
{
    bt->gpr[RAX] = (uint32_t)v;
    bt->gpr[RDX] = v >> 32;
}

void emulate_rdmsr(struct bt *bt, const struct insn *in)
{
    uint64_t v;
    need_cpl0(bt);
    if (!read_msr(bt, (uint32_t)bt->gpr[RCX], &v))
        raise_error(bt, VEC_GP, 0);
    result_in_edx_eax(bt, v);
    bt_next(bt, in);
}

// ---- WRMSR: each gives false for a value that the register does not take ----

static bool write_tsc(struct bt *bt, uint64_t v)
{
    bt->tsc_offset = v - __rdtsc();
    tc_flush(bt); // translated rdtsc has the offset in it
    return true;
}

// LMA is the processor's, and LME cannot change while paging is on (SDM vol. 3, 9.8.5), which it always is here.
static bool write_efer(struct bt *bt, uint64_t v)
{
    uint64_t allowed = EFER_SCE | EFER_LME | EFER_LMA | (cpuid_has(bt, FEATURE_NX) ? EFER_NXE : 0);
    uint64_t changed = v ^ bt->efer;
    if (v & ~allowed || changed & EFER_LME)
        return false;
    bt->efer = (v & ~(uint64_t)EFER_LMA) | (bt->efer & EFER_LMA);
    if (changed & EFER_NXE) {
        count(bt, EV_tlb_flushes);
        flush_all(bt);
        bt_mode_changed(bt);
    }
    return true;
}

static bool pat_allowed(uint64_t v) // eight memory types (SDM vol. 3, 11.12.2)
{
    for (unsigned i = 0; i < 8; i++) {
        unsigned type = v >> (8 * i) & 0xff;
        if (type > 7 || type == 2 || type == 3)
            return false;
    }
    return true;
}

static bool write_apic_base(struct bt *bt, uint64_t v)
{
    uint64_t address = ((1ull << cpuid_physical_bits(bt)) - 1) & GUEST_PAGE_MASK;
    if (v & ~(address | APIC_BASE_FLAGS))
        return false;
    bt->vcpu->bus.apic_base_written(bt->vcpu->bus.machine, v);
    return true;
}

// Whether the plain field of that MSR takes the value.
static bool value_allowed(uint32_t index, uint64_t v)
{
    switch (index) {
    case MSR_PAT:
        return pat_allowed(v);
    case MSR_TSC_AUX:
        return v >> 32 == 0;
    case MSR_SYSENTER_ESP:
    case MSR_SYSENTER_EIP:
    case MSR_LSTAR:
    case MSR_CSTAR:
    case MSR_FS_BASE:
    case MSR_GS_BASE:
    case MSR_KERNEL_GS_BASE:
        return canonical(v);
    default:
        return true;
    }
}

static bool write_msr(struct bt *bt, uint32_t index, uint64_t v)
{
    uint64_t *field = msr_field(bt, index);
    switch (index) {
    case MSR_TSC:
        return write_tsc(bt, v);
    case MSR_APIC_BASE:
        return write_apic_base(bt, v);
    case MSR_EFER:
        return write_efer(bt, v);
    case MSR_MISC_ENABLE:
        return true; // nothing in it can be changed
    case MSR_K7_EVNTSEL0 ... MSR_K7_PERFCTR3:
        return true;
    case MSR_SYSENTER_CS:
        v &= UINT32_MAX;
        break;
    default:
        break;
    }
    if (!field || !value_allowed(index, v))
        return false;
    *field = v;
    return true;
}

void emulate_wrmsr(struct bt *bt, const struct insn *in)
{
    need_cpl0(bt);
    uint64_t v = bt->gpr[RDX] << 32 | (uint32_t)bt->gpr[RAX];
    if (!write_msr(bt, (uint32_t)bt->gpr[RCX], v))
        raise_error(bt, VEC_GP, 0);
    bt_next(bt, in);
}

// ---- RDTSC, RDTSCP, RDPMC ----

void emulate_rdtsc(struct bt *bt, const struct insn *in)
{
    if (bt->cpl != 0 && (bt->cr4 & CR4_TSD))
        raise_error(bt, VEC_GP, 0);
    result_in_edx_eax(bt, guest_tsc(bt));
    bt_next(bt, in);
}

void emulate_rdtscp(struct bt *bt, const struct insn *in)
{
    if (!cpuid_has(bt, FEATURE_RDTSCP))
        raise_exception(bt, VEC_UD);
    emulate_rdtsc(bt, in);
    bt->gpr[RCX] = (uint32_t)bt->tsc_aux;
}

void emulate_rdpid(struct bt *bt, const struct insn *in)
{
    if (!cpuid_has(bt, FEATURE_RDPID))
        raise_exception(bt, VEC_UD);
    bt->gpr[in->op[0].reg] = (uint32_t)bt->tsc_aux;
    bt_next(bt, in);
}

_Noreturn void emulate_rdpmc(struct bt *bt, const struct insn *in) // no counters: any index is one that does not exist
{
    (void)in;
    raise_error(bt, VEC_GP, 0);
}

// ---- SWAPGS, RDFSBASE and its kin ----

void emulate_swapgs(struct bt *bt, const struct insn *in)
{
    need_cpl0(bt);
    uint64_t base = bt->seg_base[SEG_GS];
    bt->seg_base[SEG_GS] = bt->kernel_gs_base;
    bt->kernel_gs_base = base;
    bt_next(bt, in);
}

static uint64_t *base_of(struct bt *bt, const struct insn *in)
{
    if (!(bt->cr4 & CR4_FSGSBASE))
        raise_exception(bt, VEC_UD);
    return &bt->seg_base[in->id == X86_INS_RDFSBASE || in->id == X86_INS_WRFSBASE ? SEG_FS : SEG_GS];
}

void emulate_read_base(struct bt *bt, const struct insn *in)
{
    reg_write(bt, in->op[0].reg, in->op[0].size, *base_of(bt, in));
    bt_next(bt, in);
}

void emulate_write_base(struct bt *bt, const struct insn *in)
{
    uint64_t *field = base_of(bt, in), base = reg_read(bt, in->op[0].reg, in->op[0].size);
    check_target(bt, base); // canonical, or #GP
    *field = base;
    bt_next(bt, in);
}

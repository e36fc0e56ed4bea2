// SPDX-License-Identifier: BSD-2-Clause
// Model-specific registers (SDM vol. 4), the time-stamp counter, FS and GS bases. An MSR that is not here is #GP.
#include <x86intrin.h>

#include "engines/interp/bus.h"
#include "engines/interp/cpuid.h"
#include "engines/interp/fault.h"
#include "engines/interp/flags.h"
#include "engines/interp/insn_args.h"
#include "engines/interp/lower.h"
#include "engines/interp/mmu.h"

#define MISC_ENABLE_FAST_STRINGS 1ull
#define APIC_BASE_FLAGS (APIC_BASE_BSP | APIC_BASE_ENABLE)

static void need_cpl0(struct cpu *c, const struct op *op)
{
    if (c->cpl != 0)
        raise_error(c, op, VEC_GP, 0);
}

static uint64_t guest_tsc(const struct cpu *c)
{
    return __rdtsc() + c->tsc_offset;
}

static bool has_tsc_aux(const struct cpu *c)
{
    return cpuid_has(c, FEATURE_RDTSCP) || cpuid_has(c, FEATURE_RDPID);
}

// ---- RDMSR ----

static bool read_msr(const struct cpu *c, uint32_t index, uint64_t *v)
{
    switch (index) {
    case MSR_TSC:
        return *v = guest_tsc(c), true;
    case MSR_APIC_BASE:
        return *v = c->vcpu->apic_base, true;
    case MSR_SYSENTER_CS:
        return *v = c->sysenter_cs, true;
    case MSR_SYSENTER_ESP:
        return *v = c->sysenter_esp, true;
    case MSR_SYSENTER_EIP:
        return *v = c->sysenter_eip, true;
    case MSR_MISC_ENABLE:
        return *v = MISC_ENABLE_FAST_STRINGS, true;
    case MSR_PAT:
        return *v = c->pat, true;
    case MSR_EFER:
        return *v = c->efer, true;
    case MSR_STAR:
        return *v = c->star, true;
    case MSR_LSTAR:
        return *v = c->lstar, true;
    case MSR_CSTAR:
        return *v = c->cstar, true;
    case MSR_SFMASK:
        return *v = c->sfmask, true;
    case MSR_FS_BASE:
        return *v = c->seg_base[SEG_FS], true;
    case MSR_GS_BASE:
        return *v = c->seg_base[SEG_GS], true;
    case MSR_KERNEL_GS_BASE:
        return *v = c->kernel_gs_base, true;
    case MSR_TSC_AUX:
        return *v = c->tsc_aux, has_tsc_aux(c);
    case MSR_K7_EVNTSEL0 ... MSR_K7_PERFCTR3:
        return *v = 0, true;
    default:
        return false;
    }
}

static HANDLER(op_rdmsr)
{
    uint64_t v;
    need_cpl0(c, op);
    if (!read_msr(c, get32(c, RCX), &v))
        raise_error(c, op, VEC_GP, 0);
    set64(c, RAX, (uint32_t)v);
    set64(c, RDX, v >> 32);
    NEXT;
}

// ---- WRMSR: each gives false for a value that the register does not take ----

static bool write_canonical(uint64_t *field, uint64_t v)
{
    if (!canonical(v))
        return false;
    *field = v;
    return true;
}

static bool write_32(uint64_t *field, uint64_t v)
{
    if (v >> 32)
        return false;
    *field = v;
    return true;
}

// LMA is the processor's, and LME cannot change while paging is on (SDM vol. 3, 9.8.5).
static bool write_efer(struct cpu *c, uint64_t v)
{
    uint64_t allowed = EFER_SCE | EFER_LME | EFER_LMA | (cpuid_has(c, FEATURE_NX) ? EFER_NXE : 0);
    if (v & ~allowed || (c->cr0 & CR0_PG && (v ^ c->efer) & EFER_LME))
        return false;
    uint64_t changed = v ^ c->efer;
    c->efer = (v & ~(uint64_t)EFER_LMA) | (c->efer & EFER_LMA);
    if (changed & EFER_NXE) {
        count(c, EV_tlb_flushes);
        mmu_flush(c);
    }
    return true;
}

static bool write_pat(struct cpu *c, uint64_t v) // eight memory types (SDM vol. 3, 11.12.2)
{
    for (unsigned i = 0; i < 8; i++) {
        unsigned type = (v >> (8 * i)) & 0xff;
        if (type > 7 || type == 2 || type == 3)
            return false;
    }
    c->pat = v;
    return true;
}

static bool write_apic_base(struct cpu *c, uint64_t v)
{
    uint64_t address = ((1ull << cpuid_physical_bits(c)) - 1) & GUEST_PAGE_MASK;
    if (v & ~(address | APIC_BASE_FLAGS))
        return false;
    bus_apic_base_written(c, v);
    return true;
}

static bool write_msr(struct cpu *c, uint32_t index, uint64_t v)
{
    switch (index) {
    case MSR_TSC:
        return c->tsc_offset = v - __rdtsc(), true;
    case MSR_APIC_BASE:
        return write_apic_base(c, v);
    case MSR_SYSENTER_CS:
        return c->sysenter_cs = v & UINT32_MAX, true;
    case MSR_SYSENTER_ESP:
        return write_canonical(&c->sysenter_esp, v);
    case MSR_SYSENTER_EIP:
        return write_canonical(&c->sysenter_eip, v);
    case MSR_MISC_ENABLE:
        return true; // nothing in it can be changed
    case MSR_K7_EVNTSEL0 ... MSR_K7_PERFCTR3:
        return true;
    case MSR_PAT:
        return write_pat(c, v);
    case MSR_EFER:
        return write_efer(c, v);
    case MSR_STAR:
        return c->star = v, true;
    case MSR_LSTAR:
        return write_canonical(&c->lstar, v);
    case MSR_CSTAR:
        return write_canonical(&c->cstar, v);
    case MSR_SFMASK:
        return c->sfmask = v, true;
    case MSR_FS_BASE:
        return write_canonical(&c->seg_base[SEG_FS], v);
    case MSR_GS_BASE:
        return write_canonical(&c->seg_base[SEG_GS], v);
    case MSR_KERNEL_GS_BASE:
        return write_canonical(&c->kernel_gs_base, v);
    case MSR_TSC_AUX:
        return has_tsc_aux(c) && write_32(&c->tsc_aux, v);
    default:
        return false;
    }
}

static HANDLER(op_wrmsr)
{
    uint32_t index = get32(c, RCX);
    need_cpl0(c, op);
    if (!write_msr(c, index, (uint64_t)get32(c, RDX) << 32 | get32(c, RAX)))
        raise_error(c, op, VEC_GP, 0);
    if (index == MSR_EFER || index == MSR_APIC_BASE) // mappings or pending interrupts may have changed
        return leave(c, op, op_next_rip(c, op));
    NEXT;
}

bool lower_msr(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)in;
    emit(l, arg == MSR_WRITE ? op_wrmsr : op_rdmsr);
    return true;
}

// ---- RDTSC, RDTSCP, RDPID, RDPMC ----

static void need_tsc(struct cpu *c, const struct op *op)
{
    if (c->cpl != 0 && (c->cr4 & CR4_TSD))
        raise_error(c, op, VEC_GP, 0);
}

static HANDLER(op_rdtsc)
{
    need_tsc(c, op);
    uint64_t v = guest_tsc(c);
    set64(c, RAX, (uint32_t)v);
    set64(c, RDX, v >> 32);
    NEXT;
}

static HANDLER(op_rdtscp)
{
    need_tsc(c, op);
    uint64_t v = guest_tsc(c);
    set64(c, RAX, (uint32_t)v);
    set64(c, RDX, v >> 32);
    set64(c, RCX, (uint32_t)c->tsc_aux);
    NEXT;
}

bool lower_rdtsc(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)in;
    if (arg == TSC_AND_AUX && !cpuid_has(l->c, FEATURE_RDTSCP))
        return false;
    emit(l, arg == TSC_AND_AUX ? op_rdtscp : op_rdtsc);
    return true;
}

static HANDLER(op_rdpid)
{
    set64(c, op->dst, (uint32_t)c->tsc_aux);
    NEXT;
}

bool lower_rdpid(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)arg;
    if (!cpuid_has(l->c, FEATURE_RDPID))
        return false;
    emit(l, op_rdpid)->dst = in->op[0].reg;
    return true;
}

// There are no performance counters: any index is one that does not exist.
static HANDLER(op_rdpmc)
{
    raise_error(c, op, VEC_GP, 0);
}

bool lower_rdpmc(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)in;
    (void)arg;
    emit(l, op_rdpmc);
    return true;
}

// ---- RDRAND, RDSEED: the host's. CF says whether there was a number, which is 0 else; all other flags are 0 ----

static bool host_random(unsigned source, uint64_t *v)
{
    bool some;
    if (source == RANDOM_RDSEED)
        __asm__ volatile("rdseed %0" : "=r"(*v), "=@ccc"(some));
    else
        __asm__ volatile("rdrand %0" : "=r"(*v), "=@ccc"(some));
    return some;
}

static HANDLER(op_random) // aux: operand size; src: where from
{
    uint64_t v;
    bool some = host_random(op->src, &v);
    if (op->aux == 8)
        set64(c, op->dst, v);
    else if (op->aux == 4)
        set32(c, op->dst, v);
    else
        set16(c, op->dst, v);
    flags_load_arith(c, some ? FLAG_CF : 0);
    NEXT;
}

bool lower_random(struct lower *l, const struct insn *in, unsigned arg)
{
    bool exists = arg == RANDOM_RDSEED ? cpuid_has(l->c, FEATURE_RDSEED) : cpuid_has(l->c, FEATURE_RDRAND);
    if (!exists)
        return false;
    struct op *op = emit(l, op_random);
    op->dst = in->op[0].reg;
    op->aux = (uint8_t)in->op[0].size;
    op->src = (uint8_t)arg;
    return true;
}

// ---- SWAPGS, RDFSBASE and its kin ----

static HANDLER(op_swapgs)
{
    need_cpl0(c, op);
    uint64_t base = c->seg_base[SEG_GS];
    c->seg_base[SEG_GS] = c->kernel_gs_base;
    c->kernel_gs_base = base;
    NEXT;
}

bool lower_swapgs(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)in;
    (void)arg;
    emit(l, op_swapgs);
    return true;
}

static void need_fsgsbase(struct cpu *c, const struct op *op)
{
    if (!(c->cr4 & CR4_FSGSBASE))
        raise_exception(c, op, VEC_UD);
}

static HANDLER(op_read_base) // aux: segment; imm: operand size
{
    need_fsgsbase(c, op);
    uint64_t base = c->seg_base[op->aux];
    set64(c, op->dst, op->imm == 8 ? base : (uint32_t)base);
    NEXT;
}

static HANDLER(op_write_base)
{
    need_fsgsbase(c, op);
    uint64_t base = op->imm == 8 ? get64(c, op->src) : get32(c, op->src);
    if (!canonical(base))
        raise_error(c, op, VEC_GP, 0);
    c->seg_base[op->aux] = base;
    NEXT;
}

bool lower_gsbase(struct lower *l, const struct insn *in, unsigned arg)
{
    bool write = arg == BASE_WRITE_FS || arg == BASE_WRITE_GS;
    struct op *op = emit(l, write ? op_write_base : op_read_base);
    op->dst = op->src = in->op[0].reg;
    op->imm = in->op[0].size;
    op->aux = arg == BASE_READ_FS || arg == BASE_WRITE_FS ? SEG_FS : SEG_GS;
    return true;
}

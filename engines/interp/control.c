// SPDX-License-Identifier: BSD-2-Clause
// Control and debug registers, and the instructions that drop translations (SDM vol. 2, MOV CR, MOV DR, INVLPG,
// INVPCID; vol. 3, 2.5 and 4.10.4). The software TLB has no PCIDs: whatever changes the address space empties it, and a
// mov to cr3 that asks for no flush gets one.
#include "engines/interp/bus.h"
#include "engines/interp/cpuid.h"
#include "engines/interp/debug.h"
#include "engines/interp/fault.h"
#include "engines/interp/insn_args.h"
#include "engines/interp/lower.h"
#include "engines/interp/mmu.h"
#include "engines/interp/segment.h"

#define CR0_DEFINED (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG)
#define CR0_MSW (CR0_PE | CR0_MP | CR0_EM | CR0_TS) // what lmsw writes
#define CR8_TPR 0xfull

static void need_cpl0(struct cpu *c, const struct op *op)
{
    if (c->cpl != 0)
        raise_error(c, op, VEC_GP, 0);
}

static void flush(struct cpu *c)
{
    count(c, EV_tlb_flushes);
    mmu_flush(c);
}

// ---- MOV to control registers ----

// Paging goes on or off, and long mode with it (SDM vol. 3, 9.8.5).
static void switch_paging(struct cpu *c, const struct op *op, bool on)
{
    bool is_long = c->efer & EFER_LME;
    if (on ? is_long && (!(c->cr4 & CR4_PAE) || c->seg[SEG_CS].attr & SEG_L)
           : c->mode == X86_CODE64 || c->cr4 & CR4_PCIDE)
        raise_error(c, op, VEC_GP, 0);
    if (on && !is_long)
        raise_engine_error(c, op, "interp: paging outside long mode is not supported");
    c->efer = on ? c->efer | EFER_LMA : c->efer & ~(uint64_t)EFER_LMA;
}

static void write_cr0(struct cpu *c, const struct op *op, uint64_t v)
{
    bool combined = (v & CR0_PE || !(v & CR0_PG)) && (v & CR0_CD || !(v & CR0_NW));
    uint64_t old = c->cr0;
    if (v >> 32 || !combined)
        raise_error(c, op, VEC_GP, 0);
    if ((old ^ v) & CR0_PG)
        switch_paging(c, op, v & CR0_PG);
    if (!(v & CR0_PE))
        raise_engine_error(c, op, "interp: real mode is not supported");
    c->cr0 = (v & CR0_DEFINED) | CR0_ET;
    if ((old ^ c->cr0) & (CR0_WP | CR0_PG))
        flush(c);
    mmu_mode_changed(c); // AM
    code_changed(c);     // LMA
}

static void write_cr3(struct cpu *c, const struct op *op, uint64_t v)
{
    uint64_t reserved = ~0ull << cpuid_physical_bits(c);
    if (c->cr4 & CR4_PCIDE)
        reserved &= ~CR3_NOFLUSH;
    if (v & reserved)
        raise_error(c, op, VEC_GP, 0);
    c->cr3 = v & ~CR3_NOFLUSH;
    flush(c);
}

// CR4 bits that every x86-64 processor has, announced or not (so has KVM), and those of features; all others are
// reserved.
static uint64_t cr4_allowed(const struct cpu *c)
{
    return CR4_ALWAYS | (cpuid_has(c, FEATURE_FSGSBASE) ? CR4_FSGSBASE : 0) |
           (cpuid_has(c, FEATURE_XSAVE) ? CR4_OSXSAVE : 0) | (cpuid_has(c, FEATURE_PCID) ? CR4_PCIDE : 0) |
           (cpuid_has(c, FEATURE_SMEP) ? CR4_SMEP : 0) | (cpuid_has(c, FEATURE_SMAP) ? CR4_SMAP : 0);
}

static void write_cr4(struct cpu *c, const struct op *op, uint64_t v)
{
    const uint64_t flushing = CR4_PSE | CR4_PAE | CR4_PGE | CR4_PCIDE | CR4_SMEP | CR4_SMAP;
    uint64_t changed = c->cr4 ^ v;
    bool is_long = c->efer & EFER_LMA;
    if (v & ~cr4_allowed(c) || (is_long && !(v & CR4_PAE))) // long mode needs PAE
        raise_error(c, op, VEC_GP, 0);
    if (changed & v & CR4_PCIDE && (!is_long || c->cr3 & CR3_PCID)) // SDM vol. 3, 4.10.1
        raise_error(c, op, VEC_GP, 0);
    c->cr4 = v;
    if (changed & flushing)
        flush(c);
    if (changed & CR4_DE)
        debug_changed(c);
    mmu_mode_changed(c); // SMAP
}

// aux: control register. The next instruction is fetched under the new mapping, so the block ends here.
static HANDLER(op_mov_to_cr)
{
    uint64_t v = c->mode == X86_CODE64 ? get64(c, op->src) : get32(c, op->src);
    need_cpl0(c, op);
    switch (op->aux) {
    case 0:
        write_cr0(c, op, v);
        break;
    case 2:
        c->cr2 = v;
        NEXT;
    case 3:
        write_cr3(c, op, v);
        break;
    default:
        write_cr4(c, op, v);
    }
    return leave(c, op, op_next_rip(c, op));
}

static HANDLER(op_mov_to_cr8)
{
    uint64_t v = get64(c, op->src);
    struct vcpu *vcpu = c->vcpu;
    need_cpl0(c, op);
    if (v & ~CR8_TPR)
        raise_error(c, op, VEC_GP, 0);
    vcpu->cr8 = (uint8_t)v;
    count(c, EV_cr8_writes);
    if (UNLIKELY(v < vcpu->tpr_threshold)) {
        bus_tpr_lowered(c);
        return leave(c, op, op_next_rip(c, op));
    }
    NEXT;
}

static HANDLER(op_mov_from_cr)
{
    need_cpl0(c, op);
    uint64_t v = op->aux == 0 ? c->cr0 : op->aux == 2 ? c->cr2 : op->aux == 3 ? c->cr3 : c->cr4;
    set64(c, op->dst, v);
    NEXT;
}

static HANDLER(op_mov_from_cr8)
{
    need_cpl0(c, op);
    set64(c, op->dst, c->vcpu->cr8);
    NEXT;
}

bool lower_mov_cr(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)arg;
    bool to = in->op[0].kind == OPERAND_CR;
    unsigned cr = to ? in->op[0].reg : in->op[1].reg;
    if (cr != 0 && cr != 2 && cr != 3 && cr != 4 && cr != 8)
        return false;
    struct op *op = emit(l, cr == 8 ? (to ? op_mov_to_cr8 : op_mov_from_cr8) : (to ? op_mov_to_cr : op_mov_from_cr));
    op->src = to ? in->op[1].reg : 0;
    op->dst = to ? 0 : in->op[0].reg;
    op->aux = (uint8_t)cr;
    l->ends = to && (cr == 0 || cr == 3 || cr == 4);
    return true;
}

// ---- CLTS, SMSW, LMSW ----

static HANDLER(op_clts)
{
    need_cpl0(c, op);
    c->cr0 &= ~(uint64_t)CR0_TS;
    NEXT;
}

bool lower_clts(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)in;
    (void)arg;
    emit(l, op_clts);
    return true;
}

static HANDLER(op_smsw) // aux: operand size
{
    if (op->aux == 2)
        set16(c, op->dst, c->cr0);
    else
        set64(c, op->dst, c->cr0); // all of its bits are in the lower half
    NEXT;
}

static HANDLER(op_smsw_mem)
{
    store16(c, op, ea(c, op), c->cr0);
    NEXT;
}

static void load_msw(struct cpu *c, uint16_t v) // PE can be set, not cleared
{
    c->cr0 = (c->cr0 & ~(uint64_t)(CR0_MSW & ~CR0_PE)) | (v & CR0_MSW);
}

static HANDLER(op_lmsw)
{
    need_cpl0(c, op);
    load_msw(c, get16(c, op->src));
    NEXT;
}

static HANDLER(op_lmsw_mem)
{
    need_cpl0(c, op);
    load_msw(c, load16(c, op, ea(c, op)));
    NEXT;
}

bool lower_smsw(struct lower *l, const struct insn *in, unsigned arg)
{
    const struct x86_operand *o = &in->op[0];
    if (o->kind == OPERAND_MEM) {
        emit_mem(l, arg == MSW_LOAD ? op_lmsw_mem : op_smsw_mem, in, o);
        l->checked_sse = l->checked_avx = false; // lmsw may set TS
        return true;
    }
    struct op *op = emit(l, arg == MSW_LOAD ? op_lmsw : op_smsw);
    op->src = op->dst = o->reg;
    op->aux = o->size;
    l->checked_sse = l->checked_avx = false;
    return true;
}

// ---- Debug registers (SDM vol. 3, 17.2; breakpoints: debug.h) ----

#define DR6_FIXED1 0xffff0ff0ull
#define DR6_WRITABLE 0xe00full // B0-B3, BD, BS, BT
#define DR7_FIXED1 0x400ull
#define DR7_WRITABLE 0xffff23ffull

// The #DB of DR7.GD is a fault, and one that sets RF in its frame (SDM vol. 3, 17.3.1.1).
static void check_debug_access(struct cpu *c, const struct op *op)
{
    if ((op->aux == 4 || op->aux == 5) && (c->cr4 & CR4_DE))
        raise_exception(c, op, VEC_UD);
    need_cpl0(c, op);
    if (c->dr7 & DR7_GD) {
        c->dr6 = (c->dr6 & ~DR6_B) | DR6_BD;
        c->rflags |= FLAG_RF;
        raise_exception(c, op, VEC_DB);
    }
}

static HANDLER(op_mov_to_dr) // aux: debug register; 4 and 5 stand for 6 and 7. The last of its block
{
    uint64_t v = get64(c, op->src);
    check_debug_access(c, op);
    if (op->aux >= 4 && v >> 32)
        raise_error(c, op, VEC_GP, 0);
    if (op->aux < 4)
        c->dr[op->aux] = v;
    else if (op->aux % 2 == 0)
        c->dr6 = (v & DR6_WRITABLE) | DR6_FIXED1;
    else
        c->dr7 = (v & DR7_WRITABLE) | DR7_FIXED1;
    debug_changed(c);
    return leave(c, op, op_next_rip(c, op));
}

static HANDLER(op_mov_from_dr)
{
    check_debug_access(c, op);
    set64(c, op->dst, op->aux < 4 ? c->dr[op->aux] : op->aux % 2 == 0 ? c->dr6 : c->dr7);
    NEXT;
}

bool lower_mov_dr(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)arg;
    bool to = in->op[0].kind == OPERAND_DR;
    unsigned dr = to ? in->op[0].reg : in->op[1].reg;
    if (dr > 7)
        return false;
    struct op *op = emit(l, to ? op_mov_to_dr : op_mov_from_dr);
    op->src = to ? in->op[1].reg : 0;
    op->dst = to ? 0 : in->op[0].reg;
    op->aux = (uint8_t)dr;
    l->ends = to;
    return true;
}

// ---- INVLPG, INVPCID ----

static HANDLER(op_invlpg)
{
    need_cpl0(c, op);
    uint64_t va = ea(c, op);
    if (canonical(va)) { // else it does nothing
        count(c, EV_tlb_invlpgs);
        mmu_invlpg(c, va);
    }
    return leave(c, op, op_next_rip(c, op));
}

bool lower_invlpg(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)arg;
    emit_mem(l, op_invlpg, in, &in->op[0]);
    l->ends = true;
    return true;
}

enum { INVPCID_ADDRESS, INVPCID_CONTEXT, INVPCID_ALL_GLOBAL, INVPCID_ALL };

static HANDLER(op_invpcid) // src: register with the type
{
    need_cpl0(c, op);
    uint64_t va = ea(c, op), type = get64(c, op->src);
    if (type > INVPCID_ALL)
        raise_error(c, op, VEC_GP, 0);
    uint64_t pcid = load64(c, op, va), address = load64(c, op, va + 8);
    bool names_pcid = type == INVPCID_ADDRESS || type == INVPCID_CONTEXT;
    if (pcid & ~(uint64_t)CR3_PCID || (names_pcid && pcid && !(c->cr4 & CR4_PCIDE)) ||
        (type == INVPCID_ADDRESS && !canonical(address)))
        raise_error(c, op, VEC_GP, 0);
    if (type == INVPCID_ADDRESS) {
        count(c, EV_tlb_invlpgs);
        mmu_invlpg(c, address);
    } else {
        flush(c);
    }
    return leave(c, op, op_next_rip(c, op));
}

bool lower_invpcid(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)arg;
    if (!cpuid_has(l->c, FEATURE_INVPCID) || in->op[1].kind != OPERAND_MEM)
        return false;
    emit_mem(l, op_invpcid, in, &in->op[1])->src = in->op[0].reg;
    l->ends = true;
    return true;
}

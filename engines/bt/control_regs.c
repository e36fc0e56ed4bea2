// SPDX-License-Identifier: BSD-2-Clause
// Control and debug registers, and the instructions that drop translations (SDM vol. 2, MOV CR, MOV DR, INVLPG,
// INVPCID; vol. 3, 2.5 and 4.10.4).
#include "engines/bt/cpuid.h"
#include "engines/bt/debug.h"
#include "engines/bt/emulations.h"
#include "engines/bt/flush.h"
#include "engines/bt/vectors.h"

#define CR0_DEFINED (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG)
#define CR0_MSW (CR0_PE | CR0_MP | CR0_EM | CR0_TS) // what lmsw writes
#define CR8_TPR 0xfull

static void flush(struct bt *bt)
{
    count(bt, EV_tlb_flushes);
    flush_all(bt);
}

// ---- MOV to control registers ----

static void write_cr0(struct bt *bt, uint64_t v)
{
    bool combined = (v & CR0_PE || !(v & CR0_PG)) && (v & CR0_CD || !(v & CR0_NW));
    if (v >> 32 || !combined || !(v & CR0_PG)) // paging cannot be turned off in 64-bit mode
        raise_error(bt, VEC_GP, 0);
    uint64_t changed = bt->cr0 ^ v;
    bt->cr0 = (v & CR0_DEFINED) | CR0_ET;
    vectors_mode_changed(bt);
    if (changed & CR0_WP)
        flush(bt);
    if (changed & (CR0_WP | CR0_AM))
        bt_mode_changed(bt);
}

static void write_cr3(struct bt *bt, uint64_t v)
{
    uint64_t reserved = ~0ull << cpuid_physical_bits(bt);
    if (bt->cr4 & CR4_PCIDE)
        reserved &= ~CR3_NOFLUSH;
    if (v & reserved)
        raise_error(bt, VEC_GP, 0);
    count(bt, EV_tlb_flushes);
    flush_load_cr3(bt, v & ~CR3_NOFLUSH, v & CR3_NOFLUSH);
}

// CR4 bits that can be set: what every x86-64 has, announced or not, and what CPUID announces. All others are reserved.
static uint64_t cr4_allowed(const struct bt *bt)
{
    return CR4_ALWAYS | (cpuid_has(bt, FEATURE_FSGSBASE) ? CR4_FSGSBASE : 0) |
           (cpuid_has(bt, FEATURE_PCID) ? CR4_PCIDE : 0) | (cpuid_has(bt, FEATURE_SMEP) ? CR4_SMEP : 0) |
           (cpuid_has(bt, FEATURE_SMAP) ? CR4_SMAP : 0) | (cpuid_has(bt, FEATURE_XSAVE) ? CR4_OSXSAVE : 0);
}

static void write_cr4(struct bt *bt, uint64_t v)
{
    const uint64_t flushing = CR4_PSE | CR4_PAE | CR4_PGE | CR4_PCIDE | CR4_SMEP | CR4_SMAP;
    uint64_t changed = bt->cr4 ^ v;
    if (v & ~cr4_allowed(bt) || !(v & CR4_PAE)) // long mode needs PAE
        raise_error(bt, VEC_GP, 0);
    if (changed & v & CR4_PCIDE && bt->cr3 & CR3_PCID) // SDM vol. 3, 4.10.1
        raise_error(bt, VEC_GP, 0);
    bt->cr4 = v;
    vectors_mode_changed(bt);
    if (changed & flushing)
        flush(bt);
    if (changed & CR4_DE)
        debug_changed(bt);
    bt_mode_changed(bt);
}

// Task priority, shared with the local APIC (include/vcpu.h).
static void write_cr8(struct bt *bt, uint64_t v)
{
    struct vcpu *vcpu = bt->vcpu;
    if (v & ~CR8_TPR)
        raise_error(bt, VEC_GP, 0);
    vcpu->cr8 = (uint8_t)v;
    if (v < vcpu->tpr_threshold)
        vcpu->bus.tpr_lowered(vcpu->bus.machine);
}

void emulate_mov_to_cr(struct bt *bt, const struct insn *in)
{
    uint64_t v = bt->gpr[in->op[1].reg];
    unsigned cr = in->op[0].reg;
    if (cr != 0 && cr != 2 && cr != 3 && cr != 4 && cr != 8)
        raise_exception(bt, VEC_UD);
    need_cpl0(bt);
    if (cr == 0)
        write_cr0(bt, v);
    else if (cr == 2)
        bt->cr2 = v;
    else if (cr == 3)
        write_cr3(bt, v);
    else if (cr == 4)
        write_cr4(bt, v);
    else
        write_cr8(bt, v);
    bt_next(bt, in);
}

void emulate_mov_from_cr(struct bt *bt, const struct insn *in)
{
    unsigned cr = in->op[1].reg;
    if (cr != 0 && cr != 2 && cr != 3 && cr != 4 && cr != 8)
        raise_exception(bt, VEC_UD);
    need_cpl0(bt);
    uint64_t v = cr == 0 ? bt->cr0 : cr == 2 ? bt->cr2 : cr == 3 ? bt->cr3 : cr == 4 ? bt->cr4 : bt->vcpu->cr8;
    bt->gpr[in->op[0].reg] = v;
    bt_next(bt, in);
}

// ---- CLTS, SMSW, LMSW ----

void emulate_clts(struct bt *bt, const struct insn *in)
{
    need_cpl0(bt);
    bt->cr0 &= ~(uint64_t)CR0_TS;
    vectors_mode_changed(bt);
    bt_next(bt, in);
}

void emulate_smsw(struct bt *bt, const struct insn *in)
{
    const struct x86_operand *to = &in->op[0];
    if (to->kind == OPERAND_MEM)
        mem_write(bt, effective_address(bt, in, to), 2, bt->cr0 & 0xffff, in->stack_segment);
    else
        reg_write(bt, to->reg, to->size, bt->cr0);
    bt_next(bt, in);
}

void emulate_lmsw(struct bt *bt, const struct insn *in) // PE can be set, not cleared
{
    need_cpl0(bt);
    uint64_t v = operand_read(bt, in, &in->op[0], 2);
    bt->cr0 = (bt->cr0 & ~(uint64_t)(CR0_MSW & ~CR0_PE)) | (v & CR0_MSW);
    vectors_mode_changed(bt);
    bt_next(bt, in);
}

// ---- Debug registers (SDM vol. 3, 17.2; breakpoints: debug.h) ----

#define DR6_FIXED1 0xffff0ff0ull
#define DR6_WRITABLE 0xe00full // B0-B3, BD, BS, BT
#define DR7_FIXED1 0x400ull
#define DR7_WRITABLE 0xffff23ffull

// The #DB of DR7.GD is a fault, and one that sets RF in its frame (SDM vol. 3, 17.3.1.1).
static void check_debug_access(struct bt *bt, unsigned dr) // 4 and 5 stand for 6 and 7
{
    if (dr > 7 || ((dr == 4 || dr == 5) && (bt->cr4 & CR4_DE)))
        raise_exception(bt, VEC_UD);
    need_cpl0(bt);
    if (bt->dr7 & DR7_GD) {
        bt->dr6 = (bt->dr6 & ~DR6_B) | DR6_BD;
        bt->rflags |= FLAG_RF;
        raise_exception(bt, VEC_DB);
    }
}

void emulate_mov_to_dr(struct bt *bt, const struct insn *in)
{
    uint64_t v = bt->gpr[in->op[1].reg];
    unsigned dr = in->op[0].reg;
    check_debug_access(bt, dr);
    if (dr >= 4 && v >> 32)
        raise_error(bt, VEC_GP, 0);
    if (dr < 4)
        bt->dr[dr] = v;
    else if (dr % 2 == 0)
        bt->dr6 = (v & DR6_WRITABLE) | DR6_FIXED1;
    else
        bt->dr7 = (v & DR7_WRITABLE) | DR7_FIXED1;
    debug_changed(bt);
    bt_next(bt, in);
}

void emulate_mov_from_dr(struct bt *bt, const struct insn *in)
{
    unsigned dr = in->op[1].reg;
    check_debug_access(bt, dr);
    bt->gpr[in->op[0].reg] = dr < 4 ? bt->dr[dr] : dr % 2 == 0 ? bt->dr6 : bt->dr7;
    bt_next(bt, in);
}

// ---- INVLPG, INVPCID, WBINVD, INVD ----

static void drop_page(struct bt *bt, uint64_t va)
{
    count(bt, EV_tlb_invlpgs);
    flush_page(bt, va);
}

static void drop_elsewhere(struct bt *bt, uint64_t pcid)
{
    count(bt, EV_tlb_invlpgs);
    flush_pcid(bt, pcid);
}

void emulate_invlpg(struct bt *bt, const struct insn *in)
{
    need_cpl0(bt);
    uint64_t va = effective_address(bt, in, &in->op[0]);
    if (canonical(va)) // else it does nothing
        drop_page(bt, va);
    bt_next(bt, in);
}

enum { INVPCID_ADDRESS, INVPCID_CONTEXT, INVPCID_ALL_GLOBAL, INVPCID_ALL };

void emulate_invpcid(struct bt *bt, const struct insn *in)
{
    if (!cpuid_has(bt, FEATURE_INVPCID) || in->op[1].kind != OPERAND_MEM)
        raise_exception(bt, VEC_UD);
    need_cpl0(bt);
    uint64_t va = effective_address(bt, in, &in->op[1]), type = bt->gpr[in->op[0].reg];
    if (type > INVPCID_ALL)
        raise_error(bt, VEC_GP, 0);
    uint64_t pcid = mem_read(bt, va, 8, in->stack_segment);
    uint64_t address = mem_read(bt, va + 8, 8, in->stack_segment);
    bool names_pcid = type == INVPCID_ADDRESS || type == INVPCID_CONTEXT;
    if (pcid & ~(uint64_t)CR3_PCID || (names_pcid && pcid && !(bt->cr4 & CR4_PCIDE)) ||
        (type == INVPCID_ADDRESS && !canonical(address)))
        raise_error(bt, VEC_GP, 0);
    if (type == INVPCID_ADDRESS && pcid != (bt->cr3 & CR3_PCID))
        drop_elsewhere(bt, pcid);
    else if (type == INVPCID_ADDRESS)
        drop_page(bt, address);
    else
        flush(bt);
    bt_next(bt, in);
}

void emulate_wbinvd(struct bt *bt, const struct insn *in) // nothing to write back: guest RAM is the host's memory
{
    need_cpl0(bt);
    bt_next(bt, in);
}

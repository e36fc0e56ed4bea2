// SPDX-License-Identifier: BSD-2-Clause
// The emulation functions of single instructions, which system.c hands out, and what they share: operands, privilege.
// Each reads, checks and writes memory before it changes a register, so that a fault finds the guest unchanged.
#ifndef RINGSIDE_BT_EMULATIONS_H
#define RINGSIDE_BT_EMULATIONS_H

#include "engines/bt/emulate.h"
#include "engines/bt/memory.h"

// ---- Operands ----
static inline uint64_t reg_read(const struct bt *bt, unsigned reg, unsigned size)
{
    return bt->gpr[reg] & (UINT64_MAX >> (64 - 8 * size));
}
static inline void reg_write(struct bt *bt, unsigned reg, unsigned size, uint64_t v)
{
    uint64_t mask = UINT64_MAX >> (64 - 8 * size);
    uint64_t kept = size < 4 ? bt->gpr[reg] & ~mask : 0; // a 32-bit result clears the upper half
    bt->gpr[reg] = kept | (v & mask);
}
// General register, immediate or memory operand of the given size in bytes.
static inline uint64_t operand_read(struct bt *bt, const struct insn *in, const struct x86_operand *o, unsigned size)
{
    if (o->kind == OPERAND_MEM)
        return mem_read(bt, effective_address(bt, in, o), size, in->stack_segment);
    return o->kind == OPERAND_IMM ? (uint64_t)o->imm : reg_read(bt, o->reg, size);
}

// Operand size of the stack: in 64-bit mode 8, or 2 with prefix 66; there is no 4-byte form.
static inline unsigned stack_size(const struct insn *in)
{
    return in->mode != X86_CODE64 ? in->op_size : in->opsize && !in->rex_w ? 2 : 8;
}

// ---- The stack (stack.c): rsp, or what SS.B leaves of it outside 64-bit mode ----
uint64_t stack_mask(const struct bt *bt);
// Address of what lies at sp, whose upper bits do not count; raises what SS says.
uint64_t stack_at(struct bt *bt, uint64_t sp, unsigned size, bool write);
void stack_move(struct bt *bt, uint64_t sp, uint64_t mask); // mask: as stack_mask() gave it

// Sources and destinations of string instructions.
uint64_t string_source(struct bt *bt, const struct insn *in, const struct x86_operand *o, unsigned size);
uint64_t string_destination(struct bt *bt, const struct insn *in, unsigned size, bool write);

// syscall at bt->rip, with the address behind it.
void enter_by_syscall(struct bt *bt, uint64_t next);

// ---- Checks ----
static inline void need_cpl0(struct bt *bt)
{
    if (bt->cpl != 0)
        raise_error(bt, VEC_GP, 0);
}
static inline void check_target(struct bt *bt, uint64_t rip) // of a control transfer
{
    if (!canonical(rip))
        raise_error(bt, VEC_GP, 0);
}
static inline bool iopl_allows(const struct bt *bt)
{
    return bt->cpl <= (bt->rflags & FLAG_IOPL) >> 12;
}
// The run loop wants its turn: looked at between the elements of a repeated instruction. Under TF each is a step. RF
// says so to whatever comes now, and holds off the instruction's breakpoint when it goes on (SDM vol. 3, 17.3.1.1).
static inline bool repeat_stops(struct bt *bt)
{
    bt->unfinished = __atomic_load_n(&bt->attention, __ATOMIC_RELAXED) || bt->exit != VCPU_CONTINUE || bt->debug_hits ||
                     (bt->rflags & FLAG_TF);
    bt->rflags |= bt->unfinished ? FLAG_RF : 0;
    return bt->unfinished;
}

// Registers that a string instruction counts and points with, at its address size.
static inline uint64_t index_reg(const struct bt *bt, const struct insn *in, unsigned reg)
{
    return reg_read(bt, reg, in->addr_size);
}
static inline void advance(struct bt *bt, const struct insn *in, unsigned reg, uint64_t by)
{
    reg_write(bt, reg, in->addr_size, bt->gpr[reg] + by);
}
static inline uint64_t stride(const struct bt *bt, unsigned size) // down where DF is set
{
    return bt->flags & FLAG_DF ? -(uint64_t)size : size;
}

// ---- transfer.c ----
emulate_fn emulate_undefined; // #UD
emulate_fn emulate_int, emulate_int3, emulate_int1, emulate_iret;
emulate_fn emulate_far_ret, emulate_far_call, emulate_far_jmp;
emulate_fn emulate_syscall, emulate_sysret;

// ---- segment.c ----
emulate_fn emulate_mov_to_seg, emulate_mov_from_seg, emulate_pop_seg, emulate_load_far;

// ---- descriptor.c ----
emulate_fn emulate_lgdt, emulate_lidt, emulate_sgdt, emulate_sidt;
emulate_fn emulate_lldt, emulate_ltr, emulate_sldt, emulate_str;
emulate_fn emulate_lar, emulate_lsl, emulate_verr, emulate_verw;

// ---- control_regs.c ----
emulate_fn emulate_mov_to_cr, emulate_mov_from_cr, emulate_mov_to_dr, emulate_mov_from_dr;
emulate_fn emulate_clts, emulate_smsw, emulate_lmsw, emulate_invlpg, emulate_invpcid, emulate_wbinvd;

// ---- msr.c, cpuid.c ----
emulate_fn emulate_rdmsr, emulate_wrmsr, emulate_rdtsc, emulate_rdtscp, emulate_rdpid, emulate_rdpmc, emulate_swapgs;
emulate_fn emulate_read_base, emulate_write_base, emulate_cpuid;

// ---- io.c ----
emulate_fn emulate_in, emulate_out, emulate_ins, emulate_outs;
emulate_fn emulate_cli, emulate_sti, emulate_clac, emulate_stac, emulate_hlt;

// ---- stack.c ----
emulate_fn emulate_push, emulate_pop, emulate_pushf, emulate_popf, emulate_enter, emulate_leave;
emulate_fn emulate_call, emulate_jmp, emulate_ret;

// ---- legacy.c: what 64-bit mode does not have, or has otherwise ----
emulate_fn emulate_pusha, emulate_popa, emulate_aaa, emulate_daa, emulate_aam, emulate_aad, emulate_salc;
emulate_fn emulate_into, emulate_bound, emulate_arpl, emulate_lea, emulate_branch;

// ---- vector_state.c, vector_memory.c ----
emulate_fn emulate_fxsave, emulate_fxrstor, emulate_xsave, emulate_xsaveopt, emulate_xrstor;
emulate_fn emulate_xgetbv, emulate_xsetbv, emulate_ldmxcsr, emulate_x87_environment, emulate_wait;
emulate_fn emulate_maskmov, emulate_vmaskmov, emulate_gather;

// ---- string.c, bitmem.c ----
emulate_fn emulate_movs, emulate_stos, emulate_lods, emulate_cmps, emulate_scas, emulate_xlat;
emulate_fn emulate_bit_test;

#endif

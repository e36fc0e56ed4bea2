// SPDX-License-Identifier: BSD-2-Clause
// Lowering: from one decoded instruction to its op or ops. lower.c has the one table from mnemonic to lowering
// function; the functions live beside the handlers that they choose from.
#ifndef RINGSIDE_INTERP_LOWER_H
#define RINGSIDE_INTERP_LOWER_H

#include "engines/interp/int_args.h"
#include "engines/interp/op.h"

struct lower {
    struct cpu *c;
    struct op *next; // where the next op goes; never more than LOWER_MAX_OPS for one instruction
    uint64_t rip;    // of the instruction
    uint16_t off;
    uint8_t nth;
    uint8_t len;
    bool ends;                     // set by the lowering function: the block ends with this instruction
    bool checked_sse, checked_avx; // an op of the block has looked at the control bits (simd.h)

    // The instruction before this one in the block and its op, where it has a single one; else NULL (fuse.h).
    struct insn last;
    struct op *last_op;
};
#define LOWER_MAX_OPS 4

// False: this form does not exist (#UD). arg comes from the table's row.
typedef bool lower_fn(struct lower *l, const struct insn *in, unsigned arg);

// Appends an op with handler fn and everything but operands filled in.
struct op *emit(struct lower *l, op_fn *fn);
// The same with memory operand o. For a 32-bit address size a pseudo-op that computes the address goes before it.
// Outside 64-bit mode that one computes the linear address and checks it against the segment's window.
struct op *emit_mem(struct lower *l, op_fn *fn, const struct insn *in, const struct x86_operand *o);
// Outside 64-bit mode: that pseudo-op alone. The address is in REG_EA afterwards.
struct op *emit_linear(struct lower *l, const struct insn *in, const struct x86_operand *o);

// Handler by operand size: fns[0..3] for 1, 2, 4, 8 bytes.
static inline unsigned size_index(unsigned size)
{
    return size == 8 ? 3 : size == 4 ? 2 : size == 2 ? 1 : 0;
}

// Register operand as the handlers of its size want it in op->dst and op->src.
static inline uint8_t reg_operand(const struct x86_operand *o)
{
    return o->size == 1 ? BYTE_REG(o) : o->reg;
}

// The lowering functions, by file.
lower_fn lower_alu, lower_unary, lower_lea, lower_adx;                                      // alu.c
lower_fn lower_shift, lower_double_shift, lower_bmi_shift;                                  // shift.c
lower_fn lower_mul, lower_imul, lower_div, lower_mulx;                                      // muldiv.c
lower_fn lower_bit_test, lower_bit_scan, lower_bmi, lower_popcnt, lower_crc32, lower_bswap; // bits.c
lower_fn lower_mov, lower_movabs, lower_movx, lower_movbe, lower_cmov, lower_setcc,
    lower_convert;                                                                          // move.c
lower_fn lower_xchg, lower_xadd, lower_cmpxchg, lower_cmpxchg8b, lower_xlat, lower_flag_op; // exchange.c
lower_fn lower_push, lower_pop, lower_pushf, lower_popf, lower_enter, lower_leave;          // stack.c
lower_fn lower_string;                                                                      // string.c
lower_fn lower_jmp, lower_jcc, lower_jrcxz, lower_call, lower_ret, lower_loop;              // branch.c
lower_fn lower_x87, lower_x87_control;                                                      // x87.c, x87_control.c
lower_fn lower_mmx_binary, lower_mmx_immediate, lower_mmx_move, lower_mmx_word, lower_maskmovq, lower_emms; // mmx.c
lower_fn lower_simd_int, lower_simd_float, lower_simd_compare;                         // simd_int.c, simd_float.c
lower_fn lower_simd_move, lower_lddqu, lower_movntdqa, lower_movd, lower_simd_element; // simd_move.c
lower_fn lower_simd_from_int, lower_simd_to_int, lower_simd_comis, lower_simd_test, lower_simd_mask, lower_simd_blendv,
    lower_sha256rnds2; // simd_scalar.c
lower_fn lower_broadcast, lower_broadcast128, lower_insert128, lower_extract128, lower_perm2, lower_permq, lower_permd,
    lower_permil, lower_cvtph2ps, lower_cvtps2ph, lower_vzero;                            // simd_avx.c
lower_fn lower_gather, lower_maskmov, lower_maskmovdqu;                                   // simd_gather.c
lower_fn lower_pcmpstr;                                                                   // simd_string.c
lower_fn lower_simd_mmx;                                                                  // simd_mmx.c
lower_fn lower_mxcsr;                                                                     // mxcsr.c
lower_fn lower_xsave, lower_xcr;                                                          // xsave.c
lower_fn lower_nop, lower_ud, lower_hint_mem;                                             // misc.c
lower_fn lower_int, lower_iret, lower_far_ret, lower_far_call, lower_far_jmp;             // transfer.c
lower_fn lower_syscall, lower_sysret, lower_into;                                         // transfer.c
lower_fn lower_mov_seg, lower_push_seg, lower_pop_seg, lower_load_far;                    // segment.c
lower_fn lower_desc_table, lower_sldt, lower_ltr, lower_lar, lower_verr;                  // descriptor.c
lower_fn lower_mov_cr, lower_mov_dr, lower_clts, lower_smsw, lower_invlpg, lower_invpcid; // control.c
lower_fn lower_msr, lower_cpuid, lower_rdtsc, lower_gsbase, lower_swapgs, lower_rdpmc, lower_rdpid,
    lower_random;                                                         // msr.c
lower_fn lower_io, lower_hlt, lower_if_flag, lower_ac_flag, lower_wbinvd; // io.c
lower_fn lower_jmp_legacy, lower_jcc_legacy, lower_jcxz, lower_loop_legacy, lower_call_legacy,
    lower_ret_legacy; // branch_legacy.c
lower_fn lower_push_legacy, lower_pop_legacy, lower_pushf_legacy, lower_popf_legacy, lower_pusha, lower_popa,
    lower_enter_legacy, lower_leave_legacy;                                                      // stack_legacy.c
lower_fn lower_string_legacy;                                                                    // string_legacy.c
lower_fn lower_decimal, lower_aam, lower_bound, lower_arpl, lower_xlat_legacy, lower_lea_legacy; // legacy.c

#endif

// SPDX-License-Identifier: BSD-2-Clause
// SSE and AVX instructions by template. Each has a kernel, do_NAME(a, b, imm), on 128 bits: the host's own instruction,
// or plain C beside the manual. A template makes the handlers of all forms from it, by three differences:
//
//   legacy  a is the destination; bits above 127 stay; a memory operand of 16 bytes must be aligned
//   x       VEX.128: a is in VEX.vvvv; bits above 127 become 0
//   y       VEX.256: the kernel is run on both halves, which is what nearly every 256-bit instruction does
//
// The suffix says the rest: rr (b is a register), rm (memory), ri (b is an immediate). In the op, dst and src are the
// destination and b, aux is a, imm the immediate. Guest registers lie in struct cpu; nothing lives in host registers
// from one handler to the next but MXCSR (mxcsr.h).
#ifndef RINGSIDE_INTERP_SIMD_H
#define RINGSIDE_INTERP_SIMD_H

#include "engines/interp/fault.h"
#include "engines/interp/forms.h"
#include "engines/interp/mxcsr.h"
#include "engines/interp/simd_args.h"
#include "x86/features.h"

typedef v128 __attribute__((aligned(1))) v128u;

// ---- Memory operands ----

// A source of size bytes, 8 at least; where it is not plain memory in one page, a copy of it in c->operand. There is no
// #AC: with operands of 16 and 32 bytes and those of gathers, masked moves and half precision, no processor seen has it
// (SDM vol. 3, table 6-7 leaves it to them); smaller ones are loaded as anybody's are.
const void *simd_read_slow(struct cpu *c, const struct op *op, uint64_t va, unsigned size);
void simd_write_slow(struct cpu *c, const struct op *op, uint64_t va, const void *from, unsigned size);

INLINE const void *simd_read(struct cpu *c, const struct op *op, uint64_t va, unsigned size)
{
    const void *p = mem_ptr_read(c, va, size);
    return LIKELY(p) ? p : simd_read_slow(c, op, va, size);
}

// Legacy operands of 16 bytes, and those of movaps and its kin, must be aligned (SDM vol. 1, 4.1.1).
INLINE void simd_align(struct cpu *c, const struct op *op, uint64_t va, unsigned size)
{
    if (UNLIKELY(va & (size - 1)))
        raise_error(c, op, VEC_GP, 0);
}

INLINE v128 read128(struct cpu *c, const struct op *op)
{
    return *(const v128u *)simd_read(c, op, ea(c, op), 16);
}
INLINE v128 read128_aligned(struct cpu *c, const struct op *op)
{
    uint64_t va = ea(c, op);
    simd_align(c, op, va, 16);
    return *(const v128u *)simd_read(c, op, va, 16);
}
// A part of a register, zero-extended.
INLINE v128 read_part(struct cpu *c, const struct op *op, unsigned size)
{
    uint64_t va = ea(c, op);
    uint64_t v = size == 8   ? load64(c, op, va)
                 : size == 4 ? load32(c, op, va)
                 : size == 2 ? load16(c, op, va)
                             : load8(c, op, va);
    return (v128){(long long)v, 0};
}

// ---- Registers ----

#define LO(r) (c->ymm[r].lo)
#define HI(r) (c->ymm[r].hi)

INLINE void set_x(struct cpu *c, unsigned reg, v128 v) // VEX.128
{
    LO(reg) = v;
    HI(reg) = (v128){0, 0};
}

// ---- Kernels ----

#define KERNEL(name)                                                                                                   \
    INLINE v128 do_##name(v128 a __attribute__((unused)), v128 b __attribute__((unused)),                              \
                          unsigned imm __attribute__((unused)))

// By the host's instruction of the same name: destination and source the same, source alone, VEX's three operands.
#define KERNEL_ASM(name)                                                                                               \
    KERNEL(name)                                                                                                       \
    {                                                                                                                  \
        __asm__ volatile(#name " %1, %0" : "+x"(a) : "x"(b));                                                          \
        return a;                                                                                                      \
    }
#define KERNEL_ASM1(name)                                                                                              \
    KERNEL(name)                                                                                                       \
    {                                                                                                                  \
        __asm__ volatile(#name " %1, %0" : "=x"(a) : "x"(b));                                                          \
        return a;                                                                                                      \
    }
#define KERNEL_VASM(name)                                                                                              \
    KERNEL(name)                                                                                                       \
    {                                                                                                                  \
        __asm__ volatile(#name " %2, %1, %0" : "=x"(a) : "x"(a), "x"(b));                                              \
        return a;                                                                                                      \
    }
#define KERNEL_C(name) // written out before the rows are read

// ---- Templates: RUN is INT_RUN, or FP_RUN for what may raise #XM ----

#define INT_RUN(...) __VA_ARGS__

#define LEGACY_HANDLER(name, RUN, b_value)                                                                             \
    {                                                                                                                  \
        v128 b = (b_value), r;                                                                                         \
        RUN(r = do_##name(LO(op->dst), b, (uint8_t)op->imm));                                                          \
        LO(op->dst) = r;                                                                                               \
        NEXT;                                                                                                          \
    }
#define X_HANDLER(name, RUN, b_value)                                                                                  \
    {                                                                                                                  \
        v128 b = (b_value), r;                                                                                         \
        RUN(r = do_##name(LO(op->aux), b, (uint8_t)op->imm));                                                          \
        set_x(c, op->dst, r);                                                                                          \
        NEXT;                                                                                                          \
    }
#define Y_HANDLER(name, RUN, b_low, b_high)                                                                            \
    {                                                                                                                  \
        v128 bl = (b_low), bh = (b_high), low, high;                                                                   \
        RUN(low = do_##name(LO(op->aux), bl, (uint8_t)op->imm); high = do_##name(HI(op->aux), bh, (uint8_t)op->imm));  \
        LO(op->dst) = low;                                                                                             \
        HI(op->dst) = high;                                                                                            \
        NEXT;                                                                                                          \
    }

// b has as many bits as the instruction.
#define TEMPLATE_FULL(name, RUN)                                                                                       \
    static HANDLER(name##_rr) LEGACY_HANDLER(name, RUN, LO(op->src)) static HANDLER(name##_rm)                         \
        LEGACY_HANDLER(name, RUN, read128_aligned(c, op)) TEMPLATE_VEX(name, RUN)
#define TEMPLATE_VEX(name, RUN)                                                                                        \
    static HANDLER(name##_xrr) X_HANDLER(name, RUN, LO(op->src)) static HANDLER(name##_xrm)                            \
        X_HANDLER(name, RUN, read128(c, op)) static HANDLER(name##_yrr)                                                \
            Y_HANDLER(name, RUN, LO(op->src), HI(op->src)) static HANDLER(name##_yrm)                                  \
    {                                                                                                                  \
        const v128u *m = simd_read(c, op, ea(c, op), 32);                                                              \
        Y_HANDLER(name, RUN, m[0], m[1])                                                                               \
    }
#define FORMS_FULL(name) .rr = name##_rr, .rm = name##_rm, FORMS_VEX(name)
#define FORMS_VEX(name) .xrr = name##_xrr, .xrm = name##_xrm, .yrr = name##_yrr, .yrm = name##_yrm

// 128 bits only.
#define TEMPLATE_ONE(name, RUN)                                                                                        \
    static HANDLER(name##_rr) LEGACY_HANDLER(name, RUN, LO(op->src)) static HANDLER(name##_rm)                         \
        LEGACY_HANDLER(name, RUN, read128_aligned(c, op)) static HANDLER(name##_xrr)                                   \
            X_HANDLER(name, RUN, LO(op->src)) static HANDLER(name##_xrm) X_HANDLER(name, RUN, read128(c, op))
#define FORMS_ONE(name) .rr = name##_rr, .rm = name##_rm, .xrr = name##_xrr, .xrm = name##_xrm

// b is a scalar, which the kernel merges into a.
#define TEMPLATE_SCALAR(name, RUN, bytes)                                                                              \
    static HANDLER(name##_rr) LEGACY_HANDLER(name, RUN, LO(op->src)) static HANDLER(name##_rm)                         \
        LEGACY_HANDLER(name, RUN, read_part(c, op, bytes)) static HANDLER(name##_xrr)                                  \
            X_HANDLER(name, RUN, LO(op->src)) static HANDLER(name##_xrm) X_HANDLER(name, RUN, read_part(c, op, bytes))
#define TEMPLATE_SCALAR4(name, RUN) TEMPLATE_SCALAR(name, RUN, 4)
#define TEMPLATE_SCALAR8(name, RUN) TEMPLATE_SCALAR(name, RUN, 8)
#define FORMS_SCALAR4(name) FORMS_ONE(name)
#define FORMS_SCALAR8(name) FORMS_ONE(name)

// b has a part of the bits, from which the kernel makes all: `bytes` for 128 of them.
#define TEMPLATE_WIDEN(name, RUN, bytes)                                                                               \
    static HANDLER(name##_rr) LEGACY_HANDLER(name, RUN, LO(op->src)) static HANDLER(name##_rm)                         \
        LEGACY_HANDLER(name, RUN, read_part(c, op, bytes)) TEMPLATE_WIDEN_VEX(name, RUN, bytes)
#define TEMPLATE_WIDEN_VEX(name, RUN, bytes)                                                                           \
    static HANDLER(name##_xrr) X_HANDLER(name, RUN, LO(op->src)) static HANDLER(name##_xrm)                            \
        X_HANDLER(name, RUN, read_part(c, op, bytes)) static HANDLER(name##_yrr)                                       \
            Y_HANDLER(name, RUN, LO(op->src), shift_right(LO(op->src), bytes)) static HANDLER(name##_yrm)              \
    {                                                                                                                  \
        v128 m = bytes == 8 ? read128(c, op) : read_part(c, op, 2 * bytes & 15);                                       \
        Y_HANDLER(name, RUN, m, shift_right(m, bytes))                                                                 \
    }
#define TEMPLATE_WIDEN8(name, RUN) TEMPLATE_WIDEN(name, RUN, 8)
#define TEMPLATE_WIDEN4(name, RUN) TEMPLATE_WIDEN(name, RUN, 4)
#define TEMPLATE_WIDEN2(name, RUN) TEMPLATE_WIDEN(name, RUN, 2)
#define FORMS_WIDEN8(name) FORMS_FULL(name)
#define FORMS_WIDEN4(name) FORMS_FULL(name)
#define FORMS_WIDEN2(name) FORMS_FULL(name)
INLINE v128 shift_right(v128 v, unsigned bytes) // 2, 4 or 8 of them; only the low half of the result counts
{
    return (v128){bytes == 8 ? v[1] : (long long)((uint64_t)v[0] >> 8 * bytes), 0};
}

// The kernel's result has half of the bits.
#define TEMPLATE_NARROW(name, RUN)                                                                                     \
    static HANDLER(name##_rr) LEGACY_HANDLER(name, RUN, LO(op->src)) static HANDLER(name##_rm)                         \
        LEGACY_HANDLER(name, RUN, read128_aligned(c, op)) static HANDLER(name##_xrr)                                   \
            X_HANDLER(name, RUN, LO(op->src)) static HANDLER(name##_xrm)                                               \
                X_HANDLER(name, RUN, read128(c, op)) static HANDLER(name##_yrr)                                        \
                    NARROW_HANDLER(name, RUN, LO(op->src), HI(op->src)) static HANDLER(name##_yrm)                     \
    {                                                                                                                  \
        const v128u *m = simd_read(c, op, ea(c, op), 32);                                                              \
        NARROW_HANDLER(name, RUN, m[0], m[1])                                                                          \
    }
#define NARROW_HANDLER(name, RUN, b_low, b_high)                                                                       \
    {                                                                                                                  \
        v128 bl = (b_low), bh = (b_high), low, high;                                                                   \
        RUN(low = do_##name(bl, bl, (uint8_t)op->imm); high = do_##name(bh, bh, (uint8_t)op->imm));                    \
        set_x(c, op->dst, (v128){low[0], high[0]});                                                                    \
        NEXT;                                                                                                          \
    }
#define FORMS_NARROW(name) FORMS_FULL(name)

// Shifts: the count is the same for both halves, 128 bits in a register or memory, or an immediate.
#define TEMPLATE_SHIFT(name, RUN)                                                                                      \
    static HANDLER(name##_rr) LEGACY_HANDLER(name, RUN, LO(op->src)) static HANDLER(name##_rm)                         \
        LEGACY_HANDLER(name, RUN, read128_aligned(c, op)) static HANDLER(name##_xrr)                                   \
            X_HANDLER(name, RUN, LO(op->src)) static HANDLER(name##_xrm)                                               \
                X_HANDLER(name, RUN, read128(c, op)) static HANDLER(name##_yrr)                                        \
                    Y_HANDLER(name, RUN, LO(op->src), LO(op->src)) static HANDLER(name##_yrm)                          \
    {                                                                                                                  \
        v128 m = read128(c, op);                                                                                       \
        Y_HANDLER(name, RUN, m, m)                                                                                     \
    }                                                                                                                  \
    TEMPLATE_SHIFT_IMM(name, RUN)
#define TEMPLATE_SHIFT_IMM(name, RUN)                                                                                  \
    static HANDLER(name##_ri) LEGACY_HANDLER(name, RUN, ((v128){(uint8_t)op->imm, 0})) static HANDLER(name##_xri)      \
        X_HANDLER(name, RUN, ((v128){(uint8_t)op->imm, 0})) static HANDLER(name##_yri)                                 \
            Y_HANDLER(name, RUN, ((v128){(uint8_t)op->imm, 0}), ((v128){(uint8_t)op->imm, 0}))
#define FORMS_SHIFT(name) FORMS_FULL(name), FORMS_SHIFT_IMM(name)
#define FORMS_SHIFT_IMM(name) .ri = name##_ri, .xri = name##_xri, .yri = name##_yri

// ---- Lowering ----

// A row of a table that templates fill. Features are enum x86_feature: what the legacy form needs of the host, and what
// VEX.128 and VEX.256 do; the decoder knows which forms exist.
struct simd_row {
    op_fn *rr, *rm, *xrr, *xrm, *yrr, *yrm, *ri, *xri, *yri;
    uint8_t legacy, x, y;
};

// Do host and guest have it? What they have not is #UD.
static inline bool simd_has(const struct lower *l, unsigned feature)
{
    return l->c->features >> feature & 1;
}

// Before the ops of an SSE or AVX instruction: looks at the control bits, once in a block. #UD, #NM by SDM vol. 2, 2.4
// and vol. 3, 2.5.
void simd_check(struct lower *l, const struct insn *in);

bool simd_lower(struct lower *l, const struct insn *in, const struct simd_row *row);

#endif

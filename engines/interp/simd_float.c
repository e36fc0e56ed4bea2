// SPDX-License-Identifier: BSD-2-Clause
// Floating-point SIMD with one or two sources and FMA, by the rows of simd_float.def.
#include "engines/interp/simd.h"

typedef uint32_t v32 __attribute__((vector_size(16), may_alias));

// ---- Kernels with an immediate (SDM vol. 2, under each name) ----

// The host's instruction for each value of the immediate that it tells apart.
#define CASE(n, insn)                                                                                                  \
    case n:                                                                                                            \
        __asm__ volatile(insn " $" #n ", %1, %0" : "+x"(a) : "x"(b));                                                  \
        break;
#define VEX_CASE(n, insn)                                                                                              \
    case n:                                                                                                            \
        __asm__ volatile("v" insn " $" #n ", %1, %0, %0" : "+x"(a) : "x"(b));                                          \
        break;
#define CASES_8(CASE, insn)                                                                                            \
    CASE(0, insn) CASE(1, insn) CASE(2, insn) CASE(3, insn) CASE(4, insn) CASE(5, insn) CASE(6, insn) CASE(7, insn)
#define CASES_8_TO_15(CASE, insn)                                                                                      \
    CASE(8, insn)                                                                                                      \
    CASE(9, insn) CASE(10, insn) CASE(11, insn) CASE(12, insn) CASE(13, insn) CASE(14, insn) CASE(15, insn)
#define CASES_16_TO_31(CASE, insn)                                                                                     \
    CASE(16, insn)                                                                                                     \
    CASE(17, insn)                                                                                                     \
    CASE(18, insn)                                                                                                     \
    CASE(19, insn)                                                                                                     \
    CASE(20, insn)                                                                                                     \
    CASE(21, insn)                                                                                                     \
    CASE(22, insn)                                                                                                     \
    CASE(23, insn)                                                                                                     \
    CASE(24, insn)                                                                                                     \
    CASE(25, insn) CASE(26, insn) CASE(27, insn) CASE(28, insn) CASE(29, insn) CASE(30, insn) CASE(31, insn)

// Predicates 8 to 31 exist with VEX alone; the others are the same there.
#define COMPARE(name, insn)                                                                                            \
    KERNEL(name)                                                                                                       \
    {                                                                                                                  \
        switch (imm) {                                                                                                 \
            CASES_8(CASE, insn) CASES_8_TO_15(VEX_CASE, insn) CASES_16_TO_31(VEX_CASE, insn)                           \
        }                                                                                                              \
        return a;                                                                                                      \
    }
COMPARE(CMPPS, "cmpps")
COMPARE(CMPPD, "cmppd")
COMPARE(CMPSS, "cmpss")
COMPARE(CMPSD, "cmpsd")

// Bits 0 and 1: rounding, bit 2: MXCSR's instead, bit 3: without precision exceptions.
#define ROUND(name, insn)                                                                                              \
    KERNEL(name)                                                                                                       \
    {                                                                                                                  \
        switch (imm & 15) {                                                                                            \
            CASES_8(CASE, insn) CASES_8_TO_15(CASE, insn)                                                              \
        }                                                                                                              \
        return a;                                                                                                      \
    }
ROUND(ROUNDPS, "roundps")
ROUND(ROUNDPD, "roundpd")
ROUND(ROUNDSS, "roundss")
ROUND(ROUNDSD, "roundsd")

KERNEL(SHUFPS)
{
    v32 x = (v32)a, y = (v32)b;
    return (v128)(v32){x[imm & 3], x[imm >> 2 & 3], y[imm >> 4 & 3], y[imm >> 6 & 3]};
}
KERNEL(SHUFPD)
{
    return (v128){imm & 1 ? a[1] : a[0], imm & 2 ? b[1] : b[0]};
}
KERNEL(BLENDPS)
{
    v32 m = {-(imm & 1), -(imm >> 1 & 1), -(imm >> 2 & 1), -(imm >> 3 & 1)};
    return (a & ~(v128)m) | (b & (v128)m);
}
KERNEL(BLENDPD)
{
    return (v128){imm & 1 ? b[0] : a[0], imm & 2 ? b[1] : a[1]};
}

// Dot products: bits 4 up say which products count, bits 0 up which elements get the sum. What does not count is 0 and
// raises nothing; the sums are added in the manual's order, which the host's instruction with all bits set has.
KERNEL(DPPS)
{
    v32 in = {-(imm >> 4 & 1), -(imm >> 5 & 1), -(imm >> 6 & 1), -(imm >> 7 & 1)};
    v32 out = {-(imm & 1), -(imm >> 1 & 1), -(imm >> 2 & 1), -(imm >> 3 & 1)};
    a &= (v128)in;
    b &= (v128)in;
    __asm__ volatile("dpps $0xff, %1, %0" : "+x"(a) : "x"(b));
    return a & (v128)out;
}
KERNEL(DPPD)
{
    v128 in = {-(long long)(imm >> 4 & 1), -(long long)(imm >> 5 & 1)};
    v128 out = {-(long long)(imm & 1), -(long long)(imm >> 1 & 1)};
    a &= in;
    b &= in;
    __asm__ volatile("dppd $0x33, %1, %0" : "+x"(a) : "x"(b));
    return a & out;
}

// ---- Templates of few instructions: the upper half has other bits of the immediate ----

#define Y_HANDLER_IMM(name, RUN, shift, b_low, b_high)                                                                 \
    {                                                                                                                  \
        v128 bl = (b_low), bh = (b_high), low, high;                                                                   \
        RUN(low = do_##name(LO(op->aux), bl, (uint8_t)op->imm);                                                        \
            high = do_##name(HI(op->aux), bh, (uint8_t)op->imm >> (shift)));                                           \
        LO(op->dst) = low;                                                                                             \
        HI(op->dst) = high;                                                                                            \
        NEXT;                                                                                                          \
    }
#define TEMPLATE_UPPER(name, RUN, shift)                                                                               \
    TEMPLATE_ONE(name, RUN)                                                                                            \
    static HANDLER(name##_yrr) Y_HANDLER_IMM(name, RUN, shift, LO(op->src), HI(op->src)) static HANDLER(name##_yrm)    \
    {                                                                                                                  \
        const v128u *m = simd_read(c, op, ea(c, op), 32);                                                              \
        Y_HANDLER_IMM(name, RUN, shift, m[0], m[1])                                                                    \
    }
#define TEMPLATE_UPPER2(name, RUN) TEMPLATE_UPPER(name, RUN, 2)
#define TEMPLATE_UPPER4(name, RUN) TEMPLATE_UPPER(name, RUN, 4)
#define FORMS_UPPER2(name) FORMS_FULL(name)
#define FORMS_UPPER4(name) FORMS_FULL(name)

// movddup: 64 bits twice, with 256 bits in each half
#define TEMPLATE_DDUP(name, RUN)                                                                                       \
    TEMPLATE_SCALAR8(name, RUN)                                                                                        \
    static HANDLER(name##_yrr) Y_HANDLER(name, RUN, LO(op->src), HI(op->src)) static HANDLER(name##_yrm)               \
    {                                                                                                                  \
        const v128u *m = simd_read(c, op, ea(c, op), 32);                                                              \
        Y_HANDLER(name, RUN, m[0], m[1])                                                                               \
    }
#define FORMS_DDUP(name) FORMS_FULL(name)
KERNEL(MOVDDUP)
{
    return (v128){b[0], b[0]};
}
KERNEL(MOVHLPS)
{
    return (v128){b[1], a[1]};
}
KERNEL(MOVLHPS)
{
    return (v128){a[0], b[0]};
}
// Bits 6 and 7: which of b, unless it is memory; 4 and 5: where to; 0 to 3: what becomes 0.
INLINE v128 insert_single(v128 a, uint32_t element, unsigned imm)
{
    v32 r = (v32)a;
    r[imm >> 4 & 3] = element;
    return (v128)(r & (v32){(imm & 1) - 1, (imm >> 1 & 1) - 1, (imm >> 2 & 1) - 1, (imm >> 3 & 1) - 1});
}
#define TEMPLATE_INSERTPS(name, RUN)                                                                                   \
    static HANDLER(name##_rr)                                                                                          \
    {                                                                                                                  \
        LO(op->dst) = insert_single(LO(op->dst), ((v32)LO(op->src))[op->imm >> 6 & 3], (unsigned)op->imm);             \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static HANDLER(name##_xrr)                                                                                         \
    {                                                                                                                  \
        set_x(c, op->dst, insert_single(LO(op->aux), ((v32)LO(op->src))[op->imm >> 6 & 3], (unsigned)op->imm));        \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER_LOAD(name##_rm, 32, LO(op->dst) = insert_single(LO(op->dst), m, (unsigned)op->imm))                        \
    HANDLER_LOAD(name##_xrm, 32, set_x(c, op->dst, insert_single(LO(op->aux), m, (unsigned)op->imm)))
#define FORMS_INSERTPS(name) FORMS_ONE(name)

// ---- FMA3: the destination is a source too ----

#define FMA_KERNEL(name)                                                                                               \
    INLINE v128 do_##name(v128 d, v128 a, v128 b)                                                                      \
    {                                                                                                                  \
        __asm__ volatile(#name " %2, %1, %0" : "+x"(d) : "x"(a), "x"(b));                                              \
        return d;                                                                                                      \
    }
#define FMA_X_HANDLER(name, b_value)                                                                                   \
    {                                                                                                                  \
        v128 b = (b_value), r;                                                                                         \
        FP_RUN(r = do_##name(LO(op->dst), LO(op->aux), b));                                                            \
        set_x(c, op->dst, r);                                                                                          \
        NEXT;                                                                                                          \
    }
#define FMA_Y_HANDLER(name, b_low, b_high)                                                                             \
    {                                                                                                                  \
        v128 bl = (b_low), bh = (b_high), low, high;                                                                   \
        FP_RUN(low = do_##name(LO(op->dst), LO(op->aux), bl); high = do_##name(HI(op->dst), HI(op->aux), bh));         \
        LO(op->dst) = low;                                                                                             \
        HI(op->dst) = high;                                                                                            \
        NEXT;                                                                                                          \
    }
#define FMA_FULL(name)                                                                                                 \
    static HANDLER(name##_xrr) FMA_X_HANDLER(name, LO(op->src)) static HANDLER(name##_xrm)                             \
        FMA_X_HANDLER(name, read128(c, op)) static HANDLER(name##_yrr)                                                 \
            FMA_Y_HANDLER(name, LO(op->src), HI(op->src)) static HANDLER(name##_yrm)                                   \
    {                                                                                                                  \
        const v128u *m = simd_read(c, op, ea(c, op), 32);                                                              \
        FMA_Y_HANDLER(name, m[0], m[1])                                                                                \
    }
#define FMA_FORMS_FULL(name) FORMS_VEX(name)
#define FMA_SCALAR(name, bytes)                                                                                        \
    static HANDLER(name##_xrr) FMA_X_HANDLER(name, LO(op->src)) static HANDLER(name##_xrm)                             \
        FMA_X_HANDLER(name, read_part(c, op, bytes))
#define FMA_SCALAR4(name) FMA_SCALAR(name, 4)
#define FMA_SCALAR8(name) FMA_SCALAR(name, 8)
#define FMA_FORMS_SCALAR4(name) .xrr = name##_xrr, .xrm = name##_xrm
#define FMA_FORMS_SCALAR8(name) .xrr = name##_xrr, .xrm = name##_xrm

// ---- The rows ----

#define SIMD(name, feature, template, kernel, RUN) KERNEL_##kernel(name) TEMPLATE_##template(name, RUN)
#define FMA(name, template) FMA_KERNEL(name) FMA_##template(name)
#include "engines/interp/simd_float.def"
#undef SIMD
#undef FMA
#define COMPARE_ROW(name, feature, template) TEMPLATE_##template(name, FP_RUN)
COMPARE_INSNS(COMPARE_ROW)

bool lower_simd_float(struct lower *l, const struct insn *in, unsigned arg)
{
    static const struct simd_row rows[] = {
#define SIMD(name, feature, template, kernel, RUN)                                                                     \
    [SIMD_##                                                                                                           \
        name] = {FORMS_##template(name), .legacy = X86_FEATURE_##feature, .x = X86_FEATURE_AVX, .y = X86_FEATURE_AVX},
#define FMA(name, template) [SIMD_##name] = {FMA_FORMS_##template(name), .x = X86_FEATURE_FMA, .y = X86_FEATURE_FMA},
#include "engines/interp/simd_float.def"
#define COMPARE_FORMS(name, feature, template)                                                                         \
    [SIMD_##                                                                                                           \
        name] = {FORMS_##template(name), .legacy = X86_FEATURE_##feature, .x = X86_FEATURE_AVX, .y = X86_FEATURE_AVX},
        COMPARE_INSNS(COMPARE_FORMS)
#undef SIMD
#undef FMA
    };
    return simd_lower(l, in, &rows[arg]);
}

// The predicate has 3 bits, with VEX 5.
bool lower_simd_compare(struct lower *l, const struct insn *in, unsigned arg)
{
    struct insn masked = *in;
    masked.op[in->operands - 1].imm &= in->vex ? 31 : 7;
    return lower_simd_float(l, &masked, arg);
}

// SPDX-License-Identifier: BSD-2-Clause
// SSE instructions of an XMM and an MMX operand (SDM vol. 2, under each name). cvtpi2ps and cvtpi2pd from memory leave
// the x87 unit as it was.
#include "engines/interp/mmx.h"
#include "engines/interp/simd.h"

typedef uint32_t v32 __attribute__((vector_size(16), may_alias));

// ---- To XMM: the kernel's b has two doublewords ----

KERNEL_ASM1(CVTDQ2PD)
KERNEL(CVTPI2PS) // the upper half stays
{
    __asm__ volatile("cvtdq2ps %1, %0" : "=x"(b) : "x"(b));
    return (v128){b[0], a[1]};
}
KERNEL(MOVQ2DQ)
{
    return b;
}

#define TO_XMM(name, kernel)                                                                                           \
    static HANDLER(name##_rr)                                                                                          \
    {                                                                                                                  \
        mmx_ready(c, op);                                                                                              \
        v128 b = {(long long)mmx_get(c, op->src), 0}, r;                                                               \
        mmx_used(c); /* even where it raises #XM */                                                                    \
        FP_RUN(r = do_##kernel(LO(op->dst), b, 0));                                                                    \
        LO(op->dst) = r;                                                                                               \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static HANDLER(name##_rm)                                                                                          \
    {                                                                                                                  \
        v128 b = read_part(c, op, 8), r;                                                                               \
        FP_RUN(r = do_##kernel(LO(op->dst), b, 0));                                                                    \
        LO(op->dst) = r;                                                                                               \
        NEXT;                                                                                                          \
    }
TO_XMM(cvtpi2ps, CVTPI2PS)
TO_XMM(cvtpi2pd, CVTDQ2PD)
TO_XMM(movq2dq, MOVQ2DQ)

// ---- To MMX: the low half of what the kernel gives ----

KERNEL_ASM1(CVTPS2DQ)
KERNEL_ASM1(CVTTPS2DQ)
KERNEL_ASM1(CVTPD2DQ)
KERNEL_ASM1(CVTTPD2DQ)
KERNEL(MOVDQ2Q)
{
    return b;
}

#define TO_MMX(name, kernel, source, memory)                                                                           \
    static HANDLER(name##_rr)                                                                                          \
    {                                                                                                                  \
        mmx_ready(c, op);                                                                                              \
        v128 b = (source), r;                                                                                          \
        mmx_used(c);                                                                                                   \
        FP_RUN(r = do_##kernel(b, b, 0));                                                                              \
        mmx_set(c, op->dst, (uint64_t)r[0]);                                                                           \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static HANDLER(name##_rm)                                                                                          \
    {                                                                                                                  \
        mmx_ready(c, op);                                                                                              \
        v128 b = (memory), r;                                                                                          \
        mmx_used(c);                                                                                                   \
        FP_RUN(r = do_##kernel(b, b, 0));                                                                              \
        mmx_set(c, op->dst, (uint64_t)r[0]);                                                                           \
        NEXT;                                                                                                          \
    }
#define LOW_HALF ((v128){LO(op->src)[0], 0}) // the upper one must raise nothing
TO_MMX(cvtps2pi, CVTPS2DQ, LOW_HALF, read_part(c, op, 8))
TO_MMX(cvttps2pi, CVTTPS2DQ, LOW_HALF, read_part(c, op, 8))
TO_MMX(cvtpd2pi, CVTPD2DQ, LO(op->src), read128_aligned(c, op))
TO_MMX(cvttpd2pi, CVTTPD2DQ, LO(op->src), read128_aligned(c, op))
TO_MMX(movdq2q, MOVDQ2Q, LO(op->src), LO(op->src))

bool lower_simd_mmx(struct lower *l, const struct insn *in, unsigned arg)
{
    static op_fn *const fns[][2] = {
        [SIMD_MMX_CVTPI2PS] = {cvtpi2ps_rr, cvtpi2ps_rm},    [SIMD_MMX_CVTPI2PD] = {cvtpi2pd_rr, cvtpi2pd_rm},
        [SIMD_MMX_CVTPS2PI] = {cvtps2pi_rr, cvtps2pi_rm},    [SIMD_MMX_CVTPD2PI] = {cvtpd2pi_rr, cvtpd2pi_rm},
        [SIMD_MMX_CVTTPS2PI] = {cvttps2pi_rr, cvttps2pi_rm}, [SIMD_MMX_CVTTPD2PI] = {cvttpd2pi_rr, cvttpd2pi_rm},
        [SIMD_MMX_MOVQ2DQ] = {movq2dq_rr, movq2dq_rm},       [SIMD_MMX_MOVDQ2Q] = {movdq2q_rr, movdq2q_rm},
    };
    const struct x86_operand *b = &in->op[1];
    simd_check(l, in);
    struct op *op = is_mem(b) ? emit_mem(l, fns[arg][1], in, b) : emit(l, fns[arg][0]);
    op->dst = in->op[0].reg;
    op->src = is_mem(b) ? 0 : b->reg;
    return true;
}

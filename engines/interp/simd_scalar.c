// SPDX-License-Identifier: BSD-2-Clause
// SSE and AVX instructions between vector registers and general registers or flags: conversions of one number,
// comparisons and tests, sign masks; and blends by a register (SDM vol. 2, under each name).
#include "engines/interp/flags.h"
#include "engines/interp/simd.h"

// ---- cvtsi2ss, cvtsi2sd: an integer into the low element ----

#define FROM_INT(name, insn, bits, suffix)                                                                             \
    INLINE v128 do_##name(v128 a, uint##bits##_t v)                                                                    \
    {                                                                                                                  \
        __asm__ volatile(insn suffix " %1, %0" : "+x"(a) : "r"(v));                                                    \
        return a;                                                                                                      \
    }                                                                                                                  \
    static HANDLER(name##_rr)                                                                                          \
    {                                                                                                                  \
        v128 r;                                                                                                        \
        FP_RUN(r = do_##name(LO(op->dst), get##bits(c, op->src)));                                                     \
        LO(op->dst) = r;                                                                                               \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static HANDLER(name##_xrr)                                                                                         \
    {                                                                                                                  \
        v128 r;                                                                                                        \
        FP_RUN(r = do_##name(LO(op->aux), get##bits(c, op->src)));                                                     \
        set_x(c, op->dst, r);                                                                                          \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER_LOAD(name##_rm, bits, v128 r; FP_RUN(r = do_##name(LO(op->dst), m)); LO(op->dst) = r)                      \
    HANDLER_LOAD(name##_xrm, bits, v128 r; FP_RUN(r = do_##name(LO(op->aux), m)); set_x(c, op->dst, r))
FROM_INT(ss32, "cvtsi2ss", 32, "l")
FROM_INT(ss64, "cvtsi2ss", 64, "q")
FROM_INT(sd32, "cvtsi2sd", 32, "l")
FROM_INT(sd64, "cvtsi2sd", 64, "q")

bool lower_simd_from_int(struct lower *l, const struct insn *in, unsigned arg)
{
    static const struct simd_row rows[2][2] = {
        [INT_SS] = {{FORMS_ONE(ss32)}, {FORMS_ONE(ss64)}},
        [INT_SD] = {{FORMS_ONE(sd32)}, {FORMS_ONE(sd64)}},
    };
    struct simd_row row = rows[arg][in->op[in->operands - 1].size == 8];
    row.legacy = arg == INT_SS ? X86_FEATURE_SSE : X86_FEATURE_SSE2;
    row.x = row.y = X86_FEATURE_AVX;
    return simd_lower(l, in, &row);
}

// ---- cvtss2si and its kin: the low element to a general register ----

#define TO_INT_BITS(name, insn, bits, suffix, bytes)                                                                   \
    INLINE uint##bits##_t do_##name##bits(v128 b)                                                                      \
    {                                                                                                                  \
        uint##bits##_t v;                                                                                              \
        __asm__ volatile(insn suffix " %1, %0" : "=r"(v) : "x"(b));                                                    \
        return v;                                                                                                      \
    }                                                                                                                  \
    static HANDLER(name##bits##_rr)                                                                                    \
    {                                                                                                                  \
        uint##bits##_t r;                                                                                              \
        FP_RUN(r = do_##name##bits(LO(op->src)));                                                                      \
        set##bits(c, op->dst, r);                                                                                      \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static HANDLER(name##bits##_rm)                                                                                    \
    {                                                                                                                  \
        v128 b = read_part(c, op, bytes);                                                                              \
        uint##bits##_t r;                                                                                              \
        FP_RUN(r = do_##name##bits(b));                                                                                \
        set##bits(c, op->dst, r);                                                                                      \
        NEXT;                                                                                                          \
    }
#define TO_INT(name, insn, bytes)                                                                                      \
    TO_INT_BITS(name, insn, 32, "l", bytes)                                                                            \
    TO_INT_BITS(name, insn, 64, "q", bytes)
TO_INT(ss2si, "cvtss2si", 4)
TO_INT(sd2si, "cvtsd2si", 8)
TO_INT(tss2si, "cvttss2si", 4)
TO_INT(tsd2si, "cvttsd2si", 8)

// An op `insn first, b` of a form that is the same with VEX, but for the check before it.
static struct op *emit_plain(struct lower *l, const struct insn *in, op_fn *rr, op_fn *rm)
{
    const struct x86_operand *b = &in->op[1];
    simd_check(l, in);
    struct op *op = is_mem(b) ? emit_mem(l, rm, in, b) : emit(l, rr);
    op->dst = in->op[0].reg;
    op->src = is_mem(b) ? 0 : b->reg;
    op->aux = in->op[0].reg;
    return op;
}

bool lower_simd_to_int(struct lower *l, const struct insn *in, unsigned arg)
{
#define TO_INT_ROW(name)                                                                                               \
    {                                                                                                                  \
        {name##32_rr, name##32_rm},                                                                                    \
        {                                                                                                              \
            name##64_rr, name##64_rm                                                                                   \
        }                                                                                                              \
    }
    static op_fn *const fns[][2][2] = {[ROUND_SS] = TO_INT_ROW(ss2si),
                                       [ROUND_SD] = TO_INT_ROW(sd2si),
                                       [TRUNCATE_SS] = TO_INT_ROW(tss2si),
                                       [TRUNCATE_SD] = TO_INT_ROW(tsd2si)};
    op_fn *const *pair = fns[arg][in->op[0].size == 8];
    if (!simd_has(l, in->vex ? X86_FEATURE_AVX : X86_FEATURE_SSE2))
        return false;
    emit_plain(l, in, pair[0], pair[1]);
    return true;
}

// ---- comiss, ucomiss, comisd, ucomisd: ZF, PF and CF; OF, AF and SF become 0 ----

#define COMIS(name, insn, bytes)                                                                                       \
    INLINE uint64_t do_##name(v128 a, v128 b)                                                                          \
    {                                                                                                                  \
        uint64_t rax;                                                                                                  \
        __asm__ volatile(insn " %2, %1\n\tlahf" : "=a"(rax) : "x"(a), "x"(b) : "cc");                                  \
        return rax >> 8 & (FLAG_ZF | FLAG_PF | FLAG_CF);                                                               \
    }                                                                                                                  \
    static HANDLER(name##_rr)                                                                                          \
    {                                                                                                                  \
        uint64_t f;                                                                                                    \
        FP_RUN(f = do_##name(LO(op->aux), LO(op->src)));                                                               \
        flags_load_arith(c, f);                                                                                        \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static HANDLER(name##_rm)                                                                                          \
    {                                                                                                                  \
        v128 b = read_part(c, op, bytes);                                                                              \
        uint64_t f;                                                                                                    \
        FP_RUN(f = do_##name(LO(op->aux), b));                                                                         \
        flags_load_arith(c, f);                                                                                        \
        NEXT;                                                                                                          \
    }
COMIS(comiss, "comiss", 4)
COMIS(comisd, "comisd", 8)
COMIS(ucomiss, "ucomiss", 4)
COMIS(ucomisd, "ucomisd", 8)

bool lower_simd_comis(struct lower *l, const struct insn *in, unsigned arg)
{
    static op_fn *const fns[][2] = {[COMIS_SS] = {comiss_rr, comiss_rm},
                                    [COMIS_SD] = {comisd_rr, comisd_rm},
                                    [COMIS_UNORDERED_SS] = {ucomiss_rr, ucomiss_rm},
                                    [COMIS_UNORDERED_SD] = {ucomisd_rr, ucomisd_rm}};
    if (!simd_has(l, in->vex ? X86_FEATURE_AVX : X86_FEATURE_SSE2))
        return false;
    emit_plain(l, in, fns[arg][0], fns[arg][1]);
    return true;
}

// ---- ptest, vtestps, vtestpd: ZF where b AND a is 0, CF where b AND NOT a is; of these bits ----

#define TEST(name, bits_64)                                                                                            \
    INLINE uint64_t do_##name(v128 a, v128 b)                                                                          \
    {                                                                                                                  \
        const uint64_t bits = (bits_64);                                                                               \
        v128 both = a & b, only = b & ~a;                                                                              \
        return ((uint64_t)(both[0] | both[1]) & bits ? 0 : FLAG_ZF) |                                                  \
               ((uint64_t)(only[0] | only[1]) & bits ? 0 : FLAG_CF);                                                   \
    }                                                                                                                  \
    static HANDLER(name##_rr)                                                                                          \
    {                                                                                                                  \
        flags_load_arith(c, do_##name(LO(op->aux), LO(op->src)));                                                      \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static HANDLER(name##_rm)                                                                                          \
    {                                                                                                                  \
        flags_load_arith(c, do_##name(LO(op->aux), read128_aligned(c, op)));                                           \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static HANDLER(name##_xrm)                                                                                         \
    {                                                                                                                  \
        flags_load_arith(c, do_##name(LO(op->aux), read128(c, op)));                                                   \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static HANDLER(name##_yrr)                                                                                         \
    {                                                                                                                  \
        flags_load_arith(c, do_##name(LO(op->aux), LO(op->src)) & do_##name(HI(op->aux), HI(op->src)));                \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static HANDLER(name##_yrm)                                                                                         \
    {                                                                                                                  \
        const v128u *m = simd_read(c, op, ea(c, op), 32);                                                              \
        flags_load_arith(c, do_##name(LO(op->aux), m[0]) & do_##name(HI(op->aux), m[1]));                              \
        NEXT;                                                                                                          \
    }
TEST(ptest, ~0ull)
TEST(vtestps, 0x8000000080000000)
TEST(vtestpd, 0x8000000000000000)

bool lower_simd_test(struct lower *l, const struct insn *in, unsigned arg)
{
#define TEST_ROW(name)                                                                                                 \
    {                                                                                                                  \
        name##_rr, name##_rm, name##_xrm, name##_yrr, name##_yrm                                                       \
    }
    static op_fn *const fns[][5] = {
        [TEST_ALL] = TEST_ROW(ptest), [TEST_PS] = TEST_ROW(vtestps), [TEST_PD] = TEST_ROW(vtestpd)};
    op_fn *const *f = fns[arg];
    if (!simd_has(l, in->vex ? X86_FEATURE_AVX : X86_FEATURE_SSE41))
        return false;
    emit_plain(l, in, in->vex_l ? f[3] : f[0], in->vex_l ? f[4] : in->vex ? f[2] : f[1]);
    return true;
}

// ---- movmskps, movmskpd, pmovmskb: sign bits to a general register ----

#define MASK(name, insn, elements)                                                                                     \
    INLINE uint32_t do_##name(v128 b)                                                                                  \
    {                                                                                                                  \
        uint32_t v;                                                                                                    \
        __asm__(insn " %1, %0" : "=r"(v) : "x"(b));                                                                    \
        return v;                                                                                                      \
    }                                                                                                                  \
    static HANDLER(name##_x)                                                                                           \
    {                                                                                                                  \
        set64(c, op->dst, do_##name(LO(op->src)));                                                                     \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static HANDLER(name##_y)                                                                                           \
    {                                                                                                                  \
        set64(c, op->dst, do_##name(LO(op->src)) | do_##name(HI(op->src)) << elements);                                \
        NEXT;                                                                                                          \
    }
MASK(movmskps, "movmskps", 4)
MASK(movmskpd, "movmskpd", 2)
MASK(pmovmskb, "pmovmskb", 16)

bool lower_simd_mask(struct lower *l, const struct insn *in, unsigned arg)
{
    static op_fn *const fns[][2] = {[MASK_PS] = {movmskps_x, movmskps_y},
                                    [MASK_PD] = {movmskpd_x, movmskpd_y},
                                    [MASK_B] = {pmovmskb_x, pmovmskb_y}};
    unsigned vex = in->vex_l && arg == MASK_B ? X86_FEATURE_AVX2 : X86_FEATURE_AVX;
    if (!simd_has(l, in->vex ? vex : X86_FEATURE_SSE2))
        return false;
    emit_plain(l, in, fns[arg][in->vex_l], NULL);
    return true;
}

// ---- pblendvb, blendvps, blendvpd: by the sign bits of xmm0, with VEX of a fourth register, which is in imm ----

#define BLENDV(name, insn)                                                                                             \
    INLINE v128 do_##name(v128 a, v128 b, v128 mask)                                                                   \
    {                                                                                                                  \
        __asm__(insn " %%xmm0, %1, %0" : "+x"(a) : "x"(b), "Yz"(mask));                                                \
        return a;                                                                                                      \
    }                                                                                                                  \
    static HANDLER(name##_rr)                                                                                          \
    {                                                                                                                  \
        LO(op->dst) = do_##name(LO(op->dst), LO(op->src), LO(0));                                                      \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static HANDLER(name##_rm)                                                                                          \
    {                                                                                                                  \
        v128 b = read128_aligned(c, op);                                                                               \
        LO(op->dst) = do_##name(LO(op->dst), b, LO(0));                                                                \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static HANDLER(name##_xrr)                                                                                         \
    {                                                                                                                  \
        set_x(c, op->dst, do_##name(LO(op->aux), LO(op->src), LO(op->imm)));                                           \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static HANDLER(name##_xrm)                                                                                         \
    {                                                                                                                  \
        v128 b = read128(c, op);                                                                                       \
        set_x(c, op->dst, do_##name(LO(op->aux), b, LO(op->imm)));                                                     \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    BLENDV_Y(name, rr, LO(op->src), HI(op->src))                                                                       \
    BLENDV_Y(name, rm, m[0], m[1])
#define BLENDV_Y(name, form, b_low, b_high)                                                                            \
    static HANDLER(name##_y##form)                                                                                     \
    {                                                                                                                  \
        BLENDV_SOURCE_##form;                                                                                          \
        v128 low = do_##name(LO(op->aux), (b_low), LO(op->imm));                                                       \
        v128 high = do_##name(HI(op->aux), (b_high), HI(op->imm));                                                     \
        LO(op->dst) = low;                                                                                             \
        HI(op->dst) = high;                                                                                            \
        NEXT;                                                                                                          \
    }
#define BLENDV_SOURCE_rr
#define BLENDV_SOURCE_rm const v128u *m = simd_read(c, op, ea(c, op), 32)
BLENDV(pblendvb, "pblendvb")
BLENDV(blendvps, "blendvps")
BLENDV(blendvpd, "blendvpd")

bool lower_simd_blendv(struct lower *l, const struct insn *in, unsigned arg)
{
#define BLENDV_FEATURES(y_feature) .legacy = X86_FEATURE_SSE41, .x = X86_FEATURE_AVX, .y = X86_FEATURE_##y_feature
    static const struct simd_row rows[] = {
        [BLENDV_B] = {FORMS_FULL(pblendvb), BLENDV_FEATURES(AVX2)},
        [BLENDV_PS] = {FORMS_FULL(blendvps), BLENDV_FEATURES(AVX)},
        [BLENDV_PD] = {FORMS_FULL(blendvpd), BLENDV_FEATURES(AVX)},
    };
    struct insn three = *in; // without the mask
    three.operands = in->vex ? 3 : 2;
    if (!simd_lower(l, &three, &rows[arg]))
        return false;
    l->next[-1].imm = in->op[3].reg;
    return true;
}

// ---- sha256rnds2: xmm0 is a source ----

static HANDLER(sha256rnds2_rr)
{
    __asm__ volatile("sha256rnds2 %%xmm0, %1, %0" : "+x"(LO(op->dst)) : "x"(LO(op->src)), "Yz"(LO(0)));
    NEXT;
}
static HANDLER(sha256rnds2_rm)
{
    v128 b = read128_aligned(c, op);
    __asm__ volatile("sha256rnds2 %%xmm0, %1, %0" : "+x"(LO(op->dst)) : "x"(b), "Yz"(LO(0)));
    NEXT;
}

bool lower_sha256rnds2(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)arg;
    if (!simd_has(l, X86_FEATURE_SHA))
        return false;
    emit_plain(l, in, sha256rnds2_rr, sha256rnds2_rm);
    return true;
}

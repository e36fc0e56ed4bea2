// SPDX-License-Identifier: BSD-2-Clause
// AVX and AVX2 instructions that move elements across the two halves, and what only VEX has otherwise: broadcasts,
// inserts, extracts, permutations, half precision, vzeroupper (SDM vol. 2, under each name). Sources are read before
// the destination, which may be one of them, is written.
#include <xmmintrin.h>

#include "engines/interp/simd.h"

typedef uint16_t v16 __attribute__((vector_size(16), may_alias));
typedef uint32_t v32 __attribute__((vector_size(16), may_alias));
typedef uint32_t __attribute__((may_alias)) element32;
typedef uint64_t __attribute__((may_alias)) element64;

INLINE void set_y(struct cpu *c, unsigned reg, v128 low, v128 high)
{
    LO(reg) = low;
    HI(reg) = high;
}

// One instruction's ops: operands are a destination, perhaps a register in VEX.vvvv, register or memory, and perhaps an
// immediate; fns: rr, rm.
static bool emit_avx(struct lower *l, const struct insn *in, unsigned feature, op_fn *rr, op_fn *rm)
{
    unsigned last = in->operands - 1u;
    bool has_imm = in->op[last].kind == OPERAND_IMM;
    const struct x86_operand *b = &in->op[has_imm ? last - 1 : last];
    if (!simd_has(l, feature))
        return false;
    simd_check(l, in);
    struct op *op = is_mem(b) ? emit_mem(l, rm, in, b) : emit(l, rr);
    op->dst = in->op[0].reg;
    op->aux = in->op[1].reg;
    op->src = is_mem(b) ? 0 : b->reg;
    op->imm = has_imm ? (int32_t)in->op[last].imm : 0;
    return true;
}

// ---- vbroadcastss to vpbroadcastq: one element everywhere; op->imm tells 256 bits ----

#define REPEAT_8(v) ((v & 0xff) * 0x0101010101010101ull)
#define REPEAT_16(v) ((v & 0xffff) * 0x0001000100010001ull)
#define REPEAT_32(v) ((v & 0xffffffff) * 0x0000000100000001ull)
#define REPEAT_64(v) (v)
#define BROADCAST(bits)                                                                                                \
    INLINE void repeat##bits(struct cpu *c, const struct op *op, uint64_t v)                                           \
    {                                                                                                                  \
        long long r = (long long)REPEAT_##bits(v);                                                                     \
        set_y(c, op->dst, (v128){r, r}, op->imm ? (v128){r, r} : (v128){0, 0});                                        \
    }                                                                                                                  \
    static HANDLER(broadcast##bits##_rr)                                                                               \
    {                                                                                                                  \
        repeat##bits(c, op, (uint64_t)LO(op->src)[0]);                                                                 \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER_LOAD(broadcast##bits##_rm, bits, repeat##bits(c, op, m))
BROADCAST(8)
BROADCAST(16)
BROADCAST(32)
BROADCAST(64)

bool lower_broadcast(struct lower *l, const struct insn *in, unsigned arg)
{
    static op_fn *const fns[4][2] = {{broadcast8_rr, broadcast8_rm},
                                     {broadcast16_rr, broadcast16_rm},
                                     {broadcast32_rr, broadcast32_rm},
                                     {broadcast64_rr, broadcast64_rm}};
    unsigned size = size_index(in->op[1].size), feature = arg;
    if (!is_mem(&in->op[1]))
        feature = X86_FEATURE_AVX2;
    if (!emit_avx(l, in, feature, fns[size][0], fns[size][1]))
        return false;
    l->next[-1].imm = in->vex_l;
    return true;
}

static HANDLER(broadcast128_rm)
{
    v128 m = read128(c, op);
    set_y(c, op->dst, m, m);
    NEXT;
}

bool lower_broadcast128(struct lower *l, const struct insn *in, unsigned arg)
{
    return emit_avx(l, in, arg, NULL, broadcast128_rm);
}

// ---- vinsertf128, vextractf128 and their kin: imm bit 0 says which half ----

INLINE void insert128(struct cpu *c, const struct op *op, v128 b)
{
    if (op->imm & 1)
        set_y(c, op->dst, LO(op->aux), b);
    else
        set_y(c, op->dst, b, HI(op->aux));
}
static HANDLER(insert128_rr)
{
    insert128(c, op, LO(op->src));
    NEXT;
}
static HANDLER(insert128_rm)
{
    insert128(c, op, read128(c, op));
    NEXT;
}

bool lower_insert128(struct lower *l, const struct insn *in, unsigned arg)
{
    return emit_avx(l, in, arg, insert128_rr, insert128_rm);
}

static HANDLER(extract128_rr)
{
    set_x(c, op->dst, op->imm & 1 ? HI(op->src) : LO(op->src));
    NEXT;
}
static HANDLER(extract128_m)
{
    uint64_t va = ea(c, op);
    v128u *p = mem_ptr_write(c, va, 16);
    const v128 *from = op->imm & 1 ? &HI(op->src) : &LO(op->src);
    if (LIKELY(p))
        *p = *from;
    else
        simd_write_slow(c, op, va, from, 16);
    NEXT;
}

bool lower_extract128(struct lower *l, const struct insn *in, unsigned arg)
{
    const struct x86_operand *to = &in->op[0];
    if (!simd_has(l, arg))
        return false;
    simd_check(l, in);
    struct op *op = is_mem(to) ? emit_mem(l, extract128_m, in, to) : emit(l, extract128_rr);
    op->dst = is_mem(to) ? 0 : to->reg;
    op->src = in->op[1].reg;
    op->imm = (int32_t)in->op[2].imm;
    return true;
}

// ---- vperm2f128, vperm2i128: each half is any of four, or 0 ----

INLINE v128 pick_half(const struct cpu *c, const struct op *op, v128 low, v128 high, unsigned pick)
{
    if (pick & 8)
        return (v128){0, 0};
    return pick & 2 ? (pick & 1 ? high : low) : (pick & 1 ? HI(op->aux) : LO(op->aux));
}
#define PERM2_HANDLER(b_low, b_high)                                                                                   \
    {                                                                                                                  \
        v128 bl = (b_low), bh = (b_high);                                                                              \
        v128 low = pick_half(c, op, bl, bh, (unsigned)op->imm & 15);                                                   \
        v128 high = pick_half(c, op, bl, bh, (unsigned)op->imm >> 4 & 15);                                             \
        set_y(c, op->dst, low, high);                                                                                  \
        NEXT;                                                                                                          \
    }
static HANDLER(perm2_rr) PERM2_HANDLER(LO(op->src), HI(op->src)) static HANDLER(perm2_rm)
{
    const v128u *m = simd_read(c, op, ea(c, op), 32);
    PERM2_HANDLER(m[0], m[1])
}

bool lower_perm2(struct lower *l, const struct insn *in, unsigned arg)
{
    return emit_avx(l, in, arg, perm2_rr, perm2_rm);
}

// ---- vpermq, vpermpd: four quadwords by an immediate; vpermd, vpermps: eight doublewords by a ----

INLINE long long pick_quad(v128 low, v128 high, unsigned pick)
{
    return pick & 2 ? (pick & 1 ? high[1] : high[0]) : (pick & 1 ? low[1] : low[0]);
}
#define PERMQ_HANDLER(b_low, b_high)                                                                                   \
    {                                                                                                                  \
        v128 bl = (b_low), bh = (b_high);                                                                              \
        unsigned imm = (uint8_t)op->imm;                                                                               \
        set_y(c, op->dst, (v128){pick_quad(bl, bh, imm & 3), pick_quad(bl, bh, imm >> 2 & 3)},                         \
              (v128){pick_quad(bl, bh, imm >> 4 & 3), pick_quad(bl, bh, imm >> 6)});                                   \
        NEXT;                                                                                                          \
    }
static HANDLER(permq_rr) PERMQ_HANDLER(LO(op->src), HI(op->src)) static HANDLER(permq_rm)
{
    const v128u *m = simd_read(c, op, ea(c, op), 32);
    PERMQ_HANDLER(m[0], m[1])
}

bool lower_permq(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)arg;
    return emit_avx(l, in, X86_FEATURE_AVX2, permq_rr, permq_rm);
}

// Both sources are copied first: the destination may be one of them.
static void permute_doublewords(struct cpu *c, const struct op *op, v128 low, v128 high)
{
    struct vreg from = {low, high}, by = c->ymm[op->aux];
    const element32 *f = (const element32 *)&from, *index = (const element32 *)&by;
    element32 *to = (element32 *)&c->ymm[op->dst];
    for (unsigned i = 0; i < 8; i++)
        to[i] = f[index[i] & 7];
}
static HANDLER(permd_rr)
{
    permute_doublewords(c, op, LO(op->src), HI(op->src));
    NEXT;
}
static HANDLER(permd_rm)
{
    const v128u *m = simd_read(c, op, ea(c, op), 32);
    permute_doublewords(c, op, m[0], m[1]);
    NEXT;
}

bool lower_permd(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)arg;
    return emit_avx(l, in, X86_FEATURE_AVX2, permd_rr, permd_rm);
}

// ---- vpermilps, vpermilpd: within each half, by a register or an immediate ----

KERNEL(permilps) // a by b
{
    v32 s = (v32)a, by = (v32)b;
    return (v128)(v32){s[by[0] & 3], s[by[1] & 3], s[by[2] & 3], s[by[3] & 3]};
}
KERNEL(permilpd) // by bit 1 of each
{
    return (v128){b[0] & 2 ? a[1] : a[0], b[1] & 2 ? a[1] : a[0]};
}
KERNEL(permilps_imm)
{
    v32 s = (v32)b;
    return (v128)(v32){s[imm & 3], s[imm >> 2 & 3], s[imm >> 4 & 3], s[imm >> 6 & 3]};
}
KERNEL(permilpd_imm)
{
    return (v128){imm & 1 ? b[1] : b[0], imm & 2 ? b[1] : b[0]};
}
TEMPLATE_VEX(permilps, INT_RUN)
TEMPLATE_VEX(permilpd, INT_RUN)
TEMPLATE_VEX(permilps_imm, INT_RUN)
static HANDLER(permilpd_imm_xrr) X_HANDLER(permilpd_imm, INT_RUN, LO(op->src)) static HANDLER(permilpd_imm_xrm)
    X_HANDLER(permilpd_imm, INT_RUN, read128(c, op))
#define PERMILPD_Y_HANDLER(b_low, b_high)                                                                              \
    {                                                                                                                  \
        v128 bl = (b_low), bh = (b_high);                                                                              \
        set_y(c, op->dst, do_permilpd_imm(bl, bl, (uint8_t)op->imm), do_permilpd_imm(bh, bh, (uint8_t)op->imm >> 2));  \
        NEXT;                                                                                                          \
    }
        static HANDLER(permilpd_imm_yrr) PERMILPD_Y_HANDLER(LO(op->src), HI(op->src)) static HANDLER(permilpd_imm_yrm)
{
    const v128u *m = simd_read(c, op, ea(c, op), 32);
    PERMILPD_Y_HANDLER(m[0], m[1])
}

bool lower_permil(struct lower *l, const struct insn *in, unsigned arg)
{
    static const struct simd_row rows[2][2] = {
        {{FORMS_VEX(permilps), .x = X86_FEATURE_AVX, .y = X86_FEATURE_AVX},
         {FORMS_VEX(permilps_imm), .x = X86_FEATURE_AVX, .y = X86_FEATURE_AVX}},
        {{FORMS_VEX(permilpd), .x = X86_FEATURE_AVX, .y = X86_FEATURE_AVX},
         {FORMS_VEX(permilpd_imm), .x = X86_FEATURE_AVX, .y = X86_FEATURE_AVX}},
    };
    return simd_lower(l, in, &rows[arg][in->op[2].kind == OPERAND_IMM]);
}

// ---- vcvtph2ps, vcvtps2ph: half precision (SDM vol. 1, 14.4) ----

KERNEL(ph2ps)
{
    __asm__ volatile("vcvtph2ps %1, %0" : "=x"(a) : "x"(b));
    return a;
}
INLINE v128 read_half(struct cpu *c, const struct op *op)
{
    const u64a *p = simd_read(c, op, ea(c, op), 8);
    return (v128){(long long)*p, 0};
}
static HANDLER(ph2ps_xrr) X_HANDLER(ph2ps, FP_RUN, LO(op->src)) static HANDLER(ph2ps_xrm)
    X_HANDLER(ph2ps, FP_RUN, read_half(c, op)) static HANDLER(ph2ps_yrr)
        Y_HANDLER(ph2ps, FP_RUN, LO(op->src), shift_right(LO(op->src), 8)) static HANDLER(ph2ps_yrm)
{
    v128 m = read128(c, op);
    Y_HANDLER(ph2ps, FP_RUN, m, shift_right(m, 8))
}

bool lower_cvtph2ps(struct lower *l, const struct insn *in, unsigned arg)
{
    static const struct simd_row row = {FORMS_VEX(ph2ps), .x = X86_FEATURE_F16C, .y = X86_FEATURE_F16C};
    (void)arg;
    return simd_lower(l, in, &row);
}

// Bits 0 and 1: rounding, bit 2: MXCSR's instead.
#define CASE(n)                                                                                                        \
    case n:                                                                                                            \
        __asm__ volatile("vcvtps2ph $" #n ", %1, %0" : "=x"(r) : "x"(b));                                              \
        break;
INLINE uint64_t do_ps2ph(v128 b, unsigned imm)
{
    v128 r;
    switch (imm & 7) {
        CASE(0)
        CASE(1)
        CASE(2)
        CASE(3)
        CASE(5)
        CASE(6)
        CASE(7)
    default:
        __asm__ volatile("vcvtps2ph $4, %1, %0" : "=x"(r) : "x"(b));
    }
    return (uint64_t)r[0];
}
// Four results. A denormal one is a tiny one, exact or not, which counts where underflow is unmasked; FTZ, by which
// FP_RUN finds these, does not reach half precision (SDM vol. 1, 14.4.1).
static COLD void note_tiny_halves(uint64_t r)
{
    for (; r; r >>= 16) {
        if (!(r & 0x7c00) && (r & 0x3ff))
            _mm_setcsr(_mm_getcsr() | MXCSR_UE);
    }
}
INLINE uint64_t ps2ph(struct cpu *c, v128 b, const struct op *op)
{
    uint64_t r = do_ps2ph(b, (uint8_t)op->imm);
    if (UNLIKELY(!(c->mxcsr & MXCSR_UE << MXCSR_MASK_SHIFT)))
        note_tiny_halves(r);
    return r;
}
static HANDLER(ps2ph_x)
{
    uint64_t r;
    FP_RUN(r = ps2ph(c, LO(op->src), op));
    set_x(c, op->dst, (v128){(long long)r, 0});
    NEXT;
}
static HANDLER(ps2ph_y)
{
    uint64_t low, high;
    FP_RUN(low = ps2ph(c, LO(op->src), op); high = ps2ph(c, HI(op->src), op));
    set_x(c, op->dst, (v128){(long long)low, (long long)high});
    NEXT;
}
// MXCSR has its flags even where the store faults.
static HANDLER(ps2ph_xm)
{
    uint64_t r;
    FP_RUN(r = ps2ph(c, LO(op->src), op));
    c->operand.lo = (v128){(long long)r, 0};
    simd_write_slow(c, op, ea(c, op), &c->operand, 8);
    NEXT;
}
static HANDLER(ps2ph_ym)
{
    uint64_t low, high;
    FP_RUN(low = ps2ph(c, LO(op->src), op); high = ps2ph(c, HI(op->src), op));
    c->operand.lo = (v128){(long long)low, (long long)high};
    simd_write_slow(c, op, ea(c, op), &c->operand, 16);
    NEXT;
}

bool lower_cvtps2ph(struct lower *l, const struct insn *in, unsigned arg)
{
    const struct x86_operand *to = &in->op[0];
    (void)arg;
    if (!simd_has(l, X86_FEATURE_F16C))
        return false;
    simd_check(l, in);
    struct op *op =
        is_mem(to) ? emit_mem(l, in->vex_l ? ps2ph_ym : ps2ph_xm, in, to) : emit(l, in->vex_l ? ps2ph_y : ps2ph_x);
    op->dst = is_mem(to) ? 0 : to->reg;
    op->src = in->op[1].reg;
    op->imm = (int32_t)in->op[2].imm;
    return true;
}

// ---- vzeroupper, vzeroall ----

static HANDLER(op_vzeroupper)
{
    for (unsigned i = 0; i < 16; i++)
        HI(i) = (v128){0, 0};
    NEXT;
}
static HANDLER(op_vzeroall)
{
    for (unsigned i = 0; i < 16; i++)
        set_x(c, i, (v128){0, 0});
    NEXT;
}

bool lower_vzero(struct lower *l, const struct insn *in, unsigned arg)
{
    if (!simd_has(l, X86_FEATURE_AVX))
        return false;
    simd_check(l, in);
    emit(l, arg == VZERO_ALL ? op_vzeroall : op_vzeroupper);
    return true;
}

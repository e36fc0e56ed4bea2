// SPDX-License-Identifier: BSD-2-Clause
// Integer SIMD with one or two sources, by the rows of simd_int.def; AES, PCLMULQDQ and SHA among them.
#include "engines/interp/simd.h"

#include <string.h>

// ---- Kernels with an immediate, which the host's instructions have as a constant (SDM vol. 2, under each name) ----

typedef uint16_t v16 __attribute__((vector_size(16), may_alias));
typedef uint32_t v32 __attribute__((vector_size(16), may_alias));
typedef unsigned __int128 u128;

KERNEL(PSHUFD)
{
    v32 s = (v32)b;
    return (v128)(v32){s[imm & 3], s[imm >> 2 & 3], s[imm >> 4 & 3], s[imm >> 6 & 3]};
}

static inline uint64_t shuffle_words(uint64_t s, unsigned imm)
{
    uint64_t r = 0;
    for (unsigned i = 0; i < 4; i++)
        r |= (s >> 16 * (imm >> 2 * i & 3) & 0xffff) << 16 * i;
    return r;
}
KERNEL(PSHUFLW)
{
    return (v128){(long long)shuffle_words((uint64_t)b[0], imm), b[1]};
}
KERNEL(PSHUFHW)
{
    return (v128){b[0], (long long)shuffle_words((uint64_t)b[1], imm)};
}

// Shifts by bytes have the count in b.
KERNEL(PSLLDQ)
{
    return b[0] > 15 ? (v128){0, 0} : (v128)((u128)a << 8 * b[0]);
}
KERNEL(PSRLDQ)
{
    return b[0] > 15 ? (v128){0, 0} : (v128)((u128)a >> 8 * b[0]);
}

KERNEL(PALIGNR) // a above b, shifted right
{
    if (imm >= 32)
        return (v128){0, 0};
    if (imm >= 16)
        return (v128)((u128)a >> 8 * (imm - 16));
    return imm ? (v128)((u128)b >> 8 * imm | (u128)a << (128 - 8 * imm)) : b;
}

// Each of 4 or 8 bits of imm takes an element from b.
INLINE v128 blend(v128 a, v128 b, v128 mask)
{
    return (a & ~mask) | (b & mask);
}
KERNEL(PBLENDW)
{
    v16 m;
    for (unsigned i = 0; i < 8; i++)
        m[i] = (uint16_t) - (imm >> i & 1);
    return blend(a, b, (v128)m);
}
KERNEL(VPBLENDD)
{
    v32 m;
    for (unsigned i = 0; i < 4; i++)
        m[i] = -(imm >> i & 1);
    return blend(a, b, (v128)m);
}

// An instruction with an immediate, one for each of its values: CASES_4(X) is X(0) X(1) X(2) X(3).
#define CASES_4(X) X(0) X(1) X(2) X(3)
#define CASE(n, insn, ...)                                                                                             \
    case n:                                                                                                            \
        __asm__ volatile(insn " $" #n ", %1, %0" : "+x"(a) : "x"(b));                                                  \
        break;

KERNEL(MPSADBW) // the offsets in bits 0 to 2
{
    switch (imm & 7) {
        CASE(0, "mpsadbw")
        CASE(1, "mpsadbw")
        CASE(2, "mpsadbw")
        CASE(3, "mpsadbw")
        CASE(4, "mpsadbw")
        CASE(5, "mpsadbw")
        CASE(6, "mpsadbw")
        CASE(7, "mpsadbw")
    }
    return a;
}
KERNEL(PCLMULQDQ) // bit 0: half of a, bit 4: half of b
{
    v128 x = {imm & 1 ? a[1] : a[0], 0}, y = {imm & 0x10 ? b[1] : b[0], 0};
    __asm__ volatile("pclmulqdq $0, %1, %0" : "+x"(x) : "x"(y));
    return x;
}
KERNEL(AESKEYGENASSIST) // the round constant is exclusive-ored into doublewords 1 and 3
{
    __asm__ volatile("aeskeygenassist $0, %1, %0" : "=x"(a) : "x"(b));
    return (v128)((v32)a ^ (v32){0, imm, 0, imm});
}
KERNEL(SHA1RNDS4) // bits 0 and 1: which function and constant
{
    switch (imm & 3) {
        CASE(0, "sha1rnds4")
        CASE(1, "sha1rnds4")
        CASE(2, "sha1rnds4")
        CASE(3, "sha1rnds4")
    }
    return a;
}

// ---- Templates of just one instruction: the upper half has other bits of the immediate ----

#define Y_HANDLER_IMM(name, shift, b_low, b_high)                                                                      \
    {                                                                                                                  \
        v128 bl = (b_low), bh = (b_high);                                                                              \
        v128 low = do_##name(LO(op->aux), bl, (uint8_t)op->imm);                                                       \
        v128 high = do_##name(HI(op->aux), bh, (uint8_t)op->imm >> (shift));                                           \
        LO(op->dst) = low;                                                                                             \
        HI(op->dst) = high;                                                                                            \
        NEXT;                                                                                                          \
    }
#define TEMPLATE_UPPER_IMM(name, shift)                                                                                \
    static HANDLER(name##_yrr) Y_HANDLER_IMM(name, shift, LO(op->src), HI(op->src)) static HANDLER(name##_yrm)         \
    {                                                                                                                  \
        const v128u *m = simd_read(c, op, ea(c, op), 32);                                                              \
        Y_HANDLER_IMM(name, shift, m[0], m[1])                                                                         \
    }
#define TEMPLATE_MPSADBW(name, RUN) TEMPLATE_ONE(name, RUN) TEMPLATE_UPPER_IMM(name, 3)
#define FORMS_MPSADBW(name) FORMS_FULL(name)
#define TEMPLATE_BLENDD(name, RUN)                                                                                     \
    static HANDLER(name##_xrr) X_HANDLER(name, RUN, LO(op->src)) static HANDLER(name##_xrm)                            \
        X_HANDLER(name, RUN, read128(c, op)) TEMPLATE_UPPER_IMM(name, 4)
#define FORMS_BLENDD(name) FORMS_VEX(name)
#define TEMPLATE_LEGACY(name, RUN)                                                                                     \
    static HANDLER(name##_rr) LEGACY_HANDLER(name, RUN, LO(op->src)) static HANDLER(name##_rm)                         \
        LEGACY_HANDLER(name, RUN, read128_aligned(c, op))

// ---- The rows ----

#define SIMD(name, feature, template, kernel) KERNEL_##kernel(name) TEMPLATE_##template(name, INT_RUN)
#define SIMD_VEX(name, x, y, template, kernel) KERNEL_##kernel(name) TEMPLATE_##template(name, INT_RUN)
#define SIMD_LEGACY(name, feature, template, kernel) KERNEL_##kernel(name) TEMPLATE_LEGACY(name, INT_RUN)
#include "engines/interp/simd_int.def"
#undef SIMD
#undef SIMD_VEX
#undef SIMD_LEGACY

bool lower_simd_int(struct lower *l, const struct insn *in, unsigned arg)
{
    static const struct simd_row rows[] = {
#define SIMD(name, feature, template, kernel)                                                                          \
    [SIMD_##name] = {FORMS_##template(name), .legacy = X86_FEATURE_##feature, .x = X86_FEATURE_AVX,                    \
                     .y = X86_FEATURE_AVX2},
#define SIMD_VEX(name, x_feature, y_feature, template, kernel)                                                         \
    [SIMD_##name] = {FORMS_##template(name), .x = X86_FEATURE_##x_feature, .y = X86_FEATURE_##y_feature},
#define SIMD_LEGACY(name, feature, template, kernel)                                                                   \
    [SIMD_##name] = {.rr = name##_rr, .rm = name##_rm, .legacy = X86_FEATURE_##feature},
#include "engines/interp/simd_int.def"
#undef SIMD
#undef SIMD_VEX
#undef SIMD_LEGACY
    };
    return simd_lower(l, in, &rows[arg]);
}

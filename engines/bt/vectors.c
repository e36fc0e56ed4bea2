// SPDX-License-Identifier: BSD-2-Clause
// Which vector instructions there are, which may be used now, and the registers while they are not live.
#include "engines/bt/vectors.h"

#include <string.h>

#include "engines/bt/cpuid.h"
#include "engines/bt/direct.h"
#include "engines/bt/kinds.h"
#include "engines/bt/tc.h"

static void set_live(struct bt *bt, unsigned classes)
{
    bt->live = classes;
    for (unsigned needed = 0; needed < sizeof bt->dead / sizeof bt->dead[0]; needed++)
        bt->dead[needed] = needed & ~classes;
}

static uint32_t host_mxcsr_mask(void)
{
    uint8_t image[XSAVE_LEGACY] __attribute__((aligned(16)));
    uint32_t mask;
    memset(image, 0, sizeof image);
    __asm__ volatile("fxsave64 (%0)" : : "r"(image) : "memory");
    memcpy(&mask, image + XSAVE_MXCSR_MASK, sizeof mask);
    return mask;
}

void vectors_reset(struct bt *bt)
{
    const uint16_t fcw = FCW_RESET;
    const uint32_t mxcsr = MXCSR_RESET, mask = MXCSR_ALL;
    memset(bt->xsave, 0, sizeof bt->xsave);
    memcpy(bt->xsave + XSAVE_FCW, &fcw, sizeof fcw);
    memcpy(bt->xsave + XSAVE_MXCSR, &mxcsr, sizeof mxcsr);
    memcpy(bt->xsave + XSAVE_MXCSR_MASK, &mask, sizeof mask);
    bt->mxcsr_reset = MXCSR_RESET;
    bt->more_mxcsr = host_mxcsr_mask() & ~MXCSR_ALL;
    set_live(bt, 0);
    vectors_mode_changed(bt);
}

// ---- Instructions ----

static bool is_x87(const struct insn *in)
{
    return (in->opcode[0] >= 0xd8 && in->opcode[0] <= 0xdf) || in->id == X86_INS_WAIT;
}

unsigned vectors_of(const struct insn *in)
{
    unsigned needed = 0;
    if (in->vex)
        return VECTORS_AVX;
    if (is_x87(in) || in->id == X86_INS_EMMS)
        return VECTORS_X87;
    for (unsigned i = 0; i < in->operands; i++) {
        needed |= in->op[i].kind == OPERAND_MMX ? VECTORS_X87 : 0;
        needed |= in->op[i].kind == OPERAND_XMM ? VECTORS_SSE : 0;
    }
    return needed ? needed : VECTORS_SSE; // ldmxcsr, stmxcsr
}

unsigned vectors_needed(const struct insn *in)
{
    return is_vector(kind_of(in)) ? vectors_of(in) : 0;
}

bool vectors_announced(const struct bt *bt, const struct insn *in)
{
    static const uint64_t features[] = {
        [KIND_X87] = FEATURE_FPU,     [KIND_SSE2] = FEATURE_SSE2,     [KIND_SSE3] = FEATURE_SSE3,
        [KIND_SSSE3] = FEATURE_SSSE3, [KIND_SSE41] = FEATURE_SSE41,   [KIND_SSE42] = FEATURE_SSE42,
        [KIND_AES] = FEATURE_AES,     [KIND_PCLMUL] = FEATURE_PCLMUL, [KIND_AVX] = FEATURE_AVX,
        [KIND_AVX_INT] = FEATURE_AVX, [KIND_AVX2] = FEATURE_AVX2,     [KIND_FMA] = FEATURE_FMA,
        [KIND_F16C] = FEATURE_F16C,   [KIND_SHA] = FEATURE_SHA,
    };
    enum kind kind = kind_of(in);
    if (!is_vector(kind))
        return true;
    if (in->vex && !cpuid_has(bt, FEATURE_AVX))
        return false;
    return cpuid_has(bt, kind == KIND_AVX_INT && in->vex_l ? FEATURE_AVX2 : features[kind]);
}

bool vectors_left_to_c(const struct bt *bt, const struct insn *in)
{
    return bt->more_mxcsr && (in->id == X86_INS_LDMXCSR || in->id == X86_INS_VLDMXCSR);
}

bool vectors_aligned(const struct insn *in, const struct x86_operand *memory)
{
    switch (in->id) {
    case X86_INS_VMOVAPS:
    case X86_INS_VMOVAPD:
    case X86_INS_VMOVDQA:
    case X86_INS_VMOVNTPS:
    case X86_INS_VMOVNTPD:
    case X86_INS_VMOVNTDQ:
    case X86_INS_VMOVNTDQA:
        return true;
    case X86_INS_MOVUPS:
    case X86_INS_MOVUPD:
    case X86_INS_MOVDQU:
    case X86_INS_LDDQU:
    case X86_INS_PCMPESTRI:
    case X86_INS_PCMPESTRM:
    case X86_INS_PCMPISTRI:
    case X86_INS_PCMPISTRM:
        return false;
    default:
        return !in->vex && memory->size == 16;
    }
}

bool vectors_anywhere(const struct insn *in)
{
    return in->id == X86_INS_VCVTPH2PS || in->id == X86_INS_VCVTPS2PH;
}

// ---- What may be used (SDM vol. 3, 2.5; vol. 1, 13.3; vol. 2, 2.4) ----

static unsigned allowed(const struct bt *bt)
{
    unsigned classes = 0;
    const uint64_t avx = XSTATE_SSE | XSTATE_AVX;
    if (bt->cr0 & CR0_TS)
        return 0;
    if (!(bt->cr0 & CR0_EM))
        classes |= VECTORS_X87 | (bt->cr4 & CR4_OSFXSR ? VECTORS_SSE : 0);
    if (bt->cr4 & CR4_OSXSAVE && (bt->xcr0 & avx) == avx)
        classes |= VECTORS_AVX;
    return classes;
}

static unsigned announced(const struct bt *bt)
{
    return (cpuid_has(bt, FEATURE_FPU) ? VECTORS_X87 : 0) | (cpuid_has(bt, FEATURE_FXSR) ? VECTORS_SSE : 0) |
           (cpuid_has(bt, FEATURE_AVX) ? VECTORS_AVX : 0);
}

void vectors_mode_changed(struct bt *bt)
{
    bt->vectors = allowed(bt);
    bt->vectors_all = !(announced(bt) & ~bt->vectors);
}

void vectors_home(struct bt *bt)
{
    if (bt->vectors_away)
        direct_take_vectors(bt);
}

void vectors_wake(struct bt *bt)
{
    vectors_home(bt);
    if (bt->live != bt->vectors)
        set_live(bt, bt->vectors);
}

void vectors_sleep(struct bt *bt)
{
    if (bt->live)
        set_live(bt, 0);
}

static bool is_mmx(const struct insn *in)
{
    if (in->id == X86_INS_EMMS)
        return true;
    for (unsigned i = 0; i < in->operands; i++)
        if (in->op[i].kind == OPERAND_MMX)
            return true;
    return false;
}

_Noreturn void vectors_refuse(struct bt *bt, const struct insn *in)
{
    unsigned needed = vectors_of(in);
    const uint64_t avx = XSTATE_SSE | XSTATE_AVX;
    bool undefined = false;
    if (needed & VECTORS_AVX)
        undefined = !(bt->cr4 & CR4_OSXSAVE) || (bt->xcr0 & avx) != avx;
    if (needed & VECTORS_SSE)
        undefined |= bt->cr0 & CR0_EM || !(bt->cr4 & CR4_OSFXSR);
    if (is_mmx(in))
        undefined |= (bt->cr0 & CR0_EM) != 0;
    raise_exception(bt, undefined ? VEC_UD : VEC_NM);
}

// ---- The image ----

static uint64_t *header(struct bt *bt)
{
    return (uint64_t *)(void *)(bt->xsave + XSAVE_HEADER);
}

// xrstor objects to reserved bits of MXCSR and to what the header must not say (SDM vol. 1, 13.8.1).
static void tidy_header(struct bt *bt)
{
    uint32_t mxcsr;
    memcpy(&mxcsr, bt->xsave + XSAVE_MXCSR, sizeof mxcsr);
    mxcsr &= MXCSR_ALL;
    memcpy(bt->xsave + XSAVE_MXCSR, &mxcsr, sizeof mxcsr);
    header(bt)[0] &= XSTATE_ALL;
    memset(header(bt) + 1, 0, 56);
}

void vectors_from_image(struct bt *bt, const uint8_t *image)
{
    memcpy(bt->xsave, image, XSAVE_BYTES);
    tidy_header(bt);
    vectors_settle_x87(bt);
    bt->vectors_away = false;
}

static uint16_t get16(const uint8_t *at)
{
    uint16_t v;
    memcpy(&v, at, sizeof v);
    return v;
}

static void set16(uint8_t *at, unsigned v)
{
    memcpy(at, &(uint16_t){(uint16_t)v}, 2);
}

bool vectors_pending(const struct bt *bt)
{
    return bt->xsave[XSAVE_HEADER] & XSTATE_X87 && get16(bt->xsave + XSAVE_FSW) & FSW_ES;
}

void vectors_settle_x87(struct bt *bt)
{
    uint8_t *image = bt->xsave;
    unsigned fcw = (get16(image + XSAVE_FCW) & FCW_WRITABLE) | FCW_FIXED1;
    unsigned fsw = get16(image + XSAVE_FSW) & ~(FSW_ES | FSW_B);
    if (fsw & ~fcw & FSW_EXCEPTIONS)
        fsw |= FSW_ES | FSW_B;
    set16(image + XSAVE_FCW, fcw);
    set16(image + XSAVE_FSW, fsw);
    image[XSAVE_FTW + 1] = 0;
    set16(image + XSAVE_FOP, get16(image + XSAVE_FOP) & FOP_BITS);
    for (unsigned i = 0; i < 8; i++)
        memset(image + XSAVE_ST + 16 * i + 10, 0, 6);
}

void vectors_enter_mmx(struct bt *bt)
{
    uint8_t *image = vectors_image(bt), old[8][16];
    unsigned fsw = get16(image + XSAVE_FSW), top = fsw >> FSW_TOP_SHIFT & 7;
    memcpy(old, image + XSAVE_ST, sizeof old);
    for (unsigned i = 0; i < 8; i++) // st(i) is register top + i
        memcpy(image + XSAVE_ST + 16 * ((top + i) & 7), old[i], 16);
    set16(image + XSAVE_FSW, fsw & ~(7u << FSW_TOP_SHIFT));
    image[XSAVE_FTW] = 0xff;
    *header(bt) |= XSTATE_X87;
}

void vectors_from_frame(struct bt *bt, const void *frame)
{
    if (frame && bt->live)
        vectors_from_image(bt, frame);
}

// The host's rip and operand address of the last x87 instruction, as the guest's. Where its CCF is gone nobody knows.
static void tidy_pointers(struct bt *bt)
{
    uint8_t *image = bt->xsave;
    uint64_t fip, fdp;
    const struct point *point;
    memcpy(&fip, image + XSAVE_FIP, sizeof fip);
    memcpy(&fdp, image + XSAVE_FDP, sizeof fdp);
    if (!(get16(image + XSAVE_FSW) & FSW_ES)) {
        memset(image + XSAVE_FOP, 0, XSAVE_MXCSR - XSAVE_FOP);
        return;
    }
    const uint8_t *host = (const uint8_t *)(uintptr_t)fip;
    if (!tc_contains(bt->tc, host))
        return;
    const struct ccf *ccf = tc_ccf_at(bt->tc, host, &point);
    fip = ccf ? ccf->rip + point->guest : 0;
    fdp = ccf && ccf->world == WORLD_FAST && fdp ? fdp - BT_BIAS : 0;
    memcpy(image + XSAVE_FIP, &fip, sizeof fip);
    memcpy(image + XSAVE_FDP, &fdp, sizeof fdp);
}

uint8_t *vectors_image(struct bt *bt)
{
    uint8_t *image = bt->xsave;
    const uint16_t fcw = FCW_RESET;
    const uint32_t mask = MXCSR_ALL;
    vectors_home(bt);
    if (header(bt)[0] & XSTATE_X87) {
        tidy_pointers(bt);
    } else {
        memset(image, 0, XSAVE_MXCSR);
        memcpy(image + XSAVE_FCW, &fcw, sizeof fcw);
        memset(image + XSAVE_ST, 0, XSAVE_XMM - XSAVE_ST);
    }
    if (!(header(bt)[0] & XSTATE_SSE))
        memset(image + XSAVE_XMM, 0, 256);
    if (!(header(bt)[0] & XSTATE_AVX))
        memset(image + XSAVE_YMM, 0, 256);
    memcpy(image + XSAVE_MXCSR_MASK, &mask, sizeof mask); // an AMD host's own has a bit more
    return image;
}

// SPDX-License-Identifier: BSD-2-Clause
// fxsave, fxrstor, xsave, xsaveopt, xrstor, xgetbv, xsetbv (SDM vol. 1, 10.5 and ch. 13; vol. 2 under each name). An
// area is looked at as a whole before any of it is written. Components have the numbers of XCR0's bits.
#include "engines/interp/xsave.h"

#include <string.h>

#include "engines/interp/fault.h"
#include "engines/interp/insn_args.h"
#include "engines/interp/mmu.h"
#include "engines/interp/mxcsr.h"
#include "engines/interp/simd.h"

// Offsets (SDM vol. 1, tables 10-2 and 13-1)
enum {
    AT_MXCSR = 24,
    AT_MXCSR_MASK = 28,
    AT_X87_END = 160,
    AT_XMM = 160,
    AT_XMM_END = 416,
    AT_HEADER = 512, // XSTATE_BV, XCOMP_BV, 48 reserved bytes
    AT_XCOMP_BV = 520,
    AT_AVX = 576,
    AREA_END = 832,
    FXSAVE_BYTES = 512,
};

// ---- Components to and from an area ----

static void put_mxcsr(uint32_t mxcsr, uint8_t *area)
{
    uint32_t mask = MXCSR_DEFINED;
    memcpy(area + AT_MXCSR, &mxcsr, 4);
    memcpy(area + AT_MXCSR_MASK, &mask, 4);
}

// Outside 64-bit mode instructions know of eight registers only.
static unsigned registers(const struct cpu *c)
{
    return c->mode == X86_CODE64 ? 16 : 8;
}

static void put_registers(const struct cpu *c, uint64_t components, unsigned count, uint8_t *area)
{
    for (unsigned i = 0; i < count; i++) {
        if (components & XCR0_SSE)
            memcpy(area + AT_XMM + 16 * i, &c->ymm[i].lo, 16);
        if (components & XCR0_AVX)
            memcpy(area + AT_AVX + 16 * i, &c->ymm[i].hi, 16);
    }
}

// Components that are not in `present` get their initial configuration.
static void take_registers(struct cpu *c, uint64_t components, uint64_t present, unsigned count, const uint8_t *area)
{
    for (unsigned i = 0; i < count; i++) {
        if (components & XCR0_SSE)
            memset(&c->ymm[i].lo, 0, 16);
        if (components & XCR0_AVX)
            memset(&c->ymm[i].hi, 0, 16);
        if (components & present & XCR0_SSE)
            memcpy(&c->ymm[i].lo, area + AT_XMM + 16 * i, 16);
        if (components & present & XCR0_AVX)
            memcpy(&c->ymm[i].hi, area + AT_AVX + 16 * i, 16);
    }
}

static void take_x87(struct cpu *c, bool present, const uint8_t *area, bool wide)
{
    if (present)
        x87_from_image(&c->x87, area, wide);
    else
        x87_reset(&c->x87);
}

// XINUSE (SDM vol. 1, 13.6): components that are not in their initial configuration, SSE with MXCSR.
static uint64_t in_use(struct cpu *c)
{
    static const uint8_t zero[16];
    uint8_t image[X87_IMAGE_BYTES] = {0}, initial[X87_IMAGE_BYTES] = {0};
    struct x87 reset;
    uint64_t used = mxcsr_read(c) == MXCSR_INIT ? 0 : XCR0_SSE;
    x87_reset(&reset);
    x87_to_image(&c->x87, image, true);
    x87_to_image(&reset, initial, true);
    if (memcmp(image, initial, sizeof image))
        used |= XCR0_X87;
    for (unsigned i = 0; i < 16; i++) {
        used |= memcmp(&c->ymm[i].lo, zero, 16) ? XCR0_SSE : 0;
        used |= memcmp(&c->ymm[i].hi, zero, 16) ? XCR0_AVX : 0;
    }
    return used;
}

// AVX is named where it is not in its initial configuration only: a KVM without AVX refuses an area that names it.
void xsave_all(const struct cpu *c, uint8_t *area)
{
    static const uint8_t zero[16];
    uint64_t components = XCR0_X87 | XCR0_SSE;
    for (unsigned i = 0; i < 16; i++)
        components |= memcmp(&c->ymm[i].hi, zero, 16) ? XCR0_AVX : 0;
    x87_to_image(&c->x87, area, true);
    put_mxcsr(c->mxcsr, area);
    put_registers(c, XCR0_SUPPORTED, 16, area);
    memcpy(area + AT_HEADER, &components, 8);
}

// An area that no xsave has written has no MXCSR: its mask tells.
void xrstor_all(struct cpu *c, const uint8_t *area)
{
    uint64_t present;
    uint32_t mxcsr, mask;
    memcpy(&present, area + AT_HEADER, 8);
    memcpy(&mxcsr, area + AT_MXCSR, 4);
    memcpy(&mask, area + AT_MXCSR_MASK, 4);
    take_x87(c, present & XCR0_X87, area, true);
    take_registers(c, XCR0_SUPPORTED, present, 16, area);
    c->mxcsr = mask || present & (XCR0_SSE | XCR0_AVX) ? mxcsr & MXCSR_DEFINED : MXCSR_INIT;
    c->mxcsr_unmasked = (c->mxcsr & MXCSR_MASKS) != MXCSR_MASKS;
}

// ---- Areas in memory ----

// #GP; #AC, where alignment is checked, before it for what is not even a doubleword's (SDM vol. 2, FXSAVE, leaves open
// how much of that there is).
static void check_alignment(struct cpu *c, const struct op *op, uint64_t va, unsigned size)
{
    mem_check_area(c, op, va, 4);
    simd_align(c, op, va, size);
}

// An area has two pages at most. Processors look at its end first.
static void probe_write(struct cpu *c, const struct op *op, uint64_t va, unsigned size)
{
    mem_probe_write(c, op, va + size - 1, 1);
    mem_probe_write(c, op, va, 1);
}

// ---- fxsave, fxrstor: aux tells REX.W ----

static void need_fxsr(struct cpu *c, const struct op *op)
{
    if (c->cr0 & (CR0_EM | CR0_TS))
        raise_exception(c, op, VEC_NM);
}

static void fxsave(struct cpu *c, const struct op *op)
{
    uint8_t area[AT_XMM_END] = {0};
    uint64_t va = ea(c, op);
    need_fxsr(c, op);
    check_alignment(c, op, va, 16);
    probe_write(c, op, va, FXSAVE_BYTES);
    x87_to_image(&c->x87, area, op->aux);
    put_mxcsr(mxcsr_read(c), area);
    put_registers(c, XCR0_SSE, registers(c), area);
    mem_write_bytes(c, op, va, area, AT_XMM + 16 * registers(c), 1);
}
static HANDLER(op_fxsave)
{
    fxsave(c, op);
    NEXT;
}

static void fxrstor(struct cpu *c, const struct op *op)
{
    uint8_t area[FXSAVE_BYTES];
    uint64_t va = ea(c, op);
    uint32_t mxcsr;
    need_fxsr(c, op);
    check_alignment(c, op, va, 16);
    load8(c, op, va + FXSAVE_BYTES - 1);
    mem_read_bytes(c, op, va, area, sizeof area, 1);
    memcpy(&mxcsr, area + AT_MXCSR, 4);
    if (mxcsr & ~MXCSR_DEFINED)
        raise_error(c, op, VEC_GP, 0);
    take_x87(c, true, area, op->aux);
    take_registers(c, XCR0_SSE, XCR0_SSE, registers(c), area);
    mxcsr_write(c, mxcsr);
}
static HANDLER(op_fxrstor)
{
    fxrstor(c, op);
    NEXT;
}

// ---- xsave, xsaveopt, xrstor (SDM vol. 1, 13.7 to 13.9): aux bit 0: REX.W, bit 1: xsaveopt ----

static void need_xsave(struct cpu *c, const struct op *op)
{
    if (!(c->cr4 & CR4_OSXSAVE))
        raise_exception(c, op, VEC_UD);
    if (c->cr0 & CR0_TS)
        raise_exception(c, op, VEC_NM);
}

// RFBM: what edx:eax asks for of what XCR0 has.
static uint64_t requested(const struct cpu *c)
{
    return c->xcr0 & ((uint64_t)get32(c, RDX) << 32 | get32(c, RAX));
}

static void write_part(struct cpu *c, const struct op *op, uint64_t va, const uint8_t *area, unsigned from, unsigned to)
{
    mem_write_bytes(c, op, va + from, area + from, to - from, 1);
}

static void xsave(struct cpu *c, const struct op *op)
{
    uint8_t area[AREA_END] = {0};
    uint64_t va = ea(c, op), rfbm = requested(c), used = in_use(c), bv;
    need_xsave(c, op);
    check_alignment(c, op, va, 64);
    probe_write(c, op, va, rfbm & XCR0_AVX ? AREA_END : AT_AVX);
    mem_read_bytes(c, op, va + AT_HEADER, &bv, 8, 1);
    bv = (bv & ~rfbm) | (used & rfbm);
    uint64_t write = op->aux & 2 ? rfbm & used : rfbm;
    x87_to_image(&c->x87, area, op->aux & 1);
    put_mxcsr(mxcsr_read(c), area);
    put_registers(c, write, registers(c), area);
    memcpy(area + AT_HEADER, &bv, 8);
    if (write & XCR0_X87)
        write_part(c, op, va, area, 0, AT_MXCSR);
    if (rfbm & (XCR0_SSE | XCR0_AVX))
        write_part(c, op, va, area, AT_MXCSR, AT_MXCSR + 8);
    if (write & XCR0_X87)
        write_part(c, op, va, area, AT_MXCSR + 8, AT_X87_END);
    if (write & XCR0_SSE)
        write_part(c, op, va, area, AT_XMM, AT_XMM + 16 * registers(c));
    write_part(c, op, va, area, AT_HEADER, AT_HEADER + 8);
    if (write & XCR0_AVX)
        write_part(c, op, va, area, AT_AVX, AT_AVX + 16 * registers(c));
}
static HANDLER(op_xsave)
{
    xsave(c, op);
    NEXT;
}

static void xrstor(struct cpu *c, const struct op *op)
{
    uint8_t area[AREA_END];
    uint64_t va = ea(c, op), rfbm = requested(c), header[3];
    uint32_t mxcsr;
    need_xsave(c, op);
    check_alignment(c, op, va, 64);
    load8(c, op, va + AT_XCOMP_BV);
    load8(c, op, va + (rfbm & XCR0_AVX ? AREA_END : AT_AVX) - 1);
    mem_read_bytes(c, op, va, area, AT_AVX, 1);
    memcpy(header, area + AT_HEADER, sizeof header);
    memcpy(&mxcsr, area + AT_MXCSR, 4);
    bool sse = rfbm & (XCR0_SSE | XCR0_AVX);
    if (header[0] & ~c->xcr0 || header[1] || header[2] || (sse && mxcsr & ~MXCSR_DEFINED))
        raise_error(c, op, VEC_GP, 0);
    if (rfbm & header[0] & XCR0_AVX)
        mem_read_bytes(c, op, va + AT_AVX, area + AT_AVX, AREA_END - AT_AVX, 1);
    if (rfbm & XCR0_X87)
        take_x87(c, header[0] & XCR0_X87, area, op->aux & 1);
    take_registers(c, rfbm, header[0], registers(c), area);
    if (sse)
        mxcsr_write(c, mxcsr);
}
static HANDLER(op_xrstor)
{
    xrstor(c, op);
    NEXT;
}

bool lower_xsave(struct lower *l, const struct insn *in, unsigned arg)
{
    static op_fn *const fns[] = {[XSAVE_FXSAVE] = op_fxsave,
                                 [XSAVE_FXRSTOR] = op_fxrstor,
                                 [XSAVE_XSAVE] = op_xsave,
                                 [XSAVE_XRSTOR] = op_xrstor,
                                 [XSAVE_XSAVEOPT] = op_xsave};
    unsigned feature = arg <= XSAVE_FXRSTOR    ? X86_FEATURE_FXSR
                       : arg == XSAVE_XSAVEOPT ? X86_FEATURE_XSAVEOPT
                                               : X86_FEATURE_XSAVE;
    if (!simd_has(l, feature))
        return false;
    emit_mem(l, fns[arg], in, &in->op[0])->aux = (uint8_t)(in->rex_w | (arg == XSAVE_XSAVEOPT) << 1);
    return true;
}

// ---- xgetbv, xsetbv: XCR0 is the one register ----

static HANDLER(op_xgetbv)
{
    if (!(c->cr4 & CR4_OSXSAVE))
        raise_exception(c, op, VEC_UD);
    if (get32(c, RCX) != 0)
        raise_error(c, op, VEC_GP, 0);
    set64(c, RAX, (uint32_t)c->xcr0);
    set64(c, RDX, c->xcr0 >> 32);
    NEXT;
}

// x87 is always on, and AVX needs SSE (SDM vol. 1, 13.3).
static HANDLER(op_xsetbv)
{
    uint64_t v = (uint64_t)get32(c, RDX) << 32 | get32(c, RAX);
    uint64_t supported = c->features & X86_FEATURE_BIT(AVX) ? XCR0_SUPPORTED : XCR0_X87 | XCR0_SSE;
    if (!(c->cr4 & CR4_OSXSAVE))
        raise_exception(c, op, VEC_UD);
    if (c->cpl != 0 || get32(c, RCX) != 0 || v & ~supported || !(v & XCR0_X87) || (v & XCR0_AVX && !(v & XCR0_SSE)))
        raise_error(c, op, VEC_GP, 0);
    c->xcr0 = v;
    return leave(c, op, op_next_rip(c, op));
}

bool lower_xcr(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)in;
    if (!simd_has(l, X86_FEATURE_XSAVE))
        return false;
    emit(l, arg == XCR_WRITE ? op_xsetbv : op_xgetbv);
    l->ends = arg == XCR_WRITE;
    return true;
}

// SPDX-License-Identifier: BSD-2-Clause
// MXCSR, ldmxcsr and stmxcsr, and the way to #XM.
#include "engines/interp/mxcsr.h"

#include <xmmintrin.h>

#include "engines/interp/fault.h"
#include "engines/interp/mmu.h"
#include "engines/interp/simd.h"

void mxcsr_enter(struct cpu *c)
{
    c->host_mxcsr = _mm_getcsr();
    if (c->host_mxcsr != (c->mxcsr | MXCSR_MASKS)) // loading it takes longer than looking
        _mm_setcsr(c->mxcsr | MXCSR_MASKS);
}

void mxcsr_leave(struct cpu *c)
{
    c->mxcsr = mxcsr_read(c);
    if (((c->mxcsr | MXCSR_MASKS) ^ c->host_mxcsr) & ~MXCSR_FLAGS) // flags alone disturb nobody
        _mm_setcsr(c->host_mxcsr);
}

uint32_t mxcsr_read(struct cpu *c)
{
    return (c->mxcsr & ~MXCSR_FLAGS) | (_mm_getcsr() & MXCSR_FLAGS);
}

void mxcsr_write(struct cpu *c, uint32_t value)
{
    c->mxcsr = value;
    c->mxcsr_unmasked = (value & MXCSR_MASKS) != MXCSR_MASKS;
    _mm_setcsr(value | MXCSR_MASKS);
}

// ---- Unmasked exceptions ----
// Flags found so far are kept in c->mxcsr meanwhile.

COLD void mxcsr_begin(struct cpu *c)
{
    c->mxcsr = mxcsr_read(c);
    c->mxcsr_pass = 0;
    uint32_t off = c->mxcsr & MXCSR_UE << MXCSR_MASK_SHIFT ? 0 : MXCSR_FTZ; // works only where underflow is masked
    _mm_setcsr((c->mxcsr & ~(MXCSR_FLAGS | off)) | MXCSR_MASKS);
}

static _Noreturn void raise(struct cpu *c, const struct op *op, uint32_t flags)
{
    mxcsr_write(c, c->mxcsr | flags);
    raise_exception(c, op, c->cr4 & CR4_OSXMMEXCPT ? VEC_XM : VEC_UD);
}

// What the instruction raised, all masked, is in the host's flags. Invalid, denormal and divide-by-zero are found
// before anything is computed: where one of them is unmasked, the others do not come up (SDM vol. 1, 11.5.2). Unmasked
// underflow is a tiny result, inexact or not: that FTZ would flush, which a second pass tells (11.5.2.5). Not so in the
// first pass, where FTZ is the guest's: dpps has sums of products, which are flushed or else denormal operands.
COLD bool mxcsr_again(struct cpu *c, const struct op *op)
{
    const uint32_t before = MXCSR_IE | MXCSR_DE | MXCSR_ZE;
    uint32_t flags = _mm_getcsr() & MXCSR_FLAGS, unmasked = ~c->mxcsr >> MXCSR_MASK_SHIFT & MXCSR_FLAGS;
    if (c->mxcsr_pass++ == 0) {
        if (flags & unmasked & before)
            raise(c, op, flags & before);
        c->mxcsr_flags = flags;
        if (unmasked & MXCSR_UE) {
            _mm_setcsr((c->mxcsr & ~MXCSR_FLAGS) | MXCSR_MASKS | MXCSR_FTZ);
            return true;
        }
    } else {
        c->mxcsr_flags |= flags & MXCSR_UE;
    }
    if (c->mxcsr_flags & unmasked)
        raise(c, op, c->mxcsr_flags);
    mxcsr_write(c, c->mxcsr | c->mxcsr_flags);
    return false;
}

// ---- ldmxcsr, stmxcsr ----

static HANDLER(op_ldmxcsr)
{
    uint32_t v = load32(c, op, ea(c, op));
    if (v & ~MXCSR_DEFINED)
        raise_error(c, op, VEC_GP, 0);
    mxcsr_write(c, v);
    NEXT;
}

static HANDLER(op_stmxcsr)
{
    store32(c, op, ea(c, op), mxcsr_read(c));
    NEXT;
}

bool lower_mxcsr(struct lower *l, const struct insn *in, unsigned arg)
{
    if (!simd_has(l, in->vex ? X86_FEATURE_AVX : X86_FEATURE_SSE))
        return false;
    simd_check(l, in);
    emit_mem(l, arg == MXCSR_LOAD ? op_ldmxcsr : op_stmxcsr, in, &in->op[0]);
    return true;
}

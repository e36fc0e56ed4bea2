// SPDX-License-Identifier: BSD-2-Clause
// What all SSE and AVX instructions share: control bits, memory operands, and lowering by the templates' tables.
#include "engines/interp/simd.h"

// ---- Memory operands that are not plain memory within one page ----

COLD const void *simd_read_slow(struct cpu *c, const struct op *op, uint64_t va, unsigned size)
{
    mem_read_bytes(c, op, va, &c->operand, size, 1);
    return &c->operand;
}

COLD void simd_write_slow(struct cpu *c, const struct op *op, uint64_t va, const void *from, unsigned size)
{
    mem_write_bytes(c, op, va, from, size, 1);
}

// ---- Control bits (SDM vol. 3, 13.1 and 13.5.1; vol. 2, 2.4) ----

#define XCR0_SSE_AVX 6u

static HANDLER(op_check_sse)
{
    if (UNLIKELY(c->cr0 & CR0_EM || !(c->cr4 & CR4_OSFXSR)))
        raise_exception(c, op, VEC_UD);
    if (UNLIKELY(c->cr0 & CR0_TS))
        raise_exception(c, op, VEC_NM);
    NEXT;
}

static HANDLER(op_check_avx)
{
    if (UNLIKELY(!(c->cr4 & CR4_OSXSAVE) || (c->xcr0 & XCR0_SSE_AVX) != XCR0_SSE_AVX))
        raise_exception(c, op, VEC_UD);
    if (UNLIKELY(c->cr0 & CR0_TS))
        raise_exception(c, op, VEC_NM);
    NEXT;
}

// What changes these bits within a block ends it, but for clts, which can only allow more.
void simd_check(struct lower *l, const struct insn *in)
{
    bool *checked = in->vex ? &l->checked_avx : &l->checked_sse;
    if (!*checked)
        emit(l, in->vex ? op_check_avx : op_check_sse);
    *checked = true;
}

// ---- Lowering ----

static op_fn *form_of(const struct insn *in, const struct simd_row *row, bool mem, bool imm)
{
    if (!in->vex)
        return mem ? row->rm : imm ? row->ri : row->rr;
    if (!in->vex_l || (!row->yrr && !row->yri))
        return mem ? row->xrm : imm ? row->xri : row->xrr;
    return mem ? row->yrm : imm ? row->yri : row->yrr;
}

// Operands are destination, a where VEX has it, b, and an immediate; a shift by an immediate has no other b.
bool simd_lower(struct lower *l, const struct insn *in, const struct simd_row *row)
{
    unsigned last = in->operands - 1u;
    bool has_imm = in->op[last].kind == OPERAND_IMM, by_imm = has_imm && row->ri && last == (in->vex ? 2u : 1u);
    const struct x86_operand *b = &in->op[has_imm && !by_imm ? last - 1 : last];
    op_fn *fn = form_of(in, row, is_mem(b), by_imm);
    if (!fn || !simd_has(l, !in->vex ? row->legacy : in->vex_l ? row->y : row->x))
        return false;
    simd_check(l, in);
    struct op *op = is_mem(b) ? emit_mem(l, fn, in, b) : emit(l, fn);
    op->dst = in->op[0].reg;
    op->aux = in->vex ? in->op[1].reg : in->op[0].reg;
    op->src = is_mem(b) ? 0 : b->reg;
    op->imm = has_imm ? (int32_t)in->op[last].imm : 0;
    return true;
}

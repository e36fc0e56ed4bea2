// SPDX-License-Identifier: BSD-2-Clause
// From decoded instructions to ops: the table of insns.def, LOCK's rules, and the frame around the lowering functions.
#include "engines/interp/lower.h"

#include <string.h>

#include "engines/interp/branch.h"
#include "engines/interp/fault.h"
#include "engines/interp/insn_args.h"
#include "engines/interp/lowering.h"
#include "engines/interp/mmx.h"
#include "engines/interp/simd_args.h"
#include "engines/interp/window.h"
#include "x86/encoding.h"

struct row {
    lower_fn *fn;
    unsigned arg;
};

static const struct row rows[X86_INS_ENDING] = {
#define INSN(mnemonic, fn, arg) [X86_INS_##mnemonic] = {fn, arg},
#define INSN_MMX(mnemonic, fn, arg)
#define INSN_VEX(mnemonic, fn, arg) INSN(mnemonic, fn, arg) INSN(V##mnemonic, fn, arg)
#include "engines/interp/insns.def"
#undef INSN_VEX
#define SIMD(name, ...) INSN_SIMD(name) INSN_SIMD_VEX(name)
#define SIMD_VEX(name, ...) INSN_SIMD(name)
#define SIMD_LEGACY(name, ...) INSN_SIMD(name)
#define FMA(name, ...) INSN_SIMD(name)
#define INSN_SIMD(name) INSN(name, lower_simd_int, SIMD_##name)
#define INSN_SIMD_VEX(name) INSN(V##name, lower_simd_int, SIMD_##name)
#include "engines/interp/simd_int.def"
#undef INSN_SIMD
#undef INSN_SIMD_VEX
#define INSN_SIMD(name) INSN(name, lower_simd_float, SIMD_##name)
#define INSN_SIMD_VEX(name) INSN(V##name, lower_simd_float, SIMD_##name)
#include "engines/interp/simd_float.def"
#undef INSN_SIMD
#undef INSN_SIMD_VEX
#undef SIMD
#undef SIMD_VEX
#undef SIMD_LEGACY
#undef FMA
#undef INSN
#undef INSN_MMX
};

static const struct row mmx_rows[X86_INS_ENDING] = {
#define INSN(mnemonic, fn, arg)
#define INSN_MMX(mnemonic, fn, arg) [X86_INS_##mnemonic] = {fn, arg},
#define INSN_VEX(mnemonic, fn, arg)
#include "engines/interp/insns.def"
#undef INSN
#undef INSN_VEX
#undef INSN_MMX
};

#define INSN(mnemonic, fn, arg) [X86_INS_##mnemonic] = {fn, arg},
static const struct row legacy_rows[X86_INS_ENDING] = {
#include "engines/interp/insns_legacy.def"
};
#undef INSN

static const struct row *row_of(const struct insn *in)
{
    const struct row *table = rows;
    bool sse = (in->id == X86_INS_MOVSD || in->id == X86_INS_CMPSD) && in->opcode[0] == 0x0f; // not the string ones
    if (in->mode != X86_CODE64 && in->id < X86_INS_ENDING && legacy_rows[in->id].fn && !sse)
        table = legacy_rows;
    for (unsigned i = 0; i < in->operands; i++)
        table = in->op[i].kind == OPERAND_MMX ? mmx_rows : table;
    return in->id < X86_INS_ENDING && table[in->id].fn ? &table[in->id] : NULL;
}

struct op *emit(struct lower *l, op_fn *fn)
{
    struct op *op = l->next++;
    *op = (struct op){
        .fn = fn, .off = l->off, .index = REG_ZERO, .base = REG_ZERO, .seg = X86_NO_SEG, .len = l->len, .nth = l->nth};
    return op;
}

// Pseudo-op: the 32-bit effective address, without the segment base, into REG_EA.
static HANDLER(op_ea32)
{
    c->gpr[REG_EA] = (uint32_t)ea(c, op);
    NEXT;
}

// Outside 64-bit mode: the linear address. seg, and in src whether it is written, say which window the imm bytes at the
// offset must lie in.
static HANDLER(op_linear32)
{
    uint32_t offset = (uint32_t)(c->gpr[op->base] + (c->gpr[op->index] << op->shift) + (uint64_t)op->disp);
    c->gpr[REG_EA] = seg_linear(c, op, op->seg, offset, (unsigned)op->imm, op->src);
    NEXT;
}

static HANDLER(op_linear16)
{
    uint16_t offset = (uint16_t)(c->gpr[op->base] + c->gpr[op->index] + (uint64_t)op->disp);
    c->gpr[REG_EA] = seg_linear(c, op, op->seg, offset, (unsigned)op->imm, op->src);
    NEXT;
}

struct op *emit_linear(struct lower *l, const struct insn *in, const struct x86_operand *o)
{
    struct op *op = emit(l, in->addr_size == 2 ? op_linear16 : op_linear32);
    op->base = o->mem.base;
    op->index = o->mem.index;
    op->shift = o->mem.shift;
    op->disp = o->mem.disp;
    op->seg = o->mem.seg;
    op->imm = o->size ? o->size : 1;
    op->src = o->written;
    return op;
}

static struct op *emit_mem_legacy(struct lower *l, op_fn *fn, const struct insn *in, const struct x86_operand *o)
{
    emit_linear(l, in, o);
    struct op *op = emit(l, fn);
    op->base = REG_EA;
    op->stack = in->stack_segment;
    return op;
}

struct op *emit_mem(struct lower *l, op_fn *fn, const struct insn *in, const struct x86_operand *o)
{
    if (in->mode != X86_CODE64)
        return emit_mem_legacy(l, fn, in, o);
    bool short_address = in->addr_size == 4;
    if (short_address) {
        struct op *pre = emit(l, op_ea32);
        pre->base = o->mem.base;
        pre->index = o->mem.index;
        pre->shift = o->mem.shift;
        pre->disp = o->mem.disp;
    }
    struct op *op = emit(l, fn);
    op->base = short_address ? REG_EA : o->mem.base;
    op->index = short_address ? REG_ZERO : o->mem.index;
    op->shift = short_address ? 0 : o->mem.shift;
    op->disp = short_address ? 0 : o->mem.disp;
    op->seg = o->mem.seg;
    op->stack = in->stack_segment;
    return op;
}

static HANDLER(op_undefined)
{
    raise_exception(c, op, VEC_UD);
}

// An instruction that is too long, or reaches beyond its segment's limit.
static HANDLER(op_too_long)
{
    raise_error(c, op, VEC_GP, 0);
}

void lowering_start(struct lowering *low, struct cpu *c, uint64_t rip, struct op *ops)
{
    memset(low, 0, sizeof *low);
    low->l.c = c;
    low->l.rip = rip;
    low->l.next = ops;
}

// What is no instruction: any of its bytes may be why, and a write to it may make one of them.
static void lower_undefined(struct lowering *low, const uint8_t *bytes, unsigned left)
{
    unsigned length = x86_encoded_length(low->l.c->mode, bytes, left);
    bool too_long = length > X86_MAX_INSN;
    low->bytes += too_long ? X86_MAX_INSN : length;
    low->l.ends = true;
    emit(&low->l, too_long ? op_too_long : op_undefined);
}

void lowering_insn(struct lowering *low, const uint8_t *bytes, unsigned left)
{
    struct lower *l = &low->l;
    struct insn in;
    struct op *first = l->next;
    l->off = (uint16_t)low->bytes;
    l->nth = (uint8_t)low->insns;
    bool decoded = x86_decode_mode(&l->c->decoder, l->c->mode, bytes, left, l->rip, &in);
    l->len = decoded ? in.length : 1;

    const struct row *row = decoded ? row_of(&in) : NULL;
    bool exists = row && x86_lock_valid(&in) && row->fn(l, &in, row->arg);
    if (exists) {
        low->bytes += l->len;
    } else {
        l->next = first;
        lower_undefined(low, bytes, left);
    }
    l->last = in;
    l->last_op = exists && l->next == first + 1 ? first : NULL;
    low->insns++;
    l->rip += l->len;
}

void lowering_beyond(struct lowering *low)
{
    low->l.len = 1;
    emit(&low->l, op_too_long);
    low->l.ends = true;
    low->insns = low->bytes = 1;
}

void lowering_finish(struct lowering *low)
{
    struct lower *l = &low->l;
    if (l->ends)
        return;
    l->nth = (uint8_t)low->insns;
    l->off = (uint16_t)low->bytes;
    l->len = 0;
    emit_fallthrough(l, l->rip);
}

// SPDX-License-Identifier: BSD-2-Clause
// From decoded instructions to ops: the table of insns.def, LOCK's rules, and the frame around the lowering functions.
#include "engines/interp/lower.h"

#include <string.h>

#include "engines/interp/branch.h"
#include "engines/interp/fault.h"
#include "engines/interp/insn_args.h"
#include "engines/interp/lowering.h"
#include "engines/interp/mmx.h"

struct row {
    lower_fn *fn;
    unsigned arg;
};

static const struct row rows[X86_INS_ENDING] = {
#define INSN(mnemonic, fn, arg) [X86_INS_##mnemonic] = {fn, arg},
#define INSN_MMX(mnemonic, fn, arg)
#include "engines/interp/insns.def"
#undef INSN
#undef INSN_MMX
};

static const struct row mmx_rows[X86_INS_ENDING] = {
#define INSN(mnemonic, fn, arg)
#define INSN_MMX(mnemonic, fn, arg) [X86_INS_##mnemonic] = {fn, arg},
#include "engines/interp/insns.def"
#undef INSN
#undef INSN_MMX
};

static const struct row *row_of(const struct insn *in)
{
    const struct row *table = rows;
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

struct op *emit_mem(struct lower *l, op_fn *fn, const struct insn *in, const struct x86_operand *o)
{
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

bool lowering_fits(struct lowering *low, const uint8_t *bytes, unsigned left)
{
    struct insn in;
    return left >= X86_MAX_INSN || x86_decode(&low->l.c->decoder, bytes, left, low->l.rip, &in);
}

// 15 bytes that are no instruction, but would be one with a prefix less: longer than the limit (SDM vol. 2, 2.3.11).
static bool is_too_long(struct lowering *low, const uint8_t *bytes, unsigned left)
{
    struct insn in;
    return left > X86_MAX_INSN && x86_decode(&low->l.c->decoder, bytes + 1, X86_MAX_INSN, low->l.rip, &in) &&
           in.length == X86_MAX_INSN;
}

void lowering_insn(struct lowering *low, const uint8_t *bytes, unsigned left)
{
    struct lower *l = &low->l;
    struct insn in;
    struct op *first = l->next;
    l->off = (uint16_t)low->bytes;
    l->nth = (uint8_t)low->insns;
    bool decoded = x86_decode(&l->c->decoder, bytes, left, l->rip, &in);
    l->len = decoded ? in.length : 1;

    const struct row *row = decoded ? row_of(&in) : NULL;
    bool exists = row && x86_lock_valid(&in) && row->fn(l, &in, row->arg);
    if (!exists) {
        l->next = first;
        emit(l, !decoded && is_too_long(low, bytes, left) ? op_too_long : op_undefined);
        l->ends = true;
    }
    l->last = in;
    l->last_op = exists && l->next == first + 1 ? first : NULL;
    low->insns++;
    low->bytes += l->len;
    l->rip += l->len;
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

// SPDX-License-Identifier: BSD-2-Clause
// String instructions outside 64-bit mode. Where the segments are flat and no offset wraps around they are string.c's;
// else this goes element by element, with 16- or 32-bit offsets into segments of any kind (SDM vol. 2, under each
// name).
//
// An op of this file stands before string.c's, and passes on to it or steps over it. In it: aux is the address size,
// seg the segment of the source, imm the element's size, src the instruction, index whether it is repeated, dst what ZF
// must be for a comparison to go on.
#include "engines/interp/fault.h"
#include "engines/interp/flags.h"
#include "engines/interp/forms.h"
#include "engines/interp/window.h"

static uint32_t index_reg(const struct cpu *c, const struct op *op, unsigned reg)
{
    return op->aux == 2 ? get16(c, reg) : get32(c, reg);
}

static void set_index_reg(struct cpu *c, const struct op *op, unsigned reg, uint32_t v)
{
    if (op->aux == 2)
        set16(c, reg, v);
    else
        set32(c, reg, v);
}

static void advance(struct cpu *c, const struct op *op, unsigned reg)
{
    uint32_t stride = c->rflags & FLAG_DF ? -(uint32_t)op->imm : (uint32_t)op->imm;
    set_index_reg(c, op, reg, index_reg(c, op, reg) + stride);
}

static bool uses_source(const struct op *op)
{
    return op->src == STRING_MOVS || op->src == STRING_LODS || op->src == STRING_CMPS;
}
static bool uses_destination(const struct op *op)
{
    return op->src != STRING_LODS;
}
static bool writes(const struct op *op)
{
    return op->src == STRING_MOVS || op->src == STRING_STOS;
}
static bool compares(const struct op *op)
{
    return op->src == STRING_CMPS || op->src == STRING_SCAS;
}

// ---- May string.c do it? ----

// n elements from there on stay within 32 bits.
static bool stays(const struct cpu *c, const struct op *op, unsigned reg, uint64_t n)
{
    uint64_t at = get32(c, reg), size = (uint64_t)op->imm;
    if (at + size > 1ull << 32)
        return false;
    return c->rflags & FLAG_DF ? n <= at / size + 1 : at + n * size <= 1ull << 32;
}

static bool is_plain(const struct cpu *c, const struct op *op)
{
    uint64_t n = op->index ? get32(c, RCX) : 1;
    if (op->aux == 2)
        return false;
    if (uses_source(op) && (!seg_is_flat(c, op->seg, false) || !stays(c, op, RSI, n)))
        return false;
    return !uses_destination(op) || (seg_is_flat(c, SEG_ES, writes(op)) && stays(c, op, RDI, n));
}

// ---- Element by element ----

static uint32_t load(struct cpu *c, const struct op *op, unsigned seg, unsigned reg)
{
    uint64_t va = seg_linear(c, op, seg, index_reg(c, op, reg), (unsigned)op->imm, false);
    return op->imm == 1 ? load8(c, op, va) : op->imm == 2 ? load16(c, op, va) : load32(c, op, va);
}

static void store(struct cpu *c, const struct op *op, uint32_t v)
{
    uint64_t va = seg_linear(c, op, SEG_ES, index_reg(c, op, RDI), (unsigned)op->imm, true);
    if (op->imm == 1)
        store8(c, op, va, v);
    else if (op->imm == 2)
        store16(c, op, va, v);
    else
        store32(c, op, va, v);
}

static uint32_t accumulator(const struct cpu *c, const struct op *op)
{
    return op->imm == 1 ? get8(c, 0) : op->imm == 2 ? get16(c, RAX) : get32(c, RAX);
}

static void set_accumulator(struct cpu *c, const struct op *op, uint32_t v)
{
    if (op->imm == 1)
        set8(c, 0, v);
    else if (op->imm == 2)
        set16(c, RAX, v);
    else
        set32(c, RAX, v);
}

// What a comparison compares goes to a and b.
static void element(struct cpu *c, const struct op *op, uint32_t *a, uint32_t *b)
{
    *a = uses_source(op) ? load(c, op, op->seg, RSI) : accumulator(c, op);
    if (writes(op))
        store(c, op, *a);
    else if (compares(op))
        *b = load(c, op, SEG_ES, RDI);
    else
        set_accumulator(c, op, *a);
    if (uses_source(op))
        advance(c, op, RSI);
    if (uses_destination(op))
        advance(c, op, RDI);
}

static void compare(struct cpu *c, const struct op *op, uint32_t a, uint32_t b)
{
    if (op->imm == 1)
        flags_sub(c, a, b, (uint8_t)(a - b), 8);
    else if (op->imm == 2)
        flags_sub(c, a, b, (uint16_t)(a - b), 16);
    else
        flags_sub(c, a, b, a - b, 32);
}

// A fault in the middle of a repeated comparison leaves the flags as they were, so they are set at the end. False: the
// run loop wants its turn before the end.
static __attribute__((noinline)) bool repeat(struct cpu *c, const struct op *op)
{
    uint32_t a = 0, b = 0, n = index_reg(c, op, RCX);
    bool go_on = true;
    if (n == 0)
        return true;
    while (go_on) {
        element(c, op, &a, &b);
        set_index_reg(c, op, RCX, --n);
        bool ended = n == 0 || (compares(op) && (a == b) != op->dst);
        go_on = !ended && atomic_load_explicit(&c->limit, memory_order_relaxed) != 0;
        if (ended)
            n = 0;
    }
    if (compares(op))
        compare(c, op, a, b);
    return n == 0;
}

static __attribute__((noinline)) void once(struct cpu *c, const struct op *op)
{
    uint32_t a, b = 0;
    element(c, op, &a, &b);
    if (compares(op))
        compare(c, op, a, b);
}

static HANDLER(op_string)
{
    if (LIKELY(is_plain(c, op)))
        NEXT;
    if (!op->index)
        once(c, op);
    else if (!repeat(c, op))
        return leave_before(c, op);
    GO(op + 2);
}

bool lower_string_legacy(struct lower *l, const struct insn *in, unsigned arg)
{
    bool first = arg == STRING_MOVS || arg == STRING_STOS || arg == STRING_CMPS;
    const struct x86_operand *source = &in->op[arg == STRING_MOVS || arg == STRING_LODS ? 1 : 0];
    struct op *op = emit(l, op_string);
    lower_string(l, in, arg);
    op->aux = in->addr_size;
    op->seg = is_mem(source) ? source->mem.seg : X86_NO_SEG;
    op->imm = in->op[first ? 0 : 1].size;
    op->src = (uint8_t)arg;
    op->index = in->rep || in->repne;
    op->dst = !in->repne;
    struct op *plain = op + 1;
    plain->seg = X86_NO_SEG; // flat
    return true;
}

// SPDX-License-Identifier: BSD-2-Clause
// Segment registers: descriptors, the checks of each kind of load, and the instructions that move selectors. In 64-bit
// mode bases and limits of ES, SS and DS are kept but mean nothing; FS and GS have bases (SDM vol. 3, 3.4.4).
#include "engines/interp/segment.h"

#include "engines/interp/block.h"
#include "engines/interp/fault.h"
#include "engines/interp/flags.h"
#include "engines/interp/lower.h"
#include "engines/interp/mmu.h"
#include "engines/interp/run.h"
#include "engines/interp/window.h"

// ---- Descriptors ----

bool descriptor_find(const struct cpu *c, uint16_t selector, unsigned size, uint64_t *at)
{
    unsigned index = selector & 0xfff8;
    bool local = selector & 4;
    if (local && c->ldtr.unusable)
        return false;
    uint32_t limit = local ? c->ldtr.limit : c->gdtr.limit;
    *at = (local ? c->ldtr.base : c->gdtr.base) + index;
    return index + size - 1 <= limit;
}

struct descriptor descriptor_read(struct cpu *c, const struct op *op, uint16_t selector, unsigned vector, uint32_t ext)
{
    struct descriptor d = {.selector = selector};
    if (!descriptor_find(c, selector, 8, &d.at))
        raise_error(c, op, vector, selector_error(selector) | ext);
    d.low = sys_read(c, op, d.at, 8);
    return d;
}

void descriptor_read_high(struct cpu *c, const struct op *op, struct descriptor *d)
{
    uint64_t at;
    if (!descriptor_find(c, d->selector, 16, &at))
        raise_error(c, op, VEC_GP, selector_error(d->selector));
    d->high = sys_read(c, op, d->at + 8, 8);
    if ((d->high >> 40) & 0x1f) // where a second descriptor would have S and type: SDM vol. 3, 3.5.2
        raise_error(c, op, VEC_GP, selector_error(d->selector));
}

void descriptor_mark(struct cpu *c, const struct op *op, const struct descriptor *d, unsigned type_bits)
{
    unsigned type = (unsigned)(d->low >> 40) & 0xff;
    if ((type & type_bits) != type_bits)
        sys_write(c, op, d->at + 5, 1, type | type_bits);
}

struct segment segment_from(const struct descriptor *d)
{
    return (struct segment){
        .base = descriptor_base(d->low),
        .limit = descriptor_limit(d->low),
        .selector = d->selector,
        .attr = (uint16_t)(descriptor_attr(d->low) | SEG_TYPE_ACCESSED),
    };
}

struct segment segment_null(uint16_t selector, unsigned dpl)
{
    return (struct segment){.selector = selector, .attr = (uint16_t)(dpl << SEG_DPL_SHIFT), .unusable = true};
}

struct segment segment_flat(uint16_t selector, unsigned attr)
{
    return (struct segment){.limit = UINT32_MAX, .selector = selector, .attr = (uint16_t)attr};
}

// ---- Data and stack segments ----

void segment_load_data(struct cpu *c, const struct op *op, unsigned seg, uint16_t selector)
{
    struct segment loaded = segment_null(selector, 0);
    if (!selector_is_null(selector)) {
        struct descriptor d = descriptor_read(c, op, selector, VEC_GP, 0);
        unsigned attr = descriptor_attr(d.low), dpl = descriptor_dpl(d.low), rpl = selector & 3;
        bool conforming = attr_is_code(attr) && attr_is_conforming(attr);
        if (!attr_is_readable(attr) || (!conforming && (rpl > dpl || c->cpl > dpl)))
            raise_error(c, op, VEC_GP, selector_error(selector));
        if (!(attr & SEG_P))
            raise_error(c, op, VEC_NP, selector_error(selector));
        descriptor_mark(c, op, &d, SEG_TYPE_ACCESSED);
        loaded = segment_from(&d);
    }
    c->seg[seg] = loaded;
    if (seg == SEG_FS || seg == SEG_GS)
        c->seg_base[seg] = loaded.base; // a null selector clears it, as on Intel's processors
    segments_changed(c);
}

struct segment segment_check_stack(struct cpu *c, const struct op *op, uint16_t selector, unsigned cpl)
{
    if (selector_is_null(selector)) {
        if (cpl == 3 || c->mode != X86_CODE64)
            raise_error(c, op, VEC_GP, 0);
        return segment_null(selector, cpl);
    }
    struct descriptor d = descriptor_read(c, op, selector, VEC_GP, 0);
    unsigned attr = descriptor_attr(d.low);
    if ((selector & 3u) != cpl || !attr_is_writable_data(attr) || descriptor_dpl(d.low) != cpl)
        raise_error(c, op, VEC_GP, selector_error(selector));
    if (!(attr & SEG_P))
        raise_error(c, op, VEC_SS, selector_error(selector));
    descriptor_mark(c, op, &d, SEG_TYPE_ACCESSED);
    return segment_from(&d);
}

// SS by instruction: a null selector must carry CPL as its RPL (SDM vol. 2, MOV).
static void load_stack_segment(struct cpu *c, const struct op *op, uint16_t selector)
{
    if (selector_is_null(selector) && (selector & 3u) != c->cpl)
        raise_error(c, op, VEC_GP, 0);
    c->seg[SEG_SS] = segment_check_stack(c, op, selector, c->cpl);
    segments_changed(c);
}

void segment_load(struct cpu *c, const struct op *op, unsigned seg, uint16_t selector)
{
    if (seg == SEG_SS)
        load_stack_segment(c, op, selector);
    else
        segment_load_data(c, op, seg, selector);
}

// ---- Outside 64-bit mode (SDM vol. 3, 5.3 and 5.4: limits and types; 3.4.5.1: expand-down) ----

static struct seg_window window_of(const struct segment *s, uint64_t base, bool write)
{
    static const struct seg_window none = {1, 0};
    if (s->unusable || !(write ? attr_is_writable_data(s->attr) : attr_is_readable(s->attr)))
        return none;
    bool expand_down = !attr_is_code(s->attr) && (s->attr & SEG_TYPE_EXPAND_DOWN);
    if (expand_down)
        return (struct seg_window){(uint64_t)s->limit + 1, s->attr & SEG_DB ? UINT32_MAX : UINT16_MAX};
    // With a base of 0, an access that goes on behind the last of 4 GiB wraps around (seen on Intel's processors; SDM
    // vol. 3, 5.3, leaves it to the processor).
    return (struct seg_window){0, s->limit == UINT32_MAX && base == 0 ? UINT64_MAX : s->limit};
}

void windows_changed(struct cpu *c)
{
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        if (i != SEG_FS && i != SEG_GS)
            c->seg_base[i] = c->seg[i].base;
        c->window[i][0] = window_of(&c->seg[i], c->seg_base[i], false);
        c->window[i][1] = window_of(&c->seg[i], c->seg_base[i], true);
    }
    c->sp_mask = c->seg[SEG_SS].attr & SEG_DB ? UINT32_MAX : UINT16_MAX;
}

COLD _Noreturn void seg_fault(struct cpu *c, const struct op *op, unsigned seg)
{
    raise_error(c, op, seg == SEG_SS ? VEC_SS : VEC_GP, 0);
}

// ---- Code segments ----

struct descriptor code_descriptor(struct cpu *c, const struct op *op, uint16_t selector, uint32_t ext)
{
    if (selector_is_null(selector))
        raise_error(c, op, VEC_GP, ext);
    struct descriptor d = descriptor_read(c, op, selector, VEC_GP, ext);
    if (!attr_is_code(descriptor_attr(d.low)))
        raise_error(c, op, VEC_GP, selector_error(selector) | ext);
    return d;
}

void code_check_mode(struct cpu *c, const struct op *op, const struct descriptor *d)
{
    unsigned attr = descriptor_attr(d->low);
    if ((c->efer & EFER_LMA) && (attr & SEG_L) && (attr & SEG_DB))
        raise_error(c, op, VEC_GP, selector_error(d->selector));
    if (!(attr & SEG_P))
        raise_error(c, op, VEC_NP, selector_error(d->selector));
}

static bool is_long_code(const struct cpu *c, unsigned attr)
{
    return (c->efer & EFER_LMA) && (attr & SEG_L);
}

void code_check_rip(struct cpu *c, const struct op *op, const struct descriptor *d, uint64_t rip)
{
    if (is_long_code(c, descriptor_attr(d->low)) ? !canonical(rip) : rip > descriptor_limit(d->low))
        raise_error(c, op, VEC_GP, 0);
}

void code_changed(struct cpu *c)
{
    const struct segment *cs = &c->seg[SEG_CS];
    enum x86_mode mode = is_long_code(c, cs->attr) ? X86_CODE64 : cs->attr & SEG_DB ? X86_CODE32 : X86_CODE16;
    if (mode != c->mode) {
        c->mode = mode;
        mmu_mode_changed(c); // its own jump cache
    }
    if (mode == X86_CODE64)
        return;
    if (c->code_base != (uint32_t)cs->base || c->code_limit != cs->limit) {
        c->code_base = (uint32_t)cs->base;
        c->code_limit = cs->limit;
        block_void_links(c);
    }
    segments_changed(c);
}

void code_load(struct cpu *c, const struct descriptor *d, unsigned cpl)
{
    struct segment cs = segment_from(d);
    cs.selector = (uint16_t)((d->selector & 0xfffc) | cpl);
    c->seg[SEG_CS] = cs;
    if (UNLIKELY(c->mode != X86_CODE64 || !is_long_code(c, cs.attr)))
        code_changed(c);
}

void set_cpl(struct cpu *c, unsigned cpl)
{
    if (cpl != c->cpl) {
        account_instructions(c);
        c->cpl = cpl;
    }
    mmu_mode_changed(c);
    segments_changed(c);
}

void flags_load(struct cpu *c, uint64_t f, uint64_t mask)
{
    const uint64_t kept_elsewhere = FLAGS_ARITH | FLAG_FIXED1 | FLAG_RF | FLAG_VM;
    uint64_t others = mask & ~kept_elsewhere;
    c->rflags = (c->rflags & ~others) | (f & others);
    if (mask & FLAGS_ARITH)
        flags_load_arith(c, (flags_arith(c) & ~mask) | (f & mask));
}

// ---- MOV to and from segment registers ----

const struct op *stack_segment_loaded(struct cpu *c, const struct op *op)
{
    c->inhibit = c->inhibit_debug = true;
    return leave(c, op, op_next_rip(c, op));
}

static HANDLER(op_mov_to_seg_reg) // aux: segment register
{
    segment_load(c, op, op->aux, get16(c, op->src));
    if (op->aux == SEG_SS)
        return stack_segment_loaded(c, op);
    NEXT;
}

static HANDLER(op_mov_to_seg_mem)
{
    segment_load(c, op, op->aux, load16(c, op, ea(c, op)));
    if (op->aux == SEG_SS)
        return stack_segment_loaded(c, op);
    NEXT;
}

static HANDLER(op_mov_from_seg16)
{
    set16(c, op->dst, c->seg[op->aux].selector);
    NEXT;
}

static HANDLER(op_mov_from_seg)
{
    set64(c, op->dst, c->seg[op->aux].selector);
    NEXT;
}

static HANDLER(op_mov_from_seg_mem)
{
    store16(c, op, ea(c, op), c->seg[op->aux].selector);
    NEXT;
}

bool lower_mov_seg(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)arg;
    const struct x86_operand *to = &in->op[0], *from = &in->op[1];
    struct op *op;
    if (to->kind == OPERAND_SEG) {
        if (to->reg == SEG_CS)
            return false;
        bool memory = from->kind == OPERAND_MEM;
        op = memory ? emit_mem(l, op_mov_to_seg_mem, in, from) : emit(l, op_mov_to_seg_reg);
        op->src = memory ? 0 : from->reg;
        op->aux = to->reg;
        l->ends = to->reg == SEG_SS;
        return true;
    }
    if (to->kind == OPERAND_MEM)
        op = emit_mem(l, op_mov_from_seg_mem, in, to);
    else
        op = emit(l, to->size == 2 ? op_mov_from_seg16 : op_mov_from_seg);
    op->dst = to->kind == OPERAND_MEM ? 0 : to->reg;
    op->aux = from->reg;
    return true;
}

// ---- PUSH and POP of FS and GS: the others do not exist in 64-bit mode ----

static HANDLER(op_push_seg64)
{
    uint64_t rsp = c->gpr[RSP] - 8;
    store64(c, op, rsp, c->seg[op->aux].selector);
    c->gpr[RSP] = rsp;
    NEXT;
}

static HANDLER(op_push_seg16)
{
    uint64_t rsp = c->gpr[RSP] - 2;
    store16(c, op, rsp, c->seg[op->aux].selector);
    c->gpr[RSP] = rsp;
    NEXT;
}

static HANDLER(op_pop_seg64)
{
    segment_load_data(c, op, op->aux, (uint16_t)load64(c, op, c->gpr[RSP]));
    c->gpr[RSP] += 8;
    NEXT;
}

static HANDLER(op_pop_seg16)
{
    segment_load_data(c, op, op->aux, load16(c, op, c->gpr[RSP]));
    c->gpr[RSP] += 2;
    NEXT;
}

static bool lower_stack_seg(struct lower *l, const struct insn *in, op_fn *fn64, op_fn *fn16)
{
    const struct x86_operand *o = &in->op[0];
    if (o->reg != SEG_FS && o->reg != SEG_GS)
        return false;
    struct op *op = emit(l, in->op_size == 2 ? fn16 : fn64);
    op->aux = o->reg;
    op->stack = true;
    return true;
}

bool lower_push_seg(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)arg;
    return lower_stack_seg(l, in, op_push_seg64, op_push_seg16);
}

bool lower_pop_seg(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)arg;
    return lower_stack_seg(l, in, op_pop_seg64, op_pop_seg16);
}

// ---- LFS, LGS, LSS: m16:16, m16:32, m16:64 (SDM vol. 2, LDS/LES/LFS/LGS/LSS). No shadow after LSS. ----

#define LOAD_FAR(bits)                                                                                                 \
    static HANDLER(op_load_far##bits)                                                                                  \
    {                                                                                                                  \
        uint64_t va = ea(c, op);                                                                                       \
        uint64_t offset = load##bits(c, op, va);                                                                       \
        segment_load(c, op, op->aux, load16(c, op, va + bits / 8));                                                    \
        set##bits(c, op->dst, offset);                                                                                 \
        NEXT;                                                                                                          \
    }
LOAD_FAR(16)
LOAD_FAR(32)
LOAD_FAR(64)

bool lower_load_far(struct lower *l, const struct insn *in, unsigned arg)
{
    op_fn *fn = in->op_size == 8 ? op_load_far64 : in->op_size == 2 ? op_load_far16 : op_load_far32;
    struct op *op = emit_mem(l, fn, in, &in->op[1]);
    op->dst = in->op[0].reg;
    op->aux = (uint8_t)arg;
    return true;
}

// SPDX-License-Identifier: BSD-2-Clause
// Descriptors, segment registers, and the instructions that load and store them (SDM vol. 3, chapter 3 and 5.5-5.7;
// vol. 2, MOV, POP, LFS). Hidden parts are kept faithfully although 64-bit mode looks at few of them.
#include "engines/bt/segment.h"

#include "engines/bt/emulations.h"

// ---- Descriptors ----

bool descriptor_find(const struct bt *bt, uint16_t selector, unsigned size, uint64_t *at)
{
    unsigned index = selector & 0xfff8;
    bool local = selector & 4;
    uint64_t base = local ? bt->ldtr.base : bt->gdtr.base;
    uint32_t limit = local ? bt->ldtr.limit : bt->gdtr.limit;
    *at = base + index;
    return !(local && bt->ldtr.unusable) && index + size - 1 <= limit;
}

struct descriptor descriptor_read(struct bt *bt, uint16_t selector, unsigned vector, uint32_t ext)
{
    struct descriptor d = {.selector = selector};
    if (!descriptor_find(bt, selector, 8, &d.at))
        raise_error(bt, vector, selector_error(selector) | ext);
    d.low = sys_read(bt, d.at, 8);
    return d;
}

void descriptor_read_high(struct bt *bt, struct descriptor *d)
{
    uint64_t at;
    if (!descriptor_find(bt, d->selector, 16, &at))
        raise_error(bt, VEC_GP, selector_error(d->selector));
    d->high = sys_read(bt, at + 8, 8);
    if (d->high >> 40 & 0x1f) // where a second descriptor would have S and type
        raise_error(bt, VEC_GP, selector_error(d->selector));
}

void descriptor_mark(struct bt *bt, const struct descriptor *d, unsigned type_bits)
{
    unsigned type = (unsigned)(d->low >> 40) & 0xff;
    if ((type & type_bits) != type_bits)
        sys_write(bt, d->at + 5, 1, type | type_bits);
}

uint32_t descriptor_base(const struct descriptor *d)
{
    return (uint32_t)(d->low >> 16 & 0xffffff) | (uint32_t)(d->low >> 56) << 24;
}

uint32_t descriptor_limit(const struct descriptor *d)
{
    uint32_t limit = (uint32_t)(d->low & 0xffff) | (uint32_t)(d->low >> 32 & 0xf0000);
    return descriptor_attr(d) & SEG_G ? limit << 12 | 0xfff : limit;
}

uint64_t gate_offset(const struct descriptor *d)
{
    return (d->low & 0xffff) | (d->low >> 32 & 0xffff0000) | d->high << 32;
}

struct segment segment_from(const struct descriptor *d)
{
    return (struct segment){
        .base = descriptor_base(d),
        .limit = descriptor_limit(d),
        .selector = d->selector,
        .attr = (uint16_t)(descriptor_attr(d) | SEG_TYPE_ACCESSED),
    };
}

struct segment segment_null(uint16_t selector, unsigned dpl)
{
    return (struct segment){.selector = selector, .attr = (uint16_t)(dpl << SEG_DPL_SHIFT), .unusable = true};
}

// ---- Data and stack segments ----

void segment_load_data(struct bt *bt, unsigned seg, uint16_t selector)
{
    struct segment loaded = segment_null(selector, 0);
    if (!selector_is_null(selector)) {
        struct descriptor d = descriptor_read(bt, selector, VEC_GP, 0);
        unsigned attr = descriptor_attr(&d), dpl = attr_dpl(attr), rpl = selector & 3;
        bool privileged = attr_is_conforming(attr) || (rpl <= dpl && bt->cpl <= dpl);
        if (!attr_is_readable(attr) || !privileged)
            raise_error(bt, VEC_GP, selector_error(selector));
        if (!(attr & SEG_P))
            raise_error(bt, VEC_NP, selector_error(selector));
        descriptor_mark(bt, &d, SEG_TYPE_ACCESSED);
        loaded = segment_from(&d);
    }
    bt->seg[seg] = loaded;
    if (seg == SEG_FS || seg == SEG_GS)
        bt->seg_base[seg] = loaded.base; // a null selector clears it, as on Intel's processors
}

struct segment segment_check_stack(struct bt *bt, uint16_t selector, unsigned cpl)
{
    if (selector_is_null(selector)) {
        if (cpl == 3)
            raise_error(bt, VEC_GP, 0);
        return segment_null(selector, cpl);
    }
    struct descriptor d = descriptor_read(bt, selector, VEC_GP, 0);
    unsigned attr = descriptor_attr(&d);
    if ((selector & 3u) != cpl || !attr_is_writable(attr) || attr_dpl(attr) != cpl)
        raise_error(bt, VEC_GP, selector_error(selector));
    if (!(attr & SEG_P))
        raise_error(bt, VEC_SS, selector_error(selector));
    descriptor_mark(bt, &d, SEG_TYPE_ACCESSED);
    return segment_from(&d);
}

static void load_segment(struct bt *bt, unsigned seg, uint16_t selector)
{
    if (seg != SEG_SS) {
        segment_load_data(bt, seg, selector);
    } else {
        if (selector_is_null(selector) && (selector & 3u) != bt->cpl) // SDM vol. 2, MOV
            raise_error(bt, VEC_GP, 0);
        bt->seg[SEG_SS] = segment_check_stack(bt, selector, bt->cpl);
    }
    if (bt->world == WORLD_COMPAT) // it may be flat no more, or again
        bt_mode_changed(bt);
}

// ---- Code segments, privilege, flags ----

struct descriptor code_descriptor(struct bt *bt, uint16_t selector, uint32_t ext)
{
    if (selector_is_null(selector))
        raise_error(bt, VEC_GP, ext);
    struct descriptor d = descriptor_read(bt, selector, VEC_GP, ext);
    if (!attr_is_code(descriptor_attr(&d)))
        raise_error(bt, VEC_GP, selector_error(selector) | ext);
    return d;
}

void code_check_mode(struct bt *bt, const struct descriptor *d)
{
    unsigned attr = descriptor_attr(d);
    if ((attr & SEG_L) && (attr & SEG_DB))
        raise_error(bt, VEC_GP, selector_error(d->selector));
    if (!(attr & SEG_P))
        raise_error(bt, VEC_NP, selector_error(d->selector));
}

void code_check_rip(struct bt *bt, const struct descriptor *d, uint64_t rip)
{
    if (descriptor_attr(d) & SEG_L ? !canonical(rip) : rip > descriptor_limit(d))
        raise_error(bt, VEC_GP, 0);
}

void code_load(struct bt *bt, const struct descriptor *d, unsigned cpl)
{
    descriptor_mark(bt, d, SEG_TYPE_ACCESSED);
    bt->seg[SEG_CS] = segment_from(d);
    bt->seg[SEG_CS].selector = (uint16_t)((d->selector & 0xfffc) | cpl);
}

void set_cpl(struct bt *bt, unsigned cpl)
{
    bt->cpl = cpl;
    bt_mode_changed(bt);
}

void flags_load(struct bt *bt, uint64_t f, uint64_t mask)
{
    mask &= ~(uint64_t)(FLAG_RF | FLAG_VM);
    flags_write(bt, (flags_read(bt) & ~mask) | (f & mask));
}

// ---- Outside 64-bit mode ----

enum x86_mode code_mode(const struct bt *bt)
{
    unsigned attr = bt->seg[SEG_CS].attr;
    return attr & SEG_L ? X86_CODE64 : attr & SEG_DB ? X86_CODE32 : X86_CODE16;
}

static bool is_expand_down(unsigned attr)
{
    return !attr_is_code(attr) && (attr & SEG_TYPE_EXPAND_DOWN);
}

static bool is_flat(const struct segment *s)
{
    return !s->unusable && s->base == 0 && s->limit == UINT32_MAX;
}

static bool is_flat_data(const struct segment *s)
{
    return is_flat(s) && attr_is_writable(s->attr) && !is_expand_down(s->attr);
}

bool segments_are_flat(const struct bt *bt)
{
    return code_mode(bt) == X86_CODE32 && is_flat(&bt->seg[SEG_CS]) && is_flat_data(&bt->seg[SEG_DS]) &&
           is_flat_data(&bt->seg[SEG_ES]) && is_flat_data(&bt->seg[SEG_SS]) && (bt->seg[SEG_SS].attr & SEG_DB);
}

uint64_t segment_linear(struct bt *bt, unsigned seg, uint64_t offset, unsigned size, bool write)
{
    const struct segment *s = &bt->seg[seg];
    uint64_t base = seg == SEG_FS || seg == SEG_GS ? bt->seg_base[seg] : s->base;
    // With a base of 0, an access that goes on behind the last of 4 GiB wraps around (seen on Intel's processors; SDM
    // vol. 3, 5.3, leaves it to the processor).
    uint64_t low = 0, high = s->limit == UINT32_MAX && base == 0 ? UINT64_MAX : s->limit, last = offset + size - 1;
    if (is_expand_down(s->attr)) {
        low = (uint64_t)s->limit + 1;
        high = s->attr & SEG_DB ? UINT32_MAX : 0xffff;
    }
    bool allowed = !s->unusable && (write ? attr_is_writable(s->attr) : attr_is_readable(s->attr));
    if (!allowed || offset < low || last > high)
        raise_error(bt, seg == SEG_SS ? VEC_SS : VEC_GP, 0);
    return (uint32_t)(base + offset);
}

// ---- MOV to and from segment registers, POP of FS and GS, LFS LGS LSS ----

void emulate_mov_to_seg(struct bt *bt, const struct insn *in)
{
    unsigned seg = in->op[0].reg;
    if (seg == SEG_CS)
        raise_exception(bt, VEC_UD);
    load_segment(bt, seg, (uint16_t)operand_read(bt, in, &in->op[1], 2));
    if (seg == SEG_SS) // interrupts and #DB wait for the next instruction, which loads rsp (SDM vol. 3, 6.8.3)
        bt->inhibit = bt->inhibit_debug = true;
    bt_next(bt, in);
}

void emulate_mov_from_seg(struct bt *bt, const struct insn *in)
{
    const struct x86_operand *to = &in->op[0];
    uint16_t selector = bt->seg[in->op[1].reg].selector;
    if (to->kind == OPERAND_MEM)
        mem_write(bt, effective_address(bt, in, to), 2, selector, in->stack_segment);
    else
        reg_write(bt, to->reg, to->size, selector);
    bt_next(bt, in);
}

void emulate_pop_seg(struct bt *bt, const struct insn *in)
{
    unsigned size = stack_size(in), seg = in->op[0].reg;
    uint64_t behind = bt->gpr[RSP] + size, mask = stack_mask(bt); // by the old SS
    load_segment(bt, seg, (uint16_t)mem_read(bt, stack_at(bt, bt->gpr[RSP], size, false), size, true));
    stack_move(bt, behind, mask);
    if (seg == SEG_SS)
        bt->inhibit = bt->inhibit_debug = true;
    bt_next(bt, in);
}

// m16:16, m16:32, m16:64; no shadow after LSS (SDM vol. 2, LDS/LES/LFS/LGS/LSS).
void emulate_load_far(struct bt *bt, const struct insn *in)
{
    unsigned seg = in->id == X86_INS_LSS   ? SEG_SS
                   : in->id == X86_INS_LFS ? SEG_FS
                   : in->id == X86_INS_LGS ? SEG_GS
                   : in->id == X86_INS_LDS ? SEG_DS
                                           : SEG_ES;
    unsigned size = in->op_size;
    uint64_t va = effective_address(bt, in, &in->op[1]);
    uint64_t offset = mem_read(bt, va, size, in->stack_segment);
    load_segment(bt, seg, (uint16_t)mem_read(bt, va + size, 2, in->stack_segment));
    reg_write(bt, in->op[0].reg, size, offset);
    bt_next(bt, in);
}

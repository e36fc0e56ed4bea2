// SPDX-License-Identifier: BSD-2-Clause
// Descriptor table registers, LDTR and TR, and the instructions that ask about a selector (SDM vol. 2 under each name).
#include "engines/bt/emulations.h"
#include "engines/bt/segment.h"

// ---- LGDT, LIDT, SGDT, SIDT: ten bytes in 64-bit mode, whatever the prefixes say ----

static void load_table(struct bt *bt, const struct insn *in, struct table_reg *table)
{
    need_cpl0(bt);
    uint64_t va = effective_address(bt, in, &in->op[0]);
    struct table_reg loaded = {.limit = (uint16_t)mem_read(bt, va, 2, in->stack_segment)};
    loaded.base = mem_read(bt, va + 2, 8, in->stack_segment);
    if (!canonical(loaded.base))
        raise_error(bt, VEC_GP, 0);
    *table = loaded;
    bt_next(bt, in);
}

static void store_table(struct bt *bt, const struct insn *in, const struct table_reg *table)
{
    uint64_t va = effective_address(bt, in, &in->op[0]);
    mem_probe_write(bt, va + 2, 8, in->stack_segment);
    mem_write(bt, va, 2, table->limit, in->stack_segment);
    mem_write(bt, va + 2, 8, table->base, in->stack_segment);
    bt_next(bt, in);
}

void emulate_lgdt(struct bt *bt, const struct insn *in)
{
    load_table(bt, in, &bt->gdtr);
}

void emulate_lidt(struct bt *bt, const struct insn *in)
{
    load_table(bt, in, &bt->idtr);
}

void emulate_sgdt(struct bt *bt, const struct insn *in)
{
    store_table(bt, in, &bt->gdtr);
}

void emulate_sidt(struct bt *bt, const struct insn *in)
{
    store_table(bt, in, &bt->idtr);
}

// ---- SLDT, STR, LLDT, LTR ----

static void store_selector(struct bt *bt, const struct insn *in, uint16_t selector)
{
    const struct x86_operand *to = &in->op[0];
    if (to->kind == OPERAND_MEM)
        mem_write(bt, effective_address(bt, in, to), 2, selector, in->stack_segment);
    else
        reg_write(bt, to->reg, to->size, selector);
    bt_next(bt, in);
}

void emulate_sldt(struct bt *bt, const struct insn *in)
{
    store_selector(bt, in, bt->ldtr.selector);
}

void emulate_str(struct bt *bt, const struct insn *in)
{
    store_selector(bt, in, bt->tr.selector);
}

// The system descriptor of a type that LDTR or TR takes, from the GDT only, with its upper half.
static struct descriptor system_descriptor(struct bt *bt, uint16_t selector, unsigned type)
{
    if (selector & 4)
        raise_error(bt, VEC_GP, selector_error(selector));
    struct descriptor d = descriptor_read(bt, selector, VEC_GP, 0);
    unsigned attr = descriptor_attr(&d);
    if ((attr & (SEG_S | SEG_TYPE)) != type)
        raise_error(bt, VEC_GP, selector_error(selector));
    if (!(attr & SEG_P))
        raise_error(bt, VEC_NP, selector_error(selector));
    descriptor_read_high(bt, &d);
    return d;
}

static struct segment system_segment(struct bt *bt, const struct descriptor *d, unsigned type)
{
    uint64_t base = descriptor_base(d) | d->high << 32;
    if (!canonical(base))
        raise_error(bt, VEC_GP, selector_error(d->selector));
    return (struct segment){
        .base = base,
        .limit = descriptor_limit(d),
        .selector = d->selector,
        .attr = (uint16_t)((descriptor_attr(d) & ~(unsigned)SEG_TYPE) | type),
    };
}

void emulate_lldt(struct bt *bt, const struct insn *in)
{
    need_cpl0(bt);
    uint16_t selector = (uint16_t)operand_read(bt, in, &in->op[0], 2);
    struct segment loaded = segment_null(selector, 0);
    if (!selector_is_null(selector)) {
        struct descriptor d = system_descriptor(bt, selector, SEG_TYPE_LDT);
        loaded = system_segment(bt, &d, SEG_TYPE_LDT);
    }
    bt->ldtr = loaded;
    bt_next(bt, in);
}

void emulate_ltr(struct bt *bt, const struct insn *in)
{
    need_cpl0(bt);
    uint16_t selector = (uint16_t)operand_read(bt, in, &in->op[0], 2);
    if (selector_is_null(selector))
        raise_error(bt, VEC_GP, 0);
    struct descriptor d = system_descriptor(bt, selector, SEG_TYPE_TSS_AVAILABLE);
    struct segment loaded = system_segment(bt, &d, SEG_TYPE_TSS_BUSY);
    descriptor_mark(bt, &d, SEG_TYPE_TSS_BUSY);
    bt->tr = loaded;
    bt_next(bt, in);
}

// ---- LAR, LSL, VERR, VERW: ZF says whether the selector would do ----

// The descriptor that a selector names and that CPL and RPL allow to ask about.
static bool visible_descriptor(struct bt *bt, uint16_t selector, struct descriptor *d)
{
    *d = (struct descriptor){.selector = selector};
    if (selector_is_null(selector) || !descriptor_find(bt, selector, 8, &d->at))
        return false;
    d->low = sys_read(bt, d->at, 8);
    unsigned attr = descriptor_attr(d), dpl = attr_dpl(attr);
    return attr_is_conforming(attr) || (bt->cpl <= dpl && (selector & 3u) <= dpl);
}

// Descriptors that LAR and LSL know in long mode (SDM vol. 2, tables 3-53 and 3-60).
static bool type_known(unsigned attr, bool lar)
{
    unsigned type = attr & SEG_TYPE;
    return attr & SEG_S || type == SEG_TYPE_LDT || type == SEG_TYPE_TSS_AVAILABLE || type == SEG_TYPE_TSS_BUSY ||
           (lar && type == SEG_TYPE_CALL_GATE);
}

static void finish(struct bt *bt, const struct insn *in, bool zf)
{
    bt->flags = zf ? bt->flags | FLAG_ZF : bt->flags & ~(uint64_t)FLAG_ZF;
    bt_next(bt, in);
}

void emulate_lar(struct bt *bt, const struct insn *in)
{
    struct descriptor d;
    bool ok = visible_descriptor(bt, (uint16_t)operand_read(bt, in, &in->op[1], 2), &d);
    ok = ok && type_known(descriptor_attr(&d), true);
    if (ok)
        reg_write(bt, in->op[0].reg, in->op[0].size, d.low >> 32 & 0x00f0ff00);
    finish(bt, in, ok);
}

void emulate_lsl(struct bt *bt, const struct insn *in)
{
    struct descriptor d;
    bool ok = visible_descriptor(bt, (uint16_t)operand_read(bt, in, &in->op[1], 2), &d);
    ok = ok && type_known(descriptor_attr(&d), false);
    if (ok)
        reg_write(bt, in->op[0].reg, in->op[0].size, descriptor_limit(&d));
    finish(bt, in, ok);
}

void emulate_verr(struct bt *bt, const struct insn *in)
{
    struct descriptor d;
    bool ok = visible_descriptor(bt, (uint16_t)operand_read(bt, in, &in->op[0], 2), &d);
    finish(bt, in, ok && attr_is_readable(descriptor_attr(&d)));
}

void emulate_verw(struct bt *bt, const struct insn *in)
{
    struct descriptor d;
    bool ok = visible_descriptor(bt, (uint16_t)operand_read(bt, in, &in->op[0], 2), &d);
    finish(bt, in, ok && attr_is_writable(descriptor_attr(&d)));
}

// SPDX-License-Identifier: BSD-2-Clause
// Descriptor table registers, LDTR and TR, and the instructions that ask about a selector (SDM vol. 2 under each name).
#include "engines/interp/fault.h"
#include "engines/interp/flags.h"
#include "engines/interp/insn_args.h"
#include "engines/interp/lower.h"
#include "engines/interp/mmu.h"
#include "engines/interp/segment.h"

static void need_cpl0(struct cpu *c, const struct op *op)
{
    if (c->cpl != 0)
        raise_error(c, op, VEC_GP, 0);
}

// A 16-bit source: register or memory, as the op says (aux of SOURCE_MEM).
#define SOURCE_REG 0
#define SOURCE_MEM 1

static uint16_t source16(struct cpu *c, const struct op *op)
{
    return op->aux == SOURCE_MEM ? load16(c, op, ea(c, op)) : get16(c, op->src);
}

static struct op *emit_source16(struct lower *l, op_fn *fn, const struct insn *in, const struct x86_operand *o)
{
    bool memory = o->kind == OPERAND_MEM;
    struct op *op = memory ? emit_mem(l, fn, in, o) : emit(l, fn);
    op->aux = memory ? SOURCE_MEM : SOURCE_REG;
    op->src = memory ? 0 : o->reg;
    return op;
}

// ---- LGDT, LIDT, SGDT, SIDT: ten bytes in 64-bit mode, six outside it; with 16-bit operands a base of 24 bits ----

static struct table_reg *table_of(struct cpu *c, unsigned arg)
{
    return arg == TABLE_LGDT || arg == TABLE_SGDT ? &c->gdtr : &c->idtr;
}

static HANDLER(op_load_table)
{
    need_cpl0(c, op);
    uint64_t va = ea(c, op);
    struct table_reg loaded = {.limit = load16(c, op, va)};
    if (c->mode == X86_CODE64)
        loaded.base = load64(c, op, va + 2);
    else
        loaded.base = load32(c, op, va + 2) & (op->src == 2 ? 0xffffff : 0xffffffff);
    if (!canonical(loaded.base))
        raise_error(c, op, VEC_GP, 0);
    *table_of(c, op->aux) = loaded;
    NEXT;
}

static HANDLER(op_store_table)
{
    uint64_t va = ea(c, op);
    const struct table_reg *table = table_of(c, op->aux);
    mem_probe_write(c, op, va + 2, c->mode == X86_CODE64 ? 8 : 4);
    store16(c, op, va, table->limit);
    if (c->mode == X86_CODE64)
        store64(c, op, va + 2, table->base);
    else
        store32(c, op, va + 2, table->base);
    NEXT;
}

bool lower_desc_table(struct lower *l, const struct insn *in, unsigned arg)
{
    if (in->op[0].kind != OPERAND_MEM)
        return false;
    bool load = arg == TABLE_LGDT || arg == TABLE_LIDT;
    struct op *op = emit_mem(l, load ? op_load_table : op_store_table, in, &in->op[0]);
    op->aux = (uint8_t)arg;
    op->src = in->op_size;
    return true;
}

// ---- SLDT, STR ----

static HANDLER(op_store_selector_mem) // src: SELECTOR_*
{
    store16(c, op, ea(c, op), op->src == SELECTOR_LDTR ? c->ldtr.selector : c->tr.selector);
    NEXT;
}

static HANDLER(op_store_selector) // aux: operand size
{
    uint16_t selector = op->src == SELECTOR_LDTR ? c->ldtr.selector : c->tr.selector;
    if (op->aux == 2)
        set16(c, op->dst, selector);
    else
        set64(c, op->dst, selector);
    NEXT;
}

bool lower_sldt(struct lower *l, const struct insn *in, unsigned arg)
{
    const struct x86_operand *o = &in->op[0];
    struct op *op;
    if (o->kind == OPERAND_MEM) {
        op = emit_mem(l, op_store_selector_mem, in, o);
    } else {
        op = emit(l, op_store_selector);
        op->dst = o->reg;
        op->aux = o->size;
    }
    op->src = (uint8_t)arg;
    return true;
}

// ---- LLDT, LTR ----

// The system descriptor of a type that LDTR or TR takes, from the GDT only, with its upper half.
static struct descriptor system_descriptor(struct cpu *c, const struct op *op, uint16_t selector, unsigned type)
{
    if (selector & 4)
        raise_error(c, op, VEC_GP, selector_error(selector));
    struct descriptor d = descriptor_read(c, op, selector, VEC_GP, 0);
    unsigned attr = descriptor_attr(d.low);
    if ((attr & (SEG_S | SEG_TYPE)) != type)
        raise_error(c, op, VEC_GP, selector_error(selector));
    if (!(attr & SEG_P))
        raise_error(c, op, VEC_NP, selector_error(selector));
    descriptor_read_high(c, op, &d);
    return d;
}

static struct segment system_segment(struct cpu *c, const struct op *op, const struct descriptor *d, unsigned type)
{
    uint64_t base = descriptor_base(d->low) | d->high << 32;
    if (!canonical(base))
        raise_error(c, op, VEC_GP, selector_error(d->selector));
    return (struct segment){
        .base = base,
        .limit = descriptor_limit(d->low),
        .selector = d->selector,
        .attr = (uint16_t)((descriptor_attr(d->low) & ~(unsigned)SEG_TYPE) | type),
    };
}

static HANDLER(op_lldt)
{
    need_cpl0(c, op);
    uint16_t selector = source16(c, op);
    struct segment loaded = segment_null(selector, 0);
    if (!selector_is_null(selector)) {
        struct descriptor d = system_descriptor(c, op, selector, SEG_TYPE_LDT);
        loaded = system_segment(c, op, &d, SEG_TYPE_LDT);
    }
    c->ldtr = loaded;
    NEXT;
}

static __attribute__((noinline)) void load_task_register(struct cpu *c, const struct op *op)
{
    need_cpl0(c, op);
    uint16_t selector = source16(c, op);
    if (selector_is_null(selector))
        raise_error(c, op, VEC_GP, 0);
    struct descriptor d = system_descriptor(c, op, selector, SEG_TYPE_TSS_AVAILABLE);
    struct segment loaded = system_segment(c, op, &d, SEG_TYPE_TSS_BUSY);
    descriptor_mark(c, op, &d, SEG_TYPE_TSS_BUSY);
    c->tr = loaded;
}

static HANDLER(op_ltr)
{
    load_task_register(c, op);
    NEXT;
}

bool lower_ltr(struct lower *l, const struct insn *in, unsigned arg)
{
    emit_source16(l, arg == SELECTOR_LDTR ? op_lldt : op_ltr, in, &in->op[0]);
    return true;
}

// ---- LAR, LSL, VERR, VERW: ZF says whether the selector would do ----

static void set_zf(struct cpu *c, bool zf)
{
    flags_load(c, zf ? FLAG_ZF : 0, FLAG_ZF);
}

// System descriptors that LAR and LSL know in long mode (SDM vol. 2, tables 3-53 and 3-60).
static bool system_type_visible(unsigned type, bool lar)
{
    return type == SEG_TYPE_LDT || type == SEG_TYPE_TSS_AVAILABLE || type == SEG_TYPE_TSS_BUSY ||
           (lar && type == SEG_TYPE_CALL_GATE);
}

static bool privilege_allows(const struct cpu *c, uint16_t selector, uint64_t low)
{
    unsigned attr = descriptor_attr(low), dpl = descriptor_dpl(low);
    return (attr_is_code(attr) && attr_is_conforming(attr)) || (c->cpl <= dpl && (selector & 3u) <= dpl);
}

static bool try_descriptor(struct cpu *c, const struct op *op, uint16_t selector, uint64_t *low)
{
    uint64_t at;
    if (selector_is_null(selector) || !descriptor_find(c, selector, 8, &at))
        return false;
    *low = sys_read(c, op, at, 8);
    return privilege_allows(c, selector, *low);
}

static void set_sized(struct cpu *c, unsigned reg, unsigned size, uint32_t value)
{
    if (size == 2)
        set16(c, reg, value);
    else
        set64(c, reg, value);
}

static HANDLER(op_lar) // imm: operand size; disp belongs to the memory operand
{
    uint64_t low;
    bool ok = try_descriptor(c, op, source16(c, op), &low);
    if (ok) {
        unsigned attr = descriptor_attr(low);
        ok = (attr & SEG_S) || system_type_visible(attr & SEG_TYPE, true);
    }
    if (ok)
        set_sized(c, op->dst, (unsigned)op->imm, (uint32_t)(low >> 32) & 0x00f0ff00);
    set_zf(c, ok);
    NEXT;
}

static HANDLER(op_lsl)
{
    uint64_t low;
    bool ok = try_descriptor(c, op, source16(c, op), &low);
    if (ok) {
        unsigned attr = descriptor_attr(low);
        ok = (attr & SEG_S) || system_type_visible(attr & SEG_TYPE, false);
    }
    if (ok)
        set_sized(c, op->dst, (unsigned)op->imm, descriptor_limit(low));
    set_zf(c, ok);
    NEXT;
}

bool lower_lar(struct lower *l, const struct insn *in, unsigned arg)
{
    struct op *op = emit_source16(l, arg == ASK_LAR ? op_lar : op_lsl, in, &in->op[1]);
    op->dst = in->op[0].reg;
    op->imm = in->op[0].size;
    return true;
}

static HANDLER(op_verr)
{
    uint64_t low;
    bool ok = try_descriptor(c, op, source16(c, op), &low);
    set_zf(c, ok && attr_is_readable(descriptor_attr(low)));
    NEXT;
}

static HANDLER(op_verw)
{
    uint64_t low;
    bool ok = try_descriptor(c, op, source16(c, op), &low);
    set_zf(c, ok && attr_is_writable_data(descriptor_attr(low)));
    NEXT;
}

bool lower_verr(struct lower *l, const struct insn *in, unsigned arg)
{
    emit_source16(l, arg == ASK_VERR ? op_verr : op_verw, in, &in->op[0]);
    return true;
}

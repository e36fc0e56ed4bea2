// SPDX-License-Identifier: BSD-2-Clause
// Which way each instruction goes outside 64-bit mode, and going it.
#include "engines/bt/compat.h"

#include <string.h>

#include "engines/bt/emulations.h"
#include "engines/bt/kinds.h"
#include "engines/bt/segment.h"
#include "engines/bt/translator.h"

static emulate_fn *legacy_emulation(const struct insn *in)
{
    switch (in->id) {
    case X86_INS_PUSHAW:
    case X86_INS_PUSHAL:
        return emulate_pusha;
    case X86_INS_POPAW:
    case X86_INS_POPAL:
        return emulate_popa;
    case X86_INS_AAA:
    case X86_INS_AAS:
        return emulate_aaa;
    case X86_INS_DAA:
    case X86_INS_DAS:
        return emulate_daa;
    case X86_INS_AAM:
        return emulate_aam;
    case X86_INS_AAD:
        return emulate_aad;
    case X86_INS_SALC:
        return emulate_salc;
    case X86_INS_INTO:
        return emulate_into;
    case X86_INS_BOUND:
        return emulate_bound;
    case X86_INS_ARPL:
        return emulate_arpl;
    case X86_INS_LDS:
    case X86_INS_LES:
        return emulate_load_far;
    case X86_INS_PUSHFD:
        return emulate_pushf;
    case X86_INS_POPFD:
        return emulate_popf;
    default:
        return NULL;
    }
}

// Swapgs and its kin exist in 64-bit mode only.
static bool is_new(const struct insn *in)
{
    return in->id == X86_INS_SWAPGS || in->id == X86_INS_RDFSBASE || in->id == X86_INS_RDGSBASE ||
           in->id == X86_INS_WRFSBASE || in->id == X86_INS_WRGSBASE;
}

static bool is_fixed_branch(enum kind kind, const struct insn *in)
{
    return kind == KIND_JCC || kind == KIND_JRCXZ || (kind == KIND_JMP && in->op[0].kind == OPERAND_IMM);
}

// In C, or NULL.
static emulate_fn *emulation(const struct bt *bt, const struct insn *in)
{
    enum kind kind = in->id == X86_INS_JCXZ ? KIND_JRCXZ : kind_of(in);
    emulate_fn *fn = legacy_emulation(in);
    if (fn)
        return in->lock ? emulate_undefined : fn;
    if (kind == KIND_UNDEFINED || is_new(in))
        return emulate_undefined;
    if (is_fixed_branch(kind, in)) // there may be a limit; and cx is not to be tested in 64-bit mode
        return bt->segmented || (kind == KIND_JRCXZ && in->addr_size == 2) ? emulate_branch : NULL;
    if (kind == KIND_LEA)
        return in->op_size == 2 || in->addr_size == 2 ? emulate_lea : NULL;
    return plain_emulation(in);
}

static bool ends(const struct insn *in)
{
    return in->id == X86_INS_JCXZ || (!legacy_emulation(in) && (is_new(in) || ends_tu(in)));
}

bool compat_read(struct bt *bt, struct tu_insn *t, const uint8_t *bytes)
{
    struct insn carried;
    t->guest = t->insn;
    t->legacy = true;
    t->emulate = emulation(bt, &t->guest);
    t->ends = ends(&t->guest);
    enum kind kind = kind_of(&t->guest);
    if (t->emulate || is_fixed_branch(kind, &t->guest) || kind == KIND_LEA || kind == KIND_NOP)
        return true;
    if (!carry_legacy(bt, bytes, &t->guest, t->bytes, &carried))
        return false;
    t->insn = carried;
    return true;
}

// Operands that lookups within the translation cache may be made for: their segments say nothing.
static bool is_flat(const struct insn *in)
{
    for (unsigned i = 0; i < in->operands; i++) {
        const struct x86_operand *o = &in->op[i];
        if (o->kind == OPERAND_MEM &&
            (in->addr_size != 4 || (o->mem.seg != SEG_DS && o->mem.seg != SEG_ES && o->mem.seg != SEG_SS)))
            return false;
    }
    return true;
}

static void put_lea_legacy(struct translator *t)
{
    const struct insn *in = &t->in->guest;
    const struct x86_operand *o = &in->op[1];
    uint32_t used = o->mem.base == X86_NO_REG ? 0 : 1u << o->mem.base;
    used |= o->mem.index == X86_NO_REG ? 0 : 1u << o->mem.index;
    park_need(t, used);
    put_lea_operand(t->hot, in->op[0].reg, in, o);
    park_changed(t, 1u << in->op[0].reg);
}

static bool translate_way(struct translator *t)
{
    bool falls;
    enum kind kind = kind_of(&t->in->guest);
    if (kind == KIND_NOP)
        return true;
    if (!t->in->emulate && kind == KIND_LEA) {
        put_lea_legacy(t);
        return true;
    }
    if (!t->in->emulate && is_flat(&t->in->guest) && inline_insn(t, &falls))
        return falls;
    park_settle(t);
    falls = t->in->emulate ? put_callout(t, t->in->emulate) : translate_insn(t);
    park_anything_changed(t);
    return falls;
}

// What leaves by a site is the guest's instruction, not what was carried over.
bool translate_compat(struct translator *t)
{
    struct tc *tc = t->bt->tc;
    uint32_t first = tc_site_count(tc);
    bool falls = translate_way(t);
    for (uint32_t i = first; i < tc_site_count(tc); i++)
        tc_site(tc, i)->insn = t->in->guest;
    return falls;
}

// SPDX-License-Identifier: BSD-2-Clause
// From the 32- and 16-bit encoding of an instruction to that of 64-bit mode: the opcode and its immediate are the same
// but for a few; the memory operand becomes (%rax), which the caller exchanges anyway.
#include <string.h>

#include "engines/bt/code.h"
#include "engines/bt/compat.h"

struct writer {
    uint8_t *bytes;
    unsigned n;
};

static void add(struct writer *w, uint8_t byte)
{
    if (w->n < X86_MAX_INSN)
        w->bytes[w->n++] = byte;
}

static bool has_operand(const struct insn *in, unsigned kind)
{
    for (unsigned i = 0; i < in->operands; i++)
        if (in->op[i].kind == kind)
            return true;
    return false;
}

static bool is_vector(const struct insn *in)
{
    return has_operand(in, OPERAND_XMM) || has_operand(in, OPERAND_MMX) || has_operand(in, OPERAND_ST) || in->vex;
}

// 66 says 16 bits in 64-bit mode; in vector instructions it is part of the opcode.
static void add_prefixes(struct writer *w, const struct insn *in)
{
    if (in->lock)
        add(w, 0xf0);
    if (is_vector(in) ? in->opsize : in->op_size == 2)
        add(w, 0x66);
    if (in->rep || in->repne)
        add(w, in->rep ? 0xf3 : 0xf2);
}

// X and B, and the highest bit of vvvv, name no registers here; W widens no general registers (SDM vol.
// 2, 2.3.5, 2.3.6).
static void add_vex(struct writer *w, const uint8_t *vex, const struct insn *in)
{
    bool general = has_operand(in, OPERAND_GPR);
    add(w, vex[0]);
    if (vex[0] == 0xc5) {
        add(w, vex[1] | 0x40);
    } else {
        add(w, vex[1] | 0x60);
        add(w, (uint8_t)((vex[2] | 0x40) & (general ? 0x7f : 0xff)));
    }
}

// inc and dec of a register, 82, and moves of an absolute address, in their other encodings.
static bool add_opcode(struct writer *w, const uint8_t *opcode, unsigned n)
{
    uint8_t op = opcode[0];
    if (op >= 0x40 && op <= 0x4f) {
        add(w, 0xff);
        add(w, (uint8_t)((op & 8 ? 0xc8 : 0xc0) | (op & 7)));
        return true;
    }
    if (op >= 0xa0 && op <= 0xa3) {
        add(w, (uint8_t)((op & 2 ? 0x88 : 0x8a) | (op & 1)));
        add(w, 0); // al or eax, (%rax)
        return true;
    }
    for (unsigned i = 0; i < n; i++)
        add(w, op == 0x82 ? 0x80 : opcode[i]);
    return false;
}

static bool same_operands(const struct insn *a, const struct insn *b)
{
    if (a->id != b->id || a->operands != b->operands)
        return false;
    for (unsigned i = 0; i < a->operands; i++) {
        const struct x86_operand *x = &a->op[i], *y = &b->op[i];
        bool reg = x->kind != OPERAND_IMM && x->kind != OPERAND_MEM;
        if (x->kind != y->kind || (reg && (x->reg != y->reg || x->size != y->size)))
            return false;
    }
    return true;
}

bool carry_legacy(struct bt *bt, const uint8_t *bytes, const struct insn *in, uint8_t out[X86_MAX_INSN],
                  struct insn *carried)
{
    struct encoding e;
    struct writer w = {out, 0};
    if (!encoding_of(bytes, in, &e))
        return false;
    add_prefixes(&w, in);
    if (e.vex)
        add_vex(&w, bytes + e.prefixes, in);
    unsigned end = e.modrm_at ? e.modrm_at : e.opcode_at + (e.map && !e.vex ? 2u : 1u);
    bool other = add_opcode(&w, bytes + e.opcode_at, end - e.opcode_at);
    if (e.modrm_at && !other)
        add(&w, bytes[e.modrm_at] < 0xc0 ? bytes[e.modrm_at] & 0x38 : bytes[e.modrm_at]);
    for (unsigned i = e.after_address; i < in->length; i++)
        add(&w, bytes[i]);
    memset(out + w.n, 0, X86_MAX_INSN - w.n);
    if (!x86_decode(&bt->decoder, out, w.n, 0, carried) || carried->length != w.n || !same_operands(in, carried) ||
        !encoding_of(out, carried, &e))
        return false;
    for (unsigned i = 0; i < in->operands; i++) {
        if (in->op[i].kind != OPERAND_MEM)
            continue;
        carried->op[i].mem = in->op[i].mem;
        carried->op[i].mem.seg = X86_NO_SEG;
        carried->op[i].size = in->op[i].size;
    }
    carried->addr_size = in->addr_size;
    carried->stack_segment = in->stack_segment;
    return true;
}

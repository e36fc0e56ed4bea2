// SPDX-License-Identifier: BSD-2-Clause
// Guest instructions carried over into translated code: IDENT, IDENT but for a gs prefix, or with another address in
// place of their own. The instruction is taken apart, its address is exchanged, and it is put together again.
#include "engines/bt/code.h"

#include <assert.h>
#include <string.h>

enum { PREFIX_GS = 0x65, PREFIX_ADDRSIZE = 0x67 };
enum { REX_B = 1, REX_X = 2, REX_R = 4 };
enum { SIB_NO_BASE_NO_INDEX = 0x25 };

void put_ident(struct code *code, const uint8_t *bytes, const struct insn *in)
{
    put_bytes(code, bytes, in->length);
}

// An instruction in parts. x and b are the bits that REX or VEX shall carry; legacy prefixes are kept once each, so
// that there is room for the new ones.
struct parts {
    bool gs; // gets that prefix, before all others: Capstone wants 66, f2 and f3 right before the opcode
    uint8_t prefixes, prefix[4];
    uint8_t rex, vex, vex_byte[3]; // as they were
    uint8_t x, b;
    uint8_t opcodes, opcode[3];
    uint8_t modrm; // with reg
    uint8_t address_size, address[9];
    uint8_t rest_size, rest[8];
};

static void add_prefix(struct parts *p, uint8_t prefix)
{
    p->prefix[p->prefixes++] = prefix;
}

// Segment overrides are dropped (put_biased adds its own), the last of f2 and f3 wins as on processors.
static void take_prefixes(struct parts *p, const uint8_t *bytes, const struct insn *in, const struct encoding *e,
                          bool addrsize)
{
    if (addrsize && memchr(bytes, PREFIX_ADDRSIZE, e->prefixes))
        add_prefix(p, PREFIX_ADDRSIZE);
    if (in->lock)
        add_prefix(p, 0xf0);
    if (in->opsize)
        add_prefix(p, 0x66);
    if (in->rep || in->repne)
        add_prefix(p, in->rep ? 0xf3 : 0xf2);
}

// Everything but the address.
static struct parts take_apart(const uint8_t *bytes, const struct insn *in, const struct encoding *e, bool addrsize)
{
    struct parts p = {.rex = e->rex, .vex = e->vex};
    unsigned end = e->modrm_at ? e->modrm_at : e->opcode_at + 1u;
    take_prefixes(&p, bytes, in, e, addrsize);
    memcpy(p.vex_byte, bytes + e->prefixes, e->vex);
    p.opcodes = (uint8_t)(end - e->opcode_at);
    memcpy(p.opcode, bytes + e->opcode_at, p.opcodes);
    p.modrm = e->modrm_at ? bytes[e->modrm_at] : 0;
    p.rest_size = (uint8_t)(in->length - e->after_address);
    memcpy(p.rest, bytes + e->after_address, p.rest_size);
    return p;
}

// REX or VEX with the new X and B (inverted in VEX; SDM vol. 2, 2.3.5). The two-byte form has neither: it grows.
static unsigned put_extension(const struct parts *p, uint8_t *out)
{
    if (p->vex) {
        uint8_t r = p->vex_byte[1] & 0x80;
        if (p->vex == 2 && !p->x && !p->b) {
            memcpy(out, p->vex_byte, 2);
            return 2;
        }
        uint8_t map = p->vex == 2 ? 1 : p->vex_byte[1] & 0x1f;
        uint8_t last = p->vex == 2 ? p->vex_byte[1] & 0x7f : p->vex_byte[2]; // W is 0 in the two-byte form
        out[0] = 0xc4;
        out[1] = (uint8_t)(r | (p->x ? 0 : 0x40) | (p->b ? 0 : 0x20) | map);
        out[2] = last;
        return 3;
    }
    if (!p->rex && !p->x && !p->b)
        return 0;
    out[0] = (uint8_t)(0x40 | (p->rex & ~(REX_X | REX_B)) | (p->x ? REX_X : 0) | (p->b ? REX_B : 0));
    return 1;
}

static bool put_together(struct code *code, const struct parts *p)
{
    uint8_t out[40];
    unsigned n = 0;
    if (p->gs)
        out[n++] = PREFIX_GS;
    memcpy(out + n, p->prefix, p->prefixes);
    n += p->prefixes;
    n += put_extension(p, out + n);
    memcpy(out + n, p->opcode, p->opcodes);
    n += p->opcodes;
    memcpy(out + n, p->address, p->address_size);
    n += p->address_size;
    memcpy(out + n, p->rest, p->rest_size);
    n += p->rest_size;
    if (n > X86_MAX_INSN)
        return false;
    put_bytes(code, out, n);
    return true;
}

static bool has_memory_modrm(const uint8_t *bytes, const struct encoding *e)
{
    return e->modrm_at && bytes[e->modrm_at] < 0xc0;
}

static bool is_moffs(const uint8_t *bytes, const struct encoding *e)
{
    return e->map == 0 && bytes[e->opcode_at] >= 0xa0 && bytes[e->opcode_at] <= 0xa3;
}

static const struct x86_operand *memory_operand(const struct insn *in)
{
    for (unsigned i = 0; i < in->operands; i++) {
        if (in->op[i].kind == OPERAND_MEM)
            return &in->op[i];
    }
    return NULL;
}

// mod 00, rm 101: in 64-bit mode relative to rip, and X and B mean nothing (SDM vol. 2, 2.2.1.6).
static bool is_rip_relative(const struct parts *p, const struct encoding *e)
{
    return e->modrm_at && (p->modrm & 0xc7) == 5;
}

static bool make_absolute(struct parts *p, const struct insn *in, const struct x86_operand *memory)
{
    int64_t address = memory->mem.disp;
    if (in->addr_size == 8 && address != (int32_t)address)
        return false;
    p->x = p->b = 0;
    p->address_size = 6;
    p->address[0] = (p->modrm & 0x38) | 4;
    p->address[1] = SIB_NO_BASE_NO_INDEX;
    memcpy(p->address + 2, &address, 4);
    return true;
}

bool put_biased(struct code *code, const uint8_t *bytes, const struct insn *in)
{
    const struct x86_operand *memory = memory_operand(in);
    struct encoding e;
    if (!memory) {
        put_ident(code, bytes, in);
        return true;
    }
    if (!encoding_of(bytes, in, &e) || names_rsp(in) || in->id == X86_INS_LEA)
        return false;
    if (memory->mem.seg != X86_NO_SEG || (memory->mem.base == RSP && in->addr_size == 4))
        return false;
    if (!has_memory_modrm(bytes, &e) && !is_moffs(bytes, &e) && in->id != X86_INS_XLATB)
        return false;

    struct parts p = take_apart(bytes, in, &e, true);
    p.x = e.vex == 3 ? !(p.vex_byte[1] & 0x40) : e.rex & REX_X;
    p.b = e.vex == 3 ? !(p.vex_byte[1] & 0x20) : e.rex & REX_B;
    p.gs = memory->mem.base != RSP;
    if (is_rip_relative(&p, &e)) {
        if (!make_absolute(&p, in, memory))
            return false;
    } else {
        unsigned from = e.opcode_at + p.opcodes;
        p.address_size = (uint8_t)(e.after_address - from);
        memcpy(p.address, bytes + from, p.address_size);
    }
    return put_together(code, &p);
}

// ModRM, SIB and displacement of a place (SDM vol. 2, 2.1.5); the extension bits go to *x and *b.
static unsigned encode_place(uint8_t *out, unsigned reg, const struct place *place, uint8_t *x, uint8_t *b)
{
    bool short_disp = place->disp == (int8_t)place->disp, index = place->index != X86_NO_REG;
    bool sib = index || (place->base & 7) == RSP;
    unsigned mod = place->disp == 0 && (place->base & 7) != RBP ? 0 : short_disp ? 1 : 2, n = 0;
    assert(place->index != RSP);
    out[n++] = (uint8_t)(mod << 6 | (reg & 7) << 3 | (sib ? 4 : place->base & 7));
    if (sib)
        out[n++] = (uint8_t)((index ? place->index & 7 : 4) << 3 | (place->base & 7));
    memcpy(out + n, &place->disp, 4);
    *x = index && place->index >= 8;
    *b = place->base >= 8;
    return n + (mod == 0 ? 0 : mod == 1 ? 1 : 4);
}

// The whole instruction, with another operand in memory.
static struct parts take_for_place(const uint8_t *bytes, const struct insn *in, const struct place *place)
{
    struct encoding e;
    bool known = encoding_of(bytes, in, &e);
    assert(known && (has_memory_modrm(bytes, &e) || is_moffs(bytes, &e)));

    struct parts p = take_apart(bytes, in, &e, false);
    if (is_moffs(bytes, &e)) { // mov between al or rax and moffs: a0-a3 become 8a 8b 88 89, and R would mean something
        p.opcode[0] = (uint8_t)(0x88 | (p.opcode[0] ^ 2) % 4);
        p.rex &= (uint8_t)~REX_R;
    }
    p.address_size = (uint8_t)encode_place(p.address, p.modrm >> 3 & 7, place, &p.x, &p.b);
    return p;
}

void put_with_place(struct code *code, const uint8_t *bytes, const struct insn *in, const struct place *place)
{
    struct parts p = take_for_place(bytes, in, place);
    bool written = put_together(code, &p);
    assert(written);
}

void put_with_base(struct code *code, const uint8_t *bytes, const struct insn *in, unsigned reg)
{
    assert((reg & 7) != RSP && (reg & 7) != RBP);
    put_with_place(code, bytes, in, &(struct place){.base = (uint8_t)reg, .index = X86_NO_REG});
}

bool put_biased_base(struct code *code, const uint8_t *bytes, const struct insn *in, unsigned reg, int32_t disp)
{
    struct parts p =
        take_for_place(bytes, in, &(struct place){.base = (uint8_t)reg, .index = X86_NO_REG, .disp = disp});
    p.gs = true;
    return put_together(code, &p);
}

void put_on_place(struct code *code, uint8_t opcode, unsigned reg, const struct place *place)
{
    uint8_t out[16], x, b;
    unsigned n = 2 + encode_place(out + 2, reg, place, &x, &b);
    out[0] = (uint8_t)(0x48 | (reg >= 8 ? REX_R : 0) | (x ? REX_X : 0) | (b ? REX_B : 0));
    out[1] = opcode;
    put_bytes(code, out, n);
}

void put_lea_operand(struct code *code, unsigned reg, const struct insn *in, const struct x86_operand *memory)
{
    unsigned base = memory->mem.base, index = memory->mem.index;
    bool narrow = in->addr_size == 4; // the sum's lower half is the sum of the lower halves
    if (base == X86_NO_REG && index == X86_NO_REG) {
        put_mov_reg_imm(code, reg, narrow ? (uint32_t)memory->mem.disp : (uint64_t)memory->mem.disp);
        return;
    }
    bool no_base = base == X86_NO_REG, no_index = index == X86_NO_REG;
    int32_t disp = (int32_t)memory->mem.disp;
    uint8_t out[8];
    out[0] = (uint8_t)(0x40 | (narrow ? 0 : 8) | (reg >= 8 ? REX_R : 0) | (!no_index && index >= 8 ? REX_X : 0) |
                       (!no_base && base >= 8 ? REX_B : 0));
    out[1] = 0x8d;
    out[2] = (uint8_t)((no_base ? 0 : 0x80) | (reg & 7) << 3 | 4);
    out[3] = (uint8_t)(memory->mem.shift << 6 | (no_index ? 4 : index & 7) << 3 | (no_base ? 5 : base & 7));
    memcpy(out + 4, &disp, 4);
    put_bytes(code, out, 8);
}

void put_lea(struct code *code, const uint8_t *bytes, const struct insn *in, enum world world)
{
    struct encoding e;
    bool known = encoding_of(bytes, in, &e);
    assert(known && in->id == X86_INS_LEA);
    const struct x86_operand *to = &in->op[0], *from = &in->op[1];
    bool rip_relative = (bytes[e.modrm_at] & 0xc7) == 5;
    if (world == WORLD_FAST && names_rsp(in)) {
        put_rsp_unbiased(code, bytes, in, true, 0, &(struct displaced){0}); // always can
    } else if (rip_relative && to->size == 2) {                             // mov $imm16, %reg
        uint8_t mov[] = {0x66, 0x40 | (to->reg >= 8), 0xb8 | (to->reg & 7), 0, 0};
        memcpy(mov + 3, &from->mem.disp, 2);
        put_bytes(code, mov, sizeof mov);
    } else if (rip_relative) {
        bool narrow = to->size == 4 || in->addr_size == 4;
        put_mov_reg_imm(code, to->reg, narrow ? (uint32_t)from->mem.disp : (uint64_t)from->mem.disp);
    } else {
        put_ident(code, bytes, in);
    }
}

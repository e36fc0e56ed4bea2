// SPDX-License-Identifier: BSD-2-Clause
// From bytes to struct insn by the rows of x86/vector.def: prefixes (SDM vol. 2, 2.1 to 2.3), the row that they select,
// modrm and what follows it, then the operands that the row names.
#include "x86/vector.h"

#include <string.h>

#include "include/vcpu_state.h"

// ---- The table ----

enum map { MAP_0F, MAP_0F38, MAP_0F3A, MAP_ESC };
enum prefix { PREFIX_NP, PREFIX_66, PREFIX_F3, PREFIX_F2 }; // as VEX.pp has them
enum { NONE = X86_INS_INVALID, ANY = -1 };

enum rule {
    W0 = 1,
    W1 = 2,
    L0 = 4,
    L1 = 8,
    MEM = 0x10,
    REG = 0x20,
    BARE = 0x40,
    HAS_RM = 0x80, // modrm.rm is given, in bits 8 up
};
#define RM(n) (HAS_RM | (n) << 8)

// An operand: where it is, and in the low bits the size of what is accessed of it.
enum size {
    SIZE_b = 1,
    SIZE_w,
    SIZE_d,
    SIZE_q,
    SIZE_t,
    SIZE_o,
    SIZE_z,
    SIZE_x,
    SIZE_h,
    SIZE_f,
    SIZE_e,
    SIZE_y,
    SIZE_v,
    SIZE_s,
    SIZE_a,
    SIZE_m
};
#define SIZE_BITS 5
#define SIZE_MASK ((1 << SIZE_BITS) - 1)
// clang-format off
enum place { AT_V = 1, AT_H, AT_W, AT_U, AT_L, AT_P, AT_Q, AT_N, AT_X, AT_G, AT_B, AT_E, AT_R, AT_M, AT_T, AT_D, AT_I,
             AT_F, AT_Z, AT_A };
#define OPERAND(place, size) place##size = AT_##place << SIZE_BITS | SIZE_##size
#define OPERANDS(place)                                                                                                \
    OPERAND(place, b), OPERAND(place, w), OPERAND(place, d), OPERAND(place, q), OPERAND(place, t), OPERAND(place, o),  \
    OPERAND(place, z), OPERAND(place, x), OPERAND(place, h), OPERAND(place, f), OPERAND(place, e), OPERAND(place, y),  \
    OPERAND(place, v), OPERAND(place, s), OPERAND(place, a), OPERAND(place, m)
enum operand {
    OPERANDS(V), OPERANDS(H), OPERANDS(W), OPERANDS(U), OPERANDS(L), OPERANDS(P), OPERANDS(Q), OPERANDS(N), OPERANDS(X),
    OPERANDS(G), OPERANDS(B), OPERANDS(E), OPERANDS(R), OPERANDS(M), OPERANDS(T), OPERANDS(D), OPERANDS(I), OPERANDS(F),
    OPERANDS(Z), OPERANDS(A),
};
// clang-format on

struct row {
    uint8_t map, prefix, opcode;
    int8_t digit;
    uint16_t rules;
    uint16_t legacy, vex;
    uint16_t operand[4];
};

static const struct row rows[] = {
#define X86_INS_NONE X86_INS_INVALID
#define ROW(map, prefix, opcode, digit, rules, legacy, vex, ...)                                                       \
    {MAP_##map, PREFIX_##prefix, opcode, digit, rules, X86_INS_##legacy, X86_INS_##vex, {__VA_ARGS__}},
#include "x86/vector.def"
#undef ROW
};
#define ROWS (sizeof rows / sizeof rows[0])

void vector_index_rows(struct x86_decoder *d)
{
    memset(d->vector_rows, 0, sizeof d->vector_rows);
    for (unsigned i = ROWS; i-- > 0;)
        d->vector_rows[rows[i].map][rows[i].opcode] = (uint16_t)(i + 1);
}

// ---- Prefixes and opcode ----

struct head {
    enum x86_mode mode;
    const uint8_t *bytes;
    size_t n;
    unsigned at; // behind the opcode
    uint8_t map, prefix, opcode;
    bool vex, vex_l, w;
    uint8_t r, x, b; // 0 or 8
    uint8_t vvvv;
    uint8_t addr_size, seg;
    bool opsize, rip;
    uint8_t modrm;
};

// Legacy prefixes and REX, which counts where it is the last one (SDM vol. 2, 2.2.1). Some may not precede VEX (2.3.2
// to 2.3.5). False: bytes end.
static bool read_prefixes(struct head *h, bool *may_be_vex)
{
    uint8_t rex = 0, repeat = PREFIX_NP;
    *may_be_vex = true;
    for (; h->at < h->n; h->at++) {
        uint8_t byte = h->bytes[h->at];
        if (h->mode == X86_CODE64 && (byte & 0xf0) == 0x40) {
            rex = byte;
            continue;
        }
        if (byte == 0x66)
            h->opsize = true;
        else if (byte == 0x67)
            h->addr_size = h->mode == X86_CODE32 ? 2 : 4;
        else if (byte == 0xf2 || byte == 0xf3)
            repeat = byte == 0xf2 ? PREFIX_F2 : PREFIX_F3;
        else if (byte == 0x64 || byte == 0x65)
            h->seg = byte == 0x64 ? SEG_FS : SEG_GS;
        else if (byte == 0x26 || byte == 0x2e || byte == 0x36 || byte == 0x3e)
            h->seg = h->mode == X86_CODE64 ? h->seg : (byte >> 3 & 3);
        else if (byte != 0xf0)
            break;
        rex = 0;
        if (byte == 0x66 || byte == 0xf0 || byte == 0xf2 || byte == 0xf3)
            *may_be_vex = false;
    }
    if (rex)
        *may_be_vex = false;
    h->prefix = repeat ? repeat : h->opsize ? PREFIX_66 : PREFIX_NP;
    h->w = rex & 8;
    h->r = rex << 1 & 8;
    h->x = rex << 2 & 8;
    h->b = rex << 3 & 8;
    return h->at < h->n;
}

static bool read_vex(struct head *h) // at c4 or c5 (SDM vol. 2, 2.3.5)
{
    bool three = h->bytes[h->at] == 0xc4;
    if (h->at + (three ? 4u : 3u) > h->n)
        return false;
    uint8_t first = h->bytes[h->at + 1], last = h->bytes[h->at + (three ? 2 : 1)];
    unsigned map = three ? first & 0x1f : 1;
    h->vex = true;
    h->r = first & 0x80 ? 0 : 8;
    h->x = three && !(first & 0x40) ? 8 : 0;
    h->b = three && !(first & 0x20) ? 8 : 0;
    h->w = three && last & 0x80;
    h->vvvv = (~last >> 3) & 15;
    if (h->mode != X86_CODE64) { // R and X are clear, or this were LES or LDS; the other bits are ignored
        h->b = 0;
        h->vvvv &= 7;
    }
    h->vex_l = last & 4;
    h->prefix = last & 3;
    h->map = (uint8_t)(MAP_0F + map - 1);
    h->opcode = h->bytes[h->at + (three ? 3 : 2)];
    h->at += three ? 4 : 3;
    return map >= 1 && map <= 3;
}

// VECTOR_DECODED: map and opcode are known, and may have rows.
static enum vector_result read_head(struct head *h)
{
    bool may_be_vex;
    if (!read_prefixes(h, &may_be_vex))
        return VECTOR_NONE;
    uint8_t first = h->bytes[h->at];
    if (first == 0xc4 || first == 0xc5 || first == 0x62) {
        // Outside 64-bit mode LES, LDS and BOUND where what follows is a modrm with memory (SDM vol. 2, 2.3.5).
        if (h->mode != X86_CODE64 && (h->at + 1 >= h->n || h->bytes[h->at + 1] < 0xc0))
            return VECTOR_NONE;
    }
    if (first == 0xc4 || first == 0xc5)
        return may_be_vex && read_vex(h) ? VECTOR_DECODED : VECTOR_INVALID;
    if (first == 0x62) // EVEX
        return VECTOR_INVALID;
    if (first >= 0xd8 && first <= 0xdf) {
        h->map = MAP_ESC;
        h->prefix = PREFIX_NP; // none selects an x87 instruction
        h->opcode = first;
        h->at++;
        return VECTOR_DECODED;
    }
    if (first != 0x0f || h->at + 1 >= h->n)
        return VECTOR_NONE;
    uint8_t second = h->bytes[h->at + 1];
    bool longer = second == 0x38 || second == 0x3a;
    if (longer && h->at + 2 >= h->n)
        return VECTOR_NONE;
    h->map = !longer ? MAP_0F : second == 0x38 ? MAP_0F38 : MAP_0F3A;
    h->opcode = longer ? h->bytes[h->at + 2] : second;
    h->at += longer ? 3 : 2;
    return VECTOR_DECODED;
}

// ---- The row ----

static unsigned place_of(unsigned operand)
{
    return operand >> SIZE_BITS;
}

static bool uses_vvvv(const struct row *row)
{
    for (unsigned i = 0; i < 4; i++) {
        if (place_of(row->operand[i]) == AT_H || place_of(row->operand[i]) == AT_B)
            return true;
    }
    return false;
}

// Outside 64-bit mode W means nothing to an instruction with a general register or memory in its place.
static bool w_counts(const struct head *h, const struct row *row)
{
    for (unsigned i = 0; h->mode != X86_CODE64 && i < 4; i++) {
        unsigned place = place_of(row->operand[i]);
        if (place == AT_G || place == AT_B || place == AT_E || place == AT_R)
            return false;
    }
    return true;
}

static bool matches(const struct head *h, const struct row *row)
{
    unsigned rules = row->rules;
    bool w = h->w && w_counts(h, row);
    if ((h->vex ? row->vex : row->legacy) == X86_INS_INVALID || row->prefix != h->prefix)
        return false;
    if ((rules & W0 && w) || (rules & W1 && !w))
        return false;
    if (h->vex && ((rules & L0 && h->vex_l) || (rules & L1 && !h->vex_l) || (h->vvvv && !uses_vvvv(row))))
        return false;
    if (rules & BARE)
        return true;
    if (row->digit != ANY && row->digit != (h->modrm >> 3 & 7))
        return false;
    if ((rules & MEM && h->modrm >= 0xc0) || (rules & REG && h->modrm < 0xc0))
        return false;
    return !(rules & HAS_RM) || (h->modrm & 7) == rules >> 8;
}

// NULL: none of the opcode's rows; *ours tells whether any has a form with or without VEX, as this is.
static const struct row *find_row(const struct head *h, unsigned first, bool *ours)
{
    *ours = false;
    for (const struct row *row = rows + first; row < rows + ROWS; row++) {
        if (row->map != h->map || row->opcode != h->opcode)
            break;
        *ours |= (h->vex ? row->vex : row->legacy) != X86_INS_INVALID;
        if (matches(h, row))
            return row;
    }
    return NULL;
}

// ---- Operands ----

static unsigned bytes_of(const struct head *h, unsigned size)
{
    unsigned x = h->vex_l ? 32 : 16;
    bool w = h->w && h->mode == X86_CODE64, narrow = h->opsize != (h->mode == X86_CODE16) && !w;
    const uint16_t bytes[] = {[SIZE_b] = 1,
                              [SIZE_w] = 2,
                              [SIZE_d] = 4,
                              [SIZE_q] = 8,
                              [SIZE_t] = 10,
                              [SIZE_o] = 16,
                              [SIZE_z] = 32,
                              [SIZE_x] = (uint16_t)x,
                              [SIZE_h] = (uint16_t)(x / 2),
                              [SIZE_f] = (uint16_t)(x / 4),
                              [SIZE_e] = (uint16_t)(x / 8),
                              [SIZE_y] = w ? 8 : 4,
                              [SIZE_v] = narrow ? 14 : 28,
                              [SIZE_s] = narrow ? 94 : 108,
                              [SIZE_a] = 512,
                              [SIZE_m] = 832};
    return bytes[size];
}

// The segment of a memory operand, as struct x86_operand has it.
static uint8_t segment_of(const struct head *h, uint8_t base)
{
    if (h->mode == X86_CODE64 || h->seg != X86_NO_SEG)
        return h->seg;
    return base == RSP || base == RBP ? SEG_SS : SEG_DS;
}

static void note_segment(const struct head *h, struct insn *insn, struct x86_operand *out)
{
    bool stack = out->mem.base == RSP || out->mem.base == RBP;
    out->mem.seg = segment_of(h, out->mem.base);
    insn->stack_segment = h->mode == X86_CODE64 ? stack && h->seg == X86_NO_SEG : out->mem.seg == SEG_SS;
}

// A displacement of 0, 1, 2 or 4 bytes. False: bytes end.
static bool read_displacement(struct head *h, struct x86_operand *out, unsigned size)
{
    int32_t disp = 0;
    if (h->at + size > h->n)
        return false;
    memcpy(&disp, h->bytes + h->at, size);
    h->at += size;
    out->mem.disp = size == 1 ? (int8_t)disp : size == 2 ? (int16_t)disp : disp;
    return true;
}

// The same with 16-bit addresses (SDM vol. 2, table 2-1).
static bool read_memory16(struct head *h, struct insn *insn, struct x86_operand *out)
{
    static const uint8_t base[8] = {RBX, RBX, RBP, RBP, RSI, RDI, RBP, RBX};
    static const uint8_t index[8] = {RSI, RDI, RSI, RDI, X86_NO_REG, X86_NO_REG, X86_NO_REG, X86_NO_REG};
    unsigned mod = h->modrm >> 6, rm = h->modrm & 7;
    bool absolute = mod == 0 && rm == 6;
    out->kind = OPERAND_MEM;
    out->mem.base = absolute ? X86_NO_REG : base[rm];
    out->mem.index = index[rm];
    note_segment(h, insn, out);
    return read_displacement(h, out, absolute ? 2 : mod);
}

// modrm, sib and displacement (SDM vol. 2, 2.1.5 and 2.2.1): length and the memory operand. False: bytes end.
static bool read_memory(struct head *h, struct insn *insn, struct x86_operand *out, bool vsib)
{
    if (h->addr_size == 2)
        return !vsib && read_memory16(h, insn, out);
    unsigned mod = h->modrm >> 6, rm = h->modrm & 7, disp_size = mod == 1 ? 1 : mod == 2 ? 4 : 0;
    bool rip = mod == 0 && rm == 5;
    out->kind = OPERAND_MEM;
    out->mem.base = (uint8_t)(rm | h->b);
    out->mem.index = X86_NO_REG;
    if (rm == 4) {
        if (h->at >= h->n)
            return false;
        uint8_t sib = h->bytes[h->at++], index = (uint8_t)((sib >> 3 & 7) | h->x);
        out->mem.base = (uint8_t)((sib & 7) | h->b);
        out->mem.shift = sib >> 6;
        if (vsib || index != RSP)
            out->mem.index = index;
        else
            out->mem.shift = 0;
        if (mod == 0 && (sib & 7) == 5) {
            out->mem.base = X86_NO_REG;
            disp_size = 4;
        }
    } else if (vsib) {
        return false;
    }
    if (rip) {
        out->mem.base = X86_NO_REG;
        disp_size = 4;
    }
    out->mem.vsib = vsib;
    h->rip = rip && h->mode == X86_CODE64;
    note_segment(h, insn, out);
    return read_displacement(h, out, disp_size);
}

static struct x86_operand reg_of(uint8_t kind, unsigned reg, unsigned size)
{
    return (struct x86_operand){.kind = kind, .reg = (uint8_t)reg, .size = (uint16_t)size};
}

// Register or memory in modrm.rm; mem has been read.
static struct x86_operand rm_of(const struct head *h, const struct x86_operand *mem, uint8_t kind, unsigned reg,
                                unsigned size)
{
    if (h->modrm >= 0xc0)
        return reg_of(kind, reg, size);
    struct x86_operand o = *mem;
    o.size = (uint16_t)size;
    return o;
}

static struct x86_operand di_operand(const struct head *h, unsigned size)
{
    return (struct x86_operand){
        .kind = OPERAND_MEM,
        .size = (uint16_t)size,
        .mem = {.base = RDI, .index = X86_NO_REG, .seg = segment_of(h, RDI)},
    };
}

static struct x86_operand operand_of(const struct head *h, const struct x86_operand *mem, uint8_t imm, unsigned operand)
{
    unsigned size = bytes_of(h, operand & SIZE_MASK), rm = h->modrm & 7, reg = h->modrm >> 3 & 7;
    switch (place_of(operand)) {
    case AT_V:
        return reg_of(OPERAND_XMM, reg | h->r, size);
    case AT_H:
        return reg_of(OPERAND_XMM, h->vvvv, size);
    case AT_W:
    case AT_U:
        return rm_of(h, mem, OPERAND_XMM, rm | h->b, size);
    case AT_L:
        return reg_of(OPERAND_XMM, h->mode == X86_CODE64 ? imm >> 4 : imm >> 4 & 7, size);
    case AT_X:
        return reg_of(OPERAND_XMM, 0, size);
    case AT_P:
        return reg_of(OPERAND_MMX, reg, size);
    case AT_Q:
    case AT_N:
        return rm_of(h, mem, OPERAND_MMX, rm, size);
    case AT_G:
        return reg_of(OPERAND_GPR, reg | h->r, size);
    case AT_B:
        return reg_of(OPERAND_GPR, h->vvvv, size);
    case AT_E:
        return rm_of(h, mem, OPERAND_GPR, rm | h->b, size);
    case AT_R:
        return rm_of(h, mem, OPERAND_GPR, rm | h->b, h->modrm >= 0xc0 ? 4 : size);
    case AT_A:
        return reg_of(OPERAND_GPR, RAX, size);
    case AT_D:
        return di_operand(h, size);
    case AT_I:
        return (struct x86_operand){.kind = OPERAND_IMM, .size = 1, .imm = imm};
    case AT_F:
        return reg_of(OPERAND_ST, rm, size);
    case AT_Z:
        return reg_of(OPERAND_ST, 0, size);
    default: // M, T
        return rm_of(h, mem, OPERAND_NONE, 0, size);
    }
}

static bool is_immediate(unsigned operand)
{
    return place_of(operand) == AT_I || place_of(operand) == AT_L;
}

// Of a gather's destination, index and mask no two may be the same (SDM vol. 2, VGATHERDPS).
static bool gather_is_valid(const struct insn *insn)
{
    uint8_t to = insn->op[0].reg, index = insn->op[1].mem.index, mask = insn->op[2].reg;
    return to != index && to != mask && index != mask;
}

static bool read_operands(struct head *h, const struct row *row, uint64_t address, struct insn *insn)
{
    struct x86_operand mem = {0};
    bool vsib = false, immediate = false;
    for (unsigned i = 0; i < 4; i++) {
        vsib |= place_of(row->operand[i]) == AT_T;
        immediate |= is_immediate(row->operand[i]);
    }
    if (!(row->rules & BARE))
        h->at++;
    if (!(row->rules & BARE) && h->modrm < 0xc0 && !read_memory(h, insn, &mem, vsib))
        return false;
    if (immediate && h->at >= h->n)
        return false;
    uint8_t imm = immediate ? h->bytes[h->at++] : 0;
    insn->length = (uint8_t)h->at;
    if (h->rip)
        mem.mem.disp += (int64_t)(address + insn->length);
    for (unsigned i = 0; i < 4 && row->operand[i]; i++) {
        if (place_of(row->operand[i]) != AT_H || h->vex)
            insn->op[insn->operands++] = operand_of(h, &mem, imm, row->operand[i]);
    }
    return !vsib || gather_is_valid(insn);
}

static void note_opcode(const struct head *h, struct insn *insn)
{
    static const uint8_t second[] = {[MAP_0F38] = 0x38, [MAP_0F3A] = 0x3a};
    unsigned i = 0;
    if (h->map != MAP_ESC)
        insn->opcode[i++] = 0x0f;
    if (h->map == MAP_0F38 || h->map == MAP_0F3A)
        insn->opcode[i++] = second[h->map];
    insn->opcode[i] = h->opcode;
}

enum vector_result vector_decode(const struct x86_decoder *d, enum x86_mode mode, const uint8_t *bytes, size_t n,
                                 uint64_t address, struct insn *insn)
{
    static const uint8_t address_sizes[X86_MODES] = {8, 4, 2};
    struct head h = {.mode = mode, .bytes = bytes, .n = n, .addr_size = address_sizes[mode], .seg = X86_NO_SEG};
    enum vector_result known = read_head(&h);
    if (known != VECTOR_DECODED)
        return known;
    unsigned first = d->vector_rows[h.map][h.opcode];
    if (!first)
        return h.vex ? VECTOR_INVALID : VECTOR_NONE;
    h.modrm = h.at < n ? bytes[h.at] : 0;
    bool ours, fences = h.map == MAP_0F && h.opcode == 0xae && h.modrm >= 0xc0; // and rdfsbase: not here
    const struct row *row = find_row(&h, first - 1, &ours);
    if (!row)
        return h.vex || (ours && !fences) ? VECTOR_INVALID : VECTOR_NONE;
    if (h.at >= n && !(row->rules & BARE))
        return VECTOR_INVALID;
    memset(insn, 0, sizeof *insn);
    insn->mode = (uint8_t)mode;
    insn->id = h.vex ? row->vex : row->legacy;
    insn->vex = h.vex;
    insn->vex_l = h.vex_l;
    insn->rex_w = h.w;
    insn->addr_size = h.addr_size;
    insn->modrm = row->rules & BARE ? 0 : h.modrm;
    note_opcode(&h, insn);
    return read_operands(&h, row, address, insn) ? VECTOR_DECODED : VECTOR_INVALID;
}

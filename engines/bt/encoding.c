// SPDX-License-Identifier: BSD-2-Clause
// Where the parts of a guest instruction's bytes are (SDM vol. 2, chapter 2 and appendix A): Capstone says what an
// instruction means, but carrying it over means to copy some of its bytes and to change others.
#include "engines/bt/code.h"

#include <string.h>

// A reader over the instruction's bytes that stops at its end.
struct reader {
    const uint8_t *bytes;
    unsigned at, length;
    bool opsize, addrsize; // prefixes 66, 67
    bool legacy;           // not 64-bit mode; opsize is: operands of 16 bits
    uint8_t addr_size;
};

static uint8_t peek(const struct reader *r)
{
    return r->at < r->length ? r->bytes[r->at] : 0;
}

static bool is_legacy_prefix(uint8_t byte)
{
    static const uint8_t prefixes[] = {0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65};
    return memchr(prefixes, byte, sizeof prefixes);
}

static bool in_set(const uint64_t set[4], uint8_t opcode)
{
    return set[opcode / 64] >> opcode % 64 & 1;
}

// Bit n of a row: does opcode row * 16 + n have a ModRM byte? Rows 0-3 of a quarter, from the low bits up.
#define ROWS(a, b, c, d) ((uint64_t)(d) << 48 | (uint64_t)(c) << 32 | (uint64_t)(b) << 16 | (uint64_t)(a))

static const uint64_t modrm_one_byte[4] = {
    // appendix A.3, table A-2
    ROWS(0x0f0f, 0x0f0f, 0x0f0f, 0x0f0f), // add ... cmp
    ROWS(0x0000, 0x0000, 0x0a08, 0x0000), // 63 movsxd, 69 6b imul
    ROWS(0xffff, 0x0000, 0x0000, 0x0000), // 80-8f
    ROWS(0x00c3, 0xff0f, 0x0000, 0xc0c0), // c0 c1 c6 c7, d0-d3 d8-df, f6 f7 fe ff
};
static const uint64_t modrm_0f[4] = {
    // table A-3
    ROWS(0xa00f, 0xffff, 0xff0f, 0x0000), // all but 04-0c 0e, 24-27, 30-3f
    ROWS(0xffff, 0xffff, 0xffff, 0xff7f), // all but 77 emms
    ROWS(0x0000, 0xffff, 0xf8f8, 0xfdff), // all but 80-8f, a0-a2 a8-aa, b9 ud1 (by Capstone)
    ROWS(0x00ff, 0xffff, 0xffff, 0x7fff), // all but c8-cf bswap, ff ud0 (by Capstone)
};

static bool has_modrm(const struct encoding *e, uint8_t opcode)
{
    return e->map == 0 ? in_set(modrm_one_byte, opcode) : e->map == 1 ? in_set(modrm_0f, opcode) : true;
}

// Immediates and branch displacements of z size: 16 bits under 66, else 32. Near branches too, where processors
// disagree about 66; they are never carried over as they are.
static unsigned immediate_z(const struct reader *r, const struct encoding *e)
{
    return r->opsize && !(e->rex & 8) ? 2 : 4;
}

static unsigned immediate_one_byte(const struct reader *r, const struct encoding *e, uint8_t opcode, uint8_t modrm)
{
    if (opcode < 0x40)
        return (opcode & 7) == 4 ? 1 : (opcode & 7) == 5 ? immediate_z(r, e) : 0;
    if (opcode >= 0x70 && opcode <= 0x7f)
        return 1;
    if (opcode >= 0xb0 && opcode <= 0xb7)
        return 1;
    if (opcode >= 0xb8 && opcode <= 0xbf)
        return e->rex & 8 ? 8 : immediate_z(r, e);
    switch (opcode) {
    case 0x6a: // push
    case 0x6b: // imul
    case 0x80:
    case 0x82: // as 80, not in 64-bit mode
    case 0x83: // arithmetic
    case 0xa8: // test
    case 0xc0:
    case 0xc1: // shifts
    case 0xc6: // mov
    case 0xcd: // int
    case 0xd4:
    case 0xd5:
    case 0xe0: // loop, jrcxz, in, out
    case 0xe1:
    case 0xe2:
    case 0xe3:
    case 0xe4:
    case 0xe5:
    case 0xe6:
    case 0xe7:
    case 0xeb: // jmp
        return 1;
    case 0x68: // push
    case 0x69: // imul
    case 0x81: // arithmetic
    case 0xa9: // test
    case 0xc7: // mov
    case 0xe8: // call
    case 0xe9: // jmp
        return immediate_z(r, e);
    case 0xc2:
    case 0xca: // ret
        return 2;
    case 0xc8: // enter
        return 3;
    case 0xf6:
        return (modrm >> 3 & 7) < 2 ? 1 : 0; // test
    case 0xf7:
        return (modrm >> 3 & 7) < 2 ? immediate_z(r, e) : 0;
    }
    return 0;
}

static unsigned immediate_0f(const struct reader *r, const struct encoding *e, uint8_t opcode)
{
    if (opcode >= 0x80 && opcode <= 0x8f) // jcc
        return immediate_z(r, e);
    switch (opcode) {
    case 0x0f: // 3DNow: the opcode is behind the operands
    case 0x70: // shuffles, vector shifts
    case 0x71:
    case 0x72:
    case 0x73:
    case 0xa4: // shld, shrd
    case 0xac:
    case 0xba: // bt family
    case 0xc2: // cmpps family, pinsrw, pextrw, shufps
    case 0xc4:
    case 0xc5:
    case 0xc6:
        return 1;
    }
    return 0;
}

// A REX that counts is right before the opcode; any other one is ignored (SDM vol. 2, 2.2.1).
static bool at_rex(const struct reader *r)
{
    return !r->legacy && (peek(r) & 0xf0) == 0x40;
}

// Legacy prefixes, with any ignored REX among them, then REX or VEX. False for what encoding_of's contract leaves out.
static bool read_prefixes(struct reader *r, struct encoding *e)
{
    for (;; r->at++) {
        struct reader behind = *r;
        behind.at++;
        if (!is_legacy_prefix(peek(r)) && !(at_rex(r) && (at_rex(&behind) || is_legacy_prefix(peek(&behind)))))
            break;
        r->opsize |= peek(r) == 0x66;
        r->addrsize |= peek(r) == 0x67;
    }
    e->prefixes = (uint8_t)r->at;
    if (r->legacy && (r->at + 1 >= r->length || r->bytes[r->at + 1] < 0xc0)) // les and lds are there, and no REX
        return true;
    if (at_rex(r)) {
        e->rex = r->bytes[r->at++];
        return true;
    }
    if (peek(r) == 0xc5) {
        e->vex = 2;
        e->map = 1;
    } else if (peek(r) == 0xc4) {
        e->vex = 3;
        e->map = r->at + 1 < r->length ? r->bytes[r->at + 1] & 0x1f : 0;
        if (e->map < 1 || e->map > 3)
            return false;
    }
    r->at += e->vex;
    return true;
}

static uint8_t read_opcode(struct reader *r, struct encoding *e)
{
    e->opcode_at = (uint8_t)r->at;
    if (!e->vex && peek(r) == 0x0f) {
        r->at++;
        e->map = peek(r) == 0x38 ? 2 : peek(r) == 0x3a ? 3 : 1;
        r->at += e->map > 1;
    }
    uint8_t opcode = peek(r);
    r->at++;
    return opcode;
}

// With 16-bit addresses (SDM vol. 2, table 2-1).
static void read_short_address(struct reader *r, uint8_t mod, uint8_t rm)
{
    r->at += mod == 1 ? 1 : mod == 2 || rm == 6 ? 2 : 0;
}

// ModRM, SIB and displacement (SDM vol. 2, 2.1.5).
static uint8_t read_address(struct reader *r, struct encoding *e, uint8_t opcode)
{
    e->modrm_at = (uint8_t)r->at;
    uint8_t modrm = peek(r), mod = modrm >> 6, rm = modrm & 7;
    r->at++;
    if (mod == 3 || (e->map == 1 && !e->vex && opcode >= 0x20 && opcode <= 0x23)) // control registers: mod is ignored
        return modrm;
    if (r->addr_size == 2) {
        read_short_address(r, mod, rm);
        return modrm;
    }
    uint8_t base = rm;
    if (rm == 4) {
        base = peek(r) & 7;
        r->at++;
    }
    r->at += mod == 1 ? 1 : mod == 2 || base == 5 ? 4 : 0;
    return modrm;
}

bool encoding_of(const uint8_t *bytes, const struct insn *in, struct encoding *e)
{
    struct reader r = {
        .bytes = bytes, .length = in->length, .legacy = in->mode != X86_CODE64, .addr_size = in->addr_size};
    memset(e, 0, sizeof *e);
    if (!read_prefixes(&r, e))
        return false;
    if (r.legacy)
        r.opsize = in->op_size == 2;
    uint8_t opcode = read_opcode(&r, e), modrm = 0;
    if (e->map == 0 && (opcode == 0x62 || (opcode == 0x8f && (peek(&r) & 0x38) != 0))) // EVEX, XOP
        return false;
    if (has_modrm(e, opcode))
        modrm = read_address(&r, e, opcode);
    else if (e->map == 0 && opcode >= 0xa0 && opcode <= 0xa3)
        r.at += r.legacy ? in->addr_size : r.addrsize ? 4 : 8;
    e->after_address = (uint8_t)r.at;
    r.at += e->map == 0   ? immediate_one_byte(&r, e, opcode, modrm)
            : e->map == 1 ? immediate_0f(&r, e, opcode)
            : e->map == 3 ? 1
                          : 0;
    return r.at == in->length;
}

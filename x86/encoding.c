// SPDX-License-Identifier: BSD-2-Clause
// The parts of an instruction's bytes (SDM vol. 2, chapter 2 and appendix A), defined or not.
#include "x86/encoding.h"

#include <string.h>

// A reader over the bytes; what lies behind them reads as 0, and `at` says how many it would have taken.
struct reader {
    const uint8_t *bytes;
    unsigned at, n;
    enum x86_mode mode;
    bool opsize, addrsize; // prefixes 66, 67
};

static uint8_t peek_behind(const struct reader *r, unsigned ahead)
{
    return r->at + ahead < r->n ? r->bytes[r->at + ahead] : 0;
}

static uint8_t peek(const struct reader *r)
{
    return peek_behind(r, 0);
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
    ROWS(0x0000, 0x0000, 0x0a0c, 0x0000), // 62 bound, 63 movsxd, 69 6b imul
    ROWS(0xffff, 0x0000, 0x0000, 0x0000), // 80-8f
    ROWS(0x00f3, 0xff0f, 0x0000, 0xc0c0), // c0 c1 c4-c7, d0-d3 d8-df, f6 f7 fe ff
};
static const uint64_t modrm_0f[4] = {
    // table A-3
    ROWS(0x200f, 0xffff, 0xff0f, 0x0000), // all but 04-0c 0e 0f, 24-27, 30-3f
    ROWS(0xffff, 0xffff, 0xffff, 0xff7f), // all but 77 emms
    ROWS(0x0000, 0xffff, 0xf8f8, 0xffff), // all but 80-8f, a0-a2 a8-aa
    ROWS(0x00ff, 0xffff, 0xffff, 0xffff), // all but c8-cf bswap
};

static bool has_modrm(const struct encoding *e, uint8_t opcode)
{
    return e->map == 0 ? in_set(modrm_one_byte, opcode) : e->map == 1 ? in_set(modrm_0f, opcode) : true;
}

// Whether operands have 16 bits.
static bool is_short(const struct reader *r, const struct encoding *e)
{
    return r->opsize != (r->mode == X86_CODE16) && !(e->rex & 8);
}

static unsigned address_size(const struct reader *r)
{
    if (r->mode == X86_CODE64)
        return r->addrsize ? 4 : 8;
    return r->addrsize != (r->mode == X86_CODE16) ? 2 : 4;
}

// Immediates of z size: 16 bits under 66, else 32.
static unsigned immediate_z(const struct reader *r, const struct encoding *e)
{
    return is_short(r, e) ? 2 : 4;
}

// Displacements of near branches: in 64-bit mode without regard to 66 (x86/decode.c).
static unsigned displacement_z(const struct reader *r, const struct encoding *e)
{
    return r->mode == X86_CODE64 ? 4 : immediate_z(r, e);
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
        return immediate_z(r, e);
    case 0xe8: // call
    case 0xe9: // jmp
        return displacement_z(r, e);
    case 0xc2:
    case 0xca: // ret
        return 2;
    case 0xc8: // enter
        return 3;
    case 0x9a:
    case 0xea: // call and jmp to a far pointer, not in 64-bit mode
        return immediate_z(r, e) + 2;
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
        return displacement_z(r, e);
    switch (opcode) {
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

static unsigned immediate(const struct reader *r, const struct encoding *e, uint8_t opcode, uint8_t modrm)
{
    if (e->map == 0)
        return immediate_one_byte(r, e, opcode, modrm);
    if (e->map == 1)
        return immediate_0f(r, e, opcode);
    return e->map == 3 ? 1 : 0;
}

// A REX that counts is right before the opcode; any other one is ignored (SDM vol. 2, 2.2.1).
static bool rex_at(const struct reader *r, unsigned ahead)
{
    return r->mode == X86_CODE64 && (peek_behind(r, ahead) & 0xf0) == 0x40;
}

// Legacy prefixes, with any ignored REX among them, then the REX that counts.
static void read_prefixes(struct reader *r, struct encoding *e)
{
    for (;; r->at++) {
        uint8_t byte = peek(r);
        if (!is_legacy_prefix(byte) && !(rex_at(r, 0) && (rex_at(r, 1) || is_legacy_prefix(peek_behind(r, 1)))))
            break;
        r->opsize |= byte == 0x66;
        r->addrsize |= byte == 0x67;
    }
    e->prefixes = (uint8_t)r->at;
    if (rex_at(r, 0))
        e->rex = r->bytes[r->at++];
}

// VEX and EVEX (SDM vol. 2, 2.3.5 and 2.7). False: there is no such opcode map. Of its number two bits say how the
// instruction goes on, as of the reserved ones seen on Intel's Emerald Rapids.
static bool read_vex(struct reader *r, struct encoding *e)
{
    uint8_t first = peek(r), second = peek_behind(r, 1);
    if (r->mode != X86_CODE64 && second < 0xc0) // les, lds and bound, with their modrm
        return true;
    if (first == 0xc5)
        e->vex = 2, e->map = 1;
    else if (first == 0xc4)
        e->vex = 3, e->map = second & 3;
    else if (first == 0x62)
        e->vex = 4, e->map = second & 3;
    else
        return true;
    r->at += e->map ? e->vex : 2;
    return e->map;
}

static uint8_t read_opcode(struct reader *r, struct encoding *e)
{
    e->opcode_at = (uint8_t)r->at;
    if (!e->vex && peek(r) == 0x0f) {
        r->at++;
        if ((peek(r) & 0xf8) == 0x38) { // 38 and 3a; the others are reserved, and read as these
            e->map = peek(r) & 2 ? 3 : 2;
            r->at++;
        } else {
            e->map = 1;
        }
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
    if (mod == 3 || (e->map == 1 && opcode >= 0x20 && opcode <= 0x23)) // control registers: mod is ignored
        return modrm;
    if (address_size(r) == 2) {
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

// False: an opcode map that there is not; r->at is behind what says so.
static bool read_parts(struct reader *r, struct encoding *e)
{
    memset(e, 0, sizeof *e);
    read_prefixes(r, e);
    if (!read_vex(r, e))
        return false;
    uint8_t opcode = read_opcode(r, e), modrm = 0;
    if (has_modrm(e, opcode))
        modrm = read_address(r, e, opcode);
    else if (e->map == 0 && opcode >= 0xa0 && opcode <= 0xa3)
        r->at += address_size(r);
    e->after_address = (uint8_t)r->at;
    r->at += immediate(r, e, opcode, modrm);
    return true;
}

unsigned x86_encoded_length(enum x86_mode mode, const uint8_t *bytes, unsigned n)
{
    struct reader r = {.bytes = bytes, .n = n < X86_MAX_INSN ? n : X86_MAX_INSN, .mode = mode};
    struct encoding e;
    read_parts(&r, &e);
    return r.at;
}

bool x86_encoding_fits(enum x86_mode mode, const uint8_t *bytes, unsigned n)
{
    return n >= X86_MAX_INSN || x86_encoded_length(mode, bytes, n) <= n;
}

bool encoding_of(const uint8_t *bytes, const struct insn *in, struct encoding *e)
{
    struct reader r = {.bytes = bytes, .n = in->length, .mode = (enum x86_mode)in->mode};
    bool read = read_parts(&r, e);
    bool xop = !e->map && bytes[e->opcode_at] == 0x8f && in->modrm & 0x38; // pop, but that Capstone knows AMD's XOP
    return read && r.at == in->length && e->vex < 4 && !xop;
}

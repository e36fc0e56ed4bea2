// SPDX-License-Identifier: BSD-2-Clause
// What an instruction begins with, read from its bytes: enough to tell which one it is.
#ifndef RINGSIDE_TESTS_CPU_OPCODE_H
#define RINGSIDE_TESTS_CPU_OPCODE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct opcode {
    bool vex, evex, l, a32; // l: VEX.L; a32: 67
    unsigned map;           // 0 to 3: one byte, 0f, 0f 38, 0f 3a; more with VEX
    unsigned pp; // as VEX.pp: none, 66, f3, f2; of legacy prefixes f2 and f3 count before 66, the last one of them
    uint8_t opcode, modrm;
};

static inline bool is_legacy_prefix(uint8_t b)
{
    return b == 0x66 || b == 0x67 || b >> 1 == 0xf2 >> 1 || b == 0xf0 || b == 0x64 || b == 0x65 || (b & 0xe7) == 0x26;
}

static inline struct opcode opcode_parse(const uint8_t *b, unsigned n)
{
    struct opcode o = {0};
    uint8_t bytes[24] = {0};
    memcpy(bytes, b, n < 15 ? n : 15);
    b = bytes;
    for (; b < bytes + 15 && (is_legacy_prefix(*b) || *b >> 4 == 4); b++) {
        o.pp = *b == 0xf3 ? 2 : *b == 0xf2 ? 3 : *b == 0x66 && !o.pp ? 1 : o.pp;
        o.a32 |= *b == 0x67;
    }
    if (*b == 0xc4) {
        o.vex = true, o.map = b[1] & 31, o.pp = b[2] & 3, o.l = b[2] & 4, b += 3;
    } else if (*b == 0xc5) {
        o.vex = true, o.map = 1, o.pp = b[1] & 3, o.l = b[1] & 4, b += 2;
    } else if (*b == 0x62) {
        o.evex = true;
    } else if (*b == 0x0f) {
        o.map = b[1] == 0x38 ? 2 : b[1] == 0x3a ? 3 : 1, b += o.map > 1 ? 2 : 1;
    }
    o.opcode = b[0], o.modrm = b[1];
    return o;
}

#endif

// SPDX-License-Identifier: BSD-2-Clause
// Makes an encoding near a valid one: one bit of a row's instruction is another. Mostly the processor refuses it, or
// takes it for something else; engines must do the same. What only the host may judge is left out: instructions that
// tell of the machine, that go elsewhere, or that need privilege.
#ifndef RINGSIDE_TESTS_CPU_STRAY_H
#define RINGSIDE_TESTS_CPU_STRAY_H

#include "tests/cpu/cases.h"
#include "tests/cpu/generate_vector.h"
#include "tests/cpu/opcode.h"

static bool in_set(uint8_t v, const uint8_t *set, unsigned n)
{
    return memchr(set, v, n) != NULL;
}
#define IN(v, ...) in_set(v, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static bool stray_fit(const struct opcode *s)
{
    uint8_t op = s->opcode, reg = s->modrm >> 3 & 7;
    if (s->evex || s->map > 3) // AVX-512
        return false;
    if (s->vex) // no tiles; no masks of AVX-512; no shifts with undefined results
        return !(s->map == 2 && ((op >= 0x48 && op <= 0x4f && op != 0x4c) || IN(op, 0x5c, 0x5e, 0x6c))) &&
               !(s->map == 1 && ((op >= 0x41 && op <= 0x4b) || (op >= 0x90 && op <= 0x99))) &&
               !(s->map == 3 && op >= 0x30 && op <= 0x33);
    switch (s->map) {
    case 0: // segments, ports, flags, branches, interrupts, strings, movsxd with 66, and pause, which may have REX.B
        return !IN(op, 0x63, 0x6c, 0x6d, 0x6e, 0x6f, 0x8c, 0x8e, 0x9d, 0xc2, 0xc3, 0xca, 0xcb, 0xcc, 0xcd, 0xcf, 0xf1,
                   0xf4, 0xfa, 0xfb, 0xd6, 0x9a, 0xea) &&
               !(op == 0x90 && s->pp == 2) && !(op >= 0x70 && op <= 0x7f) && !(op >= 0xa4 && op <= 0xa7) &&
               !(op >= 0xaa && op <= 0xaf) && !(op >= 0xe0 && op <= 0xef) && !(op == 0xff && reg >= 2 && reg <= 5) &&
               !(op >= 0xc0 && op <= 0xc1) && !(op >= 0xd0 && op <= 0xd3);
    case 1: // system, time, identification, double shifts
        return !(op <= 0x09) && !(op >= 0x20 && op <= 0x23) && !(op >= 0x30 && op <= 0x37) &&
               !(op >= 0x80 && op <= 0x8f) &&
               !IN(op, 0x78, 0x79, 0xa0, 0xa1, 0xa2, 0xa4, 0xa5, 0xa8, 0xa9, 0xaa, 0xac, 0xad, 0xae, 0xb2, 0xb4, 0xb5,
                   0xc7, 0x0f, 0x1a, 0x1b);
    case 2:
        return op < 0xf8 && !IN(op, 0x80, 0x81, 0x82, 0xf5);
    default:
        return true;
    }
}

// The row that the bytes are of, or NULL.
static inline const struct row *stray_row(const struct opcode *s)
{
    static const uint8_t prefix[] = {0, 0x66, 0xf3, 0xf2};
    for (unsigned i = 0; i < rows_count; i++) {
        const struct row *r = &rows[i];
        unsigned map = r->map >= MAP_VEX38 ? r->map - 2u : r->map;
        bool memory = s->modrm < 0xc0;
        if ((r->shape & MEM_ONLY || of_memory((enum operand_of)r->rm)) && !memory)
            continue;
        if ((r->shape & REG_ONLY || of_register((enum operand_of)r->rm)) && memory)
            continue;
        if ((r->set == SET_VECTOR || r->prefix) && r->prefix != prefix[s->pp & 3])
            continue;
        bool vex = r->map >= MAP_VEX38 || (r->set == SET_VECTOR && host_has((enum need)r->vex_need));
        bool legacy = r->map < MAP_VEX38 && r->need != NEED_NO;
        if (map == s->map && r->opcode == s->opcode && (r->ext < 0 || r->ext == (s->modrm >> 3 & 7)) &&
            (s->vex ? vex : legacy))
            return r;
    }
    return NULL;
}

static bool make_stray(uint64_t *rng, struct test_case *t)
{
    const struct row *row = &rows[rng_below(rng, rows_count)];
    bool made = row->set == SET_INTEGER
                    ? host_has((enum need)row->need) && row->special <= CRC32 && make_integer(rng, t, row)
                    : make_vector(rng, t, row);
    if (!made)
        return false;
    for (unsigned n = 1 + one_in(rng, 4); n; n--)
        t->bytes[rng_below(rng, t->length < 6 ? t->length : 6)] ^= (uint8_t)(1u << rng_below(rng, 8));
    unsigned length = insn_kind(t->bytes, 15).length; // another one than before, perhaps
    if (!length && t->length < 15) {                  // whatever the host may find in it, it ends before the case does
        memset(t->bytes + t->length, 0x90, 15 - t->length);
        length = insn_kind(t->bytes, 15).length;
    }
    t->length = length ? length : 15;
    struct opcode s = opcode_parse(t->bytes, t->length);
    t->name = "stray";
    t->undefined = FLAGS_ARITH; // of which instruction, nobody asks
    t->undefined_fsw = 0x4700;
    if (!t->vector)
        fill_fpu(rng, t, DATA_INT, false);
    return stray_fit(&s) && !case_meets_code(t);
}

#endif

// SPDX-License-Identifier: BSD-2-Clause
// Makes a short run of instructions with conditional jumps over some of them: what single instructions cannot show,
// that blocks, links, pairs executed as one, and flags read long after they were set work together. Only instructions
// without undefined flags that a later one could read; memory operands are rip-relative, as registers change on the
// way.
#ifndef RINGSIDE_TESTS_CPU_SEQUENCE_H
#define RINGSIDE_TESTS_CPU_SEQUENCE_H

#include "tests/cpu/generate.h"

enum { SEQUENCE_INSNS = 6 };

static bool fits_sequence(const struct row *row)
{
    bool plain = row->special <= CRC32 || row->special == COMPARE_EXCHANGE ||
                 (row->special == STACK && (row->shape & (PLUS_REG | IMM8 | IMMZ)));
    bool reads_af = row->map == MAP_NONE && row->opcode == 0x9f; // lahf
    return plain && !reads_af && (row->undefined & ~(uint32_t)FLAG_AF) == 0 && host_has(row);
}

// Half of the rows in front of a jump are those that an engine might execute together with it.
static const struct row *sequence_row(uint64_t *rng, bool before_jump)
{
    enum { ALU_ROWS_END = 8 * 9 };
    for (;;) {
        const struct row *row = &rows[rng_below(rng, before_jump && one_in(rng, 2) ? ALU_ROWS_END : ROWS)];
        if (fits_sequence(row))
            return row;
    }
}

static bool add_insn(uint64_t *rng, struct test_case *t, bool before_jump)
{
    struct gen g = {.rng = rng, .t = t, .row = sequence_row(rng, before_jump), .rip_only = true};
    unsigned start = t->length;
    t->start[t->insns++] = (uint8_t)start;
    t->undefined |= g.row->undefined;
    encode(&g);
    if (g.mem)
        memory_inputs(&g, aim(&g, any_target(rng, g.width / 8)));
    return t->length - start <= 15;
}

static bool make_sequence(uint64_t *rng, struct test_case *t)
{
    unsigned n = 2 + (unsigned)rng_below(rng, SEQUENCE_INSNS - 1);
    t->name = "sequence";
    t->in.gpr[RSP] = WINDOW + 64 + rng_below(rng, WINDOW_RW - 128);
    for (unsigned i = 0; i < n; i++) {
        bool jump = one_in(rng, 2);
        if (!add_insn(rng, t, jump))
            return false;
        if (!jump)
            continue;
        unsigned at = t->length; // jcc over the next instruction
        t->start[t->insns++] = (uint8_t)at;
        t->bytes[at] = (uint8_t)(0x70 | rng_below(rng, 16));
        t->length += 2;
        if (!add_insn(rng, t, false))
            return false;
        t->bytes[at + 1] = (uint8_t)(t->length - at - 2);
    }
    return true;
}

#endif

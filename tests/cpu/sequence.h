// SPDX-License-Identifier: BSD-2-Clause
// Makes a short run of instructions with conditional jumps over some of them: what single instructions cannot show,
// that blocks, links, pairs executed as one, flags read long after they were set, and registers that an engine keeps in
// the host's work together. Only instructions without undefined flags that a later one could read; memory operands are
// rip-relative, as registers change on the way.
#ifndef RINGSIDE_TESTS_CPU_SEQUENCE_H
#define RINGSIDE_TESTS_CPU_SEQUENCE_H

#include "tests/cpu/generate_vector.h"

enum { SEQUENCE_INSNS = 6 };

static bool fits_sequence(const struct row *row)
{
    bool plain = row->special <= CRC32 || row->special == COMPARE_EXCHANGE ||
                 (row->special == STACK && (row->shape & (PLUS_REG | IMM8 | IMMZ)));
    bool reads_af = row->map == MAP_NONE && row->opcode == 0x9f; // lahf
    return plain && !reads_af && (row->undefined & ~(uint32_t)FLAG_AF) == 0 && host_has((enum need)row->need);
}

// What reads the x87 status word would read undefined bits; what has its address in registers cannot be aimed.
static bool fits_vector_sequence(const struct row *row)
{
    bool stores_status = row->set == SET_X87 && (row->data == DATA_POINTERS || strcmp(row->name, "fnstsw") == 0);
    return !stores_status && row->rm != OF_V && !(row->form & (RDI_ | IMAGE));
}

// Half of the rows in front of a jump are those that an engine might execute together with it.
static const struct row *sequence_row(uint64_t *rng, bool before_jump)
{
    enum { ALU_ROWS_END = 8 * 9 };
    for (;;) {
        const struct row *row = &rows[rng_below(rng, before_jump && one_in(rng, 2) ? ALU_ROWS_END : rows_integer)];
        if (fits_sequence(row))
            return row;
    }
}

static bool add_vector_insn(uint64_t *rng, struct test_case *t)
{
    const struct row *row;
    do
        row = &rows[rows_integer + rng_below(rng, one_in(rng, 4) ? rows_vector + rows_x87 : rows_vector)];
    while (!fits_vector_sequence(row));
    struct gen g = {.rng = rng, .t = t, .row = row, .rip_only = true};
    struct vec_form v = {0};
    unsigned start = t->length;
    t->start[t->insns++] = (uint8_t)start;
    if (row->set == SET_X87) {
        t->undefined_fsw |= (uint16_t)row->undefined;
        x87_encode(&g, &v);
    } else if (!choose_vex(rng, row, &g.vex) || !vec_encode(&g, &v)) {
        return false;
    }
    vec_inputs(&g, &v);
    return t->length - start <= 15;
}

static bool add_insn(uint64_t *rng, struct test_case *t, bool before_jump)
{
    if (t->vector && one_in(rng, 2))
        return add_vector_insn(rng, t);
    struct gen g = {.rng = rng, .t = t, .row = sequence_row(rng, before_jump), .rip_only = true};
    unsigned start = t->length;
    t->start[t->insns++] = (uint8_t)start;
    t->undefined |= g.row->undefined;
    encode(&g);
    if (g.mem)
        memory_inputs(&g, aim(&g, integer_target(&g)));
    return t->length - start <= 15;
}

static bool make_sequence(uint64_t *rng, struct test_case *t)
{
    unsigned n = 2 + (unsigned)rng_below(rng, SEQUENCE_INSNS - 1);
    t->name = "sequence";
    if (one_in(rng, 2))
        fill_fpu(rng, t, (enum data)rng_below(rng, DATA_F64 + 1), one_in(rng, 2));
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

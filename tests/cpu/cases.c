// SPDX-License-Identifier: BSD-2-Clause
// Which kind of case comes how often.
#include "tests/cpu/cases.h"

#include <stdlib.h>

#include "tests/cpu/flow.h"
#include "tests/cpu/stray.h"
#include "x86/decode.h"

static bool decode(const uint8_t *bytes, unsigned n, struct insn *insn)
{
    static struct x86_decoder decoder;
    if (!decoder.scratch && x86_decoder_open(&decoder) < 0)
        abort();
    return x86_decode(&decoder, bytes, n, INSN_AT, insn);
}

struct insn_kind insn_kind(const uint8_t *bytes, unsigned n)
{
    struct insn insn;
    bool ok = decode(bytes, n, &insn);
    return ok ? (struct insn_kind){insn.length, insn.id} : (struct insn_kind){0, 0};
}

bool case_meets_code(const struct test_case *t)
{
    struct insn insn;
    bool ok = decode(t->bytes, t->length, &insn), meets = false;
    for (unsigned i = 0; ok && i < insn.operands; i++) {
        const struct x86_operand *o = &insn.op[i];
        uint64_t at = (uint64_t)o->mem.disp;
        if (o->kind != OPERAND_MEM)
            continue;
        at += o->mem.base < 16 ? t->in.gpr[o->mem.base] : 0;
        at += o->mem.index < 16 ? t->in.gpr[o->mem.index] << o->mem.shift : 0;
        at = (insn.addr_size == 4 ? (uint32_t)at : at) + (o->mem.seg == SEG_GS ? GS_BASE : 0);
        meets |= at + FPU_IMAGE_BYTES - CODE < PAGE + FPU_IMAGE_BYTES;
    }
    return meets;
}

static bool row_on_host(const struct row *row)
{
    return host_has((enum need)row->need) || host_has((enum need)row->vex_need);
}

bool case_plan_only(struct case_plan *plan, const char *name)
{
    char label[64];
    for (unsigned i = 0; i < rows_count + KINDS; i++) {
        bool row = i < rows_count, named = row && strcmp(rows[i].name, name) == 0;
        if (!named && strcmp(row_label(i, label, sizeof label), name) != 0)
            continue;
        if (row ? row_on_host(&rows[i]) : plan->translator || i - rows_count != KIND_PRIVILEGED)
            plan->only[plan->only_count++] = (uint16_t)i;
    }
    return plan->only_count > 0;
}

bool make_of_row(uint64_t *rng, unsigned i, struct test_case *t)
{
    const struct row *row = &rows[i];
    t->row = (int)i;
    if (!row_on_host(row))
        return false;
    return row->set == SET_INTEGER ? make_integer(rng, t, row) : make_vector(rng, t, row);
}

static unsigned any_row(uint64_t *rng)
{
    switch (rng_below(rng, 8)) {
    case 0:
    case 1:
    case 2:
        return (unsigned)rng_below(rng, rows_integer);
    case 3:
    case 4:
        return rows_integer + rows_vector + (unsigned)rng_below(rng, rows_x87);
    default:
        return rows_integer + (unsigned)rng_below(rng, rows_vector);
    }
}

// A row, or rows_count and a kind.
static unsigned any_kind(uint64_t *rng, const struct case_plan *plan)
{
    if (plan->only_count)
        return plan->only[rng_below(rng, plan->only_count)];
    unsigned n = (unsigned)rng_below(rng, 20);
    if (plan->translator)
        return n < 7 ? any_row(rng)
                     : rows_count + (n < 11   ? KIND_SEQUENCE
                                     : n < 17 ? KIND_FLOW
                                     : n < 19 ? KIND_PRIVILEGED
                                              : KIND_STRAY);
    return n < 11 ? any_row(rng) : rows_count + (n < 18 ? KIND_SEQUENCE : KIND_STRAY);
}

static bool make_of_kind(uint64_t *rng, unsigned kind, struct test_case *t)
{
    t->row = (int)kind;
    if (kind < rows_count)
        return make_of_row(rng, kind, t);
    switch (kind - rows_count) {
    case KIND_SEQUENCE:
        return make_sequence(rng, t);
    case KIND_STRAY:
        return make_stray(rng, t);
    default:
        t->privileged = kind - rows_count == KIND_PRIVILEGED;
        return make_flow(rng, t, t->privileged);
    }
}

static void make_way(uint64_t *rng, struct test_case *t)
{
    uint32_t way = t->way | way_make(WAY_WORLD, rng_below(rng, 4));
    way |= one_in(rng, 8) ? WAY_DEVICE : 0;
    way |= one_in(rng, 8) ? WAY_TRACED : 0;
    way |= one_in(rng, 16) ? WAY_POLL : 0;
    way |= one_in(rng, 16) ? WAY_STEP : 0;
    way |= t->privileged && one_in(rng, 2) ? WAY_INTERRUPT : 0;
    if (one_in(rng, 4)) {
        way |= one_in(rng, 4) ? WAY_NO_CHAINING : 0;
        way |= one_in(rng, 2) ? WAY_NO_ELISION : 0;
        way |= one_in(rng, 2) ? WAY_NO_ADAPT : 0;
        way |= way_make(WAY_TU, rng_below(rng, 4));
        way |= way_make(WAY_EMULATE, rng_below(rng, 3));
        way |= way_make(WAY_RETURNS, rng_below(rng, 3));
    }
    t->way = way;
    if (way_field(way, WAY_WORLD) != WAY_USER)
        t->in.flags &= ~(uint64_t)FLAG_AC; // means nothing at CPL 0, but would on the host
}

void make_case(const struct case_plan *plan, uint64_t number, struct test_case *t)
{
    uint64_t mixed = plan->seed, rng;
    mixed = rng_next(&mixed) + number;
    rng = rng_next(&mixed); // so that one case's numbers are not the next one's shifted by a place
    do
        start_case(&rng, t);
    while (!make_of_kind(&rng, any_kind(&rng, plan), t));
    if (plan->translator)
        make_way(&rng, t);
}

bool case_announced(const struct test_case *t, uint64_t rip, const struct cpuid_table *table)
{
    uint64_t at = rip - INSN_AT;
    if (at >= t->length)
        return true;
    struct opcode s = opcode_parse(t->bytes + at, t->length - (unsigned)at);
    const struct row *row = stray_row(&s);
    if (!row)
        return false;
    if (s.vex && row->set == SET_VECTOR && row->form & (s.l ? L0 : L1)) // VAES and its kind are not the row's
        return false;
    return row->set == SET_INTEGER || guest_has((enum need)(s.vex ? row->vex_need : row->need), table);
}

bool case_of_vectors(const struct test_case *t)
{
    for (unsigned i = 0; i < t->insns; i++) {
        struct opcode s = opcode_parse(t->bytes + t->start[i], t->length - t->start[i]);
        const struct row *row = stray_row(&s);
        if (row ? row->set != SET_INTEGER : s.vex || s.map)
            return true;
    }
    return false;
}

// SPDX-License-Identifier: BSD-2-Clause
// Makes a random integer instruction of a row, with every operand form, width and prefix, and inputs that matter to it:
// boundary values, memory operands at the window's edges, counts and offsets that hit something.
#ifndef RINGSIDE_TESTS_CPU_GENERATE_H
#define RINGSIDE_TESTS_CPU_GENERATE_H

#include <string.h>

#include "tests/cpu/case.h"
#include "tests/cpu/rows.h"

// One instruction on its way from the row to bytes and inputs.
struct gen {
    uint64_t *rng;
    const struct row *row;
    struct test_case *t;
    bool rip_only; // no registers in memory operands
    bool p66, a32, gs, lock, rex;
    bool vex;
    uint8_t w, r, x, b; // REX bits
    unsigned width;     // of the operand, in bits
    uint8_t modrm;
    bool mem;
    int base, index; // -1: none
    unsigned scale;
    bool rip;
    int64_t disp;
    unsigned disp_at, disp_size; // where it lies in the bytes
    uint64_t imm;
};

// ---- Values ----

static uint64_t any_value(uint64_t *rng)
{
    static const uint64_t edge[] = {0,      1,      ~0ull,      0x7f,       0x80,       0xff,      0x7fff,
                                    0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, INT64_MAX, 1ull << 63};
    switch (rng_below(rng, 8)) {
    case 0:
        return rng_below(rng, 256);
    case 1:
        return 0 - rng_below(rng, 256);
    case 2:
        return (1ull << rng_below(rng, 64)) + rng_below(rng, 3) - 1;
    case 3:
    case 4:
        return edge[rng_below(rng, sizeof edge / sizeof edge[0])];
    case 5:
        return rng_next(rng) & 0xffffffff;
    default:
        return rng_next(rng);
    }
}

// An address for an access of size bytes: mostly inside, often across an edge.
static uint64_t any_target(uint64_t *rng, unsigned size)
{
    switch (rng_below(rng, 40)) {
    case 0:
        return WINDOW - rng_below(rng, size + 4);
    case 1:
        return WINDOW - 64 - rng_below(rng, 1024);
    case 2:
    case 3:
    case 4:
        return WINDOW + PAGE - rng_below(rng, size + 1);
    case 5:
        return WINDOW + WINDOW_RW - rng_below(rng, size + 1);
    case 6:
        return WINDOW + WINDOW_RW + rng_below(rng, PAGE);
    case 7:
        return WINDOW + WINDOW_BYTES - rng_below(rng, size + 4);
    case 8:
    case 9:
    case 10:
    case 11:
        return WINDOW + 16 * rng_below(rng, WINDOW_RW / 16);
    default:
        return WINDOW + rng_below(rng, WINDOW_RW - size);
    }
}

static void add_patch(struct test_case *t, uint64_t at, uint64_t low, uint64_t high)
{
    if (at < WINDOW || at + 16 > WINDOW + WINDOW_RW || t->patches == MAX_PATCHES)
        return;
    struct patch *p = &t->patch[t->patches++];
    p->at = at;
    memcpy(p->bytes, &low, 8);
    memcpy(p->bytes + 8, &high, 8);
}

// ---- Bytes ----

static void put(struct gen *g, uint64_t v, unsigned size)
{
    memcpy(g->t->bytes + g->t->length, &v, size);
    g->t->length += size;
}

static void choose_prefixes(struct gen *g)
{
    uint64_t *rng = g->rng;
    const struct row *row = g->row;
    bool vex = row->map >= MAP_VEX38;
    g->p66 = (row->shape & WORD) && one_in(rng, 4);
    g->a32 = one_in(rng, 10);
    g->gs = one_in(rng, 10);
    g->lock = one_in(rng, 200);
    g->rex = vex || one_in(rng, 2);
    if (g->rex) {
        uint64_t bits = rng_next(rng);
        g->w = bits & 1, g->r = bits >> 1 & 1, g->x = bits >> 2 & 1, g->b = bits >> 3 & 1;
    }
    g->width = row->shape & BYTE ? 8 : g->w ? 64 : g->p66 ? 16 : 32;
}

static void choose_memory(struct gen *g)
{
    uint64_t *rng = g->rng;
    unsigned mod = g->rip_only ? 0 : (unsigned)rng_below(rng, 3), rm = g->rip_only ? 5 : g->modrm & 7;
    g->modrm = (uint8_t)((g->modrm & 0x38) | mod << 6 | rm);
    g->base = (int)(rm | g->b << 3);
    g->index = -1;
    g->disp_size = mod == 1 ? 1 : mod == 2 ? 4 : 0;
    if (mod == 0 && rm == 5) {
        g->rip = true;
        g->base = -1;
        g->disp_size = 4;
    }
    g->disp = g->disp_size == 1 ? (int8_t)rng_next(rng) : g->disp_size ? (int32_t)any_value(rng) : 0;
}

static void put_memory(struct gen *g)
{
    put(g, g->modrm, 1);
    if ((g->modrm & 7) == 4) {
        uint8_t sib = (uint8_t)rng_next(g->rng);
        int index = (sib >> 3 & 7) | g->x << 3;
        g->scale = sib >> 6;
        g->base = (sib & 7) | g->b << 3;
        g->index = index == RSP ? -1 : index;
        if ((sib & 7) == 5 && g->modrm < 0x40) {
            g->base = -1;
            g->disp_size = 4;
        }
        put(g, sib, 1);
    }
    g->disp_at = g->t->length;
    put(g, (uint64_t)g->disp, g->disp_size);
}

static void put_opcode(struct gen *g)
{
    const struct row *row = g->row;
    uint8_t opcode = (uint8_t)(row->opcode | (row->shape & PLUS_REG ? rng_below(g->rng, 8) : 0));
    if (row->map >= MAP_VEX38) {
        uint8_t pp = row->prefix == 0x66 ? 1 : row->prefix == 0xf3 ? 2 : row->prefix == 0xf2 ? 3 : 0;
        uint8_t vvvv = row->shape & NO_VVVV ? 15 : (uint8_t)rng_below(g->rng, 16);
        uint8_t rxb = (uint8_t)((!g->r << 7) | (!g->x << 6) | (!g->b << 5));
        put(g, 0xc4, 1);
        put(g, rxb | (row->map == MAP_VEX38 ? 2 : 3), 1);
        put(g, (uint64_t)(g->w << 7 | vvvv << 3 | pp), 1);
    } else {
        if (g->rex)
            put(g, (uint64_t)(0x40 | g->w << 3 | g->r << 2 | g->x << 1 | g->b), 1);
        if (row->map)
            put(g, 0x0f, 1);
        if (row->map >= MAP_0F38)
            put(g, row->map == MAP_0F38 ? 0x38 : 0x3a, 1);
    }
    put(g, opcode, 1);
}

static void put_immediate(struct gen *g)
{
    unsigned shape = g->row->shape;
    g->imm = any_value(g->rng);
    if (g->row->special == ENTER_) // few levels, so that most do not fault
        g->imm = rng_below(g->rng, 300) | (one_in(g->rng, 4) ? rng_below(g->rng, 256) : rng_below(g->rng, 4)) << 16;
    if (shape & IMM8)
        put(g, g->imm, 1);
    if (shape & IMMZ)
        put(g, g->imm, g->width == 16 ? 2 : 4);
    if (shape & IMMV)
        put(g, g->imm, g->width / 8);
    if (shape & IMM24)
        put(g, g->imm, 3);
    if (shape & MOFFS) {
        g->mem = true;
        g->disp_at = g->t->length;
        g->disp_size = g->a32 ? 4 : 8;
        put(g, 0, g->disp_size);
    }
}

// In any order: the processor does not care.
static void put_prefixes(struct gen *g)
{
    const struct row *row = g->row;
    uint8_t prefix[10];
    bool vex = row->map >= MAP_VEX38;
    unsigned n = 0;
    if (one_in(g->rng, 16)) // of no effect: a segment that 64-bit mode ignores, a REX that is not the last prefix
        prefix[n++] =
            (uint8_t[]){0x26, 0x2e, 0x36, 0x3e, 0x40, 0x48, 0x4f, 0x41}[rng_below(g->rng, g->rex && !vex ? 8 : 4)];
    if (g->p66 && one_in(g->rng, 16))
        prefix[n++] = 0x66;
    if (g->a32 && one_in(g->rng, 16))
        prefix[n++] = 0x67;
    if (g->p66)
        prefix[n++] = 0x66;
    if (g->a32)
        prefix[n++] = 0x67;
    if (g->gs)
        prefix[n++] = 0x65;
    if (g->lock)
        prefix[n++] = 0xf0;
    if (row->prefix && row->map < MAP_VEX38)
        prefix[n++] = row->prefix;
    if (row->map >= MAP_VEX38 && one_in(g->rng, 50)) // not allowed
        prefix[n++] = one_in(g->rng, 2) ? 0x66 : 0xf3;
    if ((row->shape & REPEATS) && !one_in(g->rng, 3))
        prefix[n++] = one_in(g->rng, 2) ? 0xf2 : 0xf3;
    for (; n; n--) {
        unsigned i = (unsigned)rng_below(g->rng, n);
        put(g, prefix[i], 1);
        prefix[i] = prefix[n - 1];
    }
}

static void encode(struct gen *g)
{
    const struct row *row = g->row;
    uint64_t *rng = g->rng;
    choose_prefixes(g);
    g->base = g->index = -1;
    if (row->shape & RM) {
        uint8_t reg = row->ext >= 0 ? (uint8_t)row->ext : (uint8_t)rng_below(rng, 8);
        g->modrm = (uint8_t)(0xc0 | reg << 3 | rng_below(rng, 8));
        g->mem = (row->shape & MEM_ONLY) || (!(row->shape & REG_ONLY) && one_in(rng, 2));
        if (g->mem)
            choose_memory(g);
        if ((row->shape & LOCKS) && g->mem)
            g->lock = one_in(rng, 4);
    }
    if (row->opcode == 0x90 && row->prefix == 0xf3) // pause: with REX.B Intel's still pauses; AMD's have not been seen
        g->b = 0;
    put_prefixes(g);
    put_opcode(g);
    if (g->mem)
        put_memory(g);
    else if (row->shape & RM)
        put(g, g->modrm, 1);
    put_immediate(g);
}

// ---- Inputs ----

static uint64_t segment_base(const struct gen *g)
{
    return g->gs ? GS_BASE : 0;
}

// Registers or displacement such that the operand lies at the target, or near it; gives where it lies.
static uint64_t aim(struct gen *g, uint64_t target)
{
    uint64_t *gpr = g->t->in.gpr, want = target - segment_base(g);
    bool movable = g->disp_size >= 4;
    if (g->base < 0 && g->index >= 0)
        gpr[g->index] = rng_below(g->rng, 256);
    uint64_t scaled = g->index >= 0 ? gpr[g->index] << g->scale : 0;
    if (g->base < 0 && movable) {
        g->disp = (int64_t)(want - scaled - (g->rip ? INSN_AT + g->t->length : 0));
        memcpy(g->t->bytes + g->disp_at, &g->disp, g->disp_size);
    } else if (g->base == g->index) {
        gpr[g->base] = (want - (uint64_t)g->disp) / (1 + (1u << g->scale));
    } else {
        gpr[g->base] = want - (uint64_t)g->disp - scaled;
        if (!g->a32 && one_in(g->rng, 60))
            gpr[g->base] ^= 1ull << 60; // not canonical
    }
    uint64_t at = (uint64_t)g->disp + (g->rip ? INSN_AT + g->t->length : 0);
    at += (g->base >= 0 ? gpr[g->base] : 0) + (g->index >= 0 ? gpr[g->index] << g->scale : 0);
    if (g->a32) {
        at = (uint32_t)at;
        if (g->base >= 0 && one_in(g->rng, 2)) // the upper half of an address register does not count
            gpr[g->base] ^= rng_next(g->rng) << 32;
    }
    return at + segment_base(g);
}

static void string_inputs(struct gen *g)
{
    struct test_case *t = g->t;
    uint64_t *rng = g->rng, *gpr = t->in.gpr;
    uint64_t from = any_target(rng, 8), to = any_target(rng, 8);
    if (one_in(rng, 4))
        to = from + rng_below(rng, 40) - 20;
    gpr[RCX] = one_in(rng, 6) ? rng_below(rng, 3000) : rng_below(rng, 24);
    gpr[RSI] = from - segment_base(g);
    gpr[RDI] = to;
    uint64_t same = one_in(rng, 2) ? gpr[RAX] : (uint8_t)gpr[RAX] * 0x0101010101010101u;
    if (one_in(rng, 2)) { // something for the comparisons to find equal
        int64_t back = t->in.flags & FLAG_DF ? -8 : 0;
        add_patch(t, from + (uint64_t)back, same, same);
        add_patch(t, to + (uint64_t)back, same, same);
    }
    if (g->a32 && one_in(rng, 2)) {
        gpr[RCX] |= rng_next(rng) << 32;
        gpr[RSI] |= rng_next(rng) << 32;
        gpr[RDI] |= rng_next(rng) << 32;
    }
}

// What the special kinds want in registers, before a memory operand is aimed.
static void special_inputs(struct gen *g)
{
    struct test_case *t = g->t;
    uint64_t *rng = g->rng, *gpr = t->in.gpr;
    switch (g->row->special) {
    case SHIFT:
    case DOUBLE_SHIFT:
        gpr[RCX] = (gpr[RCX] & ~0xffull) | rng_below(rng, one_in(rng, 8) ? 256 : 66);
        break;
    case DIVIDE:
        gpr[RDX] = one_in(rng, 2) ? 0 : one_in(rng, 2) ? (uint64_t)((int64_t)gpr[RAX] >> 63) : gpr[RDX];
        if (one_in(rng, 2))
            gpr[RAX] = (uint64_t)(int64_t)(int8_t)gpr[RAX]; // ah from al, edx from eax
        break;
    case BIT_OFFSET:
        if (g->mem)
            gpr[(g->modrm >> 3 & 7) | g->r << 3] = (uint64_t)(int64_t)(int16_t)rng_next(rng);
        break;
    case BEXTR:
        for (unsigned i = 0; i < 16; i += 2)
            gpr[i] = one_in(rng, 2) ? rng_below(rng, 70) | rng_below(rng, 70) << 8 : gpr[i];
        break;
    case STACK:
        gpr[RSP] = any_target(rng, 8) + (one_in(rng, 2) ? 8 : 0);
        break;
    case POPF: // never TF; not the page whose bytes nobody chose
        gpr[RSP] = one_in(rng, 20) ? WINDOW - rng_below(rng, 20) : WINDOW + rng_below(rng, WINDOW_RW - 16);
        add_patch(t, gpr[RSP], any_value(rng) & ~(uint64_t)FLAG_TF, any_value(rng));
        break;
    case ENTER_:
        gpr[RSP] = any_target(rng, 8) + (one_in(rng, 4) ? 0 : 512);
        gpr[RBP] = any_target(rng, 8) + (one_in(rng, 4) ? 0 : 256);
        break;
    case LEAVE_:
        gpr[RBP] = any_target(rng, 8);
        break;
    case XLAT:
        gpr[RBX] = any_target(rng, 1) - (gpr[RAX] & 0xff) - segment_base(g);
        break;
    case STRING:
        string_inputs(g);
        break;
    case SEGMENT_BASE:
        if (!one_in(rng, 4))
            gpr[(g->modrm & 7) | g->b << 3] &= INT64_MAX >> 16;
        break;
    default:
        break;
    }
}

// What memory must hold, once every register is final.
static void memory_inputs(struct gen *g, uint64_t at)
{
    struct test_case *t = g->t;
    const uint64_t *gpr = t->in.gpr;
    bool equal = one_in(g->rng, 2);
    if (g->row->special == COMPARE_EXCHANGE && equal)
        add_patch(t, at, gpr[RAX], gpr[RDX]);
    else if (g->row->special == PAIR_EXCHANGE && equal)
        add_patch(t, at, g->w ? gpr[RAX] : gpr[RDX] << 32 | (uint32_t)gpr[RAX], gpr[RDX]);
    else
        add_patch(t, at, any_value(g->rng), any_value(g->rng));
}

// SDM vol. 2, SAL/SAR/SHL/SHR, RCL/RCR/ROL/ROR, SHLD, SHRD: what a count leaves undefined. False: all of it.
static bool shift_undefined(struct gen *g)
{
    uint8_t opcode = g->row->opcode;
    bool by_cl = opcode == 0xd2 || opcode == 0xd3 || opcode == 0xa5 || opcode == 0xad;
    bool by_one = opcode == 0xd0 || opcode == 0xd1;
    unsigned n = (unsigned)(by_cl ? g->t->in.gpr[RCX] : by_one ? 1 : g->imm) & (g->width == 64 ? 63 : 31);
    bool rotate = g->row->special == SHIFT && g->row->ext < 4, right_signed = g->row->ext == 7;
    if (n == 0)
        return true;
    if (g->row->special == DOUBLE_SHIFT && n > g->width)
        return false;
    if (n != 1)
        g->t->undefined |= FLAG_OF;
    if (!rotate)
        g->t->undefined |= FLAG_AF;
    if (!rotate && !right_signed && n >= g->width)
        g->t->undefined |= FLAG_CF;
    return true;
}

// Where the memory operand is to lie. A locked one (xchg always is) across two cache lines takes milliseconds where the
// host's kernel or hypervisor slows such code down on purpose ("split lock"): few of them are enough.
static uint64_t integer_target(struct gen *g)
{
    unsigned size = g->row->special == PAIR_EXCHANGE ? 16 : g->width / 8;
    bool locked = g->lock || (g->row->map == MAP_NONE && g->row->opcode >> 1 == 0x86 >> 1);
    uint64_t at = any_target(g->rng, size);
    return locked && !one_in(g->rng, 200) ? at & ~(uint64_t)(size - 1) : at;
}

// Registers and flags, before anything asks for more.
static void start_case(uint64_t *rng, struct test_case *t)
{
    memset(t, 0, sizeof *t);
    t->way = one_in(rng, 8) ? WAY_COLD : 0;
    for (unsigned i = 0; i < 16; i++)
        t->in.gpr[i] = any_value(rng);
    t->in.flags = FLAG_FIXED1 | FLAG_IF | (rng_next(rng) & (FLAGS_ARITH | FLAG_DF));
    t->in.flags |= one_in(rng, 16) ? FLAG_AC : 0;
}

// False: not a case that can be judged, make another one.
static bool make_integer(uint64_t *rng, struct test_case *t, const struct row *row)
{
    struct gen g = {.rng = rng, .t = t, .row = row};
    t->name = row->name;
    t->undefined = row->undefined;
    t->insns = 1;
    encode(&g);
    special_inputs(&g);
    if (g.mem)
        memory_inputs(&g, aim(&g, integer_target(&g)));
    bool shift = row->special == SHIFT || row->special == DOUBLE_SHIFT;
    return t->length <= 15 && (!shift || shift_undefined(&g));
}

#endif

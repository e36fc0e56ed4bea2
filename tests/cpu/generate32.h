// SPDX-License-Identifier: BSD-2-Clause
// Makes a random instruction for a 32- or 16-bit code segment: rows.def and rows32.def with the prefixes and address
// forms that there are in that mode, in flat segments and in those of segments32.h.
#ifndef RINGSIDE_TESTS_CPU_GENERATE32_H
#define RINGSIDE_TESTS_CPU_GENERATE32_H

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function" // what only 64-bit code needs
#include "tests/cpu/generate.h"
#pragma GCC diagnostic pop

#include "tests/cpu/segments32.h"
#include "x86/decode.h"

struct selectors {
    uint16_t ds, es, gs, ss;
};

struct case32 {
    struct test_case t;
    enum x86_mode mode;
    uint16_t cs;
    struct selectors in;
    bool blocks; // control may go elsewhere: run until something faults
};

enum special32 {
    BASE = 100, // aam, aad
    BOUNDS,
    PUSH_SEG,
    POP_SEG,
    LOAD_SEG,
    FAR_POINTER,
    ASK_SEG,
    BRANCH8,
    BRANCHZ,
    CALLZ,
    INDIRECT,
    RETURN,
    FAR_DIRECT,
    FAR_INDIRECT,
    FAR_RETURN,
    NO_TRAP, // into: nothing here delivers what it raises
};
static const struct row rows32[] = {
#define ROW(label, in_map, selects, code, digit, shapes, kind, flags)                                                  \
    {.name = label,                                                                                                    \
     .map = MAP_##in_map,                                                                                              \
     .prefix = selects,                                                                                                \
     .opcode = code,                                                                                                   \
     .ext = digit,                                                                                                     \
     .shape = shapes,                                                                                                  \
     .special = kind,                                                                                                  \
     .undefined = flags},
#include "tests/cpu/rows32.def"
#undef ROW
};
#define ROWS32 (sizeof rows32 / sizeof rows32[0])

// One instruction on its way from the row to bytes and inputs.
struct gen32 {
    uint64_t *rng;
    const struct row *row;
    struct case32 *k;
    struct test_case *t;
    bool p66, p67, lock, mem;
    int override;     // enum segreg, or -1
    unsigned width;   // of the operand, in bits
    unsigned op_size; // in bytes, where the row has no width of its own
    unsigned addr_size;
    uint8_t modrm;
    int base, index; // -1: none
    unsigned scale, disp_at, disp_size;
    int32_t disp;
    uint64_t imm;
};

static void put32(struct gen32 *g, uint64_t v, unsigned size)
{
    memcpy(g->t->bytes + g->t->length, &v, size);
    g->t->length += size;
}

// ---- Segments ----

static uint16_t data_selector(uint64_t *rng)
{
    static const uint8_t common[] = {LDT_WINDOW, LDT_READ_ONLY, LDT_DOWN32, LDT_DOWN16,
                                     LDT_BASED,  LDT_PAGE,      LDT_CODE32};
    if (one_in(rng, 12))
        return (uint16_t)rng_below(rng, 4); // null
    return LDT_SELECTOR(common[rng_below(rng, sizeof common)]);
}

static uint16_t stack_selector(uint64_t *rng)
{
    static const uint8_t stacks[] = {LDT_WINDOW, LDT_SMALL_STACK, LDT_DOWN32, LDT_DOWN16, LDT_BASED};
    return LDT_SELECTOR(stacks[rng_below(rng, sizeof stacks)]);
}

// For instructions that load one: any kind of right and wrong.
static uint16_t any_selector(uint64_t *rng)
{
    static const uint16_t global[] = {HOST_CS32, HOST_DS, HOST_DS & ~3, HOST_CS64, 0x08,
                                      0x10,      0x18,    0x1b,         0x800,     0xfff8};
    switch (rng_below(rng, 4)) {
    case 0:
        return global[rng_below(rng, sizeof global / sizeof global[0])];
    case 1:
        return (uint16_t)rng_below(rng, 4);
    default:
        return (uint16_t)((LDT_SELECTOR(rng_below(rng, LDT_USED + 1)) & ~3u) | rng_below(rng, 4));
    }
}

static void choose_segments(uint64_t *rng, struct case32 *k)
{
    static const uint16_t codes[] = {HOST_CS32, LDT_SELECTOR(LDT_CODE32), LDT_SELECTOR(LDT_CODE32_SHORT),
                                     LDT_SELECTOR(LDT_CODE16)};
    k->cs = one_in(rng, 2) ? HOST_CS32 : codes[rng_below(rng, 4)];
    k->mode = k->cs == LDT_SELECTOR(LDT_CODE16) ? X86_CODE16 : X86_CODE32;
    unsigned often = k->mode == X86_CODE16 ? 4 : 2; // one in so many is flat
    bool flat = one_in(rng, often);
    k->in = (struct selectors){HOST_DS, HOST_DS, one_in(rng, 2) ? LDT_SELECTOR(LDT_BASED) : 0, HOST_DS};
    if (flat)
        return;
    k->in.ds = one_in(rng, 4) ? HOST_DS : data_selector(rng);
    k->in.es = one_in(rng, 4) ? HOST_DS : data_selector(rng);
    k->in.gs = one_in(rng, 4) ? HOST_DS : data_selector(rng);
    k->in.ss = one_in(rng, 3) ? HOST_DS : stack_selector(rng);
}

static uint16_t selector_of(const struct gen32 *g, int seg)
{
    const struct selectors *in = &g->k->in;
    switch (seg) {
    case SEG_ES:
        return in->es;
    case SEG_CS:
        return g->k->cs;
    case SEG_SS:
        return in->ss;
    case SEG_DS:
        return in->ds;
    case SEG_GS:
        return in->gs;
    default:
        return 0;
    }
}

static uint32_t base_of(const struct gen32 *g, int seg)
{
    uint16_t selector = selector_of(g, seg);
    return (uint32_t)((selector & 0xfffc) ? segment_base32(selector) : 0);
}

// ---- Bytes ----

static void choose_prefixes32(struct gen32 *g)
{
    uint64_t *rng = g->rng;
    const struct row *row = g->row;
    bool narrow = g->k->mode == X86_CODE16, vex = row->map >= MAP_VEX38;
    g->p66 = (row->shape & WORD) && one_in(rng, narrow ? 2 : 4);
    g->p67 = one_in(rng, narrow ? 3 : 6);
    g->override = one_in(rng, 6) ? (int)rng_below(rng, 6) : -1;
    g->lock = one_in(rng, 200);
    g->op_size = g->p66 != narrow ? 2 : 4;
    g->addr_size = g->p67 != narrow ? 2 : 4;
    g->width = row->shape & BYTE ? 8 : row->shape & DWORD || vex ? 32 : g->op_size * 8;
}

static void put_prefixes32(struct gen32 *g)
{
    static const uint8_t segment[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65};
    const struct row *row = g->row;
    uint8_t prefix[6];
    unsigned n = 0;
    if (g->p66)
        prefix[n++] = 0x66;
    if (g->p67)
        prefix[n++] = 0x67;
    if (g->override >= 0)
        prefix[n++] = segment[g->override];
    if (g->lock)
        prefix[n++] = 0xf0;
    if (row->prefix && row->map < MAP_VEX38)
        prefix[n++] = row->prefix;
    if ((row->shape & REPEATS) && !one_in(g->rng, 3))
        prefix[n++] = one_in(g->rng, 2) ? 0xf2 : 0xf3;
    for (; n; n--) {
        unsigned i = (unsigned)rng_below(g->rng, n);
        put32(g, prefix[i], 1);
        prefix[i] = prefix[n - 1];
    }
}

static void put_opcode32(struct gen32 *g)
{
    const struct row *row = g->row;
    uint8_t opcode = (uint8_t)(row->opcode | (row->shape & PLUS_REG ? rng_below(g->rng, 8) : 0));
    if (row->map >= MAP_VEX38) { // R and X must be set, or this were les; B, W and vvvv's top bit do not count
        uint8_t pp = row->prefix == 0x66 ? 1 : row->prefix == 0xf3 ? 2 : row->prefix == 0xf2 ? 3 : 0;
        uint8_t vvvv = row->shape & NO_VVVV ? 15 : (uint8_t)rng_below(g->rng, 16);
        put32(g, 0xc4, 1);
        put32(g, 0xc0 | rng_below(g->rng, 2) << 5 | (row->map == MAP_VEX38 ? 2 : 3), 1);
        put32(g, rng_below(g->rng, 2) << 7 | (uint64_t)(vvvv << 3 | pp), 1);
    } else {
        if (row->map)
            put32(g, 0x0f, 1);
        if (row->map >= MAP_0F38)
            put32(g, row->map == MAP_0F38 ? 0x38 : 0x3a, 1);
    }
    put32(g, opcode, 1);
}

static void put_memory16(struct gen32 *g)
{
    static const int8_t base[8] = {RBX, RBX, RBP, RBP, -1, -1, RBP, RBX},
                        index[8] = {RSI, RDI, RSI, RDI, RSI, RDI, -1, -1};
    unsigned mod = g->modrm >> 6, rm = g->modrm & 7;
    bool absolute = mod == 0 && rm == 6;
    g->base = absolute ? -1 : base[rm];
    g->index = index[rm];
    if (g->base < 0 && g->index >= 0)
        g->base = g->index, g->index = -1;
    g->disp_size = absolute ? 2 : mod;
    g->disp = mod == 1 ? (int8_t)rng_next(g->rng) : g->disp_size ? (int16_t)rng_below(g->rng, 4000) : 0;
}

static void put_memory32(struct gen32 *g)
{
    unsigned mod = g->modrm >> 6, rm = g->modrm & 7;
    g->base = (int)rm;
    g->disp_size = mod == 1 ? 1 : mod == 2 ? 4 : 0;
    if (rm == 4) {
        uint8_t sib = (uint8_t)rng_next(g->rng);
        g->scale = sib >> 6;
        g->base = sib & 7;
        g->index = (sib >> 3 & 7) == RSP ? -1 : sib >> 3 & 7;
        put32(g, sib, 1);
    }
    if (mod == 0 && g->base == RBP) {
        g->base = -1;
        g->disp_size = 4;
    }
    g->disp = g->disp_size == 1 ? (int8_t)rng_next(g->rng) : g->disp_size ? (int32_t)any_value(g->rng) : 0;
}

static void put_modrm32(struct gen32 *g)
{
    const struct row *row = g->row;
    uint8_t reg = row->ext >= 0 ? (uint8_t)row->ext : (uint8_t)rng_below(g->rng, 8);
    g->mem = (row->shape & MEM_ONLY) || one_in(g->rng, 2);
    g->modrm = (uint8_t)((g->mem ? rng_below(g->rng, 3) << 6 : 0xc0) | (unsigned)reg << 3 | rng_below(g->rng, 8));
    put32(g, g->modrm, 1);
    if (!g->mem)
        return;
    if (g->addr_size == 2)
        put_memory16(g);
    else
        put_memory32(g);
    g->disp_at = g->t->length;
    put32(g, (uint64_t)(int64_t)g->disp, g->disp_size);
}

static void put_immediate32(struct gen32 *g)
{
    unsigned shape = g->row->shape;
    g->imm = any_value(g->rng);
    if (g->row->special == ENTER_)
        g->imm = rng_below(g->rng, 300) | (one_in(g->rng, 4) ? rng_below(g->rng, 256) : rng_below(g->rng, 4)) << 16;
    if (g->row->special == BASE && one_in(g->rng, 2))
        g->imm = one_in(g->rng, 8) ? 0 : 10;
    if (shape & IMM8)
        put32(g, g->imm, 1);
    if (shape & (IMMZ | IMMV))
        put32(g, g->imm, g->op_size);
    bool drops = g->row->map == MAP_NONE && (g->row->opcode == 0xc2 || g->row->opcode == 0xca); // ret, retf
    if (drops)
        put32(g, one_in(g->rng, 2) ? g->imm : g->imm & 31, 2);
    if (shape & IMM24)
        put32(g, g->imm, 3);
    if (shape & MOFFS) {
        g->mem = true;
        g->disp_at = g->t->length;
        g->disp_size = g->addr_size;
        put32(g, 0, g->disp_size);
    }
}

// ---- Inputs ----

static int operand_segment(const struct gen32 *g)
{
    if (g->override >= 0)
        return g->override;
    return g->base == RSP || g->base == RBP ? SEG_SS : SEG_DS;
}

static uint32_t truncated(const struct gen32 *g, uint64_t v)
{
    return g->addr_size == 2 ? (uint16_t)v : (uint32_t)v;
}

// Registers or displacement such that the operand lies at the target, or near it; gives where it lies.
static uint64_t aim32(struct gen32 *g, uint64_t target)
{
    uint64_t *gpr = g->t->in.gpr;
    uint32_t base = base_of(g, operand_segment(g)), want = (uint32_t)target - base;
    if (one_in(g->rng, 40))
        want = (uint32_t)any_value(g->rng);
    if (g->base < 0 && g->index >= 0)
        gpr[g->index] = rng_below(g->rng, 256);
    uint64_t scaled = g->index >= 0 ? gpr[g->index] << g->scale : 0;
    if (g->base < 0) {
        g->disp = (int32_t)(want - scaled);
        memcpy(g->t->bytes + g->disp_at, &g->disp, g->disp_size);
    } else if (g->base == g->index) {
        gpr[g->base] = (uint32_t)(want - (uint32_t)g->disp) / (1 + (1u << g->scale));
    } else {
        gpr[g->base] = (uint32_t)(want - (uint32_t)g->disp - scaled);
    }
    uint64_t at = (uint64_t)(int64_t)g->disp;
    at += (g->base >= 0 ? gpr[g->base] : 0) + (g->index >= 0 ? gpr[g->index] << g->scale : 0);
    return (uint32_t)(truncated(g, at) + base);
}

// A stack pointer by which the top of the stack lies at the target.
static uint64_t stack_for(const struct gen32 *g, uint64_t target)
{
    return (uint32_t)target - base_of(g, SEG_SS);
}

static void string_inputs32(struct gen32 *g)
{
    struct test_case *t = g->t;
    uint64_t *rng = g->rng, *gpr = t->in.gpr;
    uint64_t from = any_target(rng, 8), to = one_in(rng, 4) ? from + rng_below(rng, 40) - 20 : any_target(rng, 8);
    gpr[RCX] = one_in(rng, 6) ? rng_below(rng, 3000) : rng_below(rng, 24);
    gpr[RSI] = (uint32_t)from - base_of(g, g->override >= 0 ? g->override : SEG_DS);
    gpr[RDI] = (uint32_t)to - base_of(g, SEG_ES);
    if (one_in(rng, 40)) // at the top of the segment
        gpr[one_in(rng, 2) ? RSI : RDI] = 0 - rng_below(rng, 9);
    for (unsigned i = 0; i < 16; i++)
        gpr[i] = (uint32_t)gpr[i];
    uint64_t same = one_in(rng, 2) ? gpr[RAX] | gpr[RAX] << 32 : (uint8_t)gpr[RAX] * 0x0101010101010101u;
    int64_t back = t->in.flags & FLAG_DF ? -8 : 0;
    if (one_in(rng, 2)) { // something for the comparisons to find equal
        add_patch(t, from + (uint64_t)back, same, same);
        add_patch(t, to + (uint64_t)back, same, same);
    }
}

// Where there is more code than the case's.
static bool lands_in_code(const struct gen32 *g, uint64_t offset)
{
    uint64_t linear = (g->op_size == 2 ? (uint16_t)offset : (uint32_t)offset) + (uint64_t)base_of(g, SEG_CS);
    bool beyond = g->k->cs == LDT_SELECTOR(LDT_CODE32_SHORT) && linear > CODE + CODE_SHORT_LIMIT;
    return linear / PAGE == CODE / PAGE && !beyond;
}

// A near target as the operand has it: mostly the next instruction.
static uint64_t near_target(struct gen32 *g)
{
    uint64_t next = INSN_AT + g->t->length - base_of(g, SEG_CS), wild = any_value(g->rng);
    return one_in(g->rng, 6) && !lands_in_code(g, wild) ? (uint32_t)wild : next;
}

// A code segment to return or jump to: the present one, or none at all.
static uint16_t far_selector(struct gen32 *g)
{
    static const uint16_t wrong[] = {0,
                                     3,
                                     HOST_DS,
                                     HOST_CS32 & ~3,
                                     0x08,
                                     0x18,
                                     0xfff8,
                                     LDT_SELECTOR(LDT_WINDOW),
                                     LDT_SELECTOR(LDT_ABSENT),
                                     LDT_SELECTOR(LDT_USED)};
    return one_in(g->rng, 3) ? wrong[rng_below(g->rng, sizeof wrong / sizeof wrong[0])] : g->k->cs;
}

// Two or three values of operand size, as a far return and iret pop them.
static void far_frame(struct gen32 *g, uint64_t at)
{
    uint64_t flags = (any_value(g->rng) & ~(uint64_t)(FLAG_TF | FLAG_NT | FLAG_VM)) | FLAG_IF;
    uint64_t offset = near_target(g), selector = far_selector(g);
    if (g->op_size == 2)
        add_patch(g->t, at, (uint16_t)offset | selector << 16 | (flags & 0xffff) << 32, 0);
    else
        add_patch(g->t, at, (uint32_t)offset | selector << 32, flags);
}

static void stack_inputs(struct gen32 *g)
{
    uint64_t *rng = g->rng, *gpr = g->t->in.gpr;
    bool flags = g->row->special == POPF || g->row->special == FAR_RETURN; // never TF
    uint64_t at = WINDOW + 64 + rng_below(rng, WINDOW_RW - 256);
    if (one_in(rng, 4))
        at = flags ? WINDOW - 1 - rng_below(rng, 4) : any_target(rng, 16);
    gpr[RSP] = stack_for(g, at);
    switch (g->row->special) {
    case POPF:
        add_patch(g->t, at, any_value(rng) & ~(uint64_t)(FLAG_TF | FLAG_NT), 0);
        break;
    case PUSH_SEG: // with 32-bit operands some write 16 bits only (SDM vol. 2, PUSH), others 0 above them
        add_patch(g->t, at - 8, 0, 0);
        break;
    case POP_SEG:
        add_patch(g->t, at, any_selector(rng), 0);
        break;
    case RETURN:
        add_patch(g->t, at, near_target(g), 0);
        break;
    case FAR_RETURN:
        far_frame(g, at);
        break;
    case ENTER_:
        gpr[RBP] = stack_for(g, any_target(rng, 8) + (one_in(rng, 4) ? 0 : 256));
        break;
    case LEAVE_:
        gpr[RBP] = stack_for(g, any_target(rng, 8));
        break;
    default:
        break;
    }
}

static void put_branch(struct gen32 *g)
{
    unsigned size = g->row->special == BRANCH8 ? 1 : g->op_size;
    uint64_t distance = one_in(g->rng, 4) ? any_value(g->rng) : 0;
    uint64_t shown = size == 1 ? (uint64_t)(int8_t)distance : size == 2 ? (uint64_t)(int16_t)distance : distance;
    if (lands_in_code(g, INSN_AT + g->t->length + size + shown - base_of(g, SEG_CS)))
        distance = 0;
    put32(g, distance, size);
}

static void put_far_direct(struct gen32 *g)
{
    unsigned at = g->t->length;
    g->t->length += g->op_size + 2;
    uint64_t offset = near_target(g);
    uint16_t selector = far_selector(g);
    memcpy(g->t->bytes + at, &offset, g->op_size);
    memcpy(g->t->bytes + at + g->op_size, &selector, 2);
}

// What the special kinds want in registers, before a memory operand is aimed.
static void special_inputs32(struct gen32 *g)
{
    uint64_t *rng = g->rng, *gpr = g->t->in.gpr;
    switch (g->row->special) {
    case SHIFT:
    case DOUBLE_SHIFT:
        gpr[RCX] = (gpr[RCX] & ~0xffull) | rng_below(rng, one_in(rng, 8) ? 256 : 66);
        break;
    case DIVIDE:
        gpr[RDX] = one_in(rng, 2) ? 0 : one_in(rng, 2) ? (uint32_t)((int32_t)gpr[RAX] >> 31) : gpr[RDX];
        break;
    case BIT_OFFSET:
        if (g->mem)
            gpr[g->modrm >> 3 & 7] = (uint32_t)(int16_t)rng_next(rng);
        break;
    case XLAT:
        gpr[RBX] =
            (uint32_t)(any_target(rng, 1) - (gpr[RAX] & 0xff)) - base_of(g, g->override >= 0 ? g->override : SEG_DS);
        break;
    case STRING:
        string_inputs32(g);
        break;
    case BRANCH8:
        gpr[RCX] = rng_below(rng, 3);
        break;
    case NO_TRAP:
        g->t->in.flags &= ~(uint64_t)FLAG_OF;
        break;
    case LOAD_SEG:
    case ASK_SEG:
        if (!g->mem)
            gpr[g->modrm & 7] = any_selector(rng);
        break;
    case INDIRECT:
        if (!g->mem)
            gpr[g->modrm & 7] = near_target(g);
        break;
    default:
        break;
    }
}

static void memory_inputs32(struct gen32 *g, uint64_t at)
{
    struct test_case *t = g->t;
    const uint64_t *gpr = t->in.gpr;
    uint64_t *rng = g->rng;
    bool equal = one_in(rng, 2);
    uint64_t low = any_value(rng), high = any_value(rng);
    if (g->row->special == COMPARE_EXCHANGE && equal)
        low = gpr[RAX];
    else if (g->row->special == PAIR_EXCHANGE && equal)
        low = gpr[RDX] << 32 | (uint32_t)gpr[RAX];
    else if (g->row->special == LOAD_SEG || g->row->special == ASK_SEG)
        low = any_selector(rng);
    else if (g->row->special == INDIRECT)
        low = near_target(g);
    else if (g->row->special == FAR_POINTER && g->op_size == 2)
        low = (low & 0xffff) | (uint64_t)any_selector(rng) << 16;
    else if (g->row->special == FAR_POINTER)
        low = (uint32_t)low | (uint64_t)any_selector(rng) << 32;
    else if (g->row->special == FAR_INDIRECT)
        low = g->op_size == 2 ? (near_target(g) & 0xffff) | (uint64_t)far_selector(g) << 16
                              : (uint32_t)near_target(g) | (uint64_t)far_selector(g) << 32;
    add_patch(t, at, low, high);
}

static bool uses_stack(const struct row *row)
{
    switch (row->special) {
    case STACK:
    case POPF:
    case ENTER_:
    case LEAVE_:
    case PUSH_SEG:
    case POP_SEG:
    case RETURN:
    case FAR_RETURN:
    case CALLZ:
    case FAR_DIRECT:
    case FAR_INDIRECT:
    case INDIRECT:
        return true;
    default:
        return false;
    }
}

// Not movsxd, which is arpl here, nor what has other shapes; in 16-bit code not what Capstone does not know there
// (mandatory prefixes), nor instructions without 16-bit operands.
static bool exists32(const struct row *row, enum x86_mode mode)
{
    bool legacy = row->map < MAP_VEX38, narrow = mode == X86_CODE16;
    if (row->special == SEGMENT_BASE || row->special == HINT || row->shape & (REG_ONLY | FIXED))
        return false;
    if (row->map == MAP_NONE && row->opcode == 0x63 && (row->shape & DWORD))
        return false;
    return !(narrow && legacy && (row->prefix || (row->shape & DWORD)));
}

static void encode32(struct gen32 *g)
{
    const struct row *row = g->row;
    choose_prefixes32(g);
    g->base = g->index = -1;
    put_prefixes32(g);
    put_opcode32(g);
    if (row->shape & RM)
        put_modrm32(g);
    put_immediate32(g);
    if (row->special == BRANCH8 || row->special == BRANCHZ || row->special == CALLZ)
        put_branch(g);
    if (row->special == FAR_DIRECT)
        put_far_direct(g);
}

static bool shift_undefined32(struct gen32 *g)
{
    struct gen as64 = {.row = g->row, .t = g->t, .width = g->width, .imm = g->imm};
    return shift_undefined(&as64);
}

// False: not a case that can be judged, make another one.
static bool make_case32(uint64_t *rng, struct case32 *k)
{
    uint64_t n = rng_below(rng, rows_integer + ROWS32);
    struct gen32 g = {.rng = rng, .t = &k->t, .k = k, .row = n < rows_integer ? &rows[n] : &rows32[n - rows_integer]};
    memset(k, 0, sizeof *k);
    start_case(rng, &k->t);
    for (unsigned i = 0; i < 8; i++)
        k->t.in.gpr[i] = (uint32_t)k->t.in.gpr[i];
    choose_segments(rng, k);
    if (!host_has(g.row->need) || !exists32(g.row, k->mode))
        return false;
    k->t.mode = k->mode;
    k->t.name = g.row->name;
    k->t.undefined = g.row->undefined;
    k->t.insns = 1;
    k->blocks = (g.row->special >= BRANCH8 && g.row->special <= FAR_RETURN) || one_in(rng, 2);
    encode32(&g);
    if (uses_stack(g.row))
        stack_inputs(&g);
    special_inputs32(&g);
    bool implicit = g.row->special == STRING || g.row->special == XLAT;
    if (implicit && base_of(&g, g.override >= 0 ? g.override : SEG_DS) == CODE) // as below
        return false;
    if (g.mem) {
        uint64_t at = aim32(&g, any_target(rng, 8));
        if (at / PAGE == CODE / PAGE) // what is behind the instruction is not the same on both sides
            return false;
        memory_inputs32(&g, at);
    }
    bool shift = g.row->special == SHIFT || g.row->special == DOUBLE_SHIFT;
    return k->t.length <= 15 && (!shift || shift_undefined32(&g));
}

#endif

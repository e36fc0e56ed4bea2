// SPDX-License-Identifier: BSD-2-Clause
// Makes a random vector or x87 instruction of a row, in its legacy or VEX form, and inputs that matter to it.
#ifndef RINGSIDE_TESTS_CPU_GENERATE_VECTOR_H
#define RINGSIDE_TESTS_CPU_GENERATE_VECTOR_H

#include "tests/cpu/generate.h"
#include "tests/cpu/values.h"

struct vec_form {
    bool l;       // VEX.L
    uint8_t vvvv; // as encoded
    uint8_t pp;
    uint8_t index; // of a gather
};

static bool of_register(enum operand_of of)
{
    return of == OF_XR || of == OF_MR || of == OF_GR;
}
static bool of_memory(enum operand_of of)
{
    return of == OF_O || of == OF_V;
}

static void vec_choose(struct gen *g, struct vec_form *v)
{
    uint64_t *rng = g->rng, bits = rng_next(rng);
    const struct row *row = g->row;
    bool mmx = row->reg == OF_M && row->rm != OF_XM && row->rm != OF_XR;
    g->a32 = one_in(rng, 12);
    g->gs = one_in(rng, 12);
    g->rex = g->vex || one_in(rng, 2);
    if (g->rex)
        g->r = bits & 1, g->x = bits >> 1 & 1, g->b = bits >> 2 & 1, g->w = !mmx && (bits >> 3 & 1);
    v->l = row->form & L0 ? 0 : row->form & L1 ? 1 : bits >> 4 & 1;
    v->vvvv = row->form & NDS ? (uint8_t)(bits >> 8 & 15) : 15;
    v->pp = row->prefix == 0x66 ? 1 : row->prefix == 0xf3 ? 2 : row->prefix == 0xf2 ? 3 : 0;
    if (g->vex && (row->form & (W0 | W1)))
        g->w = (row->form & W1) != 0;
    if (g->vex && one_in(rng, 64)) { // refused, or not: the host says
        v->l ^= bits >> 12 & 1;
        g->w ^= bits >> 13 & 1;
        v->vvvv = bits >> 14 & 1 ? (uint8_t)(bits >> 16 & 15) : v->vvvv;
        v->pp = bits >> 15 & 1 ? (uint8_t)(bits >> 20 & 3) : v->pp;
    }
    g->width = 8u * (row->bytes << (g->vex && v->l && (row->form & FULL)));
}

static void vec_prefixes(struct gen *g)
{
    const struct row *row = g->row;
    uint64_t *rng = g->rng;
    uint8_t prefix[8];
    unsigned n = 0;
    if (g->a32)
        prefix[n++] = 0x67;
    if (g->gs)
        prefix[n++] = 0x65;
    if (one_in(rng, 24)) // of no effect
        prefix[n++] = (uint8_t[]){0x26, 0x2e, 0x36, 0x3e}[rng_below(rng, 4)];
    if (one_in(rng, 100)) // none takes it
        prefix[n++] = 0xf0;
    if (!g->vex && row->prefix)
        prefix[n++] = row->prefix;
    if (!g->vex && row->prefix >= 0xf2 && one_in(rng, 16)) // which of them counts
        prefix[n++] = 0x66;
    if (g->vex && one_in(rng, 100)) // refused in front of VEX
        prefix[n++] = (uint8_t[]){0x66, 0xf2, 0xf3, 0x48}[rng_below(rng, 4)];
    for (; n; n--) {
        unsigned i = (unsigned)rng_below(rng, n);
        put(g, prefix[i], 1);
        prefix[i] = prefix[n - 1];
    }
}

static void vec_opcode(struct gen *g, const struct vec_form *v)
{
    const struct row *row = g->row;
    if (g->vex) {
        uint64_t last = (uint64_t)(v->vvvv << 3 | v->l << 2 | v->pp);
        if (row->map == MAP_0F && !g->w && !g->x && !g->b && !one_in(g->rng, 4)) { // two bytes of prefix
            put(g, 0xc5, 1);
            put(g, (uint64_t)(!g->r << 7) | last, 1);
        } else {
            put(g, 0xc4, 1);
            put(g, (uint64_t)(!g->r << 7 | !g->x << 6 | !g->b << 5 | row->map), 1);
            put(g, (uint64_t)(g->w << 7) | last, 1);
        }
    } else {
        if (g->rex)
            put(g, (uint64_t)(0x40 | g->w << 3 | g->r << 2 | g->x << 1 | g->b), 1);
        if (row->map)
            put(g, 0x0f, 1);
        if (row->map >= MAP_0F38)
            put(g, row->map == MAP_0F38 ? 0x38 : 0x3a, 1);
    }
    put(g, row->opcode, 1);
}

static void vec_modrm(struct gen *g, struct vec_form *v)
{
    const struct row *row = g->row;
    uint64_t *rng = g->rng;
    g->base = g->index = -1;
    if ((row->form & ALONE) || row->rm == OF_NONE)
        return;
    unsigned reg = row->ext >= 0 ? (unsigned)row->ext : (unsigned)rng_below(rng, 8);
    unsigned rm = row->rm == OF_FIXED ? row->fixed : row->rm == OF_V ? 4 : (unsigned)rng_below(rng, 8);
    g->modrm = (uint8_t)(0xc0 | reg << 3 | rm);
    g->mem = of_memory(row->rm) || (!of_register(row->rm) && row->rm < OF_ST && one_in(rng, 2));
    if (row->set == SET_VECTOR && row->rm != OF_V && !g->rip_only && (of_memory(row->rm) || of_register(row->rm)) &&
        one_in(rng, 100))
        g->mem = !g->mem; // refused, mostly
    if (g->mem) {
        choose_memory(g);
        put_memory(g);
        if (row->rm == OF_V) {
            v->index = (uint8_t)((g->t->bytes[g->disp_at - 1] >> 3 & 7) | g->x << 3);
            g->index = -1;
        }
    } else {
        put(g, g->modrm, 1);
    }
}

// Memory for the operand: as many patches as it has 16 bytes, up to what a case takes.
static void vec_memory(struct gen *g, uint64_t at)
{
    const struct row *row = g->row;
    uint64_t *rng = g->rng;
    uint8_t bytes[32];
    put_lanes(rng, (enum data)row->data, bytes, sizeof bytes);
    uint32_t word = 0;
    if (row->form & MXCSR_)
        word = one_in(rng, 8) ? (uint32_t)rng_next(rng) : any_mxcsr(rng);
    else if (row->data == DATA_CONTROL || row->data == DATA_ENVIRONMENT)
        word = one_in(rng, 4) ? (uint32_t)rng_next(rng) : any_fcw(rng);
    if (word)
        memcpy(bytes, &word, 4);
    if (row->data == DATA_F80)
        put_f80(rng, bytes);
    if (row->data == DATA_DECIMAL)
        bytes[9] = (uint8_t)(rng_next(rng) & 0x80);
    for (unsigned i = 0; i < (row->bytes > 8 || g->width > 128 ? 2 : 1); i++) {
        uint64_t low, high;
        memcpy(&low, bytes + 16 * i, 8);
        memcpy(&high, bytes + 16 * i + 8, 8);
        add_patch(g->t, at + 16 * i, low, high);
    }
}

// A gather's indices lie near each other, but seldom; its mask is random.
static void gather_inputs(struct gen *g, const struct vec_form *v)
{
    uint8_t *index = g->t->fpu.ymm[v->index];
    unsigned step = g->row->form & WIDE_INDEX ? 8 : 4;
    int64_t range = one_in(g->rng, 6) ? 4096 : 64;
    for (unsigned i = 0; i < 32; i += step) {
        int64_t at = (int64_t)rng_below(g->rng, (uint64_t)range) - range / 2;
        memcpy(index + i, &at, step);
    }
}

// Mostly aligned as the instruction may want it.
static uint64_t vec_target(struct gen *g)
{
    unsigned size = g->width / 8 ? g->width / 8 : 1;
    uint64_t align = g->row->form & IMAGE ? (one_in(g->rng, 3) ? 16 : 64) : size >= 16 ? size : 1;
    uint64_t at = any_target(g->rng, size);
    return one_in(g->rng, g->row->form & IMAGE ? 8 : 3) ? at : at & ~(align - 1);
}

// Where the pointers to the last x87 instruction go is not compared (fpu.h), nor what XSAVE says to be in use: it may
// say more than there is (SDM vol. 1, 13.6).
static void unseen_memory(struct gen *g, uint64_t at)
{
    struct test_case *t = g->t;
    if (g->row->data == DATA_POINTERS) {
        t->unseen[0].at = at + (g->p66 ? 6 : 12);
        t->unseen[0].bytes = g->p66 ? 8 : 16;
    } else if (g->row->form & STORES) {
        t->unseen[0].at = at + 6;
        t->unseen[0].bytes = 18;
        t->unseen[1].at = at + 512;
        t->unseen[1].bytes = g->row->bytes > 512 ? 8 : 0;
    }
}

// An image that can be loaded, mostly: fcw, fsw, ftw; mxcsr; XSAVE's header. The registers are what is there.
static void image_memory(struct gen *g, uint64_t at)
{
    uint64_t *rng = g->rng, fsw = rng_next(rng) & 0x7f00, ftw = rng_next(rng) & 0xff;
    uint64_t mxcsr = one_in(rng, 8) ? rng_next(rng) : any_mxcsr(rng);
    add_patch(g->t, at, any_fcw(rng) | fsw << 16 | ftw << 32, 0);
    add_patch(g->t, at + 16, 0, mxcsr & 0xffffffff);
    if (g->row->bytes <= 512)
        return;
    // XCOMP_BV with bit 63 is for processors that have XSAVEC, which the guest has not.
    add_patch(g->t, at + 512, one_in(rng, 8) ? rng_next(rng) : rng_next(rng) & 7, one_in(rng, 8) ? 1ull << 62 : 0);
    for (unsigned i = 1; i < 4; i++)
        add_patch(g->t, at + 512 + 16 * i, 0, one_in(rng, 20));
}

static void vec_inputs(struct gen *g, const struct vec_form *v)
{
    const struct row *row = g->row;
    uint64_t *gpr = g->t->in.gpr, *rng = g->rng;
    if (row->form & LENGTHS) {
        gpr[RAX] = one_in(rng, 4) ? gpr[RAX] : rng_below(rng, 40) - 20;
        gpr[RDX] = one_in(rng, 4) ? gpr[RDX] : rng_below(rng, 40) - 20;
    }
    if (row->form & RDI_)
        gpr[RDI] = any_target(rng, row->bytes) - segment_base(g);
    if (row->rm == OF_V)
        gather_inputs(g, v);
    if (row->form & IMAGE) // components: no more than the guest's XCR0 has, as the host's may have more
        gpr[RAX] = rng_below(rng, 8), gpr[RDX] = 0;
    if (!g->mem)
        return;
    uint64_t at = aim(g, vec_target(g));
    if (row->form & IMAGE)
        image_memory(g, at);
    else
        vec_memory(g, at);
    unseen_memory(g, at);
}

// rip_only and *legacy* as the caller has set them in g.
static bool vec_encode(struct gen *g, struct vec_form *v)
{
    const struct row *row = g->row;
    unsigned start = g->t->length;
    vec_choose(g, v);
    vec_prefixes(g);
    vec_opcode(g, v);
    vec_modrm(g, v);
    if (row->form & IMM) {
        g->imm = rng_next(g->rng);
        put(g, g->imm, 1);
    }
    return g->t->length - start <= 15;
}

static bool choose_vex(uint64_t *rng, const struct row *row, bool *vex)
{
    bool legacy = host_has((enum need)row->need), can_vex = host_has((enum need)row->vex_need);
    *vex = can_vex && (!legacy || one_in(rng, 2));
    return legacy || can_vex;
}

static void x87_encode(struct gen *g, struct vec_form *v)
{
    uint64_t *rng = g->rng;
    g->a32 = one_in(rng, 12);
    g->gs = one_in(rng, 12);
    g->rex = one_in(rng, 3);
    if (g->rex)
        g->x = (uint8_t)rng_below(rng, 2), g->b = (uint8_t)rng_below(rng, 2), g->w = (uint8_t)rng_below(rng, 2),
        g->r = (uint8_t)rng_below(rng, 2);
    g->width = g->row->bytes * 8u;
    g->p66 = one_in(rng, 20); // the environment's 16-bit form; ignored elsewhere
    if (g->p66)
        put(g, 0x66, 1);
    if (one_in(rng, 60))
        put(g, (uint8_t[]){0x2e, 0x3e, 0xf2, 0xf3, 0xf0}[rng_below(rng, 5)], 1);
    if (g->a32)
        put(g, 0x67, 1);
    if (g->gs)
        put(g, 0x65, 1);
    vec_opcode(g, v);
    vec_modrm(g, v);
}

static bool make_vector(uint64_t *rng, struct test_case *t, const struct row *row)
{
    struct gen g = {.rng = rng, .t = t, .row = row};
    struct vec_form v = {0};
    t->name = row->name;
    t->insns = 1;
    if (row->set == SET_X87) {
        t->undefined_fsw = (uint16_t)row->undefined;
        x87_encode(&g, &v);
    } else if (!choose_vex(rng, row, &g.vex) || !vec_encode(&g, &v)) {
        return false;
    }
    fill_fpu(rng, t, (enum data)row->data, row->set == SET_X87);
    vec_inputs(&g, &v);
    bool more = row->form & IMAGE && row->bytes > 512 && t->in.gpr[RAX] & ~7ull; // an address: other components
    return t->length <= 15 && !more;
}

#endif

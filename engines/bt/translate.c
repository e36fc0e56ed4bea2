// SPDX-License-Identifier: BSD-2-Clause
// From a TU to a CCF. Most instructions are IDENT: their own bytes, with a gs prefix on the memory operand in the fast
// world. The rest, in the paper's order (section 3.3): pc-relative operands, control flow (control.c), privileged
// instructions; and ours: explicit uses of the biased rsp, and the checked form of memory operands (checked.c).
#include "engines/bt/translate.h"

#include "engines/bt/compat.h"
#include "engines/bt/emulations.h"
#include "engines/bt/kinds.h"
#include "engines/bt/translator.h"
#include "engines/bt/vectors.h"

void add_point(struct translator *t, enum recover recover, unsigned reg)
{
    struct ccf *ccf = t->ccf;
    if (ccf->points == CCF_MAX_POINTS) {
        t->hot->full = true;
        return;
    }
    ccf->point[ccf->points++] = (struct point){.host = (uint16_t)(t->hot->at - ccf->start),
                                               .guest = t->in->offset,
                                               .recover = (uint8_t)recover,
                                               .reg = (uint8_t)reg,
                                               .parked = (uint16_t)~t->parking.in_register};
}

struct site *add_site(struct translator *t, enum site_kind kind)
{
    struct site *site = tc_new_site(t->bt->tc, kind, t->tu->rip + t->in->offset);
    static struct site nowhere; // written to, never read: the translation is thrown away
    if (!site)
        return &nowhere;
    site->from = t->ccf;
    site->live = (uint8_t)t->live;
    site->guilty = !t->single && t->bt->world == WORLD_FAST && tc_is_guilty(t->bt->tc, site->rip);
    return site;
}

void put_leave_inline(struct translator *t, struct code *code, struct site *site)
{
    put_store_imm(code, &t->bt->site, 8, (int32_t)tc_site_number(t->bt->tc, site));
    put_jmp(code, tc_leave_stub(t->bt->tc));
}

// A callout: leave, emulate in C, come back behind it.
bool put_callout(struct translator *t, emulate_fn *emulate)
{
    struct site *site = add_site(t, SITE_EMULATE);
    site->insn = t->in->insn;
    site->emulate = emulate;
    t->how = HOW_CALLOUT;
    if (emulate == system_emulation(&t->in->insn))
        site->event = EV_callout_privileged;
    put_leave_inline(t, t->hot, site);
    if (t->in->ends)
        return false;
    site->resume = t->hot->at;
    return true;
}

// A callout by a fault: hlt faults at CPL 3, and the signal handler finds the site's number behind it. In place of a
// callout, for comparison.
static bool put_trap(struct translator *t, emulate_fn *emulate)
{
    struct site *site = add_site(t, SITE_EMULATE);
    uint32_t number = tc_site_number(t->bt->tc, site);
    site->insn = t->in->insn;
    site->emulate = emulate;
    site->event = EV_trap_privileged;
    t->how = HOW_TRAP;
    add_point(t, RECOVER_TRAP, 0);
    put_bytes(t->hot, "\xf4", 1);
    put_bytes(t->hot, &number, sizeof number);
    return !t->in->ends;
}

bool put_privileged(struct translator *t, emulate_fn *emulate)
{
    bool trap = t->bt->options.emulate == BT_TRAP && !t->single;
    return trap ? put_trap(t, emulate) : put_callout(t, emulate);
}

static bool put_raise(struct translator *t, unsigned vector, bool error)
{
    struct site *site = add_site(t, SITE_RAISE);
    t->how = HOW_RAISES;
    site->vector = (uint8_t)vector;
    site->error = error;
    put_leave_inline(t, t->hot, site);
    return false;
}

static int memory_operand(const struct insn *in)
{
    for (unsigned i = 0; i < in->operands; i++)
        if (in->op[i].kind == OPERAND_MEM)
            return (int)i;
    return -1;
}

// Points for the stretch in which a sequence that began at host offset `start` has registers displaced.
static void add_displaced(struct translator *t, const uint8_t *start, const struct displaced *d)
{
    if (d->from == d->to)
        return;
    uint8_t *end = t->hot->at;
    t->hot->at = (uint8_t *)(uintptr_t)start + d->from;
    add_point(t,
              d->string ? RECOVER_STRING
              : d->two  ? RECOVER_TWO
                        : RECOVER_SLOT,
              (unsigned)(d->scratch | d->second << 4));
    t->hot->at = (uint8_t *)(uintptr_t)start + d->to;
    add_point(t, RECOVER_NONE, 0);
    t->hot->at = end;
}

static bool translate_ident(struct translator *t)
{
    const struct insn *in = &t->in->insn;
    const uint8_t *start = t->hot->at;
    struct displaced displaced = {0};
    int memory = memory_operand(in);
    bool rsp = t->bt->world == WORLD_FAST && names_rsp(in);
    if (memory >= 0 && wants_check(t))
        return put_checked(t, (unsigned)memory);
    if (put_segmented(t->hot, t->in->bytes, in, &displaced)) {
        add_displaced(t, start, &displaced);
    } else if (rsp) {
        if (!put_rsp_unbiased(t->hot, t->in->bytes, in, t->in->flags_live, t->in->dead, &displaced))
            return put_checked(t, (unsigned)memory);
        add_displaced(t, start, &displaced);
    } else if (memory >= 0) {
        if (!put_biased(t->hot, t->in->bytes, in))
            return put_checked(t, (unsigned)memory);
    } else {
        put_ident(t->hot, t->in->bytes, in);
    }
    return true;
}

static bool translate_string(struct translator *t)
{
    const uint8_t *start = t->hot->at;
    struct displaced displaced = {0};
    if (wants_check(t) || !put_biased_string(t->hot, t->in->bytes, &t->in->insn, &displaced))
        return put_callout(t, plain_emulation(&t->in->insn));
    add_displaced(t, start, &displaced);
    return true;
}

// push and pop work on the biased rsp as they are, but for operands that are rsp itself or in memory that is checked.
static bool translate_stack(struct translator *t)
{
    const struct insn *in = &t->in->insn;
    const uint8_t *start = t->hot->at;
    struct displaced displaced = {0};
    if (wants_check(t))
        return put_callout(t, plain_emulation(in));
    if (put_segmented(t->hot, t->in->bytes, in, &displaced)) {
        add_displaced(t, start, &displaced);
        return true;
    }
    if (names_rsp(in)) {
        if (!put_rsp_unbiased(t->hot, t->in->bytes, in, t->in->flags_live, t->in->dead, &displaced))
            return put_callout(t, plain_emulation(in));
        add_displaced(t, start, &displaced);
        return true;
    }
    if (memory_operand(in) >= 0) {
        if (!put_biased(t->hot, t->in->bytes, in))
            return put_callout(t, plain_emulation(in));
        return true;
    }
    put_ident(t->hot, t->in->bytes, in);
    return true;
}

static bool translate_bitmem(struct translator *t)
{
    const struct insn *in = &t->in->insn;
    bool far_bit = in->op[0].kind == OPERAND_MEM && in->op[1].kind == OPERAND_GPR;
    if (!far_bit)
        return translate_ident(t);
    // Never [register]: the bit may lie far from the operand that was checked.
    if (wants_check(t) || !put_biased(t->hot, t->in->bytes, in))
        return put_callout(t, plain_emulation(in));
    return true;
}

// ---- Vector instructions (vectors.h) ----

bool vector_can_run(const struct translator *t)
{
    const struct insn *in = &t->in->insn;
    return vectors_announced(t->bt, in) && !(vectors_needed(in) & ~t->live);
}

static bool put_refused(struct translator *t)
{
    struct site *site = add_site(t, SITE_REFUSED);
    t->how = HOW_CALLOUT;
    site->insn = t->in->insn;
    put_leave_inline(t, t->hot, site);
    return false;
}

static bool translate_vector_rsp(struct translator *t)
{
    const uint8_t *start = t->hot->at;
    struct displaced displaced;
    int memory = memory_operand(&t->in->insn);
    if (memory >= 0 && (wants_check(t) || !put_vector_rsp(t->hot, t->in->bytes, &t->in->insn, &displaced)))
        return put_checked(t, (unsigned)memory);
    if (memory < 0)
        put_vector_rsp(t->hot, t->in->bytes, &t->in->insn, &displaced);
    add_displaced(t, start, &displaced);
    return true;
}

// As it is, but for those that touch memory by a mask or at many places where that has to be checked.
static bool translate_vector(struct translator *t)
{
    const struct insn *in = &t->in->insn;
    emulate_fn *emulate = plain_emulation(in);
    if (!vectors_announced(t->bt, in))
        return put_raise(t, VEC_UD, false);
    if (emulate && (wants_check(t) || !vector_can_run(t)))
        return put_callout(t, emulate);
    if (!vector_can_run(t))
        return put_refused(t);
    if (vectors_left_to_c(t->bt, in))
        return put_callout(t, emulate_ldmxcsr);
    if (t->bt->world == WORLD_FAST && names_rsp(in))
        return translate_vector_rsp(t);
    if (emulate && in->id != X86_INS_WAIT)
        return put_biased(t->hot, t->in->bytes, in) || put_callout(t, emulate);
    return translate_ident(t);
}

bool translate_insn(struct translator *t)
{
    const struct insn *in = &t->in->insn;
    struct bt *bt = t->bt;
    if (is_vector(kind_of(in)))
        return translate_vector(t);
    switch (kind_of(in)) {
    case KIND_IDENT:
        return translate_ident(t);
    case KIND_LEA:
        put_lea(t->hot, t->in->bytes, in, bt->world);
        return true;
    case KIND_BITMEM:
        return translate_bitmem(t);
    case KIND_NOP:
        return true;
    case KIND_STRING:
        return translate_string(t);
    case KIND_STACK:
        return translate_stack(t);
    case KIND_LEAVE:
        if (wants_check(t) || !put_leave(t->hot, in))
            return put_callout(t, plain_emulation(in));
        return true;
    case KIND_CALL:
        return translate_call(t);
    case KIND_RET:
        return translate_ret(t);
    case KIND_JMP:
        return translate_jmp(t);
    case KIND_JCC:
        return translate_jcc(t);
    case KIND_JRCXZ:
        return translate_jrcxz(t);
    case KIND_CLI:
        return translate_cli(t);
    case KIND_STI:
        return translate_sti(t);
    case KIND_RDTSC:
        return translate_rdtsc(t);
    case KIND_PUSHF:
        return translate_pushf(t);
    case KIND_EMULATE:
        return put_callout(t, plain_emulation(in));
    case KIND_SYSTEM:
        return translate_system(t);
    default:
        return put_raise(t, VEC_UD, false);
    }
}

static bool translate_parked(struct translator *t)
{
    bool falls;
    if (inline_insn(t, &falls))
        return falls;
    park_settle(t);
    falls = translate_insn(t);
    park_anything_changed(t);
    return falls;
}

// A breakpoint of a debugger outside stands before the instruction: the run ends there.
static void emulate_breakpoint(struct bt *bt, const struct insn *in)
{
    (void)in;
    bt->exit = VCPU_EXIT_BREAKPOINT;
}

static bool put_breakpoint(struct translator *t)
{
    struct site *site = add_site(t, SITE_EMULATE);
    site->emulate = emulate_breakpoint;
    site->guilty = false; // the instruction is not tried
    t->how = HOW_CALLOUT;
    put_leave_inline(t, t->hot, site);
    return false;
}

// The last "instruction" of a TU may be none.
static bool translate_one(struct translator *t, bool undefined)
{
    if (!t->single && breakpoint_at(&t->bt->breakpoints, t->tu->rip + t->in->offset)) {
        park_home(t);
        return put_breakpoint(t);
    }
    if (undefined) {
        park_home(t);
        return put_raise(t, t->tu->too_long ? VEC_GP : VEC_UD, t->tu->too_long);
    }
    if (t->in->legacy)
        return translate_compat(t);
    return t->bt->world == WORLD_FAST ? translate_insn(t) : translate_parked(t);
}

// An instruction of one of ours with a rip-relative operand: opcode and ModRM bytes, then the distance to the cell.
void put_on_cell(struct code *code, const void *opcode, unsigned n, const void *cell)
{
    int32_t zero = 0;
    put_bytes(code, opcode, n);
    put_bytes(code, &zero, 4);
    if (!code->full)
        patch_rel32(code->at - 4, cell);
}

// A load rather than a store, of which a loop may have enough of its own; and one that changes no flag and no register.
// In the checked worlds rcx is parked here. In the fast world every register may be the guest's, so one gets its bits
// or'ed with 0, which is all that the page holds. Legacy SSE leaves the upper half of ymm7 alone; among AVX
// instructions the VEX form spares CPUs that need it a transition, and or's the upper half, too.
static void put_poll(struct translator *t)
{
    if (t->bt->world != WORLD_FAST)
        put_on_cell(t->hot, "\x8b\x0d", 2, t->bt->poll); // mov poll(%rip), %ecx
    else if (t->live & VECTORS_AVX)
        put_on_cell(t->hot, "\xc5\xc4\x56\x3d", 4, t->bt->poll); // vorps poll(%rip), %ymm7, %ymm7
    else
        put_on_cell(t->hot, "\x0f\x56\x3d", 3, t->bt->poll); // orps poll(%rip), %xmm7
}

void put_guard(struct code *code, struct bt *bt, const struct ccf *ccf, const uint8_t *stub)
{
    bool parked = ccf->world != WORLD_FAST; // rcx is free
    if (!parked)
        put_store(code, &bt->slot[0], RCX);
    put_load(code, RCX, &bt->dead[ccf->needs]);
    uint8_t *skip = code->at;
    put_bytes(code, "\xe3\x00", 2); // jrcxz over the way out
    if (!parked)
        put_load(code, RCX, &bt->slot[0]);
    put_jmp(code, stub);
    if (!code->full)
        skip[1] = (uint8_t)(code->at - (skip + 2));
    if (!parked)
        put_load(code, RCX, &bt->slot[0]);
    put_jmp(code, ccf->start);
}

bool translate(struct bt *bt, const struct tu *tu, struct ccf *ccf, bool polls, bool single)
{
    struct translator t = {.bt = bt,
                           .hot = tc_hot(bt->tc),
                           .cold = tc_cold(bt->tc),
                           .tu = tu,
                           .ccf = ccf,
                           .live = ccf->needs,
                           .single = single};
    t.in = &tu->insn[0];
    ccf->start = t.hot->at;
    park_begin(&t);
    add_point(&t, RECOVER_NONE, 0);
    if (polls)
        put_poll(&t);
    bool falls = true;
    for (unsigned i = 0; i < tu->count && falls; i++) {
        t.in = &tu->insn[i];
        t.how = HOW_NONE;
        if (changes_vectors(&t.in->insn))
            t.live = 0;
        struct point *point = &ccf->point[ccf->points];
        const uint8_t *from = t.hot->at;
        add_point(&t, RECOVER_NONE, 0);
        falls = translate_one(&t, tu->undefined && i == tu->count - 1);
        if (t.hot->full || t.cold->full)
            return false;
        point->how = (uint8_t)how_translated(&t, from, t.hot->at);
    }
    if (falls && !single) {
        add_point(&t, RECOVER_NONE, 0);
        ccf->point[ccf->points - 1].guest = (uint8_t)tu->bytes;
    }
    if (falls)
        park_home(&t);
    if (falls && single) {
        struct site *site = add_site(&t, SITE_LEAVE);
        site->rip = tu->rip + tu->bytes;
        put_leave_inline(&t, t.hot, site);
    } else if (falls) {
        put_branch(&t, ALWAYS, tu->rip + tu->bytes);
    }
    ccf->end = t.hot->at;
    return !t.hot->full && !t.cold->full;
}

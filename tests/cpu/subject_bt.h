// SPDX-License-Identifier: BSD-2-Clause
// What is judged: engine bt, in one of its worlds, with what may come between two instructions of a case. Registers are
// set in struct bt directly, as set_state would throw away all translations.
#ifndef RINGSIDE_TESTS_CPU_SUBJECT_BT_H
#define RINGSIDE_TESTS_CPU_SUBJECT_BT_H

#include <sys/mman.h>

#include "engines/bt/bt.h"
#include "engines/bt/flush.h"
#include "engines/bt/memory.h"
#include "engines/bt/tc.h"
#include "engines/bt/vectors.h"
#include "tests/cpu/system.h"

// The way that a case's bits ask for.
struct way {
    enum world world;
    bool device, traced, poll, step, interrupt, cold;
    struct bt_options options;
};

static inline struct way way_of(const struct test_case *t)
{
    static const enum world worlds[] = {WORLD_FAST, WORLD_CHECKED, WORLD_USER, WORLD_ENTRY}; // as WAY_WORLD has them
    uint32_t bits = t->way;
    return (struct way){
        .world = worlds[way_field(bits, WAY_WORLD)],
        .device = bits & WAY_DEVICE,
        .traced = bits & WAY_TRACED,
        .poll = bits & WAY_POLL,
        .step = bits & WAY_STEP,
        .interrupt = bits & WAY_INTERRUPT,
        .cold = bits & WAY_COLD,
        .options = {.no_chaining = bits & WAY_NO_CHAINING,
                    .no_elision = bits & WAY_NO_ELISION,
                    .no_adapt = bits & WAY_NO_ADAPT,
                    .tu = way_field(bits, WAY_TU),
                    .emulate = (enum bt_emulate)(way_field(bits, WAY_EMULATE) % 3),
                    .returns = (enum bt_returns)(way_field(bits, WAY_RETURNS) % 3)},
    };
}

static inline unsigned way_cpl(const struct way *w)
{
    return w->world == WORLD_USER ? 3 : 0;
}

static inline void sys_code(const struct test_case *t, uint8_t *to)
{
    memset(to, CODE_FILLER, CODE_BYTES);
    memcpy(to, t->bytes, t->length);
    to[t->length] = 0xf4; // hlt
}

// The state from which the guest itself copies the case's code to its page, so that an engine sees its code change.
static inline void sys_copy_code(struct system *s, const struct test_case *t)
{
    sys_code(t, s->ram.base + SYS_STAGING);
    s->end = s->start[0];
    s->end.gpr[RSI] = SYSTEM + SYS_STAGING;
    s->end.gpr[RDI] = SYSTEM + SYS_CODE + (INSN_AT - CODE);
    s->end.gpr[RCX] = CODE_BYTES;
    s->end.rip = SYSTEM + SYS_COPY;
}

// ---- The interpreter, through its interface ----

// bt keeps a budget by steps of one instruction, which is not what is to be judged.
static inline bool sys_run(struct system *s)
{
    enum vcpu_exit exit;
    do
        exit = s->vcpu.engine->run(&s->vcpu, s->vcpu.engine == &engine_bt ? 0 : 100000);
    while (exit == VCPU_EXIT_KICK);
    s->vcpu.engine->get_state(&s->vcpu, &s->end);
    return exit == VCPU_EXIT_HALT;
}

// TF: the #DB handler's hlt ends each step; the next begins from its frame, where that is not behind the case's end.
static inline bool sys_step_again(struct system *s, const struct test_case *t, unsigned *steps)
{
    enum { MAX_STEPS = 20000 };
    uint64_t frame = s->end.gpr[RSP] - SYSTEM;
    if (s->end.rip != SYSTEM + SYS_HANDLERS + VEC_DB * 16 + 1 || frame >= RAM_MIN - 64)
        return false;
    if (++*steps == MAX_STEPS) { // a loop without end, which making a case smaller can lead to
        s->end.rip = 0;
        return false;
    }
    s->end.rip = sys_get(s, frame);
    s->end.rflags = sys_get(s, frame + 16);
    s->end.gpr[RSP] = sys_get(s, frame + 24);
    s->end.halted = false;
    return s->end.rip != INSN_AT + t->length + 1;
}

static inline void interp_run_case(struct system *s, const struct test_case *t, const struct way *w,
                                   struct outcome *out)
{
    unsigned cpl = way_cpl(w), steps = 0;
    sys_code(t, s->ram.base + SYS_CODE + (INSN_AT - CODE)); // set_state() forgets what was there
    s->end = s->start[cpl == 3];
    memcpy(s->end.gpr, t->in.gpr, sizeof t->in.gpr);
    s->end.rflags = t->in.flags | (w->step ? FLAG_TF : 0);
    if (t->vector)
        fpu_to_image(&t->fpu, s->end.xsave, s->end.xcr0);
    s->interrupt_taken = false;
    s->vcpu.engine->set_intr(&s->vcpu, w->interrupt);
    do {
        memcpy(s->end.seg, s->start[cpl == 3].seg, sizeof s->end.seg);
        s->vcpu.engine->set_state(&s->vcpu, &s->end);
        sys_run(s);
    } while (w->step && sys_step_again(s, t, &steps));
    s->vcpu.engine->set_intr(&s->vcpu, false);
    sys_outcome(s, t, out);
}

// ---- bt ----

static inline void bt_load(struct system *s, unsigned cpl, const struct way *w)
{
    struct bt *bt = s->vcpu.engine_data;
    const struct vcpu_state *from = &s->end;
    memcpy(bt->gpr, from->gpr, sizeof bt->gpr);
    bt->rip = from->rip;
    flags_write(bt, from->rflags);
    memcpy(bt->seg, s->start[cpl == 3].seg, sizeof bt->seg);
    bt->seg_base[SEG_GS] = GS_BASE;
    bt->seg_base[SEG_FS] = 0;
    bt->cpl = cpl;
    bt->cr2 = bt->dr6 = 0;
    bt->halted = false;
    bt->options = w->options;
    bt->options.checked = w->world == WORLD_CHECKED;
    bt->on_entry = w->world == WORLD_ENTRY;
    bt->entry_walks = 0;
    bt_mode_changed(bt);
}

static inline void bt_load_fpu(struct system *s, const struct test_case *t)
{
    struct bt *bt = s->vcpu.engine_data;
    fpu_to_image(&t->fpu, s->end.xsave, bt->xcr0);
    vectors_from_image(bt, s->end.xsave);
}

// Translated code in both pages of the window: runs a hlt that the pattern has there.
static inline void bt_trace_window(struct system *s, const struct way *w)
{
    for (unsigned page = 0; page < 2; page++) {
        const uint8_t *hlt = memchr(s->ram.base + SYS_WINDOW + page * PAGE, 0xf4, PAGE);
        if (!hlt)
            continue;
        s->end.rip = SYSTEM + (uint64_t)(hlt - s->ram.base);
        bt_load(s, 0, w);
        sys_run(s);
    }
}

static inline void bt_set_window(struct system *s, const struct way *w)
{
    struct bt *bt = s->vcpu.engine_data;
    bool was = (sys_get(s, SYS_PT + (WINDOW >> 12 & 511) * 8) & PTE_ADDR) == SYS_DEVICE;
    if (was != w->device) {
        sys_map_window(s, w->device);
        flush_all(bt);
    }
    for (unsigned page = 0; page < 3 && w->cold; page++)
        flush_page(bt, WINDOW + page * PAGE);
}

static inline void bt_prepare(struct system *s, const struct test_case *t, const struct way *w)
{
    struct bt *bt = s->vcpu.engine_data;
    tc_forgive(bt->tc);
    bt_set_window(s, w);
    sys_copy_code(s, t);
    bt_load(s, 0, w);
    sys_run(s);
    if (w->traced)
        bt_trace_window(s, w);
}

static inline void bt_run_case(struct system *s, const struct test_case *t, const struct way *w, struct outcome *out)
{
    struct bt *bt = s->vcpu.engine_data;
    unsigned cpl = way_cpl(w), steps = 0;
    s->end = s->start[cpl == 3];
    memcpy(s->end.gpr, t->in.gpr, sizeof t->in.gpr);
    s->end.rflags = t->in.flags | (w->step ? FLAG_TF : 0);
    if (t->vector)
        bt_load_fpu(s, t);
    s->interrupt_taken = false;
    engine_bt.set_intr(&s->vcpu, w->interrupt);
    do {
        bt_load(s, cpl, w);
        if (w->poll)
            mprotect(bt->poll, sizeof bt->poll, PROT_NONE);
        sys_run(s);
    } while (w->step && sys_step_again(s, t, &steps));
    if (w->poll)
        mprotect(bt->poll, sizeof bt->poll, PROT_READ | PROT_WRITE);
    engine_bt.set_intr(&s->vcpu, false);
    sys_outcome(s, t, out);
}

#endif

// SPDX-License-Identifier: BSD-2-Clause
// Engine bt as a subject, in all worlds, with devices, traced pages, polls and single steps in between, and the
// interpreter as a second judge, which sees the frames of faults and what only runs at CPL 0.
#include <stdio.h>

#include "engines/bt/region.h"
#include "tests/cpu/rows.h"
#include "tests/cpu/subject_bt.h"
#include "tests/cpu/variations.h"

struct bt_subject {
    struct system interp, bt;
    const uint8_t *pattern;
};

static void *start(const uint8_t *pattern, uint64_t components, char *err, unsigned err_size)
{
    struct engine_info info;
    engine_bt.probe(&info);
    struct bt_subject *s = info.available ? aligned_alloc(64, (sizeof *s + 63) / 64 * 64) : NULL;
    snprintf(err, err_size, "%s", info.available ? "bt cannot be started" : info.reason);
    if (!s)
        return NULL;
    s->pattern = pattern;
    if (sys_start(&s->interp, &engine_interp, pattern + WINDOW_RW, components, announce_all)) {
        if (sys_start(&s->bt, &engine_bt, pattern + WINDOW_RW, components, announce_all))
            return s;
        sys_stop(&s->interp);
    }
    free(s);
    return NULL;
}

static void stop(void *self)
{
    struct bt_subject *s = self;
    sys_stop(&s->bt);
    sys_stop(&s->interp);
    free(s);
}

// A jump, call or return to an address that is not canonical faults where it stands (SDM vol. 2, JMP, CALL, RET). bt
// looks targets up without knowing where from, and faults at the target: the right exception in the wrong place.
static bool bad_target(const struct test_case *t, const struct outcome *a, const struct outcome *bt)
{
    uint64_t at = a->rip - INSN_AT;
    if (a->vector != VEC_GP || bt->vector != VEC_GP || canonical(bt->rip) || at >= t->length)
        return false;
    const uint8_t *b = t->bytes + at;
    b += *b >> 4 == 4 || *b == 0xf3;
    return *b == 0xc2 || *b == 0xc3 || *b == 0xff;
}

// What find_difference() does not look at, as a host judge has it not. Where another vector may come, settle() says so.
static bool same_frame(const struct bt_subject *s, const struct outcome *a, const struct outcome *b)
{
    bool frame = (a->error == b->error || a->cr2 != b->cr2) && !((a->regs.flags ^ b->regs.flags) & FLAG_RF);
    return (frame || a->vector != b->vector) && s->bt.interrupt_taken == s->interp.interrupt_taken;
}

// Twice: what was translated the first time is chained the second time.
static void run_bt(struct bt_subject *s, const struct test_case *t, const struct way *w, struct subject_result *r)
{
    uint8_t *window = s->bt.ram.base + SYS_WINDOW, *judge_window = s->interp.ram.base + SYS_WINDOW;
    memcpy(window, s->pattern, WINDOW_RW);
    bt_prepare(&s->bt, t, w);
    for (unsigned i = 0; i < 2 && !r->left_out; i++) {
        struct variation_counts unused = {0};
        fill_memory(window, s->pattern, t);
        bt_run_case(&s->bt, t, w, &r->out);
        struct sides_of sides = {t, &r->other, &r->out, judge_window, window};
        struct difference d = settle(&sides, &unused);
        r->left_out = bad_target(t, &r->other, &r->out);
        r->other_differs = !same_frame(s, &r->other, &r->out);
        if (any_difference(&d) || r->other_differs)
            break;
    }
}

// An access of the fast world to where the monitor lies, which nothing stops there (docs/bt.md, the security boundary).
static bool reaches_monitor(const struct way *w, const struct outcome *o)
{
    return w->world == WORLD_FAST && o->vector == VEC_PF && o->cr2 >= BT_VMM_START - BT_BIAS &&
           o->cr2 < BT_VMM_END - BT_BIAS;
}

// At CPL 0 popf changes more, and what the host would check for alignment is not.
static void run(void *self, const struct test_case *given, struct subject_result *r)
{
    struct bt_subject *s = self;
    struct test_case t = *given;
    struct way w = way_of(&t);
    if (t.privileged && w.world == WORLD_USER)
        w.world = WORLD_FAST;
    bool user = w.world == WORLD_USER;
    if (!user)
        t.in.flags &= ~(uint64_t)FLAG_AC;
    if (t.privileged)
        t.in.flags &= ~(uint64_t)FLAG_IF;
    fill_memory(s->interp.ram.base + SYS_WINDOW, s->pattern, &t);
    sys_map_window(&s->interp, w.device);
    *r = (struct subject_result){
        .by = "interp", .memory = s->bt.ram.base + SYS_WINDOW, .other_memory = s->interp.ram.base + SYS_WINDOW};
    interp_run_case(&s->interp, &t, &w, &r->other);
    r->left_out = r->other.vector == ENDED_BADLY || reaches_monitor(&w, &r->other);
    if (!r->left_out)
        run_bt(s, &t, &w, r);
    bool popf = strcmp(t.name, "popf") == 0, align = given->in.flags & FLAG_AC;
    r->host_cannot = t.privileged || w.step || (!user && (popf || align));
}

const struct subject subject_bt = {"bt", true, start, stop, run};

// SPDX-License-Identifier: BSD-2-Clause
// Engine bt against the host's CPU and the interpreter: random instructions, runs of them, and flows of calls, loops
// and faults, in all three worlds, with devices, traced pages, polls and single steps in between. Registers, flags,
// memory and the frames of faults must agree but for what the manual leaves undefined.
//
// bt_cpu [SEED [COUNT [FIRST]]]: cases FIRST to FIRST + COUNT of SEED. A case depends on seed and number alone, so
// `bt_cpu SEED 1 N` repeats one.
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/time.h>

#include <asm/hwcap2.h>

#include "tests/cpu/compare.h"
#include "tests/cpu/flow.h"
#include "tests/cpu/native.h"
#include "tests/cpu/subject_bt.h"
#include "tests/unit/check.h"

enum { DEFAULT_COUNT = 60000, SHOWN = 20, HANG_SECONDS = 60 };

struct judge {
    struct system interp, bt;
    uint8_t pattern[WINDOW_BYTES];
    struct sigaction engine_handler[4];
    uint64_t seed, number;
    uint64_t cases, faults, native, skipped, failed;
    struct variation_counts host_varies, interp_varies;
};
static struct judge judge;

// ---- Signals: the case's own on the host, the engine's, and a case that does not end ----

static const int shared_signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};

static void say_last_words(const char *what, uint64_t rip)
{
    char text[160];
    int n = snprintf(text, sizeof text, "not ok bt_cpu: seed %" PRIu64 " case %" PRIu64 " %s, rip %" PRIx64 "\n",
                     judge.seed, judge.number, what, rip);
    (void)!write(1, text, (size_t)n);
}

static void on_signal(int number, siginfo_t *info, void *context)
{
    struct sigaction now;
    uint64_t rip = (uint64_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    if (cpu_native.running)
        native_signal(number, info, context);
    for (unsigned i = 0; i < 4 && !cpu_native.running; i++)
        if (shared_signals[i] == number)
            judge.engine_handler[i].sa_sigaction(number, info, context);
    if (sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_DFL) // not the guest's
        say_last_words("crashes", rip);
}

static void on_alarm(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info;
    say_last_words("does not end", (uint64_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP]);
    _exit(1);
}

static void share_signals(void)
{
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    for (unsigned i = 0; i < 4; i++)
        sigaction(shared_signals[i], &action, &judge.engine_handler[i]);
    action.sa_sigaction = on_alarm;
    sigaction(SIGALRM, &action, NULL);
}

// The engine's gs base is its bias.
static void native_gs(void)
{
    if (getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE)
        __asm__ volatile("wrgsbase %0" : : "r"(GS_BASE));
    else
        syscall(SYS_arch_prctl, 0x1001 /* ARCH_SET_GS */, GS_BASE);
}

// ---- Cases ----

struct judged {
    struct test_case t;
    struct way way;
    bool native; // the host can judge it
};

static void make_way(uint64_t *rng, struct judged *c, bool privileged)
{
    struct way *w = &c->way;
    w->world = privileged ? (enum world)rng_below(rng, 2) : (enum world)rng_below(rng, WORLDS);
    w->device = one_in(rng, 8);
    w->traced = one_in(rng, 8);
    w->poll = one_in(rng, 16);
    w->step = one_in(rng, 16);
    w->interrupt = privileged && one_in(rng, 2);
    w->cold = c->t.cold;
    if (!one_in(rng, 4))
        return;
    w->options.no_chaining = one_in(rng, 4);
    w->options.no_elision = one_in(rng, 2);
    w->options.no_adapt = one_in(rng, 2);
    w->options.tu = (unsigned)rng_below(rng, 4);
    w->options.emulate = (enum bt_emulate)rng_below(rng, 3);
    w->options.returns = (enum bt_returns)rng_below(rng, 3);
}

static void make_judged(uint64_t seed, uint64_t number, struct judged *c)
{
    uint64_t mixed = seed, rng;
    bool made, privileged;
    mixed = rng_next(&mixed) + number;
    rng = rng_next(&mixed);
    do {
        start_case(&rng, &c->t);
        unsigned kind = (unsigned)rng_below(&rng, 10);
        privileged = kind == 9;
        made = kind < 3   ? make_single(&rng, &c->t)
               : kind < 5 ? make_sequence(&rng, &c->t)
                          : make_flow(&rng, &c->t, privileged);
    } while (!made);
    make_way(&rng, c, privileged);
    if (c->way.world != WORLD_USER)
        c->t.in.flags &= ~(uint64_t)FLAG_AC; // means nothing at CPL 0, but would on the host
    if (privileged)
        c->t.in.flags &= ~(uint64_t)FLAG_IF;
    bool popf = c->way.world != WORLD_USER && strcmp(c->t.name, "popf") == 0; // changes more there
    c->native = !privileged && !popf && !c->way.step;
}

struct verdict {
    struct outcome judge, subject;
    const char *by; // who disagrees, or NULL
    bool memory;    // about memory
    bool skipped;
};

static bool disagree(struct verdict *v, const char *by, bool same, const uint8_t *a, const uint8_t *b)
{
    v->memory = memcmp(a, b, WINDOW_RW) != 0;
    if (!same || v->memory)
        v->by = by;
    return v->by;
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

static bool same_as_interp(const struct test_case *t, const struct outcome *a, const struct outcome *b)
{
    return same_outcome(t, a, b, &judge.interp_varies) && a->error == b->error &&
           !((a->regs.flags ^ b->regs.flags) & FLAG_RF);
}

// Twice: what was translated the first time is chained the second time.
static void run_bt(const struct judged *c, struct verdict *v)
{
    uint8_t *window = judge.bt.ram.base + SYS_WINDOW, *judge_window = judge.interp.ram.base + SYS_WINDOW;
    memcpy(window, judge.pattern, WINDOW_RW);
    bt_prepare(&judge.bt, &c->t, &c->way);
    for (unsigned i = 0; i < 2; i++) {
        fill_memory(window, judge.pattern, &c->t);
        bt_run_case(&judge.bt, &c->t, &c->way, &v->subject);
        v->skipped = bad_target(&c->t, &v->judge, &v->subject);
        if (v->skipped)
            return;
        bool same =
            same_as_interp(&c->t, &v->judge, &v->subject) && judge.bt.interrupt_taken == judge.interp.interrupt_taken;
        if (disagree(v, i ? "interp, second run" : "interp", same, judge_window, window))
            return;
    }
}

static void run_native(const struct judged *c, struct verdict *v)
{
    uint8_t *window = (uint8_t *)(uintptr_t)WINDOW;
    fill_memory(window, judge.pattern, &c->t);
    native_gs();
    native_run(&c->t, &v->judge);
    sys_as_user(&v->judge);
    sys_as_user(&v->subject);
    disagree(v, "host", same_outcome(&c->t, &v->judge, &v->subject, &judge.host_varies), window,
             judge.bt.ram.base + SYS_WINDOW);
}

static struct verdict try_case(const struct judged *c)
{
    struct verdict v = {0};
    fill_memory(judge.interp.ram.base + SYS_WINDOW, judge.pattern, &c->t);
    sys_map_window(&judge.interp, c->way.device);
    interp_run_case(&judge.interp, &c->t, &c->way, &v.judge);
    v.skipped = may_be_ours(&v.judge) || v.judge.vector == ENDED_BADLY;
    if (v.skipped)
        return v;
    run_bt(c, &v);
    uint64_t behind = v.judge.rip - INSN_AT - c->t.length; // on the code's page, where the host has other bytes
    bool astray = (behind && behind < PAGE) || v.judge.regs.gpr[RSP] / PAGE == CODE / PAGE;
    if (!v.by && !v.skipped && !astray && c->native)
        run_native(c, &v);
    return v;
}

// ---- Report ----

// As many instructions as possible are replaced by nops.
static struct judged smaller(struct judged c)
{
    for (unsigned i = 0; i < c.t.insns; i++) {
        unsigned start = c.t.start[i], end = i + 1 < c.t.insns ? c.t.start[i + 1] : c.t.length;
        uint8_t was[64];
        memcpy(was, c.t.bytes + start, end - start);
        memset(c.t.bytes + start, 0x90, end - start);
        struct verdict v = try_case(&c);
        if (!v.by || v.skipped)
            memcpy(c.t.bytes + start, was, end - start);
    }
    return c;
}

static void report(const struct judged *c, const struct verdict *v)
{
    const struct way *w = &c->way;
    const struct bt_options *o = &w->options;
    const struct sides sides = {v->by, "bt"};
    printf("# seed %" PRIu64 " case %" PRIu64 " %s, %s%s%s%s%s%s%s options %d%d%d%u%d%d:", judge.seed, judge.number,
           c->t.name, world_names[w->world], w->device ? " device" : "", w->traced ? " traced" : "",
           w->poll ? " poll" : "", w->step ? " step" : "", w->interrupt ? " interrupt" : "", w->cold ? " cold" : "",
           o->no_chaining, o->no_elision, o->no_adapt, o->tu, o->emulate, o->returns);
    say_difference(&sides, &c->t, &v->judge, &v->subject);
    if (v->memory)
        say_memory(&sides,
                   strcmp(v->by, "host") ? judge.interp.ram.base + SYS_WINDOW : (const uint8_t *)(uintptr_t)WINDOW,
                   judge.bt.ram.base + SYS_WINDOW);
    say_inputs(&c->t);
    printf("\n");
    fflush(stdout);
}

static void run_number(uint64_t number)
{
    struct judged c = {0};
    judge.number = number;
    judge.cases++;
    make_judged(judge.seed, number, &c);
    struct verdict v = try_case(&c);
    judge.skipped += v.skipped;
    judge.faults += !v.skipped && v.judge.vector >= 0;
    judge.native += c.native && !v.skipped;
    if (!v.by || judge.failed++ >= SHOWN)
        return;
    struct judged small = smaller(c);
    struct verdict again = try_case(&small);
    if (again.by)
        report(&small, &again);
    else
        report(&c, &v);
}

// Cases of other seeds that have found something which the default run would not.
static void run_found(void)
{
    static const uint64_t found[][2] = {{2, 364236}, {2, 370217}}; // lea disp(%rip), %sp
    for (unsigned i = 0; i < sizeof found / sizeof found[0]; i++) {
        judge.seed = found[i][0];
        run_number(found[i][1]);
    }
    CHECK(judge.failed == 0);
}

int main(int argc, char **argv)
{
    region_fix_layout(argv);
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 0) : DEFAULT_COUNT;
    uint64_t first = argc > 3 ? strtoull(argv[3], NULL, 0) : 0;
    struct engine_info info;
    for (uint64_t i = 0, rng = 42; i < sizeof judge.pattern; i++)
        judge.pattern[i] = (uint8_t)rng_next(&rng);
    engine_bt.probe(&info);
    if (!info.available || !native_start(judge.pattern + WINDOW_RW)) {
        SKIP(info.available ? "the addresses that the test needs are taken" : info.reason);
        return 0;
    }
    bool ok = CHECK(sys_start(&judge.interp, &engine_interp, judge.pattern + WINDOW_RW));
    if (!ok || !CHECK(sys_start(&judge.bt, &engine_bt, judge.pattern + WINDOW_RW)))
        return check_done("bt_cpu");
    share_signals();
    run_found();
    judge.seed = seed;
    judge.cases = 0;
    for (uint64_t i = first; i < first + count; i++) {
        if (i % 1024 == 0 || i == first)
            alarm(HANG_SECONDS);
        run_number(i);
    }
    printf("# %" PRIu64 " cases, %" PRIu64 " of them faults, %" PRIu64 " on the host too, %" PRIu64
           " left out, %" PRIu64 " differ\n",
           judge.cases, judge.faults, judge.native, judge.skipped, judge.failed);
    printf("# bt and the host:\n");
    say_variations(&judge.host_varies);
    printf("# bt and interp:\n");
    say_variations(&judge.interp_varies);
    CHECK(judge.cases == count);
    CHECK(judge.failed == 0);
    CHECK(judge.skipped <= judge.cases / 20);
    CHECK(count < 1000 || (judge.faults > 0 && judge.native > 0));
    sys_stop(&judge.bt);
    sys_stop(&judge.interp);
    return check_done("bt_cpu");
}

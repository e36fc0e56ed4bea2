// SPDX-License-Identifier: BSD-2-Clause
// bt's 32- and 16-bit code against the host's CPU, in segments of every kind, as interp_cpu32 has it of the
// interpreter.
//
// bt_cpu32 [SEED [COUNT [FIRST]]]: cases FIRST to FIRST + COUNT of SEED.
#include "engines/bt/bt.h"
#include "engines/bt/segment.h"
#include "engines/bt/tc.h"
#include "tests/cpu/judge32.h"
#include "tests/cpu/system.h"
#include "tests/unit/bt_low.h"
#include "tests/unit/check.h"

enum { DEFAULT_COUNT = 30000, SYS_GDT32 = 0xe000, SYS_LDT32 = 0xe800, KERNEL_CS = 0x10, LDT_AT = 0x50 };

// ---- The guest: Linux's segments in its descriptor tables, the host's addresses in its page tables ----

static void build_tables(struct system *s)
{
    static const uint64_t linux_gdt[] = {0,
                                         0x00cf9b000000ffff, // kernel: code of 32 bits, of 64, data
                                         0x00af9b000000ffff,
                                         0x00cf93000000ffff,
                                         0x00cffb000000ffff, // user: code of 32 bits, data, code of 64
                                         0x00cff3000000ffff,
                                         0x00affb000000ffff};
    memcpy(s->ram.base + SYS_GDT32, linux_gdt, sizeof linux_gdt);
    for (unsigned i = 0; i < LDT_USED; i++)
        sys_put(s, SYS_LDT32 + 8 * i, ldt_descriptor(i));
    for (unsigned v = 0; v < 256; v++)
        s->ram.base[SYS_IDT + v * 16 + 2] = KERNEL_CS;
}

static bool start(struct system *s, const uint8_t *read_only_page)
{
    if (!sys_start(s, &engine_bt, read_only_page, FPU_X87, NULL))
        return false;
    build_tables(s);
    struct vcpu_state *state = &s->start[1];
    state->gdtr = (struct table_reg){.base = SYSTEM + SYS_GDT32, .limit = 127};
    state->ldtr = (struct segment){
        .base = SYSTEM + SYS_LDT32, .limit = LDT_USED * 8 - 1, .selector = LDT_AT, .attr = SEG_P | SEG_TYPE_LDT};
    return engine_bt.set_state(&s->vcpu, state) == 0;
}

static struct segment segment_of(struct system *s, uint16_t selector)
{
    uint64_t table = selector & 4 ? SYS_LDT32 : SYS_GDT32;
    struct descriptor d = {.low = sys_get(s, table + (selector & 0xfff8u)), .selector = selector};
    return selector_is_null(selector) ? segment_null(selector, 0) : segment_from(&d);
}

static void load(struct system *s, const struct case32 *k)
{
    struct bt *bt = s->vcpu.engine_data;
    memcpy(bt->gpr, k->t.in.gpr, sizeof bt->gpr);
    bt->rip = INSN_AT - segment_base32(k->cs);
    flags_write(bt, k->t.in.flags);
    bt->seg[SEG_CS] = segment_of(s, k->cs);
    bt->seg[SEG_DS] = segment_of(s, k->in.ds);
    bt->seg[SEG_ES] = segment_of(s, k->in.es);
    bt->seg[SEG_SS] = segment_of(s, k->in.ss);
    bt->seg[SEG_GS] = segment_of(s, k->in.gs);
    bt->seg[SEG_FS] = segment_null(0, 0);
    bt->seg_base[SEG_GS] = bt->seg[SEG_GS].base;
    bt->seg_base[SEG_FS] = 0;
    bt->cpl = 3;
    bt->cr2 = 0;
    bt->halted = false;
    bt_mode_changed(bt);
}

// The handler's hlt has ended it; the frame says what came before.
static void read_end(struct system *s, const struct test_case *t, struct outcome *out, struct selectors *selectors)
{
    const struct vcpu_state *end = &s->end;
    uint64_t frame = end->gpr[RSP] - SYSTEM, at = end->rip - 1 - SYSTEM - SYS_HANDLERS;
    memset(out, 0, sizeof *out);
    out->vector = at % 16 || at / 16 > 255 || frame > RAM_MIN - 64 ? ENDED_BADLY : (int)(at / 16);
    if (out->vector < 0)
        return;
    if (sys_has_error(out->vector)) {
        out->error = sys_get(s, frame);
        frame += 8;
    }
    memcpy(out->regs.gpr, end->gpr, sizeof out->regs.gpr);
    out->rip = (uint32_t)(sys_get(s, frame) + segment_base32((uint16_t)sys_get(s, frame + 8)));
    out->regs.flags = sys_get(s, frame + 16) & ~(uint64_t)FLAG_RF;
    out->regs.gpr[RSP] = sys_get(s, frame + 24);
    out->cr2 = out->vector == VEC_PF ? end->cr2 : 0;
    *selectors = (struct selectors){end->seg[SEG_DS].selector, end->seg[SEG_ES].selector, end->seg[SEG_GS].selector,
                                    (uint16_t)sys_get(s, frame + 32)};
    if (out->vector == VEC_GP && out->rip == INSN_AT + t->length && out->error == 0)
        out->vector = -1;
}

static void run(void *subject, const struct case32 *k, struct outcome *out, struct selectors *selectors)
{
    struct system *s = subject;
    struct bt *bt = s->vcpu.engine_data;
    uint8_t *code = s->ram.base + SYS_CODE + (INSN_AT - CODE);
    enum vcpu_exit exit;
    hide_low_tables(false);
    tc_invalidate(bt, SYS_CODE, PAGE);
    memset(code, CODE_FILLER, CODE_BYTES);
    memcpy(code, k->t.bytes, k->t.length);
    code[k->t.length] = 0xf4; // hlt
    load(s, k);
    do
        exit = engine_bt.run(&s->vcpu, 0);
    while (exit == VCPU_EXIT_KICK);
    engine_bt.get_state(&s->vcpu, &s->end);
    read_end(s, &k->t, out, selectors);
    hide_low_tables(true); // the host is next
}

// ---- Signals: the engine's while its code runs, else the judge's ----

static const int shared_signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
static struct sigaction engine_handler[4];

static void on_signal(int number, siginfo_t *info, void *context)
{
    if (native32.running) {
        native32_signal(number, info, context);
        return;
    }
    for (unsigned i = 0; i < 4; i++)
        if (shared_signals[i] == number)
            engine_handler[i].sa_sigaction(number, info, context);
}

static void share_signals(void)
{
    for (unsigned i = 0; i < 4; i++) {
        struct sigaction action;
        sigaction(shared_signals[i], NULL, &engine_handler[i]);
        action = engine_handler[i];
        action.sa_sigaction = on_signal;
        sigaction(shared_signals[i], &action, NULL);
    }
}

int main(int argc, char **argv)
{
    region_fix_layout(argv);
    const struct range range = range_from(argc, argv, DEFAULT_COUNT);
    static struct system system;
    static uint8_t pattern[WINDOW_BYTES];
    static struct judge32 judge = {.name = "bt", .subject = &system, .run = run, .tables = SYSTEM, .pattern = pattern};
    struct engine_info info;
    make_pattern(pattern, sizeof pattern);
    engine_bt.probe(&info);
    const char *missing = info.available ? native32_start(pattern + WINDOW_RW) : info.reason;
    if (missing) {
        SKIP(missing);
        return 0;
    }
    if (!CHECK(start(&system, pattern + WINDOW_RW)))
        return check_done("bt_cpu32");
    share_signals();
    judge.window = system.ram.base + SYS_WINDOW;
    judge32_range(&judge, &range);
    hide_low_tables(false);
    sys_stop(&system);
    return check_done("bt_cpu32");
}

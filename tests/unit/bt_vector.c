// SPDX-License-Identifier: BSD-2-Clause
// Vector and x87 instructions in engine bt against the host's CPU: every form that the decoder knows, alone and in runs
// of them, with registers and memory at page edges, in all three worlds, with devices, traced pages, polls and kicks in
// between, masked and unmasked exceptions. General registers, flags, memory, vector registers and the kind of exception
// must be the same.
//
// bt_vector [SEED [COUNT [FIRST]]]: as bt_cpu.
#include <stdlib.h>

#include "engines/bt/code.h"
#include "engines/bt/kinds.h"
#include "engines/bt/region.h"
#include "engines/bt/vectors.h"
#include "include/vcpu.h"
#include "tests/cpu/compare.h"
#include "tests/cpu/native.h"
#include "tests/cpu/subject_bt.h"
#include "tests/unit/bt_low.h"
#include "tests/unit/check.h"
#include "tests/unit/host_features.h"
#include "tests/unit/range.h"

enum { DEFAULT_COUNT = 60000, SHOWN = 20, HANG_SECONDS = 300, MOST_INSNS = 8 };
enum { BASES = 1u << RBX | 1u << RSI | 1u << R8 | 1u << R13 }; // registers that operands are based on

struct vector_case {
    struct test_case t;
    struct way way;
    struct insn insn[MOST_INSNS];
    uint8_t image[XSAVE_BYTES] __attribute__((aligned(64)));
};

struct result {
    struct outcome o;
    uint8_t image[XSAVE_BYTES] __attribute__((aligned(64)));
};

// ---- The host: native_enter with vector registers loaded in front of it, and saved when it is back ----

struct vector_native { // not static: the assembly below writes to it, which the compiler cannot see
    uint64_t unused[17];
    uint8_t in[XSAVE_BYTES] __attribute__((aligned(64))); // 192
    uint8_t out[XSAVE_BYTES] __attribute__((aligned(64)));
    uint8_t frame[XSAVE_BYTES];
} vector_native __attribute__((aligned(64)));
_Static_assert(offsetof(struct vector_native, in) == 192 && offsetof(struct vector_native, out) == 1024, "used below");

void vector_enter(const struct regs *regs);
__asm__(".text\n"
        "vector_enter:\n"
        "    mov $7, %eax; xor %edx, %edx; xrstor64 vector_native+192(%rip)\n"
        "    jmp native_enter\n"
        "vector_save:\n"
        "    mov $7, %eax; xor %edx, %edx; xsave64 vector_native+1024(%rip)\n"
        "    fninit; vzeroupper; ldmxcsr vector_mxcsr(%rip)\n"
        "    ret\n"
        ".balign 4\n"
        "vector_mxcsr: .long 0x1f80\n");
void vector_save(void);

static void run_native(const struct vector_case *c, struct result *r)
{
    memset(vector_native.out, 0, sizeof vector_native.out);
    memcpy(vector_native.in, c->image, XSAVE_BYTES);
    native_put_code(&c->t);
    hide_low_tables(true);
    cpu_native.got.vector = -1;
    cpu_native.running = true;
    vector_enter(&c->t.in); // nothing may come between this
    vector_save();          // and that
    cpu_native.running = false;
    hide_low_tables(false);
    bool fault = cpu_native.got.vector >= 0;
    memcpy(r->image, fault ? vector_native.frame : vector_native.out, XSAVE_BYTES);
    r->o =
        fault ? cpu_native.got : (struct outcome){.regs = cpu_native.out, .rip = INSN_AT + c->t.length, .vector = -1};
}

// ---- Making cases ----

static struct x86_decoder decoder;

static uint64_t some_float(uint64_t *rng)
{
    static const uint64_t some[] = {0,
                                    0x3ff0000000000000,
                                    0x7ff0000000000000,
                                    0x7ff8000000000000,
                                    0x7ff0000000000001,
                                    0x000fffffffffffff,
                                    0x3f8000003f800000,
                                    0x7f8000007f800001,
                                    0x0000000100000001,
                                    0x4330000000000000,
                                    0xc1e0000000000000,
                                    0x43e0000000000000,
                                    0xffffffffffffffff};
    switch (rng_below(rng, 4)) {
    case 0:
        return some[rng_below(rng, sizeof some / sizeof some[0])];
    case 1: // doubles of moderate size
        return (rng_next(rng) & 0x800fffffffffffff) | (0x3f0 + rng_below(rng, 32)) << 52;
    case 2: // singles of moderate size
        return (rng_next(rng) & 0x807fffff807fffff) | (0x70 + rng_below(rng, 30)) << 23 |
               (0x70 + rng_below(rng, 30)) << 55;
    default:
        return rng_next(rng);
    }
}

static void some_image(uint64_t *rng, uint8_t *image)
{
    uint64_t header[8] = {7};
    uint32_t mxcsr = 0x1f80 | (uint32_t)rng_next(rng) % 0x10000;
    uint16_t fcw = (uint16_t)(0x37f | (rng_next(rng) & 0xc00)), fsw = (uint16_t)(rng_next(rng) & 0x7f00);
    memset(image, 0, XSAVE_BYTES);
    if (one_in(rng, 3))
        mxcsr = (uint32_t)rng_next(rng) & 0xffff;
    if (one_in(rng, 3))
        fcw = (uint16_t)(0x40 | (rng_next(rng) & 0xf3f));
    memcpy(image, &fcw, 2);
    memcpy(image + XSAVE_FSW, &fsw, 2);
    image[XSAVE_FTW] = one_in(rng, 2) ? 0 : (uint8_t)rng_next(rng);
    memcpy(image + XSAVE_MXCSR, &mxcsr, 4);
    for (unsigned i = 0; i < 8; i++) {
        uint64_t mantissa = some_float(rng) | (one_in(rng, 8) ? 0 : 1ull << 63);
        uint16_t exponent =
            (uint16_t)(one_in(rng, 4) ? rng_next(rng) : (0x3ff0 + rng_below(rng, 32)) | (rng_next(rng) & 0x8000));
        memcpy(image + XSAVE_ST + 16 * i, &mantissa, 8);
        memcpy(image + XSAVE_ST + 16 * i + 8, &exponent, 2);
    }
    for (unsigned i = 0; i < 32; i++) {
        uint64_t low = some_float(rng), high = some_float(rng);
        memcpy(image + XSAVE_XMM + 8 * i, &low, 8);
        memcpy(image + XSAVE_YMM + 8 * i, &high, 8);
    }
    memcpy(image + XSAVE_HEADER, header, sizeof header);
}

static bool host_has(const struct insn *in);

// Reads, writes or shows pointers to the last x87 instruction, which engines do not keep: alone only.
static bool is_state(const struct insn *in)
{
    return !is_vector(kind_of(in));
}

static bool is_wanted(const struct insn *in)
{
    switch (in->id) {
    case X86_INS_MASKMOVQ:
    case X86_INS_MASKMOVDQU:
    case X86_INS_VMASKMOVDQU:
    case X86_INS_FXSAVE:
    case X86_INS_FXSAVE64:
    case X86_INS_FXRSTOR:
    case X86_INS_FXRSTOR64:
    case X86_INS_XSAVE:
    case X86_INS_XSAVE64:
    case X86_INS_XRSTOR:
    case X86_INS_XRSTOR64:
    case X86_INS_FNSTENV:
    case X86_INS_FNSAVE:
    case X86_INS_FLDENV:
    case X86_INS_FRSTOR:
        return host_has(in);
    default:
        return is_vector(kind_of(in)) && host_has(in);
    }
}

static const struct x86_operand *memory_of(const struct insn *in)
{
    for (unsigned i = 0; i < in->operands; i++)
        if (in->op[i].kind == OPERAND_MEM)
            return &in->op[i];
    return NULL;
}

// Bytes that are one of our instructions, or not.
static void some_bytes(uint64_t *rng, uint8_t b[16])
{
    static const uint8_t prefix[] = {0, 0x66, 0xf3, 0xf2}, map[] = {1, 1, 2, 3};
    unsigned n = 0;
    for (unsigned i = 0; i < 16; i++)
        b[i] = (uint8_t)rng_next(rng);
    uint8_t m = map[rng_below(rng, 4)], modrm = (uint8_t)rng_next(rng);
    if (one_in(rng, 4)) { // x87
        if (one_in(rng, 8))
            b[n++] = 0x66;
        b[n++] = one_in(rng, 12) ? 0x9b : (uint8_t)(0xd8 | rng_below(rng, 8));
    } else if (one_in(rng, 2)) { // VEX
        b[n++] = 0xc4;
        b[n++] = (uint8_t)((rng_next(rng) & 0xe0) | m);
        b[n] = (uint8_t)rng_next(rng);
        if (one_in(rng, 3))
            b[n] |= 0x78;
        if (one_in(rng, 2))
            b[n] &= 0x7f;
        n++;
        b[n++] = (uint8_t)rng_next(rng);
    } else {
        uint8_t p = prefix[rng_below(rng, 4)];
        if (p)
            b[n++] = p;
        if (one_in(rng, 3))
            b[n++] = (uint8_t)(0x40 | rng_below(rng, 16));
        b[n++] = 0x0f;
        if (m > 1)
            b[n++] = m == 2 ? 0x38 : 0x3a;
        b[n++] = one_in(rng, 12) ? 0xae : (uint8_t)rng_next(rng);
    }
    b[n++] = modrm;
}

// Where the memory operand is to be: anywhere in the window, mostly near an edge between pages or of it all.
static uint64_t some_place(uint64_t *rng, const struct insn *in, unsigned size)
{
    static const uint64_t edge[] = {WINDOW + PAGE, WINDOW + PAGE, WINDOW + WINDOW_RW, WINDOW, WINDOW + WINDOW_BYTES};
    uint64_t at = one_in(rng, 2) ? WINDOW + rng_below(rng, WINDOW_RW - 1024)
                                 : edge[rng_below(rng, 5)] - size / 2 - 40 + rng_below(rng, 80);
    unsigned align = size > 64 ? 64 : size >= 16 ? size : 1;
    (void)in;
    return one_in(rng, 4) ? at : at & ~(uint64_t)(align - 1);
}

// Registers such that the operand is at a good place. False where they cannot be.
static bool place_memory(uint64_t *rng, struct vector_case *c, const struct insn *in)
{
    const struct x86_operand *o = memory_of(in);
    if (!o)
        return true;
    if (o->mem.base == X86_NO_REG || o->mem.seg == SEG_FS || in->addr_size == 4)
        return false;
    bool fixed = BASES >> o->mem.base & 1 || o->mem.base == RSP || o->mem.base == RDI;
    bool index = o->mem.index != X86_NO_REG && !o->mem.vsib;
    if (!fixed || (index && o->mem.index == o->mem.base) || (index && !(BASES >> o->mem.index & 1)))
        return false;
    uint64_t at = some_place(rng, in, o->size) - (uint64_t)o->mem.disp;
    at -= index ? c->t.in.gpr[o->mem.index] << o->mem.shift : 0;
    at -= o->mem.seg == SEG_GS ? GS_BASE : 0;
    c->t.in.gpr[o->mem.base] = at;
    if (o->mem.vsib)
        for (unsigned i = 0; i < 4; i++) {
            uint32_t v = (uint32_t)rng_below(rng, 64) - 32;
            uint64_t wide = (uint64_t)(int64_t)(int32_t)v;
            bool narrow = one_in(rng, 2);
            memcpy(c->image + XSAVE_XMM + 16 * o->mem.index + 4 * i, &v, 4);
            memcpy(c->image + XSAVE_YMM + 16 * o->mem.index + 4 * i, &v, 4);
            if (!narrow && i < 2) {
                memcpy(c->image + XSAVE_XMM + 16 * o->mem.index + 8 * i, &wide, 8);
                memcpy(c->image + XSAVE_YMM + 16 * o->mem.index + 8 * i, &wide, 8);
            }
        }
    return true;
}

static bool add_insn(uint64_t *rng, struct vector_case *c, bool alone)
{
    uint8_t b[16];
    struct insn in;
    struct encoding e;
    for (unsigned tries = 0; tries < 3000; tries++) {
        some_bytes(rng, b);
        if (!x86_decode(&decoder, b, 15, INSN_AT + c->t.length, &in) || !encoding_of(b, &in, &e) || !is_wanted(&in))
            continue;
        uint32_t changed = registers_changed(&in);
        if ((is_state(&in) || changed & (BASES | 1u << RSP | 1u << RDI)) && !alone)
            continue;
        if (memory_of(&in) && memory_of(&in)->size > 512) { // xsave: nothing that only the host has
            c->t.in.gpr[RAX] &= XSTATE_ALL;
            c->t.in.gpr[RDX] = 0;
        }
        if (in.lock || !place_memory(rng, c, &in))
            continue;
        c->insn[c->t.insns] = in;
        c->t.start[c->t.insns++] = (uint8_t)c->t.length;
        memcpy(c->t.bytes + c->t.length, b, in.length);
        c->t.length += in.length;
        return true;
    }
    return false;
}

static void make_case(uint64_t seed, uint64_t number, struct vector_case *c)
{
    uint64_t mixed = seed, rng;
    mixed = rng_next(&mixed) + number;
    rng = rng_next(&mixed);
    memset(c, 0, sizeof *c);
    some_image(&rng, c->image);
    for (unsigned i = 0; i < 16; i++)
        c->t.in.gpr[i] = one_in(&rng, 2) ? rng_next(&rng) : rng_below(&rng, 64);
    c->t.in.gpr[RSP] = WINDOW + 1024;
    c->t.in.gpr[RBX] = WINDOW + 64, c->t.in.gpr[RSI] = 8, c->t.in.gpr[R8] = 16, c->t.in.gpr[R13] = 24;
    c->t.in.flags = FLAG_FIXED1 | (rng_next(&rng) & FLAGS_ARITH);
    c->t.name = "vectors";
    c->t.vector = true;
    unsigned insns = one_in(&rng, 2) ? 1 : 2 + (unsigned)rng_below(&rng, MOST_INSNS - 1);
    for (unsigned i = 0; i < insns; i++)
        add_insn(&rng, c, insns == 1);
    c->way.world = (enum world)rng_below(&rng, WORLDS);
    c->way.device = one_in(&rng, 8);
    c->way.traced = one_in(&rng, 8);
    c->way.poll = one_in(&rng, 16);
    c->way.cold = one_in(&rng, 2);
    c->way.options.no_adapt = one_in(&rng, 8);
    c->way.options.tu = one_in(&rng, 4) ? 1 + (unsigned)rng_below(&rng, 3) : 0;
}

// ---- bt ----

struct judge {
    struct system bt;
    uint8_t pattern[WINDOW_BYTES];
    uint64_t seed, number, cases, faults, failed;
    uint64_t forms[X86_INS_ENDING];
    struct variation_counts varied;
};
static struct judge judge;

static struct cpuid_leaf all_leaves[HOST_FEATURES_LEAVES];

static bool host_has(const struct insn *in)
{
    return vectors_announced(judge.bt.vcpu.engine_data, in);
}

static void allow_vectors(struct bt *bt)
{
    bt->cr0 = (bt->cr0 & ~(uint64_t)(CR0_TS | CR0_EM)) | CR0_MP;
    bt->cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
    bt->xcr0 = XSTATE_ALL;
    vectors_mode_changed(bt);
}

static void run_bt(const struct vector_case *c, struct result *r)
{
    struct system *s = &judge.bt;
    struct bt *bt = s->vcpu.engine_data;
    unsigned cpl = way_cpl(&c->way);
    s->end = s->start[cpl == 3];
    memcpy(s->end.gpr, c->t.in.gpr, sizeof c->t.in.gpr);
    s->end.rflags = c->t.in.flags;
    bt_load(s, cpl, &c->way);
    vectors_from_image(bt, c->image);
    if (c->way.poll)
        mprotect(bt->poll, sizeof bt->poll, PROT_NONE);
    sys_run(s);
    if (c->way.poll)
        mprotect(bt->poll, sizeof bt->poll, PROT_READ | PROT_WRITE);
    sys_outcome(s, &c->t, &r->o);
    memcpy(r->image, s->end.xsave, XSAVE_BYTES);
}

// ---- Comparing ----

static void take_outcome(struct result *r)
{
    fpu_from_image(&r->o.fpu, r->image, XSTATE_ALL);
    r->o.regs.flags &= FLAGS_ARITH;
    sys_as_user(&r->o);
}

// But for what may vary (tests/cpu/variations.c).
static const char *difference(const struct vector_case *c, const struct result *host, const struct result *bt,
                              const uint8_t *memory)
{
    const struct sides_of sides = {&c->t, &host->o, &bt->o, memory, judge.bt.ram.base + SYS_WINDOW};
    struct difference d = settle(&sides, &judge.varied);
    return d.fault || d.rip                  ? "exceptions"
           : d.gpr                           ? "general registers"
           : d.flags                         ? "flags"
           : d.memory                        ? "memory"
           : d.mxcsr || d.ymm                ? "SSE or AVX state"
           : d.st || d.fcw || d.fsw || d.ftw ? "x87 state"
                                             : NULL;
}

static void report(const struct vector_case *c, const char *what, const struct result *host, const struct result *bt)
{
    static const char *const world_names[] = {"fast", "checked", "user"};
    printf("# seed %" PRIu64 " case %" PRIu64 " %s%s%s%s%s: %s\n", judge.seed, judge.number, world_names[c->way.world],
           c->way.device ? " device" : "", c->way.traced ? " traced" : "", c->way.poll ? " poll" : "",
           c->way.cold ? " cold" : "", what);
    const struct sides sides = {"host", "bt"};
    printf("#  ");
    say_difference(&sides, &c->t, &host->o, &bt->o);
    say_memory(&sides, (const uint8_t *)(uintptr_t)WINDOW, judge.bt.ram.base + SYS_WINDOW);
    printf("\n");
    for (unsigned i = 0; i < 16; i++)
        printf("%s%" PRIx64 "%s", i % 8 ? " " : "#   ", c->t.in.gpr[i], i % 8 == 7 ? "\n" : "");
    fflush(stdout);
}

// ---- Signals: the case's own on the host, the engine's, and a case that does not end ----

static const int shared_signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
static struct sigaction engine_handler[4];

static void say_last_words(const char *what, uint64_t rip)
{
    char text[160];
    int n = snprintf(text, sizeof text, "not ok bt_vector: seed %" PRIu64 " case %" PRIu64 " %s, rip %" PRIx64 "\n",
                     judge.seed, judge.number, what, rip);
    (void)!write(1, text, (size_t)n);
}

static void on_signal(int number, siginfo_t *info, void *context)
{
    struct sigaction now;
    const ucontext_t *frame = context;
    uint64_t rip = (uint64_t)frame->uc_mcontext.gregs[REG_RIP];
    if (cpu_native.running) {
        memcpy(vector_native.frame, frame->uc_mcontext.fpregs, XSAVE_BYTES);
        native_signal(number, info, context);
    }
    for (unsigned i = 0; i < 4 && !cpu_native.running; i++)
        if (shared_signals[i] == number)
            engine_handler[i].sa_sigaction(number, info, context);
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
        sigaction(shared_signals[i], &action, &engine_handler[i]);
    action.sa_sigaction = on_alarm;
    sigaction(SIGALRM, &action, NULL);
}

static void native_gs(void) // the engine's is its bias
{
    __asm__ volatile("wrgsbase %0" : : "r"(GS_BASE));
}

static void run_number(uint64_t number)
{
    struct vector_case c;
    struct result host, bt;
    judge.number = number;
    make_case(judge.seed, number, &c);
    if (!c.t.insns)
        return;
    judge.cases++;
    for (unsigned i = 0; i < c.t.insns; i++)
        judge.forms[c.insn[i].id]++;
    uint8_t *window = (uint8_t *)(uintptr_t)WINDOW, *guest = judge.bt.ram.base + SYS_WINDOW;
    memcpy(window, judge.pattern, WINDOW_RW);
    native_gs();
    run_native(&c, &host);
    take_outcome(&host);
    const char *what = NULL;
    memcpy(guest, judge.pattern, WINDOW_RW);
    bt_prepare(&judge.bt, &c.t, &c.way);
    for (unsigned i = 0; i < 2 && !what; i++) {
        memcpy(guest, judge.pattern, WINDOW_RW);
        run_bt(&c, &bt);
        take_outcome(&bt);
        what = difference(&c, &host, &bt, window);
    }
    judge.faults += host.o.vector >= 0;
    if (what && judge.failed++ < SHOWN)
        report(&c, what, &host, &bt);
}

int main(int argc, char **argv)
{
    region_fix_layout(argv);
    const struct range range = range_from(argc, argv, DEFAULT_COUNT);
    struct engine_info info;
    make_pattern(judge.pattern, sizeof judge.pattern);
    engine_bt.probe(&info);
    if (!info.available || !native_start(judge.pattern + WINDOW_RW)) {
        SKIP(info.available ? "the addresses that the test needs are taken" : info.reason);
        return 0;
    }
    if (!CHECK(sys_start(&judge.bt, &engine_bt, judge.pattern + WINDOW_RW, 1, NULL)) ||
        !CHECK(!x86_decoder_open(&decoder)))
        return check_done("bt_vector");
    judge.bt.vcpu.cpuid = host_features(all_leaves);
    allow_vectors(judge.bt.vcpu.engine_data);
    share_signals();
    judge.seed = range.seed;
    for (uint64_t i = 0; i < range.count; i++) {
        if (i % 1024 == 0)
            alarm(HANG_SECONDS);
        run_number(range.first + i);
    }
    unsigned forms = 0;
    for (unsigned i = 0; i < X86_INS_ENDING; i++)
        forms += judge.forms[i] != 0;
    printf("# %" PRIu64 " cases, %" PRIu64 " of them faults, %u mnemonics, %" PRIu64 " differ\n", judge.cases,
           judge.faults, forms, judge.failed);
    say_variations(&judge.varied);
    CHECK(judge.failed == 0);
    CHECK(range.count < 1000 || judge.faults > 0);
    sys_stop(&judge.bt);
    return check_done("bt_vector");
}

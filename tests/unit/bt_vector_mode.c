// SPDX-License-Identifier: BSD-2-Clause
// Vector instructions in engine bt and what the guest's control registers allow: #NM and #UD by the tables of the
// manual, in all three worlds, for code that ran before and code that runs after CR0, CR4 and XCR0 have changed; and
// registers that outlast callouts, polls and kicks in a loop.
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "engines/bt/region.h"
#include "engines/bt/vectors.h"
#include "include/vcpu.h"
#include "tests/cpu/case.h"
#include "tests/cpu/subject_bt.h"
#include "tests/unit/check.h"
#include "tests/unit/host_features.h"

static const char *const world_names[] = {"fast", "checked", "user"};

enum class { X87, MMX, WAIT, SSE, AVX, FXSAVE, XSAVE, XGETBV };

// Instructions that are allowed alike. rbx points to 1 KiB of zeros, eax, ecx and edx are 0, as are all vectors.
static const struct sample {
    const char *name, *bytes;
    enum class class;
    unsigned length;
} samples[] = {
#define SAMPLE(name, class, bytes)                                                                                     \
    {                                                                                                                  \
        name, bytes, class, sizeof bytes - 1                                                                           \
    }
    SAMPLE("fld1", X87, "\xd9\xe8"),
    SAMPLE("flds", X87, "\xd9\x03"),
    SAMPLE("fnstcw", X87, "\xd9\x3b"),
    SAMPLE("fnstenv", X87, "\xd9\x33"),
    SAMPLE("fninit", X87, "\xdb\xe3"),
    SAMPLE("fisttps", X87, "\xdf\x0b"),
    SAMPLE("wait", WAIT, "\x9b"),
    SAMPLE("paddb mm", MMX, "\x0f\xfc\x03"),
    SAMPLE("emms", MMX, "\x0f\x77"),
    SAMPLE("maskmovq", MMX, "\x0f\xf7\xc1"),
    SAMPLE("addps", SSE, "\x0f\x58\x03"),
    SAMPLE("movaps", SSE, "\x0f\x28\xc1"),
    SAMPLE("cvtpi2ps", SSE, "\x0f\x2a\x03"),
    SAMPLE("stmxcsr", SSE, "\x0f\xae\x1b"),
    SAMPLE("pshufb", SSE, "\x66\x0f\x38\x00\xc1"),
    SAMPLE("maskmovdqu", SSE, "\x66\x0f\xf7\xc1"),
    SAMPLE("vaddps", AVX, "\xc5\xfc\x58\x03"),
    SAMPLE("vzeroupper", AVX, "\xc5\xf8\x77"),
    SAMPLE("vmaskmovps", AVX, "\xc4\xe2\x7d\x2c\x03"),
    SAMPLE("vgatherdps", AVX, "\xc4\xe2\x6d\x92\x04\x0b"), // ymm0 by ymm1, mask ymm2
    SAMPLE("vpaddd", AVX, "\xc5\xfd\xfe\x03"),
    SAMPLE("fxsave", FXSAVE, "\x0f\xae\x03"),
    SAMPLE("xsave", XSAVE, "\x0f\xae\x23"),
    SAMPLE("xsaveopt", XSAVE, "\x0f\xae\x33"),
    SAMPLE("xgetbv", XGETBV, "\x0f\x01\xd0"),
#undef SAMPLE
};
#define SAMPLES (sizeof samples / sizeof samples[0])

// What the guest allows.
struct mode {
    bool ts, em, mp, osfxsr, osxsave;
    uint64_t xcr0;
};

// SDM vol. 3, table 2-2 and 13.1; vol. 2, 2.4 and each instruction's page.
static int expected(enum class class, const struct mode *m)
{
    switch (class) {
    case X87:
        return m->ts || m->em ? VEC_NM : -1;
    case WAIT:
        return m->ts && m->mp ? VEC_NM : -1;
    case MMX:
        return m->em ? VEC_UD : m->ts ? VEC_NM : -1;
    case SSE:
        return m->em || !m->osfxsr ? VEC_UD : m->ts ? VEC_NM : -1;
    case AVX:
        return !m->osxsave || (m->xcr0 & 6) != 6 ? VEC_UD : m->ts ? VEC_NM : -1;
    case FXSAVE:
        return m->ts || m->em ? VEC_NM : -1;
    case XSAVE:
        return !m->osxsave ? VEC_UD : m->ts ? VEC_NM : -1;
    default: // XGETBV
        return !m->osxsave ? VEC_UD : -1;
    }
}

static void set_mode(struct bt *bt, const struct mode *m)
{
    bt->cr0 &= ~(uint64_t)(CR0_TS | CR0_EM | CR0_MP);
    bt->cr0 |= (m->ts ? CR0_TS : 0) | (m->em ? CR0_EM : 0) | (m->mp ? CR0_MP : 0);
    bt->cr4 &= ~(uint64_t)(CR4_OSFXSR | CR4_OSXSAVE);
    bt->cr4 |= CR4_OSXMMEXCPT | (m->osfxsr ? CR4_OSFXSR : 0) | (m->osxsave ? CR4_OSXSAVE : 0);
    bt->xcr0 = m->xcr0;
    vectors_mode_changed(bt);
}

static struct mode mode_number(unsigned n)
{
    static const uint64_t xcr0[] = {1, 3, 7};
    return (struct mode){n & 1, n & 2, n & 4, n & 8, n & 16, xcr0[n / 32]};
}
enum { MODES = 96 };

static void begin(struct system *s, const struct test_case *t, const struct way *w)
{
    struct bt *bt = s->vcpu.engine_data;
    unsigned cpl = way_cpl(w);
    s->end = s->start[cpl == 3];
    memcpy(s->end.gpr, t->in.gpr, sizeof t->in.gpr);
    s->end.rflags = t->in.flags;
    bt_load(s, cpl, w);
    vectors_reset(bt);
}

static void add(struct test_case *t, const char *bytes, unsigned n)
{
    memcpy(t->bytes + t->length, bytes, n);
    t->length += n;
}

static struct test_case begin_case(void)
{
    struct test_case t = {.in.flags = FLAG_FIXED1};
    t.in.gpr[RBX] = t.in.gpr[RDI] = WINDOW;
    t.in.gpr[RSP] = WINDOW + 4096;
    return t;
}

// One after another in a world, so that what was translated for one mode is there when the next one comes.
static void check_sample(struct system *s, const struct sample *sample, enum world world)
{
    struct way way = {.world = world};
    struct test_case t = begin_case();
    struct outcome o;
    unsigned wrong = 0;
    add(&t, "\x90", 1); // in the same CCF
    add(&t, sample->bytes, sample->length);
    memset(s->ram.base + SYS_WINDOW, 0, PAGE);
    bt_prepare(s, &t, &way);
    for (unsigned i = 0; i < MODES; i++) {
        struct mode mode = mode_number(i * 37 % MODES);
        begin(s, &t, &way);
        set_mode(s->vcpu.engine_data, &mode);
        sys_run(s);
        sys_outcome(s, &t, &o);
        int want = expected(sample->class, &mode);
        bool right = o.vector == want && o.rip == INSN_AT + (want < 0 ? t.length : 1);
        if (!right && !wrong++)
            printf("# %s, %s: ts %d em %d mp %d osfxsr %d osxsave %d xcr0 %d: vector %d, not %d, at %#" PRIx64 "\n",
                   sample->name, world_names[world], mode.ts, mode.em, mode.mp, mode.osfxsr, mode.osxsave,
                   (int)mode.xcr0, o.vector, want, o.rip);
    }
    CHECK_EQ(wrong, 0);
}

// ---- Registers that stay ----

static const struct mode all = {.mp = true, .osfxsr = true, .osxsave = true, .xcr0 = 7};

static atomic_bool kicking;

static void *kick_often(void *vcpu)
{
    struct vcpu *v = vcpu;
    while (atomic_load(&kicking)) {
        nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
        v->engine->kick(v);
    }
    return NULL;
}

// `turns` times: ymm1 += ymm0, st(0) += st(1), and what is in the middle.
static void check_loop(struct system *s, enum world world, const char *middle, unsigned n, uint32_t turns, bool kicked)
{
    struct way way = {.world = world};
    struct test_case t = begin_case();
    struct outcome o;
    uint64_t low, high;
    pthread_t kicker;
    add(&t, "\xd9\xe8\xd9\xee", 4);         // fld1; fldz
    add(&t, "\xc5\xfd\x76\xc0", 4);         // vpcmpeqd %ymm0, %ymm0, %ymm0
    add(&t, "\xc5\xf5\xef\xc9", 4);         // vpxor %ymm1, %ymm1, %ymm1
    add(&t, "\xc5\xf5\xfa\xc8\xd8\xc1", 6); // 1: vpsubd %ymm0, %ymm1, %ymm1; fadd %st(1), %st
    add(&t, middle, n);
    add(&t, "\xff\xce\x75", 3); // dec %esi; jnz 1b
    add(&t, (char[]){(char)-(6 + (int)n + 4)}, 1);
    add(&t, "\xdd\x3b\xdd\x1b", 4); // fnstsw (%rbx); fstpl (%rbx)
    t.in.gpr[RSI] = turns;
    memset(s->ram.base + SYS_WINDOW, 0, PAGE);
    bt_prepare(s, &t, &way);
    begin(s, &t, &way);
    set_mode(s->vcpu.engine_data, &all);
    atomic_store(&kicking, kicked);
    if (kicked)
        pthread_create(&kicker, NULL, kick_often, &s->vcpu);
    sys_run(s);
    atomic_store(&kicking, false);
    if (kicked)
        pthread_join(kicker, NULL);
    sys_outcome(s, &t, &o);
    CHECK_EQ(o.vector, -1);
    memcpy(&low, s->end.xsave + XSAVE_XMM + 16, 8);
    memcpy(&high, s->end.xsave + XSAVE_YMM + 24, 8);
    CHECK_EQ(low, (uint64_t)turns << 32 | turns);
    CHECK_EQ(high, (uint64_t)turns << 32 | turns);
    double sum;
    memcpy(&sum, s->ram.base + SYS_WINDOW, sizeof sum);
    CHECK(sum == (double)turns);
}

// A loop polls by an instruction that names ymm7, in one form or another as AVX instructions are live in it (`middle`)
// or not: both halves, all other registers and the flags outlast that, and the kicks.
static void check_poll(struct system *s, enum world world, const char *middle, unsigned n)
{
    struct way way = {.world = world};
    struct test_case t = begin_case();
    struct outcome o;
    uint64_t start[16][4];
    pthread_t kicker;
    add(&t, "\xf9", 1); // stc; 1:
    add(&t, middle, n);
    add(&t, "\x8d\x76\xff\x89\xf1\xe3\x02\xeb", 8); // lea -1(%rsi), %esi; mov %esi, %ecx; jrcxz 2f; jmp 1b
    add(&t, (char[]){(char)-((int)n + 9)}, 1);
    add(&t, "\x9f", 1); // 2: lahf
    t.in.gpr[RSI] = 10000000;
    bt_prepare(s, &t, &way);
    begin(s, &t, &way);
    struct bt *bt = s->vcpu.engine_data;
    set_mode(bt, &all);
    for (unsigned i = 0; i < 64; i++)
        start[i / 4][i % 4] = (i + 1) * 0x9e3779b97f4a7c15;
    for (unsigned i = 0; i < 16; i++) {
        memcpy(bt->xsave + XSAVE_XMM + 16 * i, start[i], 16);
        memcpy(bt->xsave + XSAVE_YMM + 16 * i, start[i] + 2, 16);
    }
    bt->xsave[XSAVE_HEADER] = XSTATE_ALL;
    atomic_store(&kicking, true);
    pthread_create(&kicker, NULL, kick_often, &s->vcpu);
    sys_run(s);
    atomic_store(&kicking, false);
    pthread_join(kicker, NULL);
    sys_outcome(s, &t, &o);
    CHECK_EQ(o.vector, -1);
    CHECK_EQ(s->end.gpr[RAX] >> 8 & 0xd5, 1); // CF alone
    for (unsigned i = 0; i < 16; i++) {
        CHECK(!memcmp(s->end.xsave + XSAVE_XMM + 16 * i, start[i], 16));
        CHECK(!memcmp(s->end.xsave + XSAVE_YMM + 16 * i, start[i] + 2, 16));
    }
}

static void check_loops(struct system *s, enum world world)
{
    check_poll(s, world, "", 0);
    check_poll(s, world, "\x0f\x28\xc0", 3);     // movaps %xmm0, %xmm0
    check_poll(s, world, "\xc5\xfc\x28\xc0", 4); // vmovaps %ymm0, %ymm0
    check_loop(s, world, "", 0, 1000, false);
    check_loop(s, world, "\x0f\xa2\x31\xdb\xbb\x00\x00\x01\x10", 9, 1000,
               false);                                          // cpuid; xor %ebx, %ebx; mov $WINDOW, %ebx
    check_loop(s, world, "\x89\x33\x8b\x03", 4, 100000, false); // mov %esi, (%rbx); mov (%rbx), %eax
    check_loop(s, world, "\xff\xc0\x90", 3, 30000000, true);
}

// Unmasked, an exception is #XM where OSXMMEXCPT is set, else #UD (SDM vol. 3, 2.5): divps of 0 by 0.
static void check_xmm_exceptions(struct system *s, enum world world)
{
    struct way way = {.world = world};
    struct test_case t = begin_case();
    struct outcome o;
    struct bt *bt = s->vcpu.engine_data;
    const uint32_t mxcsr = 0;
    add(&t, "\x0f\xae\x13\x0f\x57\xc0\x0f\x57\xc9\x0f\x5e\xc1", 12); // ldmxcsr (%rbx); xorps; xorps; divps %xmm1, %xmm0
    memcpy(s->ram.base + SYS_WINDOW, &mxcsr, 4);
    bt_prepare(s, &t, &way);
    for (unsigned i = 0; i < 2; i++) {
        begin(s, &t, &way);
        set_mode(bt, &all);
        bt->cr4 &= i ? ~(uint64_t)CR4_OSXMMEXCPT : ~0ull;
        sys_run(s);
        sys_outcome(s, &t, &o);
        CHECK_EQ(o.vector, i ? VEC_UD : VEC_XM);
        CHECK_EQ(o.rip, INSN_AT + 9);
    }
}

// Reserved bits are #GP, also where the host's CPU has one of them (AMD's misaligned exception mask): then C code loads
// it.
static void check_mxcsr(struct system *s, enum world world)
{
    static const uint32_t values[] = {0x3f80, 0x21f80, 0x11f80, 0xffff};
    struct way way = {.world = world};
    struct test_case t = begin_case();
    struct outcome o;
    struct bt *bt = s->vcpu.engine_data;
    add(&t, "\x0f\x57\xc0\x0f\xae\x13\x0f\xae\x5b\x08", 10); // xorps; ldmxcsr (%rbx); stmxcsr 8(%rbx)
    for (unsigned i = 0; i < 8; i++) {
        uint32_t value = values[i / 2], stored = 0;
        memcpy(s->ram.base + SYS_WINDOW, &value, 4);
        memcpy(s->ram.base + SYS_WINDOW + 8, &stored, 4);
        bt_prepare(s, &t, &way);
        begin(s, &t, &way);
        set_mode(bt, &all);
        tc_flush(bt);
        bt->more_mxcsr |= i % 2;
        sys_run(s);
        sys_outcome(s, &t, &o);
        memcpy(&stored, s->ram.base + SYS_WINDOW + 8, 4);
        CHECK_EQ(o.vector, value >> 16 ? VEC_GP : -1);
        CHECK_EQ(o.rip, INSN_AT + (value >> 16 ? 3u : t.length));
        CHECK_EQ(stored, value >> 16 ? 0 : value);
    }
}

// A mask of zeros: nothing is written, and yet the pages of both halves are dirty, and must be writable (both engines
// alike; SDM vol. 2, MASKMOVDQU leaves it to the implementation).
static uint64_t *window_entry(struct system *s, unsigned page)
{
    return (uint64_t *)(void *)(s->ram.base + SYS_PT) + (WINDOW >> 12 & 511) + page;
}

static void check_mask_of_zeros(struct system *s, struct system *interp, enum world world)
{
    struct way way = {.world = world};
    struct test_case t = begin_case();
    struct outcome o[2];
    struct system *sides[2] = {s, interp};
    t.vector = true;
    t.fpu = (struct fpu){.fcw = FCW_DEFAULT, .mxcsr = MXCSR_DEFAULT};
    add(&t, "\x66\x0f\xf7\xc1", 4); // maskmovdqu %xmm1, %xmm0
    for (unsigned page = 0; page < 2; page++) {
        t.in.gpr[RDI] = WINDOW + (page + 1) * PAGE - 8;
        bt_set_window(s, &way);
        for (unsigned side = 0; side < 2; side++)
            *window_entry(sides[side], 0) &= ~(uint64_t)PTE_D, *window_entry(sides[side], 1) &= ~(uint64_t)PTE_D;
        flush_all(s->vcpu.engine_data);
        bt_prepare(s, &t, &way);
        begin(s, &t, &way);
        set_mode(s->vcpu.engine_data, &all);
        sys_run(s);
        sys_outcome(s, &t, &o[0]);
        interp_run_case(interp, &t, &way, &o[1]);
        for (unsigned side = 0; side < 2; side++) {
            CHECK_EQ(o[side].vector, page == 0 ? -1 : VEC_PF);
            CHECK_EQ(o[side].cr2, page == 0 ? 0 : WINDOW + WINDOW_RW);
            CHECK(page == 1 || *window_entry(sides[side], 0) & PTE_D);
            CHECK(page == 1 || *window_entry(sides[side], 1) & PTE_D);
        }
    }
}

int main(int argc, char **argv)
{
    (void)argc;
    region_fix_layout(argv);
    static struct system s, interp;
    static const uint8_t page[PAGE];
    struct cpuid_leaf leaves[HOST_FEATURES_LEAVES];
    struct engine_info info;
    engine_bt.probe(&info);
    if (!info.available) {
        SKIP(info.reason);
        return 0;
    }
    if (!CHECK(sys_start(&s, &engine_bt, page, XSTATE_X87, NULL)) ||
        !CHECK(sys_start(&interp, &engine_interp, page, XSTATE_X87 | XSTATE_SSE, NULL)))
        return check_done("bt_vector_mode");
    s.vcpu.cpuid = host_features(leaves);
    for (enum world world = WORLD_FAST; world < WORLDS; world++) {
        for (unsigned i = 0; i < SAMPLES; i++)
            check_sample(&s, &samples[i], world);
        check_loops(&s, world);
        check_xmm_exceptions(&s, world);
        check_mxcsr(&s, world);
        check_mask_of_zeros(&s, &interp, world);
    }
    sys_stop(&interp);
    sys_stop(&s);
    return check_done("bt_vector_mode");
}

// SPDX-License-Identifier: BSD-2-Clause
// The interpreter's x87 instructions against the host's CPU: every encoding from d8 to df, listed in a manual or not,
// valid or not, on random and boundary values in every state of the unit (empty registers, any control word, exceptions
// pending or about to be). Registers, tags, control and status word, rflags, memory and faults must agree, and on
// Intel's processors even the condition codes that the manual leaves undefined, which the rows of
// tests/cpu/rows_x87.def cannot ask for. The instruction and data pointers are left out, which processors keep
// differently.
//
// interp_x87 [SEED [COUNT [FIRST]]]: cases FIRST to FIRST + COUNT of SEED, as with interp_cpu.
#include <stdlib.h>

#include "tests/cpu/compare.h"
#include "tests/cpu/native.h"
#include "tests/cpu/subject_interp.h"
#include "tests/unit/check.h"
#include "tests/unit/range.h"

enum { DEFAULT_COUNT = 400000, SHOWN = 20 };

static const struct sides sides = {"host", "interp"};

// ---- Values ----

struct fxsave {
    uint16_t cw, sw;
    uint8_t tags, zero;
    uint16_t fop;
    uint64_t fip, fdp;
    uint32_t mxcsr, mxcsr_mask;
    struct {
        uint64_t mantissa;
        uint16_t exponent, unused[3];
    } st[8];
    uint8_t xmm[16][16], rest[96];
} __attribute__((aligned(16)));
_Static_assert(sizeof(struct fxsave) == 512, "SDM vol. 1, 10.5.1");

static uint64_t pick(uint64_t *rng, const uint64_t *from, unsigned n)
{
    return from[rng_below(rng, n)];
}
#define PICK(rng, ...) pick(rng, (const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / 8)

// Some ones at one end, or anything: results that are exact, and halfway cases.
static uint64_t mantissa(uint64_t *rng)
{
    uint64_t bits = rng_next(rng);
    switch (rng_below(rng, 6)) {
    case 0:
        return bits & (UINT64_MAX << rng_below(rng, 64));
    case 1:
        return UINT64_MAX << rng_below(rng, 64);
    case 2:
        return UINT64_MAX >> rng_below(rng, 64);
    case 3:
        return PICK(rng, 0x8000000000000000, 0xc000000000000000, 0x8000000000000001, 0x4000000000000000, 1, 0,
                    0xffffff0000000000, 0xfffffffffffff800, 0x8000008000000000, 0x8000000000000400);
    default:
        return bits;
    }
}

// All kinds of exponents: small and large values, the limits of every format, and with a mantissa's top bit clear the
// encodings that no instruction makes (SDM vol. 1, 8.2.2).
static uint16_t exponent(uint64_t *rng)
{
    uint16_t sign = one_in(rng, 2) ? 0x8000 : 0;
    switch (rng_below(rng, 8)) {
    case 0:
        return (uint16_t)(sign | PICK(rng, 0, 0, 1, 2, 0x7ffe, 0x7fff, 0x7fff, 0x3fff));
    case 1: // about the limits of float, double, and integers
        return (uint16_t)(sign | (PICK(rng, 0x3fff - 127, 0x3fff + 127, 0x3fff - 1023, 0x3fff + 1023, 0x3fff + 63,
                                       0x3fff + 31, 0x3fff + 15) +
                                  rng_below(rng, 5) - 2));
    case 2:
        return (uint16_t)(sign | rng_below(rng, 0x8000));
    default:
        return (uint16_t)(sign | (0x3fff - 70 + rng_below(rng, 140)));
    }
}

static void random_real(uint64_t *rng, uint64_t *m, uint16_t *e)
{
    *e = exponent(rng);
    *m = mantissa(rng);
    if ((*e & 0x7fff) && !one_in(rng, 8))
        *m |= 1ull << 63;
    if (one_in(rng, 16))
        *m = 0, *e &= 0x8000;
}

static uint16_t random_cw(uint64_t *rng)
{
    switch (rng_below(rng, 6)) {
    case 0:
        return (uint16_t)(rng_next(rng) & 0x1f3f) | 0x40; // some unmasked, any precision and rounding
    case 1:
    case 2:
        return (uint16_t)(rng_next(rng) & 0xf00) | 0x7f;
    case 3:
        return (uint16_t)(0x37f & ~(1u << rng_below(rng, 6)));
    default:
        return 0x37f;
    }
}

// ES is worked out by fxrstor. Seldom pending: then hardly anything else happens.
static void random_state(uint64_t *rng, struct fxsave *f)
{
    memset(f, 0, sizeof *f);
    f->cw = random_cw(rng);
    f->sw = (uint16_t)(rng_next(rng) & (one_in(rng, 3) ? 0x7f7f : 0x7f00));
    if (!one_in(rng, 10))
        f->sw &= (uint16_t)(0xff40 | f->cw);
    unsigned top = f->sw >> 11 & 7, depth = (unsigned)rng_below(rng, 9);
    for (unsigned i = 0; i < depth; i++)
        f->tags |= (uint8_t)(1u << ((top + i) & 7));
    if (one_in(rng, 8))
        f->tags = (uint8_t)rng_next(rng);
    f->mxcsr = 0x1f80;
    for (unsigned i = 0; i < 8; i++)
        random_real(rng, &f->st[i].mantissa, &f->st[i].exponent);
}

// A memory operand of whatever size: reals of three formats, integers, packed decimal, or an environment.
static void random_operand(uint64_t *rng, uint8_t *bytes)
{
    uint64_t m, low;
    uint16_t e;
    random_real(rng, &m, &e);
    memcpy(bytes, &m, 8);
    memcpy(bytes + 8, &e, 2);
    memset(bytes + 10, 0, 6);
    switch (rng_below(rng, 5)) {
    case 0: // m32 and m64: exponents that mean something, and those that do not
        low = rng_next(rng) & PICK(rng, UINT64_MAX, 0xfff0000000000000, 0xfff0000000000001, 0xfff8000000000000);
        low = (low & 0x800fffffffffffff) | PICK(rng, 0, 1, 0x3ff, 0x3fe, 0x400, 0x7fe, 0x7ff, 0x380, 0x47f) << 52;
        memcpy(bytes, &low, 8);
        break;
    case 1:
        low = rng_next(rng) & PICK(rng, 0xffffffff, 0xff800000, 0xffc00000, 0xff800001);
        low = (low & 0x807fffff) | PICK(rng, 0, 1, 0x7f, 0x7e, 0x80, 0xfe, 0xff) << 23;
        memcpy(bytes, &low, 4);
        break;
    case 2:
        low = (uint64_t)((int64_t)rng_next(rng) >> rng_below(rng, 64));
        memcpy(bytes, &low, 8);
        break;
    case 3:
        for (unsigned i = 0; i < 9; i++)
            bytes[i] = (uint8_t)(rng_below(rng, 10) << 4 | rng_below(rng, one_in(rng, 20) ? 16 : 10));
        bytes[9] = one_in(rng, 2) ? 0x80 : 0;
        break;
    default:
        break;
    }
}

// ---- Cases ----

struct x87_case {
    struct test_case t;
    struct fxsave in;
    bool memory;
    uint64_t at; // of the memory operand
};

// Mostly within the window; at times across its edges, or wherever.
static uint64_t random_address(uint64_t *rng)
{
    if (one_in(rng, 16))
        return WINDOW + PICK(rng, PAGE, WINDOW_RW, WINDOW_BYTES, 0) + rng_below(rng, 16) - 8;
    if (one_in(rng, 64))
        return rng_next(rng);
    return WINDOW + 8 * rng_below(rng, 900) + (one_in(rng, 4) ? rng_below(rng, 8) : 0);
}

static void put(struct test_case *t, uint8_t byte)
{
    t->bytes[t->length++] = byte;
}

// modrm with a register or with memory at x->at, by rdi alone or with a displacement.
static void put_modrm(uint64_t *rng, struct x87_case *x)
{
    uint8_t digit = (uint8_t)rng_below(rng, 8), rm = (uint8_t)rng_below(rng, 8);
    uint64_t displacement = 0;
    unsigned mod = x->memory ? (unsigned)rng_below(rng, 3) : 3, bytes = mod == 2 ? 4 : mod == 1;
    put(&x->t, (uint8_t)(mod << 6 | digit << 3 | (x->memory ? RDI : rm)));
    for (unsigned i = 0; i < bytes; i++) {
        put(&x->t, (uint8_t)rng_next(rng));
        displacement |= (uint64_t)x->t.bytes[x->t.length - 1] << 8 * i;
    }
    if (bytes && displacement >> (8 * bytes - 1))
        displacement -= 1ull << 8 * bytes;
    x->t.in.gpr[RDI] = x->at - displacement;
}

static void make_x87(uint64_t *rng, struct x87_case *x)
{
    if (one_in(rng, 100)) { // wait
        x->memory = false;
        put(&x->t, 0x9b);
        return;
    }
    if (one_in(rng, 16))
        put(&x->t, 0x66);
    if (one_in(rng, 16))
        put(&x->t, (uint8_t)PICK(rng, 0xf2, 0xf3, 0x3e)); // which mean nothing here
    if (one_in(rng, 16))
        put(&x->t, 0x40 | (uint8_t)(rng_below(rng, 8) << 1)); // W, R and X; W undoes 66
    put(&x->t, (uint8_t)(0xd8 + rng_below(rng, 8)));
    put_modrm(rng, x);
}

static void make_case(uint64_t seed, uint64_t number, struct x87_case *x)
{
    struct test_case *t = &x->t;
    uint64_t mixed = seed, rng;
    mixed = rng_next(&mixed) + number;
    rng = rng_next(&mixed);
    memset(x, 0, sizeof *x);
    t->insns = 1;
    t->way = one_in(&rng, 16) ? WAY_COLD : 0;
    for (unsigned i = 0; i < 16; i++)
        t->in.gpr[i] = rng_next(&rng);
    x->at = t->in.gpr[RDI] = random_address(&rng);
    t->in.flags = (rng_next(&rng) & FLAGS_ARITH) | FLAG_FIXED1 | FLAG_IF | (one_in(&rng, 32) ? FLAG_AC : 0);
    random_state(&rng, &x->in);
    x->memory = one_in(&rng, 2);
    t->name = "x87";
    make_x87(&rng, x);
    if (x->at >= WINDOW && x->at + 16 <= WINDOW + WINDOW_RW) {
        t->patches = 1;
        t->patch[0].at = x->at;
        random_operand(&rng, t->patch[0].bytes);
    }
}

// ---- Running and comparing ----

static void run_native(const struct x87_case *x, struct outcome *out, struct fxsave *after)
{
    __asm__ volatile("fxrstor64 %0" : : "m"(x->in));
    native_run(&x->t, out);
    __asm__ volatile("fxsave64 %0\n"
                     "fninit"
                     : "=m"(*after));
}

static void run_subject(struct subject_guest *s, const struct x87_case *x, struct outcome *out, struct fxsave *after)
{
    struct cpu *c = s->vcpu.engine_data;
    x87_from_image(&c->x87, (const uint8_t *)&x->in, true);
    subject_run(s, &x->t, out);
    memset(after, 0, sizeof *after);
    x87_to_image(&c->x87, (uint8_t *)after, true);
}

static const uint8_t *opcode_of(const struct x87_case *x) // behind prefixes
{
    const uint8_t *b = x->t.bytes;
    b += *b == 0x66;
    b += *b >> 1 == 0xf2 >> 1 || *b == 0x3e;
    return b + (*b >> 4 == 4);
}

// The condition codes that the manual defines behind an instruction (SDM vol. 2, "FPU Flags Affected"). Intel's
// processors leave the others as they are, and so does the interpreter; what other vendors' do is not compared.
static uint16_t defined_conditions(const struct x87_case *x)
{
    const uint8_t *b = opcode_of(x);
    unsigned digit = b[1] >> 3 & 7, low = b[1] & 0x1f;
    bool reg = b[1] >= 0xc0;
    if (b[0] == 0x9b || __builtin_cpu_is("intel"))
        return X87_CONDITIONS;
    if (!(b[0] & 1) && (digit == 2 || digit == 3) && !(reg && (b[0] == 0xda || b[0] == 0xde))) // fcom, ficom
        return X87_CONDITIONS;
    if (reg && ((b[0] == 0xdd && digit >= 4) || (b[0] == 0xda && digit == 5) || (b[0] == 0xde && digit == 3)))
        return X87_CONDITIONS; // fucom, fucompp, fcompp
    if (!reg && ((b[0] == 0xd9 && digit >= 4) || (b[0] == 0xdd && digit >= 4)))
        return X87_CONDITIONS; // environment and state
    if (b[0] == 0xd9 && b[1] >= 0xe0) {
        const uint32_t all = 1u << 0x04 | 1u << 0x05 | 1u << 0x15 | 1u << 0x18;   // ftst, fxam, fprem1, fprem
        const uint32_t range = 1u << 0x12 | 1u << 0x1b | 1u << 0x1e | 1u << 0x1f; // fptan, fsincos, fsin, fcos
        return all >> low & 1 ? X87_CONDITIONS : range >> low & 1 ? X87_C1 | X87_C2 : X87_C1;
    }
    return X87_C1;
}

static bool same_x87(const struct x87_case *x, const struct fxsave *a, const struct fxsave *b)
{
    uint16_t undefined = X87_CONDITIONS & (uint16_t)~defined_conditions(x);
    bool same = a->cw == b->cw && !((a->sw ^ b->sw) & ~undefined) && a->tags == b->tags;
    for (unsigned i = 0; i < 8; i++)
        same = same && a->st[i].mantissa == b->st[i].mantissa && a->st[i].exponent == b->st[i].exponent;
    return same;
}

static void say_x87(const struct fxsave *in, const struct fxsave *a, const struct fxsave *b)
{
    say_u64(&sides, "cw", a->cw, b->cw);
    say_u64(&sides, "sw", a->sw, b->sw);
    say_u64(&sides, "tags", a->tags, b->tags);
    for (unsigned i = 0; i < 8; i++) {
        if (a->st[i].mantissa != b->st[i].mantissa || a->st[i].exponent != b->st[i].exponent)
            printf(" st%u: host %04x:%016" PRIx64 " interp %04x:%016" PRIx64 ";", i, a->st[i].exponent,
                   a->st[i].mantissa, b->st[i].exponent, b->st[i].mantissa);
    }
    printf(" | cw=%04x sw=%04x tags=%02x", in->cw, in->sw, in->tags);
    for (unsigned i = 0; i < 8; i++)
        printf(" st%u=%04x:%016" PRIx64, i, in->st[i].exponent, in->st[i].mantissa);
}

// fnstenv and fnsave store the pointers that are not compared: both sides' are overwritten.
static void hide_pointers(const struct x87_case *x, uint8_t *window)
{
    const uint8_t *b = opcode_of(x);
    bool words = x->t.bytes[0] == 0x66 && !(b[-1] >> 3 == 0x48 >> 3), env = b[0] == 0xd9 && (b[1] >> 3 & 7) == 6,
         save = b[0] == 0xdd && (b[1] >> 3 & 7) == 6;
    unsigned from = words ? 6 : 12, to = words ? 14 : 28;
    if (x->memory && (env || save) && x->at >= WINDOW && x->at + to <= WINDOW + WINDOW_RW)
        memset(window + (x->at - WINDOW) + from, 0, to - from);
}

// An operand of more than eight bytes that crosses into a page that is not to be had: processors touch its parts in an
// order of their own, so cr2 is anywhere in that page, and what lies before it may be written. The interpreter writes
// nothing.
static void forgive_crossing(const struct x87_case *x, struct outcome *host, struct outcome *interp,
                             uint8_t *host_window, const uint8_t *interp_window)
{
    if (!x->memory || host->vector != VEC_PF || interp->vector != VEC_PF || x->at / PAGE == interp->cr2 / PAGE)
        return;
    if (host->cr2 / PAGE == interp->cr2 / PAGE)
        host->cr2 = interp->cr2;
    if (x->at >= WINDOW && x->at < WINDOW + WINDOW_RW)
        memcpy(host_window + (x->at - WINDOW), interp_window + (x->at - WINDOW), PAGE - x->at % PAGE);
}

struct totals {
    uint64_t cases, faults, pending, skipped, failed;
    struct variation_counts variations;
};

static void run_case(struct subject_guest *s, const uint8_t *pattern, uint64_t seed, uint64_t number,
                     struct totals *totals)
{
    struct x87_case x;
    struct outcome host, interp;
    struct fxsave host_x87, interp_x87;
    uint8_t *host_window = (uint8_t *)(uintptr_t)WINDOW, *interp_window = s->ram.base + WINDOW_GPA;
    totals->cases++;
    make_case(seed, number, &x);
    fill_memory(host_window, pattern, &x.t);
    fill_memory(interp_window, pattern, &x.t);
    run_subject(s, &x, &interp, &interp_x87);
    if (may_be_ours(&interp)) {
        totals->skipped++;
        return;
    }
    run_native(&x, &host, &host_x87);
    hide_pointers(&x, host_window);
    hide_pointers(&x, interp_window);
    forgive_crossing(&x, &host, &interp, host_window, interp_window);
    bool same_memory = memcmp(host_window, interp_window, WINDOW_RW) == 0;
    totals->faults += host.vector >= 0;
    totals->pending += host.vector < 0 && (host_x87.sw & X87_ES);
    if (same_outcome(&x.t, &host, &interp, &totals->variations) && same_x87(&x, &host_x87, &interp_x87) && same_memory)
        return;
    if (totals->failed++ < SHOWN) {
        printf("# seed %" PRIu64 " case %" PRIu64 ":", seed, number);
        say_difference(&sides, &x.t, &host, &interp);
        if (!same_memory)
            say_memory(&sides, host_window, interp_window);
        say_x87(&x.in, &host_x87, &interp_x87);
        say_inputs(&x.t);
        printf("\n");
    }
}

int main(int argc, char **argv)
{
    const struct range range = range_from(argc, argv, DEFAULT_COUNT);
    static struct subject_guest subject;
    static uint8_t pattern[WINDOW_BYTES];
    struct totals totals = {0};
    make_pattern(pattern, sizeof pattern);
    if (!native_start(pattern + WINDOW_RW)) {
        SKIP("the addresses that the test needs are taken");
        return 0;
    }
    if (!CHECK(subject_start(&subject, pattern + WINDOW_RW, FPU_X87)))
        return check_done("interp_x87");
    for (uint64_t i = 0; i < range.count; i++)
        run_case(&subject, pattern, range.seed, range.first + i, &totals);
    printf("# %" PRIu64 " cases, %" PRIu64 " of them faults, %" PRIu64 " left pending, %" PRIu64 " left out, %" PRIu64
           " differ\n",
           totals.cases, totals.faults, totals.pending, totals.skipped, totals.failed);
    CHECK(totals.cases == range.count);
    CHECK(totals.failed == 0);
    CHECK(totals.skipped <= totals.cases / 100);
    CHECK(range.count < 1000 || (totals.faults > 0 && totals.pending > 0));
    subject_stop(&subject);
    return check_done("interp_x87");
}

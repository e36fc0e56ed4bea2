// SPDX-License-Identifier: BSD-2-Clause
// Makes a case that differs as small as it can be made by simple steps, each kept where the case still differs: ways,
// instructions, prefixes, bytes of instructions, registers and memory are taken away or become 0.
#include "tests/cpu/tester.h"

struct small {
    struct tester *t;
    struct test_case *c;
    struct verdict first; // what is to stay
};

static unsigned insn_end(const struct test_case *c, unsigned i)
{
    return i + 1 < c->insns ? c->start[i + 1] : c->length;
}

// Instructions that have changed are still whole ones, and, where none was taken away, the same ones.
static bool whole(const struct test_case *c, const struct test_case *was)
{
    for (unsigned i = 0; i < c->insns; i++) {
        unsigned at = c->start[i], n = insn_end(c, i) - at, then = was->start[i];
        if (c->insns != was->insns)
            continue;
        if (n == insn_end(was, i) - then && memcmp(c->bytes + at, was->bytes + then, n) == 0)
            continue;
        struct insn_kind now = insn_kind(c->bytes + at, n),
                         before = insn_kind(was->bytes + then, insn_end(was, i) - then);
        if (c->bytes[at] != 0x90 && (now.length != n || now.id != before.id))
            return false;
    }
    return true;
}

// The same kind of difference: the same exceptions, and of the first one's other parts at least one.
static bool still(const struct small *s, const struct verdict *v)
{
    const struct difference *a = &s->first.difference, *b = &v->difference;
    if (v->kind != DIFFERENT || v->by != s->first.by)
        return false;
    if (v->judge.vector != s->first.judge.vector || v->subject.vector != s->first.subject.vector)
        return false;
    return (a->fault && b->fault) || (a->gpr && b->gpr) || (a->flags & b->flags) || (a->memory && b->memory) ||
           (a->rip && b->rip) || (a->ymm && b->ymm) || (a->st && b->st) || (a->mxcsr & b->mxcsr) || (a->fsw & b->fsw) ||
           (a->ftw && b->ftw) || (a->fcw && b->fcw) || !any_difference(a);
}

// Keeps the change that has been made to the case, or takes it back.
static bool keep(struct small *s, const struct test_case *was)
{
    if (whole(s->c, was)) {
        struct verdict v = tester_try(s->t, s->c, false);
        if (still(s, &v))
            return true;
    }
    *s->c = *was;
    return false;
}

// Takes n bytes at `at` away; an instruction that has none left is gone.
static void cut(struct test_case *c, unsigned at, unsigned n)
{
    memmove(c->bytes + at, c->bytes + at + n, c->length - at - n);
    c->length -= n;
    unsigned insns = 0;
    for (unsigned i = 0; i < c->insns; i++) {
        unsigned start = c->start[i] <= at ? c->start[i] : c->start[i] - n;
        unsigned next = i + 1 == c->insns ? c->length : c->start[i + 1] <= at ? c->start[i + 1] : c->start[i + 1] - n;
        if (start != next)
            c->start[insns++] = (uint8_t)start;
    }
    c->insns = insns;
}

// Some way to run it may not be needed.
static void drop_ways(struct small *s)
{
    struct test_case *c = s->c;
    for (uint32_t bit = 1; bit <= WAY_RETURNS; bit <<= 1) {
        struct test_case was = *c;
        c->way &= ~bit;
        if (c->way != was.way)
            keep(s, &was);
    }
}

// Away altogether, or else nops of the same length, as a branch may lead over them.
static void drop_insns(struct small *s)
{
    struct test_case *c = s->c;
    for (unsigned i = c->insns; i-- > 0 && c->insns > 1;) {
        struct test_case was = *c;
        unsigned start = c->start[i], n = insn_end(c, i) - start;
        cut(c, start, n);
        if (keep(s, &was))
            continue;
        memset(c->bytes + start, 0x90, n);
        if (memcmp(c->bytes, was.bytes, c->length) != 0)
            keep(s, &was);
    }
}

static bool is_prefix(uint8_t b)
{
    return b == 0x66 || b == 0x67 || b >> 1 == 0xf2 >> 1 || b == 0xf0 || b == 0x65 || b >> 4 == 4 || (b & 0xe7) == 0x26;
}

static void drop_prefixes(struct small *s)
{
    struct test_case *c = s->c;
    for (unsigned i = 0; i < c->insns; i++) {
        for (unsigned at = c->start[i]; at + 1 < insn_end(c, i) && is_prefix(c->bytes[at]);) {
            struct test_case was = *c;
            cut(c, at, 1);
            if (!keep(s, &was))
                at++;
        }
    }
}

// Displacements and immediates: whatever byte from an instruction's third on may be 0.
static void zero_bytes(struct small *s)
{
    struct test_case *c = s->c;
    for (unsigned i = 0; i < c->insns; i++) {
        for (unsigned at = c->start[i] + 2; at < insn_end(c, i); at++) {
            struct test_case was = *c;
            c->bytes[at] = 0;
            if (was.bytes[at])
                keep(s, &was);
        }
    }
}

static void zero(struct small *s, void *field, const void *value, unsigned n)
{
    struct test_case was = *s->c;
    if (memcmp(field, value, n) == 0)
        return;
    memcpy(field, value, n);
    keep(s, &was);
}

static void zero_inputs(struct small *s)
{
    struct test_case *c = s->c;
    static const uint8_t none[32];
    static const uint32_t mxcsr = MXCSR_DEFAULT;
    static const uint16_t fcw = FCW_DEFAULT;
    static const uint64_t flags = FLAG_FIXED1 | FLAG_IF;
    zero(s, &c->in.flags, &flags, sizeof flags);
    for (unsigned i = 0; i < 16; i++)
        zero(s, &c->in.gpr[i], none, 8);
    for (unsigned i = c->patches; i-- > 0;) {
        struct test_case was = *c;
        c->patch[i] = c->patch[--c->patches];
        if (!keep(s, &was))
            zero(s, c->patch[i].bytes, none, 16);
    }
    if (!c->vector)
        return;
    struct test_case was = *c;
    c->vector = false;
    if (!case_of_vectors(c) && keep(s, &was))
        return;
    *c = was;
    zero(s, &c->fpu.mxcsr, &mxcsr, sizeof mxcsr);
    zero(s, &c->fpu.fcw, &fcw, sizeof fcw);
    zero(s, &c->fpu.fsw, none, sizeof c->fpu.fsw);
    zero(s, &c->fpu.ftw, none, sizeof c->fpu.ftw);
    for (unsigned i = 0; i < 8; i++)
        zero(s, c->fpu.st[i], none, 10);
    for (unsigned i = 0; i < 16; i++)
        zero(s, c->fpu.ymm[i], none, 32);
}

void minimise(struct tester *t, struct test_case *c)
{
    struct small small = {t, c, tester_try(t, c, false)}, *s = &small;
    if (s->first.kind != DIFFERENT) // only together with what ran before it
        return;
    drop_ways(s);
    for (unsigned round = 0; round < 2; round++) {
        drop_insns(s);
        drop_prefixes(s);
        zero_bytes(s);
        zero_inputs(s);
    }
}

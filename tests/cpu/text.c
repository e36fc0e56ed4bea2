// SPDX-License-Identifier: BSD-2-Clause
// A case as one line, which is all that is needed to run it again: words NAME=VALUE, and what is 0 is left out.
//   cmps bytes=f3a6 flags=2 rcx=8 rsi=10010000 [10010008]=00112233445566778899aabbccddeeff
// bytes: instructions are parted by commas. way: enum way. st0..7, ymm0..15: bytes in memory order. nf, nc: flags and
// x87 condition codes that are not compared; unseen=ADDRESS+BYTES: memory that is not.
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/cpu/tester.h"
#include "x86/decode.h"

static const char *const reg_names[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                          "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};

struct text {
    char *out;
    unsigned used;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *x, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(x->out + x->used, CASE_TEXT - x->used, format, args);
    va_end(args);
    if (n > 0)
        x->used += (unsigned)n < CASE_TEXT - x->used ? (unsigned)n : CASE_TEXT - x->used - 1;
}

static bool all_zero(const uint8_t *b, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (b[i])
            return false;
    return true;
}

static void add_hex(struct text *x, const uint8_t *b, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        add(x, "%02x", b[i]);
}

static unsigned insn_end(const struct test_case *c, unsigned i)
{
    return i + 1 < c->insns ? c->start[i + 1] : c->length;
}

// ---- A case ----

static void add_fpu(struct text *x, const struct fpu *f)
{
    add(x, " mxcsr=%x fcw=%x", f->mxcsr, f->fcw);
    if (f->fsw)
        add(x, " fsw=%x", f->fsw);
    if (f->ftw)
        add(x, " ftw=%x", f->ftw);
    for (unsigned i = 0; i < 8; i++) {
        if (all_zero(f->st[i], 10))
            continue;
        add(x, " st%u=", i);
        add_hex(x, f->st[i], 10);
    }
    for (unsigned i = 0; i < 16; i++) {
        if (all_zero(f->ymm[i], 32))
            continue;
        add(x, " ymm%u=", i);
        add_hex(x, f->ymm[i], 32);
    }
}

static void add_word(struct text *x, const char *name, uint64_t value)
{
    if (value)
        add(x, " %s=%" PRIx64, name, value);
}

void case_print(const struct test_case *c, char out[CASE_TEXT])
{
    struct text x = {out, 0};
    for (const char *n = c->name; *n; n++)
        add(&x, "%c", *n == ' ' ? '-' : *n);
    add(&x, " bytes=");
    for (unsigned i = 0; i < c->insns; i++) {
        add(&x, "%s", i ? "," : "");
        add_hex(&x, c->bytes + c->start[i], insn_end(c, i) - c->start[i]);
    }
    add_word(&x, "way", c->way);
    add_word(&x, "privileged", c->privileged);
    add_word(&x, "nf", c->undefined);
    add_word(&x, "nc", c->undefined_fsw);
    for (unsigned i = 0; i < 2; i++)
        if (c->unseen[i].bytes)
            add(&x, " unseen=%" PRIx64 "+%x", c->unseen[i].at, c->unseen[i].bytes);
    add(&x, " flags=%" PRIx64, c->in.flags);
    for (unsigned i = 0; i < 16; i++)
        add_word(&x, reg_names[i], c->in.gpr[i]);
    for (unsigned i = 0; i < c->patches; i++) {
        add(&x, " [%" PRIx64 "]=", c->patch[i].at);
        add_hex(&x, c->patch[i].bytes, 16);
    }
    if (c->vector)
        add_fpu(&x, &c->fpu);
}

static bool read_hex(const char *text, uint8_t *out, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        unsigned v;
        if (sscanf(text + 2 * i, "%2x", &v) != 1)
            return false;
        out[i] = (uint8_t)v;
    }
    return text[2 * n] == 0;
}

static bool read_bytes(struct test_case *c, char *value)
{
    char *rest = NULL;
    for (char *insn = strtok_r(value, ",", &rest); insn; insn = strtok_r(NULL, ",", &rest)) {
        unsigned n = (unsigned)strlen(insn) / 2;
        if (c->insns == MAX_INSNS || c->length + n > 255 || !read_hex(insn, c->bytes + c->length, n))
            return false;
        c->start[c->insns++] = (uint8_t)c->length;
        c->length += n;
    }
    return c->insns > 0;
}

static bool read_unseen(struct test_case *c, const char *value)
{
    unsigned i = c->unseen[0].bytes ? 1 : 0;
    return sscanf(value, "%" SCNx64 "+%x", &c->unseen[i].at, &c->unseen[i].bytes) == 2;
}

static bool read_patch(struct test_case *c, const char *name, const char *value)
{
    if (c->patches == MAX_PATCHES)
        return false;
    struct patch *p = &c->patch[c->patches++];
    p->at = strtoull(name + 1, NULL, 16);
    return p->at >= WINDOW && p->at + 16 <= WINDOW + WINDOW_RW && read_hex(value, p->bytes, 16);
}

static bool read_vector_word(struct test_case *c, const char *name, const char *value, uint64_t v)
{
    unsigned i;
    if (sscanf(name, "st%u", &i) == 1)
        return i < 8 && read_hex(value, c->fpu.st[i], 10);
    if (sscanf(name, "ymm%u", &i) == 1)
        return i < 16 && read_hex(value, c->fpu.ymm[i], 32);
    if (strcmp(name, "mxcsr") == 0)
        c->vector = true, c->fpu.mxcsr = (uint32_t)v;
    else if (strcmp(name, "fcw") == 0)
        c->fpu.fcw = (uint16_t)v;
    else if (strcmp(name, "fsw") == 0)
        c->fpu.fsw = (uint16_t)v;
    else if (strcmp(name, "ftw") == 0)
        c->fpu.ftw = (uint8_t)v;
    else
        return false;
    return true;
}

static bool read_word(struct test_case *c, const char *name, char *value)
{
    uint64_t v = strtoull(value, NULL, 16);
    for (unsigned i = 0; i < 16; i++) {
        if (strcmp(name, reg_names[i]) == 0) {
            c->in.gpr[i] = v;
            return true;
        }
    }
    if (*name == '[')
        return read_patch(c, name, value);
    if (strcmp(name, "bytes") == 0)
        return read_bytes(c, value);
    if (strcmp(name, "unseen") == 0)
        return read_unseen(c, value);
    if (strcmp(name, "way") == 0)
        c->way = (uint32_t)v;
    else if (strcmp(name, "privileged") == 0)
        c->privileged = v;
    else if (strcmp(name, "nf") == 0)
        c->undefined = v;
    else if (strcmp(name, "nc") == 0)
        c->undefined_fsw = (uint16_t)v;
    else if (strcmp(name, "flags") == 0)
        c->in.flags = v;
    else
        return read_vector_word(c, name, value, v);
    return true;
}

bool case_parse(const char *text, struct test_case *c)
{
    char line[CASE_TEXT], *rest = NULL;
    snprintf(line, sizeof line, "%s", text);
    memset(c, 0, sizeof *c);
    c->in.flags = FLAG_FIXED1 | FLAG_IF;
    c->row = (int)(rows_count + KIND_SEQUENCE);
    char *word = strtok_r(line, " \n", &rest);
    c->name = "regression";
    for (unsigned i = 0; word && i < rows_count; i++) // popf is not like others (subject_bt.c)
        c->name = strcmp(rows[i].name, word) == 0 ? rows[i].name : c->name;
    while (word && (word = strtok_r(NULL, " \n", &rest))) {
        char *value = strchr(word, '=');
        if (!value)
            return false;
        *value++ = 0;
        if (!read_word(c, word, value))
            return false;
    }
    return c->insns > 0;
}

// ---- A difference ----

struct sides {
    struct text x;
    const char *judge, *subject;
};

static void add_sides(struct sides *s, const char *name, uint64_t judge, uint64_t subject)
{
    if (judge != subject)
        add(&s->x, " %s: %s %" PRIx64 " %s %" PRIx64 ";", name, s->judge, judge, s->subject, subject);
}

static void add_bytes(struct sides *s, const char *name, unsigned i, const uint8_t *judge, const uint8_t *subject,
                      unsigned n)
{
    add(&s->x, " %s%u: %s ", name, i, s->judge);
    add_hex(&s->x, judge, n);
    add(&s->x, " %s ", s->subject);
    add_hex(&s->x, subject, n);
    add(&s->x, ";");
}

static void add_fpu_sides(struct sides *s, const struct difference *d, const struct fpu *a, const struct fpu *b)
{
    if (d->mxcsr)
        add_sides(s, "mxcsr", a->mxcsr, b->mxcsr);
    if (d->fcw)
        add_sides(s, "fcw", a->fcw, b->fcw);
    if (d->fsw)
        add_sides(s, "fsw", a->fsw, b->fsw);
    if (d->ftw)
        add_sides(s, "ftw", a->ftw, b->ftw);
    for (unsigned i = 0; i < 8; i++)
        if (d->st >> i & 1)
            add_bytes(s, "st", i, a->st[i], b->st[i], 10);
    for (unsigned i = 0; i < 16; i++)
        if (d->ymm >> i & 1)
            add_bytes(s, "ymm", i, a->ymm[i], b->ymm[i], 32);
}

static void add_memory_sides(struct sides *s, const struct test_case *c, const uint8_t *judge, const uint8_t *subject)
{
    for (unsigned i = 0, said = 0; i < WINDOW_RW && said < 4; i++) {
        if (judge[i] == subject[i] || memory_unseen(c, WINDOW + i))
            continue;
        add(&s->x, " [%" PRIx64 "]: %s %02x %s %02x;", (uint64_t)(WINDOW + i), s->judge, judge[i], s->subject,
            subject[i]);
        said++;
    }
}

void verdict_print(const struct verdict *v, const struct test_case *c, const char *subject, char out[CASE_TEXT])
{
    struct sides s = {{out, 0}, v->by, subject};
    const struct outcome *a = &v->judge, *b = &v->subject;
    const struct difference *d = &v->difference;
    out[0] = 0;
    for (unsigned i = 0; i < c->insns; i++) {
        char text[160];
        x86_format(c->bytes + c->start[i], insn_end(c, i) - c->start[i], INSN_AT + c->start[i], text, sizeof text);
        add(&s.x, "%s%s", i ? " | " : "", text);
    }
    add(&s.x, ":");
    for (unsigned i = 0; i < 16; i++)
        if (d->gpr >> i & 1)
            add_sides(&s, reg_names[i], a->regs.gpr[i], b->regs.gpr[i]);
    if (d->flags)
        add_sides(&s, "flags", a->regs.flags & ~c->undefined, b->regs.flags & ~c->undefined);
    add_sides(&s, "rip", a->rip, b->rip);
    if (d->fault) {
        add_sides(&s, "vector", (uint64_t)a->vector, (uint64_t)b->vector);
        add_sides(&s, "error", a->error, b->error);
        add_sides(&s, "cr2", a->cr2, b->cr2);
    }
    if (c->vector)
        add_fpu_sides(&s, d, &a->fpu, &b->fpu);
    if (d->memory)
        add_memory_sides(&s, c, v->judge_memory, v->subject_memory);
    if (!any_difference(d))
        add(&s.x, " the frame of a fault, or an interrupt");
}

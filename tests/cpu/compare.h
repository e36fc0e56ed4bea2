// SPDX-License-Identifier: BSD-2-Clause
// What a judge and a subject made of the same case, compared, and one line that shows the difference: for tests with a
// judge and vector state of their own.
#ifndef RINGSIDE_TESTS_CPU_COMPARE_H
#define RINGSIDE_TESTS_CPU_COMPARE_H

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/cpu/subject.h"
#include "tests/cpu/variations.h"
#include "x86/decode.h"

static inline uint64_t shown_flags(const struct outcome *o, const struct test_case *t)
{
    return o->regs.flags & ~(t->undefined | FLAG_RF);
}

// Whether what differs is only what may; counts which entries of the table of variations were needed.
static inline bool same_outcome(const struct test_case *t, const struct outcome *judge, const struct outcome *subject,
                                struct variation_counts *counts)
{
    struct sides_of s = {t, judge, subject, NULL, NULL};
    struct difference left = settle(&s, counts);
    return !any_difference(&left);
}

// A wild address where this process, or AddressSanitizer's shadow, may have memory: not to be touched on the host.
static inline bool may_be_ours(const struct outcome *o)
{
    return o->vector == VEC_PF && o->cr2 >= 0x7fff0000 && o->cr2 < 1ull << 47;
}

// ---- Report ----

struct sides { // who is who in the report
    const char *judge, *subject;
};

static const char *const reg_names[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                          "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};

static inline void say_u64(const struct sides *s, const char *name, uint64_t judge, uint64_t subject)
{
    if (judge != subject)
        printf(" %s: %s %" PRIx64 " %s %" PRIx64 ";", name, s->judge, judge, s->subject, subject);
}

static inline void say_memory(const struct sides *s, const uint8_t *judge, const uint8_t *subject)
{
    for (unsigned i = 0, said = 0; i < WINDOW_RW && said < 4; i++) {
        if (judge[i] != subject[i]) {
            printf(" [%" PRIx64 "]: %s %02x %s %02x;", (uint64_t)(WINDOW + i), s->judge, judge[i], s->subject,
                   subject[i]);
            said++;
        }
    }
}

static inline void say_inputs(const struct test_case *t)
{
    printf(" | in:");
    for (unsigned i = 0; i < 16; i++)
        printf(" %s=%" PRIx64, reg_names[i], t->in.gpr[i]);
    printf(" flags=%" PRIx64 "%s", t->in.flags, t->way & WAY_COLD ? " cold" : "");
    for (unsigned i = 0; i < t->patches; i++) {
        uint64_t low, high;
        memcpy(&low, t->patch[i].bytes, 8);
        memcpy(&high, t->patch[i].bytes + 8, 8);
        printf(" [%" PRIx64 "]=%" PRIx64 ":%" PRIx64, t->patch[i].at, high, low);
    }
}

// One line, without its end, with all that is needed to see the difference.
static inline void say_difference(const struct sides *s, const struct test_case *t, const struct outcome *judge,
                                  const struct outcome *subject)
{
    for (unsigned i = 0; i < t->insns; i++) {
        char text[160];
        unsigned end = i + 1 < t->insns ? t->start[i + 1] : t->length;
        x86_format_mode(t->mode, t->bytes + t->start[i], end - t->start[i], INSN_AT + t->start[i], text, sizeof text);
        printf(" %s |", text);
    }
    for (unsigned i = 0; i < 16; i++)
        say_u64(s, reg_names[i], judge->regs.gpr[i], subject->regs.gpr[i]);
    say_u64(s, "flags", shown_flags(judge, t), shown_flags(subject, t));
    say_u64(s, "rip", judge->rip, subject->rip);
    say_u64(s, "vector", (uint64_t)judge->vector, (uint64_t)subject->vector);
    say_u64(s, "error", judge->error, subject->error);
    say_u64(s, "cr2", judge->cr2, subject->cr2);
}

#endif

// SPDX-License-Identifier: BSD-2-Clause
// What two processors, or a processor and an engine, may do differently and both be right: a table whose entries each
// say what may differ and when, and where the manual says so or that it does not. All else is compared, and how often
// an entry was needed is counted.
#ifndef RINGSIDE_TESTS_CPU_VARIATIONS_H
#define RINGSIDE_TESTS_CPU_VARIATIONS_H

#include <stdio.h>
#include <string.h>

#include "tests/cpu/case.h"

struct difference {
    uint16_t gpr;   // one bit a register
    uint64_t flags; // the bits that differ
    bool rip;
    bool fault; // vector, error code or address
};

struct sides_of { // one case, as both sides did it
    const struct test_case *t;
    const struct outcome *judge, *subject;
};

static inline bool any_difference(const struct difference *d)
{
    return d->gpr || d->flags || d->rip || d->fault;
}

static inline bool same_difference(const struct difference *a, const struct difference *b)
{
    return a->gpr == b->gpr && a->flags == b->flags && a->rip == b->rip && a->fault == b->fault;
}

// RF is in the image of the flags that a fault's frame holds; it is no result of the instruction.
static inline struct difference find_difference(const struct outcome *a, const struct outcome *b)
{
    struct difference d = {.flags = (a->regs.flags ^ b->regs.flags) & ~(uint64_t)FLAG_RF, .rip = a->rip != b->rip};
    for (unsigned i = 0; i < 16; i++)
        d.gpr |= (uint16_t)((a->regs.gpr[i] != b->regs.gpr[i]) << i);
    d.fault = a->vector != b->vector || a->error != b->error || a->cr2 != b->cr2;
    return d;
}

// ---- String instructions ----

struct string_insn {
    bool rep, a32, gs;
    unsigned size; // of an operand, in bytes
    uint8_t opcode;
};

static inline bool is_string(uint8_t opcode)
{
    return (opcode >= 0xa4 && opcode <= 0xa7) || (opcode >= 0xaa && opcode <= 0xaf);
}

// Whether a string instruction of the case begins at rip.
static inline bool string_at(const struct test_case *t, uint64_t rip, struct string_insn *s)
{
    uint64_t at = rip - INSN_AT;
    bool p66 = false, w = false;
    memset(s, 0, sizeof *s);
    for (; at < t->length; at++) {
        uint8_t b = t->bytes[at];
        s->rep |= b >> 1 == 0xf2 >> 1;
        s->a32 |= b == 0x67;
        s->gs |= b == 0x65;
        p66 |= b == 0x66;
        w |= b >> 3 == 0x48 >> 3;
        if (b == 0x66 || b == 0x67 || b == 0x65 || b >> 1 == 0xf2 >> 1 || b >> 4 == 4)
            continue;
        s->opcode = b;
        s->size = !(b & 1) ? 1 : w ? 8 : p66 ? 2 : 4;
        return is_string(b);
    }
    return false;
}

static inline uint64_t string_operand(const struct string_insn *s, const struct outcome *o, unsigned reg)
{
    uint64_t at = s->a32 ? (uint32_t)o->regs.gpr[reg] : o->regs.gpr[reg];
    return at + (s->gs && reg == RSI ? GS_BASE : 0);
}

static inline bool fits_canonical(uint64_t va)
{
    return (uint64_t)((int64_t)(va << 16) >> 16) == va;
}

// Whether the fault can be one of the operand at that address.
static inline bool fault_of(const struct outcome *o, uint64_t at, unsigned size)
{
    switch (o->vector) {
    case VEC_PF:
        return o->cr2 - at < size;
    case VEC_AC:
        return at % size != 0;
    case VEC_GP:
        return !fits_canonical(at) || !fits_canonical(at + size - 1);
    default:
        return false;
    }
}

// ---- The table ----

static inline void vary_undefined_flags(const struct sides_of *s, struct difference *d)
{
    d->flags &= ~s->t->undefined;
}

static inline void vary_comparison_flags(const struct sides_of *s, struct difference *d)
{
    struct string_insn i;
    bool faulted = s->judge->vector >= 0;
    if (faulted && string_at(s->t, s->judge->rip, &i) && (i.opcode & 0xf6) == 0xa6) // a6 a7 ae af
        d->flags &= ~(uint64_t)FLAGS_ARITH;
}

static inline void vary_alignment_first(const struct sides_of *s, struct difference *d)
{
    if (s->judge->vector == VEC_AC && s->subject->vector == VEC_PF)
        d->fault = false;
}

static inline void vary_two_operands(const struct sides_of *s, struct difference *d)
{
    struct string_insn i;
    const struct outcome *a = s->judge, *b = s->subject;
    if (!string_at(s->t, a->rip, &i) || (i.opcode & 0xfe) != 0xa6)
        return;
    uint64_t from = string_operand(&i, a, RSI), to = string_operand(&i, a, RDI);
    if ((fault_of(a, to, i.size) && fault_of(b, from, i.size)) ||
        (fault_of(a, from, i.size) && fault_of(b, to, i.size)))
        d->fault = false;
}

static inline void vary_upper_halves(const struct sides_of *s, struct difference *d)
{
    static const unsigned used[] = {RCX, RSI, RDI};
    struct string_insn i;
    const uint64_t *judge = s->judge->regs.gpr, *subject = s->subject->regs.gpr;
    // Where rip was before: at the fault, or, with no iteration to do, at the case's only instruction.
    uint64_t rip = s->judge->vector >= 0 ? s->judge->rip : s->t->insns == 1 ? INSN_AT : 0;
    if (!string_at(s->t, rip, &i) || !i.rep || !i.a32)
        return;
    for (unsigned n = 0; n < 3; n++) {
        unsigned reg = used[n];
        bool kept = subject[reg] == s->t->in.gpr[reg] && judge[reg] == (uint32_t)subject[reg];
        d->gpr &= kept ? (uint16_t) ~(1u << reg) : UINT16_MAX;
    }
}

static inline void vary_hidden_present(const struct sides_of *s, struct difference *d)
{
    const struct outcome *a = s->judge, *b = s->subject;
    if (a->vector == VEC_PF && b->vector == VEC_PF && a->cr2 == b->cr2 && a->cr2 >> 63 &&
        (a->error | PF_PRESENT) == (b->error | PF_PRESENT))
        d->fault = false;
}

struct variation {
    const char *name;
    void (*settle)(const struct sides_of *s, struct difference *d); // takes out of d what both may do
    const char *what, *where;                                       // what differs, and where the manual says so
};

static const struct variation variations[] = {
    {"undefined-flags", vary_undefined_flags, "the flags of rows.def's last column", "SDM vol. 2, \"Flags Affected\""},
    {"comparison-flags", vary_comparison_flags,
     "a fault in a repeated cmps or scas: the flags from before it (Intel) or of the last comparison (AMD)",
     "SDM vol. 2, REP/REPE/REPZ/REPNE/REPNZ, for Intel; not in AMD's manual: seen on Zen 4"},
    {"alignment-first", vary_alignment_first, "#AC where the same operand raises #PF, too",
     "SDM vol. 3, table 6-2: one class of priority"},
    {"cmps-operand-order", vary_two_operands, "cmps with two operands that fault: which one is read first",
     "not in the manuals: Zen 4 always [rsi], Sapphire Rapids often [rdi]"},
    {"rep-upper-halves", vary_upper_halves,
     "rep with 32-bit addresses that does no iteration: the upper halves of rcx, rsi and rdi are kept (AMD) or zero "
     "(Intel)",
     "not in the manuals: seen on Zen 4 and Sapphire Rapids"},
    {"hidden-present", vary_hidden_present,
     "a page fault in the kernel's half: the host's Linux does not tell whether the page is present",
     "not the processor's: Linux, arch/x86/mm/fault.c"},
};
#define VARIATIONS (sizeof variations / sizeof variations[0])

struct variation_counts {
    uint64_t used[VARIATIONS];
};

// What is left of the difference of two outcomes when all that may vary is taken out.
static inline struct difference settle(const struct sides_of *s, struct variation_counts *counts)
{
    struct difference d = find_difference(s->judge, s->subject);
    for (unsigned i = 0; i < VARIATIONS && any_difference(&d); i++) {
        struct difference before = d;
        variations[i].settle(s, &d);
        counts->used[i] += !same_difference(&before, &d);
    }
    return d;
}

static inline void say_variations(const struct variation_counts *counts)
{
    for (unsigned i = 0; i < VARIATIONS; i++)
        printf("# may vary, %" PRIu64 " times: %s: %s (%s)\n", counts->used[i], variations[i].name, variations[i].what,
               variations[i].where);
}

#endif

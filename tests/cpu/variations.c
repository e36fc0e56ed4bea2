// SPDX-License-Identifier: BSD-2-Clause
// The table of variations, and what decides about each.
#include "tests/cpu/variations.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/cpu/opcode.h"

bool same_difference(const struct difference *a, const struct difference *b)
{
    return a->flags == b->flags && a->mxcsr == b->mxcsr && a->gpr == b->gpr && a->ymm == b->ymm && a->fcw == b->fcw &&
           a->fsw == b->fsw && a->ftw == b->ftw && a->st == b->st && a->rip == b->rip && a->fault == b->fault &&
           a->memory == b->memory;
}

bool any_difference(const struct difference *d)
{
    static const struct difference none;
    return !same_difference(d, &none);
}

bool memory_unseen(const struct test_case *t, uint64_t at)
{
    return at - t->unseen[0].at < t->unseen[0].bytes || at - t->unseen[1].at < t->unseen[1].bytes;
}

static bool memory_differs(const struct sides_of *s)
{
    const uint8_t *a = s->judge_memory, *b = s->subject_memory;
    if (!a || !b || memcmp(a, b, WINDOW_RW) == 0)
        return false;
    for (unsigned i = 0; i < WINDOW_RW; i++)
        if (a[i] != b[i] && !memory_unseen(s->t, WINDOW + i))
            return true;
    return false;
}

static void find_fpu_difference(const struct fpu *a, const struct fpu *b, struct difference *d)
{
    d->mxcsr = a->mxcsr ^ b->mxcsr;
    d->fcw = a->fcw ^ b->fcw;
    d->fsw = a->fsw ^ b->fsw;
    d->ftw = a->ftw ^ b->ftw;
    for (unsigned i = 0; i < 16; i++)
        d->ymm |= (uint16_t)((memcmp(a->ymm[i], b->ymm[i], 32) != 0) << i);
    for (unsigned i = 0; i < 8; i++)
        d->st |= (uint8_t)((memcmp(a->st[i], b->st[i], 10) != 0) << i);
}

// RF is in the image of the flags that a fault's frame holds; it is no result of the instruction.
static struct difference find_difference(const struct sides_of *s)
{
    const struct outcome *a = s->judge, *b = s->subject;
    struct difference d = {.flags = (a->regs.flags ^ b->regs.flags) & ~(uint64_t)FLAG_RF, .rip = a->rip != b->rip};
    for (unsigned i = 0; i < 16; i++)
        d.gpr |= (uint16_t)((a->regs.gpr[i] != b->regs.gpr[i]) << i);
    d.fault = a->vector != b->vector || a->error != b->error || a->cr2 != b->cr2;
    d.memory = memory_differs(s);
    if (s->t->vector)
        find_fpu_difference(&a->fpu, &b->fpu, &d);
    return d;
}

// ---- String instructions ----

struct string_insn {
    bool rep, a32, gs;
    unsigned size; // of an operand, in bytes
    uint8_t opcode;
};

static bool is_string(uint8_t opcode)
{
    return (opcode >= 0xa4 && opcode <= 0xa7) || (opcode >= 0xaa && opcode <= 0xaf);
}

// Whether a string instruction of the case begins at rip.
static bool string_at(const struct test_case *t, uint64_t rip, struct string_insn *s)
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
        if (b == 0x66 || b == 0x67 || b == 0x65 || b >> 1 == 0xf2 >> 1 || b >> 4 == 4 || (b & 0xe7) == 0x26)
            continue;
        s->opcode = b;
        s->size = !(b & 1) ? 1 : w ? 8 : p66 ? 2 : 4;
        return is_string(b);
    }
    return false;
}

static uint64_t string_operand(const struct string_insn *s, const struct outcome *o, unsigned reg)
{
    uint64_t at = s->a32 ? (uint32_t)o->regs.gpr[reg] : o->regs.gpr[reg];
    return at + (s->gs && reg == RSI ? GS_BASE : 0);
}

static bool fits_canonical(uint64_t va)
{
    return (uint64_t)((int64_t)(va << 16) >> 16) == va;
}

// Whether the fault can be one of the operand at that address.
static bool fault_of(const struct outcome *o, uint64_t at, unsigned size)
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

static void vary_undefined_flags(const struct sides_of *s, struct difference *d)
{
    d->flags &= ~s->t->undefined;
    d->fsw &= (uint16_t)~s->t->undefined_fsw;
}

static void vary_comparison_flags(const struct sides_of *s, struct difference *d)
{
    struct string_insn i;
    bool faulted = s->judge->vector >= 0;
    if (faulted && string_at(s->t, s->judge->rip, &i) && (i.opcode & 0xf6) == 0xa6) // a6 a7 ae af
        d->flags &= ~(uint64_t)FLAGS_ARITH;
}

static void vary_alignment_first(const struct sides_of *s, struct difference *d)
{
    int a = s->judge->vector, b = s->subject->vector, other = a == VEC_AC ? b : a;
    if (a != b && (a == VEC_AC || b == VEC_AC) && (other == VEC_PF || other == VEC_SS || other == VEC_GP))
        d->fault = false;
}

static void vary_two_operands(const struct sides_of *s, struct difference *d)
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

static void vary_upper_halves(const struct sides_of *s, struct difference *d)
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

// ---- Vector instructions ----

static bool memory_fault(const struct outcome *o)
{
    return o->vector == VEC_PF || o->vector == VEC_AC || o->vector == VEC_GP || o->vector == VEC_SS;
}

// The instruction whose operand in memory is refused, on both sides the same. False where none is.
static bool faulting(const struct sides_of *s, struct opcode *o)
{
    uint64_t at = s->judge->rip - INSN_AT;
    bool both = memory_fault(s->judge) && memory_fault(s->subject) && s->judge->rip == s->subject->rip;
    if (!both || at >= s->t->length)
        return false;
    *o = opcode_parse(s->t->bytes + at, s->t->length - (unsigned)at);
    return true;
}

static bool mmx_store(const struct opcode *o)
{
    bool store = o->opcode == 0x7e || o->opcode == 0x7f || o->opcode == 0xe7 || o->opcode == 0xf7;
    return !o->vex && o->map == 1 && o->pp == 0 && store;
}

static void vary_mmx_store(const struct sides_of *s, struct difference *d)
{
    enum { TOP = 0x3800 };
    const struct fpu *a = &s->judge->fpu, *b = &s->subject->fpu;
    struct opcode o;
    if (!d->fsw && !d->ftw)
        return;
    if (!faulting(s, &o) || !mmx_store(&o))
        return;
    if (!(a->fsw & TOP) || !(b->fsw & TOP))
        d->fsw &= (uint16_t)~TOP;
    if (a->ftw == 0xff || b->ftw == 0xff)
        d->ftw = 0;
    if ((d->st && !(a->fsw & TOP)) || !(b->fsw & TOP)) // st(0) to st(7) are counted from TOP
        d->st = 0;
}

// Most bytes that an operand has which may be read or written in parts; 0 where it is one of a single access.
static unsigned bytes_in_parts(const struct opcode *o)
{
    bool image = !o->vex && o->map == 1 && o->opcode == 0xae;
    bool x87 = !o->vex && o->map == 0 && o->opcode >= 0xd8 && o->opcode <= 0xdf;
    bool masked =
        (o->map == 1 && o->opcode == 0xf7) ||
        (o->vex && o->map == 2 && ((o->opcode >= 0x2c && o->opcode <= 0x2f) || o->opcode == 0x8c || o->opcode == 0x8e));
    return image ? FPU_IMAGE_BYTES : x87 ? (unsigned)X87_STATE_BYTES : masked ? 32u : 0u;
}

static uint64_t distance(uint64_t a, uint64_t b)
{
    return a - b < b - a ? a - b : b - a; // an operand may go on at address 0
}

static void vary_fault_address(const struct sides_of *s, struct difference *d)
{
    struct opcode o;
    const struct outcome *a = s->judge, *b = s->subject;
    if (d->fault && faulting(s, &o) && a->vector == VEC_PF && b->vector == VEC_PF &&
        distance(a->cr2, b->cr2) < bytes_in_parts(&o))
        d->fault = false;
}

static void vary_part_wraps(const struct sides_of *s, struct difference *d)
{
    const uint64_t end = 1ull << 32; // of 32-bit addresses
    struct opcode o;
    const struct outcome *a = s->judge, *b = s->subject;
    if (d->fault && faulting(s, &o) && o.a32 && a->vector == VEC_PF && b->vector == VEC_PF &&
        distance(distance(a->cr2, b->cr2), end) < bytes_in_parts(&o))
        d->fault = false;
}

// The only instruction of the case, where one side refuses its operand and the other is done.
static bool faults_alone(const struct sides_of *s, struct opcode *o, const struct outcome **fault)
{
    bool a = memory_fault(s->judge), b = memory_fault(s->subject);
    *fault = a ? s->judge : s->subject;
    if (a == b || s->t->insns != 1 || (*fault)->rip != INSN_AT)
        return false;
    *o = opcode_parse(s->t->bytes, s->t->length);
    return true;
}

static void vary_masked_store(const struct sides_of *s, struct difference *d)
{
    struct opcode o;
    const struct outcome *fault;
    if (faults_alone(s, &o, &fault) && o.map == 1 && o.opcode == 0xf7 && o.pp <= 1 && o.modrm >= 0xc0)
        *d = (struct difference){.flags = d->flags, .gpr = d->gpr, .mxcsr = d->mxcsr, .ymm = d->ymm, .fcw = d->fcw};
}

static void vary_image_parts(const struct sides_of *s, struct difference *d)
{
    struct opcode o;
    const struct outcome *fault;
    if (d->fault && faulting(s, &o) && !o.vex && o.map == 1 && o.opcode == 0xae && (o.modrm >> 3 & 3) == 1)
        d->fault = false; // an image that cannot be loaded, and is not all there
    bool stack = s->judge->vector == VEC_SS || s->subject->vector == VEC_SS;
    bool general = s->judge->vector == VEC_GP || s->subject->vector == VEC_GP;
    if (d->fault && stack && general && faulting(s, &o) && !o.vex && o.map == 1 && o.opcode == 0xae)
        d->fault = false; // of the address, or of its alignment
    if (!faults_alone(s, &o, &fault) || o.vex || o.map != 1 || o.opcode != 0xae || fault->vector != VEC_PF)
        return;
    unsigned digit = o.modrm >> 3 & 7;
    bool parts = (digit == 4 || digit == 5) && (s->t->in.gpr[RAX] & 7) != 7; // xsave, xrstor: not all components
    if (digit == 0 || parts)
        *d = (struct difference){.flags = d->flags, .gpr = d->gpr, .mxcsr = d->mxcsr, .ymm = d->ymm, .fcw = d->fcw};
}

static void vary_canonical_edge(const struct sides_of *s, struct difference *d)
{
    const uint64_t edge = 1ull << 47;
    const struct outcome *a = s->judge, *b = s->subject;
    const struct outcome *page = a->vector == VEC_PF ? a : b, *other = page == a ? b : a;
    if (page->vector == VEC_PF && (other->vector == VEC_GP || other->vector == VEC_SS) &&
        edge - page->cr2 < FPU_IMAGE_BYTES)
        d->fault = false;
}

static void vary_conversion_store(const struct sides_of *s, struct difference *d)
{
    const struct outcome *a = s->judge, *b = s->subject;
    uint64_t at = a->rip - INSN_AT;
    bool both =
        (memory_fault(a) || a->vector == VEC_XM) && (memory_fault(b) || b->vector == VEC_XM) && a->rip == b->rip;
    if (!both || at >= s->t->length)
        return;
    struct opcode o = opcode_parse(s->t->bytes + at, s->t->length - (unsigned)at);
    if (!o.vex || o.map != 3 || o.opcode != 0x1d || o.modrm >= 0xc0)
        return;
    d->mxcsr &= ~0x3fu;
    if (a->vector != b->vector)
        d->fault = false;
}

// MXCSR's precision flag beside an overflow or underflow that is not masked.
static void vary_precision(const struct sides_of *s, struct difference *d)
{
    const uint32_t precision = 0x20, range = 0x18;
    uint32_t a = s->judge->fpu.mxcsr;
    if (s->judge->vector == VEC_XM && s->subject->vector == VEC_XM && a & range & ~(a >> 7))
        d->mxcsr &= ~precision;
}

// The products' exceptions come before the sums are made, or all of them at the end.
static void vary_dot_product(const struct sides_of *s, struct difference *d)
{
    uint64_t at = s->judge->rip - INSN_AT;
    bool both = s->judge->vector == VEC_XM && s->subject->vector == VEC_XM && s->judge->rip == s->subject->rip;
    if (!both || at >= s->t->length)
        return;
    struct opcode o = opcode_parse(s->t->bytes + at, s->t->length - (unsigned)at);
    if (o.map == 3 && (o.opcode == 0x40 || o.opcode == 0x41))
        d->mxcsr &= ~0x3fu;
}

bool split_store_reached(const struct test_case *t, const struct outcome *fault, uint64_t va)
{
    uint64_t at = fault->rip - INSN_AT, page = fault->cr2 & ~(uint64_t)(PAGE - 1);
    if (fault->vector != VEC_PF || at >= t->length)
        return false;
    struct opcode o = opcode_parse(t->bytes + at, t->length - (unsigned)at);
    bool x87 = !o.vex && o.map == 0 && o.opcode >= 0xd9 && o.opcode <= 0xdf && o.modrm < 0xc0;
    return x87 && page - 1 - va < X87_STATE_BYTES - 1;
}

static void vary_split_store(const struct sides_of *s, struct difference *d)
{
    bool all = d->memory && s->judge->rip == s->subject->rip;
    for (unsigned i = 0; i < WINDOW_RW && all; i++)
        all = s->judge_memory[i] == s->subject_memory[i] || memory_unseen(s->t, WINDOW + i) ||
              split_store_reached(s->t, s->judge, WINDOW + i) || split_store_reached(s->t, s->subject, WINDOW + i);
    if (all)
        d->memory = false;
}

#define LINUX_END 0x7ffffffff000ull // of what programs may have
static void vary_hidden_present(const struct sides_of *s, struct difference *d)
{
    const struct outcome *a = s->judge, *b = s->subject;
    if (a->vector == VEC_PF && b->vector == VEC_PF && a->cr2 == b->cr2 && a->cr2 >= LINUX_END &&
        (a->error | PF_PRESENT) == (b->error | PF_PRESENT))
        d->fault = false;
}

const struct variation variations[VARIATIONS] = {
    {"undefined-flags", vary_undefined_flags, "the flags, and the x87's condition codes, of the rows' last column",
     "SDM vol. 2, \"Flags Affected\" and \"FPU Flags Affected\""},
    {"comparison-flags", vary_comparison_flags,
     "a fault in a repeated cmps or scas: the flags from before it (Intel) or of the last comparison (AMD)",
     "SDM vol. 2, REP/REPE/REPZ/REPNE/REPNZ, for Intel; not in AMD's manual: seen on Zen 4"},
    {"alignment-first", vary_alignment_first, "#AC where the same operand raises #PF, #SS or #GP, too",
     "SDM vol. 3, table 6-2: one class of priority"},
    {"cmps-operand-order", vary_two_operands, "cmps with two operands that fault: which one is read first",
     "not in the manuals: Zen 4 always [rsi], Sapphire Rapids often [rdi]"},
    {"rep-upper-halves", vary_upper_halves,
     "rep with 32-bit addresses that does no iteration: the upper halves of rcx, rsi and rdi are kept (AMD) or zero "
     "(Intel)",
     "not in the manuals: seen on Zen 4 and Sapphire Rapids"},
    {"mmx-store-fault", vary_mmx_store,
     "a store of an MMX register that faults: whether TOP and tags are MMX's already",
     "SDM vol. 1, 9.5.1 does not say; seen on Sapphire Rapids"},
    {"fault-address", vary_fault_address,
     "#PF of an operand of many bytes, or of a masked one: the address and the page of any byte of it",
     "SDM vol. 3, 4.7 does not say which; seen on Sapphire Rapids"},
    {"part-wraps", vary_part_wraps,
     "#PF of an operand in parts that crosses 4 GiB, with address size 32: parts go on behind it, or at 0",
     "SDM vol. 1, 3.3.7 speaks of the effective address alone; Sapphire Rapids wraps every part of maskmovdqu, "
     "fxsave, xsave and long x87 operands"},
    {"masked-store", vary_masked_store, "maskmovq and maskmovdqu: a fault of bytes that the mask leaves out",
     "SDM vol. 2, MASKMOVQ, MASKMOVDQU: implementation dependent"},
    {"image-parts", vary_image_parts,
     "fxsave, and xsave or xrstor of some components: a fault of bytes that are not written or read; fxrstor and "
     "xrstor: #GP of what is loaded, or #PF of what is not there; #SS of the address, or #GP of its alignment",
     "SDM vol. 1, 10.5.1 and 13.7 do not say; Sapphire Rapids faults for fxsave's last 96 bytes"},
    {"canonical-edge", vary_canonical_edge,
     "an operand that crosses the end of the canonical addresses: #GP, or the first part's #PF",
     "SDM vol. 3, table 6-2: one class of priority"},
    {"conversion-store-fault", vary_conversion_store,
     "vcvtps2ph whose store faults: whether MXCSR has the conversion's exceptions, and whether #XM comes first",
     "SDM vol. 2, VCVTPS2PH does not say; seen on Sapphire Rapids"},
    {"precision-flag", vary_precision,
     "#XM of an overflow or underflow: whether the precision flag is set, too, where the result were exact with an "
     "exponent without bounds",
     "SDM vol. 1, 4.9.1.4 and 4.9.1.5, where it is not: interp, which computes with exceptions masked, sets it"},
    {"dot-product-flags", vary_dot_product, "#XM of dpps or dppd: whether MXCSR has the later steps' exceptions, too",
     "SDM vol. 2, DPPS: unmasked exceptions are reported after each step; interp, which computes with them masked, has "
     "all"},
    {"split-store-fault", vary_split_store,
     "an x87 store across pages that faults in the second one: whether the first part is written",
     "SDM vol. 1, 8.6 does not say; seen on Sapphire Rapids"},
    {"hidden-present", vary_hidden_present,
     "a page fault where programs have nothing: the host's Linux does not tell whether the page is present",
     "not the processor's: Linux, arch/x86/mm/fault.c"},
};

// What is left of the difference of two outcomes when all that may vary is taken out.
struct difference settle(const struct sides_of *s, struct variation_counts *counts)
{
    struct difference d = find_difference(s);
    for (unsigned i = 0; i < VARIATIONS && any_difference(&d); i++) {
        struct difference before = d;
        variations[i].settle(s, &d);
        counts->used[i] += !same_difference(&before, &d);
    }
    return d;
}

void say_variations(const struct variation_counts *counts)
{
    for (unsigned i = 0; i < VARIATIONS; i++) {
        if (!counts->used[i])
            continue;
        printf("# may vary, %" PRIu64 " times: %s: %s (%s)\n", counts->used[i], variations[i].name, variations[i].what,
               variations[i].where);
    }
}

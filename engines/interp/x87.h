// SPDX-License-Identifier: BSD-2-Clause
// x87 instructions. The host's own x87 unit computes, so that every bit of a result and every flag is the processor's.
// There are two ways there:
//
// - x87_exact (x87_exact.c) loads the guest's whole x87 state into the host's unit, runs the very instruction, and
//   takes the state back: right for every instruction in every state, at the price of an fxrstor and an fxsave.
// - A fast handler loads only the operands, with all exceptions masked, and keeps the result where no exception came
//   up that the guest has not on record already: then nothing but the result and the condition codes changes, and it
//   does not matter which of the flags in the host's unit are older than this instruction. In all other cases it has
//   changed nothing yet, and x87_exact does it again.
//
// Between two handlers the host's unit is as the ABI wants it, but for exception flags, which are masked there.
#ifndef RINGSIDE_INTERP_X87_H
#define RINGSIDE_INTERP_X87_H

#include "engines/interp/fault.h"
#include "engines/interp/forms.h"

op_fn x87_exact; // op as x87_emit makes it

// An op for an x87 instruction by handler fn: memory operand, if any; src: i of st(i); aux: memory operand's size;
// imm: the eleven bits of opcode that FOP shows.
struct op *x87_emit(struct lower *l, const struct insn *in, op_fn *fn);

// #NM and #MF, in this order, before anything else (SDM vol. 3, 2.5 and vol. 1, 8.6).
static inline void x87_ready(struct cpu *c, const struct op *op)
{
    if (UNLIKELY(c->cr0 & (CR0_EM | CR0_TS)))
        raise_exception(c, op, VEC_NM);
    if (UNLIKELY(c->x87.sw & X87_ES))
        raise_exception(c, op, VEC_MF);
}

// ---- Registers ----

static inline struct x87_register *st(struct x87 *f, unsigned i)
{
    return &f->r[(f->top + i) & 7];
}
static inline uint8_t st_bit(const struct x87 *f, unsigned i) // of f->occupied
{
    return (uint8_t)(1u << ((f->top + i) & 7));
}
static inline void x87_pop(struct x87 *f)
{
    f->occupied &= (uint8_t)~st_bit(f, 0);
    f->top = (f->top + 1) & 7;
}
static inline void x87_push(struct x87 *f) // st(7) has become st(0), its contents are there already
{
    f->top = (f->top - 1) & 7;
    f->occupied |= st_bit(f, 0);
}
// Whole structs would be copied by 16 bytes, which the host cannot forward from the stores of 8 and 2 before.
static inline void x87_copy(struct x87_register *to, const struct x87_register *from)
{
    to->mantissa = from->mantissa;
    to->exponent = from->exponent;
}

static inline void x87_conditions(struct x87 *f, uint16_t which, uint16_t sw)
{
    f->sw = (uint16_t)((f->sw & ~which) | (sw & which));
}

// ---- Fast handlers ----

// May the instruction take its fast path: no trap in the way, and the registers of `full` occupied, of `empty` not?
// With underflow unmasked it may not: then a tiny result is an exception even where it is exact (SDM vol. 1, 8.5.5).
static inline bool x87_fast(const struct cpu *c, uint8_t full, uint8_t empty)
{
    const struct x87 *f = &c->x87;
    return LIKELY(!((c->cr0 & (CR0_EM | CR0_TS)) | f->hold | (~f->occupied & full) | (f->occupied & empty)));
}
// Exceptions that the guest has not on record: fresh ones send the instruction to x87_exact.
static inline uint8_t x87_fresh(const struct x87 *f)
{
    return (uint8_t)~f->sw & X87_EXCEPTIONS;
}

// The host's unit rounds as the guest's from here to there. x87_exact needs no x87_round_back.
static inline void x87_round_as(const struct x87 *f)
{
    if (UNLIKELY(f->run_cw != X87_CW_INIT))
        __asm__ volatile("fldcw %0" : : "m"(f->run_cw));
}
static inline void x87_round_back(const struct x87 *f)
{
    static const uint16_t cw = X87_CW_INIT;
    if (UNLIKELY(f->run_cw != X87_CW_INIT))
        __asm__ volatile("fldcw %0" : : "m"(cw));
}

// Assembly behind the instruction: the status word to ax; off to the label exact if there are fresh exceptions. What is
// still on the host's register stack then, x87_exact overwrites.
#define X87_CHECK                                                                                                      \
    "fnstsw %%ax\n"                                                                                                    \
    "testb %b[fresh], %%al\n"                                                                                          \
    "jnz %l[exact]\n"

#endif

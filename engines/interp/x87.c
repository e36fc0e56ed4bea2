// SPDX-License-Identifier: BSD-2-Clause
// x87 arithmetic and comparisons, and the table from opcode to fast handler. What has none goes the exact way: packed
// decimals, and undocumented encodings of what has one.
#include "engines/interp/x87.h"

#include "engines/interp/flags.h"
#include "engines/interp/x87_move.h"

// ---- fadd, fmul, fsub, fsubr, fdiv, fdivr (SDM vol. 2) ----
// The forms: st(0) and st(i) to st(0) (d8), to st(i) (dc), to st(i) and pop (de); st(0) and m32, m64, m16int, m32int.

// st(0) is the host's st(0), st(second) its st(1). `code` leaves the result in st(0), to be stored for st(target), and
// `drop` is what empties the stack then; `which` condition codes are the instruction's.
#define TWO_OPERANDS_UNLESS(unless, name, second, code, drop, target, which, finish)                                   \
    static HANDLER(name)                                                                                               \
    {                                                                                                                  \
        struct x87 *f = &c->x87;                                                                                       \
        struct x87_register *a = st(f, 0), *b = st(f, second), *r = st(f, target);                                     \
        uint16_t sw;                                                                                                   \
        if (UNLIKELY(!x87_fast(c, st_bit(f, 0) | st_bit(f, second), 0) || (unless)))                                   \
            return x87_exact(c, op);                                                                                   \
        x87_round_as(f);                                                                                               \
        __asm__ goto("fldt %[b]\n"                                                                                     \
                     "fldt %[a]\n" code "\n" X87_CHECK "fstpt %[r]\n" drop                                             \
                     : "=&a"(sw), [r] "=m"(*r)                                                                         \
                     : [a] "m"(*a), [b] "m"(*b), [fresh] "q"(x87_fresh(f))                                             \
                     : "cc", "st", "st(1)"                                                                             \
                     : exact);                                                                                         \
        x87_round_back(f);                                                                                             \
        x87_conditions(f, which, sw);                                                                                  \
        finish;                                                                                                        \
        NEXT;                                                                                                          \
    exact:                                                                                                             \
        return x87_exact(c, op);                                                                                       \
    }
#define TWO_OPERANDS(...) TWO_OPERANDS_UNLESS(false, __VA_ARGS__)
#define DROP_SECOND "fstp %%st(0)"
// digit: of the instruction in modrm.reg; its d8 form with st(1), which leaves st(1), and its de form, which pops.
#define ARITH_REGS(name, digit)                                                                                        \
    TWO_OPERANDS(name##_st0, op->src, ".byte 0xd8, 0xc1 + 8 * " #digit, DROP_SECOND, 0, X87_C1, (void)0)               \
    TWO_OPERANDS(name##_sti, op->src, ".byte 0xde, 0xc1 + 8 * " #digit, "", op->src, X87_C1, (void)0)                  \
    TWO_OPERANDS(name##_pop, op->src, ".byte 0xde, 0xc1 + 8 * " #digit, "", op->src, X87_C1, x87_pop(f))

#define ARITH_MEM(name, bits, code)                                                                                    \
    static HANDLER(name)                                                                                               \
    {                                                                                                                  \
        struct x87 *f = &c->x87;                                                                                       \
        struct x87_register *a = st(f, 0);                                                                             \
        const u##bits##a *m = mem_ptr_read(c, ea(c, op), bits / 8);                                                    \
        uint16_t sw;                                                                                                   \
        if (UNLIKELY(!m || !x87_fast(c, st_bit(f, 0), 0)))                                                             \
            return x87_exact(c, op);                                                                                   \
        x87_round_as(f);                                                                                               \
        __asm__ goto("fldt %[a]\n" code " %[m]\n" X87_CHECK "fstpt %[a]"                                               \
                     : "=&a"(sw), [a] "+m"(*a)                                                                         \
                     : [m] "m"(*m), [fresh] "q"(x87_fresh(f))                                                          \
                     : "cc", "st"                                                                                      \
                     : exact);                                                                                         \
        x87_round_back(f);                                                                                             \
        x87_conditions(f, X87_C1, sw);                                                                                 \
        NEXT;                                                                                                          \
    exact:                                                                                                             \
        return x87_exact(c, op);                                                                                       \
    }
#define ARITH(name, digit, mnemonic)                                                                                   \
    ARITH_REGS(name, digit)                                                                                            \
    ARITH_MEM(name##_m32, 32, "f" mnemonic "s")                                                                        \
    ARITH_MEM(name##_m64, 64, "f" mnemonic "l")                                                                        \
    ARITH_MEM(name##_i16, 16, "fi" mnemonic "s")                                                                       \
    ARITH_MEM(name##_i32, 32, "fi" mnemonic "l")
ARITH(fadd, 0, "add")
ARITH(fmul, 1, "mul")
ARITH(fsub, 4, "sub")
ARITH(fsubr, 5, "subr")
ARITH(fdiv, 6, "div")
ARITH(fdivr, 7, "divr")

// ---- One operand, or st(0) and st(1); the result in st(0), or in st(1) and pop ----

#define UNARY(name, which)                                                                                             \
    static HANDLER(name)                                                                                               \
    {                                                                                                                  \
        struct x87 *f = &c->x87;                                                                                       \
        struct x87_register *a = st(f, 0);                                                                             \
        uint16_t sw;                                                                                                   \
        if (UNLIKELY(!x87_fast(c, st_bit(f, 0), 0)))                                                                   \
            return x87_exact(c, op);                                                                                   \
        x87_round_as(f);                                                                                               \
        __asm__ goto("fldt %[a]\n" #name "\n" X87_CHECK "fstpt %[a]"                                                   \
                     : "=&a"(sw), [a] "+m"(*a)                                                                         \
                     : [fresh] "q"(x87_fresh(f))                                                                       \
                     : "cc", "st"                                                                                      \
                     : exact);                                                                                         \
        x87_round_back(f);                                                                                             \
        x87_conditions(f, which, sw);                                                                                  \
        NEXT;                                                                                                          \
    exact:                                                                                                             \
        return x87_exact(c, op);                                                                                       \
    }
// fprem and fprem1 leave C3 and C0 as they were where there is no quotient: with a NaN, and with what is invalid, which
// only the status word tells.
static inline bool no_remainder(const struct x87 *f, const struct x87_register *a, const struct x87_register *b)
{
    return (f->sw & X87_IE) || (a->exponent & 0x7fff) == 0x7fff || (b->exponent & 0x7fff) == 0x7fff;
}

UNARY(fsqrt, X87_C1)
UNARY(frndint, X87_C1)
UNARY(f2xm1, X87_C1)
UNARY(fsin, X87_C1 | X87_C2) // out of range: C2, and st(0) stays
UNARY(fcos, X87_C1 | X87_C2)
UNARY(ftst, X87_CONDITIONS)
UNARY(fxam, X87_CONDITIONS)
TWO_OPERANDS(fscale, 1, "fscale", DROP_SECOND, 0, X87_C1, (void)0)
TWO_OPERANDS_UNLESS(no_remainder(f, a, b), fprem, 1, "fprem", DROP_SECOND, 0, X87_CONDITIONS, (void)0)
TWO_OPERANDS_UNLESS(no_remainder(f, a, b), fprem1, 1, "fprem1", DROP_SECOND, 0, X87_CONDITIONS, (void)0)
TWO_OPERANDS(fyl2x, 1, "fyl2x", "", 1, X87_C1, x87_pop(f))
TWO_OPERANDS(fyl2xp1, 1, "fyl2xp1", "", 1, X87_C1, x87_pop(f))
TWO_OPERANDS(fpatan, 1, "fpatan", "", 1, X87_C1, x87_pop(f))

// Two results: one in the place of st(0), the other pushed. `check` is for what else the exact way is to do.
#define TWO_RESULTS(name, check, which)                                                                                \
    static HANDLER(name)                                                                                               \
    {                                                                                                                  \
        struct x87 *f = &c->x87;                                                                                       \
        struct x87_register *a = st(f, 0), *pushed = st(f, 7);                                                         \
        uint16_t sw;                                                                                                   \
        if (UNLIKELY(!x87_fast(c, st_bit(f, 0), st_bit(f, 7))))                                                        \
            return x87_exact(c, op);                                                                                   \
        x87_round_as(f);                                                                                               \
        __asm__ goto("fldt %[a]\n" #name "\n" X87_CHECK check "fstpt %[pushed]\n"                                      \
                     "fstpt %[a]"                                                                                      \
                     : "=&a"(sw), [a] "+m"(*a), [pushed] "=m"(*pushed)                                                 \
                     : [fresh] "q"(x87_fresh(f))                                                                       \
                     : "cc", "st", "st(1)"                                                                             \
                     : exact);                                                                                         \
        x87_round_back(f);                                                                                             \
        x87_conditions(f, which, sw);                                                                                  \
        x87_push(f);                                                                                                   \
        NEXT;                                                                                                          \
    exact:                                                                                                             \
        return x87_exact(c, op);                                                                                       \
    }
#define IN_RANGE /* else there is one result, and C2 set in ah */                                                      \
    "testb $4, %%ah\n"                                                                                                 \
    "jnz %l[exact]\n"
TWO_RESULTS(fxtract, "", X87_C1)
TWO_RESULTS(fsincos, IN_RANGE, X87_C1 | X87_C2)
TWO_RESULTS(fptan, IN_RANGE, X87_C1 | X87_C2)

// A sign is changed by no rule but its own: NaNs and all keep the rest (SDM vol. 2, FABS, FCHS).
#define SIGN(name, statement)                                                                                          \
    static HANDLER(name)                                                                                               \
    {                                                                                                                  \
        struct x87 *f = &c->x87;                                                                                       \
        if (UNLIKELY(!x87_fast(c, st_bit(f, 0), 0)))                                                                   \
            return x87_exact(c, op);                                                                                   \
        uint16_t *exponent = &st(f, 0)->exponent;                                                                      \
        statement;                                                                                                     \
        x87_conditions(f, X87_C1, 0);                                                                                  \
        NEXT;                                                                                                          \
    }
SIGN(fchs, *exponent ^= 0x8000)
SIGN(fabs_, *exponent &= 0x7fff)

// ---- fcom, fucom, ficom: C3, C2, C0 (SDM vol. 2, FCOM) ----

#define COMPARE_REG(name, code, keep, finish)                                                                          \
    static HANDLER(name)                                                                                               \
    {                                                                                                                  \
        struct x87 *f = &c->x87;                                                                                       \
        uint16_t sw;                                                                                                   \
        if (UNLIKELY(!x87_fast(c, st_bit(f, 0) | st_bit(f, op->src), 0) || f->sw & keep))                              \
            return x87_exact(c, op);                                                                                   \
        __asm__ goto("fldt %[b]\n"                                                                                     \
                     "fldt %[a]\n" code "\n" X87_CHECK                                                                 \
                     : "=&a"(sw)                                                                                       \
                     : [a] "m"(*st(f, 0)), [b] "m"(*st(f, op->src)), [fresh] "q"(x87_fresh(f))                         \
                     : "cc", "st", "st(1)"                                                                             \
                     : exact);                                                                                         \
        finish;                                                                                                        \
        NEXT;                                                                                                          \
    exact:                                                                                                             \
        return x87_exact(c, op);                                                                                       \
    }
// fcomi and fucomi set ZF, PF and CF as the others set C3, C2 and C0, and clear OF, SF and AF. Whether they clear C1 or
// leave it (SDM vol. 2 says the former, Intel's processors do the latter) is no question where it is 0.
static inline void set_flags(struct cpu *c, uint16_t sw)
{
    flags_load_arith(c, (sw & X87_C3 ? FLAG_ZF : 0) | (sw & X87_C2 ? FLAG_PF : 0) | (sw & X87_C0 ? FLAG_CF : 0));
}
#define COMPARE(name, code)                                                                                            \
    COMPARE_REG(name, code, 0, x87_conditions(f, X87_CONDITIONS, sw))                                                  \
    COMPARE_REG(name##p, code, 0, x87_conditions(f, X87_CONDITIONS, sw); x87_pop(f))                                   \
    COMPARE_REG(name##pp, code, 0, x87_conditions(f, X87_CONDITIONS, sw); x87_pop(f); x87_pop(f))                      \
    COMPARE_REG(name##i, code, X87_C1, set_flags(c, sw))                                                               \
    COMPARE_REG(name##ip, code, X87_C1, set_flags(c, sw); x87_pop(f))
COMPARE(fcom, "fcompp")
COMPARE(fucom, "fucompp")

#define COMPARE_MEM(name, bits, code, finish)                                                                          \
    static HANDLER(name)                                                                                               \
    {                                                                                                                  \
        struct x87 *f = &c->x87;                                                                                       \
        const u##bits##a *m = mem_ptr_read(c, ea(c, op), bits / 8);                                                    \
        uint16_t sw;                                                                                                   \
        if (UNLIKELY(!m || !x87_fast(c, st_bit(f, 0), 0)))                                                             \
            return x87_exact(c, op);                                                                                   \
        __asm__ goto("fldt %[a]\n" code " %[m]\n" X87_CHECK                                                            \
                     : "=&a"(sw)                                                                                       \
                     : [a] "m"(*st(f, 0)), [m] "m"(*m), [fresh] "q"(x87_fresh(f))                                      \
                     : "cc", "st"                                                                                      \
                     : exact);                                                                                         \
        x87_conditions(f, X87_CONDITIONS, sw);                                                                         \
        finish;                                                                                                        \
        NEXT;                                                                                                          \
    exact:                                                                                                             \
        return x87_exact(c, op);                                                                                       \
    }
#define COMPARE_MEMS(name, bits, code)                                                                                 \
    COMPARE_MEM(name, bits, code, (void)0)                                                                             \
    COMPARE_MEM(name##_pop, bits, code, x87_pop(f))
COMPARE_MEMS(fcom_m32, 32, "fcomps")
COMPARE_MEMS(fcom_m64, 64, "fcompl")
COMPARE_MEMS(fcom_i16, 16, "ficomps")
COMPARE_MEMS(fcom_i32, 32, "ficompl")

// ---- From opcode to handler (SDM vol. 2, appendix A, tables) ----

#define ARITH_ROW(form)                                                                                                \
    {                                                                                                                  \
        fadd_##form, fmul_##form, NULL, NULL, fsub_##form, fsubr_##form, fdiv_##form, fdivr_##form                     \
    }
#define ARITH_MEM_ROW(form)                                                                                            \
    {                                                                                                                  \
        fadd_##form, fmul_##form, fcom_##form, fcom_##form##_pop, fsub_##form, fsubr_##form, fdiv_##form, fdivr_##form \
    }
// By opcode d8 to df and the digit in modrm.reg.
static op_fn *const memory_forms[8][8] = {
    ARITH_MEM_ROW(m32), {fld_m32, NULL, fst_m32, fstp_m32},
    ARITH_MEM_ROW(i32), {fild_m32, fisttp_m32, fist_m32, fistp_m32, NULL, fld_m80, NULL, fstp_m80},
    ARITH_MEM_ROW(m64), {fld_m64, fisttp_m64, fst_m64, fstp_m64},
    ARITH_MEM_ROW(i16), {fild_m16, fisttp_m16, fist_m16, fistp_m16, NULL, fild_m64, NULL, fistp_m64},
};
static op_fn *const register_forms[8][8] = {
    {fadd_st0, fmul_st0, fcom, fcomp, fsub_st0, fsubr_st0, fdiv_st0, fdivr_st0},
    {fld_sti, fxch, fnop},
    {fcmovb, fcmove, fcmovbe, fcmovu, NULL, fucompp},
    {fcmovnb, fcmovne, fcmovnbe, fcmovnu, NULL, fucomi, fcomi},
    {fadd_sti, fmul_sti, NULL, NULL, fsub_sti, fsubr_sti, fdiv_sti, fdivr_sti},
    {ffree, NULL, fst_sti, fstp_sti, fucom, fucomp},
    {fadd_pop, fmul_pop, NULL, fcompp, fsub_pop, fsubr_pop, fdiv_pop, fdivr_pop},
    {ffreep, NULL, NULL, NULL, NULL, fucomip, fcomip},
};
// d9 e0 to d9 ff
static op_fn *const single_forms[32] = {
    [0x00] = fchs,    [0x01] = fabs_, [0x04] = ftst,    [0x05] = fxam,    [0x08] = fld1,    [0x09] = fldl2t,
    [0x0a] = fldl2e,  [0x0b] = fldpi, [0x0c] = fldlg2,  [0x0d] = fldln2,  [0x0e] = fldz,    [0x10] = f2xm1,
    [0x11] = fyl2x,   [0x12] = fptan, [0x13] = fpatan,  [0x14] = fxtract, [0x15] = fprem1,  [0x16] = fdecstp,
    [0x17] = fincstp, [0x18] = fprem, [0x19] = fyl2xp1, [0x1a] = fsqrt,   [0x1b] = fsincos, [0x1c] = frndint,
    [0x1d] = fscale,  [0x1e] = fsin,  [0x1f] = fcos,
};

// Everything but control instructions (x87_control.c). The opcode says more than the mnemonic: size and direction.
bool lower_x87(struct lower *l, const struct insn *in, unsigned arg)
{
    unsigned opcode = in->opcode[0] & 7, modrm = in->modrm, digit = modrm >> 3 & 7;
    op_fn *fast = modrm < 0xc0                   ? memory_forms[opcode][digit]
                  : opcode == 1 && modrm >= 0xe0 ? single_forms[modrm & 0x1f]
                                                 : register_forms[opcode][digit];
    (void)arg;
    x87_emit(l, in, fast ? fast : x87_exact);
    return true;
}

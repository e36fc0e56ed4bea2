// SPDX-License-Identifier: BSD-2-Clause
// x87 loads, stores, constants and moves between registers (SDM vol. 1, 8.3.3 and 8.3.4). Conversions are the host's;
// where nothing is converted, registers and memory are copied, signalling NaNs and all.
#include "engines/interp/x87_move.h"

#include "engines/interp/flags.h"
#include "engines/interp/insn_args.h"
#include "engines/interp/x87.h"

// ---- Loads ----

#define LOAD(name, bits, code)                                                                                         \
    HANDLER(name)                                                                                                      \
    {                                                                                                                  \
        struct x87 *f = &c->x87;                                                                                       \
        struct x87_register *r = st(f, 7);                                                                             \
        const u##bits##a *m = mem_ptr_read(c, ea(c, op), bits / 8);                                                    \
        uint16_t sw;                                                                                                   \
        if (UNLIKELY(!m || !x87_fast(c, 0, st_bit(f, 7))))                                                             \
            return x87_exact(c, op);                                                                                   \
        __asm__ goto(code " %[m]\n" X87_CHECK "fstpt %[r]"                                                             \
                     : "=&a"(sw), [r] "=m"(*r)                                                                         \
                     : [m] "m"(*m), [fresh] "q"(x87_fresh(f))                                                          \
                     : "cc", "st"                                                                                      \
                     : exact);                                                                                         \
        x87_conditions(f, X87_C1, 0);                                                                                  \
        x87_push(f);                                                                                                   \
        NEXT;                                                                                                          \
    exact:                                                                                                             \
        return x87_exact(c, op);                                                                                       \
    }
LOAD(fld_m32, 32, "flds")
LOAD(fld_m64, 64, "fldl")
LOAD(fild_m16, 16, "filds")
LOAD(fild_m32, 32, "fildl")
LOAD(fild_m64, 64, "fildll")

HANDLER(fld_m80)
{
    struct x87 *f = &c->x87;
    const uint8_t *m = mem_ptr_read(c, ea(c, op), 10);
    if (UNLIKELY(!m || !x87_fast(c, 0, st_bit(f, 7))))
        return x87_exact(c, op);
    struct x87_register *r = st(f, 7);
    r->mantissa = *(const u64a *)m;
    r->exponent = *(const u16a *)(m + 8);
    x87_conditions(f, X87_C1, 0);
    x87_push(f);
    NEXT;
}

HANDLER(fld_sti)
{
    struct x87 *f = &c->x87;
    if (UNLIKELY(!x87_fast(c, st_bit(f, op->src), st_bit(f, 7))))
        return x87_exact(c, op);
    x87_copy(st(f, 7), st(f, op->src));
    x87_conditions(f, X87_C1, 0);
    x87_push(f);
    NEXT;
}

// All but 1 and 0 are rounded as the control word says (SDM vol. 1, 8.3.8).
#define CONSTANT(name)                                                                                                 \
    HANDLER(name)                                                                                                      \
    {                                                                                                                  \
        struct x87 *f = &c->x87;                                                                                       \
        struct x87_register *r = st(f, 7);                                                                             \
        if (UNLIKELY(!x87_fast(c, 0, st_bit(f, 7))))                                                                   \
            return x87_exact(c, op);                                                                                   \
        x87_round_as(f);                                                                                               \
        __asm__ volatile(#name "\n"                                                                                    \
                               "fstpt %0"                                                                              \
                         : "=m"(*r)                                                                                    \
                         :                                                                                             \
                         : "st");                                                                                      \
        x87_round_back(f);                                                                                             \
        x87_conditions(f, X87_C1, 0);                                                                                  \
        x87_push(f);                                                                                                   \
        NEXT;                                                                                                          \
    }
CONSTANT(fld1)
CONSTANT(fldl2t)
CONSTANT(fldl2e)
CONSTANT(fldpi)
CONSTANT(fldlg2)
CONSTANT(fldln2)
CONSTANT(fldz)

// ---- Stores ----

#define STORE(name, bits, code, finish)                                                                                \
    HANDLER(name)                                                                                                      \
    {                                                                                                                  \
        struct x87 *f = &c->x87;                                                                                       \
        u##bits##a *m = mem_ptr_write(c, ea(c, op), bits / 8), *value = (u##bits##a *)&f->scratch;                     \
        uint16_t sw;                                                                                                   \
        if (UNLIKELY(!m || !x87_fast(c, st_bit(f, 0), 0)))                                                             \
            return x87_exact(c, op);                                                                                   \
        x87_round_as(f);                                                                                               \
        __asm__ goto("fldt %[a]\n" code " %[value]\n" X87_CHECK                                                        \
                     : "=&a"(sw), [value] "=m"(*value)                                                                 \
                     : [a] "m"(*st(f, 0)), [fresh] "q"(x87_fresh(f))                                                   \
                     : "cc", "st"                                                                                      \
                     : exact);                                                                                         \
        x87_round_back(f);                                                                                             \
        *m = *value;                                                                                                   \
        x87_conditions(f, X87_C1, sw);                                                                                 \
        finish;                                                                                                        \
        NEXT;                                                                                                          \
    exact:                                                                                                             \
        return x87_exact(c, op);                                                                                       \
    }
STORE(fst_m32, 32, "fstps", (void)0)
STORE(fst_m64, 64, "fstpl", (void)0)
STORE(fist_m16, 16, "fistps", (void)0)
STORE(fist_m32, 32, "fistpl", (void)0)
STORE(fstp_m32, 32, "fstps", x87_pop(f))
STORE(fstp_m64, 64, "fstpl", x87_pop(f))
STORE(fistp_m16, 16, "fistps", x87_pop(f))
STORE(fistp_m32, 32, "fistpl", x87_pop(f))
STORE(fistp_m64, 64, "fistpll", x87_pop(f))
STORE(fisttp_m16, 16, "fisttps", x87_pop(f))
STORE(fisttp_m32, 32, "fisttpl", x87_pop(f))
STORE(fisttp_m64, 64, "fisttpll", x87_pop(f))

HANDLER(fstp_m80)
{
    struct x87 *f = &c->x87;
    uint8_t *m = mem_ptr_write(c, ea(c, op), 10);
    if (UNLIKELY(!m || !x87_fast(c, st_bit(f, 0), 0)))
        return x87_exact(c, op);
    const struct x87_register *a = st(f, 0);
    *(u64a *)m = a->mantissa;
    *(u16a *)(m + 8) = a->exponent;
    x87_conditions(f, X87_C1, 0);
    x87_pop(f);
    NEXT;
}

#define STORE_STI(name, finish)                                                                                        \
    HANDLER(name)                                                                                                      \
    {                                                                                                                  \
        struct x87 *f = &c->x87;                                                                                       \
        if (UNLIKELY(!x87_fast(c, st_bit(f, 0), 0)))                                                                   \
            return x87_exact(c, op);                                                                                   \
        x87_copy(st(f, op->src), st(f, 0));                                                                            \
        f->occupied |= st_bit(f, op->src);                                                                             \
        x87_conditions(f, X87_C1, 0);                                                                                  \
        finish;                                                                                                        \
        NEXT;                                                                                                          \
    }
STORE_STI(fst_sti, (void)0)
STORE_STI(fstp_sti, x87_pop(f))

// ---- TOP and tags alone ----

#define TURN(name, step)                                                                                               \
    HANDLER(name)                                                                                                      \
    {                                                                                                                  \
        struct x87 *f = &c->x87;                                                                                       \
        x87_ready(c, op);                                                                                              \
        f->top = (f->top + (step)) & 7;                                                                                \
        x87_conditions(f, X87_C1, 0);                                                                                  \
        NEXT;                                                                                                          \
    }
TURN(fincstp, 1)
TURN(fdecstp, -1)

// C1, undefined, is left to the exact way, as with fcomi (x87.c).
#define FREE(name, finish)                                                                                             \
    HANDLER(name)                                                                                                      \
    {                                                                                                                  \
        struct x87 *f = &c->x87;                                                                                       \
        if (UNLIKELY(!x87_fast(c, 0, 0) || f->sw & X87_C1))                                                            \
            return x87_exact(c, op);                                                                                   \
        f->occupied &= (uint8_t)~st_bit(f, op->src);                                                                   \
        finish;                                                                                                        \
        NEXT;                                                                                                          \
    }
FREE(ffree, (void)0)
FREE(ffreep, x87_pop(f))

HANDLER(fnop)
{
    x87_ready(c, op);
    NEXT;
}

// ---- fxch, fcmovcc ----

HANDLER(fxch)
{
    struct x87 *f = &c->x87;
    if (UNLIKELY(!x87_fast(c, st_bit(f, 0) | st_bit(f, op->src), 0)))
        return x87_exact(c, op);
    struct x87_register *a = st(f, 0), *b = st(f, op->src), old = {a->mantissa, a->exponent, {0}};
    x87_copy(a, b);
    x87_copy(b, &old);
    x87_conditions(f, X87_C1, 0);
    NEXT;
}

// C1 is left to the exact way, as with fcomi (x87.c).
#define CMOV(name, cc)                                                                                                 \
    HANDLER(name)                                                                                                      \
    {                                                                                                                  \
        struct x87 *f = &c->x87;                                                                                       \
        if (UNLIKELY(!x87_fast(c, st_bit(f, 0) | st_bit(f, op->src), 0) || f->sw & X87_C1))                            \
            return x87_exact(c, op);                                                                                   \
        if (condition(c, cc))                                                                                          \
            x87_copy(st(f, 0), st(f, op->src));                                                                        \
        NEXT;                                                                                                          \
    }
CMOV(fcmovb, CC_B)
CMOV(fcmove, CC_E)
CMOV(fcmovbe, CC_BE)
CMOV(fcmovu, CC_P)
CMOV(fcmovnb, CC_AE)
CMOV(fcmovne, CC_NE)
CMOV(fcmovnbe, CC_A)
CMOV(fcmovnu, CC_NP)

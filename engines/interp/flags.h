// SPDX-License-Identifier: BSD-2-Clause
// Lazy flags. Every arithmetic instruction leaves its result and its vector of carries; the six flags are read from
// these when somebody asks. The form is the same after every instruction, so reading needs no switch.
//
// For an addition r = a + b (+ CF) the carry out of each bit is (a & b) | ((a | b) & ~r); for a subtraction
// r = a - b (- CF) the borrow is (~a & b) | ((~a | b) & r). Shifted left so that the operand's top bit is bit 63,
// CF is bit 63 and OF = CF ^ carry into the top bit = bit 63 ^ bit 62; the carry out of bit 3, AF, is kept at bit 3.
#ifndef RINGSIDE_INTERP_FLAGS_H
#define RINGSIDE_INTERP_FLAGS_H

#include "engines/interp/op.h"

#define CARRY_AF 0x8ull
#define CARRY_CF (1ull << 63)
#define CARRY_TOP (1ull << 62)

static inline uint64_t sign_extend(uint64_t v, unsigned bits)
{
    return (uint64_t)((int64_t)(v << (64 - bits)) >> (64 - bits));
}

// Carries of a `bits` wide operation, from the raw vector.
static inline uint64_t place_carries(uint64_t raw, unsigned bits)
{
    return bits == 64 ? raw : (raw << (64 - bits)) | (raw & CARRY_AF);
}

static inline void flags_set(struct cpu *c, uint64_t result, uint64_t carries, unsigned bits)
{
    c->result = sign_extend(result, bits);
    c->carries = carries;
    c->delta = 0;
}
static inline void flags_add(struct cpu *c, uint64_t a, uint64_t b, uint64_t r, unsigned bits)
{
    flags_set(c, r, place_carries((a & b) | ((a | b) & ~r), bits), bits);
}
static inline void flags_sub(struct cpu *c, uint64_t a, uint64_t b, uint64_t r, unsigned bits)
{
    flags_set(c, r, place_carries((~a & b) | ((~a | b) & r), bits), bits);
}
static inline void flags_logic(struct cpu *c, uint64_t r, unsigned bits) // CF = OF = 0; AF, undefined, is 0
{
    flags_set(c, r, 0, bits);
}
// Result flags from r, CF and OF as given, AF 0: shifts, multiplications.
static inline void flags_cf_of(struct cpu *c, uint64_t r, bool cf, bool of, unsigned bits)
{
    flags_set(c, r, (cf ? CARRY_CF : 0) | (cf != of ? CARRY_TOP : 0), bits);
}

static inline bool flag_cf(const struct cpu *c)
{
    return c->carries >> 63;
}
static inline bool flag_of(const struct cpu *c)
{
    return (c->carries ^ (c->carries << 1)) >> 63;
}
static inline bool flag_zf(const struct cpu *c)
{
    return c->result == 0;
}
static inline bool flag_sf(const struct cpu *c)
{
    return (c->result >> 63) ^ ((c->delta & FLAG_SF) != 0);
}
static inline bool flag_pf(const struct cpu *c)
{
    return !__builtin_parity((uint8_t)c->result) ^ ((c->delta & FLAG_PF) != 0);
}
static inline bool flag_af(const struct cpu *c)
{
    return (c->carries & CARRY_AF) != 0;
}

static inline uint64_t flags_arith(const struct cpu *c)
{
    return (flag_cf(c) ? FLAG_CF : 0) | (flag_pf(c) ? FLAG_PF : 0) | (flag_af(c) ? FLAG_AF : 0) |
           (flag_zf(c) ? FLAG_ZF : 0) | (flag_sf(c) ? FLAG_SF : 0) | (flag_of(c) ? FLAG_OF : 0);
}
static inline uint64_t flags_read(const struct cpu *c) // the whole register
{
    return c->rflags | FLAG_FIXED1 | flags_arith(c);
}

// Set the six flags to what the bits of f say. result is 0 for ZF, else 1 (SF 0, PF 0); delta mends the others.
static inline void flags_load_arith(struct cpu *c, uint64_t f)
{
    bool cf = f & FLAG_CF, of = f & FLAG_OF;
    c->result = f & FLAG_ZF ? 0 : 1;
    c->carries = (cf ? CARRY_CF : 0) | (cf != of ? CARRY_TOP : 0) | (f & FLAG_AF ? CARRY_AF : 0);
    bool pf_of_result = c->result == 0; // 0 has even parity, 1 has not
    c->delta = (f & FLAG_SF) | (((f & FLAG_PF) != 0) != pf_of_result ? FLAG_PF : 0);
}
// Change only CF (bt, clc, cmc, ...); OF and all others stay.
static inline void flags_change_cf(struct cpu *c, bool cf)
{
    uint64_t of = (c->carries ^ (c->carries << 1)) & CARRY_CF;
    uint64_t new_cf = cf ? CARRY_CF : 0;
    c->carries = (c->carries & ~(CARRY_CF | CARRY_TOP)) | new_cf | ((new_cf ^ of) >> 1);
}

// The sixteen conditions of jcc, setcc and cmovcc (SDM vol. 1, appendix B); cc is a constant wherever speed counts. No
// short-cut operators: branches inside a condition would be branches that the host mispredicts.
static inline bool condition(const struct cpu *c, unsigned cc)
{
    bool v;
    switch (cc >> 1) {
    case 0:
        v = flag_of(c);
        break;
    case 1:
        v = flag_cf(c);
        break;
    case 2:
        v = flag_zf(c);
        break;
    case 3:
        v = flag_cf(c) | flag_zf(c);
        break;
    case 4:
        v = flag_sf(c);
        break;
    case 5:
        v = flag_pf(c);
        break;
    case 6:
        v = flag_sf(c) != flag_of(c);
        break;
    default:
        v = flag_zf(c) | (flag_sf(c) != flag_of(c));
    }
    return v ^ (cc & 1);
}

#endif

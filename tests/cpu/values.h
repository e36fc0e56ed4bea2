// SPDX-License-Identifier: BSD-2-Clause
// Values that floating point and vector instructions find hard: NaNs with and without payload, quiet and signalling,
// infinities, zeros of both signs, denormals and their edges, halfway cases, edges of integers, encodings of 80 bits
// that are not supported.
#ifndef RINGSIDE_TESTS_CPU_VALUES_H
#define RINGSIDE_TESTS_CPU_VALUES_H

#include <string.h>

#include "tests/cpu/case.h"
#include "tests/cpu/rows.h"

// sign, exponent and fraction of an IEEE format, from the same choices for all widths.
static uint64_t any_ieee(uint64_t *rng, unsigned exponent_bits, unsigned fraction_bits)
{
    uint64_t sign = rng_next(rng) & 1, max = (1ull << exponent_bits) - 1, bias = max >> 1;
    uint64_t ones = (1ull << fraction_bits) - 1, fraction = rng_next(rng) & ones, exponent;
    switch (rng_below(rng, 16)) {
    case 0: // zero
        exponent = fraction = 0;
        break;
    case 1: // infinity
        exponent = max, fraction = 0;
        break;
    case 2: // NaN, quiet or signalling
        exponent = max;
        fraction = one_in(rng, 3) ? 1ull << rng_below(rng, fraction_bits) : fraction | 1;
        break;
    case 3: // denormal
        exponent = 0;
        fraction = one_in(rng, 2) ? fraction >> rng_below(rng, fraction_bits) : one_in(rng, 2) ? ones : 1;
        break;
    case 4: // the smallest and the largest normal numbers
        exponent = one_in(rng, 2) ? 1 + rng_below(rng, 3) : max - 1 - rng_below(rng, 3);
        fraction = one_in(rng, 2) ? 0 : one_in(rng, 2) ? ones : fraction;
        break;
    case 5: // half of the range, for products and quotients at its ends
        exponent = bias / 2 + rng_below(rng, bias + fraction_bits);
        break;
    case 6: // one, and next to it
        exponent = bias - rng_below(rng, 2);
        fraction = rng_below(rng, 3) ? 0 : one_in(rng, 2) ? 1 : ones;
        break;
    case 7: // halves, and around the edges of integers
        exponent = bias + (uint64_t[]){7, 15, 31, 63, fraction_bits, fraction_bits - 1, 0, 1}[rng_below(rng, 8)];
        fraction = one_in(rng, 2)   ? 0
                   : one_in(rng, 2) ? ones << rng_below(rng, 32) & ones
                                    : 1ull << rng_below(rng, fraction_bits);
        break;
    case 8:
    case 9:
    case 10: // small integers and fractions
        exponent = bias - 4 + rng_below(rng, 40);
        fraction = one_in(rng, 2) ? fraction & ~(ones >> rng_below(rng, 12)) : fraction;
        break;
    case 11:
    case 12: // near each other, for cancellation
        exponent = bias + rng_below(rng, 3);
        break;
    default:
        exponent = rng_next(rng) & max;
    }
    exponent = exponent > max ? max - 1 : exponent;
    return sign << (exponent_bits + fraction_bits) | exponent << fraction_bits | fraction;
}

static void put_f80(uint64_t *rng, uint8_t out[10])
{
    uint64_t sign = rng_next(rng) & 1, fraction = rng_next(rng), exponent;
    uint64_t wide = any_ieee(rng, 11, 52);
    switch (rng_below(rng, 8)) {
    case 0: // encodings that no operation gives (SDM vol. 1, 8.2.2), pseudo-denormals among them
        exponent = one_in(rng, 3) ? 0 : one_in(rng, 2) ? 0x7fff : 0x3fff;
        fraction = exponent ? fraction & INT64_MAX : fraction | 1ull << 63;
        break;
    case 1:
        exponent = rng_below(rng, 0x8000);
        fraction |= 1ull << 63;
        break;
    case 2: // ends of the range
        exponent = one_in(rng, 2) ? rng_below(rng, 70) : 0x7ffe - rng_below(rng, 70);
        fraction = exponent ? fraction | 1ull << 63 : fraction >> rng_below(rng, 63) & INT64_MAX;
        break;
    case 3: // integers
        exponent = 0x3fff + rng_below(rng, 66);
        fraction = one_in(rng, 2) ? 1ull << 63 : (fraction | 1ull << 63) & ~(UINT64_MAX >> (1 + rng_below(rng, 63)));
        break;
    default: // a double's choices
        exponent = wide >> 52 & 0x7ff;
        fraction = 1ull << 63 | wide << 11 | (one_in(rng, 2) ? 0 : rng_next(rng) & 0x7ff);
        if (exponent == 0x7ff)
            exponent = 0x7fff;
        else if (exponent == 0)
            fraction = wide << 11 & INT64_MAX;
        else
            exponent += 0x3fff - 0x3ff;
    }
    exponent |= sign << 15;
    memcpy(out, &fraction, 8);
    memcpy(out + 8, &exponent, 2);
}

static uint64_t any_lane(uint64_t *rng)
{
    static const uint64_t edge[] = {0,
                                    ~0ull,
                                    0x8000800080008000,
                                    0x7fff7fff7fff7fff,
                                    0x8080808080808080,
                                    0x7f7f7f7f7f7f7f7f,
                                    0x8000000080000000,
                                    0x7fffffff7fffffff,
                                    1ull << 63,
                                    INT64_MAX,
                                    0x0001000100010001,
                                    0x0101010101010101};
    return one_in(rng, 4) ? edge[rng_below(rng, sizeof edge / sizeof edge[0])] : rng_next(rng);
}

static uint64_t any_decimal(uint64_t *rng) // 16 digits of packed BCD, some of them none
{
    uint64_t v = 0;
    for (unsigned i = 0; i < 16; i++)
        v = v << 4 | rng_below(rng, one_in(rng, 40) ? 16 : 10);
    return v;
}

static uint64_t any_short(uint64_t *rng)
{
    uint64_t v = rng_next(rng);
    switch (rng_below(rng, 4)) {
    case 0: // each half few bits
        return (v & 0x3f) | (v >> 32 & 0x3f) << 32;
    case 1:
        return (uint64_t)((int64_t)v >> rng_below(rng, 63));
    case 2: // bytes of a small alphabet
        return (v & 0x0303030303030303) + (one_in(rng, 2) ? 0x4040404040404040 : 0);
    default:
        return rng_below(rng, 80);
    }
}

static void put_lanes(uint64_t *rng, enum data data, uint8_t *out, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i += 8) {
        uint64_t v;
        switch (data) {
        case DATA_F16:
            v = any_ieee(rng, 5, 10) | any_ieee(rng, 5, 10) << 16 | any_ieee(rng, 5, 10) << 32 |
                any_ieee(rng, 5, 10) << 48;
            break;
        case DATA_F32:
            v = any_ieee(rng, 8, 23) | any_ieee(rng, 8, 23) << 32;
            break;
        case DATA_F64:
            v = any_ieee(rng, 11, 52);
            break;
        case DATA_SHORT:
            v = any_short(rng);
            break;
        case DATA_DECIMAL:
            v = any_decimal(rng);
            break;
        default:
            v = any_lane(rng);
        }
        memcpy(out + i, &v, 8);
    }
}

static uint32_t any_mxcsr(uint64_t *rng)
{
    uint32_t v = MXCSR_DEFAULT | (uint32_t)(rng_next(rng) & 0x6000);
    if (one_in(rng, 3))
        v &= ~((uint32_t)rng_next(rng) & 0x1f80); // unmasked
    if (one_in(rng, 3))
        v |= (uint32_t)rng_next(rng) & 0x3f; // sticky flags
    if (one_in(rng, 4))
        v |= 0x40; // DAZ
    if (one_in(rng, 4))
        v |= 0x8000; // FTZ
    return one_in(rng, 3) ? MXCSR_DEFAULT : v;
}

static uint16_t any_fcw(uint64_t *rng)
{
    uint16_t v = (uint16_t)(FCW_DEFAULT | (rng_next(rng) & 0xf00));
    if (one_in(rng, 2))
        v &= (uint16_t)~0x300, v |= (uint16_t)((uint16_t[]){0, 0x200, 0x300}[rng_below(rng, 3)]);
    if (one_in(rng, 3))
        v &= (uint16_t) ~(rng_next(rng) & 0x3f);
    return one_in(rng, 3) ? FCW_DEFAULT : v;
}

// All registers, of the kind that the instruction works on. x87: mostly something on the stack, seldom an exception
// that waits.
static void fill_fpu(uint64_t *rng, struct test_case *t, enum data data, bool x87)
{
    struct fpu *f = &t->fpu;
    t->vector = true;
    for (unsigned i = 0; i < 16; i++)
        put_lanes(rng, one_in(rng, 8) ? (enum data)rng_below(rng, DATA_F64 + 1) : data, f->ymm[i], 32);
    for (unsigned i = 0; i < 8; i++)
        put_f80(rng, f->st[i]);
    if (!x87 && one_in(rng, 2)) // MMX registers
        for (unsigned i = 0; i < 8; i++)
            put_lanes(rng, data, f->st[i], 8);
    f->mxcsr = any_mxcsr(rng);
    f->fcw = any_fcw(rng);
    f->fsw = (uint16_t)(rng_next(rng) & 0x4700);
    f->fsw |= (uint16_t)(rng_below(rng, 8) << 11);
    if (one_in(rng, 4))
        f->fsw |= (uint16_t)(rng_next(rng) & 0x7f & (f->fcw | 0x40)); // masked exceptions, stack fault
    if (one_in(rng, 40))
        f->fsw |= (uint16_t)(rng_next(rng) & 0x3f);
    f->ftw = x87 ? (one_in(rng, 6)   ? (uint8_t)rng_next(rng)
                    : one_in(rng, 4) ? 0x7f
                    : one_in(rng, 6) ? 0
                                     : 0xff)
                 : (uint8_t)(one_in(rng, 2) ? 0 : rng_next(rng));
    if (f->fsw & ~f->fcw & 0x3f) // the summary and its copy, as the processor has them
        f->fsw |= 0x8080;
}

#endif

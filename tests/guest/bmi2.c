// SPDX-License-Identifier: BSD-2-Clause
// bzhi, mulx, pdep, pext, rorx, sarx, shlx, shrx: values; flags stay untouched but by bzhi (SDM vol. 2).
#include "tests/guest/feature.h"
#include "tests/guest/sweep.h"

IMAGE("bmi2");

#define THREE_AT(op, width, modifier)                                                                                  \
    static struct result op##_##width(uint64_t a, uint64_t b, uint64_t flags)                                          \
    {                                                                                                                  \
        uint64_t r;                                                                                                    \
        __asm__("pushq %[f]; popfq; " #op " %" modifier "[b], %" modifier "[a], %" modifier "[r]; pushfq; popq %[f]"   \
                : [r] "=&r"(r), [f] "+r"(flags)                                                                        \
                : [a] "r"(a), [b] "r"(b)                                                                               \
                : "cc", "memory");                                                                                     \
        return (struct result){r, flags};                                                                              \
    }
#define THREE(op) THREE_AT(op, 32, "k") THREE_AT(op, 64, "q")
THREE(bzhi);
THREE(pdep);
THREE(pext);
THREE(sarx);
THREE(shlx);
THREE(shrx);

enum kind { BZHI, PDEP, PEXT, SARX, SHLX, SHRX };

// pdep: the low bits of a go, in order, to where mask has ones; pext: the other way round.
static uint64_t scatter(enum kind kind, uint64_t a, uint64_t mask)
{
    uint64_t r = 0;
    for (unsigned i = 0, k = 0; i < 64; i++)
        if (mask >> i & 1) {
            r |= kind == PDEP ? (a >> k & 1) << i : (a >> i & 1) << k;
            k++;
        }
    return r;
}

static uint64_t want(enum kind kind, uint64_t a, uint64_t b, unsigned width)
{
    uint64_t mask = width_mask(width), s = a & mask;
    unsigned count = b & (width - 1);
    switch (kind) {
    case BZHI:
        return (b & 0xff) < width ? s & ~(~0ull << (b & 0xff)) : s;
    case PDEP:
    case PEXT:
        return scatter(kind, s, b & mask);
    case SARX:
        return (uint64_t)((int64_t)(a << (64 - width)) >> (64 - width) >> count) & mask;
    case SHLX:
        return s << count & mask;
    default:
        return s >> count;
    }
}

static void sweep(const char *name, enum kind kind, unsigned width, struct result (*op)(uint64_t, uint64_t, uint64_t))
{
    unsigned bad = 0;
    for (unsigned i = 0; i < BOUNDARIES; i++)
        for (unsigned j = 0; j < BOUNDARIES; j++) {
            uint64_t a = boundary[i] ^ 0x123456789abcdef0, b = boundary[j] ^ (i & 1 ? 0x35 : 0);
            uint64_t in = FLAG_FIXED1 | (i & 1 ? FLAGS_ARITH : 0), defined = FLAGS_ARITH;
            struct result w = {want(kind, a, b, width), in};
            if (kind == BZHI) {
                w.flags = (result_flags(w.value, width) & (FLAG_SF | FLAG_ZF)) | ((b & 0xff) >= width ? FLAG_CF : 0);
                defined &= ~(uint64_t)(FLAG_AF | FLAG_PF);
            }
            sweep_compare(&bad, name, a, b, op(a, b, in), w, defined);
        }
    check_record(bad == 0, name, bad, 0);
}

static void mulx_and_rorx(void)
{
    uint64_t low, high, factor = 0xfedcba9876543210, other = 0x0f1e2d3c4b5a6978;
    __asm__("mulx %3, %0, %1" : "=r"(low), "=r"(high) : "d"(factor), "r"(other));
    unsigned __int128 product = (unsigned __int128)factor * other;
    CHECK_EQ(low, (uint64_t)product);
    CHECK_EQ(high, (uint64_t)(product >> 64));
    __asm__("mulx %k3, %k0, %k1" : "=r"(low), "=r"(high) : "d"(factor), "r"(other));
    product = (unsigned __int128)(uint32_t)factor * (uint32_t)other;
    CHECK_EQ(low, (uint32_t)product);
    CHECK_EQ(high, (uint32_t)(product >> 32));
    __asm__("mulx %2, %0, %0" : "=r"(high) : "d"(factor), "r"(other)); // both the same: it holds the upper half
    CHECK_EQ(high, (uint64_t)(((unsigned __int128)factor * other) >> 64));

    uint64_t r, flags;
    __asm__("stc; rorx $20, %2, %0; pushfq; popq %1" : "=&r"(r), "=r"(flags) : "r"(factor) : "cc", "memory");
    CHECK_EQ(r, factor >> 20 | factor << 44);
    CHECK(flags & FLAG_CF);
    __asm__("rorx $20, %k1, %k0" : "=r"(r) : "r"(factor));
    CHECK_EQ(r, (uint32_t)((uint32_t)factor >> 20 | (uint32_t)factor << 12));
}

int image_main(void)
{
    if (!HAS_BMI2) {
        skip("no BMI2");
        return 0;
    }
    sweep("bzhi 32", BZHI, 32, bzhi_32), sweep("bzhi 64", BZHI, 64, bzhi_64);
    sweep("pdep 32", PDEP, 32, pdep_32), sweep("pdep 64", PDEP, 64, pdep_64);
    sweep("pext 32", PEXT, 32, pext_32), sweep("pext 64", PEXT, 64, pext_64);
    sweep("sarx 32", SARX, 32, sarx_32), sweep("sarx 64", SARX, 64, sarx_64);
    sweep("shlx 32", SHLX, 32, shlx_32), sweep("shlx 64", SHLX, 64, shlx_64);
    sweep("shrx 32", SHRX, 32, shrx_32), sweep("shrx 64", SHRX, 64, shrx_64);
    mulx_and_rorx();
    return 0;
}

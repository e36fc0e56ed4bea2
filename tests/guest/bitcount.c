// SPDX-License-Identifier: BSD-2-Clause
// popcnt, lzcnt and tzcnt with their flags, all widths (SDM vol. 2, POPCNT, LZCNT, TZCNT).
#include "tests/guest/feature.h"
#include "tests/guest/sweep.h"

IMAGE("bitcount");

#define COUNT_AT(op, width, modifier)                                                                                  \
    static struct result op##_##width(uint64_t source)                                                                 \
    {                                                                                                                  \
        uint64_t r = 0x5555555555555555, flags;                                                                        \
        __asm__(#op " %" modifier "[s], %" modifier "[r]; pushfq; popq %[f]"                                           \
                : [r] "+r"(r), [f] "=&r"(flags)                                                                        \
                : [s] "r"(source)                                                                                      \
                : "cc", "memory");                                                                                     \
        return (struct result){r, flags};                                                                              \
    }
#define COUNT(op) COUNT_AT(op, 16, "w") COUNT_AT(op, 32, "k") COUNT_AT(op, 64, "q")
COUNT(popcnt);
COUNT(lzcnt);
COUNT(tzcnt);

enum kind { POPCNT, LZCNT, TZCNT };

static struct result want(enum kind kind, uint64_t source, unsigned width)
{
    uint64_t s = source & width_mask(width), count = 0;
    if (kind == POPCNT)
        for (; s; s &= s - 1)
            count++;
    else
        while (count < width && !(s >> (kind == LZCNT ? width - 1 - count : count) & 1))
            count++;
    uint64_t flags = kind == POPCNT ? 0 : count == width ? FLAG_CF : 0;
    return (struct result){register_after(0x5555555555555555, count, width), flags | (count ? 0 : FLAG_ZF)};
}

static void sweep(const char *name, enum kind kind, unsigned width, struct result (*op)(uint64_t))
{
    unsigned bad = 0;
    for (unsigned i = 0; i < BOUNDARIES; i++)
        for (unsigned shift = 0; shift < 3; shift++) {
            uint64_t s = boundary[i] << shift;
            sweep_compare(&bad, name, s, 0, op(s), want(kind, s, width),
                          kind == POPCNT ? FLAGS_ARITH : FLAG_CF | FLAG_ZF);
        }
    check_record(bad == 0, name, bad, 0);
}

int image_main(void)
{
    if (HAS_POPCNT)
        sweep("popcnt 16", POPCNT, 16, popcnt_16), sweep("popcnt 32", POPCNT, 32, popcnt_32),
            sweep("popcnt 64", POPCNT, 64, popcnt_64);
    else
        skip("no popcnt");
    if (HAS_LZCNT)
        sweep("lzcnt 16", LZCNT, 16, lzcnt_16), sweep("lzcnt 32", LZCNT, 32, lzcnt_32),
            sweep("lzcnt 64", LZCNT, 64, lzcnt_64);
    else
        skip("no lzcnt");
    if (HAS_BMI1)
        sweep("tzcnt 16", TZCNT, 16, tzcnt_16), sweep("tzcnt 32", TZCNT, 32, tzcnt_32),
            sweep("tzcnt 64", TZCNT, 64, tzcnt_64);
    else
        skip("no tzcnt (BMI1)");
    return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
// andn, bextr, blsi, blsmsk, blsr: values and defined flags, 32 and 64 bits (SDM vol. 2).
#include "tests/guest/feature.h"
#include "tests/guest/judge.h"
#include "tests/guest/sweep.h"

IMAGE("bmi1");

#define THREE_AT(op, width, modifier)                                                                                  \
    static struct result op##_##width(uint64_t a, uint64_t b)                                                          \
    {                                                                                                                  \
        uint64_t r, flags;                                                                                             \
        __asm__(#op " %" modifier "[b], %" modifier "[a], %" modifier "[r]; pushfq; popq %[f]"                         \
                : [r] "=r"(r), [f] "=&r"(flags)                                                                        \
                : [a] "r"(a), [b] "r"(b)                                                                               \
                : "cc", "memory");                                                                                     \
        return (struct result){r, flags};                                                                              \
    }
#define TWO_AT(op, width, modifier)                                                                                    \
    static struct result op##_##width(uint64_t a, uint64_t b)                                                          \
    {                                                                                                                  \
        uint64_t r, flags;                                                                                             \
        (void)b;                                                                                                       \
        __asm__(#op " %" modifier "[a], %" modifier "[r]; pushfq; popq %[f]"                                           \
                : [r] "=r"(r), [f] "=&r"(flags)                                                                        \
                : [a] "r"(a)                                                                                           \
                : "cc", "memory");                                                                                     \
        return (struct result){r, flags};                                                                              \
    }
#define THREE(op) THREE_AT(op, 32, "k") THREE_AT(op, 64, "q")
#define TWO(op) TWO_AT(op, 32, "k") TWO_AT(op, 64, "q")
THREE(andn);
THREE(bextr);
TWO(blsi);
TWO(blsmsk);
TWO(blsr);

enum kind { ANDN, BEXTR, BLSI, BLSMSK, BLSR };

static uint64_t extract(uint64_t a, uint64_t control, unsigned width)
{
    unsigned start = control & 0xff, length = control >> 8 & 0xff;
    if (start >= width || !length)
        return 0;
    return (a & width_mask(width)) >> start & width_mask(length < 64 ? length : 64);
}

static struct result want(enum kind kind, uint64_t a, uint64_t b, unsigned width)
{
    uint64_t mask = width_mask(width), s = a & mask;
    uint64_t r = kind == ANDN     ? ~a & b & mask
                 : kind == BEXTR  ? extract(a, b, width)
                 : kind == BLSI   ? s & -s & mask
                 : kind == BLSMSK ? (s ^ (s - 1)) & mask
                                  : s & (s - 1);
    uint64_t flags = result_flags(r, width) & (FLAG_SF | FLAG_ZF);
    if (kind == BLSI ? s != 0 : kind > BLSI && s == 0)
        flags |= FLAG_CF;
    return (struct result){r, flags};
}

static void sweep(const char *name, enum kind kind, unsigned width, struct result (*op)(uint64_t, uint64_t))
{
    static const uint64_t controls[] = {0, 0x100, 0x804, 0x2000, 0x4000, 0x2010, 0x103f, 0x11f, 0x120, 0x440, 0xff00};
    uint64_t defined = kind == BEXTR ? FLAG_ZF | FLAG_CF | FLAG_OF : FLAG_SF | FLAG_ZF | FLAG_CF | FLAG_OF;
    unsigned bad = 0;
    for (unsigned i = 0; i < BOUNDARIES; i++)
        for (unsigned j = 0; j < sizeof controls / sizeof *controls; j++)
            sweep_compare(&bad, name, boundary[i], controls[j], op(boundary[i], controls[j]),
                          want(kind, boundary[i], controls[j], width), defined);
    check_record(bad == 0, name, bad, 0);
}

int image_main(void)
{
    if (!HAS_BMI1) {
        skip("no BMI1");
        return 0;
    }
    sweep("andn 32", ANDN, 32, andn_32), sweep("andn 64", ANDN, 64, andn_64);
    // SDM: CF = 0 if and only if the source is 0. QEMU has it the other way round.
    sweep(NOT_QEMU "blsi 32", BLSI, 32, blsi_32), sweep(NOT_QEMU "blsi 64", BLSI, 64, blsi_64);
    sweep("blsmsk 32", BLSMSK, 32, blsmsk_32), sweep("blsmsk 64", BLSMSK, 64, blsmsk_64);
    sweep("blsr 32", BLSR, 32, blsr_32), sweep("blsr 64", BLSR, 64, blsr_64);
    sweep("bextr 32", BEXTR, 32, bextr_32), sweep("bextr 64", BEXTR, 64, bextr_64);
    return 0;
}

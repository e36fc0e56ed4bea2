// SPDX-License-Identifier: BSD-2-Clause
// Shifts and rotates by cl: values and defined flags at boundary values, all widths, many counts. A masked
// count of 0 changes no flag; OF is defined for 1 only; AF never after a shift (SDM vol. 2, SAL/SAR/SHL/SHR,
// RCL/RCR/ROL/ ROR).
#include "tests/guest/sweep.h"

IMAGE("shift");

typedef struct result op_fn(uint64_t a, uint64_t count, uint64_t flags);

#define OP_AT(op, width, modifier)                                                                                     \
    static struct result op##_##width(uint64_t a, uint64_t count, uint64_t flags)                                      \
    {                                                                                                                  \
        __asm__("pushq %[f]; popfq; " #op " %%cl, %" modifier "[a]; pushfq; popq %[f]"                                 \
                : [a] "+r"(a), [f] "+r"(flags)                                                                         \
                : "c"(count)                                                                                           \
                : "cc", "memory");                                                                                     \
        return (struct result){a, flags};                                                                              \
    }
#define OP(op) OP_AT(op, 8, "b") OP_AT(op, 16, "w") OP_AT(op, 32, "k") OP_AT(op, 64, "q")
OP(shl);
OP(shr);
OP(sar);
OP(rol);
OP(ror);
OP(rcl);
OP(rcr);

enum kind { SHL, SHR, SAR, ROL, ROR, RCL, RCR };

struct bits {
    uint64_t value;
    unsigned carry;
};

// One step by one bit; bits come out into carry.
static struct bits step(enum kind kind, struct bits s, unsigned width)
{
    unsigned low = s.value & 1, high = s.value >> (width - 1) & 1;
    bool left = kind == SHL || kind == ROL || kind == RCL;
    unsigned in = kind == SAR ? high : kind == ROL ? high : kind == ROR ? low : kind >= RCL ? s.carry : 0;
    if (left)
        return (struct bits){((s.value << 1) | in) & width_mask(width), high};
    return (struct bits){(s.value >> 1) | (uint64_t)in << (width - 1), low};
}

static struct result want(enum kind kind, uint64_t a, unsigned count, uint64_t in, unsigned width)
{
    unsigned masked = count & (width == 64 ? 63 : 31);
    struct bits s = {a & width_mask(width), in & FLAG_CF};
    for (unsigned i = 0; i < masked; i++)
        s = step(kind, s, width);
    struct result r = {register_after(a, s.value, width), in};
    if (!masked)
        return r;
    unsigned top = s.value >> (width - 1) & 1, next = s.value >> (width - 2) & 1;
    bool left = kind == SHL || kind == ROL || kind == RCL;
    r.flags = (in & ~(uint64_t)(FLAG_CF | FLAG_OF)) | (s.carry ? FLAG_CF : 0);
    if (left ? top ^ s.carry : top ^ next)
        r.flags |= FLAG_OF;
    if (kind <= SAR)
        r.flags = (r.flags & (FLAG_CF | FLAG_OF)) | result_flags(s.value, width);
    return r;
}

static uint64_t defined(enum kind kind, unsigned count, unsigned width)
{
    unsigned masked = count & (width == 64 ? 63 : 31);
    uint64_t flags = FLAGS_ARITH;
    if (masked > 1)
        flags &= ~(uint64_t)FLAG_OF;
    if (masked && kind <= SAR)
        flags &= ~(uint64_t)FLAG_AF;
    if (masked >= width && (kind == SHL || kind == SHR))
        flags &= ~(uint64_t)FLAG_CF;
    return flags;
}

static void sweep(const char *name, enum kind kind, unsigned width, op_fn *op)
{
    static const uint8_t counts[] = {0, 1, 2, 7, 8, 9, 15, 16, 17, 18, 31, 32, 33, 63, 64, 65, 255};
    unsigned bad = 0;
    for (unsigned i = 0; i < BOUNDARIES; i++)
        for (unsigned j = 0; j < sizeof counts; j++) {
            uint64_t a = boundary[i] ^ (boundary[i] << 17 & 0x123456789abcdef), n = counts[j];
            uint64_t in = FLAG_FIXED1 | (i & 1 ? FLAGS_ARITH : 0);
            sweep_compare(&bad, name, a, n, op(a, n, in), want(kind, a, n, in, width), defined(kind, n, width));
        }
    check_record(bad == 0, name, bad, 0);
}

#define SWEEP(op, kind)                                                                                                \
    sweep(#op " 8", kind, 8, op##_8), sweep(#op " 16", kind, 16, op##_16), sweep(#op " 32", kind, 32, op##_32),        \
        sweep(#op " 64", kind, 64, op##_64)

int image_main(void)
{
    SWEEP(shl, SHL);
    SWEEP(shr, SHR);
    SWEEP(sar, SAR);
    SWEEP(rol, ROL);
    SWEEP(ror, ROR);
    SWEEP(rcl, RCL);
    SWEEP(rcr, RCR);
    return 0;
}

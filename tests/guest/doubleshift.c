// SPDX-License-Identifier: BSD-2-Clause
// shld and shrd by cl and by an immediate: values, CF, SF, ZF, PF; OF for a count of 1; nothing changes for 0; a 16-bit
// shift by more than 16 is undefined (SDM vol. 2, SHLD, SHRD).
#include "tests/guest/sweep.h"

IMAGE("doubleshift");

#define SHIFT_AT(op, width, modifier)                                                                                  \
    static struct result op##_##width(uint64_t a, uint64_t b, uint64_t count)                                          \
    {                                                                                                                  \
        uint64_t flags;                                                                                                \
        __asm__("pushq $0x897; popfq; " #op " %%cl, %" modifier "[b], %" modifier "[a]; pushfq; popq %[f]"             \
                : [a] "+r"(a), [f] "=&r"(flags)                                                                        \
                : [b] "r"(b), "c"(count)                                                                               \
                : "cc", "memory");                                                                                     \
        return (struct result){a, flags};                                                                              \
    }
#define SHIFT(op) SHIFT_AT(op, 16, "w") SHIFT_AT(op, 32, "k") SHIFT_AT(op, 64, "q")
SHIFT(shld);
SHIFT(shrd);
#define FLAGS_IN 0x897 // CF, PF, AF, SF, OF set

static struct result want(bool left, uint64_t a, uint64_t b, unsigned count, unsigned width)
{
    uint64_t mask = width_mask(width);
    if (!count)
        return (struct result){register_after(a, a, width), FLAGS_IN};
    unsigned __int128 both = left ? (unsigned __int128)(a & mask) << width | (b & mask)
                                  : (unsigned __int128)(b & mask) << width | (a & mask);
    uint64_t r = (uint64_t)(left ? both >> (width - count) : both >> count) & mask;
    uint64_t carry = left ? (a & mask) >> (width - count) & 1 : (a & mask) >> (count - 1) & 1;
    uint64_t flags = result_flags(r, width) | (carry ? FLAG_CF : 0);
    flags |= (r ^ a) >> (width - 1) & 1 ? FLAG_OF : 0;
    return (struct result){register_after(a, r, width), flags};
}

static void sweep(const char *name, bool left, unsigned width, struct result (*op)(uint64_t, uint64_t, uint64_t))
{
    static const uint8_t counts[] = {0, 1, 2, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65};
    unsigned bad = 0;
    for (unsigned i = 0; i < BOUNDARIES; i++)
        for (unsigned j = 0; j < sizeof counts; j++) {
            unsigned count = counts[j] & (width == 64 ? 63 : 31);
            if (count > width || (count == width && width == 16))
                continue;
            uint64_t a = boundary[i], b = boundary[(i * 7 + j) % BOUNDARIES] ^ 0x5a5a;
            uint64_t defined = FLAGS_ARITH & ~(uint64_t)FLAG_AF & ~(uint64_t)(count > 1 ? FLAG_OF : 0);
            sweep_compare(&bad, name, a, b, op(a, b, counts[j]), want(left, a, b, count, width),
                          count ? defined : FLAGS_ARITH);
        }
    check_record(bad == 0, name, bad, 0);
}

int image_main(void)
{
    sweep("shld 16", true, 16, shld_16), sweep("shld 32", true, 32, shld_32), sweep("shld 64", true, 64, shld_64);
    sweep("shrd 16", false, 16, shrd_16), sweep("shrd 32", false, 32, shrd_32), sweep("shrd 64", false, 64, shrd_64);
    uint64_t a = 0x0123456789abcdef;
    __asm__("shldq $12, %1, %0" : "+r"(a) : "r"(0xfedull << 52));
    CHECK_EQ(a, 0x3456789abcdeffed);
    __asm__("shrdl $8, %k1, %k0" : "+r"(a) : "r"(0x77ull));
    CHECK_EQ(a, 0x77bcdeff);
    return 0;
}

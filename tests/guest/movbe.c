// SPDX-License-Identifier: BSD-2-Clause
// movbe and bswap: bytes reversed, loads and stores, all widths (SDM vol. 2, MOVBE, BSWAP).
#include "guest/lib.h"
#include "tests/guest/feature.h"

IMAGE("movbe");

static void swaps(void)
{
    uint64_t v = 0x0123456789abcdef;
    __asm__("bswapq %0" : "+r"(v));
    CHECK_EQ(v, 0xefcdab8967452301);
    __asm__("bswapl %k0" : "+r"(v));
    CHECK_EQ(v, 0x01234567); // the upper half is cleared
    __asm__("movq $0x0123456789abcdef, %%r9; bswapq %%r9; movq %%r9, %0" : "=r"(v) : : "r9");
    CHECK_EQ(v, 0xefcdab8967452301);
}

int image_main(void)
{
    swaps();
    if (!HAS_MOVBE) {
        skip("no movbe");
        return 0;
    }
    uint64_t memory = 0x0123456789abcdef, v = ~0ull;
    __asm__("movbeq %1, %0" : "=r"(v) : "m"(memory));
    CHECK_EQ(v, 0xefcdab8967452301);
    __asm__("movbel %1, %k0" : "+r"(v) : "m"(memory));
    CHECK_EQ(v, 0xefcdab89);
    v = ~0ull;
    __asm__("movbew %1, %w0" : "+r"(v) : "m"(memory));
    CHECK_EQ(v, 0xffffffffffffefcd);
    __asm__("movbeq %1, %0" : "=m"(memory) : "r"(0x1122334455667788));
    CHECK_EQ(memory, 0x8877665544332211);
    __asm__("movbel %k1, %0" : "+m"(memory) : "r"(0xaabbccddull));
    CHECK_EQ(memory, 0x88776655ddccbbaa);
    __asm__("movbew %w1, %0" : "+m"(memory) : "r"(0x1234));
    CHECK_EQ(memory, 0x88776655ddcc3412);
    return 0;
}

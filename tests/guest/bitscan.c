// SPDX-License-Identifier: BSD-2-Clause
// bsf and bsr at each bit of each width; the destination for a zero source is undefined, ZF is not (SDM vol. 2, BSF,
// BSR).
#include "tests/guest/sweep.h"

IMAGE("bitscan");

#define SCAN(op, suffix, type, source)                                                                                 \
    ({                                                                                                                 \
        type r_ = 0x55;                                                                                                \
        uint8_t zf_;                                                                                                   \
        __asm__(op suffix " %2, %0" : "+r"(r_), "=@ccz"(zf_) : "r"((type)(source)));                                   \
        (struct scan){r_, zf_};                                                                                        \
    })

struct scan {
    uint64_t index;
    bool zero;
};

int image_main(void)
{
    unsigned bad = 0;
    for (unsigned i = 0; i < 64; i++) {
        uint64_t bit = 1ull << i, above = ~0ull << i, below = ~0ull >> (63 - i);
        struct scan forward = SCAN("bsf", "q", uint64_t, above), reverse = SCAN("bsr", "q", uint64_t, below);
        bad += forward.index != i || forward.zero || reverse.index != i || reverse.zero;
        if (i < 32) {
            forward = SCAN("bsf", "l", uint32_t, above), reverse = SCAN("bsr", "l", uint32_t, below);
            bad += forward.index != i || forward.zero || reverse.index != i || reverse.zero;
        }
        if (i < 16) {
            forward = SCAN("bsf", "w", uint16_t, bit), reverse = SCAN("bsr", "w", uint16_t, bit);
            bad += forward.index != i || forward.zero || reverse.index != i || reverse.zero;
        }
    }
    CHECK_EQ(bad, 0);
    CHECK(SCAN("bsf", "q", uint64_t, 0).zero && SCAN("bsr", "q", uint64_t, 0).zero);
    CHECK(SCAN("bsf", "l", uint32_t, 1ull << 32).zero && SCAN("bsr", "l", uint32_t, 1ull << 32).zero);
    CHECK(SCAN("bsf", "w", uint16_t, 0).zero && SCAN("bsr", "w", uint16_t, 0).zero);
    return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
// bt, bts, btr, btc: on registers the offset wraps, on memory a register offset reaches beyond the operand in both
// directions, an immediate one never does; locked forms too (SDM vol. 2, BT, and 3.1.1.9 "Bit(BitBase, BitOffset)").
#include "guest/lib.h"

IMAGE("bittest");

#define BIT(op, suffix, type, value, offset)                                                                           \
    ({                                                                                                                 \
        type v_ = (type)(value);                                                                                       \
        uint8_t c_;                                                                                                    \
        __asm__(op suffix " %2, %0" : "+r"(v_), "=@ccc"(c_) : "r"((type)(offset)));                                    \
        (struct bit){v_, c_};                                                                                          \
    })
#define BIT_MEMORY(op, suffix, type, base, offset)                                                                     \
    ({                                                                                                                 \
        uint8_t c_;                                                                                                    \
        __asm__ volatile(op suffix " %1, (%2)" : "=@ccc"(c_) : "r"((type)(offset)), "r"(base) : "memory");             \
        c_;                                                                                                            \
    })

struct bit {
    uint64_t value;
    unsigned carry;
};

static void on_registers(void)
{
    struct bit b = BIT("bt", "q", uint64_t, 1ull << 63, 63);
    CHECK(b.carry == 1 && b.value == 1ull << 63);
    b = BIT("bt", "q", uint64_t, 1, 64);
    CHECK(b.carry == 1 && b.value == 1);
    b = BIT("bts", "l", uint32_t, 0, 33);
    CHECK(b.carry == 0 && b.value == 2);
    b = BIT("btr", "w", uint16_t, 0xffff, -1);
    CHECK(b.carry == 1 && b.value == 0x7fff);
    b = BIT("btc", "q", uint64_t, 0, -2);
    CHECK(b.carry == 0 && b.value == 1ull << 62);
    uint64_t v = 0;
    __asm__("btsq $35, %0; btcl $35, %k0" : "+r"(v)); // the 32-bit form wraps at 32 and clears the upper half
    CHECK_EQ(v, 8);
}

static void on_memory(void)
{
    volatile uint64_t words[5] = {0, 0, 0, 0, 0};
    volatile uint64_t *middle = &words[2];
    CHECK_EQ(BIT_MEMORY("bts", "q", int64_t, middle, 64), 0);
    CHECK_EQ(words[3], 1);
    CHECK_EQ(BIT_MEMORY("bts", "q", int64_t, middle, -1), 0);
    CHECK_EQ(words[1], 1ull << 63);
    CHECK_EQ(BIT_MEMORY("lock; bts", "l", int32_t, middle, -128), 0);
    CHECK_EQ(words[0], 1);
    CHECK_EQ(BIT_MEMORY("btr", "w", int16_t, middle, -128), 1);
    CHECK_EQ(words[0], 0);
    CHECK_EQ(BIT_MEMORY("lock; btc", "w", int16_t, middle, 191), 0);
    CHECK_EQ(words[4], 1ull << 63);
    CHECK_EQ(BIT_MEMORY("bt", "l", int32_t, middle, 191), 1);
    CHECK_EQ(words[2], 0);
    words[2] = 0;
    __asm__ volatile("btsl $37, (%0)" : : "r"(middle) : "memory"); // an immediate wraps at the operand's width
    CHECK_EQ(words[2], 1 << 5);
    __asm__ volatile("lock btrl $5, (%0)" : : "r"(middle) : "memory");
    CHECK_EQ(words[2], 0);
}

// ZF stays as it was (SDM: CF alone changes, OF, SF, AF and PF are undefined).
static void zf_stays(void)
{
    uint64_t flags, v = 5;
    __asm__ volatile("xorl %%eax, %%eax; btq $0, %1; pushfq; popq %0" : "=r"(flags) : "r"(v) : "rax", "cc", "memory");
    CHECK((flags & (FLAG_ZF | FLAG_CF)) == (FLAG_ZF | FLAG_CF));
}

int image_main(void)
{
    on_registers();
    on_memory();
    zf_stays();
    return 0;
}

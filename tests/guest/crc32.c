// SPDX-License-Identifier: BSD-2-Clause
// crc32 (Castagnoli) against a bit-by-bit computation, all operand widths (SDM vol. 2, CRC32).
#include "guest/lib.h"
#include "tests/guest/feature.h"

IMAGE("crc32");

#define POLYNOMIAL 0x82f63b78u // 0x11edc6f41, bits reversed

static uint32_t want(uint32_t crc, uint64_t data, unsigned bytes)
{
    for (unsigned i = 0; i < bytes * 8; i++, data >>= 1)
        crc = (crc >> 1) ^ ((crc ^ data) & 1 ? POLYNOMIAL : 0);
    return crc;
}

int image_main(void)
{
    if (!HAS_CRC32) {
        skip("no crc32 (SSE4.2)");
        return 0;
    }
    uint64_t data = 0xdeadbeef01234567;
    for (unsigned i = 0; i < 4; i++) {
        uint64_t crc = 0xffffffff00000000 | (0x9abcdef0 >> i);
        uint64_t byte = crc, word = crc, dword = crc, qword = crc, wide_byte = crc;
        __asm__("crc32b %b1, %k0" : "+r"(byte) : "r"(data));
        __asm__("crc32b %b1, %q0" : "+r"(wide_byte) : "r"(data));
        __asm__("crc32w %w1, %k0" : "+r"(word) : "r"(data));
        __asm__("crc32l %k1, %k0" : "+r"(dword) : "r"(data));
        __asm__("crc32q %q1, %q0" : "+r"(qword) : "r"(data));
        CHECK_EQ(byte, want((uint32_t)crc, data, 1));
        CHECK_EQ(wide_byte, want((uint32_t)crc, data, 1));
        CHECK_EQ(word, want((uint32_t)crc, data, 2));
        CHECK_EQ(dword, want((uint32_t)crc, data, 4));
        CHECK_EQ(qword, want((uint32_t)crc, data, 8));
        data = data * 31 + i;
    }
    uint32_t crc = ~0u;
    for (const char *p = "123456789"; *p; p++)
        __asm__("crc32b %1, %0" : "+r"(crc) : "m"(*p));
    CHECK_EQ((uint32_t)~crc, 0xe3069283); // CRC-32C of "123456789"
    return 0;
}

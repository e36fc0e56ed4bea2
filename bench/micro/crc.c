// SPDX-License-Identifier: BSD-2-Clause
// CRC-32 of 1 KiB by table lookup, a byte at a time: dependent loads, shifts and xors, some 6,000 instructions an
// iteration. The code is in user pages so that CPL 0 and CPL 3 run the same instructions; also a native program.
#if defined(NATIVE)
#include "guest/native.h"
#elif defined(BANTAM)
#include "guest/bantam/user/lib.h"
#else
#include "guest/lib.h"
#endif

IMAGE("crc");

#define BYTES 1024
#define POLYNOMIAL 0xedb88320u // IEEE 802.3, bits reversed

struct crc {
    uint32_t table[256];
    uint8_t data[BYTES];
    uint32_t result;
};
static USER_DATA struct crc state;

static void prepare(struct crc *c)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t r = i;
        for (int bit = 0; bit < 8; bit++)
            r = (r >> 1) ^ (r & 1 ? POLYNOMIAL : 0);
        c->table[i] = r;
    }
    uint64_t x = 1;
    for (unsigned i = 0; i < BYTES; i++) {
        x = x * 6364136223846793005ull + 1442695040888963407ull;
        c->data[i] = (uint8_t)(x >> 56);
    }
}

static USER_CODE void body(uint64_t n, void *ctx)
{
    struct crc *c = ctx;
    while (n--) {
        uint32_t r = ~0u;
        for (unsigned i = 0; i < BYTES; i++)
            r = c->table[(r ^ c->data[i]) & 0xff] ^ (r >> 8);
        c->result = ~r;
        __asm__ volatile("" ::: "memory"); // each iteration starts over
    }
}

int image_main(void)
{
    prepare(&state);
    bench_run("crc", body, &state);
    bench_value("crc", state.result);
    bench_run_user("crc_user", body, &state);
    return 0;
}

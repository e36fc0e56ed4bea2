// SPDX-License-Identifier: BSD-2-Clause
// A 64-bit hash of 2 KiB, four times with different seeds, by multiply, rotate and xor in four lanes: what the
// processor can do in parallel, some 6,000 instructions an iteration. The code is in user pages so that CPL 0 and CPL 3
// run the same instructions; also a native program.
#if defined(NATIVE)
#include "guest/native.h"
#elif defined(BANTAM)
#include "guest/bantam/user/lib.h"
#else
#include "guest/lib.h"
#endif

IMAGE("hash");

#define WORDS 256
#define PASSES 4
#define FACTOR_A 0x9e3779b97f4a7c15ull // 2^64 / golden ratio
#define FACTOR_B 0xd6e8feb86659fd93ull // odd, bits well mixed

struct hash {
    uint64_t data[WORDS];
    uint64_t result;
};
static USER_DATA struct hash state;

static inline __attribute__((always_inline)) uint64_t mix(uint64_t lane, uint64_t word)
{
    lane = (lane ^ word) * FACTOR_A;
    return (lane << 29 | lane >> 35) + FACTOR_B;
}

static USER_CODE void body(uint64_t n, void *ctx)
{
    struct hash *h = ctx;
    while (n--) {
        uint64_t result = 0;
        for (uint64_t pass = 0; pass < PASSES; pass++) {
            uint64_t a = pass, b = pass + FACTOR_A, c = ~pass, d = FACTOR_B;
            for (unsigned i = 0; i < WORDS; i += 4) {
                a = mix(a, h->data[i]);
                b = mix(b, h->data[i + 1]);
                c = mix(c, h->data[i + 2]);
                d = mix(d, h->data[i + 3]);
            }
            result = mix(mix(result ^ a, b), c ^ d);
        }
        h->result = result;
        __asm__ volatile("" ::: "memory"); // each iteration starts over
    }
}

int image_main(void)
{
    uint64_t x = 1;
    for (unsigned i = 0; i < WORDS; i++) {
        x = x * 6364136223846793005ull + 1442695040888963407ull;
        state.data[i] = x;
    }
    bench_run("hash", body, &state);
    bench_value("hash", state.result);
    bench_run_user("hash_user", body, &state);
    return 0;
}

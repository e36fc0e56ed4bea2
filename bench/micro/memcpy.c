// SPDX-License-Identifier: BSD-2-Clause
// Two ways to copy 4 KiB, one after the other: one `rep movsb`, and a loop of 512 eight-byte moves (some 2,000
// instructions). The code is in user pages so that CPL 0 and CPL 3 run the same instructions; also a native program.
#if defined(NATIVE)
#include "guest/native.h"
#elif defined(BANTAM)
#include "guest/bantam/user/lib.h"
#else
#include "guest/lib.h"
#endif

IMAGE("memcpy");

#define WORDS 512

struct copy {
    uint64_t from[WORDS], to[WORDS];
};
static USER_DATA struct copy state;

static USER_CODE void body(uint64_t n, void *ctx)
{
    struct copy *c = ctx;
    while (n--) {
        void *to = c->to;
        const void *from = c->from;
        uint64_t bytes = sizeof c->to;
        __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
        for (unsigned i = 0; i < WORDS; i++) { // and back
            c->from[i] = c->to[i];
            __asm__ volatile("" ::: "memory"); // or it becomes a call
        }
    }
}

int image_main(void)
{
    uint64_t x = 1;
    for (unsigned i = 0; i < WORDS; i++) {
        x = x * 6364136223846793005ull + 1442695040888963407ull;
        state.from[i] = x;
    }
    bench_run("memcpy", body, &state);
    uint64_t sum = 0;
    for (unsigned i = 0; i < WORDS; i++)
        sum = sum * 31 + state.from[i];
    bench_value("memcpy", sum);
    bench_run_user("memcpy_user", body, &state);
    return 0;
}

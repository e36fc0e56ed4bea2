// SPDX-License-Identifier: BSD-2-Clause
// The primes below 4096 by Eratosthenes' sieve: strided byte stores in short loops, some 35,000 instructions an
// iteration. The code is in user pages so that CPL 0 and CPL 3 run the same instructions; also a native program.
#if defined(NATIVE)
#include "guest/native.h"
#elif defined(BANTAM)
#include "guest/bantam/user/lib.h"
#else
#include "guest/lib.h"
#endif

IMAGE("sieve");

#define LIMIT 4096

struct sieve {
    uint64_t primes;
    uint8_t composite[LIMIT];
};
static USER_DATA struct sieve state;

static USER_CODE void body(uint64_t n, void *ctx)
{
    struct sieve *s = ctx;
    while (n--) {
        for (unsigned i = 0; i < LIMIT; i++)
            s->composite[i] = 0;
        uint64_t primes = 0;
        for (unsigned i = 2; i < LIMIT; i++) {
            if (s->composite[i])
                continue;
            primes++;
            for (unsigned j = i * i; j < LIMIT; j += i)
                s->composite[j] = 1;
        }
        s->primes = primes;
        __asm__ volatile("" ::: "memory"); // each iteration starts over
    }
}

int image_main(void)
{
    bench_run("sieve", body, &state);
    bench_value("sieve", state.primes);
    bench_run_user("sieve_user", body, &state);
    return 0;
}

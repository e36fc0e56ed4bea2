// SPDX-License-Identifier: BSD-2-Clause
// Fibonacci's 16th number by the definition: 3,193 calls and returns, some 35,000 instructions an iteration.
// The code is in user pages so that CPL 0 and CPL 3 run the same instructions; also a native program.
#if defined(NATIVE)
#include "guest/native.h"
#elif defined(BANTAM)
#include "guest/bantam/user/lib.h"
#else
#include "guest/lib.h"
#endif

IMAGE("fib");

#define ARGUMENT 16

struct fib {
    uint64_t argument, result;
};
static USER_DATA struct fib state;

static USER_CODE uint64_t fib(uint64_t n)
{
    if (n < 2)
        return n;
    uint64_t a = fib(n - 1);
    uint64_t b = fib(n - 2);
    __asm__("" : "+r"(b)); // or the compiler makes the second call a loop
    return a + b;
}

static USER_CODE void body(uint64_t n, void *ctx)
{
    struct fib *f = ctx;
    while (n--) {
        f->result = fib(f->argument);
        __asm__ volatile("" ::: "memory"); // each iteration starts over
    }
}

int image_main(void)
{
    state.argument = ARGUMENT;
    bench_run("fib", body, &state);
    bench_value("fib", state.result);
    bench_run_user("fib_user", body, &state);
    return 0;
}

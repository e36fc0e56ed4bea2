// SPDX-License-Identifier: BSD-2-Clause
// Adams and Agesen's own example, isPrime, for every number below 128: some 2,300 divisions an iteration. Its machine
// code is the one that the paper translates step by step: `ringside translate isprime isPrime` shows what becomes of
// it. The code is in user pages so that CPL 0 and CPL 3 run the same instructions; also a native program.
#if defined(NATIVE)
#include "guest/native.h"
#elif defined(BANTAM)
#include "guest/bantam/user/lib.h"
#else
#include "guest/lib.h"
#endif

IMAGE("isprime");

#define BELOW 128

struct isprime {
    uint64_t below, result;
};
static USER_DATA struct isprime state;

// a is in edi, i in esi. All registers are the caller's.
__attribute__((naked, noinline, noclone)) static USER_CODE int isPrime(__attribute__((unused)) int a)
{
    __asm__("mov %edi, %ecx\n\t"
            "mov $2, %esi\n\t"
            "cmp %ecx, %esi\n\t" // is i >= a?
            "jge 2f\n"
            "1:\n\t"
            "mov %ecx, %eax\n\t"
            "cdq\n\t"
            "idiv %esi\n\t"
            "test %edx, %edx\n\t" // is the remainder of a by i zero?
            "jz 3f\n\t"
            "inc %esi\n\t"
            "cmp %ecx, %esi\n\t"
            "jl 1b\n"
            "2:\n\t"
            "mov $1, %eax\n\t"
            "ret\n"
            "3:\n\t"
            "xor %eax, %eax\n\t"
            "ret");
}

static USER_CODE void body(uint64_t n, void *ctx)
{
    struct isprime *p = ctx;
    while (n--) {
        uint64_t sum = 0;
        for (uint64_t a = 2; a < p->below; a++)
            sum += isPrime((int)a) ? a : 0;
        p->result = sum;
        __asm__ volatile("" ::: "memory"); // each iteration starts over
    }
}

int image_main(void)
{
    state.below = BELOW;
    bench_run("isprime", body, &state);
    bench_value("isprime", state.result);
    bench_run_user("isprime_user", body, &state);
    return 0;
}

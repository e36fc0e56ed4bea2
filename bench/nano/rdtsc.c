// SPDX-License-Identifier: BSD-2-Clause
// native: yes
// One read of the time-stamp counter, unfenced.
#ifdef NATIVE
#include "guest/native.h"
#else
#include "guest/lib.h"
#endif
#include "guest/repeat.h"

IMAGE("rdtsc");

static void body(uint64_t n, void *ctx)
{
    (void)ctx;
    __asm__ volatile(REPEAT_ASM("rdtsc") : [left] "+r"(n) : : "rax", "rdx", "cc");
}

int image_main(void)
{
    bench_run(image_name, body, NULL);
    return 0;
}

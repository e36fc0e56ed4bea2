// SPDX-License-Identifier: BSD-2-Clause
// A write to cr8, the task priority, of the 0 that it holds already.
#include "guest/lib.h"
#include "guest/repeat.h"

IMAGE("cr8wr");

static void body(uint64_t n, void *ctx)
{
    (void)ctx;
    __asm__ volatile(REPEAT_ASM("movq %[priority], %%cr8") : [left] "+r"(n) : [priority] "r"(0ull) : "cc", "memory");
}

int image_main(void)
{
    bench_run(image_name, body, NULL);
    return 0;
}

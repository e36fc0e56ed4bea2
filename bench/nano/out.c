// SPDX-License-Identifier: BSD-2-Clause
// A byte written to the POST port, 0x80: a device as cheap as devices get.
#include "guest/lib.h"
#include "guest/repeat.h"

IMAGE("out");

static void body(uint64_t n, void *ctx)
{
    (void)ctx;
    __asm__ volatile(REPEAT_ASM("outb %%al, %[port]") : [left] "+r"(n) : [port] "i"(PORT_POST), "a"(0) : "cc");
}

int image_main(void)
{
    bench_run(image_name, body, NULL);
    return 0;
}

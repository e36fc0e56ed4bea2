// SPDX-License-Identifier: BSD-2-Clause
// A byte read from the POST port, 0x80: a port that answers at once and does nothing.
#include "guest/lib.h"
#include "guest/repeat.h"

IMAGE("in");

static void body(uint64_t n, void *ctx)
{
    (void)ctx;
    __asm__ volatile(REPEAT_ASM("inb %[port], %%al") : [left] "+r"(n) : [port] "i"(PORT_POST) : "rax", "cc");
}

int image_main(void)
{
    bench_run(image_name, body, NULL);
    return 0;
}

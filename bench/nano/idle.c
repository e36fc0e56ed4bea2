// SPDX-License-Identifier: BSD-2-Clause
// native: yes
// The control: an empty subject, measured as all others are. Reads 0 within its spread, or the method is wrong.
#ifdef NATIVE
#include "guest/native.h"
#else
#include "guest/lib.h"
#endif
#include "guest/repeat.h"

IMAGE("idle");

static void body(uint64_t n, void *ctx)
{
    (void)ctx;
    __asm__ volatile(REPEAT_ASM("") : [left] "+r"(n) : : "cc");
}

int image_main(void)
{
    bench_run(image_name, body, NULL);
    return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
// wrmsr to IA32_KERNEL_GS_BASE, an MSR that kernels write at each thread switch.
#include "guest/lib.h"
#include "guest/repeat.h"

IMAGE("wrmsr");

static void body(uint64_t n, void *ctx)
{
    (void)ctx;
    __asm__ volatile(REPEAT_ASM("wrmsr") : [left] "+r"(n) : "c"(MSR_KERNEL_GS_BASE), "a"(0), "d"(0) : "cc", "memory");
}

int image_main(void)
{
    bench_run(image_name, body, NULL);
    return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
// native: yes
// cpuid of leaf 0, with the xor that asks for it: each cpuid overwrites eax.
#ifdef NATIVE
#include "guest/native.h"
#else
#include "guest/lib.h"
#endif
#include "guest/repeat.h"

IMAGE("cpuid");

static void body(uint64_t n, void *ctx)
{
    (void)ctx;
    __asm__ volatile(REPEAT_ASM("xorl %%eax, %%eax; cpuid") : [left] "+r"(n) : : "rax", "rbx", "rcx", "rdx", "cc");
}

int image_main(void)
{
    bench_run(image_name, body, NULL);
    return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
// A write to cr3 of the value that it holds already: a flush of all translations but the global ones, among which are
// the kernel's own.
#include "guest/insn.h"
#include "guest/lib.h"
#include "guest/repeat.h"

IMAGE("cr3wr");

static void body(uint64_t n, void *ctx)
{
    (void)ctx;
    __asm__ volatile(REPEAT_ASM("movq %[root], %%cr3") : [left] "+r"(n) : [root] "r"(read_cr3()) : "cc", "memory");
}

int image_main(void)
{
    bench_run(image_name, body, NULL);
    return 0;
}

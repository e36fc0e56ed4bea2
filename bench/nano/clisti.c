// SPDX-License-Identifier: BSD-2-Clause
// cli and sti, the pair. Interrupts are on after each pair, but none comes: the start code masks the 8259s.
#include "guest/insn.h"
#include "guest/lib.h"
#include "guest/repeat.h"

IMAGE("clisti");

static void body(uint64_t n, void *ctx)
{
    (void)ctx;
    __asm__ volatile(REPEAT_ASM("cli; sti") : [left] "+r"(n) : : "cc", "memory");
}

int image_main(void)
{
    bench_run(image_name, body, NULL);
    cli();
    return 0;
}

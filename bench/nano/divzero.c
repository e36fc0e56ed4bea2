// SPDX-License-Identifier: BSD-2-Clause
// A divide error, its delivery through a bare gate, and iretq to the next instruction.
#include "guest/lib.h"
#include "guest/repeat.h"

IMAGE("divzero");

// `divl %ecx` is two bytes long; #DE pushes no error code, so rip is on top of the stack.
__attribute__((naked)) static void handler(void)
{
    __asm__("addq $2, (%rsp)\n"
            "iretq");
}

static void body(uint64_t n, void *ctx)
{
    (void)ctx;
    __asm__ volatile(REPEAT_ASM("divl %%ecx") : [left] "+r"(n) : "a"(1), "d"(0), "c"(0) : "cc", "memory");
}

int image_main(void)
{
    idt_set_raw(VEC_DE, handler, 0, 0);
    bench_run(image_name, body, NULL);
    return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
// A true page fault: the kernel reads a page that its own tables say is not present; delivery through a bare gate, and
// iretq to the next instruction. The page stays absent, so every engine must deliver each fault to the guest.
#include "guest/lib.h"
#include "guest/repeat.h"

IMAGE("pgfault");

#define PAGE_VA 0x4000000000ull

// The error code is on top, then rip; `movl (%rdi), %eax` is two bytes long.
__attribute__((naked)) static void handler(void)
{
    __asm__("addq $8, %rsp\n"
            "addq $2, (%rsp)\n"
            "iretq");
}

static void body(uint64_t n, void *ctx)
{
    __asm__ volatile(REPEAT_ASM("movl (%%rdi), %%eax") : [left] "+r"(n) : "D"(ctx) : "rax", "cc", "memory");
}

int image_main(void)
{
    map_page(PAGE_VA, 0, 0); // the tables are there, the page is not
    idt_set_raw(VEC_PF, handler, 0, 0);
    bench_run(image_name, body, (void *)PAGE_VA);
    return 0;
}

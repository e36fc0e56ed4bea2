// SPDX-License-Identifier: BSD-2-Clause
// bantam: program
// The shortest system call of a real kernel: getpid, by the instruction itself, from CPL 3 and back.
#include "guest/bantam/user/lib.h"
#include "guest/repeat.h"

IMAGE("getpid");

static void body(uint64_t n, void *ctx)
{
    (void)ctx;
    __asm__ volatile(REPEAT_ASM("movl %[number], %%eax\n syscall")
                     : [left] "+r"(n)
                     : [number] "i"(SYS_getpid)
                     : "rax", "rcx", "r11", "cc", "memory");
}

int image_main(void)
{
    bench_run("getpid", body, NULL);
    bench_value("getpid", getpid() == getpid());
    return 0;
}

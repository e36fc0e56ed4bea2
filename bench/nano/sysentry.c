// SPDX-License-Identifier: BSD-2-Clause
// A system call as kernels make it: syscall at CPL 3, swapgs, the kernel's stack, a frame with all registers, a call of
// a function that does nothing, and all the way back with sysretq.
#include "bench/nano/entry.h"
#include "guest/repeat.h"

IMAGE("sysentry");

#define USER_TEXT 0x4000000000ull

__attribute__((used, noinline)) static void sysentry_work(struct trap_frame *frame)
{
    __asm__ volatile("" : : "r"(frame) : "memory");
}

DEFINE_SYSCALL_ENTRY(entry, "sysentry_work")

USER_CODE static void body(uint64_t n, void *ctx)
{
    (void)ctx;
    __asm__ volatile(REPEAT_ASM("syscall") : [left] "+r"(n) : : "rcx", "r11", "cc", "memory");
}

static void measure(void *ctx)
{
    bench_run_user(image_name, entry_user_function(USER_TEXT, body), ctx);
}

int image_main(void)
{
    static struct entry_cpu cpu;
    static uint64_t stack[512] __attribute__((aligned(16)));
    entry_map_user_text(USER_TEXT);
    entry_init(&cpu, entry, stack + 512);
    struct caught fault = catch_fault(measure, NULL); // as in bench/nano/syscall.c
    if (fault.vector >= 0)
        print(RS1_PREFIX "skip name=%s why=syscall from CPL 3 does not reach LSTAR at CPL 0: vector %d, error 0x%lx\n",
              image_name, fault.vector, fault.error);
    return 0;
}

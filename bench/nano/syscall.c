// SPDX-License-Identifier: BSD-2-Clause
// syscall from CPL 3 and sysretq straight back: no stack switch, no swapgs, nothing saved. The cold figure and the
// constant part of the others include the framework's own way to CPL 3 and back; t2 - t1 does not.
#include "guest/insn.h"
#include "guest/lib.h"
#include "guest/repeat.h"

IMAGE("syscall");

// syscall left the return address in rcx and the flags in r11, where sysretq takes them.
__attribute__((naked)) static void entry(void)
{
    __asm__("sysretq");
}

USER_CODE static void body(uint64_t n, void *ctx)
{
    (void)ctx;
    __asm__ volatile(REPEAT_ASM("syscall") : [left] "+r"(n) : : "rcx", "r11", "cc", "memory");
}

static void measure(void *ctx)
{
    bench_run_user(image_name, body, ctx);
}

int image_main(void)
{
    write_msr(MSR_LSTAR, (uint64_t)entry);
    // Seen on a software back end of /dev/kvm: rip becomes LSTAR, but CPL stays 3, and the fetch faults.
    struct caught fault = catch_fault(measure, NULL);
    if (fault.vector >= 0)
        print(RS1_PREFIX "skip name=%s why=syscall from CPL 3 does not reach LSTAR at CPL 0: vector %d, error 0x%lx\n",
              image_name, fault.vector, fault.error);
    return 0;
}

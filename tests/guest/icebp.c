// SPDX-License-Identifier: BSD-2-Clause
// int1 (0xf1): #DB as a trap, whatever the gate's DPL, from CPL 0 and CPL 3 (SDM vol. 2, INT n/INTO/INT3/INT1). QEMU
// does not know it.
#include "guest/insn.h"
#include "tests/guest/judge.h"

IMAGE("icebp");

extern const char icebp_after[], user_icebp_after[];

static __attribute__((noinline)) void icebp(void *arg)
{
    (void)arg;
    __asm__ volatile(".globl icebp_after\n.byte 0xf1\nicebp_after:" : : : "memory");
}

static USER_CODE uint64_t user_icebp(void *arg)
{
    __asm__ volatile(".globl user_icebp_after\n.byte 0xf1\nuser_icebp_after:" : : : "memory");
    return (uint64_t)arg;
}

static void run(void *arg)
{
    run_user(user_icebp, arg);
}

int image_main(void)
{
    struct caught c = catch_fault(icebp, NULL);
    CHECK_EQ_NOT_QEMU(c.vector, VEC_DB);
    CHECK_EQ_NOT_QEMU(c.rip, (uint64_t)icebp_after);
    c = catch_fault(run, NULL);
    CHECK_EQ_NOT_QEMU(c.vector, VEC_DB);
    CHECK_EQ_NOT_QEMU(c.rip, (uint64_t)user_icebp_after);
    return 0;
}

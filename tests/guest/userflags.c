// SPDX-License-Identifier: BSD-2-Clause
// popf and iret at CPL 3 leave IF and IOPL as they are, without a fault; pushf shows the real ones; popf at CPL 0 sets
// them (SDM vol. 2, POPF/POPFD/POPFQ).
#include "guest/insn.h"
#include "guest/lib.h"

IMAGE("userflags");

static USER_CODE uint64_t try_flags(void *arg)
{
    uint64_t flags = (uint64_t)arg;
    __asm__ volatile("pushq %0; popfq; pushfq; popq %0; pushq $0; popfq" : "+r"(flags) : : "memory", "cc");
    return flags;
}

static USER_CODE uint64_t try_flags16(void *arg)
{
    uint64_t flags = (uint64_t)arg;
    __asm__ volatile("pushw %w0; popfw; pushfq; popq %0; pushq $0; popfq" : "+r"(flags) : : "memory", "cc");
    return flags;
}

static USER_CODE uint64_t iret_flags(void *arg)
{
    uint64_t flags = (uint64_t)arg, ss, cs;
    __asm__ volatile("movl %%ss, %k1; movl %%cs, %k2\n"
                     "movq %%rsp, %%rcx; pushq %1; pushq %%rcx; pushq %0; pushq %2\n"
                     "leaq 1f(%%rip), %%rcx; pushq %%rcx; iretq\n"
                     "1: pushfq; popq %0; pushq $0; popfq"
                     : "+r"(flags), "=&r"(ss), "=&r"(cs)
                     :
                     : "rcx", "memory", "cc");
    return flags;
}

int image_main(void)
{
    uint64_t all = FLAGS_ARITH | FLAG_DF | FLAG_IF | FLAG_IOPL | FLAG_NT | FLAG_AC | FLAG_ID | FLAG_VIF | FLAG_VIP;
    uint64_t seen = FLAGS_ARITH | FLAG_DF | FLAG_NT | FLAG_AC | FLAG_ID | FLAG_FIXED1;
    CHECK_EQ(run_user(try_flags, (void *)all), seen);
    CHECK_EQ(run_user(try_flags, NULL), FLAG_FIXED1);
    CHECK_EQ(run_user(try_flags16, (void *)(all & 0xffff)), seen & 0xffff);
    CHECK_EQ(run_user(iret_flags, (void *)(all & ~(uint64_t)(FLAG_NT | FLAG_AC))),
             seen & ~(uint64_t)(FLAG_NT | FLAG_AC));

    write_flags(FLAG_IOPL | FLAGS_ARITH); // at CPL 0 IOPL can be set; IF would let interrupts in
    CHECK_EQ(read_flags() & FLAG_IOPL, FLAG_IOPL);
    write_flags(0);
    CHECK_EQ(read_flags(), FLAG_FIXED1);
    write_flags(FLAG_VIF | FLAG_VIP | FLAG_RF | 0x8028);
    CHECK_EQ(read_flags() & (FLAG_RF | FLAG_VM | 0x8028), 0);
    return 0;
}

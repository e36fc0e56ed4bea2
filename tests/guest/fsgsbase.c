// SPDX-License-Identifier: BSD-2-Clause
// fs and gs: bases by MSR and by rd/wrfsbase and rd/wrgsbase, what they add to an address, swapgs, and the checks
// (SDM vol. 2, RDFSBASE/RDGSBASE, WRFSBASE/WRGSBASE, SWAPGS).
#include "guest/insn.h"
#include "guest/lib.h"
#include "tests/guest/feature.h"
#include "tests/guest/judge.h"

IMAGE("fsgsbase");

static uint64_t words[4] = {10, 11, 12, 13};
static USER_DATA uint64_t user_words[2] = {20, 21};

static uint64_t load_fs(uint64_t offset)
{
    uint64_t v;
    __asm__ volatile("movq %%fs:(%1), %0" : "=r"(v) : "r"(offset) : "memory");
    return v;
}

static uint64_t load_gs(uint64_t offset)
{
    uint64_t v;
    __asm__ volatile("movq %%gs:(%1), %0" : "=r"(v) : "r"(offset) : "memory");
    return v;
}

static void by_msr(void)
{
    write_msr(MSR_FS_BASE, (uint64_t)words);
    write_msr(MSR_GS_BASE, (uint64_t)&words[1]);
    write_msr(MSR_KERNEL_GS_BASE, (uint64_t)&words[2]);
    CHECK(load_fs(8) == 11 && load_gs(8) == 12 && load_gs(-8ull) == 10);
    swapgs();
    CHECK(load_gs(0) == 12);
    CHECK_EQ(read_msr(MSR_GS_BASE), (uint64_t)&words[2]);
    CHECK_EQ(read_msr(MSR_KERNEL_GS_BASE), (uint64_t)&words[1]);
    swapgs();
    CHECK_EQ(load_gs(0), 11);
    uint64_t v, top = (uint64_t)words - 0x10;
    write_msr(MSR_GS_BASE, 0x100);
    __asm__ volatile("movq %%gs:(%1, %2), %0" : "=r"(v) : "r"(top), "r"(-0xf0ll)); // wraps at 2^64, base last
    CHECK_EQ(v, 10);
    // A string instruction's source can have the prefix, its destination cannot.
    uint64_t to = 0;
    const void *from = (void *)8;
    void *di = &to;
    __asm__ volatile("fs movsq" : "+S"(from), "+D"(di) : : "memory");
    CHECK(to == 11 && from == (void *)16);
}

static void bad_msr(void *arg)
{
    write_msr((uint32_t)(uint64_t)arg, BEYOND_57_BITS);
}

static void bad_msr_48(void *arg)
{
    write_msr((uint32_t)(uint64_t)arg, BEYOND_48_BITS);
}

static void bad_wrfsbase(void *arg)
{
    __asm__ volatile("wrfsbase %0" : : "r"(arg));
}

static void do_rdfsbase(void *arg)
{
    (void)arg;
    __asm__ volatile("rdfsbase %%rax" : : : "rax");
}

static USER_CODE uint64_t user_bases(void *arg)
{
    uint64_t v;
    __asm__ volatile("wrgsbase %1; movq %%gs:8, %0" : "=r"(v) : "r"(arg) : "memory");
    return v;
}

static void by_instruction(void)
{
    uint64_t v = ~0ull;
    CHECK_EQ(catch_fault(do_rdfsbase, NULL).vector, VEC_UD);
    write_cr4(read_cr4() | CR4_FSGSBASE);
    __asm__ volatile("wrfsbase %0" : : "r"((uint64_t)&words[3]));
    CHECK_EQ(load_fs(0), 13);
    CHECK_EQ(read_msr(MSR_FS_BASE), (uint64_t)&words[3]);
    __asm__ volatile("wrgsbase %q1; rdgsbase %q0" : "+r"(v) : "r"((uint64_t)words));
    CHECK(v == (uint64_t)words && load_gs(0) == 10);
    v = ~0ull;
    __asm__ volatile("rdgsbase %k0" : "+r"(v));
    CHECK_EQ(v, (uint32_t)(uint64_t)words);
    __asm__ volatile("wrfsbase %k1; rdfsbase %q0" : "=r"(v) : "r"(0x1234567880001000));
    CHECK_EQ(v, 0x80001000);
    CHECK_EQ_NOT_QEMU(catch_fault(bad_wrfsbase, (void *)BEYOND_48_BITS).vector, VEC_GP);
    CHECK_EQ(run_user(user_bases, user_words), 21);
    CHECK_EQ(read_msr(MSR_GS_BASE), (uint64_t)user_words);
    write_cr4(read_cr4() & ~(uint64_t)CR4_FSGSBASE);
}

int image_main(void)
{
    by_msr();
    // QEMU takes non-canonical bases.
    CHECK_EQ_NOT_QEMU(catch_fault(bad_msr, (void *)MSR_FS_BASE).vector, VEC_GP);
    CHECK_EQ_NOT_QEMU(catch_fault(bad_msr, (void *)MSR_GS_BASE).vector, VEC_GP);
    CHECK_EQ_NOT_QEMU(catch_fault(bad_msr, (void *)MSR_KERNEL_GS_BASE).vector, VEC_GP);
    CHECK_EQ_NOT_QEMU(catch_fault(bad_msr_48, (void *)MSR_FS_BASE).vector, VEC_GP);
    CHECK_EQ_NOT_QEMU(catch_fault(bad_msr_48, (void *)MSR_GS_BASE).vector, VEC_GP);
    CHECK_EQ_NOT_QEMU(catch_fault(bad_msr_48, (void *)MSR_KERNEL_GS_BASE).vector, VEC_GP);
    if (HAS_FSGSBASE)
        by_instruction();
    else
        skip("no FSGSBASE");
    return 0;
}

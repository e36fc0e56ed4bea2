// SPDX-License-Identifier: BSD-2-Clause
// What 64-bit mode does not have, besides ud2: the other reserved opcodes, instructions that are gone, forms that do
// not exist (SDM vol. 2: UD, and the "64-Bit Mode" columns).
#include "guest/insn.h"
#include "tests/guest/judge.h"

IMAGE("ud");

#define UNDEFINED(name, text)                                                                                          \
    static void name(void *arg)                                                                                        \
    {                                                                                                                  \
        __asm__ volatile(text : : "D"(arg), "a"(0) : "memory", "cc");                                                  \
    }
UNDEFINED(ud1, "ud1 (%%rdi), %%eax");
UNDEFINED(ud0, "ud0 (%%rdi), %%eax");
UNDEFINED(push_es, ".byte 0x06"); // gone in 64-bit mode
UNDEFINED(into, ".byte 0xce");
UNDEFINED(daa, ".byte 0x27");
UNDEFINED(aam, ".byte 0xd4, 0x0a");
UNDEFINED(salc, ".byte 0xd6");
UNDEFINED(far_jump, ".byte 0xea, 0, 0, 0, 0, 0x10, 0");
UNDEFINED(lea_register, ".byte 0x8d, 0xc0");
UNDEFINED(mov_cs, ".byte 0x8e, 0xc8"); // mov %eax, %cs
// What a prefix makes of an instruction that this vCPU has: not the same, but one that it has not (SDM vol. 2, RDRAND
// and LFENCE: "NP", "NFx"; TPAUSE, UMWAIT, UMONITOR)
UNDEFINED(rdrand_f2, ".byte 0xf2, 0x0f, 0xc7, 0xf0");
UNDEFINED(rdrand_f3, ".byte 0xf3, 0x0f, 0xc7, 0xf0");
UNDEFINED(rdseed_f2, ".byte 0xf2, 0x0f, 0xc7, 0xf8");
UNDEFINED(lfence_66, ".byte 0x66, 0x0f, 0xae, 0xe8");
UNDEFINED(mfence_66, ".byte 0x66, 0x0f, 0xae, 0xf0");
UNDEFINED(mfence_f2, ".byte 0xf2, 0x0f, 0xae, 0xf0");
UNDEFINED(mfence_f3, ".byte 0xf3, 0x0f, 0xae, 0xf0");
UNDEFINED(sfence_f2, ".byte 0xf2, 0x0f, 0xae, 0xf8");
UNDEFINED(sfence_f3, ".byte 0xf3, 0x0f, 0xae, 0xf8");
UNDEFINED(monitor, "monitor"); // not announced
UNDEFINED(mwait, "mwait");

int image_main(void)
{
    uint64_t word = 0;
    CHECK_EQ(catch_fault(ud1, &word).vector, VEC_UD);
    CHECK_EQ(catch_fault(ud0, &word).vector, VEC_UD);
    CHECK_EQ(catch_fault(push_es, &word).vector, VEC_UD);
    CHECK_EQ(catch_fault(into, &word).vector, VEC_UD);
    CHECK_EQ(catch_fault(daa, &word).vector, VEC_UD);
    CHECK_EQ(catch_fault(aam, &word).vector, VEC_UD);
    CHECK_EQ(catch_fault(salc, &word).vector, VEC_UD);
    CHECK_EQ(catch_fault(far_jump, &word).vector, VEC_UD);
    CHECK_EQ(catch_fault(lea_register, &word).vector, VEC_UD);
    CHECK_EQ(catch_fault(mov_cs, &word).vector, VEC_UD);
    CHECK_EQ_NOT_QEMU(catch_fault(rdrand_f2, &word).vector, VEC_UD);
    CHECK_EQ_NOT_QEMU(catch_fault(rdrand_f3, &word).vector, VEC_UD);
    CHECK_EQ_NOT_QEMU(catch_fault(rdseed_f2, &word).vector, VEC_UD);
    CHECK_EQ_NOT_QEMU(catch_fault(lfence_66, &word).vector, VEC_UD);
    CHECK_EQ_NOT_QEMU(catch_fault(mfence_66, &word).vector, VEC_UD);
    CHECK_EQ_NOT_QEMU(catch_fault(mfence_f2, &word).vector, VEC_UD);
    CHECK_EQ_NOT_QEMU(catch_fault(mfence_f3, &word).vector, VEC_UD);
    CHECK_EQ_NOT_QEMU(catch_fault(sfence_f2, &word).vector, VEC_UD);
    CHECK_EQ_NOT_QEMU(catch_fault(sfence_f3, &word).vector, VEC_UD);
    if (!(cpuid(1, 0).ecx & 8)) {
        CHECK_EQ(catch_fault(monitor, &word).vector, VEC_UD);
        CHECK_EQ(catch_fault(mwait, &word).vector, VEC_UD);
    }
    return 0;
}

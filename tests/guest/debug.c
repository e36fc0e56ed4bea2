// SPDX-License-Identifier: BSD-2-Clause
// Debug registers: addresses are kept, dr6 and dr7 have fixed bits, dr4 and dr5 are aliases or #UD by cr4.DE, upper
// halves of dr6 and dr7 are #GP (SDM vol. 3, 17.2).
#include "guest/insn.h"
#include "guest/lib.h"

IMAGE("debug");

#define DR6_FIXED 0xffff0ff0ull
#define DR7_FIXED 0x400ull

#define DEBUG_REGISTER(n)                                                                                              \
    static uint64_t read_dr##n(void)                                                                                   \
    {                                                                                                                  \
        uint64_t v;                                                                                                    \
        __asm__ volatile("movq %%dr" #n ", %0" : "=r"(v) : : "memory");                                                \
        return v;                                                                                                      \
    }                                                                                                                  \
    static void write_dr##n(void *v)                                                                                   \
    {                                                                                                                  \
        __asm__ volatile("movq %0, %%dr" #n : : "r"(v) : "memory");                                                    \
    }
DEBUG_REGISTER(0);
DEBUG_REGISTER(1);
DEBUG_REGISTER(2);
DEBUG_REGISTER(3);
DEBUG_REGISTER(6);
DEBUG_REGISTER(7);

static void read_dr4(void *arg)
{
    __asm__ volatile(".byte 0x0f, 0x21, 0xe0; movq %%rax, (%0)" : : "r"(arg) : "rax", "memory"); // mov %dr4, %rax
}

static void read_dr5(void *arg)
{
    __asm__ volatile(".byte 0x0f, 0x21, 0xe8; movq %%rax, (%0)" : : "r"(arg) : "rax", "memory"); // mov %dr5, %rax
}

int image_main(void)
{
    write_dr0((void *)0xffffffff80001000), write_dr1((void *)0x1111), write_dr2((void *)0x2222);
    write_dr3((void *)0x3333);
    CHECK(read_dr0() == 0xffffffff80001000 && read_dr1() == 0x1111 && read_dr2() == 0x2222 && read_dr3() == 0x3333);
    write_dr6((void *)DR6_FIXED);
    CHECK_EQ(read_dr6(), DR6_FIXED);
    write_dr6((void *)0xe00f);
    CHECK_EQ(read_dr6() & ~0x10000ull, (DR6_FIXED | 0xe00f) & ~0x10000ull); // bit 16 is about RTM
    write_dr6((void *)DR6_FIXED);
    write_dr7(NULL);
    CHECK_EQ(read_dr7(), DR7_FIXED);
    CHECK_EQ(catch_fault(write_dr6, (void *)(1ull << 32)).vector, VEC_GP);
    CHECK_EQ(catch_fault(write_dr7, (void *)(1ull << 32)).vector, VEC_GP);
    write_dr6((void *)DR6_FIXED), write_dr7(NULL);
    uint64_t v = 0;
    CHECK_EQ(catch_fault(read_dr4, &v).vector, -1);
    CHECK_EQ(v, read_dr6());
    CHECK_EQ(catch_fault(read_dr5, &v).vector, -1);
    CHECK_EQ(v, read_dr7());
    write_cr4(read_cr4() | CR4_DE);
    CHECK_EQ(catch_fault(read_dr4, &v).vector, VEC_UD);
    CHECK_EQ(catch_fault(read_dr5, &v).vector, VEC_UD);
    write_cr4(read_cr4() & ~(uint64_t)CR4_DE);
    return 0;
}

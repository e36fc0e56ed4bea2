// SPDX-License-Identifier: BSD-2-Clause
// rdrand and rdseed in three widths, rdpid, clflushopt and clwb: as CPUID has them, and #UD without (SDM vol. 2, under
// each name).
#include "guest/insn.h"
#include "tests/guest/feature.h"
#include "tests/guest/judge.h"

IMAGE("random");

#define FILL 0xa5a5a5a5a5a5a5a5ull
#define TRIES 100000

// All flags set before, so that it shows which are cleared.
#define RANDOM(name, text)                                                                                             \
    static uint64_t name(uint64_t *flags)                                                                              \
    {                                                                                                                  \
        uint64_t v = FILL;                                                                                             \
        __asm__ volatile("pushq $0x8d5; popfq; " text "; pushfq; popq %1" : "+a"(v), "=r"(*flags) : : "cc", "memory"); \
        return v;                                                                                                      \
    }
RANDOM(rdrand16, "rdrand %%ax")
RANDOM(rdrand32, "rdrand %%eax")
RANDOM(rdrand64, "rdrand %%rax")
RANDOM(rdseed16, "rdseed %%ax")
RANDOM(rdseed32, "rdseed %%eax")
RANDOM(rdseed64, "rdseed %%rax")

// Bits that were seen to be 1 and to be 0 in 64 numbers. What is no number gives 0 and CF = 0, which is looked at here.
static bool collect(uint64_t (*random)(uint64_t *), uint64_t mask, uint64_t kept, uint64_t *ones, uint64_t *zeros)
{
    unsigned got = 0;
    *ones = *zeros = 0;
    for (unsigned i = 0; i < TRIES && got < 64; i++) {
        uint64_t flags, v = random(&flags);
        bool some = flags & FLAG_CF;
        if ((flags & FLAGS_ARITH & ~(uint64_t)FLAG_CF) || (v & ~mask) != kept || (!some && (v & mask)))
            return false;
        *ones |= some ? v & mask : 0;
        *zeros |= some ? ~v & mask : 0;
        got += some;
    }
    return got == 64;
}

static bool random_well(uint64_t (*random)(uint64_t *), uint64_t mask, uint64_t kept)
{
    uint64_t ones, zeros;
    return collect(random, mask, kept, &ones, &zeros) && ones == mask && zeros == mask;
}

#define IN_CATCH(name, text)                                                                                           \
    static void name(void *arg)                                                                                        \
    {                                                                                                                  \
        __asm__ volatile(text : : "D"(arg) : "rax", "memory", "cc");                                                   \
    }
IN_CATCH(try_rdrand, "rdrand %%eax")
IN_CATCH(try_rdseed, "rdseed %%eax")
IN_CATCH(try_rdpid, ".byte 0xf3, 0x0f, 0xc7, 0xf8; movq %%rax, (%%rdi)")
IN_CATCH(try_clflushopt, ".byte 0x66, 0x0f, 0xae, 0x3f")
IN_CATCH(try_clwb, ".byte 0x66, 0x0f, 0xae, 0x37")
IN_CATCH(rdrand_rsp, "movq %%rsp, %%rax; rdrand %%rsp; movq %%rsp, (%%rdi); movq %%rax, %%rsp")

// Faults as a load of a byte does, and does no more.
static void check_line(void (*flush)(void *))
{
    static uint8_t line[64] __attribute__((aligned(64))) = {7};
    struct caught c = catch_fault(flush, line);
    CHECK_EQ(c.vector, -1);
    CHECK_EQ(line[0], 7);
    c = catch_fault(flush, (void *)0xffffffffc0000040);
    CHECK_EQ_NOT_QEMU(c.vector, VEC_PF);
    CHECK_NOT_QEMU(c.error == 0 && c.cr2 == 0xffffffffc0000040);
}

int image_main(void)
{
    uint64_t value = 0;
    CHECK_EQ(catch_fault(try_rdrand, NULL).vector, HAS_RDRAND ? -1 : VEC_UD);
    CHECK_EQ_NOT_QEMU(catch_fault(try_rdseed, NULL).vector, HAS_RDSEED ? -1 : VEC_UD);
    CHECK_EQ(catch_fault(try_rdpid, &value).vector, HAS_RDPID ? -1 : VEC_UD);
    if (HAS_RDRAND) {
        CHECK(random_well(rdrand16, 0xffff, FILL & ~0xffffull));
        CHECK(random_well(rdrand32, 0xffffffff, 0));
        CHECK(random_well(rdrand64, ~0ull, 0));
        CHECK_EQ(catch_fault(rdrand_rsp, &value).vector, -1);
        CHECK(value != 0);
    }
    if (HAS_RDSEED) {
        CHECK(random_well(rdseed16, 0xffff, FILL & ~0xffffull));
        CHECK(random_well(rdseed32, 0xffffffff, 0));
        CHECK(random_well(rdseed64, ~0ull, 0));
    }
    if (HAS_RDPID) {
        write_msr(MSR_TSC_AUX, 0x12345678);
        CHECK_EQ(catch_fault(try_rdpid, &value).vector, -1);
        CHECK_EQ(value, 0x12345678);
    }
    if (HAS_CLFLUSHOPT)
        check_line(try_clflushopt);
    if (HAS_CLWB)
        check_line(try_clwb);
    return 0;
}

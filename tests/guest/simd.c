// SPDX-License-Identifier: BSD-2-Clause
// SSE and AVX as a kernel sees them: the control bits that allow them, #XM, alignment, operands at the border of a page
// that is not there, what happens to the upper halves of ymm, and some known answers.
#include "tests/guest/access.h"
#include "tests/guest/fpu.h"
#include "tests/guest/judge.h"

IMAGE("simd");

#define EACH(name, text)                                                                                               \
    static void name(void *p)                                                                                          \
    {                                                                                                                  \
        __asm__ volatile(text : : "d"(p) : "memory");                                                                  \
    }
EACH(addps, "addps %%xmm0, %%xmm1")
EACH(vaddps, "vaddps %%xmm0, %%xmm1, %%xmm2")
EACH(vaddps_y, "vaddps %%ymm0, %%ymm1, %%ymm2")
EACH(load_ss, "movss (%%rdx), %%xmm1")
EACH(movaps, "movaps (%%rdx), %%xmm1")
EACH(movups, "movups (%%rdx), %%xmm1")
EACH(addps_m, "addps (%%rdx), %%xmm1")
EACH(vaddps_m, "vaddps (%%rdx), %%xmm1, %%xmm1")
EACH(movups_store, "movups %%xmm1, (%%rdx)")
EACH(ldmxcsr, "ldmxcsr (%%rdx)")
EACH(divps, "divps %%xmm0, %%xmm1")
EACH(mulsd, "mulsd %%xmm0, %%xmm1")
EACH(evex, ".byte 0x62, 0xf1, 0x74, 0x48, 0x58, 0xc2") // vaddps %zmm2, %zmm1, %zmm0
EACH(vvvv_not_used, ".byte 0xc5, 0xf0, 0x28, 0xc1")    // vmovaps with a register in VEX.vvvv
EACH(lock_addps, ".byte 0xf0, 0x0f, 0x58, 0x02")
EACH(masked_load, "vmaskmovps (%%rdx), %%xmm1, %%xmm2")
EACH(gather, "vpgatherdd %%xmm1, (%%rdx,%%xmm2), %%xmm3")
EACH(set_xcr0, "mov %%edx, %%eax; xor %%edx, %%edx; xor %%ecx, %%ecx; xsetbv")

static uint64_t vector[4] __attribute__((aligned(32))), got[4] __attribute__((aligned(32)));

#define SET(reg, low, high)                                                                                            \
    do {                                                                                                               \
        vector[0] = (low), vector[1] = (high);                                                                         \
        __asm__ volatile("movups %0, %%" reg : : "m"(vector));                                                         \
    } while (0)
#define IS(reg, low, high)                                                                                             \
    do {                                                                                                               \
        __asm__ volatile("movups %%" reg ", %0" : "=m"(got));                                                          \
        CHECK_EQ(got[0], low);                                                                                         \
        CHECK_EQ(got[1], high);                                                                                        \
    } while (0)

static uint32_t mxcsr(void)
{
    uint32_t v;
    __asm__ volatile("stmxcsr %0" : "=m"(v));
    return v;
}
static void set_mxcsr(uint32_t v)
{
    __asm__ volatile("ldmxcsr %0" : : "m"(v));
}
static int vector_of(void (*fn)(void *), void *arg)
{
    return catch_fault(fn, arg).vector;
}

// ---- Who may use them (SDM vol. 3, 2.5 and 13.1; vol. 2, 2.4) ----

static void test_control_bits(bool avx)
{
    uint64_t cr0 = read_cr0(), cr4 = read_cr4();
    CHECK_EQ(vector_of(addps, NULL), -1);
    write_cr0(cr0 | CR0_TS);
    CHECK_EQ(vector_of(addps, NULL), VEC_NM);
    CHECK_EQ(vector_of(vaddps, NULL), avx ? VEC_NM : VEC_UD);
    CHECK_EQ(vector_of(movups, (void *)1), VEC_NM); // before its operand is looked at
    write_cr0(cr0 | CR0_TS | CR0_EM);
    CHECK_EQ(vector_of(addps, NULL), VEC_UD);
    CHECK_EQ(vector_of(vaddps, NULL), avx ? VEC_NM : VEC_UD); // EM is nothing to AVX
    write_cr0(cr0);
    write_cr4(cr4 & ~(uint64_t)CR4_OSFXSR);
    CHECK_EQ(vector_of(addps, NULL), VEC_UD);
    write_cr4(cr4);
    CHECK_EQ(vector_of(evex, NULL), VEC_UD);
    CHECK_EQ(vector_of(vvvv_not_used, NULL), VEC_UD);
    CHECK_EQ(vector_of(lock_addps, vector), VEC_UD);
    if (!avx)
        return;
    CHECK(HAS_OSXSAVE);
    CHECK_EQ(cpuid(0xd, 0).ebx, 832);
    CHECK_EQ(vector_of(set_xcr0, (void *)1), -1);
    CHECK_EQ(vector_of(vaddps, NULL), VEC_UD);
    CHECK_EQ(vector_of(addps, NULL), -1);
    CHECK_EQ(cpuid(0xd, 0).ebx, 576);
    CHECK_EQ(vector_of(set_xcr0, (void *)3), -1);
    CHECK_EQ(vector_of(vaddps, NULL), VEC_UD);
    CHECK_EQ(vector_of(set_xcr0, (void *)5), VEC_GP); // AVX without SSE
    CHECK_EQ(vector_of(set_xcr0, (void *)6), VEC_GP); // x87 is always on
    CHECK_EQ(vector_of(set_xcr0, (void *)7), -1);
    write_cr4(cr4 & ~(uint64_t)CR4_OSXSAVE);
    CHECK(!HAS_OSXSAVE);
    CHECK_EQ(vector_of(vaddps, NULL), VEC_UD);
    CHECK_EQ(vector_of(set_xcr0, (void *)7), VEC_UD);
    write_cr4(cr4);
    CHECK_EQ(vector_of(vaddps_y, NULL), -1);
}

// ---- MXCSR and #XM (SDM vol. 1, 11.5): nothing but flags changes ----

static void test_exceptions(void)
{
    static uint32_t reserved = 0x11f80;
    CHECK_EQ(vector_of(ldmxcsr, &reserved), VEC_GP);
    set_mxcsr(MXCSR_INIT);
    SET("xmm0", 0, 0);
    SET("xmm1", 0x3f8000003f800000, 0x3f8000003f800000);
    CHECK_EQ(vector_of(divps, NULL), -1);
    CHECK_EQ(mxcsr(), MXCSR_INIT | 0x4);
    IS("xmm1", 0x7f8000007f800000, 0x7f8000007f800000);

    uint32_t unmasked = MXCSR_INIT & ~(0x4u << 7); // divide by zero
    SET("xmm1", 0x3f8000003f800000, 0x3f8000003f800000);
    set_mxcsr(unmasked);
    CHECK_EQ(vector_of(divps, NULL), VEC_XM);
    CHECK_EQ(mxcsr(), unmasked | 0x4);
    IS("xmm1", 0x3f8000003f800000, 0x3f8000003f800000);
    set_mxcsr(unmasked);
    write_cr4(read_cr4() & ~(uint64_t)CR4_OSXMMEXCPT);
    CHECK_EQ(vector_of(divps, NULL), VEC_UD);
    write_cr4(read_cr4() | CR4_OSXMMEXCPT);
    set_mxcsr(unmasked | 0x4); // on record is not pending
    CHECK_EQ(vector_of(addps, NULL), -1);

    // Unmasked underflow: a tiny result counts although it is exact. 2^-1022 * 2^-1
    set_mxcsr(MXCSR_INIT & ~(0x10u << 7));
    SET("xmm0", 0x3fe0000000000000, 0);
    SET("xmm1", 0x0010000000000000, 7);
    CHECK_EQ(vector_of(mulsd, NULL), VEC_XM);
    IS("xmm1", 0x0010000000000000, 7);
    set_mxcsr(MXCSR_INIT);
    CHECK_EQ(vector_of(mulsd, NULL), -1);
    IS("xmm1", 0x0008000000000000, 7);
    CHECK_EQ(mxcsr(), MXCSR_INIT);
    set_mxcsr(MXCSR_INIT | 0x8000); // flushed to zero
    SET("xmm1", 0x8010000000000000, 7);
    CHECK_EQ(vector_of(mulsd, NULL), -1);
    IS("xmm1", 0x8000000000000000, 7);
    CHECK_EQ(mxcsr(), MXCSR_INIT | 0x8000 | 0x30);

    // Rounding: 1 + 2^-30, up and down
    SET("xmm0", 0x30800000, 0);
    SET("xmm1", 0x3f800000, 0);
    set_mxcsr(MXCSR_INIT | 0x4000);
    CHECK_EQ(vector_of(addps, NULL), -1);
    IS("xmm1", 0x3f800001, 0);
    set_mxcsr(MXCSR_INIT | 0x2000);
    CHECK_EQ(vector_of(addps, NULL), -1);
    IS("xmm1", 0x3f800001, 0);
    set_mxcsr(MXCSR_INIT);
}

// ---- Memory: TEST_VA's first page is there, the next one is not ----

static uint8_t page[PAGE] __attribute__((aligned(PAGE)));

static void test_memory(bool avx)
{
    char *end = (char *)TEST_VA + PAGE;
    map_page(TEST_VA, phys_of(page), PTE_P | PTE_W);
    for (unsigned i = 0; i < PAGE; i++)
        page[i] = (uint8_t)i;
    CHECK_EQ(vector_of(movaps, end - 24), VEC_GP);
    CHECK_EQ(vector_of(addps_m, end - 24), VEC_GP);
    CHECK_EQ(vector_of(movups, end - 24), -1);
    IS("xmm1", 0xefeeedecebeae9e8, 0xf7f6f5f4f3f2f1f0);
    CHECK_EQ(vector_of(load_ss, end - 4), -1);
    IS("xmm1", 0xfffefdfc, 0);
    if (avx)
        CHECK_EQ(vector_of(vaddps_m, end - 24), -1);

    SET("xmm1", 0x1111111111111111, 0x2222222222222222);
    struct caught c = catch_fault(movups, end - 8);
    CHECK_EQ(c.vector, VEC_PF);
    CHECK_EQ(c.cr2, (uint64_t)(uintptr_t)end);
    IS("xmm1", 0x1111111111111111, 0x2222222222222222);
    c = catch_fault(movups_store, end - 8);
    CHECK_EQ(c.vector, VEC_PF);
    CHECK_EQ(c.cr2, (uint64_t)(uintptr_t)end);
    CHECK_EQ(page[PAGE - 1], 0xff); // nothing is stored
    CHECK_EQ(page[PAGE - 8], 0xf8);
    CHECK_EQ(catch_fault(movups, (void *)0x8000000000000000).vector, VEC_GP);

    // Elements that are masked out are not there.
    if (avx) {
        SET("xmm1", 0xffffffffffffffff, 0);
        CHECK_EQ(vector_of(masked_load, end - 8), -1);
        IS("xmm2", 0xfffefdfcfbfaf9f8, 0);
        CHECK_EQ(vector_of(masked_load, end - 4), VEC_PF);
    }
    // A gather that faults has done what comes before, and says so in its mask.
    if (avx && HAS_AVX2) {
        SET("xmm1", 0xffffffffffffffff, 0xffffffffffffffff);
        SET("xmm2", 0, 8);
        SET("xmm3", 0, 0);
        c = catch_fault(gather, end - 8);
        CHECK_EQ(c.vector, VEC_PF);
        CHECK_EQ(c.cr2, (uint64_t)(uintptr_t)end);
        IS("xmm3", 0xfbfaf9f8fbfaf9f8, 0);
        IS("xmm1", 0, 0xffffffffffffffff);
    }
}

// ---- Upper halves: kept by SSE, zeroed by VEX ----

static void upper_of_0(uint64_t want)
{
    __asm__ volatile("vmovups %%ymm0, %0" : "=m"(got));
    CHECK_EQ(got[2], want);
    CHECK_EQ(got[3], want);
}

static void test_upper_halves(void)
{
    for (unsigned i = 0; i < 4; i++)
        vector[i] = 5;
    __asm__ volatile("vmovups %0, %%ymm0; paddd %%xmm0, %%xmm0" : : "m"(vector));
    upper_of_0(5);
    __asm__ volatile("vmovups %0, %%ymm0; vpaddd %%xmm0, %%xmm0, %%xmm0" : : "m"(vector));
    upper_of_0(0);
    __asm__ volatile("vmovups %0, %%ymm0; vzeroupper" : : "m"(vector));
    upper_of_0(0);
    IS("xmm0", 5, 5);
    __asm__ volatile("vmovups %0, %%ymm0; vaddps %%ymm0, %%ymm0, %%ymm0" : : "m"(vector));
    upper_of_0(10);
    __asm__ volatile("vzeroall");
    IS("xmm0", 0, 0);
}

// ---- Known answers ----

static void test_answers(void)
{
    if (HAS_SSE42) { // "cd" begins at 2 in "abcdef"
        uint64_t index;
        SET("xmm0", 0x6463, 0);
        SET("xmm1", 0x666564636261, 0);
        __asm__ volatile("pcmpistri $0x0c, %%xmm1, %%xmm0" : "=c"(index) : : "cc");
        CHECK_EQ(index, 2);
    }
    if (HAS_AES) { // FIPS 197, appendix B: the first round
        SET("xmm0", 0x2be2f4a0bee33d19, 0x0848f8e92a8dc69a);
        SET("xmm1", 0xb12c548817fefaa0, 0x05766c2a3939a323);
        __asm__ volatile("aesenc %%xmm1, %%xmm0" : :);
        IS("xmm0", 0x2b359f68f27f9ca4, 0x49506a0243ea5b6b);
    }
    if (HAS_PCLMULQDQ) { // (x + 1)(x^2 + 1) = x^3 + x^2 + x + 1
        SET("xmm0", 3, 0);
        SET("xmm1", 0, 5);
        __asm__ volatile("pclmulqdq $0x10, %%xmm1, %%xmm0" : :);
        IS("xmm0", 15, 0);
    }
}

int image_main(void)
{
    if (!HAS_SSE2) {
        skip("no SSE2");
        return 0;
    }
    bool avx = avx_on();
    test_control_bits(avx);
    test_exceptions();
    test_memory(avx);
    if (avx && HAS_AVX2)
        test_upper_halves();
    test_answers();
    return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
// SSE and AVX at CPL 3 with exceptions that are not masked: #XM at the instruction, its destination untouched, flags in
// MXCSR; a handler that masks them and lets the program go on; and #UD where the kernel has not asked for #XM, or has
// not switched the instructions on (SDM vol. 1, 11.5; vol. 3, 2.5 and 13.1.4).
#include "tests/guest/fpu.h"
#include "tests/guest/judge.h"

IMAGE("vector_user");

#define MXCSR_ZE 0x4u
#define MXCSR_IE 0x1u
#define MXCSR_MASKS 0x1f80u
#define UNMASKED(flags) (MXCSR_MASKS & ~((flags) << 7))
#define ONE 0x3ff0000000000000ull

static USER_DATA struct {
    uint32_t mxcsr, after;
    uint64_t dividend[4] __attribute__((aligned(32))), divisor[4], quotient[4];
} v;

static struct seen {
    unsigned count;
    uint64_t rip, cs, error;
    uint32_t mxcsr;
    uint64_t destination;
} seen;

static void on_xm(struct trap_frame *f)
{
    uint32_t mxcsr;
    uint64_t low;
    __asm__ volatile("stmxcsr %0; movq %%xmm0, %1" : "=m"(mxcsr), "=r"(low));
    seen = (struct seen){seen.count + 1, f->rip, f->cs, f->error, mxcsr, low};
    mxcsr |= MXCSR_MASKS;
    __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
}

extern const char divpd_at[], vdivpd_at[], sqrtsd_at[];
#define USER_VECTOR(name, text)                                                                                        \
    static USER_CODE uint64_t name(void *arg)                                                                          \
    {                                                                                                                  \
        (void)arg;                                                                                                     \
        __asm__ volatile("ldmxcsr %0\n" text "\nstmxcsr %1\n"                                                          \
                         : "+m"(v.mxcsr), "=m"(v.after), "+m"(v.quotient)                                              \
                         : "m"(v.dividend), "m"(v.divisor)                                                             \
                         : "memory");                                                                                  \
        return 0;                                                                                                      \
    }
USER_VECTOR(divide, "movaps %3, %%xmm0\n.globl divpd_at\ndivpd_at: divpd %4, %%xmm0\nmovaps %%xmm0, %2")
USER_VECTOR(divide_wide, "vmovaps %3, %%ymm0; vmovaps %4, %%ymm1\n"
                         ".globl vdivpd_at\nvdivpd_at: vdivpd %%ymm1, %%ymm0, %%ymm0\nvmovaps %%ymm0, %2")
USER_VECTOR(square_root, "movsd %3, %%xmm0; pcmpeqd %%xmm1, %%xmm1; psllq $63, %%xmm1; orps %%xmm1, %%xmm0\n"
                         ".globl sqrtsd_at\nsqrtsd_at: sqrtsd %%xmm0, %%xmm0\nmovaps %%xmm0, %2")
USER_VECTOR(just_sse, "xorps %%xmm0, %%xmm0")
USER_VECTOR(just_avx, "vxorps %%ymm0, %%ymm0, %%ymm0")

static void prepare(uint32_t unmasked)
{
    v.mxcsr = UNMASKED(unmasked);
    for (unsigned i = 0; i < 4; i++) {
        v.dividend[i] = ONE;
        v.divisor[i] = i % 2 ? 0 : ONE; // some by one, some by zero
        v.quotient[i] = 0x77;
    }
    seen.count = 0;
}

static void exceptions(bool avx)
{
    const uint64_t infinity = 0x7ff0000000000000, indefinite = 0xfff8000000000000;
    trap_set(VEC_XM, on_xm);
    prepare(MXCSR_ZE);
    run_user(divide, NULL);
    CHECK_NOT_QEMU(seen.count == 1 && seen.rip == (uint64_t)divpd_at && seen.cs & 3 && seen.error == 0);
    CHECK_EQ_NOT_QEMU(seen.mxcsr, UNMASKED(MXCSR_ZE) | MXCSR_ZE);
    CHECK_EQ_NOT_QEMU(seen.destination, ONE);
    CHECK(v.quotient[0] == ONE && v.quotient[1] == infinity);
    CHECK_EQ(v.after & 0x3f, MXCSR_ZE);

    prepare(MXCSR_IE);
    run_user(square_root, NULL);
    CHECK_NOT_QEMU(seen.count == 1 && seen.rip == (uint64_t)sqrtsd_at);
    CHECK_EQ_NOT_QEMU(seen.destination, ONE | 1ull << 63);
    CHECK_EQ(v.quotient[0], indefinite);

    prepare(0);
    run_user(divide, NULL);
    CHECK_EQ(seen.count, 0); // all masked
    if (avx) {
        prepare(MXCSR_ZE);
        run_user(divide_wide, NULL);
        CHECK_NOT_QEMU(seen.count == 1 && seen.rip == (uint64_t)vdivpd_at);
        CHECK(v.quotient[2] == ONE && v.quotient[3] == infinity);
    }
    trap_set(VEC_XM, NULL);
}

static int vector_of(uint64_t (*fn)(void *));
static uint64_t (*to_try)(void *);
static void try(void *arg)
{
    run_user(to_try, arg);
}
static int vector_of(uint64_t (*fn)(void *))
{
    to_try = fn;
    return catch_fault(try, NULL).vector;
}

static void switched_off(bool avx)
{
    uint64_t cr4 = read_cr4(), cr0 = read_cr0();
    prepare(MXCSR_ZE);
    write_cr4(cr4 & ~(uint64_t)CR4_OSXMMEXCPT);
    CHECK_EQ_NOT_QEMU(vector_of(divide), VEC_UD);
    write_cr4(cr4 & ~(uint64_t)CR4_OSFXSR);
    CHECK_EQ(vector_of(just_sse), VEC_UD);
    write_cr4(cr4);
    prepare(0);
    CHECK_EQ(vector_of(just_sse), -1);
    write_cr0(cr0 | CR0_TS);
    CHECK_EQ(vector_of(just_sse), VEC_NM);
    if (avx)
        CHECK_EQ(vector_of(just_avx), VEC_NM);
    write_cr0(cr0);
    if (!avx)
        return;
    write_cr4(cr4 & ~(uint64_t)CR4_OSXSAVE);
    CHECK_EQ(vector_of(just_avx), VEC_UD);
    write_cr4(cr4);
    xsetbv(0, XCR0_X87 | XCR0_SSE);
    CHECK_EQ(vector_of(just_avx), VEC_UD);
    xsetbv(0, XCR0_X87 | XCR0_SSE | XCR0_AVX);
    CHECK_EQ(vector_of(just_avx), -1);
}

int image_main(void)
{
    if (!HAS_SSE2) {
        skip("no SSE2 in CPUID");
        return 0;
    }
    bool avx = avx_on();
    exceptions(avx);
    switched_off(avx);
    return 0;
}

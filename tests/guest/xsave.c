// SPDX-License-Identifier: BSD-2-Clause
// The XSAVE feature set: XCR0 and who may set it, the standard form's layout as CPUID tells it, components saved and
// restored one by one, their initial configuration, and what is refused (SDM vol. 1, ch. 13).
#include "tests/guest/fpu.h"
#include "tests/guest/judge.h"

IMAGE("xsave");

static struct {
    struct fxsave legacy;
    uint64_t bv, compacted, reserved[6];
    uint64_t ymm_high[16][2];
    uint8_t room[256];
} area __attribute__((aligned(64)));

static uint64_t set_value; // of the xsetbv to try
static void do_xsetbv(void *index)
{
    xsetbv((uint32_t)(uint64_t)index, set_value);
}
static void do_xgetbv(void *index)
{
    xgetbv((uint32_t)(uint64_t)index);
}
static void do_xsave(void *to)
{
    __asm__ volatile("xsave (%0)" : : "r"(to), "a"(7), "d"(0) : "memory");
}
static void do_xrstor(void *from)
{
    __asm__ volatile("xrstor (%0)" : : "r"(from), "a"(7), "d"(0) : "memory");
}
static USER_CODE uint64_t user_xgetbv(void *arg)
{
    uint32_t low, high;
    (void)arg;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}
static USER_CODE uint64_t user_xsetbv(void *arg)
{
    __asm__ volatile("xsetbv" : : "c"(0), "a"((uint32_t)(uint64_t)arg), "d"(0));
    return 0;
}
static void run_user_xsetbv(void *arg)
{
    run_user(user_xsetbv, arg);
}

static int setting(uint64_t index, uint64_t value)
{
    set_value = value;
    return catch_fault(do_xsetbv, (void *)index).vector;
}

static void xcr0(bool avx)
{
    uint64_t cr4 = read_cr4(), all = XCR0_X87 | XCR0_SSE | (avx ? XCR0_AVX : 0);
    write_cr4(cr4 & ~(uint64_t)CR4_OSXSAVE);
    CHECK(!(cpuid(1, 0).ecx >> 27 & 1)); // OSXSAVE
    CHECK_EQ(catch_fault(do_xgetbv, 0).vector, VEC_UD);
    CHECK_EQ(setting(0, 1), VEC_UD);
    CHECK_EQ(catch_fault(do_xsave, &area).vector, VEC_UD);
    write_cr4(cr4 | CR4_OSXSAVE);
    CHECK(cpuid(1, 0).ecx >> 27 & 1);
    CHECK_EQ(setting(0, all), -1);
    CHECK_EQ(xgetbv(0), all);
    CHECK_EQ(run_user(user_xgetbv, NULL), all);
    CHECK_EQ(setting(0, 0), VEC_GP); // x87 cannot be switched off
    CHECK_EQ(setting(0, XCR0_SSE), VEC_GP);
    CHECK_EQ(setting(0, XCR0_X87 | XCR0_AVX), VEC_GP); // AVX needs SSE
    CHECK_EQ(setting(0, all | 1ull << 62), VEC_GP);
    CHECK_EQ(setting(1234, all), VEC_GP); // no such register
    CHECK_EQ(catch_fault(do_xgetbv, (void *)1234).vector, VEC_GP);
    CHECK_EQ(catch_fault(run_user_xsetbv, (void *)all).vector, VEC_GP); // not for CPL 3
    CHECK_EQ(xgetbv(0), all);
    CHECK_EQ(cpuid(0xd, 0).eax & all, all);
    CHECK_EQ(cpuid(0xd, 0).ebx, avx ? 832 : 576);
    if (avx) {
        CHECK_EQ(cpuid(0xd, 2).eax, 256);
        CHECK_EQ(cpuid(0xd, 2).ebx, 576);
        CHECK_EQ(setting(0, XCR0_X87 | XCR0_SSE), -1);
        CHECK_EQ(cpuid(0xd, 0).ebx, 576);
        CHECK_EQ(setting(0, all), -1);
    }
}

// ---- Saving and restoring ----

static void clear_area(void)
{
    uint8_t *p = (uint8_t *)&area;
    for (unsigned i = 0; i < sizeof area; i++)
        p[i] = 0;
}

static void xsave(uint64_t mask)
{
    __asm__ volatile("xsave %0" : "+m"(area) : "a"((uint32_t)mask), "d"((uint32_t)(mask >> 32)) : "memory");
}
static void xrstor(uint64_t mask)
{
    __asm__ volatile("xrstor %0" : : "m"(area), "a"((uint32_t)mask), "d"((uint32_t)(mask >> 32)) : "memory");
}

static const uint64_t pattern[4]
    __attribute__((aligned(32))) = {0x1111222233334444, 0x5555666677778888, 0x9999aaaabbbbcccc, 0xddddeeeeffff0000};
static uint64_t seen[4] __attribute__((aligned(32)));

static void set_all(bool avx)
{
    __asm__ volatile("fninit; fldpi; ldmxcsr %0" : : "m"(*(const uint32_t[]){0x1fbf}));
    if (avx)
        __asm__ volatile("vmovaps %0, %%ymm9" : : "m"(pattern));
    else
        __asm__ volatile("movaps %0, %%xmm9" : : "m"(pattern));
}
static void get_ymm9(bool avx)
{
    seen[2] = seen[3] = 0;
    if (avx)
        __asm__ volatile("vmovaps %%ymm9, %0" : "=m"(seen));
    else
        __asm__ volatile("movaps %%xmm9, %0" : "=m"(seen));
}
static bool ymm9_is(bool avx, unsigned words)
{
    bool same = true;
    get_ymm9(avx);
    for (unsigned i = 0; i < (avx ? 4 : 2); i++)
        same = same && seen[i] == (i < words ? pattern[i] : 0);
    return same;
}
static uint32_t mxcsr(void)
{
    uint32_t v;
    __asm__ volatile("stmxcsr %0" : "=m"(v));
    return v;
}

static void components(bool avx)
{
    unsigned words = avx ? 4 : 2;
    clear_area();
    set_all(avx);
    xsave(~0ull); // bits beyond XCR0 do not count
    CHECK_EQ(area.bv & (XCR0_X87 | XCR0_SSE | XCR0_AVX), XCR0_X87 | XCR0_SSE | (avx ? XCR0_AVX : 0));
    CHECK_EQ(area.bv >> 3, 0);
    CHECK_EQ(area.compacted, 0);
    CHECK(m80_is(area.legacy.st[0].value, 0x4000, 0xc90fdaa22168c235));
    CHECK_EQ(area.legacy.mxcsr, 0x1fbf);
    CHECK(area.legacy.xmm[9][0] == pattern[0] && area.legacy.xmm[9][1] == pattern[1]);
    if (avx)
        CHECK(area.ymm_high[9][0] == pattern[2] && area.ymm_high[9][1] == pattern[3]);

    // What the mask leaves out stays.
    __asm__ volatile("fninit");
    xrstor(XCR0_X87);
    CHECK_EQ(SW_TOP(x87_sw()), 7);
    CHECK(ymm9_is(avx, words));
    __asm__ volatile("pxor %%xmm9, %%xmm9" : :);
    xrstor(XCR0_SSE);
    CHECK(ymm9_is(avx, words)); // AVX's part of ymm9 was not touched by pxor

    // A component that is not in XSTATE_BV is initialised; MXCSR is loaded all the same, with SSE or AVX asked for.
    area.bv = XCR0_X87 | XCR0_AVX;
    area.legacy.mxcsr = MXCSR_INIT;
    xrstor(XCR0_SSE);
    get_ymm9(avx);
    CHECK(seen[0] == 0 && seen[1] == 0 && seen[2] == (avx ? pattern[2] : 0));
    CHECK_EQ(mxcsr(), MXCSR_INIT);
    area.bv = 0;
    xrstor(7);
    CHECK(ymm9_is(avx, 0));
    CHECK_EQ(x87_sw(), 0);
    CHECK_EQ(x87_cw(), CW_INIT);

    // What is not asked for is not written, and its bit in XSTATE_BV stays.
    clear_area();
    set_all(avx);
    area.bv = XCR0_X87;
    xsave(XCR0_SSE);
    CHECK_EQ(area.bv, XCR0_X87 | XCR0_SSE);
    CHECK_EQ(area.legacy.cw, 0);
    CHECK_EQ(area.legacy.mxcsr, 0x1fbf);
    __asm__ volatile("fninit; ldmxcsr %0" : : "m"(*(const uint32_t[]){MXCSR_INIT}));
}

static void refusals(void)
{
    clear_area();
    xsave(7);
    CHECK_EQ(catch_fault(do_xsave, (uint8_t *)&area + 16).vector, VEC_GP); // 64 bytes
    CHECK_EQ(catch_fault(do_xrstor, (uint8_t *)&area + 16).vector, VEC_GP);
    area.bv |= 1ull << 5; // beyond XCR0
    CHECK_EQ(catch_fault(do_xrstor, &area).vector, VEC_GP);
    area.bv = 7 & xgetbv(0);
    area.reserved[0] = 1;
    CHECK_EQ(catch_fault(do_xrstor, &area).vector, VEC_GP);
    area.reserved[0] = 0;
    area.legacy.mxcsr = 1 << 16;
    CHECK_EQ_NOT_QEMU(catch_fault(do_xrstor, &area).vector, VEC_GP);
    area.legacy.mxcsr = MXCSR_INIT;
    CHECK_EQ(catch_fault(do_xrstor, &area).vector, -1);
    write_cr0(read_cr0() | CR0_TS);
    CHECK_EQ_NOT_QEMU(catch_fault(do_xsave, &area).vector, VEC_NM);
    CHECK_EQ_NOT_QEMU(catch_fault(do_xrstor, &area).vector, VEC_NM);
    __asm__ volatile("clts");
}

int image_main(void)
{
    if (!HAS_XSAVE) {
        skip("no XSAVE in CPUID");
        return 0;
    }
    bool avx = avx_on();
    xcr0(avx);
    components(avx);
    refusals();
    return 0;
}

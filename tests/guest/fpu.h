// SPDX-License-Identifier: BSD-2-Clause
// Floating point and vector registers as a kernel switches them on and saves them. Images are compiled without them, so
// everything is inline assembly on integers that hold the bits.
#ifndef RINGSIDE_TESTS_GUEST_FPU_H
#define RINGSIDE_TESTS_GUEST_FPU_H

#include "guest/lib.h"
#include "tests/guest/feature.h"

// x87 status word (SDM vol. 1, 8.1.3)
#define SW_IE 0x1u
#define SW_DE 0x2u
#define SW_ZE 0x4u
#define SW_OE 0x8u
#define SW_UE 0x10u
#define SW_PE 0x20u
#define SW_SF 0x40u
#define SW_ES 0x8080u // with B
#define SW_C0 0x100u
#define SW_C1 0x200u
#define SW_C2 0x400u
#define SW_C3 0x4000u
#define SW_CC (SW_C0 | SW_C1 | SW_C2 | SW_C3)
#define SW_TOP(sw) ((sw) >> 11 & 7)
#define CW_INIT 0x37fu

struct m80 { // an x87 register in memory
    uint64_t mantissa;
    uint16_t exponent;
} __attribute__((packed));

static inline bool m80_is(struct m80 v, unsigned exponent, uint64_t mantissa)
{
    return v.exponent == exponent && v.mantissa == mantissa;
}

// An image of fxsave, and the legacy region of one of xsave (SDM vol. 1, table 10-2).
struct fxsave {
    uint16_t cw, sw;
    uint8_t tags, zero;
    uint16_t fop;
    uint64_t fip, fdp;
    uint32_t mxcsr, mxcsr_mask;
    struct {
        struct m80 value;
        uint8_t unused[6];
    } st[8];
    uint64_t xmm[16][2];
    uint8_t rest[96];
} __attribute__((aligned(64)));

static inline uint16_t x87_sw(void)
{
    uint16_t sw;
    __asm__ volatile("fnstsw %0" : "=a"(sw) : : "memory");
    return sw;
}

static inline uint16_t x87_cw(void)
{
    uint16_t cw;
    __asm__ volatile("fnstcw %0" : "=m"(cw) : : "memory");
    return cw;
}

// x87 and MMX instructions run, and errors come as #MF.
static inline void fpu_on(void)
{
    write_cr0((read_cr0() & ~(uint64_t)(CR0_EM | CR0_TS)) | CR0_MP | CR0_NE);
    __asm__ volatile("fninit" : : : "memory");
}

#define MXCSR_INIT 0x1f80u
#define XCR0_X87 1u
#define XCR0_SSE 2u
#define XCR0_AVX 4u

// SSE instructions run as well, and their errors come as #XM.
static inline void sse_on(void)
{
    fpu_on();
    write_cr4(read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT);
    __asm__ volatile("ldmxcsr %0" : : "m"(*(const uint32_t[]){MXCSR_INIT}));
}

static inline uint64_t xgetbv(uint32_t index)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(index));
    return (uint64_t)high << 32 | low;
}

static inline void xsetbv(uint32_t index, uint64_t value)
{
    __asm__ volatile("xsetbv" : : "c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

// AVX too, where it is; whether it is.
static inline bool avx_on(void)
{
    sse_on();
    if (!HAS_XSAVE || !HAS_AVX)
        return false;
    write_cr4(read_cr4() | CR4_OSXSAVE);
    xsetbv(0, XCR0_X87 | XCR0_SSE | XCR0_AVX);
    return true;
}

#endif

// SPDX-License-Identifier: BSD-2-Clause
// Switching x87 and vector registers on.
#include "guest/vectors.h"

#include <stdbool.h>

#include "guest/insn.h"
#include "x86/regs.h"

#define CPUID_FEATURES 1
#define CPUID_XSAVE 0xd // what there is to be switched on
#define CPUID_EDX_FXSR (1u << 24)
#define CPUID_ECX_XSAVE (1u << 26)
#define CPUID_ECX_AVX (1u << 28)
#define XCR0_X87_SSE 3u
#define XCR0_AVX 4u

enum vectors vectors_on(void)
{
    struct cpuid_result features = cpuid(CPUID_FEATURES, 0);
    if (!(features.edx & CPUID_EDX_FXSR))
        return VECTORS_NONE;
    bool leaf = cpuid(0, 0).eax >= CPUID_XSAVE && (cpuid(CPUID_XSAVE, 0).eax & XCR0_X87_SSE) == XCR0_X87_SSE;
    bool xsave = leaf && features.ecx & CPUID_ECX_XSAVE;
    write_cr4(read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT | (xsave ? CR4_OSXSAVE : 0));
    if (!xsave)
        return VECTORS_FXSAVE;
    uint32_t components = XCR0_X87_SSE | (features.ecx & CPUID_ECX_AVX ? XCR0_AVX : 0);
    __asm__ volatile("xsetbv" : : "a"(components), "d"(0), "c"(0));
    return VECTORS_XSAVE;
}

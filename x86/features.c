// SPDX-License-Identifier: BSD-2-Clause
// The host's CPUID, read by the rows of x86/features.def.
#include "x86/features.h"

#include <cpuid.h>

#define XCR0_SSE_AVX 6u

struct registers {
    uint32_t eax, ebx, ecx, edx;
};

static struct registers ask(uint32_t leaf, uint32_t subleaf)
{
    struct registers r = {0};
    __get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx); // zeros for a leaf that is not there
    return r;
}

// The components that the host's kernel saves (SDM vol. 1, 13.3).
static uint32_t host_xcr0(void)
{
    uint32_t low, high;
    if (!(ask(1, 0).ecx & bit_OSXSAVE))
        return 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

x86_feature_set x86_host_features(void)
{
    const struct registers leaf_0x1_0 = ask(0x1, 0), leaf_0x7_0 = ask(0x7, 0), leaf_0xd_1 = ask(0xd, 1),
                           leaf_0x80000001_0 = ask(0x80000001, 0);
    x86_feature_set set = 0;
#define X86_FEATURE(name, leaf, subleaf, reg, bit)                                                                     \
    set |= (uint64_t)(leaf_##leaf##_##subleaf.reg >> (bit)&1) << X86_FEATURE_##name;
#include "x86/features.def"
#undef X86_FEATURE
    uint32_t saved = host_xcr0();
    if (!saved)
        set &= ~(X86_FEATURE_BIT(XSAVE) | X86_FEATURE_BIT(XSAVEOPT));
    if ((saved & XCR0_SSE_AVX) != XCR0_SSE_AVX)
        set &= ~(X86_FEATURE_BIT(AVX) | X86_FEATURE_BIT(AVX2) | X86_FEATURE_BIT(FMA) | X86_FEATURE_BIT(F16C));
    return set;
}

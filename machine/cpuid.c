// SPDX-License-Identifier: BSD-2-Clause
// What the virtual CPU says that it is (SDM vol. 2, CPUID): what interp and bt do and, for instructions that they leave
// to the host's CPU, what that has; so it is the same for every engine on one host. No MTRR: the guest's memory types
// are not its own. No hypervisor leaf: guests do not ask which engine they run on.
#include "machine/cpuid.h"

#include <stdbool.h>
#include <string.h>

#define BIT(n) (1u << (n))
#define CHARS(a, b, c, d) ((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)

#define FAMILY_6_MODEL_0 0x600u // what x86-64 software takes for a plain processor
#define PHYS_BITS 46u           // as x86/paging.c has it
#define VIRT_BITS 48u
#define CLFLUSH_BYTES 64u

enum leaf1_ecx { L1C_PCID = BIT(17) };
enum leaf1_edx {
    L1D_DE = BIT(2),
    L1D_PSE = BIT(3),
    L1D_TSC = BIT(4),
    L1D_MSR = BIT(5),
    L1D_PAE = BIT(6),
    L1D_CX8 = BIT(8),
    L1D_APIC = BIT(9),
    L1D_PGE = BIT(13),
    L1D_CMOV = BIT(15),
    L1D_PAT = BIT(16),
    L1D_CLFLUSH = BIT(19),
};
enum leaf7_ebx {
    L7B_FSGSBASE = BIT(0),
    L7B_SMEP = BIT(7),
    L7B_ERMS = BIT(9),
    L7B_INVPCID = BIT(10),
    L7B_SMAP = BIT(20),
};
enum ext1_edx {
    X1D_SYSCALL = BIT(11),
    X1D_NX = BIT(20),
    X1D_1GB = BIT(26),
    X1D_RDTSCP = BIT(27),
    X1D_LM = BIT(29),
};
enum ext7_edx { X7D_INVARIANT_TSC = BIT(8) };

// XSAVE areas in the standard form (SDM vol. 1, 13.4): the legacy region with the header, and the upper halves of ymm
#define XCR0_X87 1u
#define XCR0_SSE 2u
#define XCR0_AVX 4u
#define XSAVE_LEGACY_BYTES 576u
#define XSAVE_AVX_BYTES 256u

// "RingsideVCPU", in the order ebx, edx, ecx
#define VENDOR_EBX CHARS('R', 'i', 'n', 'g')
#define VENDOR_EDX CHARS('s', 'i', 'd', 'e')
#define VENDOR_ECX CHARS('V', 'C', 'P', 'U')

// Whatever the host is.
static const struct cpuid_leaf base[] = {
    {.leaf = 0x0, .eax = 0xd, .ebx = VENDOR_EBX, .ecx = VENDOR_ECX, .edx = VENDOR_EDX},
    {.leaf = 0x1,
     .eax = FAMILY_6_MODEL_0,
     .ebx = 1u << 16 | CLFLUSH_BYTES / 8 << 8, // one logical processor, APIC ID 0
     .ecx = L1C_PCID,
     .edx = L1D_DE | L1D_PSE | L1D_TSC | L1D_MSR | L1D_PAE | L1D_CX8 | L1D_APIC | L1D_PGE | L1D_CMOV | L1D_PAT |
            L1D_CLFLUSH},
    {.leaf = 0x7, .ebx = L7B_FSGSBASE | L7B_SMEP | L7B_ERMS | L7B_INVPCID | L7B_SMAP},
    {.leaf = 0xd},
    {.leaf = 0xd, .subleaf = 1},
    {.leaf = 0xd, .subleaf = 2},
    {.leaf = 0x80000000, .eax = 0x80000008, .ebx = VENDOR_EBX, .ecx = VENDOR_ECX, .edx = VENDOR_EDX},
    {.leaf = 0x80000001, .edx = X1D_SYSCALL | X1D_NX | X1D_1GB | X1D_RDTSCP | X1D_LM},
    {.leaf = 0x80000002,
     .eax = CHARS('R', 'i', 'n', 'g'),
     .ebx = CHARS('s', 'i', 'd', 'e'),
     .ecx = CHARS(' ', 'v', 'C', 'P'),
     .edx = CHARS('U', 0, 0, 0)},
    {.leaf = 0x80000003},
    {.leaf = 0x80000004},
    {.leaf = 0x80000007, .edx = X7D_INVARIANT_TSC},
    {.leaf = 0x80000008, .eax = VIRT_BITS << 8 | PHYS_BITS},
};

_Static_assert(sizeof base / sizeof base[0] <= MACHINE_CPUID_LEAVES, "room for every leaf");

// What of x86/features.def both interp and bt do: all of it.
#define ENGINES_DO (~(x86_feature_set)0)

// XSAVE's components need each other (SDM vol. 1, 13.2 and 14.3): without XSAVE there is no AVX, and without AVX
// nothing that uses its registers.
static x86_feature_set consistent(x86_feature_set set)
{
    const x86_feature_set avx =
        X86_FEATURE_BIT(AVX) | X86_FEATURE_BIT(AVX2) | X86_FEATURE_BIT(FMA) | X86_FEATURE_BIT(F16C);
    if (!(set & X86_FEATURE_BIT(XSAVE)))
        set &= ~X86_FEATURE_BIT(XSAVEOPT);
    return set & X86_FEATURE_BIT(XSAVE) && set & X86_FEATURE_BIT(AVX) ? set : set & ~avx;
}

// Leaf 0dh: which components XCR0 may have, and how many bytes they take (ebx is for those that it has: the engines').
static void describe_xsave(struct cpuid_leaf *leaf, x86_feature_set set)
{
    if (!(set & X86_FEATURE_BIT(XSAVE)))
        return;
    bool avx = set & X86_FEATURE_BIT(AVX);
    leaf->eax = avx ? XCR0_X87 | XCR0_SSE | XCR0_AVX : XCR0_X87 | XCR0_SSE;
    leaf->ebx = XSAVE_LEGACY_BYTES;
    leaf->ecx = avx ? XSAVE_LEGACY_BYTES + XSAVE_AVX_BYTES : XSAVE_LEGACY_BYTES;
    if (avx) { // its own subleaf
        leaf[2].eax = XSAVE_AVX_BYTES;
        leaf[2].ebx = XSAVE_LEGACY_BYTES;
    }
}

static struct cpuid_leaf *find(struct cpuid_leaf *leaves, size_t count, uint32_t leaf, uint32_t subleaf)
{
    for (size_t i = 0; i < count; i++) {
        if (leaves[i].leaf == leaf && leaves[i].subleaf == subleaf)
            return &leaves[i];
    }
    return NULL;
}

struct cpuid_table machine_cpuid(struct cpuid_leaf leaves[MACHINE_CPUID_LEAVES], x86_feature_set host)
{
    x86_feature_set set = consistent(host & ENGINES_DO);
    size_t count = sizeof base / sizeof base[0];
    memcpy(leaves, base, sizeof base);
    describe_xsave(find(leaves, count, 0xd, 0), set);
#define X86_FEATURE(name, l, s, reg, bit)                                                                              \
    if (set & X86_FEATURE_BIT(name))                                                                                   \
        find(leaves, count, l, s)->reg |= BIT(bit);
#include "x86/features.def"
#undef X86_FEATURE
    return (struct cpuid_table){leaves, count};
}

// SPDX-License-Identifier: BSD-2-Clause
// What CPUID says that tests depend on, by the manual's names (SDM vol. 2, CPUID).
#ifndef RINGSIDE_TESTS_GUEST_FEATURE_H
#define RINGSIDE_TESTS_GUEST_FEATURE_H

#include "guest/insn.h"

#define CPU_HAS(leaf, reg, bit) (cpuid(leaf, 0).reg >> (bit)&1)
#define HAS_SSE3 CPU_HAS(1, ecx, 0)
#define HAS_PCLMULQDQ CPU_HAS(1, ecx, 1)
#define HAS_SSSE3 CPU_HAS(1, ecx, 9)
#define HAS_CX16 CPU_HAS(1, ecx, 13)
#define HAS_PCID CPU_HAS(1, ecx, 17)
#define HAS_SSE42 CPU_HAS(1, ecx, 20)
#define HAS_CRC32 HAS_SSE42
#define HAS_X2APIC CPU_HAS(1, ecx, 21)
#define HAS_MOVBE CPU_HAS(1, ecx, 22)
#define HAS_POPCNT CPU_HAS(1, ecx, 23)
#define HAS_AES CPU_HAS(1, ecx, 25)
#define HAS_XSAVE CPU_HAS(1, ecx, 26)
#define HAS_OSXSAVE CPU_HAS(1, ecx, 27)
#define HAS_AVX CPU_HAS(1, ecx, 28)
#define HAS_RDRAND CPU_HAS(1, ecx, 30)
#define HAS_FPU CPU_HAS(1, edx, 0)
#define HAS_DE CPU_HAS(1, edx, 2)
#define HAS_MMX CPU_HAS(1, edx, 23)
#define HAS_FXSR CPU_HAS(1, edx, 24)
#define HAS_SSE CPU_HAS(1, edx, 25)
#define HAS_SSE2 CPU_HAS(1, edx, 26)
#define HAS_FSGSBASE CPU_HAS(7, ebx, 0)
#define HAS_BMI1 CPU_HAS(7, ebx, 3)
#define HAS_AVX2 CPU_HAS(7, ebx, 5)
#define HAS_SMEP CPU_HAS(7, ebx, 7)
#define HAS_BMI2 CPU_HAS(7, ebx, 8)
#define HAS_INVPCID CPU_HAS(7, ebx, 10)
#define HAS_RDSEED CPU_HAS(7, ebx, 18)
#define HAS_ADX CPU_HAS(7, ebx, 19)
#define HAS_SMAP CPU_HAS(7, ebx, 20)
#define HAS_CLFLUSHOPT CPU_HAS(7, ebx, 23)
#define HAS_CLWB CPU_HAS(7, ebx, 24)
#define HAS_RDPID CPU_HAS(7, ecx, 22)
#define HAS_UMIP CPU_HAS(7, ecx, 2)
#define HAS_LAHF CPU_HAS(0x80000001, ecx, 0)
#define HAS_LZCNT CPU_HAS(0x80000001, ecx, 5)
#define HAS_1G_PAGES CPU_HAS(0x80000001, edx, 26)
#define HAS_RDTSCP CPU_HAS(0x80000001, edx, 27)

// The first address beyond the lower half with 4-level paging, and with 5-level paging (SDM vol. 1, 3.3.7.1). A
// processor that knows the latter may take either in an MSR or a table's register, whatever cr4.LA57 says.
#define BEYOND_48_BITS 0x0000800000000000ull
#define BEYOND_57_BITS 0x0100000000000000ull

#endif

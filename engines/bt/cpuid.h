// SPDX-License-Identifier: BSD-2-Clause
// Looking things up in the guest's CPUID table: for whatever depends on a feature.
#ifndef RINGSIDE_BT_CPUID_H
#define RINGSIDE_BT_CPUID_H

#include "engines/bt/bt.h"

// Where a feature's bit is: leaf (bits 32 up), subleaf (16 up), register (8 up: eax, ebx, ecx, edx), bit number.
#define FEATURE(leaf, reg, bit) ((uint64_t)(leaf) << 32 | (reg) << 8 | (bit))
enum feature_register { IN_EAX, IN_EBX, IN_ECX, IN_EDX };
#define FEATURE_FPU FEATURE(1, IN_EDX, 0)
#define FEATURE_VME FEATURE(1, IN_EDX, 1)
#define FEATURE_DE FEATURE(1, IN_EDX, 2)
#define FEATURE_PSE FEATURE(1, IN_EDX, 3)
#define FEATURE_TSC FEATURE(1, IN_EDX, 4)
#define FEATURE_PAE FEATURE(1, IN_EDX, 6)
#define FEATURE_MCE FEATURE(1, IN_EDX, 7)
#define FEATURE_PGE FEATURE(1, IN_EDX, 13)
#define FEATURE_FXSR FEATURE(1, IN_EDX, 24)
#define FEATURE_SSE FEATURE(1, IN_EDX, 25)
#define FEATURE_SSE2 FEATURE(1, IN_EDX, 26)
#define FEATURE_SSE3 FEATURE(1, IN_ECX, 0)
#define FEATURE_PCLMUL FEATURE(1, IN_ECX, 1)
#define FEATURE_SSSE3 FEATURE(1, IN_ECX, 9)
#define FEATURE_FMA FEATURE(1, IN_ECX, 12)
#define FEATURE_PCID FEATURE(1, IN_ECX, 17)
#define FEATURE_SSE41 FEATURE(1, IN_ECX, 19)
#define FEATURE_SSE42 FEATURE(1, IN_ECX, 20)
#define FEATURE_AES FEATURE(1, IN_ECX, 25)
#define FEATURE_XSAVE FEATURE(1, IN_ECX, 26)
#define FEATURE_AVX FEATURE(1, IN_ECX, 28)
#define FEATURE_F16C FEATURE(1, IN_ECX, 29)
#define FEATURE_FSGSBASE FEATURE(7, IN_EBX, 0)
#define FEATURE_AVX2 FEATURE(7, IN_EBX, 5)
#define FEATURE_SMEP FEATURE(7, IN_EBX, 7)
#define FEATURE_INVPCID FEATURE(7, IN_EBX, 10)
#define FEATURE_SMAP FEATURE(7, IN_EBX, 20)
#define FEATURE_SHA FEATURE(7, IN_EBX, 29)
#define FEATURE_RDPID FEATURE(7, IN_ECX, 22)
#define FEATURE_XSAVEOPT (FEATURE(0xd, IN_EAX, 0) | 1u << 16)
#define FEATURE_NX FEATURE(0x80000001, IN_EDX, 20)
#define FEATURE_RDTSCP FEATURE(0x80000001, IN_EDX, 27)

bool cpuid_has(const struct bt *bt, uint64_t feature);
unsigned cpuid_physical_bits(const struct bt *bt); // of an address: MAXPHYADDR

#endif

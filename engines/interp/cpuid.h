// SPDX-License-Identifier: BSD-2-Clause
// Looking things up in the guest's CPUID table: for the instruction itself, and for whatever depends on a feature.
#ifndef RINGSIDE_INTERP_CPUID_H
#define RINGSIDE_INTERP_CPUID_H

#include "engines/interp/cpu.h"

// Feature bits that decide about an instruction, a register or a bit of one: the leaf's register and bit.
enum cpuid_register { CPUID_EAX, CPUID_EBX, CPUID_ECX, CPUID_EDX };
#define CPUID_BIT(leaf, reg, bit) (leaf), CPUID_##reg, (bit)
#define FEATURE_PCID CPUID_BIT(1, ECX, 17)
#define FEATURE_XSAVE CPUID_BIT(1, ECX, 26)
#define FEATURE_RDRAND CPUID_BIT(1, ECX, 30)
#define FEATURE_FSGSBASE CPUID_BIT(7, EBX, 0)
#define FEATURE_SMEP CPUID_BIT(7, EBX, 7)
#define FEATURE_INVPCID CPUID_BIT(7, EBX, 10)
#define FEATURE_RDSEED CPUID_BIT(7, EBX, 18)
#define FEATURE_SMAP CPUID_BIT(7, EBX, 20)
#define FEATURE_CLFLUSHOPT CPUID_BIT(7, EBX, 23)
#define FEATURE_CLWB CPUID_BIT(7, EBX, 24)
#define FEATURE_RDPID CPUID_BIT(7, ECX, 22)
#define FEATURE_NX CPUID_BIT(0x80000001, EDX, 20)
#define FEATURE_RDTSCP CPUID_BIT(0x80000001, EDX, 27)

bool cpuid_has(const struct cpu *c, uint32_t leaf, enum cpuid_register reg, unsigned bit);
x86_feature_set cpuid_features(const struct cpu *c); // of x86/features.def
unsigned cpuid_physical_bits(const struct cpu *c);   // of an address: MAXPHYADDR

// What CPUID gives for a leaf and subleaf, out-of-range ones included.
struct cpuid_leaf cpuid_query(const struct cpu *c, uint32_t leaf, uint32_t subleaf);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// The guest's CPUID is one table for all engines (machine/cpuid.c): never more than every engine can do.
#ifndef RINGSIDE_CPUID_H
#define RINGSIDE_CPUID_H

#include <stddef.h>
#include <stdint.h>

struct cpuid_leaf {
    uint32_t leaf;
    uint32_t subleaf;
    uint32_t eax, ebx, ecx, edx;
};

struct cpuid_table {
    const struct cpuid_leaf *leaves; // sorted by leaf, then subleaf
    size_t count;
};

#endif

// SPDX-License-Identifier: BSD-2-Clause
// A guest's CPUID that announces all that the host has, whatever the machine would.
#ifndef RINGSIDE_TESTS_UNIT_HOST_FEATURES_H
#define RINGSIDE_TESTS_UNIT_HOST_FEATURES_H

#include "include/vcpu.h"

#define HOST_FEATURES_LEAVES 6

static inline struct cpuid_table host_features(struct cpuid_leaf l[HOST_FEATURES_LEAVES])
{
    uint32_t unused;
    l[0] = (struct cpuid_leaf){.leaf = 0, .eax = 0xd};
    l[1] = (struct cpuid_leaf){.leaf = 1};
    l[2] = (struct cpuid_leaf){.leaf = 7};
    l[3] = (struct cpuid_leaf){.leaf = 0xd, .subleaf = 1, .eax = 1};
    l[4] = (struct cpuid_leaf){.leaf = 0x80000000, .eax = 0x80000008};
    l[5] = (struct cpuid_leaf){.leaf = 0x80000008, .eax = 0x302e};
    __asm__ volatile("cpuid" : "=a"(unused), "=b"(unused), "=c"(l[1].ecx), "=d"(l[1].edx) : "a"(1), "c"(0));
    __asm__ volatile("cpuid" : "=a"(unused), "=b"(l[2].ebx), "=c"(l[2].ecx), "=d"(l[2].edx) : "a"(7), "c"(0));
    return (struct cpuid_table){l, HOST_FEATURES_LEAVES};
}

#endif

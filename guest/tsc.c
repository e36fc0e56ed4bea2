// SPDX-License-Identifier: BSD-2-Clause
// The fenced timer.
#include "guest/insn.h"
#include "guest/report.h"

#define CPUID_1_EDX_SSE2 (1u << 26)
#define CPUID_80000001_EDX_RDTSCP (1u << 27)

static struct {
    bool lfence, rdtscp;
} has;

void tsc_init(void)
{
    has.lfence = cpuid(1, 0).edx & CPUID_1_EDX_SSE2;
    has.rdtscp = cpuid(0x80000000, 0).eax >= 0x80000001 && cpuid(0x80000001, 0).edx & CPUID_80000001_EDX_RDTSCP;
}

static void fence(void)
{
    if (has.lfence)
        __asm__ volatile("lfence" : : : "memory");
}

static uint64_t read_tsc(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

// Everything before is done when the time is read, nothing after has begun (SDM vol. 2, RDTSC and RDTSCP).
uint64_t tsc_begin(void)
{
    fence();
    uint64_t t = read_tsc();
    fence();
    return t;
}

uint64_t tsc_end(void)
{
    if (!has.rdtscp)
        return tsc_begin();
    uint32_t low, high;
    __asm__ volatile("rdtscp" : "=a"(low), "=d"(high) : : "rcx", "memory");
    fence();
    return (uint64_t)high << 32 | low;
}

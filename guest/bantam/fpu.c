// SPDX-License-Identifier: BSD-2-Clause
// The programs' x87 and vector registers. The kernel uses none, so they are saved and loaded where another process's
// turn comes, all that CPUID offers; where it offers nothing, their instructions are SIGILL.
#include "guest/bantam/kernel.h"
#include "guest/insn.h"
#include "guest/vectors.h"

#define COMPONENTS 7    // of xsave: x87, SSE, AVX
#define FCW_RESET 0x37f // as fninit has it
#define MXCSR_RESET 0x1f80

struct registers { // an image of fxsave or of xsave in standard form (SDM vol. 1, 10.5 and 13.4)
    uint16_t fcw;
    uint8_t x87[22];
    uint32_t mxcsr;
    uint8_t rest[832 - 28];
} __attribute__((aligned(64)));

static struct registers saved[PROCESSES_MAX];
static const struct registers reset = {.fcw = FCW_RESET, .mxcsr = MXCSR_RESET};
static enum vectors way;

static struct registers *of(const struct process *p)
{
    return &saved[p - processes];
}

void fpu_init(void)
{
    way = vectors_on();
    if (way == VECTORS_NONE)
        write_cr0(read_cr0() | CR0_EM);
}

static void save(struct registers *to)
{
    if (way == VECTORS_XSAVE)
        __asm__ volatile("xsave64 %0" : "+m"(*to) : "a"(COMPONENTS), "d"(0));
    else if (way == VECTORS_FXSAVE)
        __asm__ volatile("fxsave64 %0" : "+m"(*to));
}

static void load(const struct registers *from)
{
    if (way == VECTORS_XSAVE)
        __asm__ volatile("xrstor64 %0" : : "m"(*from), "a"(COMPONENTS), "d"(0));
    else if (way == VECTORS_FXSAVE)
        __asm__ volatile("fxrstor64 %0" : : "m"(*from));
}

void fpu_switch(const struct process *old, const struct process *next)
{
    save(of(old));
    load(of(next));
}

void fpu_fork(const struct process *child)
{
    save(of(child));
}

void fpu_reset(void)
{
    load(&reset);
}

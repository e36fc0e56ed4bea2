// SPDX-License-Identifier: BSD-2-Clause
// x87 and vector registers are each process's own: they outlast other processes' turns, a child begins with a copy, a
// new program with what fninit and a reset leave, and an exception that is not masked ends by SIGFPE.
#include "guest/bantam/user/lib.h"

IMAGE("fpu");

#define FXSR (1u << 24)    // CPUID.1:EDX
#define OSXSAVE (1u << 27) // CPUID.1:ECX
#define XCR0_AVX 6u
#define TURNS 40
#define FCW_RESET 0x37f
#define MXCSR_RESET 0x1f80
#define MXCSR_DIVIDES 0x1d80 // division by zero is not masked
#define SAVED 416            // bytes of an fxsave image that mean something

struct image { // fxsave's (SDM vol. 1, 10.5)
    uint16_t fcw, fsw;
    uint8_t tags, unused;
    uint16_t fop;
    uint64_t fip, fdp; // of the last x87 instruction: nobody keeps them
    uint32_t mxcsr, mask;
    uint64_t st[8][2], xmm[16][2], rest[12];
} __attribute__((aligned(16)));

struct registers {
    struct image image;
    uint64_t ymm[2][4]; // ymm0, ymm15
};
static bool has_avx;

static void put(unsigned seed)
{
    static uint64_t value[4];
    static uint16_t fcw;
    static uint32_t mxcsr;
    for (unsigned i = 0; i < 4; i++)
        value[i] = 0x0123456789abcdef * (seed + i);
    fcw = seed & 1 ? 0x27f : 0xf7f;
    mxcsr = seed & 1 ? 0x1f80 | 0x6000 : 0x1f80 | 0x8000;
    __asm__ volatile("fninit; fldcw %0; fildll %1; fildll %2; ldmxcsr %3"
                     :
                     : "m"(fcw), "m"(value[0]), "m"(value[1]), "m"(mxcsr));
    __asm__ volatile("movdqu %0, %%xmm0; movdqu %0, %%xmm7; movdqu %0, %%xmm15; paddq %%xmm7, %%xmm7" : : "m"(value));
    if (has_avx)
        __asm__ volatile("vmovdqu %0, %%ymm0; vpermilpd $5, %%ymm0, %%ymm15" : : "m"(value));
}

static void take(struct registers *r)
{
    memset(r, 0, sizeof *r);
    __asm__ volatile("fxsave64 %0" : "+m"(r->image));
    r->image.fop = 0;
    r->image.fip = r->image.fdp = 0;
    r->image.mask = 0;
    if (has_avx)
        __asm__ volatile("vmovdqu %%ymm0, %0; vmovdqu %%ymm15, %1" : "=m"(r->ymm[0]), "=m"(r->ymm[1]));
}

static bool same(const struct registers *a, const struct registers *b)
{
    return !memcmp(&a->image, &b->image, SAVED) && !memcmp(a->ymm, b->ymm, sizeof a->ymm);
}

static int keeps(unsigned seed)
{
    struct registers first, now;
    put(seed);
    take(&first);
    for (unsigned i = 0; i < TURNS; i++) {
        sched_yield();
        take(&now);
        if (!same(&first, &now))
            return 1;
    }
    return 0;
}

static int status_of(int pid)
{
    int status = -1;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return status;
}

static void side_by_side(void)
{
    int pids[3];
    for (unsigned i = 0; i < 3; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            _exit(keeps(i + 2));
    }
    CHECK_EQ(keeps(1), 0);
    for (unsigned i = 0; i < 3; i++)
        CHECK_EQ(status_of(pids[i]), 0);
}

static void copied(void)
{
    struct registers before, after;
    put(9);
    take(&before);
    int pid = fork();
    take(&after);
    if (pid == 0)
        _exit(!same(&before, &after));
    CHECK(same(&before, &after));
    CHECK_EQ(status_of(pid), 0);
}

// The other program: the first thing that it does.
static int as_reset(const struct registers *r)
{
    bool zero = true;
    for (unsigned i = 0; i < 16; i++)
        zero &= !r->image.xmm[i][0] && !r->image.xmm[i][1];
    for (unsigned i = 0; i < 4; i++)
        zero &= !r->ymm[0][i] && !r->ymm[1][i];
    return !(r->image.fcw == FCW_RESET && r->image.mxcsr == MXCSR_RESET && r->image.tags == 0 && zero);
}

static const char *own_path(void)
{
    return (const char *)aux_value(AT_EXECFN);
}

static void begins_anew(void)
{
    const char *const argv[] = {own_path(), "part=new", NULL}, *const envp[] = {NULL};
    put(5);
    int pid = fork();
    if (pid == 0)
        _exit(execve(own_path(), argv, envp) < 0 ? 99 : 98);
    CHECK_EQ(status_of(pid), 0);
}

static void divide_sse(void)
{
    static const uint32_t mxcsr = MXCSR_DIVIDES, one = 0x3f800000;
    __asm__ volatile("ldmxcsr %0; movss %1, %%xmm1; xorps %%xmm2, %%xmm2; divss %%xmm2, %%xmm1"
                     :
                     : "m"(mxcsr), "m"(one));
}

static void divide_x87(void)
{
    static const uint16_t fcw = FCW_RESET & ~4;
    __asm__ volatile("fninit; fldcw %0; fld1; fldz; fdivrp; fwait" : : "m"(fcw));
}

static int signal_of(void (*division)(void))
{
    int pid = fork();
    if (pid == 0) {
        division();
        _exit(1);
    }
    return WTERMSIG(status_of(pid));
}

static void exceptions(void)
{
    CHECK_EQ(signal_of(divide_x87), SIGFPE);
    CHECK_EQ(signal_of(divide_sse), SIGFPE);
}

int image_main(void)
{
    struct registers begun;
    uint32_t a = 1, b, c = 0, d, xcr0 = 0;
    if (!(aux_value(AT_HWCAP) & FXSR)) {
        skip("CPUID has no FXSR");
        return 0;
    }
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    if (c & OSXSAVE)
        __asm__ volatile("xgetbv" : "=a"(xcr0), "=d"(d) : "c"(0));
    has_avx = (xcr0 & XCR0_AVX) == XCR0_AVX;
    take(&begun);
    if (option("part"))
        return as_reset(&begun);
    side_by_side();
    copied();
    begins_anew();
    exceptions();
    return 0;
}

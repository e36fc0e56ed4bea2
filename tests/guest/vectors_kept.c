// SPDX-License-Identifier: BSD-2-Clause
// Vector and x87 registers live through everything that is not an instruction of theirs: timer interrupts in loops at
// CPL 0 and CPL 3, page faults, breakpoints and system calls, changes of the address space; also where the handler
// saves them, uses them itself and restores them, as a kernel does that has work for them.
#include "tests/guest/fpu.h"
#include "tests/guest/pc.h"

IMAGE("vectors_kept");

enum { TICKS = 20 };
#define PATTERN(n) (0x0101010101010101ull * (n))

static bool avx;

// ---- Registers filled and looked at: xmm n holds PATTERN(n + 1) twice, ymm n besides its complement, mm n PATTERN(n +
// 32)
// ----

struct registers {
    uint64_t ymm[16][4];
    uint64_t mm[8];
    uint32_t mxcsr;
    uint16_t cw;
} __attribute__((aligned(32)));
static USER_DATA struct registers wanted, found;
static USER_DATA uint64_t user_avx; // as avx, for code at CPL 3

#define EACH16(m) m(0) m(1) m(2) m(3) m(4) m(5) m(6) m(7) m(8) m(9) m(10) m(11) m(12) m(13) m(14) m(15)
#define EACH8(m) m(0) m(1) m(2) m(3) m(4) m(5) m(6) m(7)
#define LOAD_YMM(n) "vmovaps 32*" #n "(%0), %%ymm" #n "\n"
#define LOAD_XMM(n) "movaps 32*" #n "(%0), %%xmm" #n "\n"
#define LOAD_MM(n) "movq 512+8*" #n "(%0), %%mm" #n "\n"
#define STORE_YMM(n) "vmovaps %%ymm" #n ", 32*" #n "(%0)\n"
#define STORE_XMM(n) "movaps %%xmm" #n ", 32*" #n "(%0)\n"
#define STORE_MM(n) "movq %%mm" #n ", 512+8*" #n "(%0)\n"

static inline __attribute__((always_inline)) void load(const struct registers *r, bool ymm)
{
    if (ymm)
        __asm__ volatile(EACH16(LOAD_YMM) : : "r"(r) : "memory");
    else
        __asm__ volatile(EACH16(LOAD_XMM) : : "r"(r) : "memory");
    __asm__ volatile("fninit; fldcw 580(%0); ldmxcsr 576(%0)\n" EACH8(LOAD_MM) : : "r"(r) : "memory");
}

static inline __attribute__((always_inline)) void store(struct registers *r, bool ymm)
{
    if (ymm)
        __asm__ volatile(EACH16(STORE_YMM) : : "r"(r) : "memory");
    else
        __asm__ volatile(EACH16(STORE_XMM) : : "r"(r) : "memory");
    __asm__ volatile("fnstcw 580(%0); stmxcsr 576(%0)\n" EACH8(STORE_MM) : : "r"(r) : "memory");
}

static void want(uint64_t first)
{
    for (unsigned i = 0; i < 16; i++) {
        wanted.ymm[i][0] = wanted.ymm[i][1] = PATTERN(first + i);
        wanted.ymm[i][2] = wanted.ymm[i][3] = avx ? ~PATTERN(first + i) : 0;
    }
    for (unsigned i = 0; i < 8; i++)
        wanted.mm[i] = PATTERN(first + 32 + i);
    wanted.mxcsr = 0x7fa1; // round to zero, a flag
    wanted.cw = 0xe7f;
    for (unsigned i = 0; i < sizeof found; i++)
        ((uint8_t *)&found)[i] = 0;
}

static bool all_kept(void)
{
    const uint64_t *a = (const uint64_t *)&wanted, *b = (const uint64_t *)&found;
    bool same = true;
    for (unsigned i = 0; i < sizeof wanted / 8; i++)
        same = same && a[i] == b[i];
    return same;
}

// ---- Interrupts ----

static volatile unsigned ticks;
static bool handler_computes;
static USER_DATA volatile uint64_t user_stop;

// As Linux's kernel_fpu_begin() and its end, with something in between that is plain to see if it stays.
static void compute(void)
{
    static uint8_t area[1024] __attribute__((aligned(64)));
    if (avx)
        __asm__ volatile(
            "xsave %0; vpcmpeqb %%xmm0, %%xmm0, %%xmm0; vmovaps %%xmm0, %%xmm9; fninit; fldpi; vzeroupper\n"
            "pxor %%mm3, %%mm3; ldmxcsr %1; xrstor %0"
            : "+m"(area)
            : "m"(*(const uint32_t[]){MXCSR_INIT}), "a"(7), "d"(0));
    else
        __asm__ volatile("fxsave %0; pcmpeqb %%xmm0, %%xmm0; movaps %%xmm0, %%xmm9; fninit; fldpi; pxor %%mm3, %%mm3\n"
                         "ldmxcsr %1; fxrstor %0"
                         : "+m"(area)
                         : "m"(*(const uint32_t[]){MXCSR_INIT}));
}

static void on_tick(struct trap_frame *frame)
{
    (void)frame;
    if (handler_computes)
        compute();
    if (++ticks >= TICKS)
        user_stop = 1;
    pic_eoi(IRQ_TIMER);
}

static USER_CODE uint64_t user_waits(void *arg)
{
    (void)arg;
    load(&wanted, user_avx);
    while (!user_stop)
        ;
    store(&found, user_avx);
    return 0;
}

static void interrupts(bool computes)
{
    handler_computes = computes;
    ticks = 0;
    want(1);
    pit_start(2, PIT_HZ / 1000);
    load(&wanted, avx);
    sti();
    while (ticks < TICKS)
        ;
    cli();
    store(&found, avx);
    CHECK(all_kept());

    ticks = 0;
    user_stop = 0;
    want(2);
    write_flags(FLAG_IF);
    run_user(user_waits, NULL);
    cli();
    CHECK(ticks >= TICKS);
    CHECK(all_kept());
}

// ---- Everything else that enters the kernel ----

#define FAR_VA 0x400000000000ull
static unsigned entries;

static void on_page_fault(struct trap_frame *frame)
{
    (void)frame;
    map_page(read_cr2() & ~4095ull, phys_of(page_alloc()), PTE_P | PTE_W | PTE_U);
    entries++;
    if (handler_computes)
        compute();
}

static void on_skipped(struct trap_frame *frame) // ud2: 2 bytes
{
    frame->rip += 2;
    entries++;
    write_cr3(read_cr3());
    if (handler_computes)
        compute();
}

static USER_CODE uint64_t user_enters(void *arg)
{
    load(&wanted, user_avx);
    for (unsigned i = 0; i < 8; i++)
        __asm__ volatile("movl $1, (%0); ud2" : : "r"((char *)arg + 4096 * i) : "memory");
    store(&found, user_avx);
    return 0;
}

static void enters(uint64_t va)
{
    want(3);
    entries = 0;
    trap_set(VEC_PF, on_page_fault);
    trap_set(VEC_UD, on_skipped);
    run_user(user_enters, (void *)va);
    trap_set(VEC_PF, NULL);
    trap_set(VEC_UD, NULL);
    CHECK_EQ(entries, 16);
    CHECK(all_kept());
}

int image_main(void)
{
    if (!HAS_SSE2 || !HAS_FXSR || !HAS_MMX) {
        skip("no SSE2 in CPUID");
        return 0;
    }
    avx = avx_on();
    user_avx = avx;
    lapic_enable(0xff);
    pic_init();
    trap_set(IRQ_BASE + IRQ_TIMER, on_tick);
    pic_unmask(IRQ_TIMER);
    interrupts(false);
    interrupts(true);
    outb(PIC1_DATA, 0xff);
    handler_computes = false;
    enters(FAR_VA);
    handler_computes = true;
    enters(FAR_VA + 8 * 4096);
    __asm__ volatile("emms");
    return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
// fxsave and fxrstor: what is where, what they leave alone, and what they refuse (SDM vol. 1, 10.5; vol. 2, FXSAVE).
#include "tests/guest/fpu.h"
#include "tests/guest/judge.h"

IMAGE("fxsave");

static struct fxsave a, b;

static void fill(struct fxsave *f, uint8_t byte)
{
    uint8_t *p = (uint8_t *)f;
    for (unsigned i = 0; i < sizeof *f; i++)
        p[i] = byte;
}

static bool untouched(const uint8_t *p, unsigned size, uint8_t byte)
{
    bool same = true;
    for (unsigned i = 0; i < size; i++)
        same = same && p[i] == byte;
    return same;
}

static void layout(void)
{
    static const uint64_t xmm15[2] __attribute__((aligned(16))) = {0x0123456789abcdef, 0xfedcba9876543210};
    fill(&a, 0x5a);
    __asm__ volatile("fninit; fldcw %1; fldpi; fld1; fchs; movaps %2, %%xmm15; pxor %%xmm3, %%xmm3; ldmxcsr %3\n"
                     "fxsave %0; fninit; ldmxcsr %4"
                     : "+m"(a)
                     : "m"(*(const uint16_t[]){0x27f}), "m"(xmm15), "m"(*(const uint32_t[]){0x9fc0}),
                       "m"(*(const uint32_t[]){MXCSR_INIT}));
    CHECK_EQ(a.cw, 0x27f);
    CHECK_EQ(SW_TOP(a.sw), 6);
    CHECK_EQ(a.tags, 0xc0); // by physical register, as against the values
    CHECK_EQ(a.zero, 0);
    CHECK(m80_is(a.st[0].value, 0xbfff, 0x8000000000000000));
    CHECK(m80_is(a.st[1].value, 0x4000, 0xc90fdaa22168c235));
    CHECK_EQ(a.mxcsr, 0x9fc0);
    CHECK_EQ(a.mxcsr_mask & 0xffbf, 0xffbf); // all but DAZ are everywhere
    CHECK(a.xmm[15][0] == xmm15[0] && a.xmm[15][1] == xmm15[1]);
    CHECK(a.xmm[3][0] == 0 && a.xmm[3][1] == 0);
    CHECK(untouched(a.rest + 48, 48, 0x5a)); // bytes 464 to 511 are software's

    // fxsave changes nothing, not even a pending exception; fxrstor brings all back.
    __asm__ volatile("fninit; fldcw %2; fldz; fld1; fdivp; fxsave %0; fninit; fxrstor %0; fxsave %1; fninit"
                     : "=m"(a), "=m"(b)
                     : "m"(*(const uint16_t[]){CW_INIT & ~SW_ZE}));
    CHECK_EQ_NOT_QEMU(a.sw, SW_ES | SW_ZE | 6 << 11);
    CHECK(a.cw == b.cw && a.sw == b.sw && a.tags == b.tags);
    for (unsigned i = 0; i < 8; i++)
        CHECK(a.st[i].value.mantissa == b.st[i].value.mantissa && a.st[i].value.exponent == b.st[i].value.exponent);
}

static void odd_values(void)
{
    fill(&a, 0);
    a.cw = 0xffff, a.sw = 0x80, a.tags = 0x81, a.mxcsr = MXCSR_INIT; // ES without an exception
    __asm__ volatile("fxrstor %1; fxsave %0; fninit" : "=m"(b) : "m"(a));
    CHECK_EQ_NOT_QEMU(b.cw, 0x1f7f);
    CHECK_EQ_NOT_QEMU(b.sw, 0);
    CHECK_EQ(b.tags, 0x81);
    a.cw = CW_INIT & ~SW_IE, a.sw = SW_IE; // one that nobody masks, without ES
    __asm__ volatile("fxrstor %1; fxsave %0; fninit" : "=m"(b) : "m"(a));
    CHECK_EQ_NOT_QEMU(b.sw, SW_ES | SW_IE);
    // Pointers: 64 bits with REX.W, and 32 without.
    a.fip = 0x123456789abc, a.fdp = 0x7edcba987654, a.fop = 0x7ff;
    __asm__ volatile("fxrstor64 %1; fxsave64 %0; fninit" : "=m"(b) : "m"(a));
    CHECK_NOT_QEMU(b.fip == a.fip && b.fdp == a.fdp && b.fop == a.fop);
    __asm__ volatile("fxrstor64 %1; fxsave %0; fninit" : "=m"(b) : "m"(a));
    CHECK_EQ_NOT_QEMU((uint32_t)b.fip, (uint32_t)a.fip);
    CHECK_EQ_NOT_QEMU((uint32_t)b.fdp, (uint32_t)a.fdp);
}

static void do_save(void *to)
{
    __asm__ volatile("fxsave (%0)" : : "r"(to) : "memory");
}

static void do_restore(void *from)
{
    __asm__ volatile("fxrstor (%0)" : : "r"(from) : "memory");
}

static void refusals(void)
{
    uint64_t cr0 = read_cr0();
    __asm__ volatile("fninit; fxsave %0" : "=m"(a));
    CHECK_EQ(catch_fault(do_save, (uint8_t *)&a + 8).vector, VEC_GP); // not aligned
    CHECK_EQ(catch_fault(do_restore, (uint8_t *)&a + 8).vector, VEC_GP);
    a.mxcsr |= 0x10000;
    a.cw = 0x7f;
    CHECK_EQ_NOT_QEMU(catch_fault(do_restore, &a).vector, VEC_GP); // a reserved bit of MXCSR
    CHECK_EQ_NOT_QEMU(x87_cw(), CW_INIT);
    write_cr0(cr0 | CR0_TS);
    CHECK_EQ(catch_fault(do_save, &a).vector, VEC_NM);
    CHECK_EQ(catch_fault(do_restore, &a).vector, VEC_NM);
    write_cr0((cr0 & ~(uint64_t)CR0_MP) | CR0_EM);
    CHECK_EQ(catch_fault(do_save, &a).vector, VEC_NM);
    write_cr0(cr0);
}

// An area that goes on in a page that is not there: nothing is loaded.
static void page_fault(void)
{
    uint64_t va = 0x400000000000, last = va + 4096 - 256;
    map_page(va, phys_of(page_alloc()), PTE_P | PTE_W);
    __asm__ volatile("fninit" : :);
    struct caught c = catch_fault(do_restore, (void *)last);
    CHECK(c.vector == VEC_PF && c.cr2 >= va + 4096 && c.cr2 < last + sizeof a);
    CHECK_EQ_NOT_QEMU(x87_cw(), CW_INIT);
    c = catch_fault(do_save, (void *)last);
    CHECK(c.vector == VEC_PF && c.cr2 >= va + 4096 && c.cr2 < last + sizeof a);
    CHECK_EQ(c.error, PF_WRITE);
}

int image_main(void)
{
    if (!HAS_FXSR || !HAS_SSE2) {
        skip("no FXSAVE or no SSE2 in CPUID");
        return 0;
    }
    sse_on();
    layout();
    odd_values();
    refusals();
    page_fault();
    return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
// MMX registers are the x87's: what one writes the other finds, with tags and TOP as the manual has them (SDM vol. 3,
// 12.2); the instructions of each kind on values that show them; and CR0's say.
#include "tests/guest/fpu.h"
#include "tests/guest/judge.h"

IMAGE("mmx");

// ---- Aliasing ----

static struct fxsave area;

static void aliasing(void)
{
    const uint64_t value = 0x1122334455667788;
    uint64_t seen;
    uint32_t env[7];
    // The first load lands in R7, which is mm7; reading it clears TOP and marks all registers as used.
    __asm__ volatile("fninit; fldpi; movq %%mm7, %0; fnstenv %1" : "=r"(seen), "=m"(env));
    CHECK_EQ(seen, 0xc90fdaa22168c235);
    CHECK_EQ(SW_TOP(env[1]), 0);
    CHECK_EQ(env[2] & 0xffff & 3 << 14, 0); // R7 still holds a valid pi
    // A write sets the 16 bits above to ones: a NaN, or an infinity, to the x87.
    __asm__ volatile("fninit; movq %1, %%mm3; fxsave %0; emms" : "=m"(area) : "r"(value));
    CHECK_NOT_QEMU(m80_is(area.st[3].value, 0xffff, value));
    CHECK_EQ(area.tags, 0xff);
    CHECK_EQ(SW_TOP(area.sw), 0);
    // emms empties all registers and leaves their contents.
    __asm__ volatile("movq %1, %%mm3; emms; fxsave %0" : "=m"(area) : "r"(value));
    CHECK_EQ(area.tags, 0);
    CHECK_NOT_QEMU(m80_is(area.st[3].value, 0xffff, value));
    // Without emms the x87's stack is full.
    __asm__ volatile("fninit; movq %1, %%mm0; fld1; fnstsw %w0; fninit" : "=a"(seen) : "r"(value));
    CHECK_EQ_NOT_QEMU(seen & (0xffff & ~(7u << 11)), SW_IE | SW_SF | SW_C1);
    // TOP moves the names of the x87's registers, not of MMX's.
    __asm__ volatile("fninit; movq %2, %%mm5; emms; fincstp; fincstp; fxsave %1; movq %%mm5, %0; emms"
                     : "=r"(seen), "=m"(area)
                     : "r"(value));
    CHECK_EQ(seen, value);
    CHECK_EQ(SW_TOP(area.sw), 2);
    CHECK_NOT_QEMU(m80_is(area.st[3].value, 0xffff, value));
}

// ---- Instructions ----

#define MMX(name, text)                                                                                                \
    static uint64_t name(uint64_t a, uint64_t b)                                                                       \
    {                                                                                                                  \
        __asm__ volatile("movq %0, %%mm0; movq %1, %%mm1\n" text "\nmovq %%mm0, %0; emms" : "+r"(a) : "r"(b));         \
        return a;                                                                                                      \
    }
MMX(paddb, "paddb %%mm1, %%mm0")
MMX(paddusb, "paddusb %%mm1, %%mm0")
MMX(psubsw, "psubsw %%mm1, %%mm0")
MMX(pmaddwd, "pmaddwd %%mm1, %%mm0")
MMX(pmulhw, "pmulhw %%mm1, %%mm0")
MMX(packsswb, "packsswb %%mm1, %%mm0")
MMX(packuswb, "packuswb %%mm1, %%mm0")
MMX(punpcklbw, "punpcklbw %%mm1, %%mm0")
MMX(punpckhwd, "punpckhwd %%mm1, %%mm0")
MMX(pcmpgtb, "pcmpgtb %%mm1, %%mm0")
MMX(pandn, "pandn %%mm1, %%mm0")
MMX(psrad, "psrad %%mm1, %%mm0")
MMX(psrad_imm, "psrad $4, %%mm0")
MMX(psllq, "psllq %%mm1, %%mm0")
MMX(movd, "movd %%mm1, %%eax; movd %%eax, %%mm0")

MMX(pavgb, "pavgb %%mm1, %%mm0")
MMX(psadbw, "psadbw %%mm1, %%mm0")
MMX(pmulhuw, "pmulhuw %%mm1, %%mm0")
MMX(pshufw, "pshufw $0x1b, %%mm1, %%mm0")
MMX(pinsrw, "pinsrw $6, %%eax, %%mm0") // of 6, the last two bits count
MMX(pmovmskb, "pmovmskb %%mm1, %%eax; movd %%eax, %%mm0")
MMX(pmuludq, "pmuludq %%mm1, %%mm0")
MMX(phaddw, "phaddw %%mm1, %%mm0")
MMX(pshufb, "pshufb %%mm1, %%mm0")
MMX(palignr, "palignr $3, %%mm1, %%mm0")
MMX(pabsw, "pabsw %%mm1, %%mm0")

static void instructions(void)
{
    const uint64_t a = 0x0123456789abcdef, b = 0xfedcba9876543210;
    CHECK_EQ(paddb(a, b), 0xffffffffffffffff);
    CHECK_EQ(paddusb(0xf0f0101080807f7f, 0x20f0f01080018000), 0xffffff20ff81ff7f);
    CHECK_EQ(psubsw(0x8000000100007fff, 0x0001000200008000), 0x8000ffff00007fff);
    CHECK_EQ(pmaddwd(0x0002000380008000, 0x0004000580008000), 0x0000001780000000);
    CHECK_EQ(pmulhw(0x7fff800000020001, 0x7fff8000ffffffff), 0x3fff4000ffffffff);
    CHECK_EQ(packsswb(0x7fff800000010080, 0xff80ff7f007f0000), 0x80807f007f80017f);
    CHECK_EQ(packuswb(0x7fff800000010100, 0xff8000fe00ff0000), 0x00feff00ff0001ff);
    CHECK_EQ(punpcklbw(a, b), 0x768954ab32cd10ef);
    CHECK_EQ(punpckhwd(a, b), 0xfedc0123ba984567);
    CHECK_EQ(pcmpgtb(0x017fff8000010203, 0x0080fe8001010202), 0xffffff00000000ff);
    CHECK_EQ(pandn(a, b), ~a & b);
    CHECK_EQ(psrad(0x8000000040000000, 100), 0xffffffff00000000);
    CHECK_EQ(psrad_imm(0x8000000040000000, 0), 0xf800000004000000);
    CHECK_EQ(psllq(a, 64), 0);
    CHECK_EQ(movd(a, b), 0x76543210);
    if (HAS_SSE2) {
        CHECK_EQ(pavgb(0x00ff01fe00000000, 0x01ff02fe00000000), 0x01ff02fe00000000);
        CHECK_EQ(psadbw(a, b), 0x440);
        CHECK_EQ(pmulhuw(0xffff800000020001, 0xffff8000ffffffff), 0xfffe400000010000);
        CHECK_EQ(pshufw(a, b), 0x32107654ba98fedc);
        CHECK_EQ(pinsrw(0, b) & 0xffff0000ffffffff, 0);
        CHECK_EQ(pmovmskb(a, 0x80007f80ff000180), 0x99);
        CHECK_EQ(pmuludq(a, b), 0x89abcdefull * 0x76543210ull);
    }
    if (HAS_SSSE3) {
        CHECK_EQ(phaddw(0x0001000200030004, 0x00050006fffffffe), 0x000bfffd00030007);
        CHECK_EQ(pshufb(a, 0x8007060504030201), 0x000123456789abcd);
        CHECK_EQ(palignr(a, b), 0xabcdeffedcba9876);
        CHECK_EQ(pabsw(a, 0x8000ffff00017fff), 0x8000000100017fff);
    }
}

static void store_masked(void)
{
    static uint64_t memory;
    memory = 0x1111111111111111;
    __asm__ volatile("movq %1, %%mm0; movq %2, %%mm1; maskmovq %%mm1, %%mm0; sfence; emms"
                     :
                     : "D"(&memory), "r"(0x8877665544332211), "r"(0x80ff007f00800080)
                     : "memory");
    CHECK_EQ(memory, 0x8877111111331111 | 0x11);
}

// ---- CR0 ----

static void one_mmx(void *arg)
{
    (void)arg;
    __asm__ volatile("paddb %%mm1, %%mm0" : :);
}

static void one_emms(void *arg)
{
    (void)arg;
    __asm__ volatile("emms" : :);
}

static void control(void)
{
    uint64_t cr0 = read_cr0();
    write_cr0(cr0 | CR0_TS);
    CHECK_EQ(catch_fault(one_mmx, NULL).vector, VEC_NM);
    CHECK_EQ_NOT_QEMU(catch_fault(one_emms, NULL).vector, VEC_NM);
    write_cr0((cr0 & ~(uint64_t)CR0_MP) | CR0_EM);
    CHECK_EQ(catch_fault(one_mmx, NULL).vector, VEC_UD);
    CHECK_EQ_NOT_QEMU(catch_fault(one_emms, NULL).vector, VEC_UD);
    write_cr0(cr0);
    CHECK_EQ(catch_fault(one_mmx, NULL).vector, -1);
    CHECK_EQ(catch_fault(one_emms, NULL).vector, -1);
}

int image_main(void)
{
    if (!HAS_MMX || !HAS_FXSR) {
        skip("no MMX or no FXSAVE in CPUID");
        return 0;
    }
    fpu_on();
    write_cr4(read_cr4() | CR4_OSFXSR);
    aliasing();
    instructions();
    if (HAS_SSE)
        store_masked();
    control();
    return 0;
}

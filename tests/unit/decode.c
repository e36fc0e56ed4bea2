// SPDX-License-Identifier: BSD-2-Clause
// The decoder: where Capstone by itself would be wrong (prefixes in any order, ignored bits, reserved hints), and
// vector operands.
#include "x86/decode.h"

#include "include/vcpu_state.h"
#include "tests/unit/check.h"

static struct insn decode(struct x86_decoder *d, const char *bytes, size_t n)
{
    struct insn in;
    if (!x86_decode(d, (const uint8_t *)bytes, n, 0x1000, &in))
        memset(&in, 0, sizeof in);
    return in;
}
#define DECODE(bytes) decode(&d, bytes, sizeof(bytes) - 1)

int main(void)
{
    struct x86_decoder d;
    if (!CHECK(x86_decoder_open(&d) == 0))
        return check_done("decode");

    const struct insn rep_movsw[] = {DECODE("\x66\xf3\xa5"), DECODE("\xf3\x66\xa5"), DECODE("\x66\x64\xf3\x66\xa5")};
    for (unsigned i = 0; i < 3; i++)
        CHECK(rep_movsw[i].id == X86_INS_MOVSW && rep_movsw[i].op[0].size == 2 && rep_movsw[i].rep);
    CHECK_EQ(rep_movsw[2].length, 5);
    CHECK_EQ(rep_movsw[2].op[1].mem.seg, SEG_FS);

    const struct insn popcnt[] = {DECODE("\x66\xf3\x0f\xb8\xc1"), DECODE("\xf3\x66\x0f\xb8\xc1"),
                                  DECODE("\xf3\x66\x41\x0f\xb8\xc1")};
    for (unsigned i = 0; i < 3; i++)
        CHECK(popcnt[i].id == X86_INS_POPCNT && popcnt[i].op[0].size == 2);
    CHECK_EQ(popcnt[2].op[1].reg, R9);

    CHECK_EQ(DECODE("\x66\x48\x8c\xd8").op[0].size, 8); // REX.W outweighs 66

    // A REX that is not the last prefix is none, and es, cs, ss and ds change no segment.
    CHECK(DECODE("\x48\xf0\x01\x03").lock);
    CHECK(!DECODE("\x48\xf0\x01\x03").rex_w);
    CHECK_EQ(DECODE("\x48\xf0\x01\x03").op[0].size, 4);
    CHECK_EQ(DECODE("\x66\x48\x68\x34\x12\x00\x00").length, 7);
    CHECK_EQ(DECODE("\x48\x66\x68\x34\x12").length, 5);
    CHECK_EQ(DECODE("\x64\x3e\x8b\x03").op[1].mem.seg, SEG_FS);

    // Selecting prefixes with others behind them.
    CHECK_EQ(DECODE("\xf2\x67\x0f\x38\xf0\x03").id, X86_INS_CRC32);
    CHECK_EQ(DECODE("\xf3\x65\x0f\xbd\xc3").id, X86_INS_LZCNT);
    CHECK_EQ(DECODE("\x66\x67\x0f\x38\xf6\xc3").id, X86_INS_ADCX);

    // Reserved hints are nops of any form: rdsspq rax, cldemote, bndmov, prefetches that nobody knows.
    CHECK_EQ(DECODE("\xf3\x48\x0f\x1e\xc8").id, X86_INS_NOP);
    CHECK_EQ(DECODE("\xf3\x48\x0f\x1e\xc8").length, 5);
    CHECK_EQ(DECODE("\x0f\x1c\x44\x24\x08").length, 5);
    CHECK_EQ(DECODE("\x66\x0f\x1a\x83\x00\x00\x00\x01").length, 8);
    CHECK_EQ(DECODE("\x0f\x0d\x35\x00\x00\x00\x00").length, 7);
    CHECK_EQ(DECODE("\xf3\x0f\x1e\xfa").id, X86_INS_ENDBR64);
    CHECK_EQ(DECODE("\x0f\x1e\x83\x00\x00").length, 0); // cut off

    CHECK_EQ(DECODE("\xc4\xe2\x60\xf2\xc1").id, X86_INS_ANDN);
    CHECK_EQ(DECODE("\x66\xc4\xe2\x60\xf2\xc1").length, 0); // VEX says itself what 66 would
    CHECK_EQ(DECODE("\x41\xc4\xe2\x60\xf2\xc1").length, 0);

    // Bits without a meaning: mod of mov from cr, REX.R of mov from a segment register.
    CHECK_EQ(DECODE("\x0f\x20\x18").length, 3);
    CHECK(DECODE("\x0f\x20\x18").op[1].kind == OPERAND_CR && DECODE("\x0f\x20\x18").op[1].reg == 3);
    CHECK(DECODE("\x44\x8c\xd8").op[1].kind == OPERAND_SEG && DECODE("\x44\x8c\xd8").op[1].reg == SEG_DS);

    // Vector operands: which register, and how much of it and of memory is accessed (the rest: decode_host.c).
    CHECK(DECODE("\xf3\x44\x0f\x58\x08").op[0].kind == OPERAND_XMM && DECODE("\xf3\x44\x0f\x58\x08").op[0].reg == 9);
    CHECK_EQ(DECODE("\xf3\x44\x0f\x58\x08").op[1].size, 4); // addss (%rax), %xmm9
    CHECK_EQ(DECODE("\xc5\xf4\x58\x00").operands, 3);       // vaddps (%rax), %ymm1, %ymm0
    CHECK(DECODE("\xc5\xf4\x58\x00").vex_l && DECODE("\xc5\xf4\x58\x00").op[2].size == 32);
    CHECK(DECODE("\x0f\x60\xc1").op[1].kind == OPERAND_MMX); // punpcklbw %mm1, %mm0
    CHECK(DECODE("\xd8\xc3").op[1].kind == OPERAND_ST && DECODE("\xd8\xc3").op[1].reg == 3);
    CHECK(DECODE("\xc4\xe2\x71\x90\x04\x62").op[1].mem.vsib); // vpgatherdd
    CHECK_EQ(DECODE("\xc4\xe2\x69\x90\x14\x62").length, 0);   // mask and destination the same
    CHECK_EQ(DECODE("\xc4\xe3\x6d\x4a\x08\x35").length, 6);   // vblendvps: a register in the immediate
    CHECK_EQ(DECODE("\xc4\xe3\x6d\x4a\x08\x35").op[3].reg, 3);
    CHECK_EQ(DECODE("\x66\x0f\x6f\x05\x00\x01\x00\x00").op[1].mem.disp, 0x1108); // relative to rip
    CHECK_EQ(DECODE("\x66\x0f\xf7\xc1").op[0].mem.base, RDI);                    // maskmovdqu
    CHECK_EQ(DECODE("\x62\xf1\x7c\x48\x58\xc1").length, 0);                      // EVEX

    CHECK_EQ(DECODE("\x66").length, 0); // nothing but a prefix
    x86_decoder_close(&d);
    return check_done("decode");
}

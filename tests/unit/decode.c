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

// Mandatory prefixes: none is allowed here.
static void check_excluded(struct x86_decoder d)
{
    CHECK_EQ(DECODE("\x0f\xc3\x0f").id, X86_INS_MOVNTI);
    CHECK_EQ(DECODE("\x48\x0f\xc3\x0f").op[0].size, 8);
    CHECK_EQ(DECODE("\x66\x0f\xc3\x0f").length, 0);
    CHECK_EQ(DECODE("\xf3\x0f\xc3\x0f").length, 0);
    CHECK_EQ(DECODE("\xf2\x0f\xc3\x0f").length, 0);
}

static struct insn decode_mode(struct x86_decoder *d, enum x86_mode mode, const char *bytes, size_t n)
{
    struct insn in;
    if (!x86_decode_mode(d, mode, (const uint8_t *)bytes, n, 0x1000, &in))
        memset(&in, 0, sizeof in);
    return in;
}
#define DECODE32(bytes) decode_mode(&d, X86_CODE32, bytes, sizeof(bytes) - 1)
#define DECODE16(bytes) decode_mode(&d, X86_CODE16, bytes, sizeof(bytes) - 1)

// Code segments other than 64-bit: defaults of operand and address size, opcodes that mean something else there.
static void check_modes(struct x86_decoder d)
{
    CHECK(DECODE("\x01\xc8").op_size == 4 && DECODE("\x66\x01\xc8").op_size == 2 &&
          DECODE("\x66\x48\x01\xc8").op_size == 8);
    CHECK(DECODE32("\x01\xc8").op[0].size == 4 && DECODE32("\x66\x01\xc8").op[0].size == 2);
    CHECK(DECODE16("\x01\xc8").op[0].size == 2 && DECODE16("\x66\x01\xc8").op[0].size == 4);
    CHECK(DECODE16("\x01\xc8").op_size == 2 && DECODE16("\x66\x01\xc8").op_size == 4);
    CHECK(DECODE32("\x8b\x03").addr_size == 4 && DECODE32("\x67\x8b\x03").addr_size == 2);
    CHECK(DECODE16("\x8b\x03").addr_size == 2 && DECODE16("\x67\x8b\x03").addr_size == 4);

    // 40 to 4f: inc and dec, and REX only in 64-bit mode.
    CHECK(DECODE32("\x48\x0f\x05").id == X86_INS_DEC && DECODE32("\x48\x0f\x05").length == 1);
    CHECK(!DECODE32("\x48").rex_w && DECODE("\x48\x0f\x05").rex_w);
    CHECK_EQ(DECODE32("\x45").op[0].reg, RBP);

    // c4, c5: les and lds where modrm has memory, VEX otherwise; 62: bound.
    CHECK(DECODE32("\xc4\x11").id == X86_INS_LES && DECODE32("\xc4\x11").op[1].size == 6);
    CHECK(DECODE16("\xc5\x11").id == X86_INS_LDS && DECODE16("\xc5\x11").op[1].size == 4);
    CHECK(DECODE32("\x66\xc4\x11").id == X86_INS_LES);
    CHECK_EQ(DECODE32("\xc4\xe2\x60\xf2\xc1").id, X86_INS_ANDN);
    CHECK_EQ(DECODE32("\x66\xc4\xe2\x60\xf2\xc1").length, 0);
    CHECK_EQ(DECODE32("\x62\xf1\x7c\x48\x10\x03").length, 0); // EVEX
    CHECK(DECODE32("\x62\x11").id == X86_INS_BOUND && DECODE32("\x62\x11").op[1].size == 8);
    CHECK_EQ(DECODE32("\x63\xd1").id, X86_INS_ARPL);
    CHECK(DECODE32("\xc4\xe2\xf8\xf3\xd9").id == X86_INS_BLSI && DECODE32("\xc4\xe2\xf8\xf3\xd9").op[1].size == 4);
    CHECK(DECODE32("\xc4\xc2\x60\xf2\xc1").op[2].reg == RCX); // VEX.B names no more registers

    // Segments: by prefix, the last one; else SS for (e)sp and (e)bp; ES for what string instructions write.
    CHECK_EQ(DECODE32("\x8b\x03").op[1].mem.seg, SEG_DS);
    CHECK(DECODE32("\x8b\x45\x00").op[1].mem.seg == SEG_SS && DECODE32("\x8b\x45\x00").stack_segment);
    CHECK(DECODE32("\x26\x8b\x45\x00").op[1].mem.seg == SEG_ES && !DECODE32("\x26\x8b\x45\x00").stack_segment);
    CHECK(DECODE32("\x36\x8b\x03").op[1].mem.seg == SEG_SS && DECODE32("\x36\x8b\x03").stack_segment);
    CHECK_EQ(DECODE32("\x2e\x3e\x64\x8b\x03").op[1].mem.seg, SEG_FS);
    CHECK(DECODE32("\x2e\xa5").op[0].mem.seg == SEG_ES && DECODE32("\x2e\xa5").op[1].mem.seg == SEG_CS);
    CHECK(DECODE32("\x36\xd7").op[0].mem.seg == SEG_SS && DECODE("\x36\xd7").op[0].mem.seg == X86_NO_SEG);

    // 16-bit addresses: pairs of registers, and a displacement alone.
    struct x86_operand bp_si = DECODE32("\x67\x8b\x42\xf0").op[1], alone = DECODE16("\x8b\x0e\x34\x12").op[1];
    CHECK(bp_si.mem.base == RBP && bp_si.mem.index == RSI && bp_si.mem.seg == SEG_SS && bp_si.mem.disp == -16);
    CHECK(alone.mem.base == X86_NO_REG && alone.mem.disp == 0x1234 && alone.mem.seg == SEG_DS);

    struct x86_operand movups = DECODE16("\x26\x0f\x10\x40\xfe").op[1], fld = DECODE32("\xd9\x04\x24").op[0];
    CHECK(movups.mem.base == RBX && movups.mem.index == RSI && movups.mem.disp == -2 && movups.mem.seg == SEG_ES);
    CHECK(fld.mem.base == RSP && fld.mem.seg == SEG_SS && !fld.written);
    CHECK(DECODE16("\x66\x0f\x6f\x06\x34\x12").op[1].mem.disp == 0x1234 && DECODE16("\x0f\x11\x00").op[0].written);

    // Near branches with 16-bit operands stay within 64 KiB; far pointers have the operand's size.
    CHECK_EQ(DECODE32("\x66\x0f\x84\xf0\xef").op[0].imm, 0xfff5);
    CHECK_EQ(DECODE32("\xe9\x00\x00\x00\xff").op[0].imm, 0xff001005);
    CHECK_EQ(DECODE32("\x67\x0f\x8d\x46\x8d\xbe\x0e").op[0].imm, 0x0ebe9d4d);
    CHECK(DECODE16("\x99").id == X86_INS_CWD && DECODE16("\x66\x98").id == X86_INS_CWDE);
    CHECK(DECODE32("\xea\x44\x33\x22\x11\x66\x55").op[0].imm == 0x5566 &&
          DECODE32("\xea\x44\x33\x22\x11\x66\x55").op[1].imm == 0x11223344);
    CHECK(DECODE32("\xff\x19").op[0].size == 6 && DECODE32("\x66\xff\x19").op[0].size == 4 &&
          DECODE("\x48\xff\x19").op[0].size == 10);
    CHECK(DECODE32("\x0f\x03\x33").op[1].size == 2 && DECODE("\x48\x0f\x02\x33").op[1].size == 2);

    CHECK(DECODE32("\xd4\x0c").op[0].kind == OPERAND_IMM && DECODE32("\xd4\x0c").op[0].imm == 12);
    CHECK(DECODE32("\xd4\x0a").op[0].imm == 10 && DECODE32("\xd5\x0a").op[0].imm == 10);
    CHECK(DECODE32("\x82\x03\x05").id == X86_INS_ADD && DECODE32("\x82\x03\x05").op[0].size == 1);
    CHECK(DECODE32("\x60").id == X86_INS_PUSHAL && DECODE32("\x66\x60").id == X86_INS_PUSHAW);
    CHECK_EQ(DECODE("\x60").length, 0);

    // What is written: the first operand, but for those that are only read; of xchg both.
    CHECK(DECODE("\x0f\xb1\x0b").op[0].written && !DECODE("\x39\x0b").op[0].written &&
          !DECODE("\x8b\x0b").op[1].written);
    CHECK(DECODE("\x0f\x94\x03").op[0].written && !DECODE("\xff\x33").op[0].written &&
          DECODE("\x87\x0b").op[0].written);
}

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

    // Near branches have 32 bits whatever 66 says, and stay in their 64-bit code.
    CHECK(DECODE("\x66\xe9\x00\x10\x00\x10").length == 6 && DECODE("\x66\xe9\x00\x10\x00\x10").op[0].imm == 0x10002006);
    CHECK(DECODE("\x66\xe8\x00\x10\x00\x10").length == 6 && DECODE("\x66\xe8\x00\x10\x00\x10").op_size == 4);
    CHECK_EQ(DECODE("\x66\x48\xe9\x00\x10\x00\x10").op[0].imm, 0x10002007);
    CHECK_EQ(DECODE("\x66\x0f\x84\xf0\xef\x0f\x10").op[0].imm, 0x100ffff7);
    CHECK_EQ(DECODE("\x66\x48\xc2\x08\x00").length, 5); // ret $8
    CHECK_EQ(DECODE("\x67\x48\xc2\x08\x00").length, 5);

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

    // REX.W of ret imm16, which is no longer for it, whatever else stands in front.
    CHECK(DECODE("\x67\x48\xc2\xa5\x66").length == 5 && DECODE("\x67\x48\xc2\xa5\x66").op[0].imm == 0x66a5);
    CHECK(DECODE("\x66\x48\xc2\xa5\x66").length == 5 && DECODE("\x66\x48\xc2\xa5\x66").op[0].imm == 0x66a5);
    CHECK(DECODE("\x48\xc2\xa5\x66").length == 4 && DECODE("\x48\xc2\xa5\x66").op[0].imm == 0x66a5);

    CHECK_EQ(DECODE("\xf2\x66\x0f\xc1\x20").op[0].size, 2); // f2 means nothing to xadd, 66 all the same

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
    check_excluded(d);
    check_modes(d);
    x86_decoder_close(&d);
    return check_done("decode");
}

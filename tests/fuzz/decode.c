// SPDX-License-Identifier: BSD-2-Clause
// Fuzzing the decoder that interp and bt share, in all three modes: whatever the bytes are, what comes out is what
// engines index their tables by, and depends on no byte behind the instruction.
#include "tests/fuzz/fuzz.h"

#include "include/vcpu_state.h"
#include "x86/decode.h"

#define ADDRESS 0x400ffbull

const char fuzz_name[] = "decode";
const unsigned fuzz_runs = 40000;

static struct x86_decoder decoder;

const char *fuzz_start(void)
{
    return decoder.scratch || x86_decoder_open(&decoder) == 0 ? NULL : "Capstone cannot be opened";
}

static bool operand_ok(const struct insn *in, const struct x86_operand *o)
{
    switch (o->kind) {
    case OPERAND_GPR:
        return o->reg < GPR_COUNT && (o->size == 1 || o->size == 2 || o->size == 4 || o->size == 8);
    case OPERAND_HIGH8:
        return o->reg < 4;
    case OPERAND_SEG:
        return o->reg < SEG_COUNT;
    case OPERAND_XMM:
        return o->reg < 16 && o->size <= 32;
    case OPERAND_MMX:
    case OPERAND_ST:
        return o->reg < 8;
    case OPERAND_CR:
    case OPERAND_DR:
        return o->reg < 16;
    case OPERAND_MEM:
        return o->mem.base <= X86_NO_REG && o->mem.index <= X86_NO_REG && o->mem.shift < 4 &&
               o->mem.seg <= X86_NO_SEG && (in->mode == X86_CODE64 || o->mem.seg < SEG_COUNT);
    default:
        return o->kind == OPERAND_IMM || o->kind == OPERAND_OTHER || o->kind == OPERAND_NONE;
    }
}

static void one(enum x86_mode mode, const uint8_t *data, size_t size)
{
    struct insn in, again;
    char text[160];
    memset(&in, 0, sizeof in);
    memset(&again, 0, sizeof again);
    bool valid = x86_decode_mode(&decoder, mode, data, size, ADDRESS, &in);
    x86_format_mode(mode, data, size < X86_MAX_INSN ? size : X86_MAX_INSN, ADDRESS, text, sizeof text);
    FUZZ_CHECK(strlen(text) < sizeof text && !strchr(text, '\n'), data, size);
    if (!valid)
        return;
    FUZZ_CHECK(in.length > 0 && in.length <= X86_MAX_INSN && in.length <= size, data, size);
    FUZZ_CHECK(in.id > 0 && in.id < X86_INS_ENDING && in.mode == mode && in.operands <= 4, data, size);
    FUZZ_CHECK(in.addr_size == 2 || in.addr_size == 4 || in.addr_size == 8, data, size);
    FUZZ_CHECK(in.op_size == 2 || in.op_size == 4 || in.op_size == 8, data, size);
    for (unsigned i = 0; i < in.operands; i++)
        FUZZ_CHECK(operand_ok(&in, &in.op[i]), data, size);
    FUZZ_CHECK(x86_decode_mode(&decoder, mode, data, in.length, ADDRESS, &again), data, size);
    FUZZ_CHECK(again.length == in.length && again.id == in.id && again.operands == in.operands, data, size);
    FUZZ_CHECK(!memcmp(in.op, again.op, sizeof in.op[0] * in.operands), data, size);
    FUZZ_CHECK(!x86_decode_mode(&decoder, mode, data, in.length - 1u, ADDRESS, &again), data, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (fuzz_start())
        return 0;
    for (int mode = 0; mode < X86_MODES; mode++)
        one((enum x86_mode)mode, data, size);
    return 0;
}

size_t fuzz_input(uint8_t *data, uint64_t *rng)
{
    static const uint8_t starts[] = {0x66, 0x67, 0xf2, 0xf3, 0x48, 0x41, 0x0f, 0xc4,
                                     0xc5, 0x62, 0x8f, 0xf0, 0x2e, 0x65, 0x64};
    size_t size = 1 + fuzz_random(rng) % 20, n = fuzz_random(rng) % 5;
    for (size_t i = 0; i < size; i++)
        data[i] = i < n ? starts[fuzz_random(rng) % sizeof starts] : (uint8_t)fuzz_random(rng);
    return size;
}

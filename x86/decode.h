// SPDX-License-Identifier: BSD-2-Clause
// The decoder that interp and bt share: bytes in, one compact struct out. Decoding is shared, semantics never: each
// engine says for itself what an instruction does. Mnemonics are Capstone's (X86_INS_*), and so is the decoding of
// integer and system instructions; everything of x87, MMX, SSE, AVX and VEX comes from the table in x86/vector.def.
#ifndef RINGSIDE_X86_DECODE_H
#define RINGSIDE_X86_DECODE_H

#include <capstone/capstone.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "include/guest_ram.h"

#define X86_MAX_INSN 15 // SDM vol. 2, 2.3.11: longer is #GP

// What the code segment's L and D bits make of the bytes (SDM vol. 3, 3.4.5): default operand and address sizes, and a
// few opcodes.
enum x86_mode {
    X86_CODE64, // 64-bit mode: operands of 4 bytes, addresses of 8
    X86_CODE32, // D = 1: 4 and 4
    X86_CODE16, // D = 0: 2 and 2
    X86_MODES
};

enum x86_operand_kind {
    OPERAND_NONE,
    OPERAND_GPR,   // reg 0-15; size 1, 2, 4, 8
    OPERAND_HIGH8, // ah, ch, dh, bh as reg 0-3
    OPERAND_MEM,
    OPERAND_IMM, // sign-extended, zero-extended in vector instructions; a branch target is the absolute address
    OPERAND_SEG, // reg is enum segreg
    OPERAND_CR,
    OPERAND_DR,
    OPERAND_XMM,   // reg 0-15; size is what is accessed of it: 32 with 256 bits, 4 for a scalar single, ...
    OPERAND_MMX,   // reg 0-7
    OPERAND_ST,    // st(reg)
    OPERAND_OTHER, // mask, bound and other registers that this vCPU has not
};

// Capstone has no names of their own for them.
#define X86_INS_VBROADCASTI128 X86_INS_VBROADCASTI32X4
#define X86_INS_RDPID X86_INS_PCOMMIT // which was withdrawn before any processor had it

#define X86_NO_REG 16 // mem.base, mem.index: none
#define X86_NO_SEG 6  // mem.seg in 64-bit mode: no override, or one that it ignores

struct x86_operand {
    uint8_t kind; // enum x86_operand_kind
    uint8_t reg;
    uint16_t size; // bytes; of memory exactly those that are accessed, for a gather one element, for xsave at most
    bool written;  // memory: the instruction writes it, or writes it too
    struct {
        uint8_t base, index; // gpr or X86_NO_REG
        uint8_t shift;       // index is scaled by 1 << shift
        uint8_t seg;         // SEG_FS, SEG_GS or X86_NO_SEG; outside 64-bit mode always enum segreg
        bool vsib;           // index is a vector register, one index for each element (SDM vol. 2, 2.3.12)
        int64_t disp;        // rip-relative operands are resolved: base none, disp the absolute address
    } mem;
    int64_t imm;
};

struct insn {
    uint16_t id;       // X86_INS_*
    uint8_t length;    // bytes
    uint8_t opcode[3]; // after the prefixes; with VEX, which has no 0f, 0f 38 and 0f 3a, as if they were there
    uint8_t modrm;     // where there is one, else 0
    uint8_t mode;      // enum x86_mode
    bool rex_w;        // REX.W or VEX.W
    bool opsize;       // prefix 66
    uint8_t op_size;   // 2, 4 or 8: by the code segment, prefix 66 and REX.W
    bool lock, rep, repne;
    bool vex, vex_l;    // VEX-encoded; VEX.L: 256 bits where the instruction has them
    bool stack_segment; // a memory operand in SS, whose faults are #SS: in 64-bit mode, one based on rsp or rbp
    uint8_t addr_size;  // 2, 4 or 8
    uint8_t operands;
    struct x86_operand op[4];
};

struct x86_decoder {
    csh handle[X86_MODES];
    cs_insn *scratch;
    uint16_t vector_rows[4][256]; // by opcode map and opcode, the first row of x86/vector.def + 1, or 0
};

int x86_decoder_open(struct x86_decoder *d); // 0, or -1 where Capstone cannot be opened
void x86_decoder_close(struct x86_decoder *d);

// Decode the instruction at bytes[0..n) that lies at address, its offset in the code segment. False where these bytes
// hold no whole valid instruction (n may simply be too small). x86_decode is for 64-bit mode.
bool x86_decode_mode(struct x86_decoder *d, enum x86_mode mode, const uint8_t *bytes, size_t n, uint64_t address,
                     struct insn *insn);
static inline bool x86_decode(struct x86_decoder *d, const uint8_t *bytes, size_t n, uint64_t address,
                              struct insn *insn)
{
    return x86_decode_mode(d, X86_CODE64, bytes, n, address, insn);
}

// Guest code at a guest-physical address, up to the end of its page. Where there is no RAM, what nobody answers: ff.
struct x86_code {
    const uint8_t *bytes;
    unsigned left;
};
struct x86_code x86_code_at(const struct guest_ram *ram, gpa_t at);

// LOCK only where it may be: with a memory destination, on the instructions that take it (SDM vol. 2, LOCK).
bool x86_lock_valid(const struct insn *in);

// For messages: "48 89 d8  mov rax, rbx", or the bytes and "(not an instruction)".
void x86_format_mode(enum x86_mode mode, const uint8_t *bytes, size_t n, uint64_t address, char *out, size_t size);
void x86_format(const uint8_t *bytes, size_t n, uint64_t address, char *out, size_t size);

#endif

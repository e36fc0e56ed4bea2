// SPDX-License-Identifier: BSD-2-Clause
// The exact way of an x87 instruction: the guest's state in the host's unit, and the very instruction on it. Stack
// faults, unmasked exceptions, undocumented aliases and what the manual leaves undefined come out as on the host.
//
// An exception that the guest has not masked is pending in the host's unit behind the instruction, but nothing waits
// for it there: fxsave takes it along, and fninit drops it.
#include "engines/interp/x87.h"

#include <string.h>
#include <xmmintrin.h>

#include "engines/interp/flags.h"

// Four bytes for each encoding: the instruction, ret, int3. By opcode d8 to df, then by modrm from c0 up, or by its
// digit with the memory operand at (%rdi).
extern const uint8_t x87_register_forms[8][64][4], x87_memory_forms[8][8][4];

// Runs `insn` on the state in an FXSAVE image, with the arithmetic flags as given; gives the flags behind it.
uint64_t x87_run(uint8_t *image, void *memory, const uint8_t *insn, uint64_t flags);
__asm__(".text\n"
        ".balign 16\n"
        "x87_register_forms:\n"
        "opcode = 0xd8\n"
        ".rept 8\n"
        "modrm = 0xc0\n"
        ".rept 64\n"
        ".byte opcode, modrm, 0xc3, 0xcc\n"
        "modrm = modrm + 1\n"
        ".endr\n"
        "opcode = opcode + 1\n"
        ".endr\n"
        "x87_memory_forms:\n"
        "opcode = 0xd8\n"
        ".rept 8\n"
        "modrm = 7\n"
        ".rept 8\n"
        ".byte opcode, modrm, 0xc3, 0xcc\n"
        "modrm = modrm + 8\n"
        ".endr\n"
        "opcode = opcode + 1\n"
        ".endr\n"
        "x87_run:\n"
        "    mov %rdi, %r8\n"
        "    mov %rsi, %rdi\n"
        "    fxrstor64 (%r8)\n"
        "    push %rcx\n"
        "    popfq\n"
        "    call *%rdx\n"
        "    pushfq\n"
        "    pop %rax\n"
        "    fxsave64 (%r8)\n"
        "    fninit\n"
        "    ret\n");

#define MXCSR_AT 24
#define FOP_OPCODE(fop) ((fop) >> 8 & 7)
#define FOP_MODRM(fop) ((fop)&0xff)

// Digits of modrm whose memory operand is written, by opcode d8 to df.
static const uint8_t stores[8] = {[1] = 0x0c, [3] = 0x8e, [5] = 0x0e, [7] = 0xce};

// What #AC asks of an operand: its size, but 8 of ten bytes (SDM vol. 3, table 6-7).
static unsigned alignment(unsigned size)
{
    return size == 10 ? 8 : size;
}

static uint64_t run(struct cpu *c, unsigned fop, uint8_t *image, void *memory)
{
    unsigned opcode = FOP_OPCODE(fop), modrm = FOP_MODRM(fop);
    const uint32_t mxcsr = _mm_getcsr(); // fxrstor loads it, and the xmm registers, which nobody uses now
    const uint8_t *insn =
        modrm >= 0xc0 ? x87_register_forms[opcode][modrm - 0xc0] : x87_memory_forms[opcode][modrm >> 3 & 7];
    memset(image + X87_IMAGE_BYTES, 0, 512 - X87_IMAGE_BYTES);
    x87_to_image(&c->x87, image, true);
    memcpy(image + MXCSR_AT, &mxcsr, sizeof mxcsr);
    memset(image + MXCSR_AT + 4, 0, 4);
    return x87_run(image, memory, insn, flags_arith(c));
}

static COLD void exact(struct cpu *c, const struct op *op)
{
    struct x87 *f = &c->x87, after = *f;
    uint8_t image[512] __attribute__((aligned(16)));
    uint8_t memory[16] = {0};
    unsigned fop = (unsigned)op->imm, size = op->aux;
    bool to_memory = size && stores[FOP_OPCODE(fop)] >> (FOP_MODRM(fop) >> 3 & 7) & 1;
    x87_ready(c, op);
    if (size && !to_memory)
        mem_read_bytes(c, op, ea(c, op), memory, size, alignment(size));
    uint64_t flags = run(c, fop, image, memory);

    x87_from_image(&after, image, true);
    after.fop = f->fop, after.fip = f->fip, after.fdp = f->fdp; // the host's are of no interest
    if (after.sw & X87_ES) {
        after.fop = (uint16_t)fop;
        after.fip = op_rip(c, op);
        after.fdp = size ? ea(c, op) - c->seg_base[op->seg] : 0;
    }
    // An unmasked exception other than PE keeps a store from being made (SDM vol. 1, 8.5).
    if (to_memory && !(after.sw & ~after.cw & (X87_EXCEPTIONS & ~X87_PE)))
        mem_write_bytes(c, op, ea(c, op), memory, size, alignment(size));
    *f = after;
    flags_load_arith(c, flags);
}

HANDLER(x87_exact)
{
    exact(c, op);
    NEXT;
}

struct op *x87_emit(struct lower *l, const struct insn *in, op_fn *fn)
{
    bool mem = in->operands > 0 && is_mem(&in->op[0]);
    struct op *op = mem ? emit_mem(l, fn, in, &in->op[0]) : emit(l, fn);
    op->src = in->modrm & 7;
    op->aux = mem ? (uint8_t)in->op[0].size : 0;
    op->imm = (in->opcode[0] & 7) << 8 | in->modrm;
    return op;
}

// SPDX-License-Identifier: BSD-2-Clause
// The decoded form: one struct op per guest instruction (rarely two), executed by its handler, which goes on to the
// next by a tail call. That is the threaded dispatch: gcc turns `return op->fn(c, op)` into a jump at -O2, and each
// handler ends in an indirect jump of its own, which the host's branch predictor learns separately.
//
// Under sanitizers tail calls are not to be had; there a handler returns the next op to a loop (INTERP_LOOP).
#ifndef RINGSIDE_INTERP_OP_H
#define RINGSIDE_INTERP_OP_H

#include "engines/interp/cpu.h"

#if defined(__SANITIZE_ADDRESS__) || !defined(__OPTIMIZE__)
#define INTERP_LOOP 1
#else
#define INTERP_LOOP 0
#endif

// A handler executes op and returns what NEXT, leave() or the block entry functions of block.h give it.
typedef const struct op *op_fn(struct cpu *c, const struct op *op);

struct op {
    op_fn *fn;
    int64_t disp;  // displacement or absolute address of the memory operand; branch target; 64-bit immediate
    int32_t imm;   // immediate, sign-extended
    uint16_t off;  // where the instruction begins, in bytes from the block's first
    uint8_t index; // register; REG_ZERO for none
    uint8_t base;  // register; REG_ZERO for none
    uint8_t shift; // of the index
    uint8_t seg;   // SEG_FS, SEG_GS or X86_NO_SEG, whose base is 0
    uint8_t dst;   // register; for 8-bit operands the byte's offset in gpr[] (BYTE_REG)
    uint8_t src;   // likewise
    uint8_t len;   // of the instruction
    uint8_t nth;   // instructions of the block before this one
    uint8_t aux;   // handler's own: condition, port size, control register number, ...
    bool stack;    // non-canonical addresses give #SS, not #GP
};
_Static_assert(sizeof(struct op) == 32, "two ops a cache line");

// c is not used by every handler where NEXT does not pass it on.
#define HANDLER(name) const struct op *name(struct cpu *c __attribute__((unused)), const struct op *op)

#if INTERP_LOOP
#define GO(target) return (target)
#else
#define GO(target)                                                                                                     \
    do {                                                                                                               \
        const struct op *go_ = (target);                                                                               \
        return go_->fn(c, go_);                                                                                        \
    } while (0)
#endif
#define NEXT GO(op + 1)

// Types that may alias the register file and guest memory.
typedef uint8_t __attribute__((may_alias)) u8a;
typedef uint16_t __attribute__((may_alias, aligned(1))) u16a;
typedef uint32_t __attribute__((may_alias, aligned(1))) u32a;
typedef uint64_t __attribute__((may_alias, aligned(1))) u64a;

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define COLD __attribute__((noinline, cold))

// ---- Register access by width ----
// An 8-bit register is the byte at this offset in gpr[]: al is byte 0 of rax, ah byte 1.
#define BYTE_REG(operand) ((uint8_t)((operand)->kind == OPERAND_HIGH8 ? (operand)->reg * 8 + 1 : (operand)->reg * 8))

static inline uint8_t get8(const struct cpu *c, unsigned byte)
{
    return ((const u8a *)c->gpr)[byte];
}
static inline void set8(struct cpu *c, unsigned byte, uint64_t v)
{
    ((u8a *)c->gpr)[byte] = (uint8_t)v;
}
static inline uint16_t get16(const struct cpu *c, unsigned reg)
{
    return (uint16_t)c->gpr[reg];
}
static inline void set16(struct cpu *c, unsigned reg, uint64_t v)
{
    *(u16a *)&c->gpr[reg] = (uint16_t)v;
}
static inline uint32_t get32(const struct cpu *c, unsigned reg)
{
    return (uint32_t)c->gpr[reg];
}
static inline void set32(struct cpu *c, unsigned reg, uint64_t v) // clears the upper half (SDM vol. 1, 3.4.1.1)
{
    c->gpr[reg] = (uint32_t)v;
}
static inline uint64_t get64(const struct cpu *c, unsigned reg)
{
    return c->gpr[reg];
}
static inline void set64(struct cpu *c, unsigned reg, uint64_t v)
{
    c->gpr[reg] = v;
}

// Effective address of op's memory operand, segment base included.
static inline uint64_t ea(const struct cpu *c, const struct op *op)
{
    return c->gpr[op->base] + (c->gpr[op->index] << op->shift) + (uint64_t)op->disp + c->seg_base[op->seg];
}

#endif

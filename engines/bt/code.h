// SPDX-License-Identifier: BSD-2-Clause
// Writing host instructions: a small emitter, and the ways to carry a guest instruction over: as it is (IDENT), with
// its memory operand biased by gs, with rsp unbiased around it, or with its memory operand replaced by [register]
// (checked form). Every function appends at code->at and sets code->full instead where the buffer's end is near.
#ifndef RINGSIDE_BT_CODE_H
#define RINGSIDE_BT_CODE_H

#include "engines/bt/bt.h"
#include "x86/encoding.h"

struct code {
    uint8_t *at;  // where the next byte goes: final address, written in place
    uint8_t *end; // full from 64 bytes before this on
    bool full;
};

// ---- Pieces (code.c). Cells lie within 2 GiB of the code: in struct bt ----
void put_bytes(struct code *code, const void *bytes, unsigned n);                    // n <= 64
void put_mov_reg_imm(struct code *code, unsigned reg, uint64_t imm);                 // shortest form, flags kept
void put_store(struct code *code, const void *cell, unsigned reg);                   // mov %reg, cell(%rip)
void put_load(struct code *code, unsigned reg, const void *cell);                    // mov cell(%rip), %reg
void put_store_imm(struct code *code, const void *cell, unsigned size, int32_t imm); // movb/movl/movq $imm, cell(%rip)
void put_cmp_imm(struct code *code, const void *cell, unsigned size, int8_t imm);    // cmpb/cmpl/cmpq $imm, cell(%rip)
// dst = base + index + disp, flags kept; index: X86_NO_REG for none, never rsp.
void put_lea_sum(struct code *code, unsigned dst, unsigned base, unsigned index, int32_t disp);
void put_mov_reg(struct code *code, unsigned dst, unsigned src);              // mov %src, %dst
void put_lea_cell(struct code *code, unsigned reg, const void *cell);         // lea cell(%rip), %reg
void put_movzx(struct code *code, unsigned dst, unsigned src, unsigned size); // of 1 or 2 bytes
void put_rorx(struct code *code, unsigned dst, unsigned src, unsigned count); // flags kept, as by
void put_shrx(struct code *code, unsigned dst, unsigned src, unsigned count_reg);
// mov at(,%index,8), %dst; index: X86_NO_REG for none
void put_load_indexed(struct code *code, unsigned dst, uint32_t at, unsigned index);
void put_jmp(struct code *code, const void *to);              // jmp rel32, always 5 bytes
void put_jcc(struct code *code, unsigned cc, const void *to); // jcc rel32, always 6 bytes
void put_call(struct code *code, const void *to);             // call rel32, always 5 bytes
void put_jmp_cell(struct code *code, const void *cell);       // jmp *cell(%rip)
void patch_rel32(uint8_t *field, const void *to); // the displacement field of a jmp, jcc, call or jrcxz-free branch

// ---- Guest instructions: their registers (scratch.c) ----
// Has rsp (or esp, sp, spl) as an explicit register operand: not inside a memory operand, unless the instruction is
// lea.
bool names_rsp(const struct insn *in);

// Registers that an instruction uses in any way; those that it may change; and those of them that it sets without using
// what they were. Bit sets. rsp counts, where an operand names it.
uint32_t registers_used(const struct insn *in);
uint32_t registers_changed(const struct insn *in);
uint32_t registers_overwritten(const struct insn *in);
// Those of all operands but memory ones, and those that no operand shows.
uint32_t registers_of_data(const struct insn *in);

// A general register that the instruction uses neither explicitly nor implicitly, good as [register] base without SIB
// or displacement, and addressable beside a high-byte operand where there is one. `avoid`: bit set of further ones; at
// most one where there is a high-byte operand, at most two else, or none may be left (an assert).
unsigned pick_scratch(const struct insn *in, uint32_t avoid);

// ---- Guest instructions carried over (carry.c) ----
// The whole instruction as its bytes are.
void put_ident(struct code *code, const uint8_t *bytes, const struct insn *in);
// The memory operand through gs: segment overrides dropped, rip-relative made absolute where it fits. False (nothing
// written) where that cannot be: operand at fs:/gs:, absolute address beyond 32 bits, 32-bit addressing with rsp, rsp
// as register operand besides (put_rsp_unbiased), string instructions (put_biased_string), longer than 15 bytes. An
// operand based on rsp is left without prefix: rsp is biased itself. Without memory operand: as put_ident. lea is no
// access: put_lea.
bool put_biased(struct code *code, const uint8_t *bytes, const struct insn *in);
// A memory operand of ours: disp(%base,%index), index X86_NO_REG for none, never rsp.
struct place {
    uint8_t base, index;
    int32_t disp;
};
// As put_with_base, but for any place.
void put_with_place(struct code *code, const uint8_t *bytes, const struct insn *in, const struct place *place);
// An instruction of ours of 64 bits on a place: opcode and the ModRM byte's reg field.
void put_on_place(struct code *code, uint8_t opcode, unsigned reg, const struct place *place);
// Guest address of a memory operand into reg, flags kept; without its segment's base.
void put_lea_operand(struct code *code, unsigned reg, const struct insn *in, const struct x86_operand *memory);
// The memory operand replaced by [reg], no segment. Not for implicit operands: strings, xlat, push and pop of
// registers, enter, leave, nor for gathers. For bt, bts, btr, btc with a register as bit offset, [reg] is still where
// bit 0 is. In the fast world, with rsp as register operand besides: put_with_base_rsp.
void put_with_base(struct code *code, const uint8_t *bytes, const struct insn *in, unsigned reg);
// The memory operand replaced by [reg + disp] through gs. Else as put_with_base. False (nothing written): longer than
// 15 bytes.
bool put_biased_base(struct code *code, const uint8_t *bytes, const struct insn *in, unsigned reg, int32_t disp);
// Any lea, in the given world: rip-relative becomes a constant, rsp is unbiased where the world biases it.
void put_lea(struct code *code, const uint8_t *bytes, const struct insn *in, enum world world);

// ---- The fast world's special cases (carry_rsp.c, carry_segment.c, carry_string.c) ----
// What a fault finds while the one host instruction [from, to) runs; offsets from code->at as it was before. That is
// the only instruction of a sequence that can fault, but for those in front of it that leave everything as usual: so at
// a fault with rip in [from, to), displaced_undo makes the registers those of the guest instruction's start (of the
// last whole iteration of a string instruction); at any other, they are so already. rsp is biased at every fault.
struct displaced {
    uint8_t from, to; // equal: none
    uint8_t scratch;  // its value is in bt->slot[0]
    uint8_t second;   // another one's, in bt->slot[3]: where `two` says so
    bool two;
    bool string; // rsi and rdi are biased
};
static inline void displaced_undo(const struct displaced *d, const struct bt *bt, uint64_t gpr[GPR_COUNT])
{
    gpr[d->scratch] = bt->slot[0];
    if (d->two)
        gpr[d->second] = bt->slot[3];
    gpr[RSI] -= d->string ? BT_BIAS : 0;
    gpr[RDI] -= d->string ? BT_BIAS : 0;
}

// An instruction for which names_rsp says true, push and pop too. flags_live: someone may read the flags that it sets.
// Short for mov and lea, and for add, sub, inc, dec, and whose flags are dead; else rsp is unbiased around it, by leas,
// through a scratch register: one of those that are dead behind it, a bit each, or one spilled to bt->slot[0]. False
// (nothing written): with a memory operand, but for mov of 64 bits with an operand that put_biased takes. Never for
// control flow, nor for what has a callout.
bool put_rsp_unbiased(struct code *code, const uint8_t *bytes, const struct insn *in, bool flags_live, uint32_t dead,
                      struct displaced *displaced);
// A vector instruction for which names_rsp says true, with another register in place of rsp, which holds the guest's:
// it is spilled to bt->slot[n], and given. put_rsp_back stands behind the instruction.
struct rsp_instead {
    struct insn insn;
    uint8_t bytes[X86_MAX_INSN];
};
unsigned put_rsp_instead(struct code *code, const uint8_t *bytes, const struct insn *in, uint32_t avoid, unsigned n,
                         struct rsp_instead *instead);
void put_rsp_back(struct code *code, const struct insn *in, unsigned scratch, unsigned n);
// All of that for one whose memory operand, if it has one, put_biased takes; else false (nothing written).
bool put_vector_rsp(struct code *code, const uint8_t *bytes, const struct insn *in, struct displaced *displaced);
// As put_with_base, where rsp is a register operand besides, in the fast world; spills to bt->slot[3]. [reg] must not
// fault.
void put_with_base_rsp(struct code *code, const uint8_t *bytes, const struct insn *in, unsigned reg);
// A memory operand at fs: or gs:, whose base is in bt->seg_base: through a scratch register spilled to bt->slot[0], and
// another spilled to bt->slot[3] where rsp is stored. False (nothing written): no such operand, one with an index or
// based on rsp, 32-bit addressing, implicit operands, rsp as register operand but for mov of 64 bits.
bool put_segmented(struct code *code, const uint8_t *bytes, const struct insn *in, struct displaced *displaced);
// leave: the memory operand is read before anything changes; a fault is the first instruction's. False: 66 prefix.
bool put_leave(struct code *code, const struct insn *in);
// movs, cmps, stos, lods, scas of any size, with their repeat prefixes: rsi and rdi biased around the instruction,
// through a scratch register spilled to bt->slot[0]. False (nothing written): fs: or gs:, 32-bit addressing, not one of
// these instructions.
bool put_biased_string(struct code *code, const uint8_t *bytes, const struct insn *in, struct displaced *displaced);

#endif

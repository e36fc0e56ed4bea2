// SPDX-License-Identifier: BSD-2-Clause
// MMX, and the instructions of SSE, SSE2 and SSSE3 on MMX registers (SDM vol. 2 and vol. 3, ch. 12). The host's own
// instruction computes: operands into mm0 and mm1, the result out of mm0, then emms, so that the host's x87 unit is
// empty again behind every handler.
#include "engines/interp/mmx.h"

#include "engines/interp/forms.h"

COLD _Noreturn void mmx_refuse(struct cpu *c, const struct op *op)
{
    raise_exception(c, op, c->cr0 & CR0_EM ? VEC_UD : c->cr0 & CR0_TS ? VEC_NM : VEC_MF);
}

// ---- Two operands, the first of them the destination: registers, memory, and a count for shifts ----

#define MMX_BINARY(mnemonic, name, bits)                                                                               \
    INLINE uint64_t do_##name(uint64_t a, uint64_t b)                                                                  \
    {                                                                                                                  \
        __asm__ volatile("movq %0, %%mm0\n"                                                                            \
                         "movq %1, %%mm1\n" #name " %%mm1, %%mm0\n"                                                    \
                         "movq %%mm0, %0\n"                                                                            \
                         "emms"                                                                                        \
                         : "+r"(a)                                                                                     \
                         : "r"(b)                                                                                      \
                         : "mm0", "mm1");                                                                              \
        return a;                                                                                                      \
    }                                                                                                                  \
    static HANDLER(name##_rr)                                                                                          \
    {                                                                                                                  \
        mmx_ready(c, op);                                                                                              \
        mmx_set(c, op->dst, do_##name(mmx_get(c, op->dst), mmx_get(c, op->src)));                                      \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static HANDLER(name##_ri)                                                                                          \
    {                                                                                                                  \
        mmx_ready(c, op);                                                                                              \
        mmx_set(c, op->dst, do_##name(mmx_get(c, op->dst), (uint8_t)op->imm));                                         \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static HANDLER(name##_rm)                                                                                          \
    {                                                                                                                  \
        mmx_ready(c, op);                                                                                              \
        uint64_t m = load##bits(c, op, ea(c, op));                                                                     \
        mmx_set(c, op->dst, do_##name(mmx_get(c, op->dst), m));                                                        \
        NEXT;                                                                                                          \
    }
MMX_BINARY_INSNS(MMX_BINARY)

// Not every host has SSSE3, and what the host has not the guest has not.
static bool exists(const struct insn *in)
{
    bool ssse3 = in->opcode[0] == 0x0f && (in->opcode[1] == 0x38 || in->opcode[1] == 0x3a);
    return !ssse3 || __builtin_cpu_supports("ssse3");
}

// An op for `insn mm, mm`, `insn mm, m` or, where there is one, `insn mm, imm8`.
static struct op *emit_mmx(struct lower *l, const struct insn *in, op_fn *rr, op_fn *rm, op_fn *ri)
{
    const struct x86_operand *b = &in->op[1];
    op_fn *fn = is_mem(b) ? rm : is_imm(b) ? ri : rr;
    if (!fn || !exists(in))
        return NULL;
    struct op *op = is_mem(b) ? emit_mem(l, fn, in, b) : emit(l, fn);
    op->dst = in->op[0].reg;
    op->src = is_mem(b) ? 0 : b->reg;
    op->imm = (int32_t)in->op[is_imm(b) ? 1 : 2].imm;
    return op;
}

bool lower_mmx_binary(struct lower *l, const struct insn *in, unsigned arg)
{
#define MMX_ROW(mnemonic, name, bits) [MMX_##mnemonic] = {name##_rr, name##_rm, name##_ri},
    static op_fn *const table[][3] = {MMX_BINARY_INSNS(MMX_ROW)};
    return emit_mmx(l, in, table[arg][0], table[arg][1], table[arg][2]) != NULL;
}

// ---- pshufw, palignr: the order of bytes by an immediate ----

static inline uint64_t do_pshufw(uint64_t a, uint64_t b, unsigned imm)
{
    uint64_t r = 0;
    (void)a;
    for (unsigned i = 0; i < 4; i++)
        r |= (b >> 16 * (imm >> 2 * i & 3) & 0xffff) << 16 * i;
    return r;
}

static inline uint64_t do_palignr(uint64_t a, uint64_t b, unsigned imm)
{
    if (imm >= 16)
        return 0;
    if (imm >= 8)
        return a >> 8 * (imm - 8);
    return imm ? b >> 8 * imm | a << (64 - 8 * imm) : b;
}

#define MMX_IMMEDIATE(name)                                                                                            \
    static HANDLER(name##_rr)                                                                                          \
    {                                                                                                                  \
        mmx_ready(c, op);                                                                                              \
        mmx_set(c, op->dst, do_##name(mmx_get(c, op->dst), mmx_get(c, op->src), (uint8_t)op->imm));                    \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static HANDLER(name##_rm)                                                                                          \
    {                                                                                                                  \
        mmx_ready(c, op);                                                                                              \
        uint64_t m = load64(c, op, ea(c, op));                                                                         \
        mmx_set(c, op->dst, do_##name(mmx_get(c, op->dst), m, (uint8_t)op->imm));                                      \
        NEXT;                                                                                                          \
    }
MMX_IMMEDIATE(pshufw)
MMX_IMMEDIATE(palignr)

bool lower_mmx_immediate(struct lower *l, const struct insn *in, unsigned arg)
{
    return (arg == MMX_PSHUFW ? emit_mmx(l, in, pshufw_rr, pshufw_rm, NULL)
                              : emit_mmx(l, in, palignr_rr, palignr_rm, NULL)) != NULL;
}

// ---- movd, movq, movntq ----

#define MMX_MOVE(bits)                                                                                                 \
    static HANDLER(to_mmx##bits##_r)                                                                                   \
    {                                                                                                                  \
        mmx_ready(c, op);                                                                                              \
        mmx_set(c, op->dst, get##bits(c, op->src));                                                                    \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static HANDLER(to_mmx##bits##_m)                                                                                   \
    {                                                                                                                  \
        mmx_ready(c, op);                                                                                              \
        mmx_set(c, op->dst, load##bits(c, op, ea(c, op)));                                                             \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static HANDLER(from_mmx##bits##_r)                                                                                 \
    {                                                                                                                  \
        mmx_ready(c, op);                                                                                              \
        set##bits(c, op->dst, mmx_get(c, op->src));                                                                    \
        mmx_used(c);                                                                                                   \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static HANDLER(from_mmx##bits##_m)                                                                                 \
    {                                                                                                                  \
        mmx_ready(c, op);                                                                                              \
        c->x87.top = 0; /* even where the store faults: seen on processors */                                          \
        store##bits(c, op, ea(c, op), mmx_get(c, op->src));                                                            \
        mmx_used(c);                                                                                                   \
        NEXT;                                                                                                          \
    }
MMX_MOVE(32)
MMX_MOVE(64)

static HANDLER(mmx_to_mmx)
{
    mmx_ready(c, op);
    mmx_set(c, op->dst, mmx_get(c, op->src));
    NEXT;
}

bool lower_mmx_move(struct lower *l, const struct insn *in, unsigned arg)
{
    const struct x86_operand *a = &in->op[0], *b = &in->op[1];
    bool to = a->kind == OPERAND_MMX, from = b->kind == OPERAND_MMX, wide = (to ? b : a)->size == 8;
    struct op *op;
    (void)arg;
    if (to && from)
        op = emit(l, mmx_to_mmx);
    else if (to)
        op = is_mem(b) ? emit_mem(l, wide ? to_mmx64_m : to_mmx32_m, in, b) : emit(l, wide ? to_mmx64_r : to_mmx32_r);
    else
        op = is_mem(a) ? emit_mem(l, wide ? from_mmx64_m : from_mmx32_m, in, a)
                       : emit(l, wide ? from_mmx64_r : from_mmx32_r);
    op->dst = a->reg;
    op->src = b->reg;
    return true;
}

// ---- Words and bits: pinsrw, pextrw, pmovmskb ----

static inline uint64_t insert(uint64_t a, uint16_t word, unsigned at)
{
    unsigned shift = 16 * (at & 3);
    return (a & ~(0xffffull << shift)) | (uint64_t)word << shift;
}

static HANDLER(pinsrw_r)
{
    mmx_ready(c, op);
    mmx_set(c, op->dst, insert(mmx_get(c, op->dst), get16(c, op->src), (unsigned)op->imm));
    NEXT;
}

static HANDLER(pinsrw_m)
{
    mmx_ready(c, op);
    mmx_set(c, op->dst, insert(mmx_get(c, op->dst), load16(c, op, ea(c, op)), (unsigned)op->imm));
    NEXT;
}

static HANDLER(pextrw)
{
    mmx_ready(c, op);
    set32(c, op->dst, mmx_get(c, op->src) >> 16 * (op->imm & 3) & 0xffff);
    mmx_used(c);
    NEXT;
}

// The bytes' top bits, gathered by a multiplication: bit 8i + 7 goes to bit 56 + i, and no two products meet.
static HANDLER(pmovmskb)
{
    mmx_ready(c, op);
    set32(c, op->dst, ((mmx_get(c, op->src) >> 7 & 0x0101010101010101) * 0x0102040810204080) >> 56);
    mmx_used(c);
    NEXT;
}

bool lower_mmx_word(struct lower *l, const struct insn *in, unsigned arg)
{
    const struct x86_operand *b = &in->op[1];
    struct op *op = arg == MMX_PEXTRW     ? emit(l, pextrw)
                    : arg == MMX_PMOVMSKB ? emit(l, pmovmskb)
                    : is_mem(b)           ? emit_mem(l, pinsrw_m, in, b)
                                          : emit(l, pinsrw_r);
    op->dst = in->op[0].reg;
    op->src = is_mem(b) ? 0 : b->reg;
    op->imm = (int32_t)in->op[2].imm;
    return true;
}

// ---- maskmovq ----

// All eight bytes must be writable, and with alignment checks aligned, whatever the mask says: so do processors, where
// the manual leaves it open (SDM vol. 2, MASKMOVQ).
static HANDLER(maskmovq)
{
    mmx_ready(c, op);
    uint64_t va = ea(c, op), value = mmx_get(c, op->dst), mask = mmx_get(c, op->src);
    mmx_used(c);
    mem_probe_write(c, op, va, 8);
    for (unsigned i = 0; i < 8; i++) {
        if (mask >> (8 * i + 7) & 1)
            store8(c, op, va + i, value >> 8 * i);
    }
    NEXT;
}

bool lower_maskmovq(struct lower *l, const struct insn *in, unsigned arg)
{
    struct op *op = emit_mem(l, maskmovq, in, &in->op[0]);
    (void)arg;
    op->dst = in->op[1].reg;
    op->src = in->op[2].reg;
    return true;
}

// ---- emms ----

static HANDLER(op_emms)
{
    mmx_ready(c, op);
    c->x87.top = 0;
    c->x87.occupied = 0;
    NEXT;
}

bool lower_emms(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)in;
    (void)arg;
    emit(l, op_emms);
    return true;
}

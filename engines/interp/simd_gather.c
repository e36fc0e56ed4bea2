// SPDX-License-Identifier: BSD-2-Clause
// Memory element by element: gathers, masked moves, maskmovdqu (SDM vol. 2, under each name). What the mask leaves out
// is not accessed.
#include "engines/interp/simd.h"
#include "engines/interp/window.h"

typedef uint32_t __attribute__((may_alias)) element32;
typedef uint64_t __attribute__((may_alias)) element64;

INLINE uint32_t read32(struct cpu *c, const struct op *op, uint64_t va) // without #AC
{
    const u32a *p = mem_ptr_read(c, va, 4);
    return LIKELY(p) ? *p : *(const u32a *)simd_read_slow(c, op, va, 4);
}
INLINE uint64_t read64(struct cpu *c, const struct op *op, uint64_t va)
{
    const u64a *p = mem_ptr_read(c, va, 8);
    return LIKELY(p) ? *p : *(const u64a *)simd_read_slow(c, op, va, 8);
}

// ---- Gathers: src is the vector of indices, aux the mask, imm bit 0 a 32-bit address size, bit 1 not 64-bit mode ----
// Elements are loaded lowest first, and each clears its part of the mask, which has been made ones and zeros: after a
// fault the guest goes on from there (SDM vol. 2, VGATHERDPS). width: bits of the vector, as VEX.L has them.

INLINE uint64_t gather_address(struct cpu *c, const struct op *op, int64_t index, unsigned size)
{
    uint64_t offset = c->gpr[op->base] + ((uint64_t)index << op->shift) + (uint64_t)op->disp;
    if (op->imm & 2)
        return seg_linear(c, op, op->seg, (uint32_t)offset, size, false);
    return (op->imm & 1 ? (uint32_t)offset : offset) + c->seg_base[op->seg];
}

static void gather(struct cpu *c, const struct op *op, unsigned index_bits, unsigned bits, unsigned width,
                   unsigned count)
{
    struct vreg *to = &c->ymm[op->dst], *mask = &c->ymm[op->aux];
    for (unsigned i = 0; i < 256 / bits; i++) {
        if (bits == 32)
            ((element32 *)mask)[i] = i < width / 32 ? -(((element32 *)mask)[i] >> 31) : 0;
        else
            ((element64 *)mask)[i] = i < width / 64 ? -(((element64 *)mask)[i] >> 63) : 0;
    }
    for (unsigned i = 0; i < count; i++) {
        const struct vreg *by = &c->ymm[op->src];
        int64_t index = index_bits == 32 ? (int32_t)((const element32 *)by)[i] : (int64_t)((const element64 *)by)[i];
        bool wanted = bits == 32 ? ((element32 *)mask)[i] : ((element64 *)mask)[i];
        uint64_t va = wanted ? gather_address(c, op, index, bits / 8) : 0;
        if (wanted && bits == 32)
            ((element32 *)to)[i] = read32(c, op, va);
        if (wanted && bits == 64)
            ((element64 *)to)[i] = read64(c, op, va);
        if (wanted && width == 128)
            to->hi = (v128){0, 0};
        if (bits == 32)
            ((element32 *)mask)[i] = 0;
        else
            ((element64 *)mask)[i] = 0;
    }
    for (unsigned i = count * bits / 64; i < 4; i++)
        ((element64 *)to)[i] = ((element64 *)mask)[i] = 0;
}

#define GATHER(index_bits, bits, count_x)                                                                              \
    static HANDLER(gather_##index_bits##_##bits##_x)                                                                   \
    {                                                                                                                  \
        gather(c, op, index_bits, bits, 128, count_x);                                                                 \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static HANDLER(gather_##index_bits##_##bits##_y)                                                                   \
    {                                                                                                                  \
        gather(c, op, index_bits, bits, 256, 2 * count_x);                                                             \
        NEXT;                                                                                                          \
    }
GATHER(32, 32, 4)
GATHER(32, 64, 2)
GATHER(64, 32, 2)
GATHER(64, 64, 2)

bool lower_gather(struct lower *l, const struct insn *in, unsigned arg)
{
    static op_fn *const fns[][2] = {[GATHER_DD] = {gather_32_32_x, gather_32_32_y},
                                    [GATHER_DQ] = {gather_32_64_x, gather_32_64_y},
                                    [GATHER_QD] = {gather_64_32_x, gather_64_32_y},
                                    [GATHER_QQ] = {gather_64_64_x, gather_64_64_y}};
    const struct x86_operand *m = &in->op[1];
    if (!simd_has(l, X86_FEATURE_AVX2))
        return false;
    simd_check(l, in);
    struct op *op = emit(l, fns[arg][in->vex_l]);
    op->base = m->mem.base;
    op->shift = m->mem.shift;
    op->disp = m->mem.disp;
    op->seg = m->mem.seg;
    op->stack = in->stack_segment;
    op->dst = in->op[0].reg;
    op->src = m->mem.index;
    op->aux = in->op[2].reg;
    op->imm = (in->addr_size == 4) | (in->mode != X86_CODE64) << 1;
    return true;
}

// ---- vmaskmovps, vmaskmovpd, vpmaskmovd, vpmaskmovq: aux is the mask ----

INLINE bool selected(const struct cpu *c, const struct op *op, unsigned bits, unsigned i)
{
    const struct vreg *mask = &c->ymm[op->aux];
    return bits == 32 ? ((const element32 *)mask)[i] >> 31 : ((const element64 *)mask)[i] >> 63;
}

static void masked_load(struct cpu *c, const struct op *op, unsigned bits, unsigned count)
{
    uint64_t va = ea(c, op);
    struct vreg r = {{0, 0}, {0, 0}};
    for (unsigned i = 0; i < count; i++) {
        if (selected(c, op, bits, i) && bits == 32)
            ((element32 *)&r)[i] = read32(c, op, va + 4 * i);
        if (selected(c, op, bits, i) && bits == 64)
            ((element64 *)&r)[i] = read64(c, op, va + 8 * i);
    }
    c->ymm[op->dst] = r;
}

static void masked_store(struct cpu *c, const struct op *op, unsigned bits, unsigned count)
{
    uint64_t va = ea(c, op);
    const struct vreg *from = &c->ymm[op->src];
    unsigned size = bits / 8;
    for (unsigned i = 0; i < count; i++) {
        if (selected(c, op, bits, i)) { // no #AC
            mem_probe_write(c, op, va + size * i, 1);
            mem_probe_write(c, op, va + size * i + size - 1, 1);
        }
    }
    for (unsigned i = 0; i < count; i++) {
        if (selected(c, op, bits, i))
            simd_write_slow(c, op, va + size * i, (const uint8_t *)from + size * i, size);
    }
}

#define MASKED(bits, form, count)                                                                                      \
    static HANDLER(masked_load##bits##_##form)                                                                         \
    {                                                                                                                  \
        masked_load(c, op, bits, count);                                                                               \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static HANDLER(masked_store##bits##_##form)                                                                        \
    {                                                                                                                  \
        masked_store(c, op, bits, count);                                                                              \
        NEXT;                                                                                                          \
    }
MASKED(32, x, 4)
MASKED(32, y, 8)
MASKED(64, x, 2)
MASKED(64, y, 4)

// arg: MASKMOV_... ; the integer forms came with AVX2
bool lower_maskmov(struct lower *l, const struct insn *in, unsigned arg)
{
    static op_fn *const loads[2][2] = {{masked_load32_x, masked_load32_y}, {masked_load64_x, masked_load64_y}};
    static op_fn *const stores[2][2] = {{masked_store32_x, masked_store32_y}, {masked_store64_x, masked_store64_y}};
    bool to_memory = is_mem(&in->op[0]), quad = arg == MASKMOV_PD || arg == MASKMOV_Q;
    if (!simd_has(l, arg == MASKMOV_PS || arg == MASKMOV_PD ? X86_FEATURE_AVX : X86_FEATURE_AVX2))
        return false;
    simd_check(l, in);
    struct op *op = to_memory ? emit_mem(l, stores[quad][in->vex_l], in, &in->op[0])
                              : emit_mem(l, loads[quad][in->vex_l], in, &in->op[2]);
    op->dst = to_memory ? 0 : in->op[0].reg;
    op->src = to_memory ? in->op[2].reg : 0;
    op->aux = in->op[1].reg;
    return true;
}

// ---- maskmovdqu: bytes of dst to (r)di where those of src have their sign bit set ----

// Both halves must be writable, and with alignment checks aligned, whatever the mask says: so do processors, where the
// manual leaves it open, the upper half first.
static void masked_bytes(struct cpu *c, const struct op *op)
{
    uint64_t va = ea(c, op);
    const uint8_t *from = (const uint8_t *)&LO(op->dst), *mask = (const uint8_t *)&LO(op->src);
    mem_probe_write(c, op, va + 8, 8);
    mem_probe_write(c, op, va, 8);
    for (unsigned i = 0; i < 16; i++) {
        if (mask[i] >> 7)
            store8(c, op, va + i, from[i]);
    }
}
static HANDLER(op_maskmovdqu)
{
    masked_bytes(c, op);
    NEXT;
}

bool lower_maskmovdqu(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)arg;
    if (!simd_has(l, in->vex ? X86_FEATURE_AVX : X86_FEATURE_SSE2))
        return false;
    simd_check(l, in);
    struct op *op = emit_mem(l, op_maskmovdqu, in, &in->op[0]);
    op->dst = in->op[1].reg;
    op->src = in->op[2].reg;
    return true;
}

// SPDX-License-Identifier: BSD-2-Clause
// Vector instructions that touch memory by a mask, or at as many places as there are elements, in C: where translated
// code cannot make the access as it is (SDM vol. 2, MASKMOVDQU, VMASKMOV, VPMASKMOV, VGATHER). Elements that the mask
// leaves out are not touched, and but for maskmovq and maskmovdqu cannot fault.
#include <string.h>

#include "engines/bt/cpuid.h"
#include "engines/bt/emulations.h"
#include "engines/bt/vectors.h"

enum { MOST = 32 }; // bytes of a register

static void get_vector(struct bt *bt, unsigned reg, uint8_t out[MOST])
{
    const uint8_t *image = vectors_image(bt);
    memcpy(out, image + XSAVE_XMM + 16 * reg, 16);
    memcpy(out + 16, image + XSAVE_YMM + 16 * reg, 16);
}

static void set_vector(struct bt *bt, unsigned reg, const uint8_t v[MOST])
{
    uint64_t *present = (uint64_t *)(void *)(vectors_image(bt) + XSAVE_HEADER);
    memcpy(bt->xsave + XSAVE_XMM + 16 * reg, v, 16);
    memcpy(bt->xsave + XSAVE_YMM + 16 * reg, v + 16, 16);
    *present |= XSTATE_SSE | XSTATE_AVX;
}

static void demand(struct bt *bt, const struct insn *in)
{
    if (!vectors_announced(bt, in) || !cpuid_has(bt, in->vex ? FEATURE_AVX : FEATURE_SSE2))
        raise_exception(bt, VEC_UD);
    if (vectors_of(in) & ~bt->vectors)
        vectors_refuse(bt, in);
}

static bool selects(const uint8_t *mask, unsigned element, unsigned size)
{
    return mask[element * size + size - 1] & 0x80;
}

// None of these is asked to be aligned, whatever RFLAGS.AC says.
static uint64_t load(struct bt *bt, const struct insn *in, uint64_t va, unsigned size)
{
    uint64_t value = 0;
    mem_read_block(bt, va, &value, size, in->stack_segment);
    return value;
}

static uint64_t element_of(const uint8_t *v, unsigned element, unsigned size)
{
    uint64_t value = 0;
    memcpy(&value, v + element * size, size);
    return value;
}

// Nothing is written where any of them faults.
static void store_selected(struct bt *bt, const struct insn *in, uint64_t va, const uint8_t *mask, const uint8_t *from,
                           unsigned bytes, unsigned size)
{
    uint8_t old[8];
    for (unsigned i = 0; i < bytes / size; i++)
        if (selects(mask, i, size))
            mem_read_rmw_block(bt, va + i * size, old, size, in->stack_segment);
    for (unsigned i = 0; i < bytes / size; i++)
        if (selects(mask, i, size))
            mem_write_block(bt, va + i * size, from + i * size, size, in->stack_segment);
}

// The bytes of op[1] that op[2]'s select, to (r)di. All of its operand must be writable, and with alignment checks each
// half aligned, whatever the mask says, the upper half first: so do processors, where the manual leaves open what a
// mask of zeros may raise; D is set in both halves' pages as well.
void emulate_maskmov(struct bt *bt, const struct insn *in)
{
    uint8_t mask[MOST], from[MOST];
    const struct x86_operand *to = &in->op[0];
    demand(bt, in);
    if (in->op[1].kind == OPERAND_MMX) {
        vectors_home(bt);
        if (vectors_pending(bt))
            raise_exception(bt, VEC_MF);
        vectors_enter_mmx(bt);
        memcpy(from, bt->xsave + XSAVE_ST + 16 * in->op[1].reg, 8);
        memcpy(mask, bt->xsave + XSAVE_ST + 16 * in->op[2].reg, 8);
    } else {
        get_vector(bt, in->op[1].reg, from);
        get_vector(bt, in->op[2].reg, mask);
    }
    uint64_t va = effective_address(bt, in, to);
    for (unsigned half = to->size; half; half -= 8)
        mem_probe_write(bt, va + half - 8, 8, in->stack_segment);
    store_selected(bt, in, va, mask, from, to->size, 1);
    bt_next(bt, in);
}

static unsigned element_size(const struct insn *in)
{
    switch (in->id) {
    case X86_INS_VMASKMOVPS:
    case X86_INS_VPMASKMOVD:
    case X86_INS_VPGATHERDD:
    case X86_INS_VPGATHERQD:
    case X86_INS_VGATHERDPS:
    case X86_INS_VGATHERQPS:
        return 4;
    default:
        return 8;
    }
}

// vmaskmov op[0], mask op[1], op[2]: to or from memory.
void emulate_vmaskmov(struct bt *bt, const struct insn *in)
{
    uint8_t mask[MOST], v[MOST] = {0};
    unsigned size = element_size(in), bytes = in->vex_l ? 32 : 16;
    bool stores = in->op[0].kind == OPERAND_MEM;
    demand(bt, in);
    uint64_t va = effective_address(bt, in, stores ? &in->op[0] : &in->op[2]);
    get_vector(bt, in->op[1].reg, mask);
    if (stores) {
        get_vector(bt, in->op[2].reg, v);
        store_selected(bt, in, va, mask, v, bytes, size);
    } else {
        for (unsigned i = 0; i < bytes / size; i++) {
            uint64_t value = selects(mask, i, size) ? load(bt, in, va + i * size, size) : 0;
            memcpy(v + i * size, &value, size);
        }
        set_vector(bt, in->op[0].reg, v);
    }
    bt_next(bt, in);
}

static bool has_wide_index(const struct insn *in)
{
    return in->id == X86_INS_VPGATHERQD || in->id == X86_INS_VPGATHERQQ || in->id == X86_INS_VGATHERQPS ||
           in->id == X86_INS_VGATHERQPD;
}

static uint64_t gather_address(struct bt *bt, const struct insn *in, const uint8_t *indices, unsigned element)
{
    struct x86_operand o = in->op[1];
    unsigned size = has_wide_index(in) ? 8 : 4;
    int64_t index = (int64_t)element_of(indices, element, size);
    if (size == 4)
        index = (int32_t)index;
    o.mem.index = X86_NO_REG;
    o.mem.disp += (int64_t)((uint64_t)index << o.mem.shift);
    return effective_address(bt, in, &o);
}

// Each element of a mask becomes all ones or zeros, by its sign, before anything is fetched (SDM vol. 2, VGATHERDPS).
static void extend_mask(uint8_t mask[MOST], unsigned bytes, unsigned size)
{
    for (unsigned i = 0; i < bytes / size; i++)
        memset(mask + i * size, selects(mask, i, size) ? 0xff : 0, size);
    memset(mask + bytes, 0, MOST - bytes);
}

// An element that is there is not asked for again when the instruction is begun anew: its mask is cleared as it comes.
// With that a fault in the middle finds registers that tell how far it got.
void emulate_gather(struct bt *bt, const struct insn *in)
{
    uint8_t to[MOST], mask[MOST], indices[MOST];
    unsigned size = element_size(in), bytes = in->vex_l ? 32 : 16;
    unsigned elements = bytes / (has_wide_index(in) ? 8 : size);
    demand(bt, in);
    get_vector(bt, in->op[0].reg, to);
    get_vector(bt, in->op[1].mem.index, indices);
    get_vector(bt, in->op[2].reg, mask);
    extend_mask(mask, bytes, size);
    set_vector(bt, in->op[2].reg, mask);
    for (unsigned i = 0; i < elements; i++) {
        if (selects(mask, i, size)) {
            uint64_t value = load(bt, in, gather_address(bt, in, indices, i), size);
            memcpy(to + i * size, &value, size);
            memset(to + bytes, 0, MOST - bytes);
            memset(mask + i * size, 0, size);
            set_vector(bt, in->op[0].reg, to);
            set_vector(bt, in->op[2].reg, mask);
        }
    }
    memset(to + elements * size, 0, MOST - elements * size);
    memset(mask, 0, sizeof mask);
    set_vector(bt, in->op[0].reg, to);
    set_vector(bt, in->op[2].reg, mask);
    bt_next(bt, in);
}

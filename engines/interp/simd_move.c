// SPDX-License-Identifier: BSD-2-Clause
// SSE and AVX moves: whole registers and parts of them, from and to memory and general registers (SDM vol. 2, under
// each name). Hints not to cache mean nothing here.
#include "engines/interp/simd.h"

// ---- Stores ----

INLINE void write_bytes(struct cpu *c, const struct op *op, uint64_t va, unsigned reg, unsigned size)
{
    v128u *p = mem_ptr_write(c, va, size);
    if (UNLIKELY(!p)) {
        simd_write_slow(c, op, va, &c->ymm[reg], size);
        return;
    }
    p[0] = LO(reg);
    if (size == 32)
        p[1] = HI(reg);
}

#define STORES(suffix, check)                                                                                          \
    static HANDLER(store_128##suffix)                                                                                  \
    {                                                                                                                  \
        uint64_t va = ea(c, op);                                                                                       \
        check(16);                                                                                                     \
        write_bytes(c, op, va, op->src, 16);                                                                           \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static HANDLER(store_256##suffix)                                                                                  \
    {                                                                                                                  \
        uint64_t va = ea(c, op);                                                                                       \
        check(32);                                                                                                     \
        write_bytes(c, op, va, op->src, 32);                                                                           \
        NEXT;                                                                                                          \
    }
#define NO_CHECK(size)
#define CHECK_ALIGNMENT(size) simd_align(c, op, va, size)
STORES(, NO_CHECK)
STORES(_aligned, CHECK_ALIGNMENT)

HANDLER_STORE(store_low32, 32, (uint64_t)LO(op->src)[0])
HANDLER_STORE(store_low64, 64, (uint64_t)LO(op->src)[0])
HANDLER_STORE(store_high64, 64, (uint64_t)LO(op->src)[1])

// ---- Loads and moves of whole registers ----

#define LOADS(suffix, check)                                                                                           \
    static HANDLER(load_128##suffix)                                                                                   \
    {                                                                                                                  \
        uint64_t va = ea(c, op);                                                                                       \
        check(16);                                                                                                     \
        LO(op->dst) = *(const v128u *)simd_read(c, op, va, 16);                                                        \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static HANDLER(load_128##suffix##_x)                                                                               \
    {                                                                                                                  \
        uint64_t va = ea(c, op);                                                                                       \
        check(16);                                                                                                     \
        set_x(c, op->dst, *(const v128u *)simd_read(c, op, va, 16));                                                   \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static HANDLER(load_256##suffix)                                                                                   \
    {                                                                                                                  \
        uint64_t va = ea(c, op);                                                                                       \
        check(32);                                                                                                     \
        const v128u *m = simd_read(c, op, va, 32);                                                                     \
        v128 low = m[0], high = m[1];                                                                                  \
        LO(op->dst) = low;                                                                                             \
        HI(op->dst) = high;                                                                                            \
        NEXT;                                                                                                          \
    }
LOADS(, NO_CHECK)
LOADS(_aligned, CHECK_ALIGNMENT)

static HANDLER(move)
{
    LO(op->dst) = LO(op->src);
    NEXT;
}
static HANDLER(move_x)
{
    set_x(c, op->dst, LO(op->src));
    NEXT;
}
static HANDLER(move_y)
{
    c->ymm[op->dst] = c->ymm[op->src];
    NEXT;
}

// ---- Parts: the rest comes from a, or is 0 in a load of movss and movsd ----

KERNEL(low)
{
    return (v128){b[0], a[1]};
}
KERNEL(high)
{
    return (v128){a[0], b[0]};
}
KERNEL(single)
{
    return (v128){(a[0] & ~0xffffffffll) | (b[0] & 0xffffffff), a[1]};
}
TEMPLATE_SCALAR8(low, INT_RUN)
TEMPLATE_SCALAR8(high, INT_RUN)
static HANDLER(single_rr) LEGACY_HANDLER(single, INT_RUN, LO(op->src)) static HANDLER(single_xrr)
    X_HANDLER(single, INT_RUN, LO(op->src))

#define LOAD_PART(bits)                                                                                                \
    HANDLER_LOAD(load_part##bits, bits, LO(op->dst) = ((v128){(long long)m, 0}))                                       \
    HANDLER_LOAD(load_part##bits##_x, bits, set_x(c, op->dst, (v128){(long long)m, 0}))
        LOAD_PART(32) LOAD_PART(64)

    // ---- movaps and the others by name ----

    struct move_row {
    struct simd_row load;
    op_fn *store, *ystore;
};

bool lower_simd_move(struct lower *l, const struct insn *in, unsigned arg)
{
#define FEATURES .legacy = X86_FEATURE_SSE2, .x = X86_FEATURE_AVX, .y = X86_FEATURE_AVX
    static const struct move_row rows[] = {
        [MOVE_ALIGNED] = {{.rr = move,
                           .rm = load_128_aligned,
                           .xrr = move_x,
                           .xrm = load_128_aligned_x,
                           .yrr = move_y,
                           .yrm = load_256_aligned,
                           FEATURES},
                          store_128_aligned,
                          store_256_aligned},
        [MOVE_UNALIGNED] =
            {{.rr = move, .rm = load_128, .xrr = move_x, .xrm = load_128_x, .yrr = move_y, .yrm = load_256, FEATURES},
             store_128,
             store_256},
        [MOVE_LOW] = {{FORMS_SCALAR8(low), FEATURES}, store_low64, NULL},
        [MOVE_HIGH] = {{FORMS_SCALAR8(high), FEATURES}, store_high64, NULL},
        [MOVE_SS] = {{.rr = single_rr, .rm = load_part32, .xrr = single_xrr, .xrm = load_part32_x, FEATURES},
                     store_low32,
                     NULL},
        [MOVE_SD] = {{.rr = low_rr, .rm = load_part64, .xrr = low_xrr, .xrm = load_part64_x, FEATURES},
                     store_low64,
                     NULL},
    };
    const struct move_row *row = &rows[arg];
    if (!is_mem(&in->op[0]))
        return simd_lower(l, in, &row->load);
    if (!simd_has(l, in->vex ? X86_FEATURE_AVX : X86_FEATURE_SSE2))
        return false;
    simd_check(l, in);
    emit_mem(l, in->vex_l && row->ystore ? row->ystore : row->store, in, &in->op[0])->src = in->op[1].reg;
    return true;
}

bool lower_lddqu(struct lower *l, const struct insn *in, unsigned arg) // lddqu: SSE3
{
    return simd_has(l, X86_FEATURE_SSE3) && lower_simd_move(l, in, arg);
}

bool lower_movntdqa(struct lower *l, const struct insn *in, unsigned arg)
{
    return simd_has(l, in->vex_l ? X86_FEATURE_AVX2 : X86_FEATURE_SSE41) && lower_simd_move(l, in, arg);
}

// ---- movd, movq ----

#define FROM_GPR(bits)                                                                                                 \
    static HANDLER(from_gpr##bits)                                                                                     \
    {                                                                                                                  \
        LO(op->dst) = (v128){(long long)get##bits(c, op->src), 0};                                                     \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static HANDLER(from_gpr##bits##_x)                                                                                 \
    {                                                                                                                  \
        set_x(c, op->dst, (v128){(long long)get##bits(c, op->src), 0});                                                \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static HANDLER(to_gpr##bits)                                                                                       \
    {                                                                                                                  \
        set##bits(c, op->dst, (uint64_t)LO(op->src)[0]);                                                               \
        NEXT;                                                                                                          \
    }
FROM_GPR(32)
FROM_GPR(64)

static HANDLER(move_low64) // movq between registers clears bits 64 to 127
{
    LO(op->dst) = (v128){LO(op->src)[0], 0};
    NEXT;
}
static HANDLER(move_low64_x)
{
    set_x(c, op->dst, (v128){LO(op->src)[0], 0});
    NEXT;
}

static op_fn *movd_form(const struct insn *in)
{
    const struct x86_operand *to = &in->op[0], *from = &in->op[1];
    bool quad = from->size == 8, vex = in->vex;
    if (is_mem(to))
        return quad ? store_low64 : store_low32;
    if (is_reg(to))
        return quad ? to_gpr64 : to_gpr32;
    if (is_mem(from))
        return quad ? (vex ? load_part64_x : load_part64) : (vex ? load_part32_x : load_part32);
    if (is_reg(from))
        return quad ? (vex ? from_gpr64_x : from_gpr64) : (vex ? from_gpr32_x : from_gpr32);
    return vex ? move_low64_x : move_low64;
}

bool lower_movd(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)arg;
    if (!simd_has(l, in->vex ? X86_FEATURE_AVX : X86_FEATURE_SSE2))
        return false;
    simd_check(l, in);
    op_fn *fn = movd_form(in);
    struct op *op = is_mem(&in->op[0])   ? emit_mem(l, fn, in, &in->op[0])
                    : is_mem(&in->op[1]) ? emit_mem(l, fn, in, &in->op[1])
                                         : emit(l, fn);
    op->dst = in->op[0].reg;
    op->src = in->op[1].reg;
    return true;
}

// ---- pinsrb to pinsrq, pextrb to pextrq, extractps: an element whose number is an immediate, modulo how many there
// are

typedef uint8_t __attribute__((may_alias)) element8;
typedef uint16_t __attribute__((may_alias)) element16;
typedef uint32_t __attribute__((may_alias)) element32;
typedef uint64_t __attribute__((may_alias)) element64;

#define INSERT(bits, value)                                                                                            \
    uint64_t v = (value);                                                                                              \
    LO(op->dst) = LO(op->aux);                                                                                         \
    ((element##bits *)&LO(op->dst))[op->imm & (128 / bits - 1)] = (uint##bits##_t)v;
#define ELEMENT(bits, get)                                                                                             \
    static HANDLER(insert##bits##_rr)                                                                                  \
    {                                                                                                                  \
        INSERT(bits, get(c, op->src))                                                                                  \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static HANDLER(insert##bits##_xrr)                                                                                 \
    {                                                                                                                  \
        INSERT(bits, get(c, op->src))                                                                                  \
        HI(op->dst) = (v128){0, 0};                                                                                    \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER_LOAD(insert##bits##_rm, bits, INSERT(bits, m))                                                             \
    HANDLER_LOAD(insert##bits##_xrm, bits, INSERT(bits, m) HI(op->dst) = ((v128){0, 0}))                               \
    static inline uint##bits##_t element_of##bits(const struct cpu *c, const struct op *op)                            \
    {                                                                                                                  \
        return ((const element##bits *)&LO(op->src))[op->imm & (128 / bits - 1)];                                      \
    }                                                                                                                  \
    static HANDLER(extract##bits)                                                                                      \
    {                                                                                                                  \
        set64(c, op->dst, element_of##bits(c, op));                                                                    \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER_STORE(extract##bits##_m, bits, element_of##bits(c, op))
ELEMENT(8, get32)
ELEMENT(16, get32)
ELEMENT(32, get32)
ELEMENT(64, get64)

static bool lower_insert(struct lower *l, const struct insn *in, unsigned arg)
{
    static op_fn *const fns[4][4] = {{insert8_rr, insert8_rm, insert8_xrr, insert8_xrm},
                                     {insert16_rr, insert16_rm, insert16_xrr, insert16_xrm},
                                     {insert32_rr, insert32_rm, insert32_xrr, insert32_xrm},
                                     {insert64_rr, insert64_rm, insert64_xrr, insert64_xrm}};
    const struct x86_operand *from = &in->op[in->vex ? 2 : 1];
    op_fn *fn = fns[arg - ELEMENT_PINSRB][in->vex * 2 + is_mem(from)];
    struct op *op = is_mem(from) ? emit_mem(l, fn, in, from) : emit(l, fn);
    op->dst = in->op[0].reg;
    op->aux = in->op[in->vex ? 1 : 0].reg;
    op->src = is_mem(from) ? 0 : from->reg;
    op->imm = (int32_t)in->op[in->vex ? 3 : 2].imm;
    return true;
}

static bool lower_extract(struct lower *l, const struct insn *in, unsigned arg)
{
    static op_fn *const fns[4][2] = {
        {extract8, extract8_m}, {extract16, extract16_m}, {extract32, extract32_m}, {extract64, extract64_m}};
    const struct x86_operand *to = &in->op[0];
    op_fn *fn = fns[arg - ELEMENT_PEXTRB][is_mem(to)];
    struct op *op = is_mem(to) ? emit_mem(l, fn, in, to) : emit(l, fn);
    op->dst = is_mem(to) ? 0 : to->reg;
    op->src = in->op[1].reg;
    op->imm = (int32_t)in->op[2].imm;
    return true;
}

// pinsrw and pextrw of 0f c4 and c5 came with SSE2.
bool lower_simd_element(struct lower *l, const struct insn *in, unsigned arg)
{
    bool old = in->opcode[1] == 0xc4 || in->opcode[1] == 0xc5;
    if (!simd_has(l, in->vex ? X86_FEATURE_AVX : old ? X86_FEATURE_SSE2 : X86_FEATURE_SSE41))
        return false;
    simd_check(l, in);
    return arg < ELEMENT_PEXTRB ? lower_insert(l, in, arg) : lower_extract(l, in, arg);
}

// SPDX-License-Identifier: BSD-2-Clause
// Bits: bt bts btr btc, bsf bsr tzcnt lzcnt popcnt, crc32, bswap, and BMI1/BMI2's andn bextr blsi blsmsk blsr bzhi pdep
// pext. Flags that the manual leaves undefined keep a value that is simple to have.
#include "engines/interp/flags.h"
#include "engines/interp/forms.h"
#include "engines/interp/window.h"

// ---- bt, bts, btr, btc: CF = bit; then the bit is set, reset, complemented (SDM vol. 2) ----
// ZF stays, the other flags are undefined: CF alone changes.
INLINE uint64_t do_bt(uint64_t a, uint64_t bit)
{
    (void)bit;
    return a;
}
INLINE uint64_t do_bts(uint64_t a, uint64_t bit)
{
    return a | bit;
}
INLINE uint64_t do_btr(uint64_t a, uint64_t bit)
{
    return a & ~bit;
}
INLINE uint64_t do_btc(uint64_t a, uint64_t bit)
{
    return a ^ bit;
}
INLINE uint64_t bit_of(struct cpu *c, uint64_t a, uint64_t offset, unsigned bits)
{
    uint64_t bit = 1ull << (offset & (bits - 1));
    flags_change_cf(c, a & bit);
    return bit;
}

enum { BIT_EA = 0, BIT_EA32, BIT_LINEAR };

// A register offset reaches memory beyond the operand, by whole operands, in both directions (SDM vol. 2, BT). With a
// 32-bit address size (BIT_EA32 in aux) that sum wraps too; outside 64-bit mode (BIT_LINEAR) op_bit_linear has done it.
INLINE uint64_t bit_ea(const struct cpu *c, const struct op *op, unsigned bits)
{
    int64_t offset = (int64_t)sign_extend(c->gpr[op->src], bits);
    uint64_t bytes = (uint64_t)(offset >> (bits == 64 ? 6 : bits == 32 ? 5 : 4)) * (bits / 8);
    if (op->aux == BIT_LINEAR)
        return c->gpr[REG_EA];
    if (op->aux)
        return (uint32_t)(c->gpr[REG_EA] + bytes) + c->seg_base[op->seg];
    return ea(c, op) + bytes;
}

#define BIT_REG(name, bits)                                                                                            \
    static HANDLER(name##bits##_rr)                                                                                    \
    {                                                                                                                  \
        uint##bits##_t a = get##bits(c, op->dst);                                                                      \
        uint64_t r = do_##name(a, bit_of(c, a, c->gpr[op->src], bits));                                                \
        set##bits(c, op->dst, r);                                                                                      \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static HANDLER(name##bits##_ri)                                                                                    \
    {                                                                                                                  \
        uint##bits##_t a = get##bits(c, op->dst);                                                                      \
        uint64_t r = do_##name(a, bit_of(c, a, (uint64_t)op->imm, bits));                                              \
        set##bits(c, op->dst, r);                                                                                      \
        NEXT;                                                                                                          \
    }
#define BIT_UPDATE(name, bits)                                                                                         \
    BIT_REG(name, bits)                                                                                                \
    HANDLER_UPDATE(name##bits##_mi, bits, r = do_##name(m, bit_of(c, m, (uint64_t)op->imm, bits)))                     \
    HANDLER_UPDATE_AT(name##bits##_mr, bits, bit_ea(c, op, bits), r = do_##name(m, bit_of(c, m, c->gpr[op->src], bits)))

// bt writes nothing, not even the upper half of a 32-bit register.
#define BIT_TEST_ONLY(bits)                                                                                            \
    static HANDLER(bt##bits##_rr)                                                                                      \
    {                                                                                                                  \
        bit_of(c, get##bits(c, op->dst), c->gpr[op->src], bits);                                                       \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static HANDLER(bt##bits##_ri)                                                                                      \
    {                                                                                                                  \
        bit_of(c, get##bits(c, op->dst), (uint64_t)op->imm, bits);                                                     \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER_LOAD(bt##bits##_mi, bits, bit_of(c, m, (uint64_t)op->imm, bits))                                           \
    HANDLER_LOAD_AT(bt##bits##_mr, bits, bit_ea(c, op, bits), bit_of(c, m, c->gpr[op->src], bits))

#define FOR_SIZES_16_UP(macro, name) macro(name, 16) macro(name, 32) macro(name, 64)
BIT_TEST_ONLY(16)
BIT_TEST_ONLY(32)
BIT_TEST_ONLY(64)
FOR_SIZES_16_UP(BIT_UPDATE, bts)
FOR_SIZES_16_UP(BIT_UPDATE, btr)
FOR_SIZES_16_UP(BIT_UPDATE, btc)

#define BIT_FORMS(name, bits)                                                                                          \
    {                                                                                                                  \
        [FORM_RR] = name##bits##_rr, [FORM_RI] = name##bits##_ri, [FORM_MR] = name##bits##_mr,                         \
        [FORM_MI] = name##bits##_mi,                                                                                   \
    }
#define BIT_ROW(name)                                                                                                  \
    {                                                                                                                  \
        {0}, BIT_FORMS(name, 16), BIT_FORMS(name, 32), BIT_FORMS(name, 64)                                             \
    }

// Outside 64-bit mode: as op_linear32, for the operand that the bit lies in. dst: register with the offset; imm: bytes.
INLINE uint32_t bit_offset(const struct cpu *c, const struct op *op)
{
    unsigned bits = 8 * (unsigned)op->imm;
    int64_t offset = (int64_t)sign_extend(c->gpr[op->dst], bits);
    uint64_t bytes = (uint64_t)(offset >> (bits == 32 ? 5 : 4)) * (bits / 8);
    return (uint32_t)(c->gpr[op->base] + (c->gpr[op->index] << op->shift) + (uint64_t)op->disp + bytes);
}

static HANDLER(op_bit_linear32)
{
    c->gpr[REG_EA] = seg_linear(c, op, op->seg, bit_offset(c, op), (unsigned)op->imm, op->src);
    NEXT;
}

static HANDLER(op_bit_linear16)
{
    c->gpr[REG_EA] = seg_linear(c, op, op->seg, (uint16_t)bit_offset(c, op), (unsigned)op->imm, op->src);
    NEXT;
}

bool lower_bit_test(struct lower *l, const struct insn *in, unsigned arg)
{
    static op_fn *const table[][4][FORMS] = {
        [BIT_TEST] = BIT_ROW(bt),
        [BIT_SET] = BIT_ROW(bts),
        [BIT_RESET] = BIT_ROW(btr),
        [BIT_COMPLEMENT] = BIT_ROW(btc),
    };
    struct op *op = emit_two(l, in, table[arg][size_index(in->op[0].size)]);
    if (!op)
        return false;
    if (in->mode == X86_CODE64) {
        op->aux = is_mem(&in->op[0]) && in->addr_size == 4 ? BIT_EA32 : BIT_EA;
        return true;
    }
    op->aux = BIT_LINEAR;
    if (is_mem(&in->op[0]) && is_reg(&in->op[1])) {
        struct op *address = op - 1; // op_linear32 or op_linear16
        address->fn = in->addr_size == 2 ? op_bit_linear16 : op_bit_linear32;
        address->dst = in->op[1].reg;
    }
    return true;
}

// ---- bsf, bsr: dst = number of the lowest, highest 1 bit; src 0: ZF = 1, dst stays (SDM vol. 2, BSF, BSR) ----
// ---- tzcnt, lzcnt: zeros below, above; src 0: the width, CF = 1 (TZCNT, LZCNT); popcnt: ones (POPCNT) ----
INLINE uint64_t do_bsf(struct cpu *c, uint64_t dst, uint64_t src, unsigned bits)
{
    flags_logic(c, src, bits);
    return src ? (uint64_t)__builtin_ctzll(src) : dst;
}
INLINE uint64_t do_bsr(struct cpu *c, uint64_t dst, uint64_t src, unsigned bits)
{
    flags_logic(c, src, bits);
    return src ? 63 - (uint64_t)__builtin_clzll(src) : dst;
}
INLINE uint64_t do_tzcnt(struct cpu *c, uint64_t dst, uint64_t src, unsigned bits)
{
    uint64_t n = src ? (uint64_t)__builtin_ctzll(src) : bits;
    (void)dst;
    flags_cf_of(c, n, src == 0, false, bits);
    return n;
}
INLINE uint64_t do_lzcnt(struct cpu *c, uint64_t dst, uint64_t src, unsigned bits)
{
    uint64_t n = src ? (uint64_t)__builtin_clzll(src) - (64 - bits) : bits;
    (void)dst;
    flags_cf_of(c, n, src == 0, false, bits);
    return n;
}
INLINE uint64_t do_popcnt(struct cpu *c, uint64_t dst, uint64_t src, unsigned bits)
{
    (void)dst, (void)bits;
    flags_load_arith(c, src ? 0 : FLAG_ZF); // all others 0
    return (uint64_t)__builtin_popcountll(src);
}

// The 32-bit forms of bsf and bsr leave the whole register where src is 0.
INLINE void set_scanned(struct cpu *c, unsigned reg, uint64_t r, uint64_t src, unsigned bits)
{
    if (bits == 16)
        set16(c, reg, r);
    else if (src)
        c->gpr[reg] = r;
}
#define SCAN(name, bits, store)                                                                                        \
    static HANDLER(name##bits##_rr)                                                                                    \
    {                                                                                                                  \
        uint##bits##_t m = get##bits(c, op->src);                                                                      \
        uint64_t r = do_##name(c, get##bits(c, op->dst), m, bits);                                                     \
        store;                                                                                                         \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER_LOAD(name##bits##_rm, bits, uint64_t r = do_##name(c, get##bits(c, op->dst), m, bits); store)
#define SCANS(bits)                                                                                                    \
    SCAN(bsf, bits, set_scanned(c, op->dst, r, m, bits))                                                               \
    SCAN(bsr, bits, set_scanned(c, op->dst, r, m, bits))                                                               \
    SCAN(tzcnt, bits, set##bits(c, op->dst, r))                                                                        \
    SCAN(lzcnt, bits, set##bits(c, op->dst, r))                                                                        \
    SCAN(popcnt, bits, set##bits(c, op->dst, r))
SCANS(16)
SCANS(32)
SCANS(64)

#define SOURCE_FORMS(name, bits)                                                                                       \
    {                                                                                                                  \
        [FORM_RR] = name##bits##_rr, [FORM_RM] = name##bits##_rm,                                                      \
    }
#define SCAN_ROW(name)                                                                                                 \
    {                                                                                                                  \
        {0}, SOURCE_FORMS(name, 16), SOURCE_FORMS(name, 32), SOURCE_FORMS(name, 64)                                    \
    }

bool lower_bit_scan(struct lower *l, const struct insn *in, unsigned arg)
{
    static op_fn *const table[][4][FORMS] = {
        [SCAN_BSF] = SCAN_ROW(bsf),
        [SCAN_BSR] = SCAN_ROW(bsr),
        [SCAN_TZCNT] = SCAN_ROW(tzcnt),
        [SCAN_LZCNT] = SCAN_ROW(lzcnt),
    };
    return emit_two(l, in, table[arg][size_index(in->op[0].size)]) != NULL;
}

bool lower_popcnt(struct lower *l, const struct insn *in, unsigned arg)
{
    static op_fn *const table[4][FORMS] = SCAN_ROW(popcnt);
    (void)arg;
    return emit_two(l, in, table[size_index(in->op[0].size)]) != NULL;
}

// ---- crc32: dst = CRC-32C of src's bytes from dst on (SDM vol. 2, CRC32); the upper half of dst becomes 0 ----
// Four bits at a time; the polynomial is 0x11edc6f41, reflected.
static uint32_t crc32c(uint32_t crc, uint64_t data, unsigned bits)
{
    static const uint32_t nibble[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
        0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };
    for (; bits; bits -= 4, data >>= 4)
        crc = (crc >> 4) ^ nibble[(crc ^ data) & 15];
    return crc;
}
#define CRC32(bits)                                                                                                    \
    static HANDLER(crc##bits##_rr)                                                                                     \
    {                                                                                                                  \
        set32(c, op->dst, crc32c(get32(c, op->dst), get##bits(c, op->src), bits));                                     \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER_LOAD(crc##bits##_rm, bits, set32(c, op->dst, crc32c(get32(c, op->dst), m, bits)))
CRC32(8)
CRC32(16)
CRC32(32)
CRC32(64)

bool lower_crc32(struct lower *l, const struct insn *in, unsigned arg)
{
    static op_fn *const table[4][FORMS] = {SOURCE_FORMS(crc, 8), SOURCE_FORMS(crc, 16), SOURCE_FORMS(crc, 32),
                                           SOURCE_FORMS(crc, 64)};
    (void)arg;
    return emit_two(l, in, table[size_index(in->op[1].size)]) != NULL;
}

// ---- bswap: bytes reversed; a 16-bit register, undefined in the manual, becomes 0 (SDM vol. 2, BSWAP) ----
static HANDLER(bswap16_r)
{
    set16(c, op->dst, 0);
    NEXT;
}
static HANDLER(bswap32_r)
{
    set32(c, op->dst, __builtin_bswap32(get32(c, op->dst)));
    NEXT;
}
static HANDLER(bswap64_r)
{
    set64(c, op->dst, __builtin_bswap64(get64(c, op->dst)));
    NEXT;
}

bool lower_bswap(struct lower *l, const struct insn *in, unsigned arg)
{
    static op_fn *const fns[] = {bswap16_r, bswap32_r, bswap64_r};
    (void)arg;
    emit(l, fns[size_index(in->op[0].size) - 1])->dst = in->op[0].reg;
    return true;
}

// ---- BMI1, BMI2: r = do_NAME(a, b), b in register or memory for andn, pdep and pext, else a (SDM vol. 2) ----
INLINE uint64_t do_andn(struct cpu *c, uint64_t a, uint64_t b, unsigned bits)
{
    flags_logic(c, ~a & b, bits);
    return ~a & b;
}
// b: start in bits 0-7, length in bits 8-15
INLINE uint64_t do_bextr(struct cpu *c, uint64_t a, uint64_t b, unsigned bits)
{
    unsigned start = b & 0xff, length = (b >> 8) & 0xff;
    uint64_t r = start < bits ? a >> start : 0;
    if (length < bits)
        r &= (1ull << length) - 1;
    flags_logic(c, r, bits);
    return r;
}
INLINE uint64_t do_blsi(struct cpu *c, uint64_t a, uint64_t b, unsigned bits)
{
    (void)b;
    flags_cf_of(c, a & -a, a != 0, false, bits);
    return a & -a;
}
INLINE uint64_t do_blsmsk(struct cpu *c, uint64_t a, uint64_t b, unsigned bits)
{
    (void)b;
    flags_cf_of(c, a ^ (a - 1), a == 0, false, bits);
    return a ^ (a - 1);
}
INLINE uint64_t do_blsr(struct cpu *c, uint64_t a, uint64_t b, unsigned bits)
{
    (void)b;
    flags_cf_of(c, a & (a - 1), a == 0, false, bits);
    return a & (a - 1);
}
// The bits from number b up become 0.
INLINE uint64_t do_bzhi(struct cpu *c, uint64_t a, uint64_t b, unsigned bits)
{
    unsigned n = b & 0xff;
    uint64_t r = n < bits ? a & ((1ull << n) - 1) : a;
    flags_cf_of(c, r, n >= bits, false, bits);
    return r;
}
// The low bits of a go where the mask b has ones; the bits of a at the ones of b come together; no flags.
INLINE uint64_t do_pdep(struct cpu *c, uint64_t a, uint64_t b, unsigned bits)
{
    uint64_t r = 0;
    (void)c, (void)bits;
    for (; b; b &= b - 1, a >>= 1)
        r |= a & 1 ? b & -b : 0;
    return r;
}
INLINE uint64_t do_pext(struct cpu *c, uint64_t a, uint64_t b, unsigned bits)
{
    uint64_t r = 0;
    (void)c, (void)bits;
    for (uint64_t to = 1; b; b &= b - 1, to <<= 1)
        r |= a & b & -b ? to : 0;
    return r;
}

// aux: the operand that is always a register; src or memory: the other one.
#define BMI(name, bits, first, second)                                                                                 \
    static HANDLER(name##bits##_rr)                                                                                    \
    {                                                                                                                  \
        uint##bits##_t m = get##bits(c, op->src), v = get##bits(c, op->aux);                                           \
        (void)v;                                                                                                       \
        set##bits(c, op->dst, do_##name(c, first, second, bits));                                                      \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER_LOAD(name##bits##_rm, bits, uint##bits##_t v = get##bits(c, op->aux); (void)v;                             \
                 set##bits(c, op->dst, do_##name(c, first, second, bits)))
#define BMIS(bits)                                                                                                     \
    BMI(andn, bits, v, m)                                                                                              \
    BMI(bextr, bits, m, v)                                                                                             \
    BMI(blsi, bits, m, 0)                                                                                              \
    BMI(blsmsk, bits, m, 0)                                                                                            \
    BMI(blsr, bits, m, 0)                                                                                              \
    BMI(bzhi, bits, m, v)                                                                                              \
    BMI(pdep, bits, v, m)                                                                                              \
    BMI(pext, bits, v, m)
BMIS(32)
BMIS(64)

#define BMI_ROW(name)                                                                                                  \
    {                                                                                                                  \
        {name##32_rr, name##32_rm},                                                                                    \
        {                                                                                                              \
            name##64_rr, name##64_rm                                                                                   \
        }                                                                                                              \
    }

bool lower_bmi(struct lower *l, const struct insn *in, unsigned arg)
{
    static op_fn *const table[][2][2] = {
        [BMI_ANDN] = BMI_ROW(andn),     [BMI_BEXTR] = BMI_ROW(bextr), [BMI_BLSI] = BMI_ROW(blsi),
        [BMI_BLSMSK] = BMI_ROW(blsmsk), [BMI_BLSR] = BMI_ROW(blsr),   [BMI_BZHI] = BMI_ROW(bzhi),
        [BMI_PDEP] = BMI_ROW(pdep),     [BMI_PEXT] = BMI_ROW(pext),
    };
    bool last = arg == BMI_ANDN || arg == BMI_PDEP || arg == BMI_PEXT; // register or memory is the third operand
    const struct x86_operand *rm = &in->op[last ? 2 : 1], *fixed = &in->op[last ? 1 : 2];
    op_fn *const *fns = table[arg][in->op[0].size == 8];
    struct op *op = is_mem(rm) ? emit_mem(l, fns[1], in, rm) : emit(l, fns[0]);
    op->dst = in->op[0].reg;
    op->src = rm->reg;
    op->aux = in->operands == 3 ? fixed->reg : REG_ZERO;
    return true;
}

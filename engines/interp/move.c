// SPDX-License-Identifier: BSD-2-Clause
// Moves: mov movnti movabs movzx movsx movsxd movbe, cmovcc setcc, and the sign extensions of the accumulator.
#include "engines/interp/flags.h"
#include "engines/interp/forms.h"

// ---- mov: dst = src (SDM vol. 2, MOV) ----
#define MOV(bits)                                                                                                      \
    static HANDLER(mov##bits##_rr)                                                                                     \
    {                                                                                                                  \
        set##bits(c, op->dst, get##bits(c, op->src));                                                                  \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static HANDLER(mov##bits##_ri)                                                                                     \
    {                                                                                                                  \
        set##bits(c, op->dst, (uint64_t)(int64_t)op->imm);                                                             \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER_LOAD(mov##bits##_rm, bits, set##bits(c, op->dst, m))                                                       \
    HANDLER_STORE(mov##bits##_mr, bits, get##bits(c, op->src))                                                         \
    HANDLER_STORE(mov##bits##_mi, bits, (uint64_t)(int64_t)op->imm)
MOV(8)
MOV(16)
MOV(32)
MOV(64)

// A 64-bit immediate lies in disp.
static HANDLER(mov64_long)
{
    c->gpr[op->dst] = (uint64_t)op->disp;
    NEXT;
}

#define MOV_FORMS(bits)                                                                                                \
    {                                                                                                                  \
        [FORM_RR] = mov##bits##_rr, [FORM_RI] = mov##bits##_ri, [FORM_RM] = mov##bits##_rm,                            \
        [FORM_MR] = mov##bits##_mr, [FORM_MI] = mov##bits##_mi,                                                        \
    }

static bool lower_plain_mov(struct lower *l, const struct insn *in)
{
    static op_fn *const table[4][FORMS] = {MOV_FORMS(8), MOV_FORMS(16), MOV_FORMS(32), MOV_FORMS(64)};
    return emit_two(l, in, table[size_index(in->op[0].size)]) != NULL;
}

bool lower_mov(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)arg;
    for (unsigned i = 0; i < 2; i++) {
        if (in->op[i].kind == OPERAND_SEG)
            return lower_mov_seg(l, in, 0);
        if (in->op[i].kind == OPERAND_CR)
            return lower_mov_cr(l, in, 0);
        if (in->op[i].kind == OPERAND_DR)
            return lower_mov_dr(l, in, 0);
    }
    return lower_plain_mov(l, in);
}

// mov r64, imm64 and the accumulator's 64-bit addresses.
bool lower_movabs(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)arg;
    if (!is_imm(&in->op[1]))
        return lower_plain_mov(l, in);
    if (in->op[0].kind != OPERAND_GPR || in->op[0].size != 8)
        return false;
    struct op *op = emit(l, mov64_long);
    op->dst = in->op[0].reg;
    op->disp = in->op[1].imm;
    return true;
}

// ---- movzx, movsx, movsxd: dst = src extended (SDM vol. 2) ----
#define EXTEND(name, to, from, value)                                                                                  \
    static HANDLER(name##from##_##to##_rr)                                                                             \
    {                                                                                                                  \
        uint##from##_t m = get##from(c, op->src);                                                                      \
        set##to(c, op->dst, (value));                                                                                  \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER_LOAD(name##from##_##to##_rm, from, set##to(c, op->dst, (value)))
EXTEND(movzx, 16, 8, m)
EXTEND(movzx, 32, 8, m) // and 64: a 32-bit result is zero-extended
EXTEND(movzx, 16, 16, m)
EXTEND(movzx, 32, 16, m)
EXTEND(movsx, 16, 8, sign_extend(m, 8))
EXTEND(movsx, 32, 8, sign_extend(m, 8))
EXTEND(movsx, 64, 8, sign_extend(m, 8))
EXTEND(movsx, 16, 16, m)
EXTEND(movsx, 32, 16, sign_extend(m, 16))
EXTEND(movsx, 64, 16, sign_extend(m, 16))
EXTEND(movsx, 32, 32, m)
EXTEND(movsx, 64, 32, sign_extend(m, 32))

#define EXTEND_FORMS(name)                                                                                             \
    {                                                                                                                  \
        [FORM_RR] = name##_rr, [FORM_RM] = name##_rm,                                                                  \
    }

// By source size, signedness, destination size (both as size_index()).
static op_fn *const extend[3][2][4][FORMS] = {
    {{{0}, EXTEND_FORMS(movzx8_16), EXTEND_FORMS(movzx8_32), EXTEND_FORMS(movzx8_32)},
     {{0}, EXTEND_FORMS(movsx8_16), EXTEND_FORMS(movsx8_32), EXTEND_FORMS(movsx8_64)}},
    {{{0}, EXTEND_FORMS(movzx16_16), EXTEND_FORMS(movzx16_32), EXTEND_FORMS(movzx16_32)},
     {{0}, EXTEND_FORMS(movsx16_16), EXTEND_FORMS(movsx16_32), EXTEND_FORMS(movsx16_64)}},
    {{{0}}, {{0}, {0}, EXTEND_FORMS(movsx32_32), EXTEND_FORMS(movsx32_64)}},
};

// Operand sizes are computed here: Capstone gives every movsxd a 64-bit destination and a 32-bit source, which is so
// with REX.W only. Without it, and with prefix 66, movsxd is a plain mov (SDM vol. 2, MOVSX).
bool lower_movx(struct lower *l, const struct insn *in, unsigned arg)
{
    unsigned to = in->op[0].size, from = in->op[1].size;
    if (arg == EXTEND_SIGN_LONG) {
        to = in->rex_w ? 8 : in->opsize ? 2 : 4;
        from = to == 2 ? 2 : 4;
    }
    if (from > 4)
        return false;
    return emit_two(l, in, extend[size_index(from)][arg != EXTEND_ZERO][size_index(to)]) != NULL;
}

// ---- movbe: dst = bytes of src reversed (SDM vol. 2, MOVBE) ----
#define MOVBE(bits)                                                                                                    \
    HANDLER_LOAD(movbe##bits##_rm, bits, set##bits(c, op->dst, __builtin_bswap##bits(m)))                              \
    HANDLER_STORE(movbe##bits##_mr, bits, __builtin_bswap##bits(get##bits(c, op->src)))
MOVBE(16)
MOVBE(32)
MOVBE(64)

bool lower_movbe(struct lower *l, const struct insn *in, unsigned arg)
{
    static op_fn *const table[3][FORMS] = {
        {[FORM_RM] = movbe16_rm, [FORM_MR] = movbe16_mr},
        {[FORM_RM] = movbe32_rm, [FORM_MR] = movbe32_mr},
        {[FORM_RM] = movbe64_rm, [FORM_MR] = movbe64_mr},
    };
    (void)arg;
    if (in->op[0].size < 2)
        return false;
    return emit_two(l, in, table[size_index(in->op[0].size) - 1]) != NULL;
}

// ---- cmovcc: if (cc) dst = src; a 32-bit dst is zero-extended in any case, memory is read in any case ----
// ---- setcc: dst = cc (SDM vol. 2, CMOVcc, SETcc) ----
#define CMOV(cc, bits)                                                                                                 \
    static HANDLER(cmov##cc##_##bits##_rr)                                                                             \
    {                                                                                                                  \
        uint##bits##_t a = get##bits(c, op->dst), b = get##bits(c, op->src);                                           \
        set##bits(c, op->dst, condition(c, cc) ? b : a);                                                               \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER_LOAD(cmov##cc##_##bits##_rm, bits, set##bits(c, op->dst, condition(c, cc) ? m : get##bits(c, op->dst)))
#define CONDITIONAL(cc)                                                                                                \
    CMOV(cc, 16)                                                                                                       \
    CMOV(cc, 32)                                                                                                       \
    CMOV(cc, 64)                                                                                                       \
    static HANDLER(set##cc##_r)                                                                                        \
    {                                                                                                                  \
        set8(c, op->dst, condition(c, cc));                                                                            \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    HANDLER_STORE(set##cc##_m, 8, (uint64_t)condition(c, cc))

#define CONDITIONS(row)                                                                                                \
    row(0) row(1) row(2) row(3) row(4) row(5) row(6) row(7) row(8) row(9) row(10) row(11) row(12) row(13) row(14)      \
        row(15)
CONDITIONS(CONDITIONAL)

#define CMOV_ROW(cc)                                                                                                   \
    {{[FORM_RR] = cmov##cc##_16_rr, [FORM_RM] = cmov##cc##_16_rm},                                                     \
     {[FORM_RR] = cmov##cc##_32_rr, [FORM_RM] = cmov##cc##_32_rm},                                                     \
     {[FORM_RR] = cmov##cc##_64_rr, [FORM_RM] = cmov##cc##_64_rm}},
#define SET_ROW(cc) {set##cc##_r, set##cc##_m},

bool lower_cmov(struct lower *l, const struct insn *in, unsigned arg)
{
    static op_fn *const table[16][3][FORMS] = {CONDITIONS(CMOV_ROW)};
    if (in->op[0].size < 2)
        return false;
    return emit_two(l, in, table[arg][size_index(in->op[0].size) - 1]) != NULL;
}

bool lower_setcc(struct lower *l, const struct insn *in, unsigned arg)
{
    static op_fn *const table[16][2] = {CONDITIONS(SET_ROW)};
    return emit_one(l, in, table[arg][0], table[arg][1]) != NULL;
}

// ---- Sign extension of al, ax, eax, rax (SDM vol. 2, CBW, CWD) ----
#define CONVERT(name, statement)                                                                                       \
    static HANDLER(name)                                                                                               \
    {                                                                                                                  \
        statement;                                                                                                     \
        NEXT;                                                                                                          \
    }
CONVERT(cbw, set16(c, RAX, sign_extend(get8(c, 0), 8)))
CONVERT(cwde, set32(c, RAX, sign_extend(get16(c, RAX), 16)))
CONVERT(cdqe, set64(c, RAX, sign_extend(get32(c, RAX), 32)))
CONVERT(cwd, set16(c, RDX, sign_extend(get16(c, RAX), 16) >> 16))
CONVERT(cdq, set32(c, RDX, sign_extend(get32(c, RAX), 32) >> 32))
CONVERT(cqo, set64(c, RDX, (uint64_t)((int64_t)c->gpr[RAX] >> 63)))

bool lower_convert(struct lower *l, const struct insn *in, unsigned arg)
{
    static op_fn *const table[] = {[CONVERT_CBW] = cbw, [CONVERT_CWDE] = cwde, [CONVERT_CDQE] = cdqe,
                                   [CONVERT_CWD] = cwd, [CONVERT_CDQ] = cdq,   [CONVERT_CQO] = cqo};
    (void)in;
    emit(l, table[arg]);
    return true;
}

// SPDX-License-Identifier: BSD-2-Clause
// Capstone's detail turned into struct insn. What Capstone 4.0 gets wrong, or leaves to its caller, is put right
// here, so that no engine has to know.
#include "x86/decode.h"

#include <stdio.h>
#include <string.h>

#include "include/vcpu_state.h"
#include "x86/vector.h"

// Capstone sorts a table when it prints its first instruction, and glibc's qsort() asks the system for its memory then
// (sysinfo): now, not behind a filter of system calls (engines/bt/contain.c).
static void sort_tables(struct x86_decoder *d)
{
    static const uint8_t nop[] = {0x90};
    const uint8_t *code = nop;
    size_t left = sizeof nop;
    uint64_t address = 0;
    cs_disasm_iter(d->handle[X86_CODE64], &code, &left, &address, d->scratch);
}

int x86_decoder_open(struct x86_decoder *d)
{
    static const cs_mode modes[X86_MODES] = {CS_MODE_64, CS_MODE_32, CS_MODE_16};
    for (unsigned i = 0; i < X86_MODES; i++) {
        if (cs_open(CS_ARCH_X86, modes[i], &d->handle[i]) == CS_ERR_OK) {
            cs_option(d->handle[i], CS_OPT_DETAIL, CS_OPT_ON);
            continue;
        }
        while (i)
            cs_close(&d->handle[--i]);
        return -1;
    }
    d->scratch = cs_malloc(d->handle[X86_CODE64]); // the same for all three
    vector_index_rows(d);
    if (d->scratch) {
        sort_tables(d);
        return 0;
    }
    for (unsigned i = 0; i < X86_MODES; i++)
        cs_close(&d->handle[i]);
    return -1;
}

void x86_decoder_close(struct x86_decoder *d)
{
    cs_free(d->scratch, 1);
    for (unsigned i = 0; i < X86_MODES; i++)
        cs_close(&d->handle[i]);
}

struct reg_name {
    uint8_t kind, reg;
};

// One row per general register: 64, 32, 16 and low 8 bits.
#define GPR_ROW(n, r64, r32, r16, r8)                                                                                  \
    [X86_REG_##r64] = {OPERAND_GPR, n}, [X86_REG_##r32] = {OPERAND_GPR, n}, [X86_REG_##r16] = {OPERAND_GPR, n},        \
    [X86_REG_##r8] = {OPERAND_GPR, n}

static const struct reg_name reg_names[X86_REG_ENDING] = {
    GPR_ROW(RAX, RAX, EAX, AX, AL),       GPR_ROW(RCX, RCX, ECX, CX, CL),       GPR_ROW(RDX, RDX, EDX, DX, DL),
    GPR_ROW(RBX, RBX, EBX, BX, BL),       GPR_ROW(RSP, RSP, ESP, SP, SPL),      GPR_ROW(RBP, RBP, EBP, BP, BPL),
    GPR_ROW(RSI, RSI, ESI, SI, SIL),      GPR_ROW(RDI, RDI, EDI, DI, DIL),      GPR_ROW(R8, R8, R8D, R8W, R8B),
    GPR_ROW(R9, R9, R9D, R9W, R9B),       GPR_ROW(R10, R10, R10D, R10W, R10B),  GPR_ROW(R11, R11, R11D, R11W, R11B),
    GPR_ROW(R12, R12, R12D, R12W, R12B),  GPR_ROW(R13, R13, R13D, R13W, R13B),  GPR_ROW(R14, R14, R14D, R14W, R14B),
    GPR_ROW(R15, R15, R15D, R15W, R15B),  [X86_REG_AH] = {OPERAND_HIGH8, 0},    [X86_REG_CH] = {OPERAND_HIGH8, 1},
    [X86_REG_DH] = {OPERAND_HIGH8, 2},    [X86_REG_BH] = {OPERAND_HIGH8, 3},    [X86_REG_ES] = {OPERAND_SEG, SEG_ES},
    [X86_REG_CS] = {OPERAND_SEG, SEG_CS}, [X86_REG_SS] = {OPERAND_SEG, SEG_SS}, [X86_REG_DS] = {OPERAND_SEG, SEG_DS},
    [X86_REG_FS] = {OPERAND_SEG, SEG_FS}, [X86_REG_GS] = {OPERAND_SEG, SEG_GS},
};

static struct reg_name name_register(unsigned reg)
{
    if (reg >= X86_REG_CR0 && reg <= X86_REG_CR15)
        return (struct reg_name){OPERAND_CR, (uint8_t)(reg - X86_REG_CR0)};
    if (reg >= X86_REG_DR0 && reg <= X86_REG_DR15)
        return (struct reg_name){OPERAND_DR, (uint8_t)(reg - X86_REG_DR0)};
    struct reg_name r = reg < X86_REG_ENDING ? reg_names[reg] : (struct reg_name){0, 0};
    if (r.kind == OPERAND_NONE)
        r.kind = OPERAND_OTHER;
    return r;
}

static uint8_t address_register(unsigned reg)
{
    struct reg_name r = name_register(reg);
    return r.kind == OPERAND_GPR ? r.reg : X86_NO_REG;
}

// Outside 64-bit mode every operand is in some segment (SDM vol. 1, table 3-5): the one that a prefix names, or SS
// where the base is (e)sp or (e)bp, or DS. What a string instruction writes or compares at (e)di is in ES.
static uint8_t legacy_segment(const struct insn *insn, const struct x86_operand *o, uint8_t override)
{
    uint8_t opcode = insn->opcode[0];
    bool string =
        opcode == 0x6c || opcode == 0x6d || (opcode >= 0xa4 && opcode <= 0xa7) || (opcode >= 0xaa && opcode <= 0xaf);
    if (string && o->mem.base == RDI)
        return SEG_ES;
    if (override != X86_NO_SEG)
        return override;
    return o->mem.base == RSP || o->mem.base == RBP ? SEG_SS : SEG_DS;
}

static void convert_memory(struct insn *insn, struct x86_operand *out, const x86_op_mem *mem, uint64_t next,
                           uint8_t override)
{
    static const uint8_t shift_of_scale[9] = {[1] = 0, [2] = 1, [4] = 2, [8] = 3};
    out->kind = OPERAND_MEM;
    out->mem.base = address_register(mem->base);
    out->mem.index = address_register(mem->index);
    out->mem.shift = mem->scale >= 0 && mem->scale <= 8 ? shift_of_scale[mem->scale] : 0;
    out->mem.disp = mem->disp;
    if (mem->base == X86_REG_RIP || mem->base == X86_REG_EIP)
        out->mem.disp += (int64_t)next;
    if (insn->mode == X86_CODE64)
        out->mem.seg = override;
    else
        out->mem.seg = legacy_segment(insn, out, override);
    if (insn->mode == X86_CODE64 ? (out->mem.base == RSP || out->mem.base == RBP) && override == X86_NO_SEG
                                 : out->mem.seg == SEG_SS)
        insn->stack_segment = true;
}

static void convert_operand(struct insn *insn, struct x86_operand *out, const cs_x86_op *in, uint64_t next,
                            uint8_t override)
{
    memset(out, 0, sizeof *out);
    out->size = in->size;
    switch (in->type) {
    case X86_OP_REG: {
        struct reg_name r = name_register(in->reg);
        out->kind = r.kind;
        out->reg = r.reg;
        break;
    }
    case X86_OP_IMM:
        out->kind = OPERAND_IMM;
        out->imm = in->imm;
        break;
    case X86_OP_MEM:
        convert_memory(insn, out, &in->mem, next, override);
        break;
    default:
        out->kind = OPERAND_OTHER;
    }
}

static bool is_legacy_prefix(uint8_t byte)
{
    static const uint8_t prefixes[] = {0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65};
    return memchr(prefixes, byte, sizeof prefixes);
}

static bool is_rex(enum x86_mode mode, uint8_t byte)
{
    return mode == X86_CODE64 && (byte & 0xf0) == 0x40;
}

// The segment that an override prefix names, or X86_NO_SEG for any other byte.
static uint8_t segment_of_prefix(uint8_t byte)
{
    switch (byte) {
    case 0x26:
        return SEG_ES;
    case 0x2e:
        return SEG_CS;
    case 0x36:
        return SEG_SS;
    case 0x3e:
        return SEG_DS;
    case 0x64:
        return SEG_FS;
    case 0x65:
        return SEG_GS;
    default:
        return X86_NO_SEG;
    }
}

enum prefix_kind { PREFIX_IDLE, PREFIX_OTHER, PREFIX_SIZE, PREFIX_REPEAT };

static enum prefix_kind kind_of_prefix(enum x86_mode mode, uint8_t byte)
{
    switch (byte) {
    case 0x66:
        return PREFIX_SIZE;
    case 0xf2:
    case 0xf3:
        return PREFIX_REPEAT;
    case 0x67:
    case 0xf0:
    case 0x64:
    case 0x65:
        return PREFIX_OTHER;
    default: // es, cs, ss, ds, and REX where more prefixes follow: without effect in 64-bit mode
        return mode == X86_CODE64 ? PREFIX_IDLE : PREFIX_OTHER;
    }
}

// Appends those prefixes of code[0..n) that are of a kind.
static size_t take_prefixes(enum x86_mode mode, uint8_t *to, const uint8_t *code, size_t n, enum prefix_kind kind)
{
    size_t taken = 0;
    for (size_t i = 0; i < n; i++) {
        if (kind_of_prefix(mode, code[i]) == kind)
            to[taken++] = kind == PREFIX_IDLE ? 0x3e : code[i];
    }
    return taken;
}

// Legacy prefixes and REX at the beginning of code[0..n).
static size_t count_prefixes(enum x86_mode mode, const uint8_t *code, size_t n)
{
    size_t i = 0;
    while (i < n && (is_legacy_prefix(code[i]) || is_rex(mode, code[i])))
        i++;
    return i;
}

// The order of prefixes means nothing to a processor, but Capstone wants those that select an instruction last: f2 or
// f3, with 66 before it, ahead of a two-byte opcode (66 f3 0f b8: popcnt ax), and 66 ahead of a one-byte opcode
// (f3 66 a5: rep movsw). Of several f2 and f3 the last one counts, so they keep their order. Gives the place of the
// opcode, n where there is none.
static size_t order_prefixes(enum x86_mode mode, uint8_t *code, size_t n)
{
    uint8_t old[X86_MAX_INSN];
    size_t opcode = count_prefixes(mode, code, n), put = 0;
    if (opcode == n)
        return n;
    size_t legacy = opcode && is_rex(mode, code[opcode - 1]) ? opcode - 1 : opcode;
    bool two_bytes = code[opcode] == 0x0f;
    memcpy(old, code, legacy);
    put += take_prefixes(mode, code + put, old, legacy, PREFIX_IDLE);
    put += take_prefixes(mode, code + put, old, legacy, PREFIX_OTHER);
    put += take_prefixes(mode, code + put, old, legacy, two_bytes ? PREFIX_SIZE : PREFIX_REPEAT);
    take_prefixes(mode, code + put, old, legacy, two_bytes ? PREFIX_REPEAT : PREFIX_SIZE);
    return opcode;
}

// ---- Opcodes that Capstone knows in part ----

// Two-byte opcodes that f2 or f3 makes another instruction of: popcnt, tzcnt, lzcnt, crc32, rdfsbase, rdpid and others
// (SDM vol. 2, table A-3 and 2.1.1).
static bool repeat_selects(uint8_t opcode)
{
    switch (opcode) {
    case 0x01:
    case 0x09:
    case 0x1e:
    case 0x38:
    case 0x3a:
    case 0xae:
    case 0xb8:
    case 0xbc:
    case 0xbd:
    case 0xc7:
        return true;
    default:
        return false;
    }
}

// Elsewhere they mean nothing there; with Capstone they would hide a 66.
static void mend_repeat(enum x86_mode mode, uint8_t *code, size_t n, size_t opcode)
{
    if (opcode + 1 >= n || code[opcode] != 0x0f || repeat_selects(code[opcode + 1]))
        return;
    for (size_t i = 0; i < opcode; i++)
        code[i] = kind_of_prefix(mode, code[i]) == PREFIX_REPEAT ? 0x3e : code[i];
}

// In 64-bit mode 66 and 67 mean nothing to near branches with a displacement of more than a byte, which has 32 bits,
// and to ret (SDM vol. 2, CALL, JMP, Jcc: rel16 is "N.S."). With REX.W that is so on AMD's processors, too, which else
// read 16 bits of a displacement.
static void mend_near_branch(enum x86_mode mode, uint8_t *code, size_t n, size_t opcode)
{
    bool jcc = opcode + 1 < n && code[opcode] == 0x0f && (code[opcode + 1] & 0xf0) == 0x80;
    bool near = jcc || (opcode < n && (code[opcode] == 0xe8 || code[opcode] == 0xe9 || code[opcode] == 0xc2));
    for (size_t i = 0; i < opcode && mode == X86_CODE64 && near; i++)
        code[i] = code[i] == 0x66 || code[i] == 0x67 ? 0x3e : code[i];
}

// What the processor ignores and Capstone does not: in a move from or to cr or dr, modrm's mod, which names registers
// whatever it says; in a move from or to a segment register, REX.R (SDM vol. 2, 2.2.1.2 and MOV--Move to/from Control
// Registers); in a fence, modrm's rm (LFENCE, MFENCE, SFENCE) and all of REX; in pause, REX.B (which is an xchg of
// nop's opcode, but not with f3); in ret imm16 behind 66 or 67, REX.W, with which Capstone reads four bytes.
static void mend_ignored_bits(uint8_t *opcode, size_t n, bool rex, bool rep)
{
    if (rex && rep && n >= 1 && opcode[0] == 0x90)
        opcode[-1] &= 0xfe;
    if (rex && n >= 1 && opcode[0] == 0xc2)
        opcode[-1] &= 0xf7;
    if (n >= 3 && opcode[0] == 0x0f && opcode[1] >= 0x20 && opcode[1] <= 0x23)
        opcode[2] |= 0xc0;
    if (n >= 3 && opcode[0] == 0x0f && opcode[1] == 0xae && opcode[2] >= 0xe8) {
        opcode[2] &= 0xf8;
        if (rex)
            opcode[-1] &= 0xf0;
    }
    if (rex && n >= 2 && (opcode[0] == 0x8c || opcode[0] == 0x8e))
        opcode[-1] &= 0xfb;
}

// 0f 18 to 0f 1f, and 0f 0d with a memory operand, are hints or reserved for them: without effect where the processor
// has no use for them (SDM vol. 2, appendix A, "Reserved NOP"). Among them are those of CET and MPX, which this vCPU
// has not.
static bool is_hint(const uint8_t *opcode, size_t n)
{
    return n >= 3 && opcode[0] == 0x0f &&
           ((opcode[1] >= 0x18 && opcode[1] <= 0x1f) || (opcode[1] == 0x0d && opcode[2] < 0xc0));
}

// A hint that Capstone does not know, decoded as the nop of the same length: code[0..n) with its opcode at `opcode`.
static bool decode_hint(struct x86_decoder *d, uint8_t *code, size_t n, size_t opcode, struct insn *insn)
{
    insn->id = X86_INS_NOP;
    memcpy(insn->opcode, code + opcode, 2);
    insn->modrm = code[opcode + 2];
    insn->length = (uint8_t)(opcode + 3);
    if (insn->modrm < 0xc0) {
        const uint8_t *at = code;
        uint64_t address = 0;
        code[opcode + 1] = 0x1f;
        code[opcode + 2] &= 0xc7;
        for (size_t i = 0; i < opcode; i++) // with f2 or f3 Capstone knows none of these either
            code[i] = kind_of_prefix(insn->mode, code[i]) == PREFIX_REPEAT ? 0x3e : code[i];
        if (!cs_disasm_iter(d->handle[insn->mode], &at, &n, &address, d->scratch))
            return false;
        insn->length = (uint8_t)d->scratch->size;
    }
    return true;
}

// Prefixes tell these from other instructions, and Capstone does not see it: of a register, 0f c7 /6 and /7 (RDRAND,
// RDSEED, RDPID) and 0f ae /5 to /7 (the fences, or TPAUSE, UMWAIT and more, which this vCPU has not); and movnti has
// no form with a prefix. False: there is no such instruction.
static bool select_by_prefix(struct insn *insn)
{
    unsigned digit = insn->modrm >> 3 & 7;
    if (insn->id == X86_INS_MOVNTI)
        return !insn->opsize && !insn->rep && !insn->repne;
    if (insn->opcode[0] != 0x0f || insn->modrm < 0xc0)
        return true;
    if (insn->opcode[1] == 0xae && digit >= 5)
        return !insn->opsize && !insn->rep && !insn->repne;
    if (insn->opcode[1] != 0xc7 || digit < 6)
        return true;
    if (insn->rep && digit == 7) {
        insn->id = X86_INS_RDPID;
        insn->op[0].size = insn->mode == X86_CODE64 ? 8 : 4;
        return true;
    }
    return !insn->rep && !insn->repne;
}

// Prefixes are read from the bytes, once in order: Capstone drops some (f3 before ret, lock before an illegal target).
// Gives the segment override that counts, the last one.
static uint8_t read_prefixes(struct insn *insn, const uint8_t *bytes, size_t opcode)
{
    uint8_t override = X86_NO_SEG;
    bool long_mode = insn->mode == X86_CODE64, addrsize = false;
    for (size_t i = 0; i < opcode; i++) {
        uint8_t segment = segment_of_prefix(bytes[i]);
        if (segment != X86_NO_SEG && (!long_mode || segment >= SEG_FS))
            override = segment;
        insn->lock |= bytes[i] == 0xf0;
        insn->opsize |= bytes[i] == 0x66;
        addrsize |= bytes[i] == 0x67;
        if (bytes[i] == 0xf2 || bytes[i] == 0xf3) {
            insn->repne = bytes[i] == 0xf2;
            insn->rep = !insn->repne;
        }
    }
    insn->rex_w = opcode && long_mode && (bytes[opcode - 1] & 0xf8) == 0x48;
    bool narrow = insn->opsize != (insn->mode == X86_CODE16);
    insn->op_size = insn->rex_w ? 8 : narrow ? 2 : 4;
    insn->addr_size = long_mode ? (addrsize ? 4 : 8) : addrsize != (insn->mode == X86_CODE16) ? 2 : 4;
    return override;
}

// Capstone shows xlatb without its operand [rbx].
static void add_xlat_operand(struct insn *insn, uint8_t override)
{
    struct x86_operand *o = &insn->op[0];
    insn->operands = 1;
    *o = (struct x86_operand){.kind = OPERAND_MEM, .size = 1, .mem = {.base = RBX, .index = X86_NO_REG}};
    o->mem.seg = insn->mode == X86_CODE64 ? override : legacy_segment(insn, o, override);
    insn->stack_segment = o->mem.seg == SEG_SS;
}

// Instructions that only read a memory operand in the first place.
static bool only_reads(unsigned id)
{
    static const uint16_t readers[] = {
        X86_INS_BT,        X86_INS_CALL,       X86_INS_CLFLUSH,    X86_INS_CLFLUSHOPT, X86_INS_CLWB,
        X86_INS_CMP,       X86_INS_CMPSB,      X86_INS_CMPSD,      X86_INS_CMPSQ,      X86_INS_CMPSW,
        X86_INS_DIV,       X86_INS_FADD,       X86_INS_FBLD,       X86_INS_FCOM,       X86_INS_FCOMP,
        X86_INS_FDIV,      X86_INS_FDIVR,      X86_INS_FIADD,      X86_INS_FICOM,      X86_INS_FICOMP,
        X86_INS_FIDIV,     X86_INS_FIDIVR,     X86_INS_FILD,       X86_INS_FIMUL,      X86_INS_FISUB,
        X86_INS_FISUBR,    X86_INS_FLD,        X86_INS_FLDCW,      X86_INS_FLDENV,     X86_INS_FMUL,
        X86_INS_FRSTOR,    X86_INS_FSUB,       X86_INS_FSUBR,      X86_INS_FXRSTOR,    X86_INS_FXRSTOR64,
        X86_INS_IDIV,      X86_INS_IMUL,       X86_INS_INVLPG,     X86_INS_JMP,        X86_INS_LCALL,
        X86_INS_LDMXCSR,   X86_INS_LGDT,       X86_INS_LIDT,       X86_INS_LJMP,       X86_INS_LLDT,
        X86_INS_LMSW,      X86_INS_LTR,        X86_INS_MUL,        X86_INS_NOP,        X86_INS_PREFETCH,
        X86_INS_PREFETCHW, X86_INS_PREFETCHT0, X86_INS_PREFETCHT1, X86_INS_PREFETCHT2, X86_INS_PREFETCHNTA,
        X86_INS_PUSH,      X86_INS_TEST,       X86_INS_VERR,       X86_INS_VERW,       X86_INS_VLDMXCSR,
        X86_INS_XLATB,     X86_INS_XRSTOR,     X86_INS_XRSTOR64,
    };
    for (unsigned i = 0; i < sizeof readers / sizeof *readers; i++)
        if (readers[i] == id)
            return true;
    return false;
}

// Capstone says which operands are written, but often wrongly: it is the first one, and of xchg the second one too.
static void note_written(struct insn *insn)
{
    struct x86_operand *o = insn->op;
    o[0].written = o[0].kind == OPERAND_MEM && !only_reads(insn->id);
    o[1].written = o[1].kind == OPERAND_MEM && insn->id == X86_INS_XCHG;
}

// The distance of a near branch, at the instruction's end: Capstone takes that of 67 0f 8f for 16 bits.
static int64_t branch_distance(const struct insn *insn, const uint8_t *code)
{
    const uint8_t *end = code + insn->length;
    bool wide = insn->opcode[0] == 0xe8 || insn->opcode[0] == 0xe9 || insn->opcode[0] == 0x0f;
    int16_t narrow;
    int32_t distance;
    if (!wide)
        return (int8_t)end[-1];
    if (insn->op_size == 2) { // and nothing of the instruction's may lie 4 bytes before its end
        memcpy(&narrow, end - 2, sizeof narrow);
        return narrow;
    }
    memcpy(&distance, end - 4, sizeof distance);
    return distance;
}

// What else Capstone says wrongly outside 64-bit mode, or leaves out: near branches, which with 16-bit operands stay
// within 64 KiB; the base of AAM and AAD where it is 10; in 16-bit code the width of cbw and cwd.
static void mend_legacy(struct insn *insn, const uint8_t *code, uint64_t next)
{
    struct x86_operand *o = &insn->op[0];
    uint8_t opcode = insn->opcode[0];
    bool branch = (opcode & 0xf0) == 0x70 || (opcode >= 0xe0 && opcode <= 0xe3) || (opcode >= 0xe8 && opcode <= 0xeb) ||
                  (opcode == 0x0f && (insn->opcode[1] & 0xf0) == 0x80);
    if (branch && insn->operands == 1 && o->kind == OPERAND_IMM)
        o->imm = (int64_t)(next + (uint64_t)branch_distance(insn, code)) & (insn->op_size == 2 ? 0xffff : 0xffffffff);
    if (opcode == 0x98)
        insn->id = insn->op_size == 2 ? X86_INS_CBW : X86_INS_CWDE;
    if (opcode == 0x99)
        insn->id = insn->op_size == 2 ? X86_INS_CWD : X86_INS_CDQ;
    if (insn->id == X86_INS_AAM || insn->id == X86_INS_AAD) {
        insn->operands = 1;
        *o = (struct x86_operand){.kind = OPERAND_IMM, .size = 1, .imm = code[insn->length - 1]};
    }
}

// A far pointer's size: offset of operand size, and a selector. lar and lsl read a selector alone.
static void mend_far_pointer(struct insn *insn)
{
    static const uint16_t far[] = {X86_INS_LCALL, X86_INS_LJMP, X86_INS_LDS, X86_INS_LES,
                                   X86_INS_LFS,   X86_INS_LGS,  X86_INS_LSS};
    for (unsigned i = 0; i < sizeof far / sizeof *far; i++)
        for (unsigned j = 0; far[i] == insn->id && j < 2; j++)
            if (insn->op[j].kind == OPERAND_MEM)
                insn->op[j].size = (uint8_t)(insn->op_size + 2);
    if ((insn->id == X86_INS_LAR || insn->id == X86_INS_LSL) && insn->op[1].kind == OPERAND_MEM)
        insn->op[1].size = 2;
}

bool x86_decode_mode(struct x86_decoder *d, enum x86_mode mode, const uint8_t *bytes, size_t n, uint64_t address,
                     struct insn *insn)
{
    uint8_t ordered[X86_MAX_INSN];
    const uint8_t *code = ordered;
    size_t left = n < X86_MAX_INSN ? n : X86_MAX_INSN;
    uint64_t at = address;
    enum vector_result vector = vector_decode(d, mode, bytes, left, address, insn);
    if (vector == VECTOR_DECODED) {
        bool w = insn->rex_w; // VEX has its own
        read_prefixes(insn, bytes, count_prefixes(mode, bytes, left));
        insn->rex_w = w;
        note_written(insn);
    }
    if (vector != VECTOR_NONE)
        return vector == VECTOR_DECODED;
    memcpy(ordered, bytes, left);
    size_t all = left, opcode = order_prefixes(mode, ordered, left);
    mend_near_branch(mode, ordered, all, opcode);
    memset(insn, 0, sizeof *insn);
    insn->mode = mode;
    uint8_t override = read_prefixes(insn, ordered, opcode);
    mend_ignored_bits(ordered + opcode, all - opcode, opcode > 0 && is_rex(mode, ordered[opcode - 1]), insn->rep);
    mend_repeat(mode, ordered, all, opcode);
    bool hint = is_hint(ordered + opcode, all - opcode);
    bool known = cs_disasm_iter(d->handle[mode], &code, &left, &at, d->scratch);
    if (!known)
        return hint && decode_hint(d, ordered, all, opcode, insn);
    if (d->scratch->id == X86_INS_ADCX && !insn->opsize) // what Capstone makes of wrssd with a prefix 67
        return false;
    if (d->scratch->id == X86_INS_MOVBE && insn->rep) // no instruction (SDM vol. 2, table A-4)
        return false;

    const cs_x86 *x86 = &d->scratch->detail->x86;
    insn->id = (uint16_t)d->scratch->id;
    insn->length = (uint8_t)d->scratch->size;
    memcpy(insn->opcode, x86->opcode, sizeof insn->opcode);
    insn->modrm = x86->modrm;
    insn->operands = x86->op_count < 4 ? x86->op_count : 4;
    for (unsigned i = 0; i < insn->operands; i++)
        convert_operand(insn, &insn->op[i], &x86->operands[i], address + insn->length, override);
    if (insn->id == X86_INS_XLATB)
        add_xlat_operand(insn, override);
    note_written(insn);
    mend_far_pointer(insn);
    if ((insn->id == X86_INS_ADCX && !insn->opsize) || (insn->id == X86_INS_ADOX && !insn->rep)) // 67 is no 66
        return false;
    if (mode != X86_CODE64)
        mend_legacy(insn, ordered, address + insn->length);
    return select_by_prefix(insn);
}

struct x86_code x86_code_at(const struct guest_ram *ram, gpa_t at)
{
    static const uint8_t nobody_there[X86_MAX_INSN] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                                       0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    unsigned left = GUEST_PAGE_SIZE - at.v % GUEST_PAGE_SIZE;
    const uint8_t *bytes = ram_at(ram, at, left);
    if (!bytes)
        return (struct x86_code){nobody_there, left < X86_MAX_INSN ? left : X86_MAX_INSN};
    return (struct x86_code){bytes, left};
}

// Instructions that take LOCK, with a memory destination (SDM vol. 2, LOCK).
bool x86_lock_valid(const struct insn *in)
{
    if (!in->lock)
        return true;
    switch (in->id) {
    case X86_INS_ADD:
    case X86_INS_ADC:
    case X86_INS_AND:
    case X86_INS_BTC:
    case X86_INS_BTR:
    case X86_INS_BTS:
    case X86_INS_CMPXCHG:
    case X86_INS_CMPXCHG8B:
    case X86_INS_CMPXCHG16B:
    case X86_INS_DEC:
    case X86_INS_INC:
    case X86_INS_NEG:
    case X86_INS_NOT:
    case X86_INS_OR:
    case X86_INS_SBB:
    case X86_INS_SUB:
    case X86_INS_XOR:
    case X86_INS_XADD:
        return in->op[0].kind == OPERAND_MEM;
    case X86_INS_XCHG:
        return in->op[0].kind == OPERAND_MEM || in->op[1].kind == OPERAND_MEM;
    default:
        return false;
    }
}

void x86_format_mode(enum x86_mode mode, const uint8_t *bytes, size_t n, uint64_t address, char *out, size_t size)
{
    struct x86_decoder d;
    const uint8_t *code = bytes;
    size_t left = n < X86_MAX_INSN ? n : X86_MAX_INSN;
    bool open = x86_decoder_open(&d) == 0;
    bool valid = open && cs_disasm_iter(d.handle[mode], &code, &left, &address, d.scratch);
    size_t shown = valid ? d.scratch->size : n < X86_MAX_INSN ? n : X86_MAX_INSN;
    size_t used = 0;

    if (size)
        out[0] = '\0';
    for (size_t i = 0; i < shown && used + 4 < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%02x ", bytes[i]);
    if (used < size) {
        if (valid)
            snprintf(out + used, size - used, " %s %s", d.scratch->mnemonic, d.scratch->op_str);
        else
            snprintf(out + used, size - used, " (not an instruction)");
    }
    if (open)
        x86_decoder_close(&d);
}

void x86_format(const uint8_t *bytes, size_t n, uint64_t address, char *out, size_t size)
{
    x86_format_mode(X86_CODE64, bytes, n, address, out, size);
}

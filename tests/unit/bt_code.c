// SPDX-License-Identifier: BSD-2-Clause
// The translator's emitter against Capstone's disassembly of what it wrote: each piece, each way to carry a guest
// instruction over, and many random instructions that must come back the same but for their memory operand.
#include "engines/bt/code.h"

#include <sys/mman.h>

#include "tests/unit/check.h"

enum { BUFFER = 1 << 16, RANDOM_TRIES = 400000 };

static uint64_t random_state = 88172645463325252;

static uint64_t random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    return random_state ^= random_state << 17;
}

struct test {
    struct x86_decoder d;
    uint8_t *buffer; // as near to the cells of struct bt as the translation cache
    struct code code;
    char text[512];
};

static const struct bt *const bt = (const struct bt *)BT_REGION; // its cells' addresses only

static void start(struct test *t)
{
    t->code = (struct code){.at = t->buffer, .end = t->buffer + BUFFER};
}

// What was written, by Capstone, instructions separated by "; ".
static const char *written(struct test *t)
{
    const uint8_t *at = t->buffer;
    size_t left = (size_t)(t->code.at - t->buffer), used = 0;
    uint64_t address = (uintptr_t)at;
    t->text[0] = '\0';
    while (left && used < sizeof t->text) {
        if (!cs_disasm_iter(t->d.handle[X86_CODE64], &at, &left, &address, t->d.scratch))
            return "not instructions";
        used += (size_t)snprintf(t->text + used, sizeof t->text - used, "%s%s %s", used ? "; " : "",
                                 t->d.scratch->mnemonic, t->d.scratch->op_str);
    }
    return t->text;
}

static struct insn decode(struct test *t, const uint8_t *bytes, size_t n)
{
    struct insn in;
    if (!x86_decode(&t->d, bytes, n, (uintptr_t)bytes, &in))
        memset(&in, 0, sizeof in);
    return in;
}

static struct insn decode_written(struct test *t)
{
    struct insn in = decode(t, t->buffer, (size_t)(t->code.at - t->buffer));
    CHECK_EQ(in.length, t->code.at - t->buffer);
    return in;
}

// ---- Pieces ----
static void check_moves(struct test *t)
{
    static const struct {
        unsigned reg;
        uint64_t imm;
        const char *text;
    } moves[] = {
        {RAX, 0, "mov eax, 0"},
        {R9, 0xffffffff, "mov r9d, 0xffffffff"},
        {RSP, 0xffffffff80000000, "mov rsp, -0x80000000"},
        {R13, (uint64_t)-1, "mov r13, -1"},
        {RSI, 0x123456789a, "movabs rsi, 0x123456789a"},
        {R15, -BT_BIAS, "movabs r15, 0xffff810000000000"},
    };
    for (unsigned i = 0; i < sizeof moves / sizeof *moves; i++) {
        start(t);
        put_mov_reg_imm(&t->code, moves[i].reg, moves[i].imm);
        CHECK_STR(written(t), moves[i].text);
    }
    for (unsigned reg = 0; reg < GPR_COUNT; reg++) {
        start(t);
        put_store(&t->code, &bt->slot[1], reg);
        struct insn in = decode_written(t);
        CHECK(in.id == X86_INS_MOV && in.op[0].mem.disp == (int64_t)&bt->slot[1] && in.op[1].reg == reg);
        CHECK(in.op[0].size == 8 && in.op[0].mem.base == X86_NO_REG);
        start(t);
        put_load(&t->code, reg, &bt->slot[2]);
        in = decode_written(t);
        CHECK(in.id == X86_INS_MOV && in.op[1].mem.disp == (int64_t)&bt->slot[2] && in.op[0].reg == reg);
    }
}

static void check_cells(struct test *t)
{
    static const unsigned sizes[] = {1, 4, 8};
    for (unsigned i = 0; i < 3; i++) {
        start(t);
        put_store_imm(&t->code, &bt->interrupt_flag, sizes[i], 1);
        struct insn in = decode_written(t);
        CHECK(in.id == X86_INS_MOV && in.op[0].mem.disp == (int64_t)&bt->interrupt_flag && in.op[0].size == sizes[i]);
        CHECK_EQ(in.op[1].imm, 1);
        start(t);
        put_cmp_imm(&t->code, &bt->attention, sizes[i], -1);
        in = decode_written(t);
        CHECK(in.id == X86_INS_CMP && in.op[0].mem.disp == (int64_t)&bt->attention && in.op[0].size == sizes[i]);
        CHECK_EQ((uint8_t)in.op[1].imm, 0xff);
    }
    start(t);
    put_store_imm(&t->code, &bt->target, 8, -5);
    CHECK_EQ(decode_written(t).op[1].imm, -5);
    start(t);
    put_jmp_cell(&t->code, &bt->resume);
    struct insn jump = decode_written(t);
    CHECK(jump.id == X86_INS_JMP && jump.op[0].kind == OPERAND_MEM && jump.op[0].mem.disp == (int64_t)&bt->resume);
}

static void check_sums(struct test *t)
{
    static const int32_t disps[] = {0, 8, -128, 128, INT32_MIN};
    for (unsigned i = 0; i < 16 * 16 * 17 * 5; i++) {
        unsigned dst = i % 16, base = i / 16 % 16, index = i / 256 % 17;
        if (index == RSP)
            continue;
        start(t);
        put_lea_sum(&t->code, dst, base, index, disps[i / 256 / 17]);
        struct insn in = decode_written(t);
        CHECK(in.id == X86_INS_LEA && in.op[0].reg == dst && in.op[0].size == 8);
        CHECK(in.op[1].mem.base == base && in.op[1].mem.index == index && in.op[1].mem.disp == disps[i / 256 / 17]);
    }
}

static void check_branches(struct test *t)
{
    uint8_t *to = t->buffer + 0x1234;
    start(t);
    put_jmp(&t->code, to);
    CHECK_EQ(t->code.at - t->buffer, 5);
    struct insn in = decode_written(t);
    CHECK(in.id == X86_INS_JMP && in.op[0].imm == (int64_t)to);
    patch_rel32(t->buffer + 1, t->buffer - 0x10000);
    CHECK_EQ(decode_written(t).op[0].imm, t->buffer - 0x10000);
    start(t);
    put_call(&t->code, to);
    in = decode_written(t);
    CHECK(in.id == X86_INS_CALL && in.op[0].imm == (int64_t)to && in.length == 5);
    for (unsigned cc = 0; cc < 16; cc++) {
        start(t);
        put_jcc(&t->code, cc, to);
        in = decode_written(t);
        CHECK(in.opcode[1] == (0x80 | cc) && in.op[0].imm == (int64_t)to && in.length == 6);
    }
    t->code = (struct code){.at = t->buffer, .end = t->buffer + 65};
    put_bytes(&t->code, "\x90\x90", 2);
    CHECK(!t->code.full && t->code.at == t->buffer + 2);
    put_bytes(&t->code, "\x90", 1);
    CHECK(t->code.full && t->code.at == t->buffer + 2);
}

// ---- Instructions carried over ----
enum way { BIASED, BASE_RDI, BASE_R9, UNBIASED, UNBIASED_DEAD, WITH_BASE_RSP, STRING, LEAVE, LEA_FAST, LEA_CHECKED };

static bool carry(struct test *t, enum way way, const uint8_t *bytes, const struct insn *in, struct displaced *d)
{
    switch (way) {
    case BIASED:
        return put_biased(&t->code, bytes, in);
    case BASE_RDI:
    case BASE_R9:
        put_with_base(&t->code, bytes, in, way == BASE_R9 ? R9 : RDI);
        return true;
    case UNBIASED:
    case UNBIASED_DEAD:
        return put_rsp_unbiased(&t->code, bytes, in, way == UNBIASED, 0, d);
    case WITH_BASE_RSP:
        put_with_base_rsp(&t->code, bytes, in, RDI);
        return true;
    case STRING:
        return put_biased_string(&t->code, bytes, in, d);
    case LEAVE:
        return put_leave(&t->code, in);
    case LEA_FAST:
    case LEA_CHECKED:
        put_lea(&t->code, bytes, in, way == LEA_FAST ? WORLD_FAST : WORLD_CHECKED);
        return true;
    }
    return false;
}

struct row {
    enum way way;
    const char *bytes;
    uint8_t length;
    const char *text; // NULL: refused. Cells of struct bt are not compared: "[slot]"
};
#define ROW(way, bytes, text)                                                                                          \
    {                                                                                                                  \
        way, bytes, sizeof(bytes) - 1, text                                                                            \
    }

static const struct row rows[] = {
    ROW(BIASED, "\x48\x01\x58\x10", "add qword ptr gs:[rax + 0x10], rbx"),
    ROW(BIASED, "\x48\x8b\x44\x24\x08", "mov rax, qword ptr [rsp + 8]"),
    ROW(BIASED, "\x3e\x48\x8b\x44\x24\x08", "mov rax, qword ptr [rsp + 8]"),
    ROW(BIASED, "\x48\x8b\x45\x08", "mov rax, qword ptr gs:[rbp + 8]"),
    ROW(BIASED, "\x2e\x8b\x00", "mov eax, dword ptr gs:[rax]"),
    ROW(BIASED, "\x64\x8b\x00", NULL),
    ROW(BIASED, "\x65\x8b\x00", NULL),
    ROW(BIASED, "\x67\x8b\x00", "mov eax, dword ptr gs:[eax]"),
    ROW(BIASED, "\x67\x8b\x04\x24", NULL),
    ROW(BIASED, "\x8b\x04\x25\x00\x10\x00\x80", "mov eax, dword ptr gs:[0x80001000]"),
    ROW(BIASED, "\xf0\x42\x0f\xb1\x0c\x80", "lock cmpxchg dword ptr gs:[rax + r8*4], ecx"),
    ROW(BIASED, "\x66\xc7\x00\x34\x12", "mov word ptr gs:[rax], 0x1234"),
    ROW(BIASED, "\x48\xa1\x88\x77\x66\x55\x44\x33\x22\x11", "movabs rax, qword ptr gs:[0x1122334455667788]"),
    ROW(BIASED, "\xd7", "xlatb "),
    ROW(BIASED, "\x48\x89\xd8", "mov rax, rbx"),
    ROW(BIASED, "\x48\x89\x20", NULL), // mov %rsp, (%rax)
    ROW(BIASED, "\xa5", NULL),
    ROW(BIASED, "\x48\x8d\x00", NULL),
    ROW(BIASED, "\xc4\xe2\xf8\xf2\x00", "andn rax, rax, qword ptr gs:[rax]"),
    ROW(BASE_RDI, "\x48\x01\x98\x10\x20\x30\x40", "add qword ptr [rdi], rbx"),
    ROW(BASE_R9, "\x48\x01\x98\x10\x20\x30\x40", "add qword ptr [r9], rbx"),
    ROW(BASE_R9, "\x43\x01\x1c\xa5\x10\x20\x30\x40", "add dword ptr [r9], ebx"),
    ROW(BASE_RDI, "\x88\x25\x10\x20\x30\x40", "mov byte ptr [rdi], ah"),
    ROW(BASE_RDI, "\x40\x88\x25\x10\x20\x30\x40", "mov byte ptr [rdi], spl"),
    ROW(BASE_RDI, "\x66\x65\x81\x04\x25\x00\x10\x00\x80\x34\x12", "add word ptr [rdi], 0x1234"),
    ROW(BASE_RDI, "\x66\xf3\x0f\xb8\x00", "popcnt ax, word ptr [rdi]"),
    ROW(BASE_RDI, "\xf0\x48\x0f\xc7\x0e", "lock cmpxchg16b xmmword ptr [rdi]"),
    ROW(BASE_RDI, "\xa0\x88\x77\x66\x55\x44\x33\x22\x11", "mov al, byte ptr [rdi]"),
    ROW(BASE_RDI, "\x48\xa1\x88\x77\x66\x55\x44\x33\x22\x11", "mov rax, qword ptr [rdi]"),
    ROW(BASE_R9, "\xa2\x88\x77\x66\x55\x44\x33\x22\x11", "mov byte ptr [r9], al"),
    ROW(BASE_R9, "\x66\xa3\x88\x77\x66\x55\x44\x33\x22\x11", "mov word ptr [r9], ax"),
    ROW(BASE_R9, "\xc4\xe2\xf8\xf2\x00", "andn rax, rax, qword ptr [r9]"),
    ROW(BASE_RDI, "\xc5\xf8\x28\x04\x24", "vmovaps xmm0, xmmword ptr [rdi]"),
    ROW(BASE_R9, "\xc5\x78\x28\x04\x24", "vmovaps xmm8, xmmword ptr [r9]"),
    ROW(BASE_RDI, "\xff\x34\x24", "push qword ptr [rdi]"),
    ROW(UNBIASED, "\x48\x89\xe5", "movabs rbp, 0xffff810000000000; lea rbp, [rsp + rbp]"),
    ROW(UNBIASED, "\x4c\x8b\xe4", "movabs r12, 0xffff810000000000; lea r12, [rsp + r12]"),
    ROW(UNBIASED, "\x48\x89\xec", "movabs rsp, 0x7f0000000000; lea rsp, [rsp + rbp]"),
    ROW(UNBIASED, "\x4c\x89\xe4", "movabs rsp, 0x7f0000000000; lea rsp, [rsp + r12]"),
    ROW(UNBIASED, "\x48\xc7\xc4\x00\x10\x00\x80", "movabs rsp, 0x7eff80001000"),
    ROW(UNBIASED, "\xbc\x00\x10\x00\x80", "movabs rsp, 0x7f0080001000"),
    ROW(UNBIASED, "\x89\xe0", "mov eax, esp"),
    ROW(UNBIASED, "\x48\x8d\x44\x24\x18", "movabs rax, 0xffff810000000000; lea rax, [rsp + rax + 0x18]"),
    ROW(UNBIASED, "\x48\x8d\x65\xd8", "movabs rsp, 0x7f0000000000; lea rsp, [rsp + rbp - 0x28]"),
    ROW(UNBIASED, "\x48\x8d\x64\x24\xf8", "lea rsp, [rsp - 8]"),
    ROW(UNBIASED, "\x8d\x44\x24\x18", "lea eax, [rsp + 0x18]"),
    ROW(UNBIASED, "\x48\x8d\x04\xbc",
        "lea rax, [rsp + rdi*4]; mov [slot], rcx; movabs rcx, 0xffff810000000000; lea rax, [rax + rcx]; mov rcx, "
        "[slot]"),
    ROW(UNBIASED_DEAD, "\x48\x83\xec\x18", "sub rsp, 0x18"),
    ROW(UNBIASED_DEAD, "\x48\x83\xe4\xf0", "and rsp, 0xfffffffffffffff0"),
    ROW(UNBIASED_DEAD, "\x48\x01\xc4", "add rsp, rax"),
    ROW(UNBIASED, "\x48\x83\xec\x18",
        "mov [slot], rax; movabs rax, 0xffff810000000000; lea rax, [rsp + rax]; sub rax, 0x18; mov rax, [slot]; "
        "lea rsp, [rsp - 0x18]"),
    ROW(UNBIASED, "\x48\x83\xc4\x08",
        "mov [slot], rax; movabs rax, 0xffff810000000000; lea rax, [rsp + rax]; add rax, 8; mov rax, [slot]; "
        "lea rsp, [rsp + 8]"),
    ROW(UNBIASED, "\x48\x83\xcc\x18",
        "mov [slot], rax; movabs rax, 0xffff810000000000; lea rsp, [rsp + rax]; or rsp, 0x18; movabs rax, "
        "0x7f0000000000; lea rsp, [rsp + rax]; mov rax, [slot]"),
    ROW(UNBIASED, "\x66\x39\xe0", "cmp ax, sp"),
    ROW(UNBIASED, "\x54",
        "push rsp; mov [slot], rax; movabs rax, 0xffff810000000000; lea rax, [rsp + rax + 8]; mov qword ptr [rsp], "
        "rax; mov rax, [slot]"),
    ROW(UNBIASED, "\x5c",
        "pop rsp; mov [slot], rax; movabs rax, 0x7f0000000000; lea rsp, [rsp + rax]; mov rax, [slot]"),
    ROW(UNBIASED, "\x48\x89\x60\x08",
        "mov [slot], rcx; movabs rcx, 0xffff810000000000; lea rcx, [rsp + rcx]; mov qword ptr gs:[rax + 8], rcx; mov "
        "rcx, [slot]"),
    ROW(UNBIASED, "\x48\x8b\x60\x08",
        "mov rsp, qword ptr gs:[rax + 8]; mov [slot], rax; movabs rax, 0x7f0000000000; lea rsp, [rsp + rax]; mov rax, "
        "[slot]"),
    ROW(UNBIASED, "\x66\x89\x60\x08", "mov word ptr gs:[rax + 8], sp"),
    ROW(UNBIASED, "\x48\x01\x60\x08", NULL),
    ROW(UNBIASED, "\x65\x48\x89\x24\x25\x08\x00\x00\x00", NULL),
    ROW(UNBIASED, "\x48\xf7\xf4",
        "mov [slot], rcx; movabs rcx, 0xffff810000000000; lea rcx, [rsp + rcx]; div rcx; mov rcx, [slot]"),
    ROW(WITH_BASE_RSP, "\x48\x01\x20",
        "mov [slot], rcx; movabs rcx, 0xffff810000000000; lea rsp, [rsp + rcx]; add qword ptr [rdi], rsp; movabs rcx, "
        "0x7f0000000000; lea rsp, [rsp + rcx]; mov rcx, [slot]"),
    ROW(LEAVE, "\xc9", "mov rsp, qword ptr gs:[rbp]; movabs rsp, 0x7f0000000000; lea rsp, [rsp + rbp]; pop rbp"),
    ROW(LEAVE, "\x66\xc9", NULL),
    ROW(STRING, "\xf3\x48\xa5",
        "mov [slot], rdx; movabs rdx, 0x7f0000000000; lea rsi, [rsi + rdx]; lea rdi, [rdi + rdx]; rep movsq qword ptr "
        "[rdi], qword ptr [rsi]; movabs rdx, 0xffff810000000000; lea rsi, [rsi + rdx]; lea rdi, [rdi + rdx]; mov rdx, "
        "[slot]"),
    ROW(STRING, "\x64\xa5", NULL),
    ROW(STRING, "\x67\xaa", NULL),
    ROW(STRING, "\xf2\x0f\x10\x00", NULL), // SSE's movsd
    ROW(LEA_FAST, "\x48\x8d\x44\x88\x10", "lea rax, [rax + rcx*4 + 0x10]"),
    ROW(LEA_CHECKED, "\x48\x8d\x44\x24\x18", "lea rax, [rsp + 0x18]"),
    ROW(LEA_FAST, "\x48\x8d\x44\x24\x18", "movabs rax, 0xffff810000000000; lea rax, [rsp + rax + 0x18]"),
};

// "[slot]" in place of the address of a cell.
static void hide_cells(char *text)
{
    for (char *p = text; (p = strstr(p, "qword ptr [rip")); p++) {
        char *end = strchr(p, ']');
        memcpy(p, "[slot]", 6);
        memmove(p + 6, end + 1, strlen(end + 1) + 1);
    }
}

static void check_rows(struct test *t)
{
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *row = &rows[i];
        const uint8_t *bytes = (const uint8_t *)row->bytes;
        struct insn in = decode(t, bytes, row->length);
        struct displaced d;
        struct encoding e;
        CHECK(in.length == row->length && encoding_of(bytes, &in, &e));
        start(t);
        bool done = carry(t, row->way, bytes, &in, &d);
        CHECK_EQ(done, row->text != NULL);
        if (!done)
            CHECK(t->code.at == t->buffer);
        written(t);
        hide_cells(t->text);
        if (row->text)
            CHECK_STR(t->text, row->text);
    }
}

// lea and mov relative to rip; cells and absolute addresses that fit 32 bits or do not.
static void check_rip_relative(struct test *t)
{
    static const uint8_t mov[] = {0x48, 0x8b, 0x05, 0xf9, 0x0f, 0x00, 0x00}; // mov 0xff9(%rip), %rax: next is 7 on
    static const uint8_t lea[] = {0x4c, 0x8d, 0x2d, 0xf9, 0x0f, 0x00, 0x00};
    static const uint8_t lea_rsp[] = {0x48, 0x8d, 0x25, 0xf9, 0x0f, 0x00, 0x00};
    struct insn in;
    CHECK(x86_decode(&t->d, mov, 7, 0xffffffff81000000, &in));
    start(t);
    CHECK(put_biased(&t->code, mov, &in));
    CHECK_STR(written(t), "mov rax, qword ptr gs:[0xffffffff81001000]");
    CHECK(x86_decode(&t->d, mov, 7, 0xffff888000000000, &in));
    start(t);
    CHECK(!put_biased(&t->code, mov, &in) && t->code.at == t->buffer);
    put_with_base(&t->code, mov, &in, RCX);
    CHECK_STR(written(t), "mov rax, qword ptr [rcx]");
    CHECK(x86_decode(&t->d, lea, 7, 0xffff888000000000, &in));
    start(t);
    put_lea(&t->code, lea, &in, WORLD_FAST);
    CHECK_STR(written(t), "movabs r13, 0xffff888000001000");
    CHECK(x86_decode(&t->d, lea_rsp, 7, 0x1000000, &in));
    start(t);
    put_lea(&t->code, lea_rsp, &in, WORLD_FAST);
    CHECK_STR(written(t), "movabs rsp, 0x7f0001001000");
    start(t);
    put_lea(&t->code, lea_rsp, &in, WORLD_CHECKED);
    CHECK_STR(written(t), "mov esp, 0x1001000");
}

// ---- Random instructions ----
static unsigned random_instruction(uint8_t bytes[X86_MAX_INSN])
{
    static const uint8_t prefixes[] = {0x67, 0xf0, 0x2e, 0x36, 0x3e, 0x64, 0x65}, last[] = {0x66, 0xf2, 0xf3};
    unsigned n = 0;
    while (n < 3 && random_bits() % 4 == 0)
        bytes[n++] = prefixes[random_bits() % sizeof prefixes];
    if (random_bits() % 4 == 0) // Capstone wants these right before the opcode
        bytes[n++] = last[random_bits() % sizeof last];
    uint64_t r = random_bits();
    if (r % 8 == 0) {
        bytes[n++] = 0xc5;
        bytes[n++] = (uint8_t)(r >> 8);
    } else if (r % 8 == 1) {
        bytes[n++] = 0xc4;
        bytes[n++] = (uint8_t)((r >> 8 & 0xe0) | (1 + (r >> 16) % 3));
        bytes[n++] = (uint8_t)(r >> 24);
    } else {
        if (r & 8)
            bytes[n++] = 0x40 | (r >> 8 & 15);
        if (r & 16)
            bytes[n++] = 0x0f;
    }
    while (n < X86_MAX_INSN)
        bytes[n++] = (uint8_t)(random_bits() >> 11);
    return n;
}

// encoding_of may refuse: REX in front of another prefix, XOP, and where Capstone 4.0 sees a wrong length (ud0 and ud1)
// or instructions of AMD's that nobody has (extrq, insertq, 3DNow).
static bool may_be_refused(const uint8_t *bytes, const struct insn *in)
{
    static const uint8_t legacy[] = {0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65};
    unsigned at = 0;
    while (memchr(legacy, bytes[at], sizeof legacy))
        at++;
    if ((bytes[at] & 0xf0) == 0x40 && (memchr(legacy, bytes[at + 1], sizeof legacy) || (bytes[at + 1] & 0xf0) == 0x40 ||
                                       bytes[at + 1] == 0xc4 || bytes[at + 1] == 0xc5 || bytes[at + 1] == 0x62))
        return true;
    unsigned opcode = at + ((bytes[at] & 0xf0) == 0x40);
    bool amd =
        in->id == X86_INS_EXTRQ || in->id == X86_INS_INSERTQ || (bytes[opcode] == 0x0f && bytes[opcode + 1] == 0x0f);
    return bytes[at] == 0x62 || bytes[at] == 0x8f || in->id == X86_INS_UD0 || in->id == X86_INS_UD2B || amd;
}

static bool same_operand(const struct x86_operand *a, const struct x86_operand *b)
{
    return a->kind == b->kind && a->reg == b->reg && a->size == b->size && a->imm == b->imm;
}

// The same but for memory operands, and for movabs, which Capstone calls mov in its other form.
static bool same_but_memory(const struct insn *a, const struct insn *b)
{
    bool same = a->id == b->id || (a->id == X86_INS_MOVABS && b->id == X86_INS_MOV) ||
                (a->id == X86_INS_MOV && b->id == X86_INS_MOVABS);
    same &= a->operands == b->operands && a->lock == b->lock && a->rep == b->rep && a->repne == b->repne;
    same &= a->opsize == b->opsize && a->rex_w == b->rex_w;
    for (unsigned i = 0; i < a->operands; i++)
        same &= same_operand(&a->op[i], &b->op[i]);
    return same;
}

// Capstone 4.0 takes prefix 67 for 66 in multi-byte nop, push, pop and vmclear with REX; what has vector registers is
// not carried over.
static bool decoded_wrongly(const struct insn *in)
{
    bool wrong = in->id == X86_INS_NOP || in->id == X86_INS_PUSH || in->id == X86_INS_POP || in->id == X86_INS_VMCLEAR;
    for (unsigned i = 0; i < in->operands; i++)
        wrong |= in->op[i].kind == OPERAND_OTHER;
    return in->addr_size == 4 && wrong;
}

static const struct x86_operand *memory_of(const struct insn *in)
{
    for (unsigned i = 0; i < in->operands; i++) {
        if (in->op[i].kind == OPERAND_MEM)
            return &in->op[i];
    }
    return NULL;
}

static void say(const uint8_t *bytes, unsigned n, uint64_t address)
{
    char text[200];
    x86_format(bytes, n, address, text, sizeof text);
    printf("# %s\n", text);
}

static void check_biased(struct test *t, const uint8_t *bytes, const struct insn *in, uint64_t address)
{
    start(t);
    if (!put_biased(&t->code, bytes, in)) {
        CHECK(t->code.at == t->buffer);
        return;
    }
    struct insn out = decode_written(t);
    const struct x86_operand *was = memory_of(in), *is = memory_of(&out);
    bool same = same_but_memory(in, &out) && in->addr_size == out.addr_size;
    if (was && is) {
        same &= was->mem.base == is->mem.base && was->mem.index == is->mem.index && was->mem.shift == is->mem.shift;
        same &= in->addr_size == 4 ? (uint32_t)was->mem.disp == (uint32_t)is->mem.disp : was->mem.disp == is->mem.disp;
        same &= is->mem.seg == (was->mem.base == RSP ? X86_NO_SEG : SEG_GS);
    }
    if (!CHECK(same)) {
        say(bytes, in->length, address);
        say(t->buffer, X86_MAX_INSN, (uintptr_t)t->buffer);
    }
}

static void check_with_base(struct test *t, const uint8_t *bytes, const struct insn *in, const struct encoding *e)
{
    bool moffs = e->map == 0 && (bytes[e->opcode_at] & 0xfc) == 0xa0;
    if (!memory_of(in) || in->id == X86_INS_LEA || memory_of(in)->mem.vsib ||
        (!moffs && (!e->modrm_at || bytes[e->modrm_at] >= 0xc0)))
        return;
    unsigned reg = pick_scratch(in, (uint32_t)random_bits() & (1u << RAX));
    start(t);
    put_with_base(&t->code, bytes, in, reg);
    struct insn out = decode_written(t);
    const struct x86_operand *is = memory_of(&out);
    bool same = same_but_memory(in, &out) && is && is->mem.base == reg && is->mem.index == X86_NO_REG &&
                is->mem.disp == 0 && is->mem.seg == X86_NO_SEG && out.addr_size == 8;
    if (!CHECK(same)) {
        say(bytes, in->length, 0);
        say(t->buffer, X86_MAX_INSN, (uintptr_t)t->buffer);
    }
}

// rax, rcx and what else stands in the bytes is used: the next in order is picked but for implicit ones.
static void check_picks(struct test *t)
{
    static const struct {
        const char *bytes;
        uint8_t length;
        uint8_t pick;
        uint32_t avoid;
    } picks[] = {
        {"\x48\x01\xc8", 3, RDX, 0},                                            // add %rcx, %rax
        {"\xc4\xe2\xf3\xf6\x00", 5, RBX, 0},                                    // mulx (%rax), %rcx, %rax
        {"\xf7\x21", 2, RBX, 0},                                                // mull (%rcx)
        {"\x48\x0f\xc7\x0e", 4, RDI, 0},                                        // cmpxchg16b (%rsi)
        {"\xd7", 1, RCX, 0},                                                    // xlat
        {"\xa4", 1, RDX, 0},                                                    // movsb
        {"\xd3\x20", 2, RDX, 0},                                                // shll %cl, (%rax)
        {"\x88\x24\x0a", 3, RBX, 0},                                            // mov %ah, (%rdx,%rcx)
        {"\x48\x01\xc8", 3, R8, 1u << RDX | 1u << RBX | 1u << RSI | 1u << RDI}, // add %rcx, %rax
    };
    for (unsigned i = 0; i < sizeof picks / sizeof *picks; i++) {
        struct insn in = decode(t, (const uint8_t *)picks[i].bytes, picks[i].length);
        CHECK_EQ(pick_scratch(&in, picks[i].avoid), picks[i].pick);
    }
}

// What Capstone calls implicit is not picked, where Capstone decoded it. Near calls and returns, and far ones, only
// have rsp.
static void check_scratch(struct test *t, const struct insn *in, uint32_t avoid)
{
    if (t->d.scratch->id != in->id)
        return;
    const cs_detail *detail = t->d.scratch->detail; // of the instruction decoded last
    unsigned reg = pick_scratch(in, avoid);
    CHECK(!(avoid >> reg & 1));
    CHECK((reg & 7) != 4 && (reg & 7) != 5);
    for (unsigned i = 0; i < detail->regs_read_count + detail->regs_write_count; i++) {
        uint16_t id =
            i < detail->regs_read_count ? detail->regs_read[i] : detail->regs_write[i - detail->regs_read_count];
        static const uint16_t names[][4] = {
            [RAX] = {X86_REG_RAX, X86_REG_EAX, X86_REG_AX, X86_REG_AL},
            [RCX] = {X86_REG_RCX, X86_REG_ECX, X86_REG_CX, X86_REG_CL},
            [RDX] = {X86_REG_RDX, X86_REG_EDX, X86_REG_DX, X86_REG_DL},
            [RBX] = {X86_REG_RBX, X86_REG_EBX, X86_REG_BX, X86_REG_BL},
            [RSI] = {X86_REG_RSI, X86_REG_ESI, X86_REG_SI, X86_REG_SIL},
            [RDI] = {X86_REG_RDI, X86_REG_EDI, X86_REG_DI, X86_REG_DIL},
            [R11] = {X86_REG_R11, X86_REG_R11D, X86_REG_R11W, X86_REG_R11B},
        };
        bool picked = false;
        for (unsigned k = 0; reg <= R11 && k < 4; k++)
            picked |= id == names[reg][k] && id;
        if (!CHECK(!picked))
            printf("# %s uses %s\n", t->d.scratch->mnemonic, cs_reg_name(t->d.handle[X86_CODE64], id));
    }
}

static void check_random(struct test *t)
{
    static const uint64_t addresses[] = {0xffffffff81000000, 0x400000, 0xffff888012345678};
    unsigned decoded = 0;
    for (unsigned i = 0; i < RANDOM_TRIES; i++) {
        uint8_t bytes[X86_MAX_INSN];
        unsigned n = random_instruction(bytes);
        uint64_t address = addresses[i % 3];
        struct insn in;
        struct encoding e;
        t->d.scratch->id = X86_INS_INVALID;
        if (!x86_decode(&t->d, bytes, n, address, &in))
            continue;
        check_scratch(t, &in, 1u << random_bits() % GPR_COUNT);
        if (!encoding_of(bytes, &in, &e)) {
            if (!CHECK(may_be_refused(bytes, &in)))
                say(bytes, n, address);
            continue;
        }
        decoded++;
        if (decoded_wrongly(&in))
            continue;
        if (memory_of(&in))
            check_biased(t, bytes, &in, address);
        check_with_base(t, bytes, &in, &e);
    }
    CHECK(decoded > RANDOM_TRIES / 4);
}

int main(void)
{
    static struct test t;
    t.buffer = mmap((void *)(BT_REGION + 0x1000000), BUFFER, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (!CHECK(t.buffer != MAP_FAILED) || !CHECK(x86_decoder_open(&t.d) == 0))
        return check_done("bt_code");
    check_moves(&t);
    check_cells(&t);
    check_sums(&t);
    check_branches(&t);
    check_rows(&t);
    check_rip_relative(&t);
    check_picks(&t);
    check_random(&t);
    x86_decoder_close(&t.d);
    return check_done("bt_code");
}

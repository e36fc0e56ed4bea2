// SPDX-License-Identifier: BSD-2-Clause
// The decoder's table of vector and x87 instructions against the host's CPU: every opcode that it has, and every one of
// VEX, with all prefixes, W, L, vvvv, register and memory forms. What the decoder takes for an instruction must not be
// #UD here, must have the length that it says, and must access exactly the bytes that it says: it is run with them at
// the end of a page behind which there is nothing, and again one byte further. What it refuses must be #UD.
#include <string.h>
#include <xmmintrin.h>

#include "tests/cpu/native.h"
#include "tests/unit/check.h"
#include "x86/decode.h"

enum { SHOWN = 40, HLT = 0xf4, BASE = RDX, INDEX = 4 };
#define END (WINDOW + WINDOW_RW) // of accessible memory
#define INSIDE (WINDOW + 1024)

// One encoding, before its modrm.
struct form {
    bool vex, w, l;
    uint8_t map, opcode; // map 0 to 2: 0f, 0f 38, 0f 3a; 3: d8 to df
    uint8_t pp, vvvv;
    uint8_t prefixes, prefix[2];
};

struct totals {
    unsigned forms, valid, sizes, wrong;
};

// ---- What a host may have that this vCPU never announces: the decoder knows none of them ----

static const struct {
    bool vex;
    uint8_t map, first, last;
    const char *what;
} not_ours[] = {
    {true, 0, 0x41, 0x4b, "AVX-512 masks"},
    {true, 0, 0x90, 0x99, "AVX-512 masks"},
    {true, 1, 0x49, 0x6c, "AMX, AVX-VNNI"},
    {true, 1, 0x72, 0x72, "AVX-NE-CONVERT"},
    {true, 1, 0xb0, 0xb5, "AVX-NE-CONVERT, AVX-IFMA"},
    {true, 1, 0xcb, 0xd3, "SHA512, GFNI, AVX-VNNI-INT16"},
    {true, 1, 0xda, 0xef, "SM3, SM4, VAES, CMPCCXADD"},
    {true, 2, 0x30, 0x33, "AVX-512 masks"},
    {true, 2, 0x44, 0x44, "VPCLMULQDQ"},
    {true, 2, 0xce, 0xcf, "GFNI"},
    {true, 2, 0xde, 0xde, "SM3"},
    {false, 0, 0xae, 0xae, "CET, TPAUSE and others"},
    {false, 1, 0xd8, 0xdf, "Key Locker"},
};

static bool may_exist(const struct form *f)
{
    for (unsigned i = 0; i < sizeof not_ours / sizeof *not_ours; i++) {
        if (not_ours[i].vex == f->vex && not_ours[i].map == f->map && not_ours[i].first <= f->opcode &&
            f->opcode <= not_ours[i].last)
            return true;
    }
    return false;
}

static bool host_has_all(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("aes") &&
           __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
           __builtin_cpu_supports("f16c") && __builtin_cpu_supports("xsaveopt");
}

// ---- Bytes ----

static unsigned put_form(uint8_t *at, const struct form *f)
{
    unsigned n = 0;
    if (f->vex) {
        at[n++] = 0xc4;
        at[n++] = 0xe0 | (f->map + 1);
        at[n++] = (uint8_t)(f->w << 7 | (~f->vvvv & 15) << 3 | f->l << 2 | f->pp);
    } else {
        memcpy(at, f->prefix, f->prefixes);
        n = f->prefixes;
        if (f->w)
            at[n++] = 0x48;
        if (f->map < 3)
            at[n++] = 0x0f;
        if (f->map == 1 || f->map == 2)
            at[n++] = f->map == 1 ? 0x38 : 0x3a;
    }
    at[n++] = f->opcode;
    return n;
}

// ---- Runs ----

// Registers point to nowhere but for the memory operand's; the halts behind the instruction show its length.
static void run(const uint8_t *bytes, uint64_t memory, struct outcome *out)
{
    struct test_case t = {.length = 15, .insns = 1};
    memcpy(t.bytes, bytes, 15);
    t.in.flags = FLAG_FIXED1 | FLAG_IF;
    t.in.gpr[BASE] = t.in.gpr[RDI] = memory;
    t.in.gpr[RAX] = 7;
    memset((void *)(uintptr_t)INSIDE, 0, 1024);
    memset((void *)(uintptr_t)(END - 1024), 0, 1024);
    __asm__ volatile("vzeroall" ::: "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7");
    native_run(&t, out);
    __asm__ volatile("fninit");
    _mm_setcsr(0x1f80);
}

static const char *name_of(const uint8_t *bytes)
{
    static char text[200];
    x86_format(bytes, 15, 0, text, sizeof text);
    return text;
}

static void complain(struct totals *totals, const uint8_t *bytes, const struct insn *in, const char *what)
{
    if (totals->wrong++ < SHOWN) {
        printf("# %s:", what);
        for (unsigned i = 0; i < 8; i++)
            printf(" %02x", bytes[i]);
        printf(" (decoder: id %u length %u, Capstone: %s)\n", in->id, in->length, name_of(bytes));
    }
}

// How much is accessed depends on registers or on XCR0.
static bool size_varies(const struct x86_decoder *d, const struct insn *in)
{
    static const char *const what[] = {"maskmov", "gather", "xsave", "xrstor"};
    for (unsigned i = 0; i < 4; i++) {
        if (strstr(cs_insn_name(d->handle[X86_CODE64], in->id), what[i]))
            return true;
    }
    return false;
}

static const struct x86_operand *memory_of(const struct insn *in)
{
    for (unsigned i = 0; i < in->operands; i++) {
        if (in->op[i].kind == OPERAND_MEM)
            return &in->op[i];
    }
    return NULL;
}

static void check_size(struct totals *totals, const struct x86_decoder *d, const uint8_t *bytes, const struct insn *in)
{
    const struct x86_operand *m = memory_of(in);
    struct outcome fits, exceeds;
    if (!m || size_varies(d, in))
        return;
    totals->sizes++;
    run(bytes, END - m->size, &fits);
    run(bytes, END - m->size + 1, &exceeds);
    if (fits.vector != VEC_GP || fits.rip != INSN_AT + in->length)
        complain(totals, bytes, in, "accesses more");
    bool aligned = exceeds.vector == VEC_GP && exceeds.rip == INSN_AT;
    if (!aligned && (exceeds.vector != VEC_PF || exceeds.rip != INSN_AT))
        complain(totals, bytes, in, "accesses less");
}

static void check_bytes(struct totals *totals, struct x86_decoder *d, const struct form *f, const uint8_t *bytes)
{
    struct insn in;
    struct outcome host;
    bool valid = x86_decode(d, bytes, 15, INSN_AT, &in);
    if (!valid)
        memset(&in, 0, sizeof in);
    if (valid && !d->vector_rows[f->map][f->opcode]) // Capstone's
        return;
    run(bytes, INSIDE, &host);
    totals->forms++;
    totals->valid += valid;
    bool exists = host.vector != VEC_UD || host.rip != INSN_AT;
    if (valid && !exists) {
        complain(totals, bytes, &in, "no instruction");
    } else if (!valid && exists && !may_exist(f)) {
        complain(totals, bytes, &in, "an instruction");
    } else if (valid) {
        if (host.rip != INSN_AT && (host.vector != VEC_GP || host.rip != INSN_AT + in.length))
            complain(totals, bytes, &in, "of another length");
        check_size(totals, d, bytes, &in);
    }
}

// Register and memory form with every value of modrm.reg that could select an instruction.
static void check_form(struct totals *totals, struct x86_decoder *d, const struct form *f)
{
    bool group = f->map == 3 || (f->map == 0 && ((f->opcode >= 0x71 && f->opcode <= 0x73) || f->opcode == 0xae)) ||
                 (f->map == 1 && f->opcode == 0xf3);
    for (unsigned reg = group ? 0 : 1; reg < (group ? 8 : 2); reg++) {
        uint8_t bytes[16];
        memset(bytes, HLT, sizeof bytes);
        unsigned n = put_form(bytes, f);
        if (f->map == 0 && f->opcode == 0x77) { // emms, vzeroupper: no modrm
            check_bytes(totals, d, f, bytes);
            continue;
        }
        bytes[n] = (uint8_t)(reg << 3 | 4);
        bytes[n + 1] = INDEX << 3 | BASE;
        check_bytes(totals, d, f, bytes);
        bytes[n + 1] = HLT;
        if (f->map == 0 && f->opcode == 0xae) // fences, wrfsbase: not the table's
            continue;
        for (unsigned rm = f->map == 3 ? 0 : 1; rm < (f->map == 3 ? 8 : 2); rm++) {
            bytes[n] = (uint8_t)(0xc0 | reg << 3 | rm);
            check_bytes(totals, d, f, bytes);
        }
    }
}

static void check_vex(struct totals *totals, struct x86_decoder *d)
{
    for (unsigned i = 0; i < 3 * 256 * 4 * 2 * 2 * 2; i++) {
        struct form f = {.vex = true,
                         .opcode = i & 255,
                         .map = i >> 8 & 3,
                         .pp = i >> 10 & 3,
                         .w = i >> 12 & 1,
                         .l = i >> 13 & 1,
                         .vvvv = i >> 14 & 1 ? 3 : 0};
        if (f.map < 3)
            check_form(totals, d, &f);
    }
}

static void check_legacy(struct totals *totals, struct x86_decoder *d)
{
    static const uint8_t prefix[][2] = {{0},          {0x66},       {0xf3},       {0xf2},
                                        {0x66, 0xf3}, {0xf2, 0x66}, {0xf2, 0xf3}, {0xf3, 0xf2}};
    for (unsigned i = 0; i < 4 * 256 * 8 * 2; i++) {
        struct form f = {.opcode = i & 255, .map = i >> 8 & 3, .w = i >> 13 & 1};
        memcpy(f.prefix, prefix[i >> 10 & 7], 2);
        f.prefixes = (uint8_t)(!!f.prefix[0] + !!f.prefix[1]);
        if (d->vector_rows[f.map][f.opcode])
            check_form(totals, d, &f);
    }
}

int main(void)
{
    static const uint8_t nothing[PAGE];
    struct x86_decoder d;
    struct totals totals = {0};
    if (!host_has_all()) {
        SKIP("the host lacks AVX2, FMA, AES, PCLMULQDQ, BMI, F16C or XSAVEOPT");
        return 0;
    }
    if (!native_start(nothing)) {
        SKIP("the addresses that the test needs are taken");
        return 0;
    }
    mprotect((void *)(uintptr_t)END, PAGE, PROT_NONE);
    if (!CHECK(x86_decoder_open(&d) == 0))
        return check_done("decode_host");
    check_vex(&totals, &d);
    check_legacy(&totals, &d);
    x86_decoder_close(&d);
    printf("# %u forms, %u of them instructions, %u sizes, %u wrong\n", totals.forms, totals.valid, totals.sizes,
           totals.wrong);
    CHECK(totals.valid > 2000 && totals.sizes > 1000);
    CHECK_EQ(totals.wrong, 0);
    return check_done("decode_host");
}

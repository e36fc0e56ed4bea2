// SPDX-License-Identifier: BSD-2-Clause
// How far a processor reads, by the host's CPU: every opcode of every map, with prefixes, VEX and EVEX, defined or not,
// at the end of a page behind which there is nothing. With the bytes that x86_encoded_length() counts it must not be
// the fault of fetching the next page, and with one less it must; lengthened to 16 bytes it must be #GP without the
// sixteenth. Where the decoder knows the instruction, both say the same length.
#include <cpuid.h>
#include <string.h>

#include "tests/cpu/native.h"
#include "tests/unit/check.h"
#include "x86/encoding.h"

#define BORDER (CODE + PAGE)
enum { SHOWN = 20, HLT = 0xf4, NEAR = 256, FILLER = 0x41, IDLE_PREFIX = 0x3e };
enum map { ONE_BYTE, MAP_0F, MAP_0F38, MAP_0F3A, VEX, EVEX = VEX + 32, MAPS = EVEX + 8 };

struct totals {
    unsigned forms, defined, wrong;
    bool intel; // what the manual reserves has been seen there only
    bool vex,
        evex; // the CPU reads such forms to their end: without AVX or AVX-512 their first bytes may be enough for #UD
};

static const struct {
    uint8_t n, byte[2];
} prefixes[] = {{0, {0}},    {1, {0x66}},       {1, {0x48}}, {1, {0xf2}},
                {1, {0xf3}}, {2, {0x66, 0x48}}, {1, {0x67}}, {1, {0xf0}}};

// Not those that ask something of the system, or take the test's own ground away, and no prefixes.
static bool is_fit(enum map map, uint8_t opcode, uint8_t modrm)
{
    static const uint8_t prefix_or_trap[] = {0x0f, 0x26, 0x2e, 0x36, 0x3e, 0x62, 0x64, 0x65, 0x66,
                                             0x67, 0xc4, 0xc5, 0xcc, 0xcd, 0xf0, 0xf1, 0xf2, 0xf3};
    unsigned reg = modrm >> 3 & 7;
    switch (map) {
    case ONE_BYTE:
        return !memchr(prefix_or_trap, opcode, sizeof prefix_or_trap) && (opcode & 0xf0) != 0x40 &&
               !(opcode == 0x8e && reg == 4); // fs
    case MAP_0F:
        return opcode != 0x38 && opcode != 0x3a && opcode != 0x05 && opcode != 0x34 && // syscall, sysenter
               !(opcode == 0xae && reg == 2);                                          // wrfsbase
    default:
        return true;
    }
}

static unsigned put_form(uint8_t *bytes, enum map map, unsigned prefix, uint8_t opcode, uint8_t modrm)
{
    unsigned n = prefixes[prefix].n;
    memset(bytes, FILLER, X86_MAX_INSN);
    memcpy(bytes, prefixes[prefix].byte, n);
    if (map >= EVEX) {
        bytes[n++] = 0x62;
        bytes[n++] = (uint8_t)(0xf0 | (map - EVEX));
        bytes[n++] = 0x7c;
        bytes[n++] = 8;
    } else if (map >= VEX) {
        bytes[n++] = 0xc4;
        bytes[n++] = (uint8_t)(0xe0 | (map - VEX));
        bytes[n++] = 0x78;
    } else if (map != ONE_BYTE) {
        bytes[n++] = 0x0f;
        if (map != MAP_0F)
            bytes[n++] = map == MAP_0F38 ? 0x38 : 0x3a;
    }
    bytes[n++] = opcode;
    bytes[n++] = modrm;
    return n;
}

// With all registers 0, and halts where a jump may lead: an instruction that gets somewhere faults there.
static void run(const uint8_t *bytes, unsigned n, struct outcome *out)
{
    static const struct regs zero = {.flags = FLAG_FIXED1 | FLAG_IF};
    memset(cpu_native.writable + PAGE - NEAR, HLT, NEAR);
    memcpy(cpu_native.writable + PAGE - n, bytes, n);
    cpu_native.code = BORDER - n;
    cpu_native.running = true;
    native_enter(&zero);
    cpu_native.running = false;
    *out = cpu_native.got;
}

static bool is_fetch(const struct outcome *out, unsigned n)
{
    return out->vector == VEC_PF && out->cr2 == BORDER && out->rip == BORDER - n;
}

static void complain(struct totals *totals, const uint8_t *bytes, unsigned length, const char *what)
{
    if (totals->wrong++ >= SHOWN)
        return;
    printf("# %s:", what);
    for (unsigned i = 0; i < X86_MAX_INSN; i++)
        printf(" %02x", bytes[i]);
    printf(" (length %u)\n", length);
}

static void check_host(struct totals *totals, const uint8_t *bytes, unsigned length)
{
    struct outcome out;
    uint8_t longer[X86_MAX_INSN];
    run(bytes, length, &out);
    if (is_fetch(&out, length))
        complain(totals, bytes, length, "reads more");
    if (length > 1) {
        run(bytes, length - 1, &out);
        if (!is_fetch(&out, length - 1))
            complain(totals, bytes, length, "reads less");
    }
    memset(longer, IDLE_PREFIX, sizeof longer);
    memcpy(longer + 1 + X86_MAX_INSN - length, bytes, length - 1);
    run(longer, X86_MAX_INSN, &out);
    if (out.vector != VEC_GP || out.error != 0 || out.rip != BORDER - X86_MAX_INSN)
        complain(totals, longer, length, "is not too long");
}

static void check_form(struct totals *totals, struct x86_decoder *d, enum map map, unsigned prefix, uint8_t opcode,
                       uint8_t modrm)
{
    uint8_t bytes[X86_MAX_INSN];
    struct insn in;
    put_form(bytes, map, prefix, opcode, modrm);
    unsigned length = x86_encoded_length(X86_CODE64, bytes, X86_MAX_INSN);
    bool defined = x86_decode(d, bytes, X86_MAX_INSN, 0, &in) && in.id != X86_INS_UD0 && in.id != X86_INS_UD2B &&
                   in.id != X86_INS_EXTRQ && in.id != X86_INS_INSERTQ; // which no engine has
    totals->forms++;
    totals->defined += defined;
    if (defined && in.length != length)
        complain(totals, bytes, length, "the decoder says another length");
    if (totals->intel && (map < VEX || totals->vex) && (map < EVEX || totals->evex))
        check_host(totals, bytes, length);
}

static void look_at_host(struct totals *totals)
{
    unsigned a, b, c, d;
    totals->intel = __get_cpuid(0, &a, &b, &c, &d) && b == signature_INTEL_ebx;
    totals->vex = __builtin_cpu_supports("avx");
    totals->evex = __builtin_cpu_supports("avx512f");
}

// The less there may be, the fewer forms: the reserved maps of VEX and EVEX read as one of the others.
static void check_map(struct totals *totals, struct x86_decoder *d, enum map map)
{
    unsigned some = map < VEX ? sizeof prefixes / sizeof prefixes[0] : 3;
    bool reserved = (map > VEX + 3 && map < EVEX) || map > EVEX + 3;
    for (unsigned opcode = reserved; opcode < 256; opcode += reserved ? 37 : 1) {
        for (unsigned i = 0; i < some * 16; i++) {
            unsigned reg = i & 7, rm = i & 8 ? 0xc0 : 4;
            if (is_fit(map, (uint8_t)opcode, (uint8_t)(reg << 3)))
                check_form(totals, d, map, i / 16, (uint8_t)opcode, (uint8_t)(rm | reg << 3));
        }
    }
}

// Prefixes alone.
static void check_prefixes(void)
{
    uint8_t bytes[X86_MAX_INSN];
    struct outcome out;
    memset(bytes, 0x66, sizeof bytes);
    CHECK(x86_encoded_length(X86_CODE64, bytes, X86_MAX_INSN) > X86_MAX_INSN);
    run(bytes, X86_MAX_INSN, &out);
    CHECK(out.vector == VEC_GP && out.rip == BORDER - X86_MAX_INSN);
    CHECK(x86_encoded_length(X86_CODE64, bytes, 3) > 3);
    run(bytes, 3, &out);
    CHECK(is_fetch(&out, 3));
}

int main(void)
{
    static const uint8_t nothing[PAGE];
    struct x86_decoder d;
    struct totals totals = {0};
    look_at_host(&totals);
    if (!native_start(nothing)) {
        SKIP("the addresses that the test needs are taken");
        return 0;
    }
    if (!CHECK(x86_decoder_open(&d) == 0))
        return check_done("encoding_host");
    if (totals.intel)
        check_prefixes();
    else
        SKIP("what is reserved has been seen on Intel's processors only: lengths by the decoder alone");
    for (unsigned map = 0; map < MAPS; map++)
        check_map(&totals, &d, (enum map)map);
    x86_decoder_close(&d);
    printf("# %u forms, %u of them instructions, %u wrong\n", totals.forms, totals.defined, totals.wrong);
    CHECK(totals.forms > 100000 && totals.defined > 30000);
    CHECK_EQ(totals.wrong, 0);
    return check_done("encoding_host");
}

// SPDX-License-Identifier: BSD-2-Clause
// gdb's registers in struct vcpu_state: x87 and vector registers lie in its XSAVE area (SDM vol. 1, 13.4), and those of
// a component whose bit in XSTATE_BV is clear are in their initial state, whatever the area holds.
#include "run/gdb_registers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "x86/regs.h"

#define XSAVE(offset) (offsetof(struct vcpu_state, xsave) + (offset))
#define FCW XSAVE(0)
#define FSW XSAVE(2)
#define FTW XSAVE(4) // abridged: a bit a register, 1 where it is not empty
#define FOP XSAVE(6)
#define FIP XSAVE(8)
#define FCS XSAVE(12)
#define FDP XSAVE(16)
#define FDS XSAVE(20)
#define MXCSR XSAVE(24)
#define ST(n) XSAVE(32 + 16 * (n))
#define XMM(n) XSAVE(160 + 16 * (n))
#define XSTATE_BV XSAVE(512)
#define YMM_HIGH(n) XSAVE(576 + 16 * (n))

#define FCW_RESET 0x37f
#define MXCSR_RESET 0x1f80
#define MXCSR_RESERVED 0xffff0000u
#define FTAG_EMPTY 3u

// What a debugger may change; the rest of rflags is the engine's business.
#define FLAGS_WRITABLE (FLAGS_ARITH | FLAG_TF | FLAG_IF | FLAG_DF | FLAG_IOPL | FLAG_NT | FLAG_AC | FLAG_ID)

enum component { COMPONENT_NONE, COMPONENT_X87 = 1, COMPONENT_SSE = 2, COMPONENT_AVX = 4 }; // bits of XSTATE_BV

enum rule {
    PLAIN,
    READ_ONLY,
    CANONICAL, // the host's CPU may be given it as it is
    RFLAGS,
    FTAG, // x87 tags: two bits a register for gdb, one in the area
    MXCSR_RULE,
};

struct reg {
    const char *name;
    const char *type;  // in the target description
    uint8_t size;      // for gdb, bytes
    uint8_t held;      // of them, in the state; the others are 0
    uint8_t component; // enum component
    uint8_t rule;      // enum rule
    uint16_t offset;
};

struct feature {
    const char *name;
    unsigned first; // register; goes to the next feature's
};

#define GPR(name, n, type)                                                                                             \
    {                                                                                                                  \
        name, type, 8, 8, 0, PLAIN, offsetof(struct vcpu_state, gpr[n])                                                \
    }
#define SELECTOR(name, n)                                                                                              \
    {                                                                                                                  \
        name, "int32", 4, 2, 0, READ_ONLY, offsetof(struct vcpu_state, seg[n].selector)                                \
    }
#define X87(name, type, size, held, offset)                                                                            \
    {                                                                                                                  \
        name, type, size, held, COMPONENT_X87, PLAIN, offset                                                           \
    }
#define VECTOR(name, type, component, offset)                                                                          \
    {                                                                                                                  \
        name, type, 16, 16, component, PLAIN, offset                                                                   \
    }
#define SYSTEM(name, field)                                                                                            \
    {                                                                                                                  \
        name, "int64", 8, 8, 0, READ_ONLY, offsetof(struct vcpu_state, field)                                          \
    }
#define BASE(name, field)                                                                                              \
    {                                                                                                                  \
        name, "int64", 8, 8, 0, CANONICAL, offsetof(struct vcpu_state, field)                                          \
    }

static const struct reg regs[] = {
    GPR("rax", RAX, "int64"),
    GPR("rbx", RBX, "int64"),
    GPR("rcx", RCX, "int64"),
    GPR("rdx", RDX, "int64"),
    GPR("rsi", RSI, "int64"),
    GPR("rdi", RDI, "int64"),
    GPR("rbp", RBP, "data_ptr"),
    GPR("rsp", RSP, "data_ptr"),
    GPR("r8", R8, "int64"),
    GPR("r9", R9, "int64"),
    GPR("r10", R10, "int64"),
    GPR("r11", R11, "int64"),
    GPR("r12", R12, "int64"),
    GPR("r13", R13, "int64"),
    GPR("r14", R14, "int64"),
    GPR("r15", R15, "int64"),
    {"rip", "code_ptr", 8, 8, 0, CANONICAL, offsetof(struct vcpu_state, rip)},
    {"eflags", "i386_eflags", 4, 4, 0, RFLAGS, offsetof(struct vcpu_state, rflags)},
    SELECTOR("cs", SEG_CS),
    SELECTOR("ss", SEG_SS),
    SELECTOR("ds", SEG_DS),
    SELECTOR("es", SEG_ES),
    SELECTOR("fs", SEG_FS),
    SELECTOR("gs", SEG_GS),
    X87("st0", "i387_ext", 10, 10, ST(0)),
    X87("st1", "i387_ext", 10, 10, ST(1)),
    X87("st2", "i387_ext", 10, 10, ST(2)),
    X87("st3", "i387_ext", 10, 10, ST(3)),
    X87("st4", "i387_ext", 10, 10, ST(4)),
    X87("st5", "i387_ext", 10, 10, ST(5)),
    X87("st6", "i387_ext", 10, 10, ST(6)),
    X87("st7", "i387_ext", 10, 10, ST(7)),
    X87("fctrl", "int", 4, 2, FCW),
    X87("fstat", "int", 4, 2, FSW),
    {"ftag", "int", 4, 1, COMPONENT_X87, FTAG, FTW},
    X87("fiseg", "int", 4, 2, FCS),
    X87("fioff", "int", 4, 4, FIP),
    X87("foseg", "int", 4, 2, FDS),
    X87("fooff", "int", 4, 4, FDP),
    X87("fop", "int", 4, 2, FOP),
#define REGS_CORE 40
    VECTOR("xmm0", "vec128", COMPONENT_SSE, XMM(0)),
    VECTOR("xmm1", "vec128", COMPONENT_SSE, XMM(1)),
    VECTOR("xmm2", "vec128", COMPONENT_SSE, XMM(2)),
    VECTOR("xmm3", "vec128", COMPONENT_SSE, XMM(3)),
    VECTOR("xmm4", "vec128", COMPONENT_SSE, XMM(4)),
    VECTOR("xmm5", "vec128", COMPONENT_SSE, XMM(5)),
    VECTOR("xmm6", "vec128", COMPONENT_SSE, XMM(6)),
    VECTOR("xmm7", "vec128", COMPONENT_SSE, XMM(7)),
    VECTOR("xmm8", "vec128", COMPONENT_SSE, XMM(8)),
    VECTOR("xmm9", "vec128", COMPONENT_SSE, XMM(9)),
    VECTOR("xmm10", "vec128", COMPONENT_SSE, XMM(10)),
    VECTOR("xmm11", "vec128", COMPONENT_SSE, XMM(11)),
    VECTOR("xmm12", "vec128", COMPONENT_SSE, XMM(12)),
    VECTOR("xmm13", "vec128", COMPONENT_SSE, XMM(13)),
    VECTOR("xmm14", "vec128", COMPONENT_SSE, XMM(14)),
    VECTOR("xmm15", "vec128", COMPONENT_SSE, XMM(15)),
    {"mxcsr", "int", 4, 4, 0, MXCSR_RULE, MXCSR},
#define REGS_SSE 17
    VECTOR("ymm0h", "uint128", COMPONENT_AVX, YMM_HIGH(0)),
    VECTOR("ymm1h", "uint128", COMPONENT_AVX, YMM_HIGH(1)),
    VECTOR("ymm2h", "uint128", COMPONENT_AVX, YMM_HIGH(2)),
    VECTOR("ymm3h", "uint128", COMPONENT_AVX, YMM_HIGH(3)),
    VECTOR("ymm4h", "uint128", COMPONENT_AVX, YMM_HIGH(4)),
    VECTOR("ymm5h", "uint128", COMPONENT_AVX, YMM_HIGH(5)),
    VECTOR("ymm6h", "uint128", COMPONENT_AVX, YMM_HIGH(6)),
    VECTOR("ymm7h", "uint128", COMPONENT_AVX, YMM_HIGH(7)),
    VECTOR("ymm8h", "uint128", COMPONENT_AVX, YMM_HIGH(8)),
    VECTOR("ymm9h", "uint128", COMPONENT_AVX, YMM_HIGH(9)),
    VECTOR("ymm10h", "uint128", COMPONENT_AVX, YMM_HIGH(10)),
    VECTOR("ymm11h", "uint128", COMPONENT_AVX, YMM_HIGH(11)),
    VECTOR("ymm12h", "uint128", COMPONENT_AVX, YMM_HIGH(12)),
    VECTOR("ymm13h", "uint128", COMPONENT_AVX, YMM_HIGH(13)),
    VECTOR("ymm14h", "uint128", COMPONENT_AVX, YMM_HIGH(14)),
    VECTOR("ymm15h", "uint128", COMPONENT_AVX, YMM_HIGH(15)),
#define REGS_AVX 16
    BASE("fs_base", seg[SEG_FS].base),
    BASE("gs_base", seg[SEG_GS].base),
#define REGS_SEGMENTS 2
    BASE("kernel_gs_base", kernel_gs_base),
    SYSTEM("cr0", cr0),
    SYSTEM("cr2", cr2),
    SYSTEM("cr3", cr3),
    SYSTEM("cr4", cr4),
    SYSTEM("cr8", cr8),
    SYSTEM("efer", efer),
    SYSTEM("xcr0", xcr0),
};
const unsigned gdb_register_count = sizeof regs / sizeof *regs;

static const struct feature features[] = {
    {"org.gnu.gdb.i386.core", 0},
    {"org.gnu.gdb.i386.sse", REGS_CORE},
    {"org.gnu.gdb.i386.avx", REGS_CORE + REGS_SSE},
    {"org.gnu.gdb.i386.segments", REGS_CORE + REGS_SSE + REGS_AVX},
    {"org.ringside.system", REGS_CORE + REGS_SSE + REGS_AVX + REGS_SEGMENTS},
};
enum { FEATURE_COUNT = sizeof features / sizeof *features };

// ---- Values ----

static uint64_t components(const struct vcpu_state *s)
{
    uint64_t v;
    memcpy(&v, (const char *)s + XSTATE_BV, sizeof v);
    return v;
}

// The component's bytes become what they mean, so that one register of it can be changed.
static void use_component(struct vcpu_state *s, unsigned component)
{
    static const uint16_t fcw = FCW_RESET;
    uint64_t present = components(s);
    if (!component || (present & component))
        return;
    if (component == COMPONENT_X87) {
        memset((char *)s + FCW, 0, MXCSR - FCW);
        memset((char *)s + ST(0), 0, ST(8) - ST(0));
        memcpy((char *)s + FCW, &fcw, sizeof fcw);
    } else if (component == COMPONENT_SSE) {
        memset((char *)s + XMM(0), 0, XMM(16) - XMM(0));
    } else {
        memset((char *)s + YMM_HIGH(0), 0, YMM_HIGH(16) - YMM_HIGH(0));
    }
    present |= component;
    memcpy((char *)s + XSTATE_BV, &present, sizeof present);
}

// SDM vol. 1, 8.1.7: 0 valid, 1 zero, 2 special, 3 empty; by physical register, while the area holds them from the top.
static unsigned tag_of(const struct vcpu_state *s, unsigned physical)
{
    uint16_t status, exponent;
    uint64_t mantissa;
    memcpy(&status, (const char *)s + FSW, sizeof status);
    const char *st = (const char *)s + ST((physical - (status >> 11 & 7)) & 7);
    memcpy(&mantissa, st, sizeof mantissa);
    memcpy(&exponent, st + 8, sizeof exponent);
    exponent &= 0x7fff;
    if (!exponent && !mantissa)
        return 1;
    return exponent == 0x7fff || !exponent || !(mantissa >> 63) ? 2 : 0;
}

static uint32_t tags(const struct vcpu_state *s)
{
    uint8_t used = (components(s) & COMPONENT_X87) ? *((const uint8_t *)s + FTW) : 0;
    uint32_t all = 0;
    for (unsigned i = 0; i < 8; i++)
        all |= (used >> i & 1 ? tag_of(s, i) : FTAG_EMPTY) << 2 * i;
    return all;
}

static uint32_t mxcsr(const struct vcpu_state *s)
{
    uint32_t v;
    memcpy(&v, (const char *)s + MXCSR, sizeof v);
    return v || (components(s) & (COMPONENT_SSE | COMPONENT_AVX)) ? v : MXCSR_RESET; // an area that was never saved to
}

size_t gdb_register_size(unsigned n)
{
    return regs[n].size;
}

void gdb_register_get(const struct vcpu_state *s, unsigned n, uint8_t bytes[GDB_REGISTER_BYTES])
{
    static const uint16_t fcw = FCW_RESET;
    const struct reg *r = &regs[n];
    uint32_t word = r->rule == FTAG ? tags(s) : mxcsr(s);
    memset(bytes, 0, GDB_REGISTER_BYTES);
    if (r->rule == FTAG || r->rule == MXCSR_RULE)
        memcpy(bytes, &word, sizeof word);
    else if (!r->component || (components(s) & r->component))
        memcpy(bytes, (const char *)s + r->offset, r->held);
    else if (r->offset == FCW)
        memcpy(bytes, &fcw, sizeof fcw);
}

static bool set_flags(struct vcpu_state *s, const uint8_t *bytes)
{
    uint32_t v;
    memcpy(&v, bytes, sizeof v);
    s->rflags = (s->rflags & ~(uint64_t)FLAGS_WRITABLE) | (v & FLAGS_WRITABLE);
    return true;
}

static void set_tags(struct vcpu_state *s, const uint8_t *bytes)
{
    uint32_t v;
    uint8_t used = 0;
    memcpy(&v, bytes, sizeof v);
    for (unsigned i = 0; i < 8; i++)
        used |= (uint8_t)(((v >> 2 * i & 3) != FTAG_EMPTY) << i);
    *((uint8_t *)s + FTW) = used;
}

static bool allowed(const struct reg *r, const uint8_t *bytes)
{
    int64_t address;
    uint32_t word;
    memcpy(&address, bytes, sizeof address);
    memcpy(&word, bytes, sizeof word);
    switch (r->rule) {
    case READ_ONLY:
        return false;
    case CANONICAL:
        return (int64_t)((uint64_t)address << 16) >> 16 == address;
    case MXCSR_RULE:
        return !(word & MXCSR_RESERVED);
    default:
        return true;
    }
}

bool gdb_register_set(struct vcpu_state *s, unsigned n, const uint8_t bytes[GDB_REGISTER_BYTES])
{
    const struct reg *r = &regs[n];
    uint8_t now[GDB_REGISTER_BYTES];
    gdb_register_get(s, n, now);
    if (!memcmp(now, bytes, r->size))
        return true;
    if (!allowed(r, bytes))
        return false;
    if (r->rule == RFLAGS)
        return set_flags(s, bytes);
    use_component(s, r->component);
    if (r->rule == FTAG)
        set_tags(s, bytes);
    else
        memcpy((char *)s + r->offset, bytes, r->held);
    return true;
}

// ---- Target description ----

static const struct {
    const char *name, *type;
    unsigned count;
} vectors[] = {
    {"v4_float", "ieee_single", 4}, {"v2_double", "ieee_double", 2}, {"v16_int8", "int8", 16},
    {"v8_int16", "int16", 8},       {"v4_int32", "int32", 4},        {"v2_int64", "int64", 2},
};

static const struct {
    const char *name;
    unsigned bit;
} flags[] = {{"CF", 0},  {"PF", 2},  {"AF", 4},  {"ZF", 6},  {"SF", 7},  {"TF", 8}, {"IF", 9},
             {"DF", 10}, {"OF", 11}, {"NT", 14}, {"RF", 16}, {"AC", 18}, {"ID", 21}};

static void describe_types(FILE *f, unsigned feature)
{
    if (feature == 0) {
        fprintf(f, "<flags id=\"i386_eflags\" size=\"4\">\n");
        for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
            fprintf(f, "<field name=\"%s\" start=\"%u\" end=\"%u\"/>\n", flags[i].name, flags[i].bit, flags[i].bit);
        fprintf(f, "</flags>\n");
    } else if (feature == 1) {
        for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
            fprintf(f, "<vector id=\"%s\" type=\"%s\" count=\"%u\"/>\n", vectors[i].name, vectors[i].type,
                    vectors[i].count);
        fprintf(f, "<union id=\"vec128\">\n");
        for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
            fprintf(f, "<field name=\"%s\" type=\"%s\"/>\n", vectors[i].name, vectors[i].name);
        fprintf(f, "<field name=\"uint128\" type=\"uint128\"/>\n</union>\n");
    }
}

char *gdb_target_description(void)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    if (!f)
        return NULL;
    fprintf(f, "<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n<target>\n"
               "<architecture>i386:x86-64</architecture>\n");
    for (unsigned i = 0; i < FEATURE_COUNT; i++) {
        unsigned end = i + 1 < FEATURE_COUNT ? features[i + 1].first : gdb_register_count;
        fprintf(f, "<feature name=\"%s\">\n", features[i].name);
        describe_types(f, i);
        for (unsigned n = features[i].first; n < end; n++)
            fprintf(f, "<reg name=\"%s\" bitsize=\"%u\" type=\"%s\" regnum=\"%u\"/>\n", regs[n].name, 8u * regs[n].size,
                    regs[n].type, n);
        fprintf(f, "</feature>\n");
    }
    fprintf(f, "</target>\n");
    if (fclose(f) == 0)
        return text;
    free(text);
    return NULL;
}

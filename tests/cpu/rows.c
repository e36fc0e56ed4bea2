// SPDX-License-Identifier: BSD-2-Clause
// The tables of rows as one array, and what processors need to have for them.
#include "tests/cpu/rows.h"

#include <cpuid.h>
#include <stdio.h>

#include "x86/regs.h"

#define ENTER ENTER_
#define LEAVE LEAVE_
#define RDI RDI_
#define MXCSR MXCSR_
#define NEED_OF(special)                                                                                               \
    ((special) == ADX                          ? NEED_ADX                                                              \
     : (special) == MOVBE                      ? NEED_MOVBE                                                            \
     : (special) == BMI1 || (special) == BEXTR ? NEED_BMI1                                                             \
     : (special) == BMI2                       ? NEED_BMI2                                                             \
     : (special) == LZCNT                      ? NEED_LZCNT                                                            \
     : (special) == POPCNT                     ? NEED_POPCNT                                                           \
     : (special) == CRC32                      ? NEED_SSE42                                                            \
     : (special) == CLFLUSHOPT                 ? NEED_CLFLUSHOPT                                                       \
     : (special) == CLWB                       ? NEED_CLWB                                                             \
     : (special) == SEGMENT_BASE               ? NEED_FSGSBASE                                                         \
                                               : NEED_BASE)

const struct row rows[] = {
#define ROW(name_, map_, prefix_, opcode_, ext_, shape_, special_, undefined_)                                         \
    {.name = name_,                                                                                                    \
     .set = SET_INTEGER,                                                                                               \
     .map = MAP_##map_,                                                                                                \
     .prefix = prefix_,                                                                                                \
     .opcode = opcode_,                                                                                                \
     .ext = ext_,                                                                                                      \
     .shape = shape_,                                                                                                  \
     .special = special_,                                                                                              \
     .undefined = undefined_,                                                                                          \
     .need = NEED_OF(special_)},
#include "tests/cpu/rows.def"
#undef ROW
#define VEC(name_, map_, prefix_, opcode_, ext_, reg_, rm_, bytes_, form_, data_, need_, vex_)                         \
    {.name = name_,                                                                                                    \
     .set = SET_VECTOR,                                                                                                \
     .map = MAP_##map_,                                                                                                \
     .prefix = prefix_,                                                                                                \
     .opcode = opcode_,                                                                                                \
     .ext = ext_,                                                                                                      \
     .reg = OF_##reg_,                                                                                                 \
     .rm = OF_##rm_,                                                                                                   \
     .bytes = bytes_,                                                                                                  \
     .form = form_,                                                                                                    \
     .data = DATA_##data_,                                                                                             \
     .need = NEED_##need_,                                                                                             \
     .vex_need = NEED_##vex_},
#include "tests/cpu/rows_vector.def"
#undef VEC
#define OF_0 OF_FIXED
#define OF_1 OF_FIXED
#define OF_2 OF_FIXED
#define OF_3 OF_FIXED
#define OF_4 OF_FIXED
#define OF_5 OF_FIXED
#define OF_6 OF_FIXED
#define OF_7 OF_FIXED
#define O 0
#define ST 0
#define NONE 0
#define X87(name_, opcode_, ext_, rm_, bytes_, data_, undefined_)                                                      \
    {.name = name_,                                                                                                    \
     .set = SET_X87,                                                                                                   \
     .opcode = opcode_,                                                                                                \
     .ext = ext_,                                                                                                      \
     .rm = OF_##rm_,                                                                                                   \
     .fixed = rm_,                                                                                                     \
     .bytes = bytes_,                                                                                                  \
     .data = DATA_##data_,                                                                                             \
     .undefined = undefined_,                                                                                          \
     .need = NEED_FPU},
#include "tests/cpu/rows_x87.def"
};

enum {
#define ROW(...) +1
    INTEGER_ROWS = 0
#include "tests/cpu/rows.def"
    ,
#define VEC(...) +1
    VECTOR_ROWS = 0
#include "tests/cpu/rows_vector.def"
};
_Static_assert(sizeof rows / sizeof rows[0] + KINDS <= MOST_ROWS, "as other tables have it");
const unsigned rows_count = sizeof rows / sizeof rows[0];
const unsigned rows_integer = INTEGER_ROWS, rows_vector = VECTOR_ROWS;
const unsigned rows_x87 = sizeof rows / sizeof rows[0] - INTEGER_ROWS - VECTOR_ROWS;

// ---- Features ----

enum { EBX, ECX, EDX };
struct feature_bit {
    uint32_t leaf;
    uint8_t reg, bit;
};
static const struct need_row {
    const char *name;
    struct feature_bit bit[2]; // all of them
} needs[NEEDS] = {
    [NEED_NO] = {"nothing", {{0, 0, 0}}},
    [NEED_BASE] = {"base", {{0, 0, 0}}},
    [NEED_FPU] = {"fpu", {{1, EDX, 0}}},
    [NEED_MMX] = {"mmx", {{1, EDX, 23}}},
    [NEED_FXSR] = {"fxsr", {{1, EDX, 24}}},
    [NEED_SSE] = {"sse", {{1, EDX, 25}}},
    [NEED_SSE2] = {"sse2", {{1, EDX, 26}}},
    [NEED_SSE3] = {"sse3", {{1, ECX, 0}}},
    [NEED_SSSE3] = {"ssse3", {{1, ECX, 9}}},
    [NEED_SSE41] = {"sse4.1", {{1, ECX, 19}}},
    [NEED_SSE42] = {"sse4.2", {{1, ECX, 20}}},
    [NEED_AES] = {"aes", {{1, ECX, 25}}},
    [NEED_PCLMUL] = {"pclmulqdq", {{1, ECX, 1}}},
    [NEED_XSAVE] = {"xsave", {{1, ECX, 26}}},
    [NEED_AVX] = {"avx", {{1, ECX, 28}}},
    [NEED_AVX2] = {"avx2", {{1, ECX, 28}, {7, EBX, 5}}},
    [NEED_AVX_INT] = {"avx, avx2", {{1, ECX, 28}, {7, EBX, 5}}},
    [NEED_AVX_AES] = {"avx, aes", {{1, ECX, 28}, {1, ECX, 25}}},
    [NEED_AVX_PCLMUL] = {"avx, pclmulqdq", {{1, ECX, 28}, {1, ECX, 1}}},
    [NEED_FMA] = {"fma", {{1, ECX, 28}, {1, ECX, 12}}},
    [NEED_F16C] = {"f16c", {{1, ECX, 28}, {1, ECX, 29}}},
    [NEED_ADX] = {"adx", {{7, EBX, 19}}},
    [NEED_MOVBE] = {"movbe", {{1, ECX, 22}}},
    [NEED_BMI1] = {"bmi1", {{7, EBX, 3}}},
    [NEED_BMI2] = {"bmi2", {{7, EBX, 8}}},
    [NEED_LZCNT] = {"lzcnt", {{0x80000001, ECX, 5}}},
    [NEED_POPCNT] = {"popcnt", {{1, ECX, 23}}},
    [NEED_FSGSBASE] = {"fsgsbase", {{7, EBX, 0}}},
    [NEED_CLFLUSHOPT] = {"clflushopt", {{7, EBX, 23}}},
    [NEED_SHA] = {"sha", {{7, EBX, 29}}},
    [NEED_CLWB] = {"clwb", {{7, EBX, 24}}},
};

static bool bit_of(const uint32_t reg[3], const struct feature_bit *b)
{
    return !b->leaf || (reg[b->reg] >> b->bit & 1);
}

static bool ask_host(enum need need)
{
    for (unsigned i = 0; i < 2; i++) {
        const struct feature_bit *b = &needs[need].bit[i];
        uint32_t eax, reg[3] = {0};
        if (b->leaf)
            __get_cpuid_count(b->leaf, 0, &eax, &reg[EBX], &reg[ECX], &reg[EDX]);
        if (!bit_of(reg, b))
            return false;
    }
    return need != NEED_NO;
}

// Asked once: CPUID takes long in a virtual machine.
bool host_has(enum need need)
{
    static enum { UNKNOWN, NO, YES } known[NEEDS];
    if (known[need] == UNKNOWN)
        known[need] = ask_host(need) ? YES : NO;
    return known[need] == YES;
}

bool guest_has(enum need need, const struct cpuid_table *table)
{
    for (unsigned i = 0; i < 2; i++) {
        const struct feature_bit *b = &needs[need].bit[i];
        uint32_t reg[3] = {0};
        for (unsigned n = 0; n < table->count; n++) {
            const struct cpuid_leaf *leaf = &table->leaves[n];
            if (leaf->leaf == b->leaf && leaf->subleaf == 0)
                reg[EBX] = leaf->ebx, reg[ECX] = leaf->ecx, reg[EDX] = leaf->edx;
        }
        if (!bit_of(reg, b))
            return false;
    }
    return need != NEED_NO;
}

static void announce(struct cpuid_leaf *leaves, unsigned count, const struct feature_bit *b)
{
    for (unsigned i = 0; i < count; i++) {
        uint32_t *reg[] = {&leaves[i].ebx, &leaves[i].ecx, &leaves[i].edx};
        if (leaves[i].leaf == b->leaf && leaves[i].subleaf == 0)
            *reg[b->reg] |= 1u << b->bit;
    }
}

void announce_all(struct cpuid_leaf *leaves, unsigned count)
{
    for (unsigned need = NEED_FPU; need < NEEDS; need++)
        for (unsigned i = 0; i < 2 && host_has((enum need)need); i++)
            if (needs[need].bit[i].leaf)
                announce(leaves, count, &needs[need].bit[i]);
}

const char *need_name(enum need need)
{
    return needs[need].name;
}

const char *row_label(unsigned row, char *out, unsigned size)
{
    static const char *const kinds[KINDS] = {"sequence", "flow", "stray", "privileged flow"};
    static const char *const maps[] = {"", "0f ", "0f38 ", "0f3a ", "vex.0f38 ", "vex.0f3a "};
    if (row >= rows_count)
        return row - rows_count < KINDS ? kinds[row - rows_count] : "?";
    const struct row *r = &rows[row];
    int n = snprintf(out, size, "%s %s", r->name, maps[r->map]);
    if (r->prefix)
        n += snprintf(out + n, size - (unsigned)n, "%02x ", r->prefix);
    n += snprintf(out + n, size - (unsigned)n, "%02x", r->opcode);
    if (r->ext >= 0)
        n += snprintf(out + n, size - (unsigned)n, "/%d", r->ext);
    static const char *const operands[] = {[OF_XR] = " reg", [OF_MR] = " reg", [OF_O] = " mem", [OF_ST] = " st"};
    if (r->rm < sizeof operands / sizeof operands[0] && operands[r->rm])
        n += snprintf(out + n, size - (unsigned)n, "%s", operands[r->rm]);
    if (r->rm == OF_FIXED)
        snprintf(out + n, size - (unsigned)n, "/%u", r->fixed);
    return out;
}

// SPDX-License-Identifier: BSD-2-Clause
// Everything that the differential test generates has a row: one encoding of one instruction.
#ifndef RINGSIDE_TESTS_CPU_ROWS_H
#define RINGSIDE_TESTS_CPU_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "include/cpuid.h"

// ---- Integer rows (rows.def) ----

enum shape {
    RM = 1,           // modrm: register or memory
    BYTE = 2,         // operand width 8
    WORD = 4,         // 16, 32 or 64: prefix 66, REX.W
    DWORD = 8,        // 32 or 64: REX.W
    IMM8 = 0x10,      // immediate of 8 bits,
    IMMZ = 0x20,      // 16 or 32,
    IMMV = 0x40,      // 16, 32 or 64,
    IMM24 = 0x80,     // 16 and 8 (enter)
    MOFFS = 0x100,    // an absolute address
    PLUS_REG = 0x200, // register in the opcode
    MEM_ONLY = 0x400,
    LOCKS = 0x800, // lock is allowed where the destination is memory
    REPEATS = 0x1000,
    NO_VVVV = 0x2000,  // VEX without a third operand
    REG_ONLY = 0x4000, // modrm names a register
    FIXED = 0x8000,    // modrm is `rm` of the row
};

enum special {
    PLAIN,
    ADX,
    MOVBE,
    BMI1,
    BMI2,
    LZCNT,
    POPCNT,
    CRC32, // need a feature of the host
    SHIFT,
    DOUBLE_SHIFT,
    DIVIDE,
    BIT_OFFSET,
    BEXTR,
    COMPARE_EXCHANGE,
    PAIR_EXCHANGE,
    XLAT,
    STACK,
    POPF,
    ENTER_,
    LEAVE_,
    STRING,
    SEGMENT_BASE,
    CLFLUSHOPT, // need a feature, too
    CLWB,
    HINT, // the memory operand is not accessed, or not as one
};

enum opcode_map { MAP_NONE, MAP_0F, MAP_0F38, MAP_0F3A, MAP_VEX38, MAP_VEX3A };

// ---- Vector and x87 rows (rows_vector.def, rows_x87.def) ----

enum operand_of {
    OF_N,
    OF_X,
    OF_M,
    OF_G,
    OF_XR,
    OF_MR,
    OF_GR,
    OF_XM,
    OF_MM,
    OF_GM,
    OF_O,
    OF_V,
    OF_ST,
    OF_NONE,
    OF_FIXED
};

enum form {
    IMM = 1,
    NDS = 2,
    W0 = 4,
    W1 = 8,
    L0 = 0x10,
    L1 = 0x20,
    FULL = 0x40,
    ALONE = 0x80,       // no modrm
    RDI_ = 0x100,       // memory at rdi
    MXCSR_ = 0x200,     // memory holds an MXCSR
    LENGTHS = 0x400,    // rax and rdx are lengths
    WIDE_INDEX = 0x800, // a gather with indices of 64 bits
    IMAGE = 0x1000,     // memory holds the state of FXSAVE or XSAVE
    STORES = 0x2000,    // ... or is to
};

enum data {
    DATA_INT,
    DATA_SHORT,
    DATA_F16,
    DATA_F32,
    DATA_F64,
    DATA_F80,
    DATA_DECIMAL,
    DATA_CONTROL,
    DATA_ENVIRONMENT,
    DATA_POINTERS
};

enum need {
    NEED_NO,
    NEED_BASE,
    NEED_FPU,
    NEED_MMX,
    NEED_FXSR,
    NEED_SSE,
    NEED_SSE2,
    NEED_SSE3,
    NEED_SSSE3,
    NEED_SSE41,
    NEED_SSE42,
    NEED_AES,
    NEED_SHA,
    NEED_PCLMUL,
    NEED_XSAVE,
    NEED_AVX,
    NEED_AVX2,
    NEED_AVX_INT, // AVX with 128 bits, AVX2 with 256
    NEED_AVX_AES,
    NEED_AVX_PCLMUL,
    NEED_FMA,
    NEED_F16C,
    NEED_ADX,
    NEED_MOVBE,
    NEED_BMI1,
    NEED_BMI2,
    NEED_LZCNT,
    NEED_POPCNT,
    NEED_FSGSBASE,
    NEED_CLFLUSHOPT,
    NEED_CLWB,
    NEEDS
};

enum row_set { SET_INTEGER, SET_VECTOR, SET_X87 };

struct row {
    const char *name;
    uint8_t set, map, prefix, opcode;
    int8_t ext;
    uint16_t shape;
    uint8_t special;
    uint32_t undefined; // flags; x87: bits of the status word
    uint8_t reg, rm, fixed;
    uint16_t bytes, form;
    uint8_t data, need, vex_need; // enum data; enum need of the legacy and the VEX form
};

extern const struct row rows[];
extern const unsigned rows_count, rows_integer, rows_vector, rows_x87; // in this order, and how many of each

// Whether the host has what the row needs in that form, and a guest is told that it has.
bool host_has(enum need need);
bool guest_has(enum need need, const struct cpuid_table *table);
const char *need_name(enum need need);
// Sets in a guest's table all bits that rows ask for and the host has: engines shall do what they can before CPUID
// announces it.
void announce_all(struct cpuid_leaf *leaves, unsigned count);

// What cases are counted under that have no row of their own: they follow the rows.
enum { KIND_SEQUENCE, KIND_FLOW, KIND_STRAY, KIND_PRIVILEGED, KINDS }; // the last one for no host
enum { MOST_ROWS = 2048 };
const char *row_label(unsigned row, char *out, unsigned size); // "addps 0F 58"

#endif

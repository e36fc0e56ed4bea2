// SPDX-License-Identifier: BSD-2-Clause
// The emitter's pieces: the few host instructions that translated code needs besides the guest's own. Opcodes are those
// of SDM vol. 2. Nothing here changes flags but put_cmp_imm.
#include "engines/bt/code.h"

#include <assert.h>
#include <string.h>

enum { NEAR_END = 64 }; // a buffer counts as full when less than this is left

enum { REX_W = 0x48, REX_R = 0x04, REX_X = 0x02, REX_B = 0x01, REX = 0x40 };

static bool has_room(struct code *code)
{
    if (code->end - code->at < NEAR_END)
        code->full = true;
    return !code->full;
}

void put_bytes(struct code *code, const void *bytes, unsigned n)
{
    assert(n <= NEAR_END);
    if (!has_room(code))
        return;
    memcpy(code->at, bytes, n);
    code->at += n;
}

static int32_t distance(const uint8_t *from, const void *to)
{
    int64_t d = (int64_t)((uintptr_t)to - (uintptr_t)from);
    assert(d == (int32_t)d);
    return (int32_t)d;
}

// One host instruction under construction.
struct assembly {
    uint8_t n;
    uint8_t byte[16];
};

static void add(struct assembly *a, uint8_t byte)
{
    a->byte[a->n++] = byte;
}

static void add_value(struct assembly *a, uint64_t value, unsigned size)
{
    memcpy(a->byte + a->n, &value, size); // the host is little-endian
    a->n += (uint8_t)size;
}

static void put(struct code *code, const struct assembly *a)
{
    put_bytes(code, a->byte, a->n);
}

// mod 00, rm 101: disp32 relative to the instruction's end, which is `behind` bytes after the displacement.
static void add_cell(struct assembly *a, const struct code *code, unsigned reg, const void *cell, unsigned behind)
{
    add(a, (uint8_t)((reg & 7) << 3 | 5));
    add_value(a, (uint32_t)distance(code->at + a->n + 4 + behind, cell), 4);
}

void put_mov_reg_imm(struct code *code, unsigned reg, uint64_t imm)
{
    struct assembly a = {0};
    uint8_t b = reg >= 8 ? REX_B : 0;
    if (imm == (uint32_t)imm) {
        if (b)
            add(&a, REX | b);
        add(&a, (uint8_t)(0xb8 | (reg & 7)));
        add_value(&a, imm, 4);
    } else if (imm == (uint64_t)(int32_t)imm) {
        add(&a, REX_W | b);
        add(&a, 0xc7);
        add(&a, (uint8_t)(0xc0 | (reg & 7)));
        add_value(&a, imm, 4);
    } else {
        add(&a, REX_W | b);
        add(&a, (uint8_t)(0xb8 | (reg & 7)));
        add_value(&a, imm, 8);
    }
    put(code, &a);
}

static void put_mov_cell(struct code *code, uint8_t opcode, unsigned reg, const void *cell)
{
    struct assembly a = {0};
    add(&a, (uint8_t)(REX_W | (reg >= 8 ? REX_R : 0)));
    add(&a, opcode);
    add_cell(&a, code, reg, cell, 0);
    put(code, &a);
}

void put_store(struct code *code, const void *cell, unsigned reg)
{
    put_mov_cell(code, 0x89, reg, cell);
}

void put_load(struct code *code, unsigned reg, const void *cell)
{
    put_mov_cell(code, 0x8b, reg, cell);
}

void put_store_imm(struct code *code, const void *cell, unsigned size, int32_t imm)
{
    assert(size == 1 || size == 4 || size == 8);
    struct assembly a = {0};
    unsigned width = size == 1 ? 1 : 4;
    if (size == 8)
        add(&a, REX_W);
    add(&a, size == 1 ? 0xc6 : 0xc7);
    add_cell(&a, code, 0, cell, width);
    add_value(&a, (uint32_t)imm, width);
    put(code, &a);
}

void put_cmp_imm(struct code *code, const void *cell, unsigned size, int8_t imm)
{
    assert(size == 1 || size == 4 || size == 8);
    struct assembly a = {0};
    if (size == 8)
        add(&a, REX_W);
    add(&a, size == 1 ? 0x80 : 0x83);
    add_cell(&a, code, 7, cell, 1);
    add(&a, (uint8_t)imm);
    put(code, &a);
}

void put_lea_sum(struct code *code, unsigned dst, unsigned base, unsigned index, int32_t disp)
{
    assert(index != RSP);
    bool short_disp = disp == (int8_t)disp;
    bool sib = index != X86_NO_REG || (base & 7) == 4;
    unsigned mod = disp == 0 && (base & 7) != 5 ? 0 : short_disp ? 1 : 2;
    unsigned x = index == X86_NO_REG ? 4 : index;
    struct assembly a = {0};
    add(&a, (uint8_t)(REX_W | (dst >= 8 ? REX_R : 0) | (x >= 8 ? REX_X : 0) | (base >= 8 ? REX_B : 0)));
    add(&a, 0x8d);
    add(&a, (uint8_t)(mod << 6 | (dst & 7) << 3 | (sib ? 4 : base & 7)));
    if (sib)
        add(&a, (uint8_t)((x & 7) << 3 | (base & 7)));
    if (mod)
        add_value(&a, (uint32_t)disp, mod == 1 ? 1 : 4);
    put(code, &a);
}

void put_mov_reg(struct code *code, unsigned dst, unsigned src)
{
    uint8_t rex = (uint8_t)(REX_W | (src >= 8 ? REX_R : 0) | (dst >= 8 ? REX_B : 0));
    put_bytes(code, (uint8_t[]){rex, 0x89, (uint8_t)(0xc0 | (src & 7) << 3 | (dst & 7))}, 3);
}

void put_lea_cell(struct code *code, unsigned reg, const void *cell)
{
    put_mov_cell(code, 0x8d, reg, cell);
}

void put_movzx(struct code *code, unsigned dst, unsigned src, unsigned size)
{
    assert(size == 1 || size == 2);
    uint8_t rex = (uint8_t)(REX | (dst >= 8 ? REX_R : 0) | (src >= 8 ? REX_B : 0));
    uint8_t modrm = (uint8_t)(0xc0 | (dst & 7) << 3 | (src & 7));
    put_bytes(code, (uint8_t[]){rex, 0x0f, size == 1 ? 0xb6 : 0xb7, modrm}, 4);
}

// VEX of three bytes (SDM vol. 2, 2.3.5): R, X and B are inverted, as is the register in vvvv.
static void add_vex(struct assembly *a, unsigned map, unsigned reg, unsigned rm, unsigned vvvv, unsigned prefix)
{
    add(a, 0xc4);
    add(a, (uint8_t)((reg >= 8 ? 0 : 0x80) | 0x40 | (rm >= 8 ? 0 : 0x20) | map));
    add(a, (uint8_t)(0x80 | (~vvvv & 15) << 3 | prefix));
}

void put_rorx(struct code *code, unsigned dst, unsigned src, unsigned count)
{
    struct assembly a = {0};
    add_vex(&a, 3, dst, src, 0, 3);
    add(&a, 0xf0);
    add(&a, (uint8_t)(0xc0 | (dst & 7) << 3 | (src & 7)));
    add(&a, (uint8_t)count);
    put(code, &a);
}

void put_shrx(struct code *code, unsigned dst, unsigned src, unsigned count_reg)
{
    struct assembly a = {0};
    add_vex(&a, 2, dst, src, count_reg, 3);
    add(&a, 0xf7);
    add(&a, (uint8_t)(0xc0 | (dst & 7) << 3 | (src & 7)));
    put(code, &a);
}

void put_load_indexed(struct code *code, unsigned dst, uint32_t at, unsigned index)
{
    struct assembly a = {0};
    unsigned x = index == X86_NO_REG ? 4 : index;
    assert(index != RSP && at <= INT32_MAX);
    add(&a, (uint8_t)(REX_W | (dst >= 8 ? REX_R : 0) | (x >= 8 ? REX_X : 0)));
    add(&a, 0x8b);
    add(&a, (uint8_t)((dst & 7) << 3 | 4));
    add(&a, (uint8_t)((index == X86_NO_REG ? 0 : 3 << 6) | (x & 7) << 3 | 5)); // no base, disp32
    add_value(&a, at, 4);
    put(code, &a);
}

static void put_branch(struct code *code, struct assembly *a, const void *to)
{
    add_value(a, (uint32_t)distance(code->at + a->n + 4, to), 4);
    put(code, a);
}

void put_jmp(struct code *code, const void *to)
{
    put_branch(code, &(struct assembly){.n = 1, .byte = {0xe9}}, to);
}

void put_jcc(struct code *code, unsigned cc, const void *to)
{
    put_branch(code, &(struct assembly){.n = 2, .byte = {0x0f, (uint8_t)(0x80 | cc)}}, to);
}

void put_call(struct code *code, const void *to)
{
    put_branch(code, &(struct assembly){.n = 1, .byte = {0xe8}}, to);
}

void put_jmp_cell(struct code *code, const void *cell)
{
    struct assembly a = {.n = 1, .byte = {0xff}};
    add_cell(&a, code, 4, cell, 0);
    put(code, &a);
}

void patch_rel32(uint8_t *field, const void *to)
{
    int32_t rel = distance(field + 4, to);
    memcpy(field, &rel, sizeof rel);
}

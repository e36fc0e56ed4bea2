// SPDX-License-Identifier: BSD-2-Clause
// String instructions in C: movs stos lods cmps scas, alone and repeated, and xlat (SDM vol. 2, under each name and
// REP). Registers are brought up to date element by element, or chunk by chunk within pages of plain RAM, so a fault
// or an interrupt in the middle finds them as the manual says, and the instruction goes on from there.
#include <string.h>

#include "engines/bt/emulations.h"
#include "engines/bt/segment.h"

// ---- Addresses: the source in ds or an override, the destination in es, whose base is 0 ----

static unsigned element_size(const struct insn *in)
{
    return in->op[0].size;
}

uint64_t string_source(struct bt *bt, const struct insn *in, const struct x86_operand *o, unsigned size)
{
    uint64_t offset = index_reg(bt, in, RSI);
    if (in->mode != X86_CODE64)
        return segment_linear(bt, o->mem.seg, offset, size, false);
    return offset + bt->seg_base[o->mem.seg];
}

uint64_t string_destination(struct bt *bt, const struct insn *in, unsigned size, bool write)
{
    uint64_t offset = index_reg(bt, in, RDI);
    return in->mode != X86_CODE64 ? segment_linear(bt, SEG_ES, offset, size, write) : offset;
}

static uint64_t source(struct bt *bt, const struct insn *in)
{
    const struct x86_operand *o = in->op[0].kind == OPERAND_MEM && in->op[0].mem.base == RSI ? &in->op[0] : &in->op[1];
    return string_source(bt, in, o, element_size(in));
}

// Where movs and stos write; scas and cmps only read there.
static uint64_t destination(struct bt *bt, const struct insn *in)
{
    return string_destination(bt, in, element_size(in),
                              in->opcode[0] < 0xa6 || in->opcode[0] == 0xaa || in->opcode[0] == 0xab);
}

// ---- One element ----

static void movs_one(struct bt *bt, const struct insn *in)
{
    unsigned size = element_size(in);
    uint64_t value = mem_read(bt, source(bt, in), size, false);
    mem_write(bt, destination(bt, in), size, value, false);
    advance(bt, in, RSI, stride(bt, size));
    advance(bt, in, RDI, stride(bt, size));
}

static void stos_one(struct bt *bt, const struct insn *in)
{
    unsigned size = element_size(in);
    mem_write(bt, destination(bt, in), size, reg_read(bt, RAX, size), false);
    advance(bt, in, RDI, stride(bt, size));
}

static void lods_one(struct bt *bt, const struct insn *in)
{
    unsigned size = element_size(in);
    reg_write(bt, RAX, size, mem_read(bt, source(bt, in), size, false));
    advance(bt, in, RSI, stride(bt, size));
}

// The two comparisons give their operands: the flags are those of *a - *b.
typedef void compare_fn(struct bt *bt, const struct insn *in, uint64_t *a, uint64_t *b);

static void cmps_one(struct bt *bt, const struct insn *in, uint64_t *a, uint64_t *b)
{
    unsigned size = element_size(in);
    uint64_t x = mem_read(bt, source(bt, in), size, false), y = mem_read(bt, destination(bt, in), size, false);
    *a = x, *b = y;
    advance(bt, in, RSI, stride(bt, size));
    advance(bt, in, RDI, stride(bt, size));
}

static void scas_one(struct bt *bt, const struct insn *in, uint64_t *a, uint64_t *b)
{
    unsigned size = element_size(in);
    *b = mem_read(bt, destination(bt, in), size, false);
    *a = reg_read(bt, RAX, size);
    advance(bt, in, RDI, stride(bt, size));
}

static void set_sub_flags(struct bt *bt, uint64_t a, uint64_t b, unsigned size)
{
    unsigned top = 8 * size - 1;
    uint64_t r = (a - b) & (UINT64_MAX >> (63 - top));
    uint64_t f = bt->flags & FLAG_DF;
    f |= a < b ? FLAG_CF : 0;
    f |= r == 0 ? FLAG_ZF : 0;
    f |= r >> top & 1 ? FLAG_SF : 0;
    f |= ((a ^ b) & (a ^ r)) >> top & 1 ? FLAG_OF : 0;
    f |= (a ^ b ^ r) & FLAG_AF;
    f |= __builtin_parity((unsigned)r & 0xff) ? 0 : FLAG_PF;
    bt->flags = f;
}

// ---- Many elements at once: upwards, as many of n as lie whole in one page of plain RAM; 0 where that cannot be ----

static uint64_t whole_elements(uint64_t va, uint64_t n, unsigned size)
{
    uint64_t room = (GUEST_PAGE_SIZE - va % GUEST_PAGE_SIZE) / size;
    return n < room ? n : room;
}

// A 32-bit address may wrap. Under TF each element is a step of its own, and under AC each may be unaligned.
static bool chunk_possible(const struct bt *bt, const struct insn *in)
{
    bool element_wise = (bt->rflags & FLAG_TF) || (bt->cpl == 3 && (bt->rflags & FLAG_AC));
    return !(bt->flags & FLAG_DF) && in->addr_size == 8 && !element_wise;
}

// Copies as elements in ascending order do: where the destination begins inside the source, what was just written is
// read again.
static void copy_up(uint8_t *to, const uint8_t *from, uint64_t bytes, unsigned size)
{
    if ((uintptr_t)to - (uintptr_t)from >= bytes) {
        memmove(to, from, bytes);
        return;
    }
    for (uint64_t i = 0; i < bytes; i += size) {
        uint64_t element;
        memcpy(&element, from + i, size);
        memcpy(to + i, &element, size);
    }
}

static uint64_t movs_chunk(struct bt *bt, const struct insn *in, uint64_t n)
{
    unsigned size = element_size(in);
    uint64_t from = source(bt, in), to = destination(bt, in);
    n = whole_elements(to, whole_elements(from, n, size), size);
    if (n == 0)
        return 0;
    unsigned bytes = (unsigned)n * size;
    const uint8_t *s = mem_plain(bt, from, bytes, false);
    uint8_t *d = s ? mem_plain(bt, to, bytes, true) : NULL;
    if (!d)
        return 0;
    copy_up(d, s, bytes, size);
    advance(bt, in, RSI, bytes);
    advance(bt, in, RDI, bytes);
    return n;
}

static void fill(uint8_t *to, unsigned bytes, uint64_t pattern)
{
    if (pattern == (uint8_t)pattern * (UINT64_MAX / 0xff)) { // commonly 0
        memset(to, (int)(uint8_t)pattern, bytes);
        return;
    }
    for (unsigned i = 0; i < bytes; i += 8)
        memcpy(to + i, &pattern, bytes - i < 8 ? bytes - i : 8);
}

static uint64_t stos_chunk(struct bt *bt, const struct insn *in, uint64_t n)
{
    unsigned size = element_size(in);
    uint64_t to = destination(bt, in);
    n = whole_elements(to, n, size);
    unsigned bytes = (unsigned)n * size;
    uint8_t *d = n ? mem_plain(bt, to, bytes, true) : NULL;
    if (!d)
        return 0;
    uint64_t pattern = reg_read(bt, RAX, size) * (size == 8 ? 1 : UINT64_MAX / (UINT64_MAX >> (64 - 8 * size)));
    fill(d, bytes, pattern);
    advance(bt, in, RDI, bytes);
    return n;
}

// ---- The instructions ----
// bt->rip moves on only when the instruction is complete; stopped in the middle, it is what goes on later.

typedef uint64_t chunk_fn(struct bt *bt, const struct insn *in, uint64_t n);

static void transfer(struct bt *bt, const struct insn *in, emulate_fn *one, chunk_fn *chunk)
{
    if (!in->rep && !in->repne) {
        one(bt, in);
        bt_next(bt, in);
        return;
    }
    for (uint64_t n; (n = index_reg(bt, in, RCX)) != 0;) {
        uint64_t done = chunk && chunk_possible(bt, in) ? chunk(bt, in, n) : 0;
        if (done == 0) {
            one(bt, in);
            done = 1;
        }
        advance(bt, in, RCX, -done);
        if (done < n && repeat_stops(bt))
            return;
    }
    bt_next(bt, in);
}

// Repeated, until the count is 0 or ZF is not what the prefix asks for. A fault in the middle leaves the flags as they
// were before (SDM vol. 2, REP), so they are set at the end.
static void compare(struct bt *bt, const struct insn *in, compare_fn *one)
{
    uint64_t a, b, left = 0;
    bool go_on = false;
    if (!in->rep && !in->repne) {
        one(bt, in, &a, &b);
    } else {
        if (index_reg(bt, in, RCX) == 0) {
            bt_next(bt, in);
            return;
        }
        do {
            one(bt, in, &a, &b);
            advance(bt, in, RCX, -1ull);
            left = index_reg(bt, in, RCX);
            go_on = left != 0 && (a == b) == !in->repne;
        } while (go_on && !repeat_stops(bt));
    }
    set_sub_flags(bt, a, b, element_size(in));
    if (!go_on)
        bt_next(bt, in);
}

void emulate_movs(struct bt *bt, const struct insn *in)
{
    transfer(bt, in, movs_one, movs_chunk);
}

void emulate_stos(struct bt *bt, const struct insn *in)
{
    transfer(bt, in, stos_one, stos_chunk);
}

void emulate_lods(struct bt *bt, const struct insn *in)
{
    transfer(bt, in, lods_one, NULL);
}

void emulate_cmps(struct bt *bt, const struct insn *in)
{
    compare(bt, in, cmps_one);
}

void emulate_scas(struct bt *bt, const struct insn *in)
{
    compare(bt, in, scas_one);
}

// al = [rbx + al] (SDM vol. 2, XLAT)
void emulate_xlat(struct bt *bt, const struct insn *in)
{
    struct x86_operand o = in->op[0];
    o.mem.disp += (uint8_t)bt->gpr[RAX];
    reg_write(bt, RAX, 1, mem_read(bt, effective_address(bt, in, &o), 1, false));
    bt_next(bt, in);
}

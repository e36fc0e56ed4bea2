// SPDX-License-Identifier: BSD-2-Clause
// String instructions: movs stos lods cmps scas, alone and repeated (SDM vol. 2, under each name and REP). Registers
// are brought up to date element by element, or chunk by chunk on the fast path, so a fault or an interrupt in the
// middle finds them as the manual says and the instruction goes on from there.
//
// In every op: aux is the address size (4 or 8), seg the segment of the source. The destination is in es, base 0.
#include <string.h>

#include "engines/interp/fault.h"
#include "engines/interp/flags.h"
#include "engines/interp/forms.h"
#include "engines/interp/simd_args.h"

// ---- Index and count registers by address size ----
INLINE uint64_t index_reg(const struct cpu *c, const struct op *op, unsigned reg)
{
    return op->aux == 4 ? get32(c, reg) : c->gpr[reg];
}
INLINE void set_index_reg(struct cpu *c, const struct op *op, unsigned reg, uint64_t v)
{
    c->gpr[reg] = op->aux == 4 ? (uint32_t)v : v;
}
INLINE void advance(struct cpu *c, const struct op *op, unsigned reg, uint64_t bytes)
{
    set_index_reg(c, op, reg, c->gpr[reg] + bytes);
}
INLINE uint64_t source(const struct cpu *c, const struct op *op)
{
    return index_reg(c, op, RSI) + c->seg_base[op->seg];
}
INLINE uint64_t destination(const struct cpu *c, const struct op *op)
{
    return index_reg(c, op, RDI);
}
INLINE uint64_t stride(const struct cpu *c, unsigned bits) // down where DF is set
{
    return c->rflags & FLAG_DF ? -(uint64_t)(bits / 8) : bits / 8;
}

// The run loop wants its turn: checked between the elements or chunks of a repeated instruction.
INLINE bool attention(const struct cpu *c)
{
    return atomic_load_explicit(&c->limit, memory_order_relaxed) == 0;
}

// ---- One element ----
#define ELEMENT(bits)                                                                                                  \
    INLINE void movs##bits##_one(struct cpu *c, const struct op *op)                                                   \
    {                                                                                                                  \
        store##bits(c, op, destination(c, op), load##bits(c, op, source(c, op)));                                      \
        advance(c, op, RSI, stride(c, bits));                                                                          \
        advance(c, op, RDI, stride(c, bits));                                                                          \
    }                                                                                                                  \
    INLINE void stos##bits##_one(struct cpu *c, const struct op *op)                                                   \
    {                                                                                                                  \
        store##bits(c, op, destination(c, op), c->gpr[RAX]);                                                           \
        advance(c, op, RDI, stride(c, bits));                                                                          \
    }                                                                                                                  \
    INLINE void lods##bits##_one(struct cpu *c, const struct op *op)                                                   \
    {                                                                                                                  \
        uint##bits##_t m = load##bits(c, op, source(c, op));                                                           \
        set##bits(c, 0, m); /* al, ax, eax or rax: number 0 in every width */                                          \
        advance(c, op, RSI, stride(c, bits));                                                                          \
    }                                                                                                                  \
    INLINE bool cmps##bits##_one(struct cpu *c, const struct op *op, uint64_t *a, uint64_t *b)                         \
    {                                                                                                                  \
        uint64_t x = load##bits(c, op, source(c, op)), y = load##bits(c, op, destination(c, op));                      \
        *a = x, *b = y;                                                                                                \
        advance(c, op, RSI, stride(c, bits));                                                                          \
        advance(c, op, RDI, stride(c, bits));                                                                          \
        return x == y;                                                                                                 \
    }                                                                                                                  \
    INLINE bool scas##bits##_one(struct cpu *c, const struct op *op, uint64_t *a, uint64_t *b)                         \
    {                                                                                                                  \
        *b = load##bits(c, op, destination(c, op));                                                                    \
        *a = (uint##bits##_t)c->gpr[RAX];                                                                              \
        advance(c, op, RDI, stride(c, bits));                                                                          \
        return *a == *b;                                                                                               \
    }
ELEMENT(8)
ELEMENT(16)
ELEMENT(32)
ELEMENT(64)

// ---- Many elements at once: as many of n as lie whole in one page, upwards, in RAM; 0 where that cannot be ----
INLINE uint64_t room(uint64_t va, uint64_t bytes)
{
    uint64_t left = GUEST_PAGE_SIZE - va % GUEST_PAGE_SIZE;
    return left < bytes ? left : bytes;
}

// A 32-bit address that wraps goes on elsewhere; 4 GiB is a page boundary, but not behind a segment base. Single steps
// trap after each element.
INLINE bool chunk_possible(const struct cpu *c, const struct op *op)
{
    return !(c->rflags & (FLAG_DF | FLAG_TF)) && (op->aux == 8 || op->seg == X86_NO_SEG);
}

// Copies as elements in ascending order do: where the destination begins inside the source, what was just written is
// read again.
#define COPY(bits)                                                                                                     \
    static void copy_up##bits(void *to, const void *from, uint64_t bytes)                                              \
    {                                                                                                                  \
        if ((uintptr_t)to - (uintptr_t)from >= bytes) {                                                                \
            memmove(to, from, bytes);                                                                                  \
            return;                                                                                                    \
        }                                                                                                              \
        u##bits##a *d = to;                                                                                            \
        const u##bits##a *s = from;                                                                                    \
        for (uint64_t i = 0; i < bytes / (bits / 8); i++)                                                              \
            d[i] = s[i];                                                                                               \
    }                                                                                                                  \
    static void fill_up##bits(void *to, uint##bits##_t value, uint64_t bytes)                                          \
    {                                                                                                                  \
        u##bits##a *d = to;                                                                                            \
        for (uint64_t i = 0; i < bytes / (bits / 8); i++)                                                              \
            d[i] = value;                                                                                              \
    }                                                                                                                  \
    static uint64_t movs##bits##_chunk(struct cpu *c, const struct op *op, uint64_t n)                                 \
    {                                                                                                                  \
        uint64_t from = source(c, op), to = destination(c, op);                                                        \
        uint64_t count = n < GUEST_PAGE_SIZE ? n : GUEST_PAGE_SIZE;                                                    \
        uint64_t bytes = room(to, room(from, count * (bits / 8))) & -(uint64_t)(bits / 8);                             \
        if (bytes == 0 || !chunk_possible(c, op))                                                                      \
            return 0;                                                                                                  \
        const void *s = mem_ptr_read(c, from, (unsigned)bytes);                                                        \
        void *d = mem_ptr_write(c, to, (unsigned)bytes);                                                               \
        if (!s || !d)                                                                                                  \
            return 0;                                                                                                  \
        copy_up##bits(d, s, bytes);                                                                                    \
        advance(c, op, RSI, bytes);                                                                                    \
        advance(c, op, RDI, bytes);                                                                                    \
        return bytes / (bits / 8);                                                                                     \
    }                                                                                                                  \
    static uint64_t stos##bits##_chunk(struct cpu *c, const struct op *op, uint64_t n)                                 \
    {                                                                                                                  \
        uint64_t to = destination(c, op);                                                                              \
        uint64_t count = n < GUEST_PAGE_SIZE ? n : GUEST_PAGE_SIZE;                                                    \
        uint64_t bytes = room(to, count * (bits / 8)) & -(uint64_t)(bits / 8);                                         \
        void *d = bytes && chunk_possible(c, op) ? mem_ptr_write(c, to, (unsigned)bytes) : NULL;                       \
        if (!d)                                                                                                        \
            return 0;                                                                                                  \
        fill_up##bits(d, (uint##bits##_t)c->gpr[RAX], bytes);                                                          \
        advance(c, op, RDI, bytes);                                                                                    \
        return bytes / (bits / 8);                                                                                     \
    }                                                                                                                  \
    INLINE uint64_t lods##bits##_chunk(struct cpu *c, const struct op *op, uint64_t n)                                 \
    {                                                                                                                  \
        (void)c, (void)op, (void)n;                                                                                    \
        return 0;                                                                                                      \
    }
COPY(8)
COPY(16)
COPY(32)
COPY(64)

// ---- Handlers: alone; rep: until the count is 0; cmps and scas also until ZF is not as wanted (dst) ----
// A fault in the middle of a repeated comparison leaves the flags as they were before it (SDM vol. 2, REP), so they
// are set at its end.
#define TRANSFER(name, bits)                                                                                           \
    static HANDLER(name##bits##_alone)                                                                                 \
    {                                                                                                                  \
        name##bits##_one(c, op);                                                                                       \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static HANDLER(name##bits##_rep)                                                                                   \
    {                                                                                                                  \
        for (uint64_t n = index_reg(c, op, RCX); n;) {                                                                 \
            uint64_t done = name##bits##_chunk(c, op, n);                                                              \
            if (!done) {                                                                                               \
                name##bits##_one(c, op);                                                                               \
                done = 1;                                                                                              \
            }                                                                                                          \
            n -= done;                                                                                                 \
            set_index_reg(c, op, RCX, n);                                                                              \
            if (n && attention(c))                                                                                     \
                return leave_unfinished(c, op);                                                                        \
        }                                                                                                              \
        NEXT;                                                                                                          \
    }
#define COMPARISON(name, bits)                                                                                         \
    INLINE void name##bits##_compare(struct cpu *c, const struct op *op)                                               \
    {                                                                                                                  \
        uint64_t a, b;                                                                                                 \
        name##bits##_one(c, op, &a, &b);                                                                               \
        flags_sub(c, a, b, a - b, bits);                                                                               \
    }                                                                                                                  \
    static HANDLER(name##bits##_alone)                                                                                 \
    {                                                                                                                  \
        name##bits##_compare(c, op);                                                                                   \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static bool name##bits##_run(struct cpu *c, const struct op *op)                                                   \
    {                                                                                                                  \
        uint64_t a = 0, b = 0, n = index_reg(c, op, RCX);                                                              \
        if (n == 0)                                                                                                    \
            return true;                                                                                               \
        bool go_on;                                                                                                    \
        do {                                                                                                           \
            go_on = name##bits##_one(c, op, &a, &b) == (bool)op->dst;                                                  \
            set_index_reg(c, op, RCX, --n);                                                                            \
        } while (n && go_on && !attention(c));                                                                         \
        flags_sub(c, a, b, a - b, bits);                                                                               \
        return n == 0 || !go_on;                                                                                       \
    }                                                                                                                  \
    static HANDLER(name##bits##_rep)                                                                                   \
    {                                                                                                                  \
        if (!name##bits##_run(c, op))                                                                                  \
            return leave_unfinished(c, op);                                                                            \
        NEXT;                                                                                                          \
    }
#define STRING(bits)                                                                                                   \
    TRANSFER(movs, bits)                                                                                               \
    TRANSFER(stos, bits)                                                                                               \
    TRANSFER(lods, bits)                                                                                               \
    COMPARISON(cmps, bits)                                                                                             \
    COMPARISON(scas, bits)
STRING(8)
STRING(16)
STRING(32)
STRING(64)

// movsd and cmpsd are SSE instructions too, with other opcodes.
static bool is_string_opcode(const struct insn *in)
{
    return in->opcode[0] >= 0xa4 && in->opcode[0] <= 0xaf;
}

bool lower_string(struct lower *l, const struct insn *in, unsigned arg)
{
    static op_fn *const table[][2][4] = {
        [STRING_MOVS] = {SIZES(movs, alone), SIZES(movs, rep)}, [STRING_STOS] = {SIZES(stos, alone), SIZES(stos, rep)},
        [STRING_LODS] = {SIZES(lods, alone), SIZES(lods, rep)}, [STRING_CMPS] = {SIZES(cmps, alone), SIZES(cmps, rep)},
        [STRING_SCAS] = {SIZES(scas, alone), SIZES(scas, rep)},
    };
    if (!is_string_opcode(in))
        return arg == STRING_MOVS ? lower_simd_move(l, in, MOVE_SD) : lower_simd_compare(l, in, SIMD_CMPSD);
    const struct x86_operand *src = in->op[0].mem.base == RSI ? &in->op[0] : &in->op[1];
    struct op *op = emit(l, table[arg][in->rep || in->repne][size_index(in->op[0].size)]);
    op->aux = in->addr_size;
    op->seg = is_mem(src) && src->mem.base == RSI ? src->mem.seg : X86_NO_SEG;
    op->dst = !in->repne; // go on while ZF is this
    return true;
}

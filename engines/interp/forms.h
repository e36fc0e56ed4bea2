// SPDX-License-Identifier: BSD-2-Clause
// Templates of handlers by operand form. A handler with a memory operand is two functions: the fast path, a leaf that
// works through a host pointer, and behind it the slow path for everything else (TLB miss, page crossing, device, page
// with code), which is a tail call away so that the fast path needs no stack frame.
//
// The suffix of a handler's name says its form: r register, m memory, i immediate, c count in cl; the destination
// comes first. The number before it is the operand width in bits.
#ifndef RINGSIDE_INTERP_FORMS_H
#define RINGSIDE_INTERP_FORMS_H

#include "engines/interp/lower.h"
#include "engines/interp/mmu.h"

#define INLINE static inline __attribute__((always_inline))

// Memory is read at `address` as m; the statements do the rest.
#define HANDLER_LOAD_AT(name, bits, address, ...)                                                                      \
    static COLD HANDLER(name##_slow)                                                                                   \
    {                                                                                                                  \
        uint##bits##_t m = (uint##bits##_t)mem_read_slow(c, op, (address), bits / 8);                                  \
        __VA_ARGS__;                                                                                                   \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static HANDLER(name)                                                                                               \
    {                                                                                                                  \
        const u##bits##a *p = mem_ptr_read(c, (address), bits / 8);                                                    \
        if (UNLIKELY(!p))                                                                                              \
            return name##_slow(c, op);                                                                                 \
        uint##bits##_t m = *p;                                                                                         \
        __VA_ARGS__;                                                                                                   \
        NEXT;                                                                                                          \
    }
#define HANDLER_LOAD(name, bits, ...) HANDLER_LOAD_AT(name, bits, ea(c, op), __VA_ARGS__)

// Memory is read at `address` as m, the statements compute r and set flags and registers, r is written back. Reading
// faults as writing would, so nothing can go wrong behind the statements.
#define HANDLER_UPDATE_AT(name, bits, address, ...)                                                                    \
    static COLD HANDLER(name##_slow)                                                                                   \
    {                                                                                                                  \
        uint64_t va = (address), r;                                                                                    \
        uint##bits##_t m = (uint##bits##_t)mem_read_rmw_slow(c, op, va, bits / 8);                                     \
        __VA_ARGS__;                                                                                                   \
        mem_write_slow(c, op, va, bits / 8, r);                                                                        \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static HANDLER(name)                                                                                               \
    {                                                                                                                  \
        u##bits##a *p = mem_ptr_write(c, (address), bits / 8);                                                         \
        if (UNLIKELY(!p))                                                                                              \
            return name##_slow(c, op);                                                                                 \
        uint64_t r;                                                                                                    \
        uint##bits##_t m = *p;                                                                                         \
        __VA_ARGS__;                                                                                                   \
        *p = (uint##bits##_t)r;                                                                                        \
        NEXT;                                                                                                          \
    }
#define HANDLER_UPDATE(name, bits, ...) HANDLER_UPDATE_AT(name, bits, ea(c, op), __VA_ARGS__)

// `value` is written to memory.
#define HANDLER_STORE(name, bits, value)                                                                               \
    static COLD HANDLER(name##_slow)                                                                                   \
    {                                                                                                                  \
        mem_write_slow(c, op, ea(c, op), bits / 8, (value));                                                           \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static HANDLER(name)                                                                                               \
    {                                                                                                                  \
        u##bits##a *p = mem_ptr_write(c, ea(c, op), bits / 8);                                                         \
        if (UNLIKELY(!p))                                                                                              \
            return name##_slow(c, op);                                                                                 \
        *p = (uint##bits##_t)(value);                                                                                  \
        NEXT;                                                                                                          \
    }

// One handler per operand size, for tables that size_index() looks into.
#define SIZES(name, form)                                                                                              \
    {                                                                                                                  \
        name##8_##form, name##16_##form, name##32_##form, name##64_##form                                              \
    }
#define SIZES_16_UP(name, form)                                                                                        \
    {                                                                                                                  \
        NULL, name##16_##form, name##32_##form, name##64_##form                                                        \
    }

static inline bool is_reg(const struct x86_operand *o)
{
    return o->kind == OPERAND_GPR || o->kind == OPERAND_HIGH8;
}
static inline bool is_mem(const struct x86_operand *o)
{
    return o->kind == OPERAND_MEM;
}
static inline bool is_imm(const struct x86_operand *o)
{
    return o->kind == OPERAND_IMM;
}

// The forms of a two-operand instruction.
enum form { FORM_RR, FORM_RI, FORM_RM, FORM_MR, FORM_MI, FORMS };

// An op for `insn a, b` with the handler of its form; registers and immediate are filled in. NULL: no such form.
static inline struct op *emit_two(struct lower *l, const struct insn *in, op_fn *const fns[FORMS])
{
    const struct x86_operand *a = &in->op[0], *b = &in->op[1];
    bool to_mem = is_mem(a);
    enum form form = is_reg(b) ? (to_mem ? FORM_MR : FORM_RR) : is_mem(b) ? FORM_RM : (to_mem ? FORM_MI : FORM_RI);
    if (!fns[form] || (!to_mem && !is_reg(a)))
        return NULL;
    struct op *op = form == FORM_RM ? emit_mem(l, fns[form], in, b)
                    : to_mem        ? emit_mem(l, fns[form], in, a)
                                    : emit(l, fns[form]);
    if (is_reg(a))
        op->dst = reg_operand(a);
    if (is_reg(b))
        op->src = reg_operand(b);
    if (is_imm(b))
        op->imm = (int32_t)b->imm;
    return op;
}

// An op for `insn r` or `insn m` by the handler for its kind; the register is in dst.
static inline struct op *emit_one(struct lower *l, const struct insn *in, op_fn *reg_fn, op_fn *mem_fn)
{
    const struct x86_operand *o = &in->op[0];
    if (is_mem(o))
        return emit_mem(l, mem_fn, in, o);
    if (!is_reg(o))
        return NULL;
    struct op *op = emit(l, reg_fn);
    op->dst = reg_operand(o);
    return op;
}

#endif

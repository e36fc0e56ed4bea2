// SPDX-License-Identifier: BSD-2-Clause
// The stack: push pop, pushf popf, enter leave. A non-canonical stack address is #SS (SDM vol. 3, 6.15), which
// op->stack says; where the instruction has a memory operand besides, op->stack is about that one, and stack_read()
// and stack_write() speak for the stack.
#include "engines/interp/stack.h"
#include "engines/interp/fault.h"
#include "engines/interp/flags.h"
#include "engines/interp/forms.h"

// Not inlined: a copy on a handler's own stack frame would stand in the way of its tail call.
static COLD uint64_t stack_read(struct cpu *c, const struct op *op, uint64_t va, unsigned size)
{
    struct op stack_op = *op;
    stack_op.stack = true;
    return mem_read_slow(c, &stack_op, va, size);
}

static COLD void stack_write(struct cpu *c, const struct op *op, uint64_t va, unsigned size, uint64_t value)
{
    struct op stack_op = *op;
    stack_op.stack = true;
    mem_write_slow(c, &stack_op, va, size, value);
}

// ---- push: rsp -= size, [rsp] = value; push rsp pushes the old rsp (SDM vol. 2, PUSH) ----
#define HANDLER_PUSH(name, bits, value)                                                                                \
    static COLD HANDLER(name##_slow)                                                                                   \
    {                                                                                                                  \
        stack_write(c, op, c->gpr[RSP] - bits / 8, bits / 8, (value));                                                 \
        c->gpr[RSP] -= bits / 8;                                                                                       \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static HANDLER(name)                                                                                               \
    {                                                                                                                  \
        uint64_t rsp = c->gpr[RSP] - bits / 8;                                                                         \
        u##bits##a *p = mem_ptr_write(c, rsp, bits / 8);                                                               \
        if (UNLIKELY(!p))                                                                                              \
            return name##_slow(c, op);                                                                                 \
        *p = (uint##bits##_t)(value);                                                                                  \
        c->gpr[RSP] = rsp;                                                                                             \
        NEXT;                                                                                                          \
    }
HANDLER_PUSH(push16_r, 16, get16(c, op->dst))
HANDLER_PUSH(push64_r, 64, get64(c, op->dst))
HANDLER_PUSH(push16_i, 16, (uint64_t)(int64_t)op->imm)
HANDLER_PUSH(push64_i, 64, (uint64_t)(int64_t)op->imm)

// What pushf shows: all of rflags but VM and RF (SDM vol. 2, PUSHF).
#define PUSHED_FLAGS (flags_read(c) & ~(uint64_t)(FLAG_VM | FLAG_RF))
HANDLER_PUSH(pushf16, 16, PUSHED_FLAGS)
HANDLER_PUSH(pushf64, 64, PUSHED_FLAGS)

// push [m] and pop [m]: both addresses by their fast path or neither.
#define STACK_MEM(bits)                                                                                                \
    static COLD HANDLER(push##bits##_m_slow)                                                                           \
    {                                                                                                                  \
        uint64_t value = mem_read_slow(c, op, ea(c, op), bits / 8);                                                    \
        stack_write(c, op, c->gpr[RSP] - bits / 8, bits / 8, value);                                                   \
        c->gpr[RSP] -= bits / 8;                                                                                       \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static HANDLER(push##bits##_m)                                                                                     \
    {                                                                                                                  \
        const u##bits##a *from = mem_ptr_read(c, ea(c, op), bits / 8);                                                 \
        u##bits##a *to = mem_ptr_write(c, c->gpr[RSP] - bits / 8, bits / 8);                                           \
        if (UNLIKELY(!from || !to))                                                                                    \
            return push##bits##_m_slow(c, op);                                                                         \
        *to = *from;                                                                                                   \
        c->gpr[RSP] -= bits / 8;                                                                                       \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static COLD HANDLER(pop##bits##_m_slow)                                                                            \
    {                                                                                                                  \
        uint64_t value = stack_read(c, op, c->gpr[RSP], bits / 8);                                                     \
        mem_write_slow(c, op, ea(c, op), bits / 8, value);                                                             \
        c->gpr[RSP] += bits / 8;                                                                                       \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static HANDLER(pop##bits##_m)                                                                                      \
    {                                                                                                                  \
        const u##bits##a *from = mem_ptr_read(c, c->gpr[RSP], bits / 8);                                               \
        u##bits##a *to = mem_ptr_write(c, ea(c, op), bits / 8);                                                        \
        if (UNLIKELY(!from || !to))                                                                                    \
            return pop##bits##_m_slow(c, op);                                                                          \
        *to = *from;                                                                                                   \
        c->gpr[RSP] += bits / 8;                                                                                       \
        NEXT;                                                                                                          \
    }
STACK_MEM(16)
STACK_MEM(64)

// ---- pop: value = [rsp], rsp += size, dst = value (SDM vol. 2, POP) ----
#define HANDLER_POP(bits)                                                                                              \
    static COLD HANDLER(pop##bits##_r_slow)                                                                            \
    {                                                                                                                  \
        uint64_t value = stack_read(c, op, c->gpr[RSP], bits / 8);                                                     \
        c->gpr[RSP] += bits / 8;                                                                                       \
        set##bits(c, op->dst, value);                                                                                  \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static HANDLER(pop##bits##_r)                                                                                      \
    {                                                                                                                  \
        uint64_t rsp = c->gpr[RSP];                                                                                    \
        const u##bits##a *p = mem_ptr_read(c, rsp, bits / 8);                                                          \
        if (UNLIKELY(!p))                                                                                              \
            return pop##bits##_r_slow(c, op);                                                                          \
        uint##bits##_t value = *p;                                                                                     \
        c->gpr[RSP] = rsp + bits / 8;                                                                                  \
        set##bits(c, op->dst, value);                                                                                  \
        NEXT;                                                                                                          \
    }
HANDLER_POP(16)
HANDLER_POP(64)

// Stack operands have 8 bytes, with prefix 66 and no REX.W 2; there is no 4-byte form in 64-bit mode.
static bool is_short(const struct insn *in)
{
    return in->opsize && !in->rex_w;
}

bool lower_push(struct lower *l, const struct insn *in, unsigned arg)
{
    const struct x86_operand *o = &in->op[0];
    bool w16 = is_short(in);
    (void)arg;
    if (o->kind == OPERAND_SEG)
        return lower_push_seg(l, in, 0);
    if (is_imm(o)) {
        emit(l, w16 ? push16_i : push64_i)->imm = (int32_t)o->imm;
        return true;
    }
    return emit_one(l, in, w16 ? push16_r : push64_r, w16 ? push16_m : push64_m) != NULL;
}

// pop [rsp + d] computes its address with the rsp behind the pop (SDM vol. 2, POP).
static struct insn pop_from_new_rsp(const struct insn *in, unsigned size)
{
    struct insn moved = *in;
    if (is_mem(&in->op[0])) {
        struct x86_operand *o = &moved.op[0];
        o->mem.disp += o->mem.base == RSP ? (int)size : 0;
    }
    return moved;
}

bool lower_pop(struct lower *l, const struct insn *in, unsigned arg)
{
    bool w16 = is_short(in);
    (void)arg;
    if (in->op[0].kind == OPERAND_SEG)
        return lower_pop_seg(l, in, 0);
    struct insn moved = pop_from_new_rsp(in, w16 ? 2 : 8);
    return emit_one(l, &moved, w16 ? pop16_r : pop64_r, w16 ? pop16_m : pop64_m) != NULL;
}

// ---- pushf, popf (SDM vol. 2, POPF, table 4-16 for IOPL and IF; VM, VIF and VIP never change) ----
bool lower_pushf(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)arg;
    emit(l, is_short(in) ? pushf16 : pushf64);
    return true;
}

static uint64_t popf_mask(const struct cpu *c, bool w16)
{
    uint64_t mask = FLAGS_ARITH | FLAG_TF | FLAG_DF | FLAG_NT;
    if (!w16)
        mask |= FLAG_AC | FLAG_ID;
    if (c->cpl == 0)
        mask |= FLAG_IOPL;
    if (c->cpl <= (c->rflags & FLAG_IOPL) >> 12)
        mask |= FLAG_IF;
    return mask;
}

bool stack_set_flags(struct cpu *c, uint64_t value, bool w16)
{
    uint64_t mask = popf_mask(c, w16), old = flags_read(c);
    uint64_t flags = (old & ~mask & ~(uint64_t)FLAG_RF) | (value & mask);
    flags_load_arith(c, flags);
    c->rflags = flags & ~(uint64_t)(FLAGS_ARITH | FLAG_FIXED1);
    if ((old ^ flags) & FLAG_AC)
        mmu_mode_changed(c);
    return flags & ~old & (FLAG_TF | FLAG_IF);
}

static HANDLER(popf) // aux: size
{
    uint64_t rsp = c->gpr[RSP];
    bool w16 = op->aux == 2;
    uint64_t value = w16 ? load16(c, op, rsp) : load64(c, op, rsp);
    c->gpr[RSP] = rsp + op->aux;
    if (stack_set_flags(c, value, w16))
        return leave(c, op, op_next_rip(c, op));
    NEXT;
}

bool lower_popf(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)arg;
    struct op *op = emit(l, popf);
    op->aux = is_short(in) ? 2 : 8;
    op->stack = true;
    return true;
}

// ---- enter size, level (SDM vol. 2, ENTER) ----
// push rbp, then level - 1 frame pointers of the outer frames, then the new one; rbp = the new frame; rsp below the
// locals. imm: bytes of locals; aux: level; src: operand size. Registers change last: all of it can fault.
static HANDLER(enter)
{
    unsigned size = op->src, level = op->aux;
    uint64_t rsp = c->gpr[RSP] - size, rbp = c->gpr[RBP], frame = rsp;
    stack_write(c, op, rsp, size, rbp);
    for (unsigned i = 1; i < level; i++) {
        rbp -= size;
        rsp -= size;
        stack_write(c, op, rsp, size, stack_read(c, op, rbp, size));
    }
    if (level) {
        rsp -= size;
        stack_write(c, op, rsp, size, frame);
    }
    rsp -= (uint32_t)op->imm;
    mem_probe_write(c, op, rsp, size);
    c->gpr[RSP] = rsp;
    if (size == 2)
        set16(c, RBP, frame);
    else
        set64(c, RBP, frame);
    NEXT;
}

bool lower_enter(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)arg;
    struct op *op = emit(l, enter);
    op->imm = (int32_t)(in->op[0].imm & 0xffff);
    op->aux = (uint8_t)(in->op[1].imm & 31);
    op->src = is_short(in) ? 2 : 8;
    op->stack = true;
    return true;
}

// ---- leave: rsp = rbp, pop rbp (SDM vol. 2, LEAVE) ----
#define LEAVE(bits)                                                                                                    \
    static COLD HANDLER(leave##bits##_slow)                                                                            \
    {                                                                                                                  \
        uint64_t rbp = c->gpr[RBP];                                                                                    \
        uint64_t value = stack_read(c, op, rbp, bits / 8);                                                             \
        c->gpr[RSP] = rbp + bits / 8;                                                                                  \
        set##bits(c, RBP, value);                                                                                      \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    static HANDLER(leave##bits)                                                                                        \
    {                                                                                                                  \
        uint64_t rbp = c->gpr[RBP];                                                                                    \
        const u##bits##a *p = mem_ptr_read(c, rbp, bits / 8);                                                          \
        if (UNLIKELY(!p))                                                                                              \
            return leave##bits##_slow(c, op);                                                                          \
        uint##bits##_t value = *p;                                                                                     \
        c->gpr[RSP] = rbp + bits / 8;                                                                                  \
        set##bits(c, RBP, value);                                                                                      \
        NEXT;                                                                                                          \
    }
LEAVE(16)
LEAVE(64)

bool lower_leave(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)arg;
    emit(l, is_short(in) ? leave16 : leave64);
    return true;
}

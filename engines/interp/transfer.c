// SPDX-License-Identifier: BSD-2-Clause
// Far transfers: software interrupts, iret, far ret, call and jmp with call gates, syscall and sysret, from and to code
// in every mode.
//
// sysenter and sysexit are #UD, for CPUID does not announce them (SEP): AMD's processors have none in long mode.
// syscall outside 64-bit mode is #UD as on Intel's processors, while AMD's go to CSTAR; the vendor in CPUID is neither,
// and for such KVM has Intel's rule, and Linux takes int 0x80 for 32-bit programs.
#include "engines/interp/block.h"
#include "engines/interp/branch.h"
#include "engines/interp/debug.h"
#include "engines/interp/deliver.h"
#include "engines/interp/fault.h"
#include "engines/interp/flags.h"
#include "engines/interp/insn_args.h"
#include "engines/interp/lower.h"
#include "engines/interp/mmu.h"
#include "engines/interp/segment.h"
#include "engines/interp/window.h"

// ---- Help ----

// The work of a handler with locals whose addresses others see. Were they the handler's own, its jump to the next op
// would be a call, and the stack would grow with each of a guest's returns.
#define WORK __attribute__((noinline))

// Goes on at rip, by way of the run loop where the new flags call for it: single steps, a breakpoint that is held off,
// interrupts that can now be taken.
static const struct op *go_on(struct cpu *c, const struct op *op, uint64_t rip)
{
    bool wanted =
        c->stepping || (c->rflags & (FLAG_TF | FLAG_RF)) || ((c->rflags & FLAG_IF) && c->intr) || c->nmi_pending;
    if (UNLIKELY(wanted))
        return leave(c, op, rip);
    JUMP(rip);
}

static uint64_t load_sized(struct cpu *c, const struct op *op, uint64_t va, unsigned size)
{
    return size == 8 ? load64(c, op, va) : size == 4 ? load32(c, op, va) : load16(c, op, va);
}

static void store_sized(struct cpu *c, const struct op *op, uint64_t va, unsigned size, uint64_t value)
{
    if (size == 8)
        store64(c, op, va, value);
    else if (size == 4)
        store32(c, op, va, value);
    else
        store16(c, op, va, value);
}

// The value of `size` bytes, `at` bytes above the top of the stack.
static uint64_t frame_read(struct cpu *c, const struct op *op, unsigned at, unsigned size)
{
    bool flat = c->mode == X86_CODE64;
    return load_sized(c, op, flat ? c->gpr[RSP] + at : stack_linear(c, op, at, size, false), size);
}

// The stack pointer when `bytes` have been popped. Outside 64-bit mode its upper half is cleared, or kept with SS.B =
// 0.
static uint64_t popped(const struct cpu *c, uint64_t bytes)
{
    if (c->mode == X86_CODE64)
        return c->gpr[RSP] + bytes;
    uint32_t sp = stack_pointer(c, (int64_t)bytes);
    return c->sp_mask == UINT16_MAX ? (c->gpr[RSP] & ~(uint64_t)UINT16_MAX) | sp : sp;
}

// ---- INT n, INT3, INT1 (SDM vol. 2) ----

// int1 is a hardware exception to the gate's privilege check and the error code (SDM vol. 3, 6.3.3 and vol. 2, INT n).
static HANDLER(op_int)
{
    struct cpu_event event = {.vector = (uint8_t)op->imm, .type = op->aux == INT_1 ? EVENT_EXCEPTION : EVENT_SOFTWARE};
    uint64_t rip = deliver_for(c, op, event);
    c->step_trap = false; // it cleared TF
    if (op->aux != INT_N)
        count(c, EV_exceptions);
    return go_on(c, op, rip);
}

bool lower_int(struct lower *l, const struct insn *in, unsigned arg)
{
    struct op *op = emit(l, op_int);
    op->imm = arg == INT_3 ? VEC_BP : arg == INT_1 ? VEC_DB : (int32_t)(in->op[0].imm & 0xff);
    op->aux = (uint8_t)arg;
    l->ends = true;
    return true;
}

static HANDLER(op_into)
{
    if (!flag_of(c))
        FOLLOW(1, op_next_rip(c, op));
    uint64_t rip = deliver_for(c, op, (struct cpu_event){.vector = VEC_OF, .type = EVENT_SOFTWARE});
    c->step_trap = false;
    count(c, EV_exceptions);
    return go_on(c, op, rip);
}

bool lower_into(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)in;
    (void)arg;
    emit(l, op_into);
    emit_links(l, 1);
    return true;
}

// ---- Returns ----

// The code segment that a far return or iret goes to; its RPL is the new CPL.
static struct descriptor return_segment(struct cpu *c, const struct op *op, uint16_t selector)
{
    struct descriptor d = code_descriptor(c, op, selector, 0);
    unsigned rpl = selector & 3, dpl = descriptor_dpl(d.low);
    bool allowed = attr_is_conforming(descriptor_attr(d.low)) ? dpl <= rpl : dpl == rpl;
    if (rpl < c->cpl || !allowed)
        raise_error(c, op, VEC_GP, selector_error(selector));
    code_check_mode(c, op, &d);
    return d;
}

// Data segments that the new, lower privilege may not use become null, and a null selector loses its RPL. FS and GS
// keep their bases, which 64-bit mode goes on using.
static void drop_privileged_segments(struct cpu *c)
{
    static const uint8_t data_segments[] = {SEG_ES, SEG_DS, SEG_FS, SEG_GS};
    for (unsigned i = 0; i < sizeof data_segments; i++) {
        struct segment *s = &c->seg[data_segments[i]];
        bool conforming = attr_is_code(s->attr) && attr_is_conforming(s->attr);
        if (s->unusable || (!conforming && (unsigned)(s->attr & SEG_DPL) >> SEG_DPL_SHIFT < c->cpl))
            *s = segment_null(0, 0);
    }
    segments_changed(c);
}

// With NT set: #GP in long mode, and a switch to the task that was interrupted without it (SDM vol. 3, 8.3).
static _Noreturn void return_to_task(struct cpu *c, const struct op *op)
{
    if (!(c->efer & EFER_LMA))
        raise_engine_error(c, op, "interp: task switches are not supported (iret with NT set)");
    raise_error(c, op, VEC_GP, 0);
}

static uint64_t iret_flags(const struct cpu *c, unsigned size)
{
    uint64_t mask = FLAGS_ARITH | FLAG_TF | FLAG_DF | FLAG_NT;
    if (c->cpl <= (c->rflags & FLAG_IOPL) >> 12)
        mask |= FLAG_IF;
    if (c->cpl == 0)
        mask |= FLAG_IOPL;
    if (size > 2)
        mask |= FLAG_AC | FLAG_ID | (c->cpl == 0 ? FLAG_VIF | FLAG_VIP : 0);
    return mask;
}

// The stack segment that iret goes to, whose part of the frame is not looked at before CS is good.
static struct segment iret_stack(struct cpu *c, const struct op *op, uint64_t frame[5], unsigned cpl)
{
    for (unsigned i = 3; i < 5; i++)
        frame[i] = frame_read(c, op, i * op->aux, op->aux);
    return segment_check_stack(c, op, (uint16_t)frame[4], cpl);
}

// SDM vol. 2, IRET. From 64-bit mode it always pops SS:RSP, else only where the privilege changes. It ends the masking
// of NMIs even where it faults.
static WORK uint64_t iret(struct cpu *c, const struct op *op)
{
    unsigned size = op->aux;
    c->nmi_masked = false;
    if (c->rflags & FLAG_NT)
        return_to_task(c, op);
    uint64_t frame[5]; // rip, cs, rflags, rsp, ss
    bool is_long = c->mode == X86_CODE64;
    for (unsigned i = 0; i < 3; i++)
        frame[i] = frame_read(c, op, i * size, size);

    struct descriptor cs = return_segment(c, op, (uint16_t)frame[1]);
    unsigned cpl = cs.selector & 3;
    bool outer = cpl != c->cpl;
    struct segment ss = is_long || outer ? iret_stack(c, op, frame, cpl) : c->seg[SEG_SS];
    if (!is_long && !outer)
        frame[3] = popped(c, 3 * size);
    code_check_rip(c, op, &cs, frame[0]);
    descriptor_mark(c, op, &cs, SEG_TYPE_ACCESSED);

    flags_load(c, frame[2], iret_flags(c, size));
    if ((c->break_at || c->intr || c->nmi_pending) && size > 2) // else nobody sees RF: the next instruction clears it
        c->rflags |= frame[2] & FLAG_RF;
    code_load(c, &cs, cpl);
    c->seg[SEG_SS] = ss;
    c->gpr[RSP] = frame[3];
    set_cpl(c, cpl);
    if (outer)
        drop_privileged_segments(c);
    return frame[0];
}

static HANDLER(op_iret) // aux: operand size
{
    uint64_t rip = iret(c, op);
    return go_on(c, op, rip);
}

bool lower_iret(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)arg;
    struct op *op = emit(l, op_iret);
    op->aux = in->op_size;
    op->stack = true;
    l->ends = true;
    return true;
}

// SDM vol. 2, RET, far. imm: bytes of parameters to drop, on the inner and on the outer stack.
static WORK uint64_t far_ret(struct cpu *c, const struct op *op)
{
    unsigned size = op->aux, dropped = 2 * size + (unsigned)op->imm;
    uint64_t rip = frame_read(c, op, 0, size);
    uint16_t selector = (uint16_t)frame_read(c, op, size, size);
    uint64_t rsp = popped(c, dropped);

    struct descriptor cs = return_segment(c, op, selector);
    unsigned cpl = selector & 3;
    bool outer = cpl != c->cpl;
    if (outer) {
        uint64_t outer_rsp = frame_read(c, op, dropped, size);
        struct segment ss = segment_check_stack(c, op, (uint16_t)frame_read(c, op, dropped + size, size), cpl);
        code_check_rip(c, op, &cs, rip);
        descriptor_mark(c, op, &cs, SEG_TYPE_ACCESSED);
        c->seg[SEG_SS] = ss;
        rsp = outer_rsp + (uint64_t)op->imm;
    } else {
        code_check_rip(c, op, &cs, rip);
        descriptor_mark(c, op, &cs, SEG_TYPE_ACCESSED);
    }
    c->gpr[RSP] = rsp;
    code_load(c, &cs, cpl);
    set_cpl(c, cpl);
    if (outer)
        drop_privileged_segments(c);
    return rip;
}

static HANDLER(op_far_ret) // aux: operand size
{
    uint64_t rip = far_ret(c, op);
    return go_on(c, op, rip);
}

bool lower_far_ret(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)arg;
    struct op *op = emit(l, op_far_ret);
    op->imm = in->operands ? (int32_t)(in->op[0].imm & 0xffff) : 0;
    op->aux = in->op_size;
    op->stack = true;
    l->ends = true;
    return true;
}

// ---- Far CALL and JMP (SDM vol. 2, CALL and JMP; call gates: vol. 3, 5.8.3 and 5.8.3.1) ----

struct far_target {
    struct descriptor cs;
    uint64_t rip;
    unsigned cpl;
    bool gate;
};

static struct far_target direct_target(struct cpu *c, const struct op *op, struct descriptor d, uint64_t rip)
{
    unsigned dpl = descriptor_dpl(d.low), rpl = d.selector & 3;
    bool allowed = attr_is_conforming(descriptor_attr(d.low)) ? dpl <= c->cpl : dpl == c->cpl && rpl <= c->cpl;
    if (!allowed)
        raise_error(c, op, VEC_GP, selector_error(d.selector));
    code_check_mode(c, op, &d);
    code_check_rip(c, op, &d, rip);
    return (struct far_target){.cs = d, .rip = rip, .cpl = c->cpl};
}

static struct far_target gate_target(struct cpu *c, const struct op *op, struct descriptor gate, bool call)
{
    unsigned attr = descriptor_attr(gate.low), gate_dpl = descriptor_dpl(gate.low);
    if (!(c->efer & EFER_LMA))
        raise_engine_error(c, op, "interp: call gates are not supported outside long mode");
    if (gate_dpl < c->cpl || gate_dpl < (gate.selector & 3u))
        raise_error(c, op, VEC_GP, selector_error(gate.selector));
    if (!(attr & SEG_P))
        raise_error(c, op, VEC_NP, selector_error(gate.selector));
    descriptor_read_high(c, op, &gate);

    struct descriptor cs = code_descriptor(c, op, (uint16_t)(gate.low >> 16), 0);
    unsigned cs_attr = descriptor_attr(cs.low), dpl = descriptor_dpl(cs.low);
    bool conforming = attr_is_conforming(cs_attr);
    bool allowed = conforming || call ? dpl <= c->cpl : dpl == c->cpl;
    if (!allowed || !(cs_attr & SEG_L) || (cs_attr & SEG_DB))
        raise_error(c, op, VEC_GP, selector_error(cs.selector));
    if (!(cs_attr & SEG_P))
        raise_error(c, op, VEC_NP, selector_error(cs.selector));
    uint64_t rip = (gate.low & 0xffff) | ((gate.low >> 32) & 0xffff0000) | (gate.high << 32);
    code_check_rip(c, op, &cs, rip);
    return (struct far_target){.cs = cs, .rip = rip, .cpl = conforming ? c->cpl : dpl, .gate = true};
}

// imm: operand size. The far pointer is in memory, or where aux is FAR_DIRECT in disp: offset, and above it selector.
enum { FAR_MEMORY, FAR_DIRECT };

static struct far_target far_target(struct cpu *c, const struct op *op, bool call)
{
    unsigned size = op->imm;
    bool direct = op->aux == FAR_DIRECT;
    uint64_t va = ea(c, op);
    uint64_t rip = direct ? (uint32_t)op->disp : load_sized(c, op, va, size);
    uint16_t selector = direct ? (uint16_t)(op->disp >> 32) : load16(c, op, va + size);
    if (selector_is_null(selector))
        raise_error(c, op, VEC_GP, 0);
    struct descriptor d = descriptor_read(c, op, selector, VEC_GP, 0);
    unsigned attr = descriptor_attr(d.low);
    if (attr_is_code(attr))
        return direct_target(c, op, d, rip);
    if ((attr & (SEG_S | SEG_TYPE)) == SEG_TYPE_CALL_GATE)
        return gate_target(c, op, d, call);
    raise_error(c, op, VEC_GP, selector_error(selector)); // TSS and task gate too: no task switches in long mode
}

static WORK uint64_t far_jmp(struct cpu *c, const struct op *op)
{
    struct far_target t = far_target(c, op, false);
    descriptor_mark(c, op, &t.cs, SEG_TYPE_ACCESSED);
    code_load(c, &t.cs, t.cpl);
    return t.rip;
}

static HANDLER(op_far_jmp)
{
    uint64_t rip = far_jmp(c, op);
    return go_on(c, op, rip);
}

// CS and RIP of operand size, onto the present stack.
static uint64_t push_return(struct cpu *c, const struct op *op, unsigned size)
{
    uint64_t rsp = c->gpr[RSP];
    if (c->mode != X86_CODE64) {
        store_sized(c, op, stack_linear(c, op, -(int64_t)size, size, true), size, c->seg[SEG_CS].selector);
        store_sized(c, op, stack_linear(c, op, -2 * (int64_t)size, size, true), size, op_next_rip(c, op));
        return popped(c, -2 * (uint64_t)size);
    }
    struct op stack_op = *op; // the stack's faults are #SS, whatever register addressed the operand
    stack_op.stack = true;
    store_sized(c, &stack_op, rsp - size, size, c->seg[SEG_CS].selector);
    store_sized(c, &stack_op, rsp - 2 * size, size, op_next_rip(c, op));
    return rsp - 2 * size;
}

// Through a call gate at the same privilege the frame is the 64-bit target's.
static uint64_t push_gate_return(struct cpu *c, const struct op *op)
{
    const uint64_t frame[2] = {c->seg[SEG_CS].selector, op_next_rip(c, op)};
    return push_frame(c, op, c->gpr[RSP], c->cpl, frame, 2, 0);
}

static WORK uint64_t far_call(struct cpu *c, const struct op *op)
{
    struct far_target t = far_target(c, op, true);
    descriptor_mark(c, op, &t.cs, SEG_TYPE_ACCESSED);
    uint64_t rsp;
    if (t.cpl != c->cpl) {
        const uint64_t frame[4] = {c->seg[SEG_SS].selector, c->gpr[RSP], c->seg[SEG_CS].selector, op_next_rip(c, op)};
        rsp = push_frame(c, op, tss_stack(c, op, TSS_RSP(t.cpl), 0), t.cpl, frame, 4, 0);
        c->seg[SEG_SS] = segment_null((uint16_t)t.cpl, t.cpl);
    } else {
        rsp = t.gate ? push_gate_return(c, op) : push_return(c, op, (unsigned)op->imm);
    }
    c->gpr[RSP] = rsp;
    code_load(c, &t.cs, t.cpl);
    set_cpl(c, t.cpl);
    return t.rip;
}

static HANDLER(op_far_call)
{
    uint64_t rip = far_call(c, op);
    return go_on(c, op, rip);
}

static bool lower_far(struct lower *l, const struct insn *in, op_fn *fn)
{
    struct op *op;
    l->ends = true;
    if (in->op[0].kind == OPERAND_MEM) {
        op = emit_mem(l, fn, in, &in->op[0]);
    } else if (in->op[0].kind == OPERAND_IMM) {
        op = emit(l, fn);
        op->aux = FAR_DIRECT;
        op->disp = (in->op[0].imm & 0xffff) << 32 | (in->op[1].imm & 0xffffffff);
    } else {
        return false;
    }
    op->imm = in->op_size;
    return true;
}

bool lower_far_call(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)arg;
    return lower_far(l, in, op_far_call);
}

bool lower_far_jmp(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)arg;
    return lower_far(l, in, op_far_jmp);
}

// ---- SYSCALL and SYSRET (SDM vol. 2, and vol. 3, 5.8.8) ----
// Their single-step trap goes by TF as they leave it, not as they found it: none where SFMASK clears TF, and one right
// behind the sysret that sets it.

#define FLAT_ATTR(dpl) (SEG_S | SEG_P | SEG_G | SEG_TYPE_ACCESSED | SEG_TYPE_WRITABLE | (dpl) << SEG_DPL_SHIFT)
#define FLAT_CODE64(dpl) (FLAT_ATTR(dpl) | SEG_TYPE_CODE | SEG_L)
#define FLAT_CODE32(dpl) (FLAT_ATTR(dpl) | SEG_TYPE_CODE | SEG_DB)
#define FLAT_DATA(dpl) (FLAT_ATTR(dpl) | SEG_DB)

static HANDLER(op_syscall)
{
    if (!(c->efer & EFER_SCE) || UNLIKELY(c->mode != X86_CODE64))
        raise_exception(c, op, VEC_UD);
    uint16_t cs = (uint16_t)(c->star >> 32) & 0xfffc;
    set64(c, RCX, op_next_rip(c, op));
    set64(c, R11, flags_read(c) & ~(uint64_t)FLAG_RF);
    flags_load(c, 0, c->sfmask & UINT32_MAX);
    c->seg[SEG_CS] = segment_flat(cs, FLAT_CODE64(0));
    c->seg[SEG_SS] = segment_flat((uint16_t)(cs + 8), FLAT_DATA(0));
    count(c, EV_syscalls);
    c->step_trap = c->rflags & FLAG_TF;
    set_cpl(c, 0);
    return go_on(c, op, c->lstar);
}

bool lower_syscall(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)in;
    (void)arg;
    emit(l, op_syscall);
    l->ends = true;
    return true;
}

// Where rcx is not canonical Intel's processors raise #GP here, at CPL 0; AMD's return and fault at CPL 3. We are like
// the former.
static HANDLER(op_sysret) // aux: operand size
{
    const uint64_t loaded =
        FLAGS_ARITH | FLAG_TF | FLAG_IF | FLAG_DF | FLAG_IOPL | FLAG_NT | FLAG_AC | FLAG_VIF | FLAG_VIP | FLAG_ID;
    if (!(c->efer & EFER_SCE) || UNLIKELY(c->mode != X86_CODE64))
        raise_exception(c, op, VEC_UD);
    if (c->cpl != 0)
        raise_error(c, op, VEC_GP, 0);
    uint64_t rip = op->aux == 8 ? get64(c, RCX) : get32(c, RCX);
    if (!canonical(rip))
        raise_error(c, op, VEC_GP, 0);
    uint16_t base = (uint16_t)(c->star >> 48);
    flags_load(c, get64(c, R11), loaded);
    c->seg[SEG_SS] = segment_flat((uint16_t)(base + 8) | 3, FLAT_DATA(3));
    if (LIKELY(op->aux == 8)) {
        c->seg[SEG_CS] = segment_flat((uint16_t)(base + 16) | 3, FLAT_CODE64(3));
    } else {
        c->seg[SEG_CS] = segment_flat(base | 3, FLAT_CODE32(3));
        code_changed(c);
    }
    set_cpl(c, 3);
    c->step_trap = false;
    if (UNLIKELY(c->rflags & FLAG_TF))
        debug_trap(c, true);
    return go_on(c, op, rip);
}

bool lower_sysret(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)arg;
    emit(l, op_sysret)->aux = in->op_size;
    l->ends = true;
    return true;
}

// SPDX-License-Identifier: BSD-2-Clause
// Far transfers in long mode: software interrupts, iret, far ret, call and jmp with call gates, syscall and sysret.
// sysenter and sysexit are #UD, for CPUID does not announce them.
#include "engines/bt/debug.h"
#include "engines/bt/deliver.h"
#include "engines/bt/emulations.h"
#include "engines/bt/segment.h"

_Noreturn void emulate_undefined(struct bt *bt, const struct insn *in)
{
    (void)in;
    raise_exception(bt, VEC_UD);
}

// ---- INT n, INT3, INT1 (SDM vol. 2) ----

static void interrupt(struct bt *bt, const struct insn *in, unsigned vector, enum event_type type)
{
    deliver_for(bt, (struct bt_event){.vector = (uint8_t)vector, .type = (uint8_t)type}, bt->rip + in->length);
    bt->step_trap = false; // it cleared TF
}

void emulate_int(struct bt *bt, const struct insn *in)
{
    interrupt(bt, in, (unsigned)in->op[0].imm & 0xff, EVENT_SOFTWARE);
}

void emulate_int3(struct bt *bt, const struct insn *in)
{
    interrupt(bt, in, VEC_BP, EVENT_SOFTWARE);
    count(bt, EV_exceptions);
}

// A hardware exception to the gate's privilege check and the error code (SDM vol. 3, 6.3.3; vol. 2, INT n).
void emulate_int1(struct bt *bt, const struct insn *in)
{
    interrupt(bt, in, VEC_DB, EVENT_EXCEPTION);
    count(bt, EV_exceptions);
}

// ---- Returns ----

// The code segment that a far return or iret goes to; its RPL is the new CPL.
static struct descriptor return_segment(struct bt *bt, uint16_t selector)
{
    struct descriptor d = code_descriptor(bt, selector, 0);
    unsigned attr = descriptor_attr(&d), rpl = selector & 3, dpl = attr_dpl(attr);
    bool allowed = attr_is_conforming(attr) ? dpl <= rpl : dpl == rpl;
    if (rpl < bt->cpl || !allowed)
        raise_error(bt, VEC_GP, selector_error(selector));
    code_check_mode(bt, &d);
    return d;
}

// Data segments that the new, lower privilege may not use become null, and a null selector loses its RPL. FS and GS
// keep their bases, which 64-bit mode goes on using.
static void drop_privileged_segments(struct bt *bt)
{
    static const uint8_t data_segments[] = {SEG_ES, SEG_DS, SEG_FS, SEG_GS};
    for (unsigned i = 0; i < sizeof data_segments; i++) {
        struct segment *s = &bt->seg[data_segments[i]];
        if (s->unusable || (!attr_is_conforming(s->attr) && attr_dpl(s->attr) < bt->cpl))
            *s = segment_null(0, 0);
    }
}

// The common end of iret and far ret: everything is checked; only marking the descriptor can still fault.
static void return_to(struct bt *bt, const struct descriptor *cs, uint64_t rip)
{
    unsigned cpl = cs->selector & 3, old = bt->cpl;
    bt->rip = rip;
    bt->cpl = cpl;
    if (cpl != old)
        drop_privileged_segments(bt);
    bt_mode_changed(bt);
}

static uint64_t iret_flags(const struct bt *bt, unsigned size)
{
    uint64_t mask = FLAGS_ARITH | FLAG_TF | FLAG_DF | FLAG_NT;
    if (iopl_allows(bt))
        mask |= FLAG_IF;
    if (bt->cpl == 0)
        mask |= FLAG_IOPL;
    if (size > 2)
        mask |= FLAG_AC | FLAG_ID | (bt->cpl == 0 ? FLAG_VIF | FLAG_VIP : 0);
    return mask;
}

// SDM vol. 2, IRET. From 64-bit mode it always pops SS:RSP, else only to another privilege level. It ends the masking
// of NMIs even where it faults.
void emulate_iret(struct bt *bt, const struct insn *in)
{
    unsigned size = in->op_size;
    bt->nmi_masked = false;
    bt->attention |= bt->nmi_pending; // one that has waited comes now
    if (bt->rflags & FLAG_NT)
        raise_error(bt, VEC_GP, 0);
    uint64_t frame[5] = {0}, sp = bt->gpr[RSP]; // rip, cs, rflags, rsp, ss
    for (unsigned i = 0; i < 3; i++)
        frame[i] = mem_read(bt, stack_at(bt, sp + i * size, size, false), size, true);

    struct descriptor cs = return_segment(bt, (uint16_t)frame[1]);
    unsigned cpl = cs.selector & 3;
    struct segment ss = bt->seg[SEG_SS];
    bool stack = in->mode == X86_CODE64 || cpl != bt->cpl;
    uint64_t mask = stack_mask(bt);
    if (stack) {
        for (unsigned i = 3; i < 5; i++)
            frame[i] = mem_read(bt, stack_at(bt, sp + i * size, size, false), size, true);
        ss = segment_check_stack(bt, (uint16_t)frame[4], cpl);
        mask = UINT64_MAX;
    } else {
        frame[3] = sp + 3 * size;
    }
    code_check_rip(bt, &cs, frame[0]);
    code_load(bt, &cs, cpl);
    bt->seg[SEG_SS] = ss;
    flags_load(bt, frame[2], iret_flags(bt, size));
    if ((bt->break_at || bt->intr || bt->nmi_pending) &&
        size > 2) // else nobody sees RF: the next instruction clears it
        bt->rflags |= frame[2] & FLAG_RF;
    stack_move(bt, frame[3], mask);
    return_to(bt, &cs, frame[0]);
}

// SDM vol. 2, RET, far. The immediate is dropped from the inner and from the outer stack.
void emulate_far_ret(struct bt *bt, const struct insn *in)
{
    unsigned size = in->op_size;
    uint64_t drop = in->operands ? in->op[0].imm & 0xffff : 0, rsp = bt->gpr[RSP];
    uint64_t rip = mem_read(bt, stack_at(bt, rsp, size, false), size, true), mask = stack_mask(bt);
    uint16_t selector = (uint16_t)mem_read(bt, stack_at(bt, rsp + size, size, false), size, true);
    struct descriptor cs = return_segment(bt, selector);
    unsigned cpl = selector & 3;
    struct segment ss = bt->seg[SEG_SS];
    rsp += 2 * size + drop;
    if (cpl != bt->cpl) {
        uint64_t outer = mem_read(bt, stack_at(bt, rsp, size, false), size, true);
        uint16_t stack = (uint16_t)mem_read(bt, stack_at(bt, rsp + size, size, false), size, true);
        ss = segment_check_stack(bt, stack, cpl);
        rsp = outer + drop;
        mask = UINT64_MAX;
    }
    code_check_rip(bt, &cs, rip);
    code_load(bt, &cs, cpl);
    bt->seg[SEG_SS] = ss;
    stack_move(bt, rsp, mask);
    return_to(bt, &cs, rip);
}

// ---- Far CALL and JMP (SDM vol. 2, CALL and JMP; call gates: vol. 3, 5.8.3 and 5.8.3.1) ----

struct far_target {
    struct descriptor cs;
    uint64_t rip;
    unsigned cpl;
    bool gate;
};

static struct far_target direct_target(struct bt *bt, const struct descriptor *d, uint64_t rip)
{
    unsigned attr = descriptor_attr(d), dpl = attr_dpl(attr), rpl = d->selector & 3;
    bool allowed = attr_is_conforming(attr) ? dpl <= bt->cpl : dpl == bt->cpl && rpl <= bt->cpl;
    if (!allowed)
        raise_error(bt, VEC_GP, selector_error(d->selector));
    code_check_mode(bt, d);
    code_check_rip(bt, d, rip);
    return (struct far_target){.cs = *d, .rip = rip, .cpl = bt->cpl};
}

static struct far_target gate_target(struct bt *bt, struct descriptor gate, bool call)
{
    unsigned gate_dpl = attr_dpl(descriptor_attr(&gate));
    if (gate_dpl < bt->cpl || gate_dpl < (gate.selector & 3u))
        raise_error(bt, VEC_GP, selector_error(gate.selector));
    if (!(descriptor_attr(&gate) & SEG_P))
        raise_error(bt, VEC_NP, selector_error(gate.selector));
    descriptor_read_high(bt, &gate);

    struct descriptor cs = code_descriptor(bt, gate_selector(&gate), 0);
    unsigned attr = descriptor_attr(&cs), dpl = attr_dpl(attr);
    bool conforming = attr_is_conforming(attr);
    bool allowed = conforming || call ? dpl <= bt->cpl : dpl == bt->cpl;
    if (!allowed || !(attr & SEG_L) || (attr & SEG_DB))
        raise_error(bt, VEC_GP, selector_error(cs.selector));
    if (!(attr & SEG_P))
        raise_error(bt, VEC_NP, selector_error(cs.selector));
    uint64_t rip = gate_offset(&gate);
    check_target(bt, rip);
    return (struct far_target){.cs = cs, .rip = rip, .cpl = conforming ? bt->cpl : dpl, .gate = true};
}

static struct far_target far_target(struct bt *bt, const struct insn *in, bool call)
{
    bool direct = in->op[0].kind == OPERAND_IMM; // selector and offset, which do not exist in 64-bit mode
    if (in->op[0].kind != OPERAND_MEM && (!direct || in->mode == X86_CODE64))
        raise_exception(bt, VEC_UD);
    unsigned size = in->op_size;
    uint64_t va = direct ? 0 : effective_address(bt, in, &in->op[0]);
    uint64_t rip = direct ? (uint64_t)in->op[1].imm : mem_read(bt, va, size, in->stack_segment);
    uint16_t selector = (uint16_t)(direct ? (uint64_t)in->op[0].imm : mem_read(bt, va + size, 2, in->stack_segment));
    rip &= UINT64_MAX >> (64 - 8 * size);
    if (selector_is_null(selector))
        raise_error(bt, VEC_GP, 0);
    struct descriptor d = descriptor_read(bt, selector, VEC_GP, 0);
    unsigned attr = descriptor_attr(&d);
    if (attr_is_code(attr))
        return direct_target(bt, &d, rip);
    if ((attr & (SEG_S | SEG_TYPE)) == SEG_TYPE_CALL_GATE)
        return gate_target(bt, d, call);
    raise_error(bt, VEC_GP, selector_error(selector)); // TSS and task gate too: no task switches in long mode
}

void emulate_far_jmp(struct bt *bt, const struct insn *in)
{
    struct far_target t = far_target(bt, in, false);
    code_load(bt, &t.cs, t.cpl);
    bt->rip = t.rip;
    bt_mode_changed(bt);
}

void emulate_far_call(struct bt *bt, const struct insn *in)
{
    struct far_target t = far_target(bt, in, true);
    unsigned size = in->op_size;
    uint64_t rsp, next = bt->rip + in->length, mask = UINT64_MAX;
    if (t.cpl != bt->cpl) {
        const uint64_t frame[4] = {bt->seg[SEG_SS].selector, bt->gpr[RSP], bt->seg[SEG_CS].selector, next};
        rsp = push_frame(bt, tss_stack(bt, TSS_RSP(t.cpl), 0), t.cpl, frame, 4, 0);
    } else if (t.gate) { // into 64-bit code, which it pushes as
        const uint64_t frame[2] = {bt->seg[SEG_CS].selector, next};
        rsp = push_frame(bt, bt->gpr[RSP], t.cpl, frame, 2, 0);
    } else {
        rsp = bt->gpr[RSP] - 2 * size;
        mem_write(bt, stack_at(bt, rsp + size, size, true), size, bt->seg[SEG_CS].selector, true);
        mem_write(bt, stack_at(bt, rsp, size, true), size, next, true);
        mask = stack_mask(bt);
    }
    code_load(bt, &t.cs, t.cpl);
    if (t.cpl != bt->cpl)
        bt->seg[SEG_SS] = segment_null((uint16_t)t.cpl, t.cpl);
    stack_move(bt, rsp, mask);
    bt->rip = t.rip;
    set_cpl(bt, t.cpl);
}

// ---- SYSCALL and SYSRET (SDM vol. 2, and vol. 3, 5.8.8) ----

#define FLAT_ATTR (SEG_S | SEG_P | SEG_G | SEG_TYPE_ACCESSED | SEG_TYPE_WRITABLE)

// Flat segments, made up without looking at a table: code at `code`, of the kind SEG_L or SEG_DB, stack at `stack`.
static void load_flat(struct bt *bt, unsigned code, unsigned kind, unsigned stack, unsigned cpl)
{
    unsigned attr = FLAT_ATTR | cpl << SEG_DPL_SHIFT;
    bt->seg[SEG_CS] = (struct segment){
        .limit = UINT32_MAX, .selector = (uint16_t)code, .attr = (uint16_t)(attr | SEG_TYPE_CODE | kind)};
    bt->seg[SEG_SS] =
        (struct segment){.limit = UINT32_MAX, .selector = (uint16_t)stack, .attr = (uint16_t)(attr | SEG_DB)};
}

void enter_by_syscall(struct bt *bt, uint64_t next)
{
    if (!(bt->efer & EFER_SCE))
        raise_exception(bt, VEC_UD);
    unsigned cs = (unsigned)(bt->star >> 32) & 0xfffc;
    bt->gpr[RCX] = next;
    bt->gpr[R11] = flags_read(bt) & ~(uint64_t)FLAG_RF;
    flags_load(bt, 0, bt->sfmask & UINT32_MAX);
    load_flat(bt, cs, SEG_L, cs + 8, 0);
    bt->rip = bt->lstar;
    count(bt, EV_syscalls);
    bt->step_trap = bt->rflags & FLAG_TF;
    set_cpl(bt, 0);
}

void emulate_syscall(struct bt *bt, const struct insn *in)
{
    if (in->mode != X86_CODE64) // as on Intel's processors; AMD's go to CSTAR
        raise_exception(bt, VEC_UD);
    enter_by_syscall(bt, bt->rip + in->length);
}

// Where rcx is not canonical Intel's processors raise #GP here, at CPL 0; AMD's return and fault at CPL 3. We are like
// the former.
void emulate_sysret(struct bt *bt, const struct insn *in)
{
    const uint64_t loaded =
        FLAGS_ARITH | FLAG_TF | FLAG_IF | FLAG_DF | FLAG_IOPL | FLAG_NT | FLAG_AC | FLAG_VIF | FLAG_VIP | FLAG_ID;
    if (!(bt->efer & EFER_SCE))
        raise_exception(bt, VEC_UD);
    need_cpl0(bt);
    uint64_t rip = in->rex_w ? bt->gpr[RCX] : (uint32_t)bt->gpr[RCX];
    check_target(bt, rip);
    unsigned base = (unsigned)(bt->star >> 48);
    flags_load(bt, bt->gpr[R11], loaded);
    if (in->rex_w)
        load_flat(bt, (base + 16) | 3, SEG_L, (base + 8) | 3, 3);
    else
        load_flat(bt, base | 3, SEG_DB, (base + 8) | 3, 3);
    bt->rip = rip;
    set_cpl(bt, 3);
    bt->step_trap = false;
    debug_trap(bt, bt->rflags & FLAG_TF); // at once, before the first instruction there
}

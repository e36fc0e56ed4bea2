// SPDX-License-Identifier: BSD-2-Clause
// Event delivery in 64-bit mode (SDM vol. 3, 6.14; the order of checks is that of vol. 2, INT n). First everything is
// checked, read and pushed; only then does the guest's state change, so that a fault on the way finds it untouched.
#include "engines/interp/deliver.h"

#include "engines/interp/debug.h"
#include "engines/interp/fault.h"
#include "engines/interp/flags.h"
#include "engines/interp/mmu.h"
#include "engines/interp/segment.h"

#define ERROR_EXT 1u // of an error code: the event came from outside the program (SDM vol. 3, 6.13)
#define ERROR_IDT 2u // its index is a vector

struct gate {
    uint64_t offset;
    uint16_t selector;
    uint8_t ist;
    bool interrupt; // interrupt gate: IF is cleared; else a trap gate
};

static struct gate read_gate(struct cpu *c, const struct op *op, struct cpu_event event, uint32_t ext)
{
    uint32_t error = event.vector * 8u | ERROR_IDT | ext;
    if (event.vector * 16u + 15 > c->idtr.limit)
        raise_error(c, op, VEC_GP, error);
    uint64_t at = c->idtr.base + event.vector * 16u;
    uint64_t low = sys_read(c, op, at, 8), high = sys_read(c, op, at + 8, 8);
    unsigned attr = descriptor_attr(low), type = attr & (SEG_S | SEG_TYPE);
    if (type != SEG_TYPE_INTERRUPT_GATE && type != SEG_TYPE_TRAP_GATE)
        raise_error(c, op, VEC_GP, error);
    if (event.type == EVENT_SOFTWARE && descriptor_dpl(low) < c->cpl)
        raise_error(c, op, VEC_GP, error);
    if (!(attr & SEG_P))
        raise_error(c, op, VEC_NP, error);
    return (struct gate){
        .offset = (low & 0xffff) | ((low >> 32) & 0xffff0000) | (high << 32),
        .selector = (uint16_t)(low >> 16),
        .ist = (low >> 32) & 7,
        .interrupt = type == SEG_TYPE_INTERRUPT_GATE,
    };
}

// The handler's code segment: 64-bit, present, not less privileged than we are. Gives the privilege it runs at.
static struct descriptor handler_segment(struct cpu *c, const struct op *op, uint16_t selector, uint32_t ext,
                                         unsigned *cpl)
{
    struct descriptor d = code_descriptor(c, op, selector, ext);
    unsigned attr = descriptor_attr(d.low), dpl = descriptor_dpl(d.low);
    if (dpl > c->cpl || !(attr & SEG_L) || (attr & SEG_DB))
        raise_error(c, op, VEC_GP, selector_error(selector) | ext);
    if (!(attr & SEG_P))
        raise_error(c, op, VEC_NP, selector_error(selector) | ext);
    *cpl = attr_is_conforming(attr) ? c->cpl : dpl;
    return d;
}

uint64_t tss_stack(struct cpu *c, const struct op *op, unsigned offset, uint32_t ext)
{
    if (offset + 7 > c->tr.limit)
        raise_error(c, op, VEC_TS, selector_error(c->tr.selector) | ext);
    return sys_read(c, op, c->tr.base + offset, 8);
}

uint64_t push_frame(struct cpu *c, const struct op *op, uint64_t rsp, unsigned cpl, const uint64_t *first, unsigned n,
                    uint32_t ext)
{
    for (unsigned i = 0; i < n; i++) {
        rsp -= 8;
        if (!canonical(rsp) || !canonical(rsp + 7))
            raise_error(c, op, VEC_SS, ext);
        if (cpl == c->cpl)
            store64(c, op, rsp, first[i]);
        else
            sys_write(c, op, rsp, 8, first[i]);
    }
    return rsp;
}

// RF as pushed: set for fault-class exceptions, so that the instruction runs without its breakpoint when it is
// restarted (SDM vol. 3, 17.3.1.1). The rest are traps, interrupts and aborts, which push RF as it is: set in the
// middle of a repeated string instruction (leave_unfinished); and instruction breakpoints, whose handler sets it.
static bool pushes_rf(struct cpu_event event)
{
    const uint32_t not_faults =
        1u << VEC_DB | 1u << VEC_NMI | 1u << VEC_BP | 1u << VEC_OF | 1u << VEC_DF | 1u << VEC_MC;
    return event.type == EVENT_EXCEPTION && event.vector < 32 && !(not_faults >> event.vector & 1);
}

static void enter_handler(struct cpu *c, const struct gate *gate, const struct descriptor *cs, unsigned cpl)
{
    if (cpl != c->cpl)
        c->seg[SEG_SS] = segment_null((uint16_t)cpl, cpl);
    code_load(c, cs, cpl);
    c->rflags &= ~(uint64_t)(FLAG_TF | FLAG_NT | FLAG_RF | FLAG_VM | (gate->interrupt ? FLAG_IF : 0));
    c->inhibit = c->inhibit_debug = false;
    set_cpl(c, cpl);
}

static uint64_t deliver(struct cpu *c, const struct op *op, struct cpu_event event, uint64_t return_rip)
{
    if (UNLIKELY(c->mode != X86_CODE64 && !(c->efer & EFER_LMA)))
        raise_engine_error(c, op, "interp: interrupts and exceptions outside long mode are not supported (vector %u)",
                           event.vector);
    uint32_t ext = event.type == EVENT_SOFTWARE ? 0 : ERROR_EXT;
    struct gate gate = read_gate(c, op, event, ext);
    unsigned cpl;
    struct descriptor cs = handler_segment(c, op, gate.selector, ext, &cpl);

    uint64_t rsp = c->gpr[RSP];
    if (gate.ist)
        rsp = tss_stack(c, op, TSS_IST(gate.ist), ext);
    else if (cpl != c->cpl)
        rsp = tss_stack(c, op, TSS_RSP(cpl), ext);
    if (!canonical(gate.offset))
        raise_error(c, op, VEC_GP, ext);

    uint64_t frame[6] = {
        c->seg[SEG_SS].selector,
        c->mode == X86_CODE64 ? c->gpr[RSP] : get32(c, RSP),
        flags_read(c) | (pushes_rf(event) ? FLAG_RF : 0),
        c->seg[SEG_CS].selector,
        return_rip,
        event.error,
    };
    descriptor_mark(c, op, &cs, SEG_TYPE_ACCESSED);
    rsp = push_frame(c, op, rsp & ~15ull, cpl, frame, event.has_error ? 6 : 5, ext);

    c->gpr[RSP] = rsp;
    enter_handler(c, &gate, &cs, cpl);
    if (event.type == EVENT_EXCEPTION && event.vector == VEC_DB)
        c->dr7 &= ~DR7_GD; // SDM vol. 3, 17.2.4
    return gate.offset;
}

void deliver_event(struct cpu *c, struct cpu_event event)
{
    // Interrupts and int n are benign whatever their number (SDM vol. 3, table 6-4).
    if (event.type != EVENT_EXCEPTION)
        c->delivering = VEC_NMI;
    c->rip = deliver(c, NULL, event, c->rip);
    if (event.type == EVENT_NMI)
        c->nmi_masked = true;
}

uint64_t deliver_for(struct cpu *c, const struct op *op, struct cpu_event event)
{
    return deliver(c, op, event, op_next_rip(c, op));
}

// ---- Double and triple faults (SDM vol. 3, 6.15, #DF: tables 6-4 and 6-5) ----

static bool contributory(unsigned vector)
{
    return vector == VEC_DE || (vector >= VEC_TS && vector <= VEC_GP);
}

bool combine_faults(struct cpu *c, unsigned first, struct cpu_event *second)
{
    (void)c;
    bool grave = contributory(second->vector) || second->vector == VEC_PF;
    if (first == VEC_DF)
        return !grave;
    if ((contributory(first) && contributory(second->vector)) || (first == VEC_PF && grave))
        *second = (struct cpu_event){.pending = true, .vector = VEC_DF, .type = EVENT_EXCEPTION, .has_error = true};
    return true;
}

// SPDX-License-Identifier: BSD-2-Clause
// Event delivery in 64-bit mode (SDM vol. 3, 6.14; the order of checks is that of vol. 2, INT n). First everything is
// checked, read and pushed; only then does the guest's state change, so that a fault on the way finds it untouched.
#include "engines/bt/deliver.h"

#include "engines/bt/debug.h"
#include "engines/bt/memory.h"
#include "engines/bt/segment.h"

#define ERROR_EXT 1u // of an error code: the event came from outside the program (SDM vol. 3, 6.13)
#define ERROR_IDT 2u // its index is a vector

static struct descriptor read_gate(struct bt *bt, struct bt_event event, uint32_t ext)
{
    uint32_t error = event.vector * 8u | ERROR_IDT | ext;
    if (event.vector * 16u + 15 > bt->idtr.limit)
        raise_error(bt, VEC_GP, error);
    struct descriptor gate = {.at = bt->idtr.base + event.vector * 16u};
    gate.low = sys_read(bt, gate.at, 8);
    gate.high = sys_read(bt, gate.at + 8, 8);
    unsigned attr = descriptor_attr(&gate), type = attr & (SEG_S | SEG_TYPE);
    if (type != SEG_TYPE_INTERRUPT_GATE && type != SEG_TYPE_TRAP_GATE)
        raise_error(bt, VEC_GP, error);
    if (event.type == EVENT_SOFTWARE && attr_dpl(attr) < bt->cpl)
        raise_error(bt, VEC_GP, error);
    if (!(attr & SEG_P))
        raise_error(bt, VEC_NP, error);
    return gate;
}

// The handler's code segment: 64-bit, present, not less privileged than we are. Gives the privilege it runs at.
static struct descriptor handler_segment(struct bt *bt, uint16_t selector, uint32_t ext, unsigned *cpl)
{
    struct descriptor d = code_descriptor(bt, selector, ext);
    unsigned attr = descriptor_attr(&d), dpl = attr_dpl(attr);
    if (dpl > bt->cpl || !(attr & SEG_L) || (attr & SEG_DB))
        raise_error(bt, VEC_GP, selector_error(selector) | ext);
    if (!(attr & SEG_P))
        raise_error(bt, VEC_NP, selector_error(selector) | ext);
    *cpl = attr_is_conforming(attr) ? bt->cpl : dpl;
    return d;
}

uint64_t tss_stack(struct bt *bt, unsigned offset, uint32_t ext)
{
    if (offset + 7 > bt->tr.limit)
        raise_error(bt, VEC_TS, selector_error(bt->tr.selector) | ext);
    return sys_read(bt, bt->tr.base + offset, 8);
}

uint64_t push_frame(struct bt *bt, uint64_t rsp, unsigned cpl, const uint64_t *first, unsigned n, uint32_t ext)
{
    for (unsigned i = 0; i < n; i++) {
        rsp -= 8;
        if (!canonical(rsp) || !canonical(rsp + 7))
            raise_error(bt, VEC_SS, ext);
        if (cpl == bt->cpl)
            mem_write(bt, rsp, 8, first[i], true);
        else
            sys_write(bt, rsp, 8, first[i]);
    }
    return rsp;
}

// RF as pushed: set for fault-class exceptions, so that the instruction runs without its breakpoint when it is
// restarted (SDM vol. 3, 17.3.1.1). The rest are traps, interrupts and aborts, which push RF as it is: set in the
// middle of a repeated string instruction (repeat_stops); and instruction breakpoints, whose handler sets it.
static bool pushes_rf(struct bt_event event)
{
    const uint32_t not_faults =
        1u << VEC_DB | 1u << VEC_NMI | 1u << VEC_BP | 1u << VEC_OF | 1u << VEC_DF | 1u << VEC_MC;
    return event.type == EVENT_EXCEPTION && event.vector < 32 && !(not_faults >> event.vector & 1);
}

void deliver_for(struct bt *bt, struct bt_event event, uint64_t return_rip)
{
    uint32_t ext = event.type == EVENT_SOFTWARE ? 0 : ERROR_EXT;
    struct descriptor gate = read_gate(bt, event, ext);
    unsigned cpl, ist = gate.low >> 32 & 7;
    struct descriptor cs = handler_segment(bt, gate_selector(&gate), ext, &cpl);

    uint64_t rsp = bt->gpr[RSP];
    if (ist)
        rsp = tss_stack(bt, TSS_IST(ist), ext);
    else if (cpl != bt->cpl)
        rsp = tss_stack(bt, TSS_RSP(cpl), ext);
    if (!canonical(gate_offset(&gate)))
        raise_error(bt, VEC_GP, ext);

    uint64_t frame[6] = {
        bt->seg[SEG_SS].selector, bt->gpr[RSP], flags_read(bt) | (pushes_rf(event) ? FLAG_RF : 0),
        bt->seg[SEG_CS].selector, return_rip,   event.error,
    };
    rsp = push_frame(bt, rsp & ~15ull, cpl, frame, event.has_error ? 6 : 5, ext);

    code_load(bt, &cs, cpl);
    if (cpl != bt->cpl)
        bt->seg[SEG_SS] = segment_null((uint16_t)cpl, cpl);
    bool interrupt_gate = (descriptor_attr(&gate) & SEG_TYPE) == SEG_TYPE_INTERRUPT_GATE;
    flags_load(bt, 0, FLAG_TF | FLAG_NT | (interrupt_gate ? FLAG_IF : 0));
    bt->rflags &= ~(uint64_t)FLAG_RF;
    bt->inhibit = bt->inhibit_debug = false;
    if (event.type == EVENT_EXCEPTION && event.vector == VEC_DB)
        bt->dr7 &= ~DR7_GD; // SDM vol. 3, 17.2.4
    bt->gpr[RSP] = rsp;
    bt->rip = gate_offset(&gate);
    set_cpl(bt, cpl);
}

void deliver_event(struct bt *bt, struct bt_event event)
{
    // Interrupts and int n are benign whatever their number (SDM vol. 3, table 6-4).
    if (event.type != EVENT_EXCEPTION)
        bt->delivering = VEC_NMI;
    deliver_for(bt, event, bt->rip);
    if (event.type == EVENT_NMI)
        bt->nmi_masked = true;
}

// ---- Double and triple faults (SDM vol. 3, 6.15, #DF: tables 6-4 and 6-5) ----

static bool contributory(unsigned vector)
{
    return vector == VEC_DE || (vector >= VEC_TS && vector <= VEC_GP);
}

bool combine_faults(struct bt *bt, unsigned first, struct bt_event *second)
{
    (void)bt;
    bool grave = contributory(second->vector) || second->vector == VEC_PF;
    if (first == VEC_DF)
        return !grave;
    if ((contributory(first) && contributory(second->vector)) || (first == VEC_PF && grave))
        *second = (struct bt_event){.pending = true, .vector = VEC_DF, .type = EVENT_EXCEPTION, .has_error = true};
    return true;
}

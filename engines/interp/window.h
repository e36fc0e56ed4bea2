// SPDX-License-Identifier: BSD-2-Clause
// Memory outside 64-bit mode: an offset in a segment, checked against the segment's window, becomes a linear address
// of 32 bits (SDM vol. 3, 3.4 and 5.3).
#ifndef RINGSIDE_INTERP_WINDOW_H
#define RINGSIDE_INTERP_WINDOW_H

#include "engines/interp/op.h"

// #SS(0) for SS, #GP(0) for the others.
_Noreturn void seg_fault(struct cpu *c, const struct op *op, unsigned seg);

// The linear address of size bytes at an offset, or the fault that reading or writing them raises.
static inline uint64_t seg_linear(struct cpu *c, const struct op *op, unsigned seg, uint32_t offset, unsigned size,
                                  bool write)
{
    const struct seg_window *w = &c->window[seg][write];
    if (UNLIKELY(offset < w->low || (uint64_t)offset + size - 1 > w->high))
        seg_fault(c, op, seg);
    return (uint32_t)(offset + c->seg_base[seg]);
}

// All offsets are there, and are linear addresses: as 64-bit mode has it.
static inline bool seg_is_flat(const struct cpu *c, unsigned seg, bool write)
{
    const struct seg_window *w = &c->window[seg][write];
    return w->low == 0 && w->high == UINT64_MAX && c->seg_base[seg] == 0;
}

// Where the code at rip lies, in any mode.
static inline uint64_t code_linear(const struct cpu *c, uint64_t rip)
{
    return c->mode == X86_CODE64 ? rip : (uint32_t)(rip + c->code_base);
}

// ---- The stack ----
static inline uint32_t stack_pointer(const struct cpu *c, int64_t distance)
{
    return (uint32_t)(c->gpr[RSP] + (uint64_t)distance) & c->sp_mask;
}
static inline void set_stack_pointer(struct cpu *c, uint32_t sp)
{
    if (c->sp_mask == UINT16_MAX)
        set16(c, RSP, sp);
    else
        set32(c, RSP, sp);
}
// The linear address of size bytes at sp + distance.
static inline uint64_t stack_linear(struct cpu *c, const struct op *op, int64_t distance, unsigned size, bool write)
{
    return seg_linear(c, op, SEG_SS, stack_pointer(c, distance), size, write);
}

#endif

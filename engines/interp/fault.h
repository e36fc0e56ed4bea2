// SPDX-License-Identifier: BSD-2-Clause
// How an instruction ends early. A fault goes to the run loop by longjmp with the guest exactly as the instruction
// found it: so a handler reads memory and checks everything before it writes a register, a flag or memory.
#ifndef RINGSIDE_INTERP_FAULT_H
#define RINGSIDE_INTERP_FAULT_H

#include "engines/interp/op.h"

// Raise an exception for the instruction op (rip = its first byte). NULL for op: c->rip is already right, as during
// event delivery and in the run loop.
_Noreturn void raise_exception(struct cpu *c, const struct op *op, unsigned vector); // no error code
_Noreturn void raise_error(struct cpu *c, const struct op *op, unsigned vector, uint32_t error);
_Noreturn void raise_page_fault(struct cpu *c, const struct op *op, uint64_t va, uint32_t error);

// The instruction op cannot go on in this engine at all: vcpu->error is set from the format, run() returns
// VCPU_EXIT_ERROR with rip at op.
_Noreturn void raise_engine_error(struct cpu *c, const struct op *op, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// For instructions that change what the block was decoded for, or want the run loop's attention: go to the run loop
// with rip as given, all instructions up to and including op counted as retired. Use as `return leave(c, op, rip);`.
const struct op *leave(struct cpu *c, const struct op *op, uint64_t rip);
// Goes to the run loop with rip at op, which is not counted.
const struct op *leave_before(struct cpu *c, const struct op *op);
// The same for a repeated string instruction with iterations behind it: RF says so to whatever comes now, and holds off
// its breakpoint when it goes on (SDM vol. 3, 17.3.1.1).
const struct op *leave_unfinished(struct cpu *c, const struct op *op);

// rip of op, and of the instruction behind it.
uint64_t op_rip(const struct cpu *c, const struct op *op);
uint64_t op_next_rip(const struct cpu *c, const struct op *op);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// Leaving a block early: faults by longjmp, the rest by returning NULL to the run loop.
#include "engines/interp/fault.h"

#include <stdarg.h>
#include <stdio.h>

#include "engines/interp/block.h"

uint64_t op_rip(const struct cpu *c, const struct op *op)
{
    return c->block->rip + op->off;
}

uint64_t op_next_rip(const struct cpu *c, const struct op *op)
{
    return c->block->rip + op->off + op->len;
}

// The block's instructions from the nth on have not been retired after all.
static void take_back(struct cpu *c, unsigned nth)
{
    c->icount -= (uint64_t)(c->block->insns - nth);
}

static _Noreturn void raise_event(struct cpu *c, const struct op *op, struct cpu_event event)
{
    if (op) {
        take_back(c, op->nth);
        c->rip = op_rip(c, op);
    }
    c->event = event;
    longjmp(c->fault, 1);
}

_Noreturn void raise_exception(struct cpu *c, const struct op *op, unsigned vector)
{
    raise_event(c, op, (struct cpu_event){.pending = true, .vector = (uint8_t)vector, .type = EVENT_EXCEPTION});
}

_Noreturn void raise_error(struct cpu *c, const struct op *op, unsigned vector, uint32_t error)
{
    raise_event(
        c, op,
        (struct cpu_event){
            .pending = true, .vector = (uint8_t)vector, .type = EVENT_EXCEPTION, .has_error = true, .error = error});
}

_Noreturn void raise_page_fault(struct cpu *c, const struct op *op, uint64_t va, uint32_t error)
{
    c->cr2 = va;
    raise_error(c, op, VEC_PF, error);
}

_Noreturn void raise_engine_error(struct cpu *c, const struct op *op, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(c->vcpu->error, sizeof c->vcpu->error, format, args);
    va_end(args);
    c->exit = VCPU_EXIT_ERROR;
    raise_event(c, op, (struct cpu_event){0});
}

const struct op *leave(struct cpu *c, const struct op *op, uint64_t rip)
{
    take_back(c, op->nth + 1u);
    c->rip = rip;
    return NULL;
}

const struct op *leave_before(struct cpu *c, const struct op *op)
{
    take_back(c, op->nth);
    c->rip = op_rip(c, op);
    return NULL;
}

const struct op *leave_unfinished(struct cpu *c, const struct op *op)
{
    c->rflags |= FLAG_RF;
    return leave_before(c, op);
}

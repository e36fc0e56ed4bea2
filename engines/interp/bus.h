// SPDX-License-Identifier: BSD-2-Clause
// The machine as instructions reach it: vcpu->bus behind functions of their own, in a file of their own. So no handler
// contains an indirect call except the jump to the next op, and a test can see in the object files that this one is
// really a jump: a handler with a local variable whose address escapes gets a call instead, and the stack grows by one
// frame for each instruction executed.
#ifndef RINGSIDE_INTERP_BUS_H
#define RINGSIDE_INTERP_BUS_H

#include "engines/interp/cpu.h"

// They count the exit and note in c->exit what the machine wants of the run loop.
uint32_t bus_port_read(struct cpu *c, uint16_t port, unsigned size);
void bus_port_write(struct cpu *c, uint16_t port, unsigned size, uint32_t value);
uint64_t bus_memory_read(struct cpu *c, gpa_t at, unsigned size);
void bus_memory_write(struct cpu *c, gpa_t at, unsigned size, uint64_t value);
void bus_tpr_lowered(struct cpu *c);
int bus_interrupt_acknowledge(struct cpu *c); // vector, or -1
void bus_apic_base_written(struct cpu *c, uint64_t value);

#endif

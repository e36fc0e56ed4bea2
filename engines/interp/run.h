// SPDX-License-Identifier: BSD-2-Clause
// The run loop: what stands between two blocks.
#ifndef RINGSIDE_INTERP_RUN_H
#define RINGSIDE_INTERP_RUN_H

#include "engines/interp/cpu.h"

// engine->run (include/vcpu.h).
enum vcpu_exit interp_run(struct vcpu *v, uint64_t budget);

// engine->step: one instruction for a debugger outside.
enum vcpu_exit interp_step(struct vcpu *v);

// Books the instructions since the last call on the present CPL; call before the CPL changes, in the last instruction
// of its block, and before counters are read.
void account_instructions(struct cpu *c);

#endif

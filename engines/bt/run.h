// SPDX-License-Identifier: BSD-2-Clause
// The run loop's face to the engine and to the signal handler.
#ifndef RINGSIDE_BT_RUN_H
#define RINGSIDE_BT_RUN_H

#include "engines/bt/bt.h"

enum vcpu_exit bt_run(struct vcpu *v, uint64_t budget); // engine->run
// engine->step: one instruction for a debugger outside.
enum vcpu_exit bt_step(struct vcpu *v);

// Registers have been saved as translated code has them: gpr[RSP] and flags as C code wants them.
void bt_state_from_world(struct bt *bt);
// The same, and what is in cells in the checked worlds (park.h) is in gpr, too: as where translated code has left. Then
// back, before it goes on.
void bt_registers_home(struct bt *bt);
void bt_state_to_world(struct bt *bt);

#endif

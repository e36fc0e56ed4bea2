// SPDX-License-Identifier: BSD-2-Clause
// Offsets of struct bt's first fields for world.S, which C checks, and world.S's functions.
#ifndef RINGSIDE_BT_WORLD_H
#define RINGSIDE_BT_WORLD_H

#define BT_GPR 0
#define BT_FLAGS 128
#define BT_HOST_RSP 136
#define BT_HOST_GUEST_RSP 144
#define BT_RESUME 152
#define BT_GO 160
#define BT_LIVE 176
#define BT_MXCSR_RESET 180
#define BT_XSAVE 192

#ifndef __ASSEMBLER__
#include "engines/bt/bt.h"

// Loads the guest's registers and continues at host; comes back when bt_left() returned NULL.
void bt_world_enter(struct bt *bt, const void *host);

// Called by world.S when translated code has left while vector registers are live, and before they are saved (quick.c):
// host address to continue at, or NULL where more is to be done.
const void *bt_access_quickly(struct bt *bt);

// Called by world.S when translated code has left through a site, with all registers in *bt (rsp as the world has it in
// world_rsp): host address to continue at, or NULL to return from bt_world_enter. In run.c.
const void *bt_left(struct bt *bt);

// Where the stubs in the region send control, rdi being saved in gpr[RDI] and pointing to struct bt.
void bt_world_left(void);
#endif

#endif

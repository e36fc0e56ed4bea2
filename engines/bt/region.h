// SPDX-License-Identifier: BSD-2-Clause
// The process as the fast world needs it (layout.h): all that is the monitor's at BT_VMM_START and above, struct bt at
// its fixed place, the bias in the host's gs base.
#ifndef RINGSIDE_BT_REGION_H
#define RINGSIDE_BT_REGION_H

#include "engines/bt/bt.h"

// Does everything that is mapped lie where it may? If not, why, in words.
bool region_layout_ok(char *reason, size_t size);

// A zeroed struct bt at BT_REGION; NULL with one line in err where there is one already. The calling thread is set up
// by region_enter_thread().
struct bt *region_create(char *err, size_t size);
void region_destroy(struct bt *bt);

// The gs base is a thread's own: to be called by the thread that is about to run translated code, whenever it does.
void region_enter_thread(void);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// Signal handlers for the faults of translated code.
#ifndef RINGSIDE_BT_SIGNAL_H
#define RINGSIDE_BT_SIGNAL_H

#include "engines/bt/bt.h"

struct signals;

// Installs the handlers for the process; NULL with vcpu->error where memory is short. signals_remove puts back what
// was.
struct signals *signals_install(struct bt *bt);
void signals_remove(struct signals *s);
// The calling thread takes its faults on the handlers' own stack. 0, or -1 with errno.
int signals_enter_thread(struct signals *s);

#endif

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
// Around a run: the calling thread is the vCPU's now, and takes its faults on the handlers' own stack.
void signals_begin_run(struct signals *s);
void signals_end_run(struct signals *s);
void signals_rearm(struct signals *s); // a longjmp has come: perhaps out of a handler
// The vCPU was kicked; again: it has not seen the last kick yet. From any thread, async-signal-safe.
void signals_kicked(struct signals *s, bool again);

#endif

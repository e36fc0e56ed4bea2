// SPDX-License-Identifier: BSD-2-Clause
// Direct execution of user code (CPL 3), the monitor's side: which address space has which process (process.h), keeping
// its memory as the guest's tables have it, and what happens when it stops.
#ifndef RINGSIDE_BT_DIRECT_H
#define RINGSIDE_BT_DIRECT_H

#include "engines/bt/bt.h"

struct direct;

// Makes the processes, where the options want any; before the engine contains itself, at the latest before it runs.
// -1 with vcpu->error where there cannot be any and the options insist.
int direct_prepare(struct bt *bt);
void direct_destroy(struct bt *bt);
unsigned direct_processes(const struct bt *bt); // how many there are

// bt->world has been set anew; it was `before`. Sets bt->user_direct.
void direct_mode_changed(struct bt *bt, enum world before);
// The run loop has come by, and translated user code is about to go on.
void direct_look(struct bt *bt);
// Runs user code until the guest's kernel is to run, or the run loop has to look. May raise.
void direct_run(struct bt *bt);

// The guest's vector registers are back in bt->xsave (vectors.h), from the process that had them.
void direct_take_vectors(struct bt *bt);

// The guest flushed one translation. Flushes of everything count up bt->flushes, and are looked at before the next run.
void direct_invlpg(struct bt *bt, uint64_t va);

// bt->attention has been set. Async-signal-safe, any thread.
void direct_wake(struct bt *bt);
// The vCPU thread has used the CPU for a while, as a signal's handler says: in translated user code, is that the better
// way? Makes it come by the run loop.
void direct_tick(struct bt *bt);

#endif

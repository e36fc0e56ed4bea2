// SPDX-License-Identifier: BSD-2-Clause
// A debugger beside a run: the connection to gdb, and running the guest as it says. The guest starts stopped. Once the
// debugger is there this takes no system calls but read, write, poll and close, so an engine may give up all others.
#ifndef RINGSIDE_RUN_GDB_H
#define RINGSIDE_RUN_GDB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "include/vcpu.h"
#include "run/watch.h"

struct gdb;

#define GDB_STDIO "-"

// PORT of 127.0.0.1 (0: a free one), a path with a / in it (a socket that is made there), or GDB_STDIO.
bool gdb_where_ok(const char *where);
// Listens there, and says so on standard error. NULL with one line in err.
struct gdb *gdb_open(const char *where, char *err, size_t err_size);
// Waits for the debugger, or for what the watch knows: 0 either way, or -1 with one line in err.
int gdb_accept(struct gdb *g, struct watch *w, struct vcpu *v, char *err, size_t err_size);

// In place of engine->run(): serves the debugger while the guest is stopped, then runs it. VCPU_EXIT_KICK where that is
// all there is to look at.
enum vcpu_exit gdb_run(struct gdb *g, uint64_t budget);

// Why the debugger wants the run to end, in words; NULL where it does not.
const char *gdb_wants_end(const struct gdb *g);

// The run has ended, with this exit status; gdb is told and the connection closed. NULL is fine.
void gdb_close(struct gdb *g, int status);

#endif

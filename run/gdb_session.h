// SPDX-License-Identifier: BSD-2-Clause
// What a debugger asks of a stopped guest, packet by packet, without any connection: state, memory, breakpoints, and
// how the guest is to go on. Nothing in a packet is trusted.
#ifndef RINGSIDE_RUN_GDB_SESSION_H
#define RINGSIDE_RUN_GDB_SESSION_H

#include "include/vcpu.h"
#include "run/gdb_packet.h"

enum gdb_wish {
    GDB_STAY,  // ask on
    GDB_GO,    // run to the next breakpoint
    GDB_STEP,  // one instruction
    GDB_LEAVE, // go on without a debugger
    GDB_END,   // end the run
};

// Why the guest is stopped, as gdb numbers signals.
enum gdb_signal {
    GDB_SIGNAL_INT = 2,
    GDB_SIGNAL_ABORT = 6,
    GDB_SIGNAL_SEGV = 11,
    GDB_SIGNAL_TERM = 15,
    GDB_SIGNAL_TRAP = 5
};

struct gdb_session {
    struct vcpu *vcpu;
    enum gdb_wish wish;
    bool no_ack;        // QStartNoAckMode
    bool knows_swbreak; // the client understands that a stop is at a breakpoint, and rip before it
    char stop[64];      // why the guest is stopped: the answer to `?`
    char *description;  // target.xml
    bool have_state;    // `state` is the guest's
    bool changed_state; // ... but for what the client changed, memory among it
    bool changed_breakpoints;
    struct breakpoints breakpoints;
    struct vcpu_state state;
};

// 0, or -1 where memory is short; gdb_session_end() is right either way.
int gdb_session_begin(struct gdb_session *s, struct vcpu *v);
void gdb_session_end(struct gdb_session *s);

// The guest has stopped.
void gdb_session_stopped(struct gdb_session *s, enum gdb_signal signal, bool breakpoint);

// Handles one packet; true where `reply` is to be sent, be it empty ("not supported"). Sets s->wish.
bool gdb_session_handle(struct gdb_session *s, const char *packet, size_t length, struct gdb_text *reply);

// The guest is about to go on: the engine gets what the client changed. 0, or -1 with vcpu->error.
int gdb_session_resume(struct gdb_session *s);

// The stopped guest's state; NULL where the engine cannot tell. Valid until it goes on.
struct vcpu_state *gdb_session_state(struct gdb_session *s);

// gdb_monitor.c: gdb's `monitor COMMAND`. What it prints goes to out.
void gdb_monitor(struct gdb_session *s, const char *command, struct gdb_text *out);

#endif

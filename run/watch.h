// SPDX-License-Identifier: BSD-2-Clause
// What happens beside a running guest: Ctrl-C, the time limit, the machine's next timer. One thread waits for all of
// them and kicks the vCPU out of the guest; the vCPU's thread then asks what it is about.
#ifndef RINGSIDE_RUN_WATCH_H
#define RINGSIDE_RUN_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "include/vcpu.h"

struct watch;

// Blocks SIGINT, SIGTERM and SIGHUP in the calling thread (the vCPU's) until watch_stop(). timeout_ns from now. The
// watching thread keeps off vcpu_cpu (-1: the vCPU is not pinned); call before pinning, as it inherits where it may
// run. NULL with one line in err where the host lacks something.
struct watch *watch_start(struct vcpu *v, int vcpu_cpu, uint64_t timeout_ns, char *err, size_t err_size);
void watch_stop(struct watch *w); // NULL is fine

// From here on this vCPU is the one to kick: the guest has moved to another engine. Both stay until watch_stop(). Look
// at timers and wishes after it, as after a kick.
void watch_vcpu(struct watch *w, struct vcpu *v);

// run() has come back: a kick before now need not be repeated. Engines may take one for the time being.
void watch_seen(struct watch *w);

// What has come up since the start; both stay true.
bool watch_interrupted(struct watch *w);
bool watch_timed_out(struct watch *w);

// Kick at this CLOCK_MONOTONIC time (once; UINT64_MAX: never).
void watch_deadline(struct watch *w, uint64_t ns);

// The vCPU's thread sleeps until the deadline, or until one of the above comes up.
void watch_sleep(struct watch *w, uint64_t deadline_ns);

// Who may have bytes for the vCPU's thread.
enum watch_source { WATCH_DEBUGGER, WATCH_INPUT, WATCH_SOURCES };

// watch_input() names the descriptor to listen to, while not listening, -1: none; after watch_listen() the first byte
// that can be read there, or its end, kicks the vCPU once, wakes its thread, and watch_heard() is true until the next
// watch_listen(), or until there is no descriptor. Until then watch_sleep() does not sleep. watch_wait() sleeps until
// this source has been heard, or one of the above comes up.
void watch_input(struct watch *w, enum watch_source source, int fd);
void watch_listen(struct watch *w, enum watch_source source);
bool watch_heard(struct watch *w, enum watch_source source);
void watch_wait(struct watch *w, enum watch_source source);

uint64_t monotonic_ns(void);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// One image on one engine, from creating the machine to the reason why it ended.
#ifndef RINGSIDE_RUN_ONE_RUN_H
#define RINGSIDE_RUN_ONE_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "include/vcpu.h"
#include "run/exit_status.h"
#include "run/guest_files.h"
#include "run/pmu.h"
#include "run/records.h"
#include "run/switch.h"

struct run_request {
    const struct switch_plan *engines; // one, or those that it moves between
    struct guest_files files;          // the caller's
    const char *cmdline;
    uint64_t ram_bytes, serial_limit;
    uint64_t timeout_ns;
    uint64_t budget;                         // guest instructions; 0: no limit
    int cpu;                                 // to pin the vCPU's thread to; -1: not pinned
    bool count_pmu;                          // between marks
    const char *gdb;                         // where to wait for a debugger (gdb.h); NULL: nowhere
    bool takes_input;                        // the guest receives standard input on its serial line
    void (*serial)(void *ctx, uint8_t byte); // gets what the guest sends; NULL: nobody
    void *serial_ctx;
};

struct engine_stat {
    char name[64];
    uint64_t value;
};

struct run_outcome {
    enum exit_status status;
    char reason[512];          // one line; empty where the status is STATUS_OK
    struct engine_info engine; // the first: as probed before the run: afterwards the process may not be allowed to look
    event_mask counts;         // what it counts, likewise
    uint64_t wall_ns;          // from entering the guest to its end
    uint64_t idle_ns;          // of these: the guest was halted, waiting for the clock
    uint64_t switches;         // from one engine to another
    struct counters counters;  // of all engines
    struct engine_stat *stats;
    size_t stat_count;
    struct records *records;
    struct pmu pmu; // names and reason; closed
};

// Runs on the calling thread, which becomes the vCPU's. The outcome is to be freed whatever it says.
void one_run(const struct run_request *request, struct run_outcome *outcome);
void run_outcome_free(struct run_outcome *outcome);

// Guest instructions retired at all levels.
uint64_t instructions_in(const struct counters *counters);
bool counts_instructions(const struct engine *engine);

#endif

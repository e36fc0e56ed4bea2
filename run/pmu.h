// SPDX-License-Identifier: BSD-2-Clause
// The host's performance counters on the calling thread, named through libpfm4.
#ifndef RINGSIDE_RUN_PMU_H
#define RINGSIDE_RUN_PMU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PMU_EVENTS_MAX = 4 };

struct pmu {
    bool open;
    size_t count; // of names; 0: nothing is counted, and reason says why
    const char *name[PMU_EVENTS_MAX];
    int fd[PMU_EVENTS_MAX];
    char reason[160];
};

// What is counted around each benchmark: core cycles, instructions, branch misses.
extern const char *const pmu_core_events[];
extern const size_t pmu_core_event_count;

// Begins to count the events, as one group, on the calling thread. Where that cannot be, false with pmu->reason.
// pmu can be closed and read either way.
bool pmu_open(struct pmu *pmu, const char *const *names, size_t count);

// Counts since pmu_open, in the order of the names. False where they could not be read, or shared their counters.
bool pmu_read(const struct pmu *pmu, uint64_t values[static PMU_EVENTS_MAX]);
void pmu_close(struct pmu *pmu); // the names stay

#endif

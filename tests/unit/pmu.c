// SPDX-License-Identifier: BSD-2-Clause
// The path to the host's counters, by libpfm4's software events: there are some on every machine, with a PMU or not.
#include "run/pmu.h"

#include <sys/mman.h>

#include "tests/unit/check.h"

enum { PAGES = 64, PAGE = 4096 };

static void software_events(void)
{
    static const char *const names[] = {"perf::TASK-CLOCK", "perf::PAGE-FAULTS", "perf::CONTEXT-SWITCHES"};
    uint64_t before[PMU_EVENTS_MAX], after[PMU_EVENTS_MAX];
    struct pmu pmu;
    if (!pmu_open(&pmu, names, 3)) {
        SKIP(pmu.reason); // no permission, or no perf events in this kernel
        return;
    }
    CHECK_EQ(pmu.count, 3);
    CHECK_STR(pmu.name[1], "perf::PAGE-FAULTS");
    volatile uint8_t *memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    madvise((void *)memory, PAGES * PAGE, MADV_NOHUGEPAGE);
    CHECK(pmu_read(&pmu, before));
    for (int i = 0; i < PAGES; i++)
        memory[i * PAGE] = 1;
    CHECK(pmu_read(&pmu, after));
    CHECK(after[0] > before[0]);
    CHECK(after[1] - before[1] >= PAGES);
    CHECK(after[1] - before[1] < 2 * PAGES);
    munmap((void *)memory, PAGES * PAGE);
    pmu_close(&pmu);
    CHECK(!pmu_read(&pmu, after));
}

static void unknown_event(void)
{
    static const char *const names[] = {"perf::NO-SUCH-EVENT"};
    struct pmu pmu;
    CHECK(!pmu_open(&pmu, names, 1));
    CHECK(strstr(pmu.reason, "NO-SUCH-EVENT") != NULL);
    CHECK_EQ(pmu.count, 0);
    pmu_close(&pmu);
}

// Core events, or the reason why not: never neither.
static void core_events(void)
{
    uint64_t values[PMU_EVENTS_MAX];
    struct pmu pmu;
    if (pmu_open(&pmu, pmu_core_events, pmu_core_event_count)) {
        CHECK(pmu_read(&pmu, values) && values[0] > 0 && values[1] > 0);
    } else {
        CHECK(pmu.reason[0] && !strchr(pmu.reason, '\n'));
        SKIP(pmu.reason);
    }
    pmu_close(&pmu);
}

int main(void)
{
    software_events();
    unknown_event();
    core_events();
    return check_done("pmu");
}

// SPDX-License-Identifier: BSD-2-Clause
// libpfm4 turns names into perf_event_attr; perf_event_open counts. Where the kernel says no, its errno is kept in
// words, as the results have to say why there are no core cycles.
#include "run/pmu.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <perfmon/pfmlib_perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

// libpfm4's generic events: the kernel maps them to what the CPU has.
const char *const pmu_core_events[] = {"perf::CYCLES", "perf::INSTRUCTIONS", "perf::BRANCH-MISSES"};
const size_t pmu_core_event_count = sizeof pmu_core_events / sizeof *pmu_core_events;

static const char *why(int error)
{
    switch (error) {
    case ENOENT:
    case EOPNOTSUPP:
        return "this CPU (or the VM around it) has no such counter";
    case EACCES:
    case EPERM:
        return "not permitted; see /proc/sys/kernel/perf_event_paranoid";
    case ENOSYS:
        return "this kernel has no perf events";
    default:
        return strerror(error);
    }
}

static int open_event(const char *name, int leader, char *reason, size_t size)
{
    struct perf_event_attr attr = {.size = sizeof attr};
    pfm_perf_encode_arg_t arg = {.attr = &attr, .size = sizeof arg};
    int error = pfm_get_os_event_encoding(name, PFM_PLM0 | PFM_PLM3 | PFM_PLMH, PFM_OS_PERF_EVENT_EXT, &arg);
    if (error != PFM_SUCCESS) {
        snprintf(reason, size, "libpfm4: %s: %s", name, pfm_strerror(error));
        return -1;
    }
    attr.read_format = PERF_FORMAT_GROUP | PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
    attr.disabled = leader < 0; // the whole group starts with its leader
    int fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, leader, PERF_FLAG_FD_CLOEXEC);
    if (fd < 0) {
        int e = errno;
        snprintf(reason, size, "perf_event_open(%s): %s (%s)", name, strerrorname_np(e), why(e));
    }
    return fd;
}

static bool give_up(struct pmu *pmu)
{
    pmu_close(pmu);
    pmu->count = 0;
    return false;
}

bool pmu_open(struct pmu *pmu, const char *const *names, size_t count)
{
    *pmu = (struct pmu){0};
    int error = pfm_initialize();
    if (error != PFM_SUCCESS) {
        snprintf(pmu->reason, sizeof pmu->reason, "libpfm4: %s", pfm_strerror(error));
        return false;
    }
    for (size_t i = 0; i < count && i < PMU_EVENTS_MAX; i++) {
        int fd = open_event(names[i], i ? pmu->fd[0] : -1, pmu->reason, sizeof pmu->reason);
        if (fd < 0)
            return give_up(pmu);
        pmu->fd[i] = fd;
        pmu->name[i] = names[i];
        pmu->count = i + 1;
        pmu->open = true;
    }
    if (ioctl(pmu->fd[0], PERF_EVENT_IOC_ENABLE, PERF_IOC_FLAG_GROUP)) {
        snprintf(pmu->reason, sizeof pmu->reason, "PERF_EVENT_IOC_ENABLE: %s", strerror(errno));
        return give_up(pmu);
    }
    return true;
}

bool pmu_read(const struct pmu *pmu, uint64_t values[static PMU_EVENTS_MAX])
{
    struct {
        uint64_t events, enabled, running, value[PMU_EVENTS_MAX];
    } group;
    if (!pmu->open || read(pmu->fd[0], &group, sizeof group) < 0 || group.events != pmu->count ||
        group.running != group.enabled)
        return false;
    memcpy(values, group.value, pmu->count * sizeof *values);
    return true;
}

void pmu_close(struct pmu *pmu)
{
    for (size_t i = 0; pmu->open && i < pmu->count; i++)
        close(pmu->fd[i]);
    pmu->open = false;
}

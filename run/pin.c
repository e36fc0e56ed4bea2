// SPDX-License-Identifier: BSD-2-Clause
// Pinning through sched_setaffinity, and looking whether it worked.
#include "run/pin.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

int pin_to(int cpu, char *err, size_t err_size)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    if (cpu >= 0 && cpu < CPU_SETSIZE)
        CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set)) {
        snprintf(err, err_size, "cannot pin to CPU %d: %s", cpu, strerror(errno));
        return -1;
    }
    if (sched_getcpu() != cpu) {
        snprintf(err, err_size, "pinned to CPU %d, but running on CPU %d", cpu, sched_getcpu());
        return -1;
    }
    return 0;
}

void pin_away_from(int cpu)
{
    cpu_set_t set;
    if (cpu < 0 || cpu >= CPU_SETSIZE || sched_getaffinity(0, sizeof set, &set))
        return;
    CPU_CLR(cpu, &set);
    if (CPU_COUNT(&set))
        sched_setaffinity(0, sizeof set, &set);
}

int pin_default(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set))
        return 0;
    for (int cpu = CPU_SETSIZE - 1; cpu >= 0; cpu--)
        if (CPU_ISSET(cpu, &set))
            return cpu;
    return 0;
}

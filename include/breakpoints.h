// SPDX-License-Identifier: BSD-2-Clause
// Breakpoints of a debugger outside the guest: guest-virtual addresses, kept by the engine and nowhere in guest memory.
#ifndef RINGSIDE_BREAKPOINTS_H
#define RINGSIDE_BREAKPOINTS_H

#include <stdbool.h>
#include <stdint.h>

#define BREAKPOINTS_MAX 64

struct breakpoints {
    unsigned count;
    uint64_t at[BREAKPOINTS_MAX];
};

static inline bool breakpoint_at(const struct breakpoints *b, uint64_t rip)
{
    for (unsigned i = 0; i < b->count; i++)
        if (b->at[i] == rip)
            return true;
    return false;
}

#endif

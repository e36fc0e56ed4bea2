// SPDX-License-Identifier: BSD-2-Clause
// The time that devices live by, as a pointer so that tests can stop it: nanoseconds of CLOCK_MONOTONIC in a machine.
#ifndef RINGSIDE_MACHINE_CLOCK_H
#define RINGSIDE_MACHINE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define NS_PER_SECOND 1000000000ull
#define NEVER UINT64_MAX // as a deadline

struct machine_clock {
    uint64_t (*now)(void *ctx);
    void *ctx;
    bool moved; // a device set this: its deadline may have changed, ask for it again
};

static inline uint64_t clock_now(const struct machine_clock *c)
{
    return c->now(c->ctx);
}

// A count of `period`-long periods for which a timer would have to be looked at more often than the host can do is no
// use to anybody; whoever waits for deadlines may leave this much between two of them.
#define DEADLINE_GAP_NS 20000ull

// a * b / c without overflow in between.
static inline uint64_t mul_div(uint64_t a, uint64_t b, uint64_t c)
{
    return (uint64_t)((unsigned __int128)a * b / c);
}

static inline uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

#endif

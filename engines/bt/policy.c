// SPDX-License-Identifier: BSD-2-Clause
// The decision between direct and translated user code: arithmetic alone.
#include "engines/bt/policy.h"

static int64_t gain_of(const struct policy *p, uint64_t cycles)
{
    // Directly, the cycles are those of the code itself; translated, they are what it takes then.
    const uint64_t parts = p->direct ? 16 * POLICY_GAIN_OF_16 / (16 - POLICY_GAIN_OF_16) : POLICY_GAIN_OF_16;
    if (cycles > UINT32_MAX)
        cycles = UINT32_MAX;
    uint64_t gain = cycles * parts / 16;
    return gain < POLICY_MOST ? (int64_t)gain : POLICY_MOST;
}

static void change_to(struct policy *p, bool direct)
{
    p->direct = direct;
    p->gain = 0;
}

static void add(struct policy *p, int64_t gain)
{
    p->gain += gain;
    if (!p->direct) {
        if (p->gain < 0)
            p->gain = 0;
        if (p->gain >= POLICY_ENTER && !p->banned)
            change_to(p, true);
    } else {
        if (p->gain > 0)
            p->gain = 0;
        if (p->gain <= -POLICY_LEAVE)
            change_to(p, false);
    }
}

void policy_goes_on(struct policy *p, uint64_t cycles)
{
    add(p, gain_of(p, cycles));
}

void policy_entered_kernel(struct policy *p, uint64_t cycles, unsigned faults)
{
    if (p->banned)
        p->banned--;
    add(p, gain_of(p, cycles) - POLICY_HAND_OVER - (int64_t)faults * POLICY_FAULT);
}

void policy_ban(struct policy *p)
{
    change_to(p, false);
    p->banned = POLICY_BAN;
}

// SPDX-License-Identifier: BSD-2-Clause
// The decision between direct and translated user code: arithmetic alone.
#include "engines/bt/policy.h"

// A time slice of the host's, so that one hand-over that somebody else's process came between is not all that counts.
#define MOST_CYCLES 10000000u

// In sixteenths of the cycles.
static int64_t gain_of(uint64_t cycles, unsigned parts)
{
    return (int64_t)(cycles < UINT32_MAX ? cycles : UINT32_MAX) * parts / 16;
}

static int64_t loss_of(uint64_t cycles)
{
    return (int64_t)(cycles < UINT32_MAX ? cycles : UINT32_MAX);
}

static void change_to(struct policy *p, bool direct)
{
    p->direct = direct;
    p->gain = 0;
}

// Knuth's linear congruential generator, whose upper bits are good (TAOCP vol. 2, 3.2.1 and 3.3.4).
static uint32_t throw(struct policy * p)
{
    p->dice = p->dice * 1664525 + 1;
    return p->dice >> 16;
}

bool policy_measures(struct policy *p)
{
    if (!p->pause)
        return true;
    p->pause--;
    return false;
}

void policy_translated(struct policy *p, uint64_t cycles, unsigned hand_overs, uint64_t hand_over, unsigned faults)
{
    int64_t gain =
        gain_of(cycles, POLICY_GAIN_OF_16) - loss_of(hand_overs * hand_over + (uint64_t)faults * POLICY_FAULT);
    p->gain += gain < POLICY_MOST_GAIN ? gain : POLICY_MOST_GAIN;
    if (p->gain <= 0) {
        p->gain = 0;
        p->pause = throw(p) % POLICY_PAUSE;
    }
    if (p->gain >= POLICY_ENTER && !p->banned)
        change_to(p, true);
}

void policy_direct(struct policy *p, uint64_t cycles, uint64_t spent)
{
    int64_t gain = gain_of(cycles, 16 * POLICY_GAIN_OF_16 / (16 - POLICY_GAIN_OF_16)) - loss_of(spent);
    p->gain += gain > -POLICY_MOST_LOSS ? gain : -POLICY_MOST_LOSS;
    if (p->gain > POLICY_CREDIT)
        p->gain = POLICY_CREDIT;
    if (p->gain <= -POLICY_LEAVE)
        change_to(p, false);
}

void policy_stretch_ends(struct policy *p)
{
    p->banned -= !!p->banned;
}

void policy_ban(struct policy *p)
{
    change_to(p, false);
    p->banned = POLICY_BAN;
}

uint64_t policy_hand_over(uint64_t mean, uint64_t cycles)
{
    if (cycles > MOST_CYCLES)
        cycles = MOST_CYCLES;
    mean = mean - mean / 16 + cycles / 16;
    return mean < POLICY_HAND_OVER ? POLICY_HAND_OVER : mean;
}

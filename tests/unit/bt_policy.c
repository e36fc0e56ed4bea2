// SPDX-License-Identifier: BSD-2-Clause
// When user code is run directly under --bt-user=auto: stretches of programs of several kinds, on hosts of two kinds.
#include "engines/bt/policy.h"

#include "tests/unit/check.h"

struct host {
    uint64_t hand_over, fault; // what they cost here
    uint64_t mean;             // of hand-overs, as measured
};

// How many stretches of so many cycles, when translated, each with so many page faults, until the policy changes its
// mind; most where it does not.
static unsigned stretches(struct policy *p, struct host *h, uint64_t cycles, unsigned faults, unsigned most)
{
    bool direct = p->direct;
    for (unsigned i = 0; i < most; i++) {
        policy_stretch_ends(p);
        if (direct) { // the same code takes less
            policy_direct(p, cycles * (16 - POLICY_GAIN_OF_16) / 16, h->hand_over + faults * h->fault);
            h->mean = policy_hand_over(h->mean, h->hand_over);
        } else if (policy_measures(p)) {
            policy_translated(p, cycles, 1, h->mean, faults);
        }
        if (p->direct != direct)
            return i + 1;
    }
    return most;
}

static void quiet_host(void)
{
    struct policy p = {.direct = false};
    struct host h = {6000, 15000, POLICY_HAND_OVER};
    CHECK_EQ(stretches(&p, &h, 500, 0, 100000), 100000); // system calls alone
    CHECK_EQ(stretches(&p, &h, 11000, 0, 100000), 100000);
    CHECK_EQ(stretches(&p, &h, 30000, 1, 100000), 100000); // a page fault each
    CHECK(stretches(&p, &h, 30000, 0, 1000) < 100);
    CHECK(p.direct);
    CHECK_EQ(stretches(&p, &h, 30000, 0, 100000), 100000); // stays
    CHECK_EQ(stretches(&p, &h, 13000, 0, 100000), 100000); // just worth it
    CHECK(stretches(&p, &h, 500, 0, 1000) < 400);
    CHECK(!p.direct);

    p = (struct policy){.direct = true}; // fresh memory all the time: a hidden fault each stretch
    CHECK(stretches(&p, &h, 30000, 1, 1000) < 100);
}

// Nothing that happens once decides: the host may have run something else meanwhile.
static void single_events(void)
{
    struct host h = {6000, 15000, POLICY_HAND_OVER};
    struct policy p = {.direct = false};
    CHECK_EQ(stretches(&p, &h, ~0ull, 0, 1), 1);
    CHECK(!p.direct);
    CHECK_EQ(stretches(&p, &h, 500, 0, 1000), 1000);
    CHECK(stretches(&p, &h, ~0ull, 0, 100) <= POLICY_PAUSE + 1);
    CHECK(p.direct);
    CHECK_EQ(stretches(&p, &h, 500, 0, 10), 10); // nor is it given up at once
    p = (struct policy){.direct = true};
    policy_direct(&p, 0, 50000000);
    CHECK(p.direct);
}

// Where nothing speaks for direct execution few stretches are measured; and those that are long now and then are found
// all the same, at whatever distance they still are worth it.
static void pauses(void)
{
    struct policy p = {.direct = false};
    unsigned measured = 0, most = 20000;
    for (unsigned i = 0; i < most; i++)
        if (policy_measures(&p)) {
            measured++;
            policy_translated(&p, 500, 1, POLICY_HAND_OVER, 0);
        }
    CHECK(measured > most / POLICY_PAUSE && measured < most / 10);
    for (unsigned distance = 2; distance * POLICY_HAND_OVER < POLICY_MOST_GAIN; distance++) {
        p = (struct policy){.direct = false};
        unsigned i = 0;
        for (; i < most && !p.direct; i++)
            if (policy_measures(&p))
                policy_translated(&p, i % distance ? 500 : 2000000, 1, POLICY_HAND_OVER, 0);
        CHECK(p.direct);
    }
}

// A loop that never enters the kernel is seen by the ticks that look at it.
static void endless_loop(void)
{
    struct host h = {6000, 15000, POLICY_HAND_OVER};
    struct policy p = {.direct = false};
    policy_translated(&p, 10000000, 0, h.mean, 0);
    CHECK(!p.direct);
    policy_translated(&p, 10000000, 0, h.mean, 0);
    CHECK(p.direct);
    for (unsigned i = 0; i < 100; i++)
        policy_direct(&p, 10000000, 6000);
    CHECK(p.direct);
    CHECK(stretches(&p, &h, 500, 0, 1000) < 400); // what was gained long ago does not count
}

static void ban(void)
{
    struct host h = {6000, 15000, POLICY_HAND_OVER};
    struct policy p = {.direct = true};
    policy_ban(&p);
    CHECK(!p.direct);
    for (unsigned i = 0; i < 3; i++)
        policy_translated(&p, 10000000, 0, h.mean, 0);
    CHECK(!p.direct);
    CHECK_EQ(stretches(&p, &h, 1000000, 0, 100000), POLICY_BAN);
    CHECK(p.direct);
}

// Where the processes have to wait for a CPU, what is worth it on a quiet host is not.
static void busy_host(void)
{
    struct host h = {3000000, 6000000, POLICY_HAND_OVER};
    struct policy p = {.direct = false};
    CHECK(stretches(&p, &h, 200000, 0, 1000) < 10);
    CHECK(p.direct);
    CHECK(stretches(&p, &h, 200000, 0, 1000) < 10);
    CHECK(!p.direct);
    CHECK_EQ(stretches(&p, &h, 200000, 0, 10000), 10000); // and not again
    policy_translated(&p, 10000000, 0, h.mean, 0);
    policy_translated(&p, 10000000, 0, h.mean, 0);
    CHECK(p.direct); // but for a long loop
    CHECK_EQ(stretches(&p, &h, 20000000, 0, 1000), 1000);

    h.hand_over = 6000; // it gets quiet
    for (unsigned i = 0; i < 200; i++)
        h.mean = policy_hand_over(h.mean, h.hand_over);
    CHECK(h.mean < 2 * POLICY_HAND_OVER);
    CHECK(policy_hand_over(h.mean, 100) >= POLICY_HAND_OVER);
}

int main(void)
{
    quiet_host();
    single_events();
    pauses();
    endless_loop();
    ban();
    busy_host();
    return check_done("bt_policy");
}

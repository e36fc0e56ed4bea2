// SPDX-License-Identifier: BSD-2-Clause
// When user code is run directly under --bt-user=auto: stretches of programs of several kinds.
#include "engines/bt/policy.h"

#include "tests/unit/check.h"

// How many stretches of so many translated cycles, each with so many page faults, until the policy changes its mind;
// most where it does not.
static unsigned stretches(struct policy *p, uint64_t cycles, unsigned faults, unsigned most)
{
    bool direct = p->direct;
    for (unsigned i = 0; i < most; i++) {
        // The same code takes less when it is run directly.
        policy_entered_kernel(p, direct ? cycles * (16 - POLICY_GAIN_OF_16) / 16 : cycles, faults);
        if (p->direct != direct)
            return i + 1;
    }
    return most;
}

int main(void)
{
    struct policy p = {.direct = false};
    CHECK_EQ(stretches(&p, 500, 0, 100000), 100000); // system calls alone
    CHECK_EQ(stretches(&p, 8000, 0, 100000), 100000);
    CHECK_EQ(stretches(&p, 30000, 1, 100000), 100000); // a page fault each
    CHECK(stretches(&p, 20000, 0, 1000) < 100);
    CHECK(p.direct);
    CHECK_EQ(stretches(&p, 20000, 0, 100000), 100000); // stays
    CHECK_EQ(stretches(&p, 9500, 0, 100000), 100000);  // just worth it
    CHECK(stretches(&p, 500, 0, 1000) < 100);
    CHECK(!p.direct);

    // No stretch decides alone, whatever it says, and so not a host that ran something else meanwhile.
    p = (struct policy){.direct = false};
    CHECK_EQ(stretches(&p, ~0ull, 0, 1), 1);
    CHECK(!p.direct);
    CHECK_EQ(stretches(&p, 500, 0, 1000), 1000);
    CHECK_EQ(stretches(&p, ~0ull, 0, 10), 3);
    CHECK(p.direct);
    CHECK_EQ(stretches(&p, 500, 0, 10), 10); // nor is it given up at once

    // A loop that never enters the kernel is seen by the ticks that look at it.
    p = (struct policy){.direct = false};
    policy_goes_on(&p, 10000000);
    CHECK(!p.direct);
    policy_goes_on(&p, 10000000);
    CHECK(p.direct);
    for (unsigned i = 0; i < 100; i++)
        policy_goes_on(&p, 10000000);
    CHECK(p.direct);
    CHECK(stretches(&p, 500, 0, 1000) < 100); // what was gained long ago does not count

    // Fresh memory all the time, directly: a hidden fault each stretch.
    p = (struct policy){.direct = true};
    CHECK(stretches(&p, 30000, 1, 1000) < 100);

    p = (struct policy){.direct = true};
    policy_ban(&p);
    CHECK(!p.direct);
    policy_goes_on(&p, 10000000);
    policy_goes_on(&p, 10000000);
    policy_goes_on(&p, 10000000);
    CHECK(!p.direct);
    CHECK_EQ(stretches(&p, 1000000, 0, 100000), POLICY_BAN);
    CHECK(p.direct);
    return check_done("bt_policy");
}

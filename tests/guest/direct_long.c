// SPDX-License-Identifier: BSD-2-Clause
// A loop of user code at low addresses that nothing interrupts, n=N times: for whoever decides how such code is run,
// and has to notice by himself that it goes on.
#include "tests/guest/low.h"

IMAGE("direct_long");

static USER_CODE uint64_t add_up(void *arg)
{
    uint64_t n = (uint64_t)arg, sum = 0;
    for (uint64_t i = 1; i <= n; i++) {
        sum += i;
        __asm__ volatile("" : "+r"(sum));
    }
    return sum;
}

static uint64_t number(const char *text)
{
    uint64_t n = 0;
    for (; text && *text >= '0' && *text <= '9'; text++)
        n = 10 * n + (uint64_t)(*text - '0');
    return n ? n : 10000;
}

int image_main(void)
{
    uint64_t n = number(option("n"));
    low_map();
    CHECK_EQ(low_run(add_up, n), n * (n + 1) / 2);
    return 0;
}

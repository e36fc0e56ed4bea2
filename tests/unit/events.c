// SPDX-License-Identifier: BSD-2-Clause
// The table of events: a name and a meaning for each, no name twice.
#include "include/events.h"

#include "tests/unit/check.h"

int main(void)
{
    for (int i = 0; i < EV_COUNT; i++) {
        CHECK(event_table[i].name && event_table[i].name[0]);
        CHECK(event_table[i].meaning && event_table[i].meaning[0]);
        for (int j = 0; j < i; j++)
            CHECK(strcmp(event_table[i].name, event_table[j].name) != 0);
    }
    CHECK_STR(event_table[EV_exit_pio].name, "exit_pio");
    CHECK(EVENT_BIT(insns_kernel) == 1 && EVENT_BIT(user_to_translated) == (event_mask)1 << (EV_COUNT - 1));
    return check_done("events");
}

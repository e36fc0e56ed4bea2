// SPDX-License-Identifier: BSD-2-Clause
// What a test of the translator begins with.
#ifndef RINGSIDE_TESTS_UNIT_BT_POSSIBLE_H
#define RINGSIDE_TESTS_UNIT_BT_POSSIBLE_H

#include "engines/bt/region.h"
#include "tests/unit/check.h"

// Where the host does not let a translator be, says so as a skip.
static inline bool bt_possible(char **argv)
{
    char reason[200];
    region_fix_layout(argv);
    bool possible = region_layout_ok(reason, sizeof reason);
    if (!possible)
        SKIP(reason);
    return possible;
}

#endif

// SPDX-License-Identifier: BSD-2-Clause
// Which cases a test of random cases runs: `TEST [SEED [COUNT [FIRST]]]`, cases FIRST to FIRST + COUNT of SEED.
#ifndef RINGSIDE_TESTS_UNIT_RANGE_H
#define RINGSIDE_TESTS_UNIT_RANGE_H

#include <stdint.h>
#include <stdlib.h>

struct range {
    uint64_t seed, count, first;
};

static inline struct range range_from(int argc, char **argv, uint64_t count)
{
    return (struct range){.seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1,
                          .count = argc > 2 ? strtoull(argv[2], NULL, 0) : count,
                          .first = argc > 3 ? strtoull(argv[3], NULL, 0) : 0};
}

#endif

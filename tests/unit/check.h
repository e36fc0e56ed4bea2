// SPDX-License-Identifier: BSD-2-Clause
// Checks of the unit tests: each prints one line, `ok FILE: WHAT` or `not ok FILE: WHAT`, once per place in the source,
// so that a check may stand in a loop. main() ends with `return check_done("NAME");`.
#ifndef RINGSIDE_TESTS_UNIT_CHECK_H
#define RINGSIDE_TESTS_UNIT_CHECK_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { CHECK_FAILURE_LINES = 20 }; // a check that fails in a loop says so this often

static unsigned check_failures;

static inline bool check_note(bool ok, unsigned *said, const char *file, int line, const char *what)
{
    if (ok && !*said)
        printf("ok %s: %s\n", file, what);
    else if (!ok && *said < CHECK_FAILURE_LINES)
        printf("not ok %s: %s (line %d)\n", file, what, line);
    *said += !ok || !*said;
    check_failures += !ok;
    return ok;
}

static inline int check_done(const char *name)
{
    if (check_failures)
        fprintf(stderr, "%s: %u checks failed\n", name, check_failures);
    return check_failures != 0;
}

// Each gives whether the check held.
#define CHECK_SAY(ok, what)                                                                                            \
    ({                                                                                                                 \
        static unsigned check_said_;                                                                                   \
        check_note((ok), &check_said_, __FILE_NAME__, __LINE__, (what));                                               \
    })
#define CHECK(cond) CHECK_SAY(!!(cond), #cond)
#define CHECK_EQ(a, b)                                                                                                 \
    ({                                                                                                                 \
        uint64_t check_a_ = (uint64_t)(a), check_b_ = (uint64_t)(b);                                                   \
        bool check_eq_ = CHECK_SAY(check_a_ == check_b_, #a " == " #b);                                                \
        if (!check_eq_)                                                                                                \
            printf("# %#" PRIx64 " is not %#" PRIx64 "\n", check_a_, check_b_);                                        \
        check_eq_;                                                                                                     \
    })
#define CHECK_STR(a, b)                                                                                                \
    ({                                                                                                                 \
        const char *check_a_ = (a), *check_b_ = (b);                                                                   \
        bool check_eq_ = CHECK_SAY(strcmp(check_a_, check_b_) == 0, #a " is " #b);                                     \
        if (!check_eq_)                                                                                                \
            printf("# \"%s\" is not \"%s\"\n", check_a_, check_b_);                                                    \
        check_eq_;                                                                                                     \
    })
#define SKIP(reason) printf("skip %s: %s\n", __FILE_NAME__, (reason))

#endif

// SPDX-License-Identifier: BSD-2-Clause
// Self-checks: one record each, and the status that comes of them.
#include "guest/report.h"

static bool failed;

void check_record(bool ok, const char *what, uint64_t got, uint64_t want)
{
    print(RS1_PREFIX "check name=%s ok=%d what=%s", image_name, ok, what);
    if (!ok) {
        failed = true;
        print(" (got 0x%lx, want 0x%lx)", got, want);
    }
    print("\n");
}

void skip(const char *why)
{
    print(RS1_PREFIX "skip name=%s why=%s\n", image_name, why);
}

int checked_status(int status)
{
    return status ? status : failed;
}

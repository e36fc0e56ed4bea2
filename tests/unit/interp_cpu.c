// SPDX-License-Identifier: BSD-2-Clause
// The interpreter against the host's CPU, for a short while: `make check-cpu` is the long run.
#include "tests/unit/cpu_short.h"

int main(void)
{
    enum { CASES = 150000 };
    return cpu_short("interp_cpu", &subject_interp, CASES);
}

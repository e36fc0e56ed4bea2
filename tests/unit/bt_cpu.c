// SPDX-License-Identifier: BSD-2-Clause
// Engine bt against the host's CPU and the interpreter, for a short while: `make check-cpu` is the long run.
#include "engines/bt/region.h"
#include "tests/unit/cpu_short.h"

int main(int argc, char **argv)
{
    enum { CASES = 60000 };
    (void)argc;
    region_fix_layout(argv);
    return cpu_short("bt_cpu", &subject_bt, CASES);
}

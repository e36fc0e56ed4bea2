// SPDX-License-Identifier: BSD-2-Clause
// bantam: program
// fork, a child that ends at once, and wait: the paper's program. It makes and destroys address spaces, and exercises
// system calls, context switches, traced page-table writes and injected faults at once. One iteration is one pass of
// the paper's loop; with count=40000 it runs once, in full, as there.
#include "guest/bantam/user/lib.h"

IMAGE("forkwait");

static void body(uint64_t n, void *ctx)
{
    uint64_t *waited = ctx;
    for (uint64_t i = 0; i < n; i++) {
        int pid = fork();
        if (pid < 0)
            panic("fork: error %d", -pid);
        if (pid == 0)
            _exit(0);
        *waited += waitpid(pid, NULL, 0) == pid;
    }
}

// All children were waited for: the result, whatever n was.
static void forkwait(const char *name, uint64_t count)
{
    uint64_t waited = 0;
    if (count)
        bench_once(name, count, body, &waited);
    else
        bench_run(name, body, &waited);
    if (count && waited != count)
        panic("%lu of %lu children were waited for", waited, count);
    uint64_t before = waited;
    body(3, &waited);
    bench_value(name, waited - before);
}

int image_main(void)
{
    uint64_t count = option_u64("count", 0);
    forkwait(count ? "forkwait_once" : "forkwait", count);
    return 0;
}

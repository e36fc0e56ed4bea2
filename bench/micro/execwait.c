// SPDX-License-Identifier: BSD-2-Clause
// bantam: program
// fork, exec of a program that ends at once, and wait: how a shell starts one. The program is this file again, so that
// there is no other file to be found.
#include "guest/bantam/user/lib.h"

IMAGE("execwait");

#define CHILD_STATUS 7

static void body(uint64_t n, void *ctx)
{
    uint64_t *good = ctx;
    const char *path = (const char *)aux_value(AT_EXECFN);
    const char *const argv[] = {path, "part=child", NULL}, *const envp[] = {NULL};
    while (n--) {
        int status, pid = fork();
        if (pid < 0)
            panic("fork: error %d", -pid);
        if (pid == 0) {
            execve(path, argv, envp);
            _exit(0);
        }
        if (waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == CHILD_STATUS)
            ++*good;
    }
}

int image_main(void)
{
    if (option("part"))
        _exit(CHILD_STATUS);
    uint64_t good = 0;
    bench_run("execwait", body, &good);
    good = 0;
    body(3, &good);
    bench_value("execwait", good);
    return 0;
}

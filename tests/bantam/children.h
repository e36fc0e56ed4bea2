// SPDX-License-Identifier: BSD-2-Clause
// Child processes as the tests' subjects: what one does is judged by its wait status, as wait4() gives it. The same
// file runs on Linux, which says what is right.
#ifndef RINGSIDE_TESTS_BANTAM_CHILDREN_H
#define RINGSIDE_TESTS_BANTAM_CHILDREN_H

#include "guest/bantam/user/lib.h"

#define EXITED(status) ((status) << 8)
#define KILLED_BY(signal) (signal)
#define STATUS_CORE 0x80 // Linux may write a core file, Bantam has none

// fn in a process of its own; where it returns, its status is 42.
static inline int wait_status_of(void (*fn)(void))
{
    int pid = fork(), status = -1;
    if (pid < 0)
        panic("fork: error %d", -pid);
    if (pid == 0) {
        fn();
        _exit(42);
    }
    int waited = waitpid(pid, &status, 0);
    if (waited != pid)
        panic("wait for %d: %d", pid, waited);
    return WIFEXITED(status) ? status : status & ~STATUS_CORE;
}

static inline bool on_linux(void)
{
    char names[6][65] = {{0}}; // struct utsname
    return syscall3(SYS_uname, (uint64_t)names, 0, 0) == 0 && !strcmp(names[0], "Linux");
}

#endif

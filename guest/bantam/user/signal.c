// SPDX-License-Identifier: BSD-2-Clause
// sigaction(), with the restorer that the kernel returns to (start.S).
#include "guest/bantam/user/lib.h"

#define SA_RESTORER 0x04000000u
#define SIGSET_BYTES 8

void signal_return(void);

int signal_set(int signal, void (*handler)(int), uint64_t flags)
{
    struct sigaction action = {
        .handler = (uint64_t)handler, .flags = flags | SA_RESTORER, .restorer = (uint64_t)signal_return};
    return (int)syscall6(SYS_rt_sigaction, (uint64_t)signal, (uint64_t)&action, 0, SIGSET_BYTES, 0, 0);
}

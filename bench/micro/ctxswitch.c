// SPDX-License-Identifier: BSD-2-Clause
// bantam: program
// Two processes that hand a byte to and fro over two pipes. One iteration is a round trip: four system calls and two
// switches between address spaces.
#include "guest/bantam/user/lib.h"

IMAGE("ctxswitch");

struct partner {
    int to, from; // descriptors
    uint64_t trips;
};

static void send(int fd)
{
    char byte = 1;
    if (write(fd, &byte, 1) != 1)
        panic("the other end of the pipe is gone");
}

static bool receive(int fd)
{
    char byte;
    return read(fd, &byte, 1) == 1;
}

static void body(uint64_t n, void *ctx)
{
    struct partner *p = ctx;
    while (n--) {
        send(p->to);
        p->trips += receive(p->from);
    }
}

static _Noreturn void echo(int from, int to)
{
    while (receive(from))
        send(to);
    _exit(0);
}

int image_main(void)
{
    int there[2], back[2];
    if (pipe(there) || pipe(back))
        panic("no pipes");
    int pid = fork();
    if (pid < 0)
        panic("fork: error %d", -pid);
    if (pid == 0) {
        close(there[1]);
        close(back[0]);
        echo(there[0], back[1]);
    }
    close(there[0]);
    close(back[1]);
    struct partner p = {.to = there[1], .from = back[0]};
    bench_run("ctxswitch", body, &p);
    p.trips = 0;
    body(100, &p);
    close(there[1]); // the end of the partner
    int status = -1;
    bench_value("ctxswitch", p.trips + (waitpid(pid, &status, 0) == pid) + (status == 0));
    return 0;
}

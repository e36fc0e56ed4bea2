// SPDX-License-Identifier: BSD-2-Clause
// Reading standard input without ever waiting for it.
#include "run/input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "machine/serial.h"

struct input {
    int fd;
    struct watch *watch;
    bool readable; // as far as is known
    bool ended;
    size_t at, have; // bytes of buffer[], and how many of them the guest has
    uint8_t buffer[4096];
};

// Another open of the same pipe or terminal has flags of its own: a read of that one never waits, even where somebody
// else took the bytes that poll saw. O_NONBLOCK on the one that we were given would be seen by all who share it. Where
// there cannot be another (a socket, a terminal of somebody else's) the one that is there does. That of a file would
// begin at its beginning, and a file needs none.
static int open_again(void)
{
    struct stat s;
    if (fstat(STDIN_FILENO, &s))
        return -1;
    int fd = S_ISREG(s.st_mode) ? -1 : open("/proc/self/fd/0", O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return fd >= 0 ? fd : STDIN_FILENO;
}

struct input *input_open(char *err, size_t err_size)
{
    struct input *in = calloc(1, sizeof *in);
    if (!in) {
        snprintf(err, err_size, "no memory for the input");
        return NULL;
    }
    in->fd = open_again();
    if (in->fd >= 0)
        return in;
    snprintf(err, err_size, "--input: there is no standard input");
    free(in);
    return NULL;
}

void input_close(struct input *in)
{
    if (!in)
        return;
    if (in->fd != STDIN_FILENO)
        close(in->fd);
    free(in);
}

static void listen_for_it(struct input *in)
{
    in->readable = false;
    watch_input(in->watch, WATCH_INPUT, in->fd);
    watch_listen(in->watch, WATCH_INPUT);
}

void input_begin(struct input *in, struct watch *w)
{
    in->watch = w;
    listen_for_it(in);
}

bool input_came(struct input *in)
{
    if (!watch_heard(in->watch, WATCH_INPUT))
        return false;
    in->readable = true;
    watch_input(in->watch, WATCH_INPUT, -1); // until it has been read: the guest may sleep over it
    return true;
}

// False where there is nothing now, or never will be.
static bool more(struct input *in)
{
    struct pollfd polled = {.fd = in->fd, .events = POLLIN};
    if (!in->readable || in->ended)
        return false;
    ssize_t n = -1;
    errno = EAGAIN;
    if (poll(&polled, 1, 0) > 0)
        n = read(in->fd, in->buffer, sizeof in->buffer);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        listen_for_it(in);
        return false;
    }
    in->ended = n <= 0; // an error is an end, too: a terminal that is gone
    in->at = 0;
    in->have = n > 0 ? (size_t)n : 0;
    return n > 0;
}

int input_next(struct input *in)
{
    if (in->at < in->have || more(in))
        return in->buffer[in->at++];
    return in->ended ? SERIAL_END : SERIAL_NOTHING;
}

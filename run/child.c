// SPDX-License-Identifier: BSD-2-Clause
// fork, exec, two pipes, and a poll over them.
#include "run/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run/watch.h"

#define TICK_NS 1000000000ull
#define OUTPUT_MAX (256u << 20) // a child that prints more is ended

enum { EXEC_FAILED = 127, CHUNK = 65536 };

struct buffer {
    char *bytes;
    size_t length, size;
};

static bool pinned(const struct child_request *request)
{
    cpu_set_t set;
    if (!request->pin)
        return true;
    CPU_ZERO(&set);
    if (request->cpu >= 0 && request->cpu < CPU_SETSIZE)
        CPU_SET(request->cpu, &set);
    return sched_setaffinity(0, sizeof set, &set) == 0;
}

// In the child: nothing but system calls until exec. It dies with its parent, and Ctrl-C is the parent's to handle.
static void become(const struct child_request *request, const int out[2], const int err[2], pid_t parent)
{
    sigset_t none;
    sigemptyset(&none);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int null = open("/dev/null", O_RDONLY);
    if (getppid() == parent && null >= 0 && dup2(null, 0) >= 0 && dup2(out[1], 1) >= 0 && dup2(err[1], 2) >= 0 &&
        setpgid(0, 0) == 0 && pinned(request)) {
        sigprocmask(SIG_SETMASK, &none, NULL);
        execvp(request->argv[0], request->argv);
    }
    _exit(EXEC_FAILED);
}

// One read; false at the end of the file, or where there is too much.
static bool take(int fd, struct buffer *b)
{
    if (b->size - b->length < CHUNK) {
        char *more = b->size < OUTPUT_MAX ? realloc(b->bytes, 2 * b->size + 2 * CHUNK) : NULL;
        if (!more)
            return false;
        b->bytes = more;
        b->size = 2 * b->size + 2 * CHUNK;
    }
    ssize_t got = read(fd, b->bytes + b->length, CHUNK - 1);
    if (got < 0)
        return errno == EINTR || errno == EAGAIN;
    b->length += (size_t)got;
    b->bytes[b->length] = '\0';
    return got > 0;
}

// Waits for both ends of file, or for a reason to give up. Sets timed_out and stopped. What the child had done by the
// time limit counts however late we come to see it: there is a last look at what it has printed, and at its end.
static void collect(const struct child_request *request, int out_fd, int err_fd, struct buffer *out, struct buffer *err,
                    struct child_result *result)
{
    struct pollfd fds[3] = {
        {.fd = out_fd, .events = POLLIN}, {.fd = err_fd, .events = POLLIN}, {.fd = request->stop_fd, .events = POLLIN}};
    uint64_t start = monotonic_ns(), next_tick = start + TICK_NS;
    for (bool late = false; !late && (fds[0].fd >= 0 || fds[1].fd >= 0);) {
        uint64_t now = monotonic_ns();
        if (now >= next_tick) {
            if (request->tick)
                request->tick(request->tick_ctx);
            next_tick = now + TICK_NS;
        }
        late = now - start >= request->timeout_ns;
        uint64_t left = request->timeout_ns - (now - start), wait = next_tick - now < left ? next_tick - now : left;
        int ready = poll(fds, 3, late ? 0 : (int)(wait / 1000000) + 1);
        if (ready > 0 && (result->stopped = fds[2].revents != 0))
            return;
        if (ready > 0 && fds[0].revents && !take(out_fd, out))
            fds[0].fd = -1;
        if (ready > 0 && fds[1].revents && !take(err_fd, err))
            fds[1].fd = -1;
        result->timed_out = late && (fds[0].fd >= 0 || fds[1].fd >= 0);
    }
}

static void reap(pid_t pid, struct child_result *result)
{
    int status = 0;
    if (result->timed_out || result->stopped) {
        kill(-pid, SIGKILL); // its group, with what it forked; there is none yet right after its own fork
        kill(pid, SIGKILL);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    result->status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    result->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static int fail(const struct child_request *request, const char *what, char *err, size_t err_size)
{
    snprintf(err, err_size, "cannot start %.100s: %s: %s", request->argv[0], what, strerror(errno));
    return -1;
}

int child_run(const struct child_request *request, struct child_result *result, char *err, size_t err_size)
{
    int out[2], error[2];
    *result = (struct child_result){.status = -1};
    if (pipe2(out, O_CLOEXEC))
        return fail(request, "pipe", err, err_size);
    if (pipe2(error, O_CLOEXEC)) {
        close(out[0]);
        close(out[1]);
        return fail(request, "pipe", err, err_size);
    }
    struct buffer out_buffer = {0}, err_buffer = {0};
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        become(request, out, error, parent);
    int saved = errno;
    close(out[1]);
    close(error[1]);
    if (pid > 0) {
        collect(request, out[0], error[0], &out_buffer, &err_buffer, result);
    }
    close(out[0]);
    close(error[0]);
    result->out = out_buffer.bytes;
    result->out_length = out_buffer.length;
    result->err = err_buffer.bytes;
    result->err_length = err_buffer.length;
    errno = saved;
    if (pid < 0)
        return fail(request, "fork", err, err_size);
    reap(pid, result);
    result->started = result->status != EXEC_FAILED;
    if (!result->started) {
        snprintf(err, err_size, "cannot start %.100s", request->argv[0]);
        return -1;
    }
    return 0;
}

void child_free(struct child_result *result)
{
    free(result->out);
    free(result->err);
    result->out = result->err = NULL;
}

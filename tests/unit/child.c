// SPDX-License-Identifier: BSD-2-Clause
// Children: their output and status, and every way in which they do not end well.
#include "run/child.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run/pin.h"
#include "run/watch.h"
#include "tests/unit/check.h"

#define MS 1000000ull

static char message[256];
static struct child_result result;

static int shell(const char *script, uint64_t timeout_ns, int stop_fd)
{
    char *const argv[] = {(char *)"sh", (char *)"-c", (char *)script, NULL};
    const struct child_request request = {.argv = argv, .timeout_ns = timeout_ns, .stop_fd = stop_fd};
    child_free(&result);
    return child_run(&request, &result, message, sizeof message);
}

// With a time limit that ends it, but not before the shell has got so far as to print something.
static void limited(const char *script)
{
    for (uint64_t limit = 200 * MS; limit <= 20000 * MS; limit *= 10) {
        CHECK_EQ(shell(script, limit, -1), 0);
        CHECK(result.timed_out && result.status == -1 && result.signal == SIGKILL);
        if (result.out_length)
            break;
    }
}

// A child that is given up takes what it started along.
static void whole_group(void)
{
    int status = 0;
    CHECK_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    limited("sleep 60 & echo $!; wait");
    pid_t grandchild = result.out ? atoi(result.out) : 0;
    if (CHECK(grandchild > 0)) {
        CHECK_EQ(waitpid(grandchild, &status, 0), grandchild);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    }
}

// As whoever runs a child that stops it, prints, and goes on: whether it is stopped, or ends with what it found.
static void run_stopped(uint64_t limit, bool ends)
{
    int failed =
        shell(ends ? "kill -STOP $PPID; echo early; exit 5" : "kill -STOP $PPID; echo early; exec sleep 60", limit, -1);
    bool all = !failed && result.out && strcmp(result.out, "early\n") == 0;
    _exit(all && result.timed_out == !ends && result.status == (ends ? 5 : -1) ? 0 : 1);
}

// Who looks only after the time limit, as on a host that had something else to do, still sees all that came before it.
static void looks_late(bool ends)
{
    int status = 0;
    unsigned stops = 0;
    for (uint64_t limit = 500 * MS; limit <= 50000 * MS && !stops; limit *= 10) {
        pid_t pid = fork();
        if (pid == 0)
            run_stopped(limit, ends);
        while (waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status)) {
            stops++;
            usleep((useconds_t)(limit / 1000 + 100000));
            kill(pid, SIGCONT);
        }
    }
    CHECK(stops > 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void pinned(void)
{
    char *const argv[] = {(char *)"sh", (char *)"-c", (char *)"sed -n 's/^Cpus_allowed_list:.//p' /proc/self/status",
                          NULL};
    struct child_request request = {
        .argv = argv, .timeout_ns = 60000 * MS, .stop_fd = -1, .pin = true, .cpu = pin_default()};
    char expected[16];
    snprintf(expected, sizeof expected, "%d\n", request.cpu);
    child_free(&result);
    CHECK_EQ(child_run(&request, &result, message, sizeof message), 0);
    CHECK_STR(result.out, expected); // the program that the shell starts, too
    request.cpu = 1 << 20;
    child_free(&result);
    CHECK_EQ(child_run(&request, &result, message, sizeof message), -1);
}

struct ticks {
    unsigned count;
    int stop;
};

static void stop_at_2(void *ctx)
{
    struct ticks *t = ctx;
    if (++t->count == 2)
        eventfd_write(t->stop, 1);
}

// One a second; the second one gives the child up.
static void ticking(void)
{
    struct ticks t = {.stop = eventfd(0, EFD_CLOEXEC)};
    char *const argv[] = {(char *)"sleep", (char *)"60", NULL};
    const struct child_request request = {
        .argv = argv, .timeout_ns = 60000 * MS, .stop_fd = t.stop, .tick = stop_at_2, .tick_ctx = &t};
    uint64_t begin = monotonic_ns();
    child_free(&result);
    CHECK_EQ(child_run(&request, &result, message, sizeof message), 0);
    CHECK(result.stopped && t.count == 2 && monotonic_ns() - begin >= 2000 * MS);
    close(t.stop);
}

int main(void)
{
    CHECK_EQ(shell("echo out; echo err >&2; exit 7", 60000 * MS, -1), 0);
    CHECK(result.started && result.status == 7 && !result.timed_out && !result.stopped);
    CHECK_STR(result.out, "out\n");
    CHECK_STR(result.err, "err\n");

    CHECK_EQ(shell("yes | head -c 3000000", 60000 * MS, -1), 0);
    CHECK_EQ(result.out_length, 3000000);

    CHECK_EQ(shell("read line", 60000 * MS, -1), 0);
    CHECK_EQ(result.status, 1); // standard input is empty

    CHECK_EQ(shell("kill -TERM $$", 60000 * MS, -1), 0);
    CHECK(result.status == -1 && result.signal == SIGTERM);

    limited("echo early; exec sleep 60");
    CHECK_STR(result.out ? result.out : "", "early\n");
    looks_late(false);
    looks_late(true);

    int stop = eventfd(1, EFD_CLOEXEC);
    CHECK_EQ(shell("exec sleep 60", 60000 * MS, stop), 0);
    CHECK(result.stopped && !result.timed_out && result.signal == SIGKILL);
    close(stop);
    whole_group();
    pinned();

    char *const argv[] = {(char *)"/no/such/program", NULL};
    const struct child_request missing = {.argv = argv, .timeout_ns = 60000 * MS, .stop_fd = -1};
    child_free(&result);
    CHECK_EQ(child_run(&missing, &result, message, sizeof message), -1);
    CHECK(!result.started && strstr(message, "/no/such/program") != NULL);

    ticking();
    child_free(&result);
    return check_done("child");
}

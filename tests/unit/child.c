// SPDX-License-Identifier: BSD-2-Clause
// Children: their output and status, and every way in which they do not end well.
#include "run/child.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
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

// A child that is given up takes what it started along.
static void whole_group(void)
{
    CHECK_EQ(shell("sleep 60 & echo $!; wait", 200 * MS, -1), 0);
    CHECK(result.timed_out);
    pid_t grandchild = result.out ? atoi(result.out) : 0;
    CHECK(grandchild > 0);
    for (int tries = 0; tries < 500 && grandchild > 0 && kill(grandchild, 0) == 0; tries++)
        usleep(10000); // whoever inherited it has to reap it
    CHECK(grandchild > 0 && kill(grandchild, 0) != 0);
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

static void count(void *ctx)
{
    ++*(int *)ctx;
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

    uint64_t begin = monotonic_ns();
    CHECK_EQ(shell("echo early; exec sleep 60", 200 * MS, -1), 0);
    CHECK(result.timed_out && result.status == -1 && monotonic_ns() - begin < 20000 * MS);
    CHECK_STR(result.out, "early\n");

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

    int ticks = 0;
    char *const sleep[] = {(char *)"sleep", (char *)"1.5", NULL};
    const struct child_request ticking = {
        .argv = sleep, .timeout_ns = 60000 * MS, .stop_fd = -1, .tick = count, .tick_ctx = &ticks};
    child_free(&result);
    CHECK_EQ(child_run(&ticking, &result, message, sizeof message), 0);
    CHECK_EQ(ticks, 1);
    child_free(&result);
    return check_done("child");
}

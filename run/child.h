// SPDX-License-Identifier: BSD-2-Clause
// A program run as a child, its output kept, with a time limit.
#ifndef RINGSIDE_RUN_CHILD_H
#define RINGSIDE_RUN_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct child_request {
    char *const *argv; // argv[0]: a path, or a name to be looked for in PATH
    uint64_t timeout_ns;
    bool pin; // the child, and what it forks, stays on `cpu`
    int cpu;
    int stop_fd;             // readable where the run is to be given up; -1: none
    void (*tick)(void *ctx); // called once a second while waiting; NULL: not
    void *tick_ctx;
};

struct child_result {
    bool started, timed_out, stopped;
    int status; // exit status; -1 where it was ended by a signal
    int signal;
    char *out; // standard output, NUL at the end
    size_t out_length;
    char *err; // standard error likewise
    size_t err_length;
};

// 0, or -1 with one line in err where the child could not be started. The result is to be freed either way.
int child_run(const struct child_request *request, struct child_result *result, char *err, size_t err_size);
void child_free(struct child_result *result);

#endif

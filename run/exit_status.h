// SPDX-License-Identifier: BSD-2-Clause
// What the program's exit status means: one list, printed by --help and used by everything that ends a run.
#ifndef RINGSIDE_RUN_EXIT_STATUS_H
#define RINGSIDE_RUN_EXIT_STATUS_H

#include <stddef.h>

enum exit_status {
    STATUS_OK = 0,
    STATUS_GUEST_FAILED = 1,
    STATUS_USAGE = 2,
    STATUS_UNAVAILABLE = 3,
    STATUS_BAD_IMAGE = 4,
    STATUS_TIMEOUT = 5,
    STATUS_SHUTDOWN = 6,
    STATUS_FLOOD = 7,
    STATUS_ENGINE_ERROR = 8,
    STATUS_HALTED = 9,
    STATUS_DIFFERENT = 10,
    STATUS_BAD_FILE = 11,
    STATUS_UNSUPPORTED = 12,
    STATUS_INTERRUPTED = 130,
};

struct exit_status_info {
    enum exit_status status;
    const char *name; // as in JSON
    const char *meaning;
};

extern const struct exit_status_info exit_status_table[];
extern const size_t exit_status_count;

const char *exit_status_name(enum exit_status status);

#endif

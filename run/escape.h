// SPDX-License-Identifier: BSD-2-Clause
// The key by which somebody at a terminal whose keys are all the guest's speaks to the monitor: Ctrl-A, as with QEMU
// and terminal programs.
#ifndef RINGSIDE_RUN_ESCAPE_H
#define RINGSIDE_RUN_ESCAPE_H

#include <stdbool.h>
#include <stdint.h>

#define ESCAPE_HELP                                                                                                    \
    "Ctrl-A x        end the run; once more: kill it\n"                                                                \
    "Ctrl-A Ctrl-A   send Ctrl-A to the guest\n"                                                                       \
    "Ctrl-A h        this\n"

enum escape_key { ESCAPE_NONE, ESCAPE_SEND, ESCAPE_END, ESCAPE_SHOW_HELP };

struct escape {
    bool begun; // Ctrl-A was the last key
};

// What a key means; ESCAPE_SEND: that it goes to the guest.
enum escape_key escape_take(struct escape *e, uint8_t key);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// `--input=tty`: the terminal belongs to a process of its own, which the monitor is a child of. That one does as little
// as can be: it hands keys down a pipe, and puts the terminal's settings back when the monitor has ended, however it
// did. The monitor, which runs guests that nobody trusts and keeps few system calls for it, never has the terminal's
// settings in its hands, and whatever becomes of it the escape key works.
#ifndef RINGSIDE_RUN_TERMINAL_H
#define RINGSIDE_RUN_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

#include "run/exit_status.h"

// True in the monitor, whose standard input is then what is typed. False in the process that has the terminal, once all
// is over, with the monitor's status; it has said what there is to say. Where the monitor was ended by a signal, that
// one ends this process, too. False with one line in err, likewise, where there is no terminal, or no second process.
// While there is one thread.
bool terminal_split(enum exit_status *status, char *err, size_t err_size);

#endif

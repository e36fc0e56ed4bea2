// SPDX-License-Identifier: BSD-2-Clause
// Standard input as what the guest receives on its serial line: read when there is something, kept until the guest
// takes it, and then not read on. Once it is open this takes no system calls but read and poll, so an engine may give
// up all others.
#ifndef RINGSIDE_RUN_INPUT_H
#define RINGSIDE_RUN_INPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "run/watch.h"

struct input;

// NULL with one line in err.
struct input *input_open(char *err, size_t err_size);
void input_close(struct input *in); // NULL is fine

// From now on the watch listens to it.
void input_begin(struct input *in, struct watch *w);

// Whether there are bytes, or the end, after there was nothing: then the machine is to be told.
bool input_came(struct input *in);

// The next byte, SERIAL_NOTHING or SERIAL_END (machine/serial.h). After SERIAL_NOTHING input_came() tells when to ask
// again.
int input_next(struct input *in);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// Pinning the calling thread to one CPU.
#ifndef RINGSIDE_RUN_PIN_H
#define RINGSIDE_RUN_PIN_H

#include <stddef.h>

// 0, or -1 with one line in err. The CPU that the thread is on afterwards is the one asked for.
int pin_to(int cpu, char *err, size_t err_size);

// Keeps the calling thread off one CPU, where there is another that it may use; -1: nothing to keep off.
void pin_away_from(int cpu);

// The CPU for measuring where none is asked for: the last that we may use, as the first gets most interrupts.
int pin_default(void);

#endif

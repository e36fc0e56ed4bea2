// SPDX-License-Identifier: BSD-2-Clause
// The parts of guest/program.h that images and programs share, as these parts see each other and what they ask of
// whoever links them.
#ifndef RINGSIDE_GUEST_REPORT_H
#define RINGSIDE_GUEST_REPORT_H

#include <stdarg.h>

#include "guest/program.h"

// format.c: printf's conversions, one character after the other to put.
typedef void put_fn(char c);
void format_text(put_fn *put, const char *format, va_list *args);

// words.c: where word is key=value, the value; NULL where it is not.
const char *word_value(const char *word, const char *key);

// check.c: the status that a run ends with: its own, or 1 where it is 0 but a check has failed.
int checked_status(int status);

// tsc.c
void tsc_init(void); // asks CPUID which fences there are

// measure.c: cold, calibration, warm. time() runs body(n, ctx) and gives the cycles, at whatever privilege.
struct measured {
    const char *name;
    bench_fn *body, *empty;
    void *ctx;
    uint64_t (*time)(bench_fn *body, uint64_t n, void *ctx);
    bench_prepare_fn *prepare; // NULL: none
    uint64_t n_max;            // no run has more iterations than 2 * n_max
};
#define MEASURED_N_MAX (1ull << 40)
void measure(const struct measured *job);

// What the linker finds in guest/console.c and guest/bench.c, or in guest/bantam/user/.
void console_flush(void);          // returns when the last byte is out
void measure_mark(unsigned value); // MARK() of include/guest_abi.h

#endif

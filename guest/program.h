// SPDX-License-Identifier: BSD-2-Clause
// What an image and a program of the guest Unix have in common: a name, a place to start, lines of text, options,
// benchmarks and checks. guest/lib.h adds what an image has besides, guest/bantam/user/lib.h what a program has.
#ifndef RINGSIDE_GUEST_PROGRAM_H
#define RINGSIDE_GUEST_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "include/guest_abi.h"

extern const char image_name[]; // defined by IMAGE(); the name in every record
extern const bool image_records;
#define IMAGE(name)                                                                                                    \
    const char image_name[] = name;                                                                                    \
    const bool image_records = true
// The same without begin and end records: the programs inside such an image print their own.
#define IMAGE_OF_PROGRAMS(name)                                                                                        \
    const char image_name[] = name;                                                                                    \
    const bool image_records = false

// Return value becomes the status (0: all well, 2: panic).
int image_main(void);

// ---- Text out, and options in ----
void print(const char *format, ...) __attribute__((format(printf, 1, 2))); // %s %c %d %u %x with l/ll/z, width, 0
_Noreturn void image_exit(int status);                                     // prints the end record, leaves the run
_Noreturn void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *option(const char *key); // value of key= on the command line, NULL where absent
uint64_t option_u64(const char *key, uint64_t otherwise);

// ---- Benchmarks ----
// body runs its subject n times. bench_run prints cold, calibrates, prints `reps` warm records, with marks around
// each run of n and of 2n.
typedef void bench_fn(uint64_t n, void *ctx);
typedef void bench_prepare_fn(uint64_t n, void *ctx); // lays up n iterations' worth of what body uses up
void bench_run(const char *name, bench_fn *body, void *ctx);
void bench_value(const char *name, uint64_t value); // the benchmark's own result, to be the same everywhere
uint64_t tsc_begin(void);                           // fenced: rdtscp/rdtsc and lfence, as MEASURING demands
uint64_t tsc_end(void);

// ---- Self-checks of tests ----
// CHECK records one check; a failed one makes the status 1 but goes on.
void check_record(bool ok, const char *what, uint64_t got, uint64_t want);
#define CHECK(cond) check_record(!!(cond), #cond, 0, 0)
#define CHECK_EQ(got, want)                                                                                            \
    ({                                                                                                                 \
        uint64_t got_ = (uint64_t)(got), want_ = (uint64_t)(want);                                                     \
        check_record(got_ == want_, #got " == " #want, got_, want_);                                                   \
    })
void skip(const char *why);

#endif

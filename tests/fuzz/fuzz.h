// SPDX-License-Identifier: BSD-2-Clause
// A fuzz target: one source that is a libFuzzer target (`make fuzz TARGET=NAME`) and, with main.c, a short run with a
// fixed seed in `make test`. What is wrong ends the process, with the input on standard error.
#ifndef RINGSIDE_TESTS_FUZZ_FUZZ_H
#define RINGSIDE_TESTS_FUZZ_FUZZ_H

#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FUZZ_INPUT_MAX 4096

// The target. libFuzzer's name for it, and its result is always 0.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// For the short run, and as libFuzzer's first inputs: how many inputs, and an input that is nearly sensible.
extern const char fuzz_name[];
extern const unsigned fuzz_runs;
size_t fuzz_input(uint8_t *data, uint64_t *rng);
// Why this host cannot run it, or NULL. Called once, first.
const char *fuzz_start(void);

static inline uint64_t fuzz_random(uint64_t *rng) // xorshift64
{
    *rng ^= *rng << 13;
    *rng ^= *rng >> 7;
    *rng ^= *rng << 17;
    return *rng;
}

// An input as it is read: zeros behind its end.
struct fuzz_bytes {
    const uint8_t *data;
    size_t size, at;
};

static inline uint64_t fuzz_take(struct fuzz_bytes *b, unsigned n)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < n; i++)
        v |= (uint64_t)(b->at < b->size ? b->data[b->at++] : 0) << 8 * i;
    return v;
}

_Noreturn static inline void fuzz_failed(const char *what, int line, const uint8_t *data, size_t size)
{
    fprintf(stderr, "input: ");
    for (size_t i = 0; i < size; i++)
        fprintf(stderr, "%02x", data[i]);
    fprintf(stderr, "\nfuzz %s: not so: %s (line %d)\n", fuzz_name, what, line);
    abort();
}
#define FUZZ_CHECK(cond, data, size)                                                                                   \
    do {                                                                                                               \
        if (!(cond))                                                                                                   \
            fuzz_failed(#cond, __LINE__, data, size);                                                                  \
    } while (0)

#endif

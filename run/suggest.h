// SPDX-License-Identifier: BSD-2-Clause
// "Did you mean": the nearest of some known words to one that nobody knows.
#ifndef RINGSIDE_RUN_SUGGEST_H
#define RINGSIDE_RUN_SUGGEST_H

#include <stddef.h>

struct suggestion {
    const char *word;    // what was asked for
    const char *nearest; // the best so far, NULL where none is near enough
    size_t distance;
};

struct suggestion suggest_for(const char *word);
void suggest_offer(struct suggestion *s, const char *candidate);

// "; did you mean 'X'?" or, where nothing is near, "". The text is written to buffer.
const char *suggest_text(const struct suggestion *s, char *buffer, size_t size);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// Nearness is Levenshtein's distance: single letters inserted, left out or changed.
#include "run/suggest.h"

#include <stdio.h>
#include <string.h>

enum { LONGEST = 64 };

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;
    return m < c ? m : c;
}

static size_t distance(const char *a, const char *b)
{
    size_t row[LONGEST + 1], a_length = strlen(a), b_length = strlen(b);
    if (a_length > LONGEST || b_length > LONGEST)
        return LONGEST;
    for (size_t j = 0; j <= b_length; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t above = row[j];
            row[j] = smallest(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[b_length];
}

struct suggestion suggest_for(const char *word)
{
    size_t length = strlen(word);
    // Up to a third of the word may be wrong, and two letters of a short one.
    return (struct suggestion){.word = word, .distance = (length < 9 ? 2 : length / 3) + 1};
}

void suggest_offer(struct suggestion *s, const char *candidate)
{
    size_t d = distance(s->word, candidate);
    if (d < s->distance && d < strlen(candidate)) {
        s->distance = d;
        s->nearest = candidate;
    }
}

const char *suggest_text(const struct suggestion *s, char *buffer, size_t size)
{
    if (s->nearest)
        snprintf(buffer, size, "; did you mean '%s'?", s->nearest);
    else
        buffer[0] = '\0';
    return buffer;
}

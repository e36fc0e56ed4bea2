// SPDX-License-Identifier: BSD-2-Clause
// Options as words of the form key=value; where the words come from is somebody else's.
#include "guest/report.h"

const char *word_value(const char *word, const char *key)
{
    while (*key && *word == *key) {
        word++;
        key++;
    }
    return !*key && *word == '=' ? word + 1 : NULL;
}

uint64_t option_u64(const char *key, uint64_t otherwise)
{
    const char *text = option(key);
    if (!text)
        return otherwise;
    uint64_t value = 0;
    const char *c = text;
    for (; *c >= '0' && *c <= '9'; c++)
        value = value * 10 + (uint64_t)(*c - '0');
    if (c == text || *c)
        panic("option %s=%s: not a number", key, text);
    return value;
}

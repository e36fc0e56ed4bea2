// SPDX-License-Identifier: BSD-2-Clause
// What programs need of <string.h> beyond guest/string.c.
#include "guest/bantam/user/lib.h"

size_t strlen(const char *s)
{
    size_t length = 0;
    while (s[length])
        length++;
    return length;
}

int strcmp(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return (unsigned char)*a - (unsigned char)*b;
}

// SPDX-License-Identifier: BSD-2-Clause
// A small file of plain text as lines, and the one form that says what is wrong with one: FILE:LINE: WHAT.
#ifndef RINGSIDE_MODEL_TEXT_H
#define RINGSIDE_MODEL_TEXT_H

#include <stddef.h>

enum { TEXT_LINE_MAX = 2000, TEXT_FILE_MAX = 1 << 20 };

struct text_line {
    char *words; // without blanks at either end; never empty
    unsigned number;
};

struct text {
    char *path, *bytes;
    struct text_line *line; // those that are not blank, comments among them
    size_t count;
};

// 0, or -1 with one line in err: no regular file, too large, or not printable ASCII. text_free() in either case.
int text_read(struct text *t, const char *path, char *err, size_t err_size);
void text_free(struct text *t);

// Writes "PATH:LINE: WHAT" to err (without the line where it is 0) and gives -1. PATH is cut at the left.
__attribute__((format(printf, 5, 6))) int text_wrong(const char *path, unsigned line, char *err, size_t err_size,
                                                     const char *format, ...);

// Cuts blanks off both ends of words, in place.
char *text_trim(char *words);

#endif

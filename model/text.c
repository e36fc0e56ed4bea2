// SPDX-License-Identifier: BSD-2-Clause
// Reads a file as a whole, looks at each byte, and splits it in place.
#include "model/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int text_wrong(const char *path, unsigned line, char *err, size_t err_size, const char *format, ...)
{
    enum { PATH_SHOWN = 200 };
    char what[400];
    size_t length = strlen(path);
    va_list list;
    va_start(list, format);
    vsnprintf(what, sizeof what, format, list);
    va_end(list);
    path += length > PATH_SHOWN ? length - PATH_SHOWN : 0;
    if (line)
        snprintf(err, err_size, "%s:%u: %s", path, line, what);
    else
        snprintf(err, err_size, "%s: %s", path, what);
    return -1;
}

char *text_trim(char *words)
{
    words += strspn(words, " \t\r");
    size_t length = strlen(words);
    while (length && strchr(" \t\r", words[length - 1]))
        length--;
    words[length] = '\0';
    return words;
}

// The bytes of a regular file that is not larger than wanted, or NULL with the problem in words.
static char *slurp(int fd, size_t *size, const char **problem)
{
    struct stat st;
    if (fstat(fd, &st)) {
        *problem = strerror(errno);
        return NULL;
    }
    if (!S_ISREG(st.st_mode) || st.st_size > TEXT_FILE_MAX) {
        *problem = S_ISREG(st.st_mode) ? "is larger than 1 MiB" : "is not a regular file";
        return NULL;
    }
    char *bytes = malloc((size_t)st.st_size + 1);
    *size = 0;
    for (ssize_t got = 1; bytes && got; *size += got > 0 ? (size_t)got : 0) {
        got = read(fd, bytes + *size, (size_t)st.st_size - *size);
        if (got < 0 && errno != EINTR) {
            *problem = strerror(errno);
            free(bytes);
            return NULL;
        }
    }
    if (!bytes)
        *problem = "no memory";
    else
        bytes[*size] = '\0';
    return bytes;
}

static int add_line(struct text *t, char *words, unsigned number, char *err, size_t err_size)
{
    if (strlen(words) > TEXT_LINE_MAX)
        return text_wrong(t->path, number, err, err_size, "is longer than %d characters", TEXT_LINE_MAX);
    words = text_trim(words);
    if (!*words)
        return 0;
    struct text_line *more = reallocarray(t->line, t->count + 1, sizeof *more);
    if (!more)
        return text_wrong(t->path, number, err, err_size, "no memory");
    t->line = more;
    more[t->count++] = (struct text_line){words, number};
    return 0;
}

static int split(struct text *t, size_t size, char *err, size_t err_size)
{
    unsigned number = 1;
    char *start = t->bytes;
    for (size_t i = 0; i <= size; i++) {
        char c = t->bytes[i];
        bool end = i == size || c == '\n';
        if (!end && c != '\t' && c != '\r' && (c < ' ' || c > '~'))
            return text_wrong(t->path, number, err, err_size, "byte %#x is not plain text", (unsigned char)c);
        if (!end)
            continue;
        t->bytes[i] = '\0';
        if (add_line(t, start, number++, err, err_size))
            return -1;
        start = t->bytes + i + 1;
    }
    return 0;
}

int text_read(struct text *t, const char *path, char *err, size_t err_size)
{
    const char *problem = NULL;
    size_t size = 0;
    *t = (struct text){.path = strdup(path)};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); // a FIFO must not keep us waiting
    if (fd < 0 || !t->path)
        problem = strerror(errno);
    else
        t->bytes = slurp(fd, &size, &problem);
    if (fd >= 0)
        close(fd);
    return problem ? text_wrong(path, 0, err, err_size, "%s", problem) : split(t, size, err, err_size);
}

void text_free(struct text *t)
{
    free(t->path);
    free(t->bytes);
    free(t->line);
    *t = (struct text){0};
}

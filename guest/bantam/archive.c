// SPDX-License-Identifier: BSD-2-Clause
// The files that are linked into the image (scripts/archive.sh), read-only. Every process is in the root, whose parent
// is the root: a path may begin with any number of /, ./ and ../, and then is a file's name.
#include "guest/bantam/kernel.h"

static const char *plain_name(const char *path)
{
    for (;;) {
        if (path[0] == '/')
            path++;
        else if (path[0] == '.' && path[1] == '/')
            path += 2;
        else if (path[0] == '.' && path[1] == '.' && path[2] == '/')
            path += 3;
        else
            return path;
    }
}

static bool same(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

const struct archived *archive_find(const char *path)
{
    const char *name = plain_name(path);
    for (const struct archived *file = archive; file < archive_end; file++) {
        if (same(file->name, name))
            return file;
    }
    return NULL;
}

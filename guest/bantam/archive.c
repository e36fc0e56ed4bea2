// SPDX-License-Identifier: BSD-2-Clause
// The files that are linked into the image (scripts/archive.sh): one folder, read-only. Names may be written with / or
// ./ before them.
#include "guest/bantam/kernel.h"

static const char *plain_name(const char *path)
{
    while (*path == '/' || (path[0] == '.' && path[1] == '/'))
        path += *path == '/' ? 1 : 2;
    return path;
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

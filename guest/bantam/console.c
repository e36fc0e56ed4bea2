// SPDX-License-Identifier: BSD-2-Clause
// Descriptors 0, 1 and 2 of the first process: the serial line. Nobody types there, so reading it is at its end.
#include "guest/bantam/files.h"

#define CHUNK 256
#define WRITE_MOST 0x10000 // the line is slow, and no interrupt comes meanwhile

static int64_t console_read(struct file *file, uint64_t to, uint64_t size)
{
    (void)file, (void)to, (void)size;
    return 0;
}

static int64_t console_write(struct file *file, uint64_t from, uint64_t size)
{
    (void)file;
    char chunk[CHUNK];
    if (size > WRITE_MOST)
        size = WRITE_MOST;
    for (uint64_t done = 0; done < size;) {
        uint64_t piece = size - done < sizeof chunk ? size - done : sizeof chunk;
        if (copy_from_user(chunk, from + done, piece))
            return done ? (int64_t)done : -EFAULT;
        print_bytes(chunk, piece);
        done += piece;
    }
    return (int64_t)size;
}

const struct file_kind console_kind = {.read = console_read, .write = console_write};

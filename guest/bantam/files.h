// SPDX-License-Identifier: BSD-2-Clause
// What files.c, pipe.c and console.c know of each other: an open file, and what can be done with one of each kind.
#ifndef RINGSIDE_GUEST_BANTAM_FILES_H
#define RINGSIDE_GUEST_BANTAM_FILES_H

#include "guest/bantam/kernel.h"

// Results are those of the system calls. NULL: this kind cannot do it, -EBADF.
struct file_kind {
    int64_t (*read)(struct file *file, uint64_t to, uint64_t size);
    int64_t (*write)(struct file *file, uint64_t from, uint64_t size);
    void (*close)(struct file *file); // nobody holds it any more; NULL: nothing to do
};

// As open() or pipe() made it. Descriptors of several processes may name it; that is `held`.
struct file {
    const struct file_kind *kind; // NULL: free
    unsigned held;
    struct pipe *pipe;               // of a pipe's two ends
    const struct archived *archived; // of a file of the archive
    uint64_t position;
};

struct file *file_new(const struct file_kind *kind); // held once; NULL where there are too many
void file_drop(struct file *file);
int fd_new(struct file *file); // the lowest free descriptor, which then holds the file; -EMFILE
void fd_forget(int fd);

extern const struct file_kind console_kind;

#endif

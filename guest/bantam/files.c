// SPDX-License-Identifier: BSD-2-Clause
// Descriptors and open files, and the files of the archive, which can be read only.
#include "guest/bantam/files.h"

#define OPEN_FILES_MAX 512
#define PATH_BYTES 256
#define O_ACCMODE 3
enum { SEEK_SET, SEEK_CUR, SEEK_END };

static struct file files[OPEN_FILES_MAX];

struct file *file_new(const struct file_kind *kind)
{
    for (struct file *file = files; file < files + OPEN_FILES_MAX; file++) {
        if (!file->kind) {
            *file = (struct file){.kind = kind, .held = 1};
            return file;
        }
    }
    return NULL;
}

static struct file *hold(struct file *file)
{
    if (file)
        file->held++;
    return file;
}

void file_drop(struct file *file)
{
    if (!file || --file->held)
        return;
    if (file->kind->close)
        file->kind->close(file);
    file->kind = NULL;
}

// Only the descriptors below fd_end are looked at when a process forks or ends.
static void set_fd(struct process *p, int fd, struct file *file)
{
    p->fd[fd] = file;
    if (file && fd >= p->fd_end)
        p->fd_end = fd + 1;
    while (p->fd_end > 0 && !p->fd[p->fd_end - 1])
        p->fd_end--;
}

int fd_new(struct file *file)
{
    struct process *p = current();
    for (int fd = 0; fd < FILES_MAX; fd++) {
        if (!p->fd[fd]) {
            set_fd(p, fd, file);
            return fd;
        }
    }
    return -EMFILE;
}

void fd_forget(int fd)
{
    set_fd(current(), fd, NULL);
}

static struct file *file_of(uint64_t fd)
{
    return (uint32_t)fd < FILES_MAX ? current()->fd[(uint32_t)fd] : NULL; // Linux: an unsigned int
}

// ---- Processes ----
void files_init(struct process *first)
{
    struct file *console = file_new(&console_kind);
    set_fd(first, 0, console);
    set_fd(first, 1, hold(console));
    set_fd(first, 2, hold(console));
}

void files_fork(struct process *child, const struct process *parent)
{
    for (int fd = 0; fd < parent->fd_end; fd++)
        child->fd[fd] = hold(parent->fd[fd]);
    child->fd_end = parent->fd_end;
}

void files_close_all(struct process *p)
{
    for (int fd = 0; fd < p->fd_end; fd++) {
        file_drop(p->fd[fd]);
        p->fd[fd] = NULL;
    }
    p->fd_end = 0;
}

// ---- Files of the archive ----
static int64_t read_archived(struct file *file, uint64_t to, uint64_t size)
{
    const struct archived *a = file->archived;
    uint64_t left = file->position < a->size ? a->size - file->position : 0;
    if (size > left)
        size = left;
    if (copy_to_user(to, a->bytes + file->position, size))
        return -EFAULT;
    file->position += size;
    return (int64_t)size;
}

static const struct file_kind archived_kind = {.read = read_archived};

// The archive cannot change: whoever wants to write is told so.
int64_t sys_open(struct trap_frame *frame)
{
    char path[PATH_BYTES];
    int64_t length = strncpy_from_user(path, ARG0(frame), sizeof path);
    if (length < 0)
        return length;
    if ((size_t)length >= sizeof path)
        return -ENAMETOOLONG;
    const struct archived *archived = archive_find(path);
    if (!archived)
        return -ENOENT;
    if (ARG1(frame) & O_ACCMODE)
        return -EROFS;
    struct file *file = file_new(&archived_kind);
    if (!file)
        return -ENFILE;
    file->archived = archived;
    int fd = fd_new(file);
    if (fd < 0)
        file_drop(file);
    return fd;
}

int64_t sys_lseek(struct trap_frame *frame)
{
    struct file *file = file_of(ARG0(frame));
    int64_t offset = (int64_t)ARG1(frame), base;
    if (!file)
        return -EBADF;
    if (!file->archived)
        return -ESPIPE;
    switch ((uint32_t)ARG2(frame)) {
    case SEEK_SET:
        base = 0;
        break;
    case SEEK_CUR:
        base = (int64_t)file->position;
        break;
    case SEEK_END:
        base = (int64_t)file->archived->size;
        break;
    default:
        return -EINVAL;
    }
    int64_t position;
    if (__builtin_add_overflow(base, offset, &position) || position < 0)
        return -EINVAL;
    file->position = (uint64_t)position;
    return position;
}

// ---- Any kind ----
int64_t sys_read(struct trap_frame *frame)
{
    struct file *file = file_of(ARG0(frame));
    if (!file || !file->kind->read)
        return -EBADF;
    return file->kind->read(file, ARG1(frame), ARG2(frame));
}

int64_t sys_write(struct trap_frame *frame)
{
    struct file *file = file_of(ARG0(frame));
    if (!file || !file->kind->write)
        return -EBADF;
    return file->kind->write(file, ARG1(frame), ARG2(frame));
}

int64_t sys_close(struct trap_frame *frame)
{
    struct file *file = file_of(ARG0(frame));
    if (!file)
        return -EBADF;
    fd_forget((int)ARG0(frame));
    file_drop(file);
    return 0;
}

int64_t sys_dup(struct trap_frame *frame)
{
    struct file *file = file_of(ARG0(frame));
    if (!file)
        return -EBADF;
    int fd = fd_new(file);
    if (fd >= 0)
        hold(file);
    return fd;
}

int64_t sys_dup2(struct trap_frame *frame)
{
    struct file *file = file_of(ARG0(frame));
    uint32_t to = (uint32_t)ARG1(frame);
    if (!file || to >= FILES_MAX)
        return -EBADF;
    struct file *before = current()->fd[to];
    if (before != file) {
        set_fd(current(), (int)to, hold(file));
        file_drop(before);
    }
    return to;
}

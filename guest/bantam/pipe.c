// SPDX-License-Identifier: BSD-2-Clause
// Pipes (pipe(7)): a page of bytes. A write of no more than that page arrives in one piece.
#include "guest/bantam/files.h"

#define PIPES_MAX 128
#define PIPE_BYTES PAGE_BYTES // POSIX: PIPE_BUF, of Linux's size

struct pipe {
    char *bytes; // a ring; NULL: free
    uint32_t first, count;
    bool has_reader, has_writer; // an end is one open file, however many descriptors name it
    struct wait_queue readers, writers;
};

static struct pipe pipes[PIPES_MAX];

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

// As many bytes as lie in one piece; 0, or -EFAULT where nothing was moved.
static int take_piece(struct pipe *pipe, uint64_t to, uint64_t size)
{
    if (copy_to_user(to, pipe->bytes + pipe->first, size))
        return -EFAULT;
    pipe->first = (uint32_t)((pipe->first + size) % PIPE_BYTES);
    pipe->count -= (uint32_t)size;
    return 0;
}

static int put_piece(struct pipe *pipe, uint64_t from, uint64_t size)
{
    if (copy_from_user(pipe->bytes + (pipe->first + pipe->count) % PIPE_BYTES, from, size))
        return -EFAULT;
    pipe->count += (uint32_t)size;
    return 0;
}

static int64_t pipe_read(struct file *file, uint64_t to, uint64_t size)
{
    struct pipe *pipe = file->pipe;
    while (size && !pipe->count) {
        if (!pipe->has_writer)
            return 0;
        int error = sleep_on(&pipe->readers);
        if (error)
            return error;
    }
    uint64_t done = 0;
    int error = 0;
    while (done < size && pipe->count && !error) {
        uint64_t piece = smaller(smaller(size - done, pipe->count), PIPE_BYTES - pipe->first);
        error = take_piece(pipe, to + done, piece);
        done += error ? 0 : piece;
    }
    if (done)
        wake(&pipe->writers);
    return done ? (int64_t)done : error;
}

// Room for `size` bytes, or for any where that is more than a page. 0, -EPIPE or what sleep_on() says.
static int wait_for_room(struct pipe *pipe, uint64_t size)
{
    uint64_t wanted = size <= PIPE_BYTES ? size : 1;
    for (;;) {
        if (!pipe->has_reader) {
            signal_send(current(), SIGPIPE);
            return -EPIPE;
        }
        if (PIPE_BYTES - pipe->count >= wanted)
            return 0;
        int error = sleep_on(&pipe->writers);
        if (error)
            return error;
    }
}

static int64_t pipe_write(struct file *file, uint64_t from, uint64_t size)
{
    struct pipe *pipe = file->pipe;
    uint64_t done = 0;
    int error = 0;
    while (done < size && !error) {
        error = wait_for_room(pipe, done ? 1 : size);
        while (!error && done < size && pipe->count < PIPE_BYTES) {
            uint64_t end = (pipe->first + pipe->count) % PIPE_BYTES;
            uint64_t piece = smaller(smaller(size - done, PIPE_BYTES - pipe->count), PIPE_BYTES - end);
            error = put_piece(pipe, from + done, piece);
            done += error ? 0 : piece;
        }
        if (done)
            wake(&pipe->readers);
    }
    return done ? (int64_t)done : error;
}

static void free_if_closed(struct pipe *pipe)
{
    if (pipe->has_reader || pipe->has_writer)
        return;
    page_drop(physical_of_direct(pipe->bytes));
    pipe->bytes = NULL;
}

static void close_reader(struct file *file)
{
    file->pipe->has_reader = false;
    wake(&file->pipe->writers);
    free_if_closed(file->pipe);
}

static void close_writer(struct file *file)
{
    file->pipe->has_writer = false;
    wake(&file->pipe->readers);
    free_if_closed(file->pipe);
}

static const struct file_kind reader_kind = {.read = pipe_read, .close = close_reader};
static const struct file_kind writer_kind = {.write = pipe_write, .close = close_writer};

// With neither end yet; NULL where there is no more room.
static struct pipe *pipe_new(void)
{
    for (struct pipe *pipe = pipes; pipe < pipes + PIPES_MAX; pipe++) {
        if (!pipe->bytes) {
            *pipe = (struct pipe){.bytes = page_take()};
            return pipe->bytes ? pipe : NULL;
        }
    }
    return NULL;
}

// Two files, and two descriptors for them; all that was made is undone where one step fails.
static int open_ends(struct pipe *pipe, struct file *end[2], int32_t fd[2])
{
    end[0] = file_new(&reader_kind);
    pipe->has_reader = end[0];
    end[1] = end[0] ? file_new(&writer_kind) : NULL;
    pipe->has_writer = end[1];
    for (int i = 0; i < 2; i++) {
        if (!end[i])
            return -ENFILE;
        end[i]->pipe = pipe;
    }
    for (int i = 0; i < 2; i++) {
        fd[i] = fd_new(end[i]);
        if (fd[i] < 0)
            return -EMFILE;
    }
    return 0;
}

static void close_ends(struct pipe *pipe, struct file *end[2], const int32_t fd[2])
{
    bool had_ends = pipe->has_reader || pipe->has_writer;
    for (int i = 0; i < 2; i++) {
        if (fd[i] >= 0)
            fd_forget(fd[i]);
        if (end[i]) {
            end[i]->pipe = pipe;
            file_drop(end[i]);
        }
    }
    if (!had_ends)
        free_if_closed(pipe);
}

int64_t sys_pipe(struct trap_frame *frame)
{
    struct file *end[2] = {NULL, NULL};
    int32_t fd[2] = {-1, -1};
    struct pipe *pipe = pipe_new();
    if (!pipe)
        return -ENFILE;
    int error = open_ends(pipe, end, fd);
    if (!error)
        error = copy_to_user(ARG0(frame), fd, sizeof fd);
    if (error)
        close_ends(pipe, end, fd);
    return error;
}

// SPDX-License-Identifier: BSD-2-Clause
// Pipes and descriptors: order and amounts, blocking on either side, the end of file, the broken pipe.
#include "guest/bantam/user/lib.h"

IMAGE("pipes");

#define BULK 30000

static char buffer[8192];

static int wait_for(int pid)
{
    int status = -1;
    return waitpid(pid, &status, 0) == pid ? status : -1;
}

static void one_process(void)
{
    int fds[2] = {-1, -1};
    CHECK_EQ(pipe(fds), 0);
    CHECK_EQ(write(fds[1], "hello", 5), 5);
    CHECK_EQ(write(fds[1], " pipe", 5), 5);
    CHECK_EQ(read(fds[0], buffer, 3), 3);
    CHECK_EQ(read(fds[0], buffer + 3, 100), 7); // what there is, not what was asked for
    CHECK(!memcmp(buffer, "hello pipe", 10));
    CHECK_EQ(read(fds[0], buffer, 0), 0);
    CHECK_EQ(write(fds[1], buffer, 0), 0);
    CHECK_EQ(read(fds[1], buffer, 1), -EBADF); // the wrong end
    CHECK_EQ(write(fds[0], buffer, 1), -EBADF);
    CHECK_EQ(lseek(fds[0], 0, SEEK_SET), -ESPIPE);
    CHECK_EQ(close(fds[1]), 0);
    CHECK_EQ(close(fds[1]), -EBADF);
    CHECK_EQ(read(fds[0], buffer, 1), 0); // no writer is left
    CHECK_EQ(close(fds[0]), 0);
    CHECK_EQ(syscall3(SYS_pipe, 8, 0, 0), -EFAULT);
}

// What does not fit waits for its reader; nothing is lost, nothing twice.
static void bulk(size_t piece)
{
    int fds[2];
    CHECK_EQ(pipe(fds), 0);
    int pid = fork();
    if (pid == 0) {
        uint8_t next = 0;
        close(fds[0]);
        for (size_t done = 0; done < BULK;) {
            size_t size = BULK - done < piece ? BULK - done : piece;
            for (size_t i = 0; i < size; i++)
                buffer[i] = (char)next++;
            if (write(fds[1], buffer, size) != (int64_t)size)
                _exit(1);
            done += size;
        }
        _exit(0);
    }
    close(fds[1]);
    uint8_t next = 0;
    uint64_t total = 0, wrong = 0;
    int64_t got;
    while ((got = read(fds[0], buffer, 3000)) > 0) {
        for (int64_t i = 0; i < got; i++)
            wrong += (uint8_t)buffer[i] != next++;
        total += (uint64_t)got;
    }
    CHECK_EQ(got, 0);
    CHECK_EQ(total, BULK);
    CHECK_EQ(wrong, 0);
    CHECK_EQ(wait_for(pid), 0);
    close(fds[0]);
}

// Writers of up to PIPE_BUF bytes do not interleave.
static void pieces_stay_whole(void)
{
    enum { WRITERS = 3, ROUNDS = 20, SIZE = 1000 };
    int fds[2], pids[WRITERS];
    CHECK_EQ(pipe(fds), 0);
    for (int w = 0; w < WRITERS; w++) {
        pids[w] = fork();
        if (pids[w] == 0) {
            memset(buffer, 'a' + w, SIZE);
            for (int i = 0; i < ROUNDS; i++)
                write(fds[1], buffer, SIZE);
            _exit(0);
        }
    }
    close(fds[1]);
    uint64_t torn = 0, total = 0;
    for (;;) {
        size_t have = 0;
        int64_t got = 1;
        while (have < SIZE && (got = read(fds[0], buffer + have, SIZE - have)) > 0)
            have += (size_t)got;
        if (have == 0)
            break;
        for (size_t i = 1; i < have; i++)
            torn += buffer[i] != buffer[0];
        total += have;
    }
    CHECK_EQ(torn, 0);
    CHECK_EQ(total, WRITERS * ROUNDS * SIZE);
    for (int w = 0; w < WRITERS; w++)
        CHECK_EQ(wait_for(pids[w]), 0);
    close(fds[0]);
}

static void broken(void)
{
    int fds[2];
    CHECK_EQ(pipe(fds), 0);
    close(fds[0]);
    int pid = fork();
    if (pid == 0) {
        write(fds[1], "x", 1);
        _exit(0);
    }
    CHECK_EQ(wait_for(pid), SIGPIPE);
    CHECK_EQ(signal_set(SIGPIPE, SIG_IGN, 0), 0);
    CHECK_EQ(write(fds[1], "x", 1), -EPIPE);
    CHECK_EQ(signal_set(SIGPIPE, SIG_DFL, 0), 0);
    close(fds[1]);
}

// A writer that waits for room learns that its reader has gone.
static void reader_goes(void)
{
    int fds[2];
    CHECK_EQ(pipe(fds), 0);
    int pid = fork();
    if (pid == 0) {
        close(fds[0]);
        for (;;) {
            if (write(fds[1], buffer, sizeof buffer) <= 0)
                _exit(1);
        }
    }
    close(fds[1]);
    CHECK_EQ(read(fds[0], buffer, 100), 100);
    close(fds[0]);
    CHECK_EQ(wait_for(pid), SIGPIPE);
}

static void descriptors(void)
{
    int fds[2];
    CHECK_EQ(pipe(fds), 0);
    int copy = dup(fds[1]);
    CHECK(copy > fds[1]);
    CHECK_EQ(close(fds[1]), 0);
    CHECK_EQ(write(copy, "a", 1), 1); // the pipe lives as long as one name of it
    CHECK_EQ(dup2(copy, 20), 20);
    CHECK_EQ(dup2(20, 20), 20);
    CHECK_EQ(close(copy), 0);
    CHECK_EQ(write(20, "b", 1), 1);
    CHECK_EQ(dup2(fds[0], 20), 20); // closes the last writer
    CHECK_EQ(read(20, buffer, 10), 2);
    CHECK_EQ(read(20, buffer, 10), 0);
    CHECK_EQ(close(20), 0);
    CHECK_EQ(close(fds[0]), 0);
    CHECK_EQ(dup(20), -EBADF);
    CHECK_EQ(dup2(20, 21), -EBADF);
    CHECK_EQ(dup2(1, -1), -EBADF);
    CHECK_EQ(read(-1, buffer, 1), -EBADF);
    CHECK_EQ(write(1000000, buffer, 1), -EBADF);
    CHECK_EQ(close(1000000), -EBADF);
}

// As many as there may be, then an error and no less than before; natively the limit is higher than we try.
static void too_many(void)
{
    enum { TRIES = 600 };
    static int opened[2 * TRIES];
    int count = 0, error = 0;
    for (; count < TRIES && !error; count += !error)
        error = pipe(opened + 2 * count);
    CHECK(error == 0 || error == -EMFILE || error == -ENFILE);
    for (int i = 0; i < 2 * count; i++)
        close(opened[i]);
    int fds[2];
    CHECK_EQ(pipe(fds), 0);
    close(fds[0]);
    close(fds[1]);
}

// Opens pipes until it cannot, says so, and holds them until it is told to end.
static _Noreturn void take_pipes(int ready, int go)
{
    int fds[2], error;
    do
        error = pipe(fds);
    while (!error && fds[1] < 60); // enough natively
    char good = !error || error == -EMFILE || error == -ENFILE;
    write(ready, &good, 1);
    read(go, &good, 1);
    _exit(0);
}

// More pipes than there are in the whole system, by many processes; they all come back with the processes' end.
static void too_many_in_all(void)
{
    enum { TAKERS = 16 };
    int ready[2], go[2], pids[TAKERS];
    uint64_t good = 0;
    CHECK_EQ(pipe(ready), 0);
    CHECK_EQ(pipe(go), 0);
    for (int i = 0; i < TAKERS; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            close(go[1]);
            take_pipes(ready[1], go[0]);
        }
    }
    for (int i = 0; i < TAKERS; i++)
        good += read(ready[0], buffer, 1) == 1 && buffer[0] == 1;
    CHECK_EQ(good, TAKERS);
    close(go[1]);
    for (int i = 0; i < TAKERS; i++)
        wait_for(pids[i]);
    close(go[0]);
    close(ready[0]);
    close(ready[1]);
}

static void bad_pointers(void)
{
    int fds[2];
    CHECK_EQ(pipe(fds), 0);
    CHECK_EQ(write(fds[1], (const void *)0xffffffff80100000, 8), -EFAULT);
    CHECK_EQ(write(fds[1], NULL, 8), -EFAULT);
    CHECK_EQ(write(fds[1], "kept", 4), 4);
    CHECK_EQ(read(fds[0], (void *)0xffff888000000000, 4), -EFAULT);
    close(fds[1]);
    CHECK_EQ(write(1, (const void *)0xffffffff80100000, 8), -EFAULT);
    close(fds[0]);
}

int image_main(void)
{
    one_process();
    bulk(10);
    bulk(4096);
    bulk(sizeof buffer);
    pieces_stay_whole();
    broken();
    reader_goes();
    descriptors();
    for (int i = 0; i < 3; i++) {
        too_many();
        too_many_in_all();
    }
    bad_pointers();
    return 0;
}

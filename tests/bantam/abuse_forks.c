// SPDX-License-Identifier: BSD-2-Clause
// Processes without end: as many as there can be, asleep, again and again; then, in the guest alone, a bomb, where each
// process forks for ever, and an honest pair beside it goes on; the run ends with the bomb still there. few=1: only a
// few processes, and no bomb.
#include "tests/bantam/children.h"

IMAGE("abuse_forks");

#define MOST 300 // more than Bantam has room for; Linux gets so far
#define FEW 30
#define ROUNDS 2
#define BOMBERS 16 // processes that are left to the bomb
#define TALKS 3

// Children that wait until the pipe is closed; how many there could be.
static unsigned fill(int *pids, unsigned most, int until_closed, int other_end)
{
    unsigned count = 0;
    for (int pid; count < most && (pid = fork()) >= 0; pids[count++] = pid) {
        if (pid == 0) {
            char byte;
            close(other_end);
            _exit(read(until_closed, &byte, 1) == 0 ? (int)(count & 0x7f) : 128);
        }
    }
    return count;
}

static unsigned wait_for_all(const int *pids, unsigned count)
{
    unsigned wrong = 0;
    for (unsigned i = 0; i < count; i++) {
        int status = -1;
        wrong += waitpid(pids[i], &status, 0) != pids[i] || status != EXITED((int)(i & 0x7f));
    }
    return wrong;
}

static void fill_and_empty(unsigned most)
{
    static int pids[MOST];
    unsigned first = 0;
    for (unsigned round = 0; round < (most < MOST ? 1 : ROUNDS); round++) {
        int fds[2];
        CHECK_EQ(pipe(fds), 0);
        unsigned count = fill(pids, most, fds[0], fds[1]);
        int one_more = count < most ? fork() : -EAGAIN;
        if (one_more == 0)
            _exit(1);
        CHECK(one_more == -EAGAIN || one_more == -ENOMEM);
        CHECK(count >= FEW);
        close(fds[1]);
        CHECK_EQ(wait_for_all(pids, count), 0);
        close(fds[0]);
        first = round ? first : count;
        CHECK_EQ(count, first); // nothing has been lost
    }
}

static _Noreturn void echo(int from, int to)
{
    for (char byte; read(from, &byte, 1) == 1; write(to, &byte, 1))
        ;
    _exit(5);
}

static _Noreturn void bomb(void)
{
    for (;;)
        fork();
}

static void honest_beside_bomb(void)
{
    static int pids[MOST];
    int to[2], from[2], fds[2], status = -1;
    CHECK(pipe(to) == 0 && pipe(from) == 0 && pipe(fds) == 0);
    int friend = fork();
    if (friend == 0) {
        close(to[1]);
        echo(to[0], from[1]);
    }
    unsigned count = fill(pids, MOST, fds[0], fds[1]);
    for (unsigned i = 0; i < BOMBERS && count; i++) {
        kill(pids[--count], SIGKILL);
        waitpid(pids[count], &status, 0);
    }
    if (fork() == 0)
        bomb();
    unsigned right = 0;
    for (unsigned i = 0; i < TALKS; i++) {
        char byte = (char)i, answer = -1;
        right += write(to[1], &byte, 1) == 1 && read(from[0], &answer, 1) == 1 && answer == byte;
    }
    CHECK_EQ(right, TALKS);
    CHECK_EQ(close(to[1]), 0);
    CHECK_EQ(waitpid(friend, &status, WNOHANG), 0); // the sleepers and the bomb have the pipe's other end, too
    CHECK_EQ(kill(friend, SIGKILL), 0);
    CHECK_EQ(waitpid(friend, &status, 0), friend);
    CHECK_EQ(status, KILLED_BY(SIGKILL));
}

int image_main(void)
{
    bool few = option_u64("few", 0);
    fill_and_empty(few ? FEW : MOST);
    if (!few && !on_linux())
        honest_beside_bomb();
    return 0;
}

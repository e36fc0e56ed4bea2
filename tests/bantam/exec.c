// SPDX-License-Identifier: BSD-2-Clause
// execve of a good program, this one: what it finds at its start, what it keeps, what it has no more; and calls with
// bad arguments, behind which the caller goes on.
#include "guest/bantam/user/lib.h"

IMAGE("exec");

#define SIGUSR1 10
#define KEPT_FD 17

static uint64_t data = 1;

static const char *own_path(void)
{
    return (const char *)aux_value(AT_EXECFN);
}

static int status_of(const char *const *argv, const char *const *envp)
{
    int status = -1, pid = fork();
    if (pid == 0)
        _exit(execve(own_path(), argv, envp) < 0 ? 99 : 98);
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}

// ---- The other program: its status is 0, or the number of what is wrong ----
static int part_start(void)
{
    const struct start_info *s = &start_info;
    if (s->argc != 4 || strcmp(s->argv[1], "part=start") || strcmp(s->argv[2], "") || strcmp(s->argv[3], "last word"))
        return 1;
    if (s->argv[4] || !s->envp[0] || strcmp(s->envp[0], "A=1") || strcmp(s->envp[1], "B=two") || s->envp[2])
        return 2;
    if (strcmp(s->argv[0], "any name"))
        return 3;
    if (aux_value(AT_PAGESZ) != 4096 || aux_value(AT_PHENT) != 56 || aux_value(AT_PHNUM) == 0)
        return 4;
    const uint32_t *first_header = (const uint32_t *)aux_value(AT_PHDR); // type, flags
    if (!first_header || *first_header > 0x70000000)
        return 5;
    extern const char _start[];
    if (aux_value(AT_ENTRY) != (uint64_t)_start)
        return 6;
    if (!aux_value(AT_RANDOM) || *(const uint64_t *)aux_value(AT_RANDOM) == 0)
        return 7;
    if (((uint64_t)s->argv - 8) % 16)
        return 8;                                                 // rsp at the start
    if (!own_path() || own_path()[strlen(own_path()) - 1] != 'c') // .../exec
        return 9;
    return data == 1 ? 0 : 10;
}

static int part_kept(void)
{
    char byte = 0;
    if (read(KEPT_FD, &byte, 1) != 1 || byte != 'k')
        return 1;
    if (start_info.argc != 2)
        return 2;
    kill(getpid(), SIGUSR1); // its handler is gone with the old program: the default ends us
    return 3;
}

static int part_count(void)
{
    uint64_t bytes = 0;
    for (int i = 0; i < start_info.argc; i++)
        bytes += strlen(start_info.argv[i]);
    return bytes == strlen("x") + strlen("part=count") + 100 * 15 && start_info.argc == 102 ? 0 : 1;
}

// ---- Here ----
static void handler(int signal)
{
    (void)signal;
    data = 3;
}

static void start(void)
{
    data = 2;
    const char *const argv[] = {"any name", "part=start", "", "last word", NULL}, *const envp[] = {"A=1", "B=two",
                                                                                                   NULL};
    CHECK_EQ(status_of(argv, envp), 0);
    CHECK_EQ(data, 2);
}

static void kept(void)
{
    int fds[2], status = -1;
    const char *const argv[] = {"x", "part=kept", NULL};
    CHECK_EQ(pipe(fds), 0);
    CHECK_EQ(dup2(fds[0], KEPT_FD), KEPT_FD);
    CHECK_EQ(write(fds[1], "k", 1), 1);
    CHECK_EQ(signal_set(SIGUSR1, handler, 0), 0);
    int pid = fork();
    if (pid == 0)
        _exit(execve(own_path(), argv, NULL));
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(WTERMSIG(status), SIGUSR1);
    CHECK_EQ(kill(getpid(), SIGUSR1), 0);
    CHECK_EQ(data, 3); // ours has its handler
    close(KEPT_FD);
    close(fds[0]);
    close(fds[1]);
}

static void many_arguments(void)
{
    static const char *argv[103] = {"x", "part=count"};
    for (int i = 2; i < 102; i++)
        argv[i] = "fifteen letters";
    const char *const envp[] = {NULL};
    CHECK_EQ(status_of(argv, envp), 0);
    static char large[1 << 20]; // Linux's limit of one word is 128 KiB
    memset(large, 'x', sizeof large - 1);
    argv[2] = large;
    CHECK_EQ(execve(own_path(), argv, envp), -E2BIG);
}

static void bad_calls(void)
{
    const char *const argv[] = {"x", "part=start", NULL}, *const envp[] = {NULL};
    const char *const bad_string[] = {"x", (const char *)8, NULL};
    const char *const kernel_string[] = {"x", (const char *)0xffffffff80100000, NULL};
    static char long_path[5000];
    memset(long_path, 'p', sizeof long_path - 1);
    CHECK_EQ(execve("/no/such/program", argv, envp), -ENOENT);
    CHECK_EQ(execve("", argv, envp), -ENOENT);
    CHECK_EQ(execve(long_path, argv, envp), -ENAMETOOLONG);
    CHECK_EQ(execve(NULL, argv, envp), -EFAULT);
    CHECK_EQ(execve((const char *)0xffffffff80100000, argv, envp), -EFAULT);
    CHECK_EQ(execve(own_path(), (const char *const *)8, envp), -EFAULT);
    CHECK_EQ(execve(own_path(), argv, (const char *const *)0xffff888000000000), -EFAULT);
    CHECK_EQ(execve(own_path(), bad_string, envp), -EFAULT);
    CHECK_EQ(execve(own_path(), argv, bad_string), -EFAULT);
    CHECK_EQ(execve(own_path(), kernel_string, envp), -EFAULT);
}

// One program after the other in the same process.
static void chain(void)
{
    CHECK_EQ(status_of((const char *const[]){"x", "part=chain", "5", NULL}, (const char *const[]){NULL}), 5);
}

static int part_chain(void)
{
    char digit[2] = {(char)(start_info.argv[2][0] - 1), 0};
    if (digit[0] < '0')
        return 5;
    const char *const argv[] = {"x", "part=chain", digit, NULL}, *const envp[] = {NULL};
    return execve(own_path(), argv, envp);
}

int image_main(void)
{
    const char *part = option("part");
    if (part)
        _exit(*part == 's' ? part_start() : *part == 'k' ? part_kept() : part[1] == 'o' ? part_count() : part_chain());
    start();
    kept();
    many_arguments();
    bad_calls();
    chain();
    return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
// Files that no kernel may run (scripts/broken_elfs.py): execve gives an error and the caller goes on as it was, or,
// where Linux finds out later than Bantam, the process is killed. None comes to the end that the good program has.
#include "guest/bantam/user/lib.h"

IMAGE("exec_broken");

#define GOOD_STATUS 7 // of the program that they were made of, bench/micro/execwait.c with part=child
#define REFUSED 42

static const char *const names[] = {
    "empty",
    "text",
    "magic",
    "cut_in_header",
    "cut_in_headers",
    "machine",
    "header_size",
    "no_headers",
    "many_headers",
    "headers_wrap",
    "interpreter",
    "entry_in_kernel",
    "entry_not_canonical",
    "text_in_kernel",
    "text_at_hole",
    "text_size_wraps",
    "text_larger_in_file",
    "text_huge",
    "text_offset_wraps",
};

static uint64_t kept = 0x5253;

// The child's status: REFUSED where execve gave a sensible error and what the child had is still there.
static int status_of(const char *name)
{
    char path[256], folder[256];
    const char *const argv[] = {name, "part=child", NULL}, *const envp[] = {NULL};
    beside(folder, sizeof folder, "../../broken/");
    size_t length = strlen(folder);
    memcpy(path, folder, length);
    memcpy(path + length, name, strlen(name) + 1);
    int status = -1, pid = fork();
    if (pid == 0) {
        kept++;
        int error = execve(path, argv, envp);
        bool sensible = error == -ENOEXEC || error == -ENOMEM || error == -EINVAL || error == -ENOENT || error == -EIO;
        if (error == -ENOENT && strcmp(name, "interpreter")) // only an interpreter is not found
            sensible = false;
        _exit(sensible && kept == 0x5254 ? REFUSED : 1);
    }
    return waitpid(pid, &status, 0) == pid ? status : -1;
}

static bool refused_or_killed(const char *name)
{
    int status = status_of(name);
    return WIFEXITED(status) ? WEXITSTATUS(status) == REFUSED
                             : WTERMSIG(status) == SIGSEGV || WTERMSIG(status) == SIGKILL;
}

int image_main(void)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        check_record(refused_or_killed(names[i]), names[i], 0, 0);
    int status = status_of("good");
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), GOOD_STATUS);
    CHECK_EQ(kept, 0x5253);
    return 0;
}

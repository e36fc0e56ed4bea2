// SPDX-License-Identifier: BSD-2-Clause
// What a forkwait does to page tables on the Linux that it runs on, counted without privileges and printed as JSON:
// page faults by getrusage, page-table entries that are there by /proc/PID/pagemap. scripts/fork_counts.py builds it
// statically and dynamically.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 500, PAGE = 4096, TEXT = 1 << 16 };
#define PAGEMAP_PRESENT (1ull << 63) // Documentation/admin-guide/mm/pagemap.rst

static void fail(const char *what)
{
    fprintf(stderr, "fork_counts: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int open_of(pid_t pid, const char *file)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        fail(path);
    return fd;
}

// Entries that are present between two addresses.
static unsigned present_between(int pagemap, uint64_t from, uint64_t to)
{
    unsigned count = 0;
    for (uint64_t at = from; at < to; at += PAGE) {
        uint64_t entry;
        ssize_t got = pread(pagemap, &entry, sizeof entry, (off_t)(at / PAGE * sizeof entry));
        if (got < 0)
            fail("pagemap");
        count += got == sizeof entry && (entry & PAGEMAP_PRESENT);
    }
    return count;
}

// Entries that are present in a process's user half.
static unsigned present(pid_t pid)
{
    static char text[TEXT];
    int maps = open_of(pid, "maps"), pagemap = open_of(pid, "pagemap");
    size_t used = 0;
    for (ssize_t got; (got = read(maps, text + used, sizeof text - 1 - used)) > 0;)
        used += (size_t)got;
    text[used] = '\0';
    unsigned count = 0;
    for (char *line = text; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
        uint64_t from, to;
        if (sscanf(line, "%" SCNx64 "-%" SCNx64, &from, &to) == 2 && from < UINT64_C(1) << 47)
            count += present_between(pagemap, from, to);
    }
    close(maps);
    close(pagemap);
    return count;
}

static long faults(int who)
{
    struct rusage usage;
    if (getrusage(who, &usage))
        fail("getrusage");
    return usage.ru_minflt;
}

// The loop of the paper's program.
static void forkwait(int rounds)
{
    for (int i = 0; i < rounds; i++) {
        pid_t pid = fork();
        if (pid < 0)
            fail("fork");
        if (!pid)
            exit(0);
        if (waitpid(pid, NULL, 0) != pid)
            fail("waitpid");
    }
}

// A child is held right after its fork, and once more on its way out (PTRACE_EVENT_EXIT), where its page tables are
// whole still.
static void entries(unsigned *at_fork, unsigned *at_exit)
{
    int hold[2], status;
    char byte = 0;
    if (pipe(hold))
        fail("pipe");
    pid_t pid = fork();
    if (pid < 0)
        fail("fork");
    if (!pid)
        exit(read(hold[0], &byte, 1) == 1 ? 0 : 1);
    *at_fork = present(pid);
    if (ptrace(PTRACE_SEIZE, pid, NULL, PTRACE_O_TRACEEXIT))
        fail("ptrace");
    if (write(hold[1], &byte, 1) != 1 || waitpid(pid, &status, 0) != pid)
        fail("the child");
    if (!WIFSTOPPED(status) || status >> 8 != (SIGTRAP | PTRACE_EVENT_EXIT << 8))
        fail("no stop on the way out");
    *at_exit = present(pid);
    if (ptrace(PTRACE_CONT, pid, NULL, NULL) || waitpid(pid, &status, 0) != pid)
        fail("the child's end");
}

int main(void)
{
    unsigned at_fork, at_exit;
    forkwait(10);
    entries(&at_fork, &at_exit);
    forkwait(10);
    long self = faults(RUSAGE_SELF), children = faults(RUSAGE_CHILDREN);
    forkwait(ROUNDS);
    self = faults(RUSAGE_SELF) - self;
    children = faults(RUSAGE_CHILDREN) - children;
    printf("{\"own\": %u, \"at_fork\": %u, \"at_exit\": %u, \"parent_faults\": %.3f, \"child_faults\": %.3f}\n",
           present(getpid()), at_fork, at_exit, (double)self / ROUNDS, (double)children / ROUNDS);
    return 0;
}

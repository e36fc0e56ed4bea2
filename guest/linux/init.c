// SPDX-License-Identifier: BSD-2-Clause
// The first process of a Linux guest: runs programs of the guest Unix one after the other and ends the run with a
// status, as an image does. Its words are those behind `--` on the kernel's command line:
//   run=A,B      the programs, files of the folder /native; each gets all the words, and checks that it ended with 0
//   marks=port   they make their marks by the port (include/guest_abi.h), for which they are given permission
//   typed=N      first it reads N bytes from the terminal, and gives a hash of them as a value
#include "guest/bantam/user/lib.h"
#include "guest/insn.h"
#include "guest/report.h"

IMAGE("linux");

// Linux's, which the guest Unix does not have.
#define SYS_ioctl 16
#define SYS_uname 63
#define SYS_syslog 103
#define SYS_ioperm 173
#define SYSLOG_CONSOLE_LEVEL 8
#define TCSBRK 0x5409
#define TCSBRK_DRAIN 1

#define PATH_SIZE 128
#define WORDS_MAX 34 // the kernel gives no more, with init's own name and NULL

static int wait_for(int child)
{
    int status, ended;
    do // orphans come here, too
        ended = waitpid(-1, &status, 0);
    while (ended != child && ended != -ECHILD);
    return ended == child && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static void allow_port(unsigned first, unsigned count)
{
    int64_t result = syscall3(SYS_ioperm, first, count, 1);
    if (result < 0)
        panic("ioperm: error %ld", -result);
}

// Process 1 must not end: what the kernel has of the console's text goes out, then the run is over.
static _Noreturn void end_run(int status)
{
    allow_port(PORT_DEBUG_EXIT, 1);
    syscall3(SYS_ioctl, 0, TCSBRK, TCSBRK_DRAIN);
    outb(PORT_DEBUG_EXIT, (uint8_t)status);
    for (;;)
        sched_yield();
}

static void say_kernel(void)
{
    struct {
        char sysname[65], nodename[65], release[65], version[65], machine[65], domain[65];
    } name;
    syscall3(SYS_uname, (uint64_t)&name, 0, 0);
    print("%s %s %s\n", name.sysname, name.release, name.version);
}

// FNV-1a, 64 bits.
static void hash_typed(uint64_t count)
{
    uint64_t hash = 0xcbf29ce484222325;
    while (count) {
        uint8_t bytes[256];
        int64_t got = read(0, bytes, count < sizeof bytes ? count : sizeof bytes);
        if (got <= 0)
            panic("the terminal: read gives %ld", got);
        for (int64_t i = 0; i < got; i++)
            hash = (hash ^ bytes[i]) * 0x100000001b3;
        count -= (uint64_t)got;
    }
    bench_value("typed", hash);
}

static void run_program(const char *name, size_t length)
{
    static const char folder[] = "/native/";
    const char *words[WORDS_MAX], *none[] = {NULL};
    char path[PATH_SIZE];
    int count = 0;
    if (!length || length >= sizeof path - sizeof folder)
        panic("run=: a name of %zu characters", length);
    memcpy(path, folder, sizeof folder - 1);
    memcpy(path + sizeof folder - 1, name, length);
    path[sizeof folder - 1 + length] = '\0';
    words[count++] = path;
    for (int i = 1; i < start_info.argc && count < WORDS_MAX - 1; i++)
        words[count++] = start_info.argv[i];
    words[count] = NULL;

    int child = fork();
    if (!child) {
        execve(path, words, none);
        _exit(127); // as a shell does where there is no such program
    }
    check_record(wait_for(child) == 0, path, 0, 0);
}

int image_main(void)
{
    int child = fork();
    if (child)
        end_run(wait_for(child));
    const char *name = option("run"), *end;
    syscall3(SYS_syslog, SYSLOG_CONSOLE_LEVEL, 0, 1); // or the kernel's lines get into the programs'
    say_kernel();
    if (option("marks"))
        allow_port(PORT_MARK, 4);
    if (option("typed"))
        hash_typed(option_u64("typed", 0));
    for (; name && *name; name = *end ? end + 1 : end) {
        for (end = name; *end && *end != ','; end++)
            ;
        run_program(name, (size_t)(end - name));
    }
    return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
// bantam: program
// A boot and a shutdown, once: programs are executed one after the other and side by side, read files, compute, talk
// through pipes, wait for the clock; services stay until they are killed, and the end of this process is power-off.
// Every program is this file again, started with another part=NAME.
#include "guest/bantam/user/lib.h"

IMAGE("boothalt");

#define SERVICES 4
#define LOGINS 3

static const char *own_path(void)
{
    return (const char *)aux_value(AT_EXECFN);
}

// ---- Parts: each its own program ----

// Looks through a file, as a boot does through its disk: this program's own.
static uint64_t part_check(void)
{
    uint8_t block[512];
    uint64_t sum = 0;
    int64_t length;
    int fd = open(own_path(), O_RDONLY);
    if (fd < 0)
        panic("open: error %d", -fd);
    while ((length = read(fd, block, sizeof block)) > 0) {
        for (int64_t i = 0; i < length; i++)
            sum = sum * 31 + block[i];
    }
    close(fd);
    return sum;
}

// Computes in fresh memory: the primes below 65,536, which are 6,542.
static uint64_t part_primes(void)
{
    enum { LIMIT = 65536 };
    uint8_t *composite = mmap(NULL, LIMIT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t count = 0;
    if (is_error(composite))
        panic("mmap: error %ld", -(int64_t)composite);
    for (uint64_t i = 2; i < LIMIT; i++) {
        count += !composite[i];
        for (uint64_t k = i * i; !composite[i] && k < LIMIT; k += i)
            composite[k] = 1;
    }
    munmap(composite, LIMIT);
    return count;
}

// The three programs of `lines | upper | count`.
static uint64_t part_lines(void)
{
    for (uint64_t i = 0; i < 100; i++)
        print("line %lu of a log\n", i);
    return 0;
}

static uint64_t part_upper(void)
{
    char bytes[256];
    int64_t length;
    while ((length = read(0, bytes, sizeof bytes)) > 0) {
        for (int64_t i = 0; i < length; i++)
            bytes[i] = (char)(bytes[i] >= 'a' && bytes[i] <= 'z' ? bytes[i] - 'a' + 'A' : bytes[i]);
        write(1, bytes, (size_t)length);
    }
    return 0;
}

static uint64_t part_count(void)
{
    char bytes[256];
    int64_t length;
    uint64_t sum = 0;
    while ((length = read(0, bytes, sizeof bytes)) > 0) {
        for (int64_t i = 0; i < length; i++)
            sum += bytes[i] == '\n' ? 1000000 : (uint64_t)bytes[i];
    }
    return sum;
}

// A service waits for requests that do not come.
static uint64_t part_service(void)
{
    struct timespec hour = {.tv_sec = 3600};
    return (uint64_t)nanosleep(&hour, NULL);
}

static uint64_t part_login(void)
{
    struct timespec tick = {.tv_nsec = 10000000};
    nanosleep(&tick, NULL);
    return part_primes();
}

static const struct part {
    const char *word;
    uint64_t (*run)(void);
} parts[] = {{"part=check", part_check}, {"part=primes", part_primes}, {"part=lines", part_lines},
             {"part=upper", part_upper}, {"part=count", part_count},   {"part=service", part_service},
             {"part=login", part_login}};

// What a part finds is written to descriptor 3, which init reads.
static _Noreturn void run_part(const char *word)
{
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (strcmp(parts[i].word, word))
            continue;
        uint64_t result = parts[i].run();
        console_flush();
        write(3, &result, sizeof result);
        _exit(0);
    }
    _exit(1);
}

// ---- init ----

struct init {
    int report[2]; // parts write to [1]
    int service[SERVICES];
    uint64_t sum;
};

// Starts a part; its 0, 1 and 3 are in, out and the report's end.
static int start(const struct init *init, const char *word, int in, int out)
{
    const char *const argv[] = {own_path(), word, NULL}, *const envp[] = {"PATH=/", NULL};
    int pid = fork();
    if (pid < 0)
        panic("fork: error %d", -pid);
    if (pid)
        return pid;
    dup2(in, 0);
    dup2(out, 1);
    dup2(init->report[1], 3);
    for (int fd = 4; fd < 16; fd++)
        close(fd);
    execve(own_path(), argv, envp);
    _exit(127);
}

static void finish(struct init *init, int pid)
{
    int status = -1;
    uint64_t result = 0;
    if (read(init->report[0], &result, sizeof result) != sizeof result)
        panic("a part has nothing to report");
    if (waitpid(pid, &status, 0) != pid || status)
        panic("a part ended with status 0x%x", (unsigned)status);
    init->sum = init->sum * 31 + result;
}

static void pipeline(struct init *init)
{
    int first[2], second[2];
    if (pipe(first) || pipe(second))
        panic("no pipes");
    int lines = start(init, "part=lines", 0, first[1]);
    close(first[1]);
    int upper = start(init, "part=upper", first[0], second[1]);
    close(first[0]);
    close(second[1]);
    int count = start(init, "part=count", second[0], 1);
    close(second[0]);
    finish(init, lines); // reports come in this order: each ends before what reads from it
    finish(init, upper);
    finish(init, count);
}

static void boot_and_halt(uint64_t n, void *ctx)
{
    (void)n;
    struct init *init = ctx;
    finish(init, start(init, "part=check", 0, 1));
    for (int i = 0; i < SERVICES; i++)
        init->service[i] = start(init, "part=service", 0, 1);
    pipeline(init);
    int login[LOGINS];
    for (int i = 0; i < LOGINS; i++)
        login[i] = start(init, "part=login", 0, 1);
    for (int i = 0; i < LOGINS; i++)
        finish(init, login[i]);
    for (int i = 0; i < SERVICES; i++)
        kill(init->service[i], SIGTERM);
    for (int i = 0; i < SERVICES; i++) {
        int status = 0;
        if (waitpid(init->service[i], &status, 0) != init->service[i] || WTERMSIG(status) != SIGTERM)
            panic("a service ended with status 0x%x", (unsigned)status);
    }
}

int image_main(void)
{
    if (option("part"))
        run_part(start_info.argv[1]);
    struct init init = {.sum = 0};
    if (pipe(init.report))
        panic("no pipe");
    bench_once("boothalt", 1, boot_and_halt, &init);
    bench_value("boothalt", init.sum);
    return 0;
}

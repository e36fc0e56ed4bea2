// SPDX-License-Identifier: BSD-2-Clause
// The tester's side of the judge: starts it, hands it batches, and starts it again where a case has killed it or does
// not end.
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <asm/hwcap2.h>

#include "tests/cpu/judge.h"

extern const uint8_t judge_image[], judge_image_end[];

// How long a case may take that does not end by itself. A locked access that crosses from one page into one that may
// not be written needs seconds of CPU time, now and then, where the host is a virtual machine with bus-lock detection
// (SDM vol. 3, 17.3.1.6): up to 5.9 were seen, on one vCPU of a busy Sapphire Rapids, in place of some microseconds.
// Not more, as each case that loops for ever takes all of it; one that was slow by chance is asked again.
enum { WAIT_MS = 100, START_WAITS = 600, HANG_CPU_SECONDS = 8, HANG_WAITS = 3000 };

static long futex_wait(uint32_t *at, uint32_t seen)
{
    struct timespec wait = {.tv_nsec = WAIT_MS * 1000000};
    return syscall(SYS_futex, at, FUTEX_WAIT, seen, &wait, NULL, 0);
}

// What of the vector state this host has: XCR0, as far as cases have it.
static uint64_t host_components(void)
{
    uint32_t a, b, c, d, low, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
        return 0;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low & (FPU_X87 | FPU_SSE | FPU_AVX);
}

static int image_file(void)
{
    int fd = memfd_create("judge", MFD_CLOEXEC);
    size_t size = (size_t)(judge_image_end - judge_image);
    if (fd >= 0 && write(fd, judge_image, size) == (ssize_t)size)
        return fd;
    return -1;
}

static bool spawn(struct judge *j)
{
    char *const argv[] = {(char *)"judge", NULL}, *const env[] = {NULL};
    int image = image_file();
    j->shared->started = j->shared->posted = j->shared->finished = 0;
    j->batch = 0;
    j->pid = image < 0 ? -1 : fork();
    if (j->pid == 0) {
        int program = fcntl(image, F_DUPFD_CLOEXEC, 10), shared = fcntl(j->fd, F_DUPFD_CLOEXEC, 10);
        if (program >= 0 && dup2(shared, JUDGE_SHARED_FD) >= 0)
            fexecve(program, argv, env);
        _exit(127);
    }
    if (image >= 0)
        close(image);
    for (unsigned i = 0; i < START_WAITS && j->pid > 0 && !__atomic_load_n(&j->shared->started, __ATOMIC_ACQUIRE); i++)
        futex_wait(&j->shared->started, 0);
    return j->pid > 0 && j->shared->started;
}

bool judge_start(struct judge *j, const uint8_t *pattern, char *err, unsigned err_size)
{
    memset(j, 0, sizeof *j);
    j->fd = memfd_create("cases", MFD_CLOEXEC);
    if (j->fd >= 0 && ftruncate(j->fd, sizeof *j->shared) == 0)
        j->shared = mmap(NULL, sizeof *j->shared, PROT_READ | PROT_WRITE, MAP_SHARED, j->fd, 0);
    if (!j->shared || j->shared == MAP_FAILED) {
        snprintf(err, err_size, "no memory to share with the judge: %s", strerror(errno));
        return false;
    }
    memcpy(j->shared->pattern, pattern, WINDOW_BYTES);
    j->shared->components = host_components();
    j->shared->fsgsbase = (getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE) != 0;
    if (!(j->shared->components & FPU_SSE)) {
        snprintf(err, err_size, "this host has no XSAVE");
        return false;
    }
    if (spawn(j))
        return true;
    snprintf(err, err_size, "the judge's process does not start");
    return false;
}

static void end_child(struct judge *j)
{
    if (j->pid > 0) {
        kill(j->pid, SIGKILL);
        waitpid(j->pid, NULL, 0);
    }
    j->pid = 0;
}

void judge_stop(struct judge *j)
{
    end_child(j);
    if (j->shared)
        munmap(j->shared, sizeof *j->shared);
    if (j->fd >= 0)
        close(j->fd);
    memset(j, 0, sizeof *j);
}

void judge_put(struct judge *j, unsigned slot, const struct test_case *t)
{
    struct judge_slot *s = &j->shared->slot[slot];
    memcpy(s->bytes, t->bytes, t->length);
    s->length = t->length;
    s->vector = t->vector;
    s->regs = t->in;
    if (t->vector)
        s->fpu = t->fpu;
    s->patches = t->patches;
    memcpy(s->patch, t->patch, t->patches * sizeof t->patch[0]);
    s->status = JUDGE_NOT_RUN;
}

static void post_from(struct judge *j, uint32_t first, uint32_t end)
{
    struct judge_shared *s = j->shared;
    s->first = s->progress = first;
    s->end = end;
    __atomic_store_n(&s->posted, ++j->batch, __ATOMIC_RELEASE);
    syscall(SYS_futex, &s->posted, FUTEX_WAKE, 1, NULL, NULL, 0);
}

void judge_post(struct judge *j, unsigned first, unsigned count)
{
    post_from(j, first, first + count);
}

// The case at which the process stopped to make progress is left out, and the rest given to a new process.
static bool replace(struct judge *j, enum judge_status why)
{
    uint32_t at = j->shared->progress, end = j->shared->end;
    end_child(j);
    if (!spawn(j) || end > JUDGE_SLOTS)
        return false;
    if (at < end)
        j->shared->slot[at++].status = why;
    post_from(j, at, end);
    return true;
}

// What the judge has had of a CPU, in seconds: on a loaded machine a case may wait long for its turn.
static double cpu_seconds(const struct judge *j)
{
    clockid_t clock;
    struct timespec t;
    if (clock_getcpuclockid(j->pid, &clock) != 0 || clock_gettime(clock, &t) < 0)
        return 0;
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

bool judge_wait(struct judge *j)
{
    struct judge_shared *s = j->shared;
    uint32_t progress = s->progress;
    double since = cpu_seconds(j);
    for (unsigned still = 0;;) {
        uint32_t finished = __atomic_load_n(&s->finished, __ATOMIC_ACQUIRE);
        if (finished == j->batch)
            return true;
        futex_wait(&s->finished, finished);
        bool dead = waitpid(j->pid, NULL, WNOHANG) == j->pid;
        uint32_t got_to = __atomic_load_n(&s->progress, __ATOMIC_ACQUIRE);
        if (got_to != progress)
            since = cpu_seconds(j);
        still = got_to == progress ? still + 1 : 0;
        progress = got_to;
        if (!dead && still < HANG_WAITS && cpu_seconds(j) - since < HANG_CPU_SECONDS)
            continue;
        if (dead)
            j->pid = 0;
        j->deaths += dead;
        j->hangs += !dead;
        if (!replace(j, dead ? JUDGE_DIED : JUDGE_HUNG))
            return false;
        still = 0;
        progress = s->progress;
        since = cpu_seconds(j);
    }
}

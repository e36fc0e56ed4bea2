// SPDX-License-Identifier: BSD-2-Clause
// Processes for directly executed code: making them while the engine may still fork, giving them a CPU, ending them.
#include <cpuid.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engines/bt/process_inside.h"

#define HWCAP2_HAS_FSGSBASE 2
#define SET_UP_MS 20000
#define XCR0_LARGE (3ull << 17) // AMX tiles: only for who asks the kernel

_Static_assert(offsetof(struct process_shared, spins) == P_SPINS, "process_inside.h");
_Static_assert(offsetof(struct process_shared, said) == P_SAID, "process_inside.h");
_Static_assert(offsetof(struct process_shared, sleeps) == P_SLEEPS, "process_inside.h");
_Static_assert(offsetof(struct process_shared, asleep) == P_ASLEEP, "process_inside.h");
_Static_assert(offsetof(struct process_shared, secret) == P_SECRET, "process_inside.h");
_Static_assert(offsetof(struct process_shared, gpr) == P_GPR, "process_inside.h");
_Static_assert(offsetof(struct process_shared, late_gpr) == P_LATE_GPR, "process_inside.h");
_Static_assert(offsetof(struct process_shared, late_rflags) == P_LATE_RFLAGS, "process_inside.h");
_Static_assert(sizeof(struct process_call) * PROCESS_COMMANDS <= IN_FILTER - IN_COMMANDS, "process_inside.h");
_Static_assert(WINDOW == PROCESS_WINDOW && WINDOW_BYTES == PROCESS_WINDOW_BYTES, "process_inside.h");

static uint64_t xgetbv0(void)
{
    uint32_t low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

// Things that cannot be done without.
static const char *host_lacks(struct process_pool *pool)
{
    unsigned a, b, c, d;
    if (!(getauxval(AT_HWCAP2) & HWCAP2_HAS_FSGSBASE))
        return "this host does not let programs write fs and gs base (FSGSBASE: Linux 5.9 and the CPU)";
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE) || !__get_cpuid_count(0xd, 0, &a, &b, &c, &d))
        return "this host has no XSAVE";
    pool->xcr0 = xgetbv0() & ~XCR0_LARGE;
    pool->xsave_bytes = b < FPU_BYTES ? b : FPU_BYTES;
    return NULL;
}

// ---- One process ----

// Everything that the child finds in its window. The filter says the secret, so all of it goes before guest code comes.
static int prepare(struct process *p)
{
    struct process_shared *s = p->shared;
    uint8_t *base = (uint8_t *)s - IN_SHARED;
    if (getrandom(p->secret, sizeof p->secret, 0) != sizeof p->secret ||
        getrandom(&p->go, sizeof p->go, 0) != sizeof p->go)
        return -1;
    p->go |= 1;
    atomic_store(&s->go, p->go);
    atomic_store(&s->asleep, 1);
    struct sock_filter *filter = (struct sock_filter *)(base + IN_FILTER + sizeof(struct sock_fprog));
    *(struct sock_fprog *)(base + IN_FILTER) = (struct sock_fprog){
        .len = (unsigned short)process_filter(filter, p->secret),
        .filter = (struct sock_filter *)(uintptr_t)(WINDOW + IN_FILTER + sizeof(struct sock_fprog)),
    };
    return 0;
}

static void say_failure(const struct process *p, char *err, size_t err_size)
{
    if (p->shared->result)
        snprintf(err, err_size, "cannot set up a process for user code: %s: %s", process_child_step(p->shared->frame),
                 strerror(-p->shared->result));
    else
        snprintf(err, err_size, "cannot set up a process for user code: it died");
}

// Its first announcement: it has unmapped us, and the filter holds.
static int await_set_up(struct process *p, char *err, size_t err_size)
{
    struct pollfd fds[] = {{.fd = p->pidfd, .events = POLLIN}, {.fd = p->proof, .events = POLLIN}};
    uint64_t proof = 0;
    int ready;
    do
        ready = poll(fds, 2, SET_UP_MS);
    while (ready < 0 && errno == EINTR);
    if (ready <= 0 || fds[0].revents || read(p->proof, &proof, sizeof proof) != sizeof proof || proof != p->go) {
        say_failure(p, err, err_size);
        return -1;
    }
    while (atomic_load(&p->shared->said) != p->go)
        if (poll(fds, 1, 0) > 0) {
            say_failure(p, err, err_size);
            return -1;
        }
    memset((uint8_t *)p->shared - IN_SHARED + IN_FILTER, 0, IN_STACK_A - IN_FILTER);
    atomic_store(&p->shared->asleep, 0);
    return 0;
}

static int make(struct process *p, int memfd, char *err, size_t err_size)
{
    int shared = memfd_create("ringside-process", MFD_CLOEXEC);
    const char *what = "memfd_create";
    if (shared < 0 || ftruncate(shared, SHARED_BYTES))
        goto fail;
    what = "mmap";
    void *page = mmap(NULL, SHARED_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, shared, 0);
    if (page == MAP_FAILED)
        goto fail;
    p->shared = page;
    what = "eventfd";
    p->proof = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (p->proof < 0 || prepare(p))
        goto fail;
    const struct process_child child = {getpid(), memfd, shared, p->proof, p->pool->wake, p->shared};
    what = "fork";
    p->pid = fork();
    if (p->pid < 0)
        goto fail;
    if (p->pid == 0)
        process_child(&child);
    close(shared);
    shared = -1;
    what = "pidfd_open";
    p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
    if (p->pidfd < 0)
        goto fail;
    return await_set_up(p, err, err_size);

fail:
    snprintf(err, err_size, "cannot make a process for user code: %s: %s", what, strerror(errno));
    if (shared >= 0)
        close(shared);
    return -1;
}

static void end(struct process *p)
{
    if (p->pid > 0) {
        if (p->pidfd >= 0)
            syscall(SYS_pidfd_send_signal, p->pidfd, SIGKILL, NULL, 0);
        else
            kill(p->pid, SIGKILL);
        siginfo_t info;
        while (waitid(P_PID, (id_t)p->pid, &info, WEXITED) && errno == EINTR)
            ;
    }
    if (p->shared)
        munmap(p->shared, SHARED_BYTES);
    if (p->pidfd >= 0)
        close(p->pidfd);
    if (p->proof >= 0)
        close(p->proof);
}

// ---- All of them ----

struct process_pool *process_pool_create(int memfd, unsigned count, char *err, size_t err_size)
{
    struct process_pool *pool = NULL;
    size_t bytes = sizeof *pool + count * sizeof pool->process[0];
    if (posix_memalign((void **)&pool, 64, bytes)) {
        snprintf(err, err_size, "no memory for %u processes for user code", count);
        return NULL;
    }
    memset(pool, 0, bytes);
    pool->count = count;
    for (unsigned i = 0; i < count; i++)
        pool->process[i] = (struct process){.pool = pool, .pidfd = -1, .proof = -1};
    pool->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    const char *lacks = pool->wake < 0 ? strerror(errno) : host_lacks(pool);
    if (lacks)
        snprintf(err, err_size, "cannot run user code directly: %s", lacks);
    for (unsigned i = 0; !lacks && i < count; i++)
        if (make(&pool->process[i], memfd, err, err_size))
            lacks = "a process";
    if (!lacks)
        return pool;
    process_pool_destroy(pool);
    return NULL;
}

void process_pool_destroy(struct process_pool *pool)
{
    for (unsigned i = 0; i < pool->count; i++)
        end(&pool->process[i]);
    if (pool->wake >= 0)
        close(pool->wake);
    free(pool);
}

struct process *process_at(struct process_pool *pool, unsigned i)
{
    return &pool->process[i];
}

const char *process_died(const struct process_pool *pool)
{
    return pool->died;
}

// The thread that calls process_run() is where it will stay: the processes get the other CPUs.
void process_place(struct process_pool *pool)
{
    cpu_set_t ours, others;
    pool->placed = true;
    if (sched_getaffinity(0, sizeof ours, &ours))
        return;
    pool->one_cpu = CPU_COUNT(&ours) == 1;
    if (!pool->one_cpu || sched_getaffinity(pool->process[0].pid, sizeof others, &others))
        return;
    CPU_XOR(&ours, &ours, &others);
    CPU_AND(&others, &ours, &others); // theirs without ours
    if (!CPU_COUNT(&others))
        return;
    pool->one_cpu = false;
    for (unsigned i = 0; i < pool->count; i++)
        sched_setaffinity(pool->process[i].pid, sizeof others, &others);
}

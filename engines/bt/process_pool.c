// SPDX-License-Identifier: BSD-2-Clause
// Processes for directly executed code: making them while the engine may still fork, giving them a CPU, ending them.
#include <assert.h>
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
#include "engines/bt/xstate.h"

#define HWCAP2_HAS_FSGSBASE 2
#define SET_UP_MS 20000
#define XCR0_LARGE (3ull << 17) // AMX tiles: only for who asks the kernel

#define SAME(type, field, offset) _Static_assert(offsetof(struct process_##type, field) == (offset), "process_inside.h")
SAME(told, spins, T_SPINS);
SAME(told, gpr, T_GPR);
SAME(told, secret, T_SECRET);
SAME(told, xcr0, T_XCR0);
SAME(state, stops, S_STOPS);
SAME(state, done, S_DONE);
SAME(state, sleeps, S_SLEEPS);
SAME(state, hint, S_HINT);
SAME(state, late_gpr, S_LATE_GPR);
SAME(state, late_rflags, S_LATE_RFLAGS);
SAME(state, entered, S_ENTERED);
SAME(state, left, S_LEFT);
_Static_assert(sizeof(struct process_call) * PROCESS_COMMANDS <= IN_FILTER - IN_COMMANDS, "process_inside.h");
_Static_assert(WINDOW == PROCESS_WINDOW && WINDOW_BYTES == PROCESS_WINDOW_BYTES, "process_inside.h");

static uint64_t xgetbv0(void)
{
    uint32_t low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

// Bytes of an XSAVE image in standard form with these components (SDM vol. 1, 13.4.3; vol. 2, CPUID leaf 0dh).
static size_t image_bytes(uint64_t xcr0)
{
    size_t bytes = XSAVE_YMM;
    for (unsigned component = 2; component < 64; component++) {
        unsigned size, offset, c, d;
        if (xcr0 >> component & 1 && __get_cpuid_count(0xd, component, &size, &offset, &c, &d) && offset + size > bytes)
            bytes = offset + size;
    }
    return bytes;
}

// Things that cannot be done without.
static const char *host_lacks(struct process_pool *pool)
{
    unsigned a, b, c, d;
    if (!(getauxval(AT_HWCAP2) & HWCAP2_HAS_FSGSBASE))
        return "this host does not let programs write fs and gs base (FSGSBASE: Linux 5.9 and the CPU)";
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
        return "this host has no XSAVE";
    pool->xcr0 = xgetbv0() & ~XCR0_LARGE;
    pool->xsave_bytes = image_bytes(pool->xcr0);
    return pool->xsave_bytes <= FPU_BYTES ? NULL : "this host's vector registers take more than 16 KiB";
}

// ---- One process ----

// Everything that the child finds in its window. The filter says the secret, so all of it goes before guest code comes.
static int prepare(struct process *p)
{
    if (getrandom(p->secret, sizeof p->secret, 0) != sizeof p->secret ||
        getrandom(&p->go, sizeof p->go, 0) != sizeof p->go)
        return -1;
    p->go &= ~MESSAGE_RESERVED;
    atomic_store(&p->told->go, p->go);
    p->told->xcr0 = p->pool->xcr0;
    struct sock_fprog *program = (struct sock_fprog *)(p->shared - IN_SHARED + IN_FILTER);
    program->filter = (struct sock_filter *)(uintptr_t)(WINDOW + IN_FILTER + sizeof *program);
    program->len = (unsigned short)process_filter((struct sock_filter *)(program + 1), p->secret);
    assert(program->len <= PROCESS_FILTER_MAX);
    return 0;
}

// Its first announcement: it has unmapped us, and the filter holds.
static int await_set_up(struct process *p, char *err, size_t err_size)
{
    struct pollfd fds[] = {{.fd = p->pidfd, .events = POLLIN}, {.fd = p->said, .events = POLLIN}};
    uint64_t said;
    int ready;
    do
        ready = poll(fds, 2, SET_UP_MS);
    while (ready < 0 && errno == EINTR);
    if (read(p->said, &said, sizeof said) == sizeof said && said == p->go) {
        memset(p->shared - IN_SHARED + IN_FILTER, 0, IN_STATE - IN_FILTER);
        return 0;
    }
    if (p->state->result)
        snprintf(err, err_size, "cannot set up a process for user code: %s: %s", process_child_step(p->state->frame),
                 strerror(-p->state->result));
    else
        snprintf(err, err_size, "cannot set up a process for user code: it %s", ready ? "died" : "does not answer");
    return -1;
}

static int make(struct process *p, int memfd, char *err, size_t err_size)
{
    int shared = memfd_create("ringside-process", MFD_CLOEXEC);
    const char *what = "memfd_create";
    if (shared < 0 || ftruncate(shared, SHARED_BYTES))
        goto fail;
    what = "mmap";
    void *base = mmap(NULL, SHARED_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, shared, 0);
    if (base == MAP_FAILED)
        goto fail;
    p->shared = base;
    p->told = (struct process_told *)(p->shared - IN_SHARED + IN_TOLD);
    p->state = (struct process_state *)(p->shared - IN_SHARED + IN_STATE);
    what = "eventfd";
    p->said = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (p->said < 0)
        goto fail;
    what = "getrandom";
    if (prepare(p))
        goto fail;
    const struct process_child child = {getpid(), memfd, shared, p->said, p->state};
    what = "fork";
    p->pid = fork();
    if (p->pid < 0)
        goto fail;
    if (p->pid == 0)
        process_child(&child);
    what = "pidfd_open";
    p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
    if (p->pidfd < 0)
        goto fail;
    close(shared);
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
    if (p->said >= 0)
        close(p->said);
}

// ---- All of them ----

static void reset_image(struct process_pool *pool)
{
    const uint16_t fcw = FCW_RESET;
    const uint32_t mxcsr = MXCSR_RESET;
    memcpy(pool->image + XSAVE_FCW, &fcw, sizeof fcw);
    memcpy(pool->image + XSAVE_MXCSR, &mxcsr, sizeof mxcsr);
}

struct process_pool *process_pool_create(int memfd, unsigned count, char *err, size_t err_size)
{
    struct process_pool *pool = NULL;
    size_t bytes = sizeof *pool + count * sizeof pool->process[0];
    if (posix_memalign((void **)&pool, 64, bytes)) {
        snprintf(err, err_size, "no memory for %u processes for user code", count);
        return NULL;
    }
    memset(pool, 0, bytes);
    reset_image(pool);
    pool->count = count;
    for (unsigned i = 0; i < count; i++)
        pool->process[i] = (struct process){.pool = pool, .pidfd = -1, .said = -1};
    pool->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    const char *lacks = pool->wake < 0 ? strerror(errno) : host_lacks(pool);
    if (lacks)
        snprintf(err, err_size, "cannot run user code directly: %s", lacks);
    for (unsigned i = 0; !lacks && i < count; i++)
        if (make(&pool->process[i], memfd, err, err_size))
            lacks = "a process";
    if (!lacks && count && !process_obeys(&pool->process[0])) { // a host that minds what the filter asks for
        lacks = "this host's kernel looks at unused bits of a system call's arguments";
        snprintf(err, err_size, "cannot run user code directly: %s", lacks);
    }
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

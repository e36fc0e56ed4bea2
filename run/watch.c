// SPDX-License-Identifier: BSD-2-Clause
// The watching thread: a poll over a signalfd, two timerfds, and where bytes come from, if anywhere. No signal handler,
// so no state outside of the struct; and on another CPU than a pinned vCPU it costs the guest nothing until there is
// something to say.
#include "run/watch.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "run/pin.h"

#define NS_PER_S 1000000000ull

enum { FD_SIGNAL, FD_TIMEOUT, FD_DEADLINE, FD_STOP, FD_LISTEN, FD_COUNT };

enum {
    LOOK_MS = 250,          // how often to look whether the vCPU's thread still runs
    REPEAT_MS = 10,         // how often to repeat a kick that the vCPU's thread has not seen
    ASLEEP_NS = 1000 * 1000 // CPU time that a running thread uses between two looks, at the very least
};

struct watch {
    struct vcpu *_Atomic vcpu; // the one that runs now
    int vcpu_cpu;
    pthread_t thread;
    clockid_t vcpu_clock; // CPU time of the vCPU's thread
    sigset_t old_mask;
    int fd[FD_COUNT];
    struct {
        atomic_int fd; // -1: none
        atomic_bool listening;
    } source[WATCH_SOURCES];
    uint64_t deadline; // as armed; the vCPU thread's own
    atomic_bool interrupted, timed_out;
    atomic_bool unseen;    // there was a kick, and the vCPU's thread has not come out yet
    pthread_mutex_t mutex; // with woken, for watch_sleep
    pthread_cond_t woken;
};

uint64_t monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static void drain(int fd)
{
    uint8_t bytes[sizeof(struct signalfd_siginfo)];
    while (read(fd, bytes, sizeof bytes) > 0)
        continue;
}

static void kick(struct watch *w)
{
    struct vcpu *v = atomic_load(&w->vcpu);
    v->engine->kick(v);
}

static void wake(struct watch *w)
{
    atomic_store(&w->unseen, true);
    kick(w);
    pthread_mutex_lock(&w->mutex);
    pthread_cond_broadcast(&w->woken);
    pthread_mutex_unlock(&w->mutex);
}

// An engine that waits for interrupts itself may wait for ever, for a guest that halted with interrupts off. It finds
// out when it is kicked; so kick it where its thread has not run for a while. That cannot disturb a measurement.
static void kick_sleeper(struct watch *w, uint64_t *last)
{
    struct timespec now;
    if (!atomic_load(&w->vcpu)->has_irqchip || clock_gettime(w->vcpu_clock, &now))
        return;
    uint64_t used = (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
    if (used - *last < ASLEEP_NS)
        kick(w);
    *last = used;
}

// Whether the sources among what has been polled have something to say.
static bool hear(struct watch *w, const struct pollfd polled[WATCH_SOURCES])
{
    bool heard = false;
    for (int i = 0; i < WATCH_SOURCES; i++) {
        if (polled[i].revents)
            atomic_store(&w->source[i].listening, false);
        heard |= polled[i].revents != 0;
    }
    return heard;
}

static void *watch_thread(void *arg)
{
    struct watch *w = arg;
    struct pollfd polled[FD_COUNT + WATCH_SOURCES];
    uint64_t cpu_time = 0;
    pin_away_from(w->vcpu_cpu);
    for (int i = 0; i < FD_COUNT; i++)
        polled[i] = (struct pollfd){.fd = w->fd[i], .events = POLLIN};
    for (;;) {
        for (int i = 0; i < WATCH_SOURCES; i++) {
            bool listening = atomic_load(&w->source[i].listening);
            polled[FD_COUNT + i] =
                (struct pollfd){.fd = listening ? atomic_load(&w->source[i].fd) : -1, .events = POLLIN};
        }
        bool unseen = atomic_load(&w->unseen);
        int ready = poll(polled, FD_COUNT + WATCH_SOURCES, unseen ? REPEAT_MS : LOOK_MS);
        if (ready == 0 && unseen && atomic_load(&w->unseen))
            kick(w);
        else if (ready == 0 && !unseen)
            kick_sleeper(w, &cpu_time);
        if (ready <= 0)
            continue;
        for (int i = 0; i < FD_COUNT; i++)
            if (polled[i].revents)
                drain(w->fd[i]);
        if (polled[FD_STOP].revents)
            return NULL;
        if (polled[FD_SIGNAL].revents)
            atomic_store(&w->interrupted, true);
        if (polled[FD_TIMEOUT].revents)
            atomic_store(&w->timed_out, true);
        if (hear(w, polled + FD_COUNT) || !polled[FD_LISTEN].revents || ready > 1)
            wake(w);
    }
}

static int arm(int fd, uint64_t ns, int flags)
{
    struct itimerspec when = {0};
    if (ns != UINT64_MAX) {
        when.it_value.tv_sec = (time_t)(ns / NS_PER_S);
        when.it_value.tv_nsec = (long)(ns % NS_PER_S);
        if (!ns)
            when.it_value.tv_nsec = 1; // 0 would disarm
    }
    return timerfd_settime(fd, flags, &when, NULL);
}

static int open_all(struct watch *w, const sigset_t *signals, uint64_t timeout_ns)
{
    w->fd[FD_SIGNAL] = signalfd(-1, signals, SFD_CLOEXEC | SFD_NONBLOCK);
    w->fd[FD_TIMEOUT] = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    w->fd[FD_DEADLINE] = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    w->fd[FD_STOP] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    w->fd[FD_LISTEN] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    for (int i = 0; i < FD_COUNT; i++)
        if (w->fd[i] < 0)
            return -1;
    return arm(w->fd[FD_TIMEOUT], timeout_ns, 0);
}

static void close_all(struct watch *w)
{
    for (int i = 0; i < FD_COUNT; i++)
        if (w->fd[i] >= 0)
            close(w->fd[i]);
    pthread_cond_destroy(&w->woken);
    pthread_mutex_destroy(&w->mutex);
    free(w);
}

static void watched_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGHUP);
}

// Signals that the engine uses for kicking go to the vCPU's thread: here all are blocked.
static int start_thread(struct watch *w)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&w->thread, NULL, watch_thread, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

struct watch *watch_start(struct vcpu *v, int vcpu_cpu, uint64_t timeout_ns, char *err, size_t err_size)
{
    sigset_t signals;
    pthread_condattr_t attr;
    struct watch *w = calloc(1, sizeof *w);
    if (!w) {
        snprintf(err, err_size, "no memory to watch the guest");
        return NULL;
    }
    atomic_init(&w->vcpu, v);
    w->vcpu_cpu = vcpu_cpu;
    w->deadline = UINT64_MAX;
    for (int i = 0; i < WATCH_SOURCES; i++)
        atomic_init(&w->source[i].fd, -1);
    memset(w->fd, -1, sizeof w->fd);
    pthread_mutex_init(&w->mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->woken, &attr);
    pthread_condattr_destroy(&attr);
    pthread_getcpuclockid(pthread_self(), &w->vcpu_clock);
    watched_signals(&signals);
    int error = open_all(w, &signals, timeout_ns) ? errno : 0;
    if (!error) {
        pthread_sigmask(SIG_BLOCK, &signals, &w->old_mask);
        error = start_thread(w);
        if (error)
            pthread_sigmask(SIG_SETMASK, &w->old_mask, NULL);
    }
    if (!error)
        return w;
    snprintf(err, err_size, "cannot watch the guest: %s", strerror(error));
    close_all(w);
    return NULL;
}

void watch_stop(struct watch *w)
{
    if (!w)
        return;
    eventfd_write(w->fd[FD_STOP], 1);
    pthread_join(w->thread, NULL);
    pthread_sigmask(SIG_SETMASK, &w->old_mask, NULL);
    close_all(w);
}

// A kick that the other vCPU got in the meantime says that it is time to look, which the caller does anyway; and where
// one of them is still unseen it comes again.
void watch_vcpu(struct watch *w, struct vcpu *v)
{
    atomic_store(&w->vcpu, v);
}

void watch_seen(struct watch *w)
{
    atomic_store(&w->unseen, false);
}

bool watch_interrupted(struct watch *w)
{
    return atomic_load(&w->interrupted);
}

bool watch_timed_out(struct watch *w)
{
    return atomic_load(&w->timed_out);
}

void watch_deadline(struct watch *w, uint64_t ns)
{
    if (ns == w->deadline)
        return;
    w->deadline = ns;
    arm(w->fd[FD_DEADLINE], ns, TFD_TIMER_ABSTIME);
}

static bool wished(struct watch *w)
{
    return watch_interrupted(w) || watch_timed_out(w);
}

static bool heard_any(struct watch *w)
{
    bool heard = false;
    for (enum watch_source source = 0; source < WATCH_SOURCES; source++)
        heard |= watch_heard(w, source);
    return heard;
}

void watch_sleep(struct watch *w, uint64_t deadline_ns)
{
    struct timespec until = {.tv_sec = (time_t)(deadline_ns / NS_PER_S), .tv_nsec = (long)(deadline_ns % NS_PER_S)};
    pthread_mutex_lock(&w->mutex);
    while (!wished(w) && !heard_any(w) && monotonic_ns() < deadline_ns)
        if (pthread_cond_timedwait(&w->woken, &w->mutex, &until) == ETIMEDOUT)
            break;
    pthread_mutex_unlock(&w->mutex);
}

void watch_input(struct watch *w, enum watch_source source, int fd)
{
    atomic_store(&w->source[source].fd, fd);
}

void watch_listen(struct watch *w, enum watch_source source)
{
    if (!atomic_exchange(&w->source[source].listening, true))
        eventfd_write(w->fd[FD_LISTEN], 1);
}

bool watch_heard(struct watch *w, enum watch_source source)
{
    return atomic_load(&w->source[source].fd) >= 0 && !atomic_load(&w->source[source].listening);
}

void watch_wait(struct watch *w, enum watch_source source)
{
    pthread_mutex_lock(&w->mutex);
    while (!wished(w) && !watch_heard(w, source)) {
        pthread_cond_wait(&w->woken, &w->mutex);
        atomic_store(&w->unseen, false); // a timer's kick need not be repeated for a guest that does not run
    }
    pthread_mutex_unlock(&w->mutex);
}

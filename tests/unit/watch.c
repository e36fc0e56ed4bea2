// SPDX-License-Identifier: BSD-2-Clause
// The thread that watches a running guest, with an engine that only counts its kicks.
#include "run/watch.h"

#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "tests/unit/check.h"

#define MS 1000000ull

static atomic_uint kicks;
static _Atomic uint64_t first_kick; // when
static char message[128];

static void count_kick(struct vcpu *v)
{
    (void)v;
    if (atomic_fetch_add(&kicks, 1) == 0)
        atomic_store(&first_kick, monotonic_ns());
}

static bool always(const char *settings)
{
    (void)settings;
    return true;
}

static const struct engine plain = {.name = "plain", .kick = count_kick};
static const struct engine waits_itself = {.name = "waits", .kick = count_kick, .has_irqchip = always};

static struct watch *start(const struct engine *engine, struct vcpu *v, uint64_t timeout_ns)
{
    *v = (struct vcpu){.engine = engine, .has_irqchip = engine_has_irqchip(engine, NULL)};
    atomic_store(&kicks, 0);
    return watch_start(v, -1, timeout_ns, message, sizeof message);
}

// Spins, as a vCPU's thread does in a guest.
static void run_guest(uint64_t ns)
{
    for (uint64_t end = monotonic_ns() + ns; monotonic_ns() < end;)
        continue;
}

static bool wait_for_kicks(unsigned n)
{
    for (uint64_t end = monotonic_ns() + 60000 * MS; atomic_load(&kicks) < n && monotonic_ns() < end;)
        continue;
    return atomic_load(&kicks) >= n;
}

// The vCPU's thread has come out; how many kicks there were. One may be under way where the watching thread has lost
// its CPU at that point, and be counted later; of two the second is another one.
static unsigned seen(struct watch *w)
{
    watch_seen(w);
    run_guest(30 * MS);
    return atomic_load(&kicks);
}

static void deadlines(void)
{
    struct vcpu v;
    struct watch *w = start(&plain, &v, 3600 * 1000 * MS);
    uint64_t begin = monotonic_ns();
    if (!CHECK(w != NULL))
        return;
    watch_deadline(w, begin + 20 * MS);
    CHECK(wait_for_kicks(3)); // nobody has seen it: it is repeated
    CHECK(atomic_load(&first_kick) >= begin + 20 * MS);
    unsigned before = seen(w);
    watch_deadline(w, begin); // in the past: at once
    CHECK(wait_for_kicks(before + 2));
    before = seen(w);
    watch_deadline(w, monotonic_ns() + 400 * MS);
    watch_deadline(w, UINT64_MAX);
    begin = monotonic_ns();
    watch_sleep(w, begin + 600 * MS);
    CHECK(monotonic_ns() >= begin + 600 * MS);
    CHECK(atomic_load(&kicks) <= before + 1); // the deadline was withdrawn: it would have come again and again
    CHECK(!watch_interrupted(w) && !watch_timed_out(w));
    watch_stop(w);
}

static void timeout(void)
{
    struct vcpu v;
    uint64_t begin = monotonic_ns();
    struct watch *w = start(&plain, &v, 50 * MS);
    watch_sleep(w, begin + 20000 * MS); // the time limit ends the sleep
    CHECK(watch_timed_out(w) && !watch_interrupted(w));
    CHECK(monotonic_ns() < begin + 10000 * MS);
    CHECK(wait_for_kicks(1));
    watch_stop(w);
}

static void interrupt(void)
{
    struct vcpu v;
    sigset_t before, after;
    sigprocmask(SIG_BLOCK, NULL, &before);
    struct watch *w = start(&plain, &v, 3600 * 1000 * MS);
    uint64_t begin = monotonic_ns();
    kill(getpid(), SIGINT);
    watch_sleep(w, begin + 20000 * MS);
    CHECK(watch_interrupted(w) && !watch_timed_out(w));
    CHECK(monotonic_ns() < begin + 10000 * MS);
    watch_stop(w);
    sigprocmask(SIG_BLOCK, NULL, &after);
    CHECK_EQ(sigismember(&after, SIGINT), sigismember(&before, SIGINT));
}

// Spins for some looks of the watching thread, and gives how many kicks there were. It must get its share of a CPU
// meanwhile: on a host that keeps it from running it is not to be told from one that sleeps, so that it spins again,
// some times.
static unsigned kicks_while_running(void)
{
    unsigned found = 0;
    uint64_t longest = 200 * MS; // without a CPU; less than the time between two looks
    for (unsigned tries = 0; tries < 50 && longest >= 200 * MS; tries++) {
        unsigned before = atomic_load(&kicks);
        uint64_t last = monotonic_ns(), end = last + 600 * MS;
        longest = 0;
        for (uint64_t now; (now = monotonic_ns()) < end; last = now)
            longest = now - last > longest ? now - last : longest;
        found = atomic_load(&kicks) - before;
        if (!found)
            break;
    }
    return found;
}

// A guest that halted within an engine that waits itself is asked about; a running one is left alone.
static void sleeper(void)
{
    struct vcpu v;
    struct watch *w = start(&waits_itself, &v, 3600 * 1000 * MS);
    for (unsigned i = 0; i < 3000 && !atomic_load(&kicks); i++)
        usleep(20 * 1000);
    CHECK(atomic_load(&kicks) >= 1);
    watch_stop(w);
    w = start(&plain, &v, 3600 * 1000 * MS);
    usleep(600 * 1000);
    CHECK_EQ(atomic_load(&kicks), 0);
    watch_stop(w);
    w = start(&waits_itself, &v, 3600 * 1000 * MS);
    CHECK_EQ(kicks_while_running(), 0);
    watch_stop(w);
}

// A debugger's bytes: one kick for what has come, until somebody listens again; and the end of the connection.
static void input(void)
{
    struct vcpu v;
    int ends[2];
    char byte;
    struct watch *w = start(&plain, &v, 3600 * 1000 * MS);
    if (!CHECK(w != NULL && pipe(ends) == 0))
        return;
    CHECK(!watch_heard(w, WATCH_DEBUGGER));
    watch_input(w, WATCH_DEBUGGER, ends[0]);
    watch_listen(w, WATCH_DEBUGGER);
    CHECK(!watch_heard(w, WATCH_DEBUGGER));
    CHECK_EQ(write(ends[1], "ab", 2), 2);
    watch_wait(w, WATCH_DEBUGGER);
    CHECK(watch_heard(w, WATCH_DEBUGGER) && !watch_interrupted(w) && !watch_timed_out(w));
    CHECK(wait_for_kicks(1));
    unsigned before = seen(w);
    CHECK_EQ(read(ends[0], &byte, 1), 1);
    run_guest(50 * MS);
    CHECK(atomic_load(&kicks) <= before + 1);
    watch_listen(w, WATCH_DEBUGGER); // there is one byte left
    CHECK(wait_for_kicks(before + 2));
    CHECK_EQ(read(ends[0], &byte, 1), 1);
    before = seen(w);
    watch_listen(w, WATCH_DEBUGGER);
    watch_sleep(w, monotonic_ns() + 50 * MS);
    CHECK(!watch_heard(w, WATCH_DEBUGGER));
    CHECK(atomic_load(&kicks) <= before + 1);
    close(ends[1]);
    uint64_t begin = monotonic_ns();
    watch_sleep(w, begin + 20000 * MS); // a halted guest's sleep ends as well
    CHECK(watch_heard(w, WATCH_DEBUGGER) && monotonic_ns() < begin + 10000 * MS);
    kill(getpid(), SIGINT);
    watch_wait(w, WATCH_DEBUGGER);
    CHECK(watch_interrupted(w) || watch_heard(w, WATCH_DEBUGGER));
    watch_stop(w);
    close(ends[0]);
}

// Two who may have bytes: each is heard by itself, a wait for one is not ended by the other, and what has been noted
// (no descriptor) lets a halted guest sleep.
static void two_sources(void)
{
    struct vcpu v;
    int debugger[2], typed[2];
    struct watch *w = start(&plain, &v, 300 * MS);
    if (!CHECK(w != NULL && pipe(debugger) == 0 && pipe(typed) == 0))
        return;
    watch_input(w, WATCH_DEBUGGER, debugger[0]);
    watch_input(w, WATCH_INPUT, typed[0]);
    watch_listen(w, WATCH_DEBUGGER);
    watch_listen(w, WATCH_INPUT);
    CHECK_EQ(write(typed[1], "a", 1), 1);
    watch_wait(w, WATCH_INPUT);
    CHECK(watch_heard(w, WATCH_INPUT) && !watch_heard(w, WATCH_DEBUGGER) && !watch_timed_out(w));
    CHECK(wait_for_kicks(1));
    watch_input(w, WATCH_INPUT, -1);
    CHECK(!watch_heard(w, WATCH_INPUT));
    uint64_t begin = monotonic_ns();
    watch_sleep(w, begin + 50 * MS);
    CHECK(monotonic_ns() >= begin + 50 * MS || watch_timed_out(w));
    watch_input(w, WATCH_INPUT, typed[0]);
    watch_listen(w, WATCH_INPUT); // the byte is there still
    watch_wait(w, WATCH_DEBUGGER);
    CHECK(watch_timed_out(w) && watch_heard(w, WATCH_INPUT) && !watch_heard(w, WATCH_DEBUGGER));
    watch_stop(w);
    for (unsigned i = 0; i < 2; i++)
        close(debugger[i]), close(typed[i]);
}

int main(void)
{
    deadlines();
    timeout();
    interrupt();
    sleeper();
    input();
    two_sources();
    return check_done("watch");
}

// SPDX-License-Identifier: BSD-2-Clause
// Address spaces and processes: making processes, giving them to address spaces, and deciding which of these run their
// user code directly.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <x86intrin.h>

#include "engines/bt/direct_inside.h"
#include "engines/bt/vectors.h"

#define DEFAULT_PROCESSES 8u
#define DEFAULT_PROCESSES_AUTO 4u
#define TICK_NS (4 * 1000 * 1000) // of the vCPU thread's CPU time

// ---- Life ----

static bool queue(void *context, const struct process_command *command)
{
    count((struct bt *)BT_REGION, EV_direct_commands);
    return process_queue(context, command);
}

static void clear(void *context)
{
    process_clear(context);
}

static bool make_slots(struct bt *bt, struct direct *d, unsigned n)
{
    for (; d->slots < n; d->slots++) {
        struct slot *s = &d->slot[d->slots];
        s->process = process_at(d->pool, d->slots);
        s->map = map_create_user(bt->map, &(struct map_host){queue, clear, s->process});
        if (!s->map)
            return false;
    }
    return true;
}

// A signal each time that the vCPU thread has used some CPU time, for user code that nothing else interrupts.
static void make_timer(struct direct *d)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGURG};
    const struct itimerspec tick = {.it_interval = {.tv_nsec = TICK_NS}, .it_value = {.tv_nsec = TICK_NS}};
    event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    d->has_timer = timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &d->timer) == 0;
    if (d->has_timer)
        timer_settime(d->timer, 0, &tick, NULL);
}

static void destroy(struct direct *d)
{
    if (d->has_timer)
        timer_delete(d->timer);
    for (unsigned i = 0; i < d->slots; i++)
        map_destroy(d->slot[i].map);
    if (d->pool)
        process_pool_destroy(d->pool);
    free(d);
}

static struct direct *create(struct bt *bt, char *err, size_t err_size)
{
    bool automatic = bt->options.user == BT_USER_AUTO;
    unsigned n = bt->options.processes;
    struct direct *d = calloc(1, sizeof *d);
    if (!n)
        n = automatic ? DEFAULT_PROCESSES_AUTO : DEFAULT_PROCESSES;
    snprintf(err, err_size, "not enough memory");
    if (!d)
        return NULL;
    for (unsigned i = 0; i < SPACES; i++)
        d->space[i].root = NO_ROOT;
    d->current = &d->space[0];
    d->hand_over = POLICY_HAND_OVER;
    d->delivery = POLICY_DELIVERY;
    d->pool = process_pool_create(bt->ram->memfd, n, err, err_size);
    if (!d->pool || !make_slots(bt, d, n)) {
        destroy(d);
        return NULL;
    }
    if (automatic)
        make_timer(d);
    return d;
}

int direct_prepare(struct bt *bt)
{
    char err[160];
    if (bt->direct || bt->direct_refused || bt->options.user == BT_USER_TRANSLATED)
        return 0;
    bt->direct = create(bt, err, sizeof err);
    if (bt->direct) {
        bt_mode_changed(bt); // the guest may be at CPL 3 already
        return 0;
    }
    bt->direct_refused = true;
    if (bt->options.user == BT_USER_AUTO)
        return 0;
    snprintf(bt->vcpu->error, sizeof bt->vcpu->error, "cannot run user code directly: %s", err);
    return -1;
}

void direct_destroy(struct bt *bt)
{
    if (bt->direct)
        destroy(bt->direct);
    bt->direct = NULL;
}

unsigned direct_processes(const struct bt *bt)
{
    return bt->direct ? bt->direct->slots : 0;
}

// ---- Spaces ----

static void give_up_slot(struct space *space)
{
    if (space->slot)
        space->slot->space = NULL;
    space->slot = NULL;
}

static uint64_t root_of(const struct bt *bt)
{
    return bt->cr3 & (PTE_ADDR | (bt->cr4 & CR4_PCIDE ? CR3_PCID : 0));
}

struct space *direct_find_space(struct bt *bt)
{
    struct direct *d = bt->direct;
    uint64_t root = root_of(bt);
    if (d->current->root == root)
        return d->current;
    struct space *oldest = &d->space[0];
    d->clock++;
    for (struct space *s = d->space; s < d->space + SPACES; s++) {
        if (s->root == root) {
            s->used_at = d->clock;
            return d->current = s;
        }
        if (s->used_at < oldest->used_at)
            oldest = s;
    }
    give_up_slot(oldest);
    *oldest = (struct space){.root = root, .used_at = d->clock};
    return d->current = oldest;
}

static struct slot *take_slot(struct direct *d, struct space *space)
{
    struct slot *oldest = &d->slot[0];
    for (struct slot *s = d->slot; s < d->slot + d->slots; s++)
        if (oldest->space && (!s->space || s->used_at < oldest->used_at))
            oldest = s;
    if (oldest->space)
        oldest->space->slot = NULL;
    map_drop_all(oldest->map);
    oldest->space = space;
    return space->slot = oldest;
}

struct slot *direct_slot(struct bt *bt, struct space *space)
{
    struct slot *s = space->slot ? space->slot : take_slot(bt->direct, space);
    s->used_at = ++bt->direct->clock;
    if (s->flushes != bt->flushes) {
        map_revalidate(bt, s->map);
        s->flushes = bt->flushes;
    }
    return s;
}

void direct_invlpg(struct bt *bt, uint64_t va)
{
    struct direct *d = bt->direct;
    if (!d)
        return;
    for (struct slot *s = d->slot; s < d->slot + d->slots; s++) {
        if (!s->space)
            continue;
        if (s->space->root == root_of(bt))
            map_invlpg(bt, s->map, va);
        else // global, or with no PCID of its own: looked at before it runs again
            s->flushes = ~0ull;
    }
}

// ---- Decisions (policy.h) ----

static void note_decision(struct bt *bt, const struct space *s, bool before)
{
    if (s->policy.direct != before)
        count(bt, s->policy.direct ? EV_user_to_direct : EV_user_to_translated);
}

// Time but for what translating takes, which is only once.
static uint64_t own_time(const struct bt *bt)
{
    return __rdtsc() - bt->stats.cycles;
}

// User code has been left for the guest's kernel. Events on their way from outside interrupt what would have gone on.
static void left_user(struct bt *bt)
{
    struct direct *d = bt->direct;
    struct space *s = direct_find_space(bt);
    bool direct = s->policy.direct, interrupted = bt->delivering == VEC_NMI;
    policy_stretch_ends(&s->policy);
    if (bt->options.user == BT_USER_DIRECT)
        return;
    if (direct)
        policy_direct(&s->policy, d->ran, d->spent);
    else if (d->since)
        policy_translated(&s->policy, own_time(bt) - d->since, !interrupted, d->hand_over, bt->delivering == VEC_PF);
    note_decision(bt, s, direct);
}

// The host's CPU knows nothing of breakpoints, be they the guest's or those of a debugger outside, nor of what the
// guest's control registers say of vector registers.
static bool may_be_direct(const struct bt *bt)
{
    return !bt->break_at && !bt->break_data && !bt->breakpoints.count && bt->vectors_all;
}

void direct_mode_changed(struct bt *bt, enum world before)
{
    struct direct *d = bt->direct;
    bool is = bt->world == WORLD_USER, was = before == WORLD_USER, was_translated = was && !bt->user_direct;
    if (was && !is && d->counts)
        left_user(bt);
    bt->user_direct = false;
    if (!is)
        return;
    struct policy *policy = &direct_find_space(bt)->policy;
    if (may_be_direct(bt))
        bt->user_direct = bt->options.user == BT_USER_DIRECT ? !policy->banned : policy->direct;
    if (!was)
        d->ran = d->spent = 0;
    if (!bt->user_direct && !was_translated)
        d->since = policy_measures(policy) ? own_time(bt) : 0;
    d->counts = bt->user_direct || d->since || policy->banned;
}

void direct_look(struct bt *bt)
{
    struct direct *d = bt->direct;
    struct space *s = direct_find_space(bt);
    uint64_t now = own_time(bt);
    if (bt->options.user != BT_USER_AUTO)
        return;
    if (d->since)
        policy_translated(&s->policy, now - d->since, 0, 0, 0);
    d->hand_over = policy_hand_over(d->hand_over, 0); // the host may be less busy than it was
    d->since = now;
    d->counts = true;
    note_decision(bt, s, false);
    bt->user_direct = s->policy.direct && may_be_direct(bt);
}

void direct_tick(struct bt *bt)
{
    if (bt->world != WORLD_USER || bt->user_direct || bt->stepping)
        return;
    bt->attention = 1;
    atomic_store(&bt->poll_armed, true);
    mprotect(bt->poll, sizeof bt->poll, PROT_NONE);
}

void direct_wake(struct bt *bt)
{
    if (bt->direct)
        process_wake(bt->direct->pool);
}

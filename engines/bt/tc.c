// SPDX-License-Identifier: BSD-2-Clause
// The translation cache: memory, stubs and sites, finding and making CCFs, branches, faults, flush. See tc.h.
#include "engines/bt/tc.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <x86intrin.h>

#include "engines/bt/debug.h"
#include "engines/bt/map.h"
#include "engines/bt/memory.h"
#include "engines/bt/tc_inside.h"
#include "engines/bt/translate.h"
#include "engines/bt/vectors.h"

static void *reserve(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

// ---- Fixed stubs ----

static void put_fixed_stubs(struct tc *tc, struct bt *bt)
{
    struct code *cold = &tc->cold;
    bt->go = (uint64_t)(uintptr_t)cold->at;
    put_load(cold, RDI, &bt->gpr[RDI]);
    put_jmp_cell(cold, &bt->resume);

    tc->leave_stub = cold->at;
    put_store(cold, &bt->gpr[RDI], RDI);
    put_mov_reg_imm(cold, RDI, BT_REGION);
    put_jmp_cell(cold, &bt->left);

    struct site *site = tc_new_site(tc, SITE_MISS, 0);
    uint8_t *leave = tc_stub(tc, site);
    tc->miss_stub = cold->at;
    put_load(cold, RCX, &bt->slot[0]); // as the check would have (put_target_check)
    put_jmp(cold, leave);

    tc->return_miss_stub = cold->at;
    put_return_miss(cold, bt);
    for (enum world world = WORLD_CHECKED; world < WORLDS; world++) {
        tc->refill_stub[world] = cold->at;
        put_stack_refill(cold, bt, world);
    }
    tc->cold_start = cold->at;
}

static void set_all(uint64_t *entries, const uint8_t *host)
{
    for (unsigned i = 0; i < TARGETS; i++)
        entries[i] = (uint64_t)(uintptr_t)host;
}

void tc_forget_targets(struct bt *bt)
{
    for (unsigned world = 0; world < WORLDS; world++)
        set_all(bt->targets[world], bt->tc->miss_stub);
    set_all(bt->returns, bt->tc->return_miss_stub);
    bt->tc->forgot = true;
}

// Other targets come back one by one, as they are asked for; nobody asks for landings.
void tc_remember_returns(struct bt *bt)
{
    if (bt->tc->forgot)
        memcpy(bt->returns, bt->tc->landings, TARGETS * sizeof *bt->returns);
    bt->tc->forgot = false;
}

// Returns find one landing for each guest address, and the host predicts the one behind the call that was made. So of
// several copies of a call the one in the innermost loop's head, where most calls are made, keeps the landing.
static bool has_inner_loop(struct tc *tc, const struct ccf *ccf, uint64_t back)
{
    const struct point *point;
    const struct ccf *now = tc_ccf_at(tc, (const uint8_t *)(uintptr_t)tc->landings[back % TARGETS], &point);
    bool has_it = now && !now->dead && now->rip + now->tu_bytes == back;
    return has_it && now->polls && !(ccf->polls && ccf->rip >= now->rip);
}

void tc_set_return(struct bt *bt, const struct ccf *ccf, uint64_t back, const uint8_t *host)
{
    if (has_inner_loop(bt->tc, ccf, back))
        return;
    bt->returns[back % TARGETS] = bt->tc->landings[back % TARGETS] = (uint64_t)(uintptr_t)host;
}

static void clear_targets(struct tc *tc, struct bt *bt)
{
    for (unsigned world = 0; world < WORLDS; world++)
        set_all(bt->targets[world], tc->miss_stub);
    set_all(bt->returns, tc->return_miss_stub);
    set_all(tc->landings, tc->return_miss_stub);
}

bool tc_contains(const struct tc *tc, const uint8_t *host)
{
    return host >= tc->buffer && host < tc->buffer + HOT_BYTES + COLD_BYTES;
}

bool tc_is_hot(const struct tc *tc, const uint8_t *host)
{
    return host >= tc->buffer && host < tc->buffer + HOT_BYTES;
}

struct tc *tc_create(struct bt *bt)
{
    struct tc *tc = calloc(1, sizeof *tc);
    if (!tc)
        return NULL;
    uint64_t at = (BT_REGION + sizeof *bt + GUEST_PAGE_SIZE - 1) & GUEST_PAGE_MASK;
    void *buffer = mmap((void *)at, HOT_BYTES + COLD_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    tc->buffer = buffer == MAP_FAILED ? NULL : buffer;
    tc->sites = reserve(MAX_SITES * sizeof *tc->sites);
    tc->order = reserve(MAX_CCFS * sizeof *tc->order);
    tc->arena = reserve(ARENA_BYTES);
    tc->landings = reserve(TARGETS * sizeof *tc->landings);
    tc->ram_pages = bt->ram->size / GUEST_PAGE_SIZE;
    tc->page = calloc(tc->ram_pages, sizeof *tc->page);
    tc->code_pages = code_pages_create(2 * MAX_CCFS);
    if (!tc->buffer || !tc->sites || !tc->order || !tc->arena || !tc->landings || !tc->page || !tc->code_pages) {
        tc_destroy(tc);
        return NULL;
    }
    tc->hot = (struct code){.at = tc->buffer, .end = tc->buffer + HOT_BYTES};
    tc->cold = (struct code){.at = tc->buffer + HOT_BYTES, .end = tc->buffer + HOT_BYTES + COLD_BYTES};
    tc->site_count = 1;
    put_fixed_stubs(tc, bt);
    clear_targets(tc, bt);
    return tc;
}

void tc_destroy(struct tc *tc)
{
    if (tc->buffer)
        munmap(tc->buffer, HOT_BYTES + COLD_BYTES);
    if (tc->sites)
        munmap(tc->sites, MAX_SITES * sizeof *tc->sites);
    if (tc->order)
        munmap(tc->order, MAX_CCFS * sizeof *tc->order);
    if (tc->arena)
        munmap(tc->arena, ARENA_BYTES);
    if (tc->landings)
        munmap(tc->landings, TARGETS * sizeof *tc->landings);
    if (tc->code_pages)
        code_pages_destroy(tc->code_pages);
    free(tc->page);
    free(tc);
}

void tc_flush(struct bt *bt)
{
    struct tc *tc = bt->tc;
    for (uint32_t i = 0; i < tc->ccf_count; i++)
        tc->order[i]->dead = true;
    for (uint64_t i = 0; i < tc->ram_pages; i++) {
        if (tc->page[i])
            map_set_trace(bt, i * GUEST_PAGE_SIZE, false);
        tc->page[i] = NULL;
    }
    code_pages_clear(tc->code_pages);
    memset(tc->hash, 0, sizeof tc->hash);
    tc->hot.at = tc->buffer;
    tc->cold.at = tc->cold_start;
    tc->hot.full = tc->cold.full = false;
    tc->site_count = 2; // the miss stub's stays
    tc->ccf_count = 0;
    tc->arena_used = 0;
    tc->flushes++;
    count(bt, EV_tc_flushes);
    clear_targets(tc, bt);
}

// ---- Sites ----

struct code *tc_hot(struct tc *tc)
{
    return &tc->hot;
}

struct code *tc_cold(struct tc *tc)
{
    return &tc->cold;
}

struct site *tc_site(struct tc *tc, uint64_t number)
{
    return &tc->sites[number < tc->site_count ? number : 0];
}

static const uint8_t callout_events[] = {
    [SITE_NONE] = EV_callout_other,    [SITE_BRANCH] = EV_callout_branch, [SITE_MISS] = EV_callout_miss,
    [SITE_LEAVE] = EV_callout_other,   [SITE_EMULATE] = EV_callout_other, [SITE_ACCESS] = EV_callout_memory,
    [SITE_RAISE] = EV_callout_other,   [SITE_COMMIT] = EV_callout_memory, [SITE_GUARD] = EV_callout_other,
    [SITE_REFUSED] = EV_callout_other,
};

struct site *tc_new_site(struct tc *tc, enum site_kind kind, uint64_t rip)
{
    if (tc->site_count >= MAX_SITES) {
        tc->hot.full = true;
        return NULL;
    }
    struct site *site = &tc->sites[tc->site_count++];
    memset(site, 0, sizeof *site);
    site->kind = (uint8_t)kind;
    site->event = callout_events[kind];
    site->rip = rip;
    return site;
}

uint32_t tc_site_count(const struct tc *tc)
{
    return tc->site_count;
}

const struct ccf *tc_ccf(const struct tc *tc, uint32_t i)
{
    return i < tc->ccf_count ? tc->order[i] : NULL;
}

uint32_t tc_site_number(const struct tc *tc, const struct site *site)
{
    return (uint32_t)(site - tc->sites);
}

uint8_t *tc_stub(struct tc *tc, struct site *site)
{
    struct bt *bt = (struct bt *)BT_REGION;
    uint8_t *stub = tc->cold.at;
    put_store_imm(&tc->cold, &bt->site, 8, (int32_t)tc_site_number(tc, site));
    put_jmp(&tc->cold, tc->leave_stub);
    return stub;
}

const uint8_t *tc_leave_stub(const struct tc *tc)
{
    return tc->leave_stub;
}

const uint8_t *tc_return_miss_stub(const struct tc *tc)
{
    return tc->return_miss_stub;
}

const uint8_t *tc_miss_stub(const struct tc *tc)
{
    return tc->miss_stub;
}

const uint8_t *tc_refill_stub(const struct tc *tc, enum world world)
{
    return tc->refill_stub[world];
}

unsigned tc_flushes(const struct tc *tc)
{
    return tc->flushes;
}

void tc_set_target(struct bt *bt, enum world world, uint64_t rip, const uint8_t *host)
{
    bt->targets[world][rip % TARGETS] = (uint64_t)(uintptr_t)host;
}

// ---- Guilt ----

bool tc_is_guilty(struct tc *tc, uint64_t rip)
{
    return guilt_verdict(&tc->guilt, rip) != NULL;
}

void tc_forgive(struct tc *tc)
{
    if (tc->guilt.count)
        memset(&tc->guilt, 0, sizeof tc->guilt);
}

// ---- Finding and making ----

// What may be used of the vector registers is another matter now than when it was made?
static bool suits(const struct bt *bt, const struct ccf *ccf)
{
    return !(ccf->needs & ~bt->vectors) && (!ccf->refused || ccf->refused & ~bt->vectors);
}

static struct ccf *find_awake(struct bt *bt, uint64_t rip, bool polls)
{
    for (struct ccf *ccf = *tc_hash_slot(bt->tc, rip); ccf; ccf = ccf->hash_next)
        if (ccf->rip == rip && ccf->world == bt->world && ccf_awake(ccf) && (ccf->polls || !polls) && suits(bt, ccf))
            return ccf;
    return NULL;
}

// One that slept until now, while another process ran.
static struct ccf *find_and_wake(struct bt *bt, uint64_t rip, bool polls)
{
    struct code_pages *pages = bt->tc->code_pages;
    for (struct ccf *ccf = *tc_hash_slot(bt->tc, rip); ccf; ccf = ccf->hash_next)
        if (ccf->rip == rip && ccf->world == bt->world && !ccf->dead && (ccf->polls || !polls) && suits(bt, ccf) &&
            code_pages_wake(bt, pages, ccf->on[0]) && (!ccf->on[1] || code_pages_wake(bt, pages, ccf->on[1])))
            return ccf;
    return NULL;
}

static struct ccf *find(struct bt *bt, uint64_t rip, bool polls)
{
    struct ccf *ccf = find_awake(bt, rip, polls);
    return ccf || bt->world < WORLD_USER ? ccf : find_and_wake(bt, rip, polls);
}

static struct ccf *new_ccf(struct tc *tc)
{
    size_t worst = sizeof(struct ccf) + CCF_MAX_POINTS * sizeof(struct point);
    if (tc->arena_used + worst > ARENA_BYTES || tc->ccf_count >= MAX_CCFS)
        return NULL;
    struct ccf *ccf = (struct ccf *)(tc->arena + tc->arena_used);
    memset(ccf, 0, sizeof *ccf);
    return ccf;
}

// Loop heads begin on a 64-byte boundary, where a line of the host's caches does, so that a short loop lies in one or
// two; the guest may run into one from above, so the gap is filled with nops.
static void align_loop_head(struct code *hot)
{
    static const uint8_t nop[] = {0x66, 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00}; // 11 bytes
    static const uint8_t nop1 = 0x90, nop3[] = {0x0f, 0x1f, 0x00};
    for (unsigned gap = -(uintptr_t)hot->at % 64; gap; gap = -(uintptr_t)hot->at % 64) {
        if (gap >= sizeof nop)
            put_bytes(hot, nop, sizeof nop);
        else if (gap >= 3)
            put_bytes(hot, nop3, sizeof nop3);
        else
            put_bytes(hot, &nop1, 1);
        if (hot->full)
            return;
    }
}

static void stats_add(struct bt_stats *stats, const struct ccf *ccf, uint64_t cold_bytes)
{
    for (unsigned i = 0; i < ccf->points; i++)
        stats->insns[ccf->point[i].how]++;
    stats->units++;
    stats->guest_bytes += ccf->tu_bytes;
    stats->hot_bytes += (uint64_t)(ccf->end - ccf->start);
    stats->cold_bytes += cold_bytes;
}

// How a CCF is to be made.
struct form {
    bool polls, single;
    bool called;   // for a call, which then leads there directly
    unsigned live; // vector classes that are so where its only way in is, if that is where the code goes
};

static struct ccf *try_make(struct bt *bt, const struct tu *tu, struct form form)
{
    struct tc *tc = bt->tc;
    struct ccf *ccf = new_ccf(tc);
    if (!ccf)
        return NULL;
    ccf->rip = tu->rip;
    ccf->gpa = tu->gpa;
    ccf->second_page = tu->second_page;
    ccf->world = (uint8_t)bt->world;
    ccf->insns = (uint8_t)tu->count;
    ccf->tu_bytes = (uint16_t)tu->bytes;
    ccf->needs = (uint8_t)((tu->vectors & bt->vectors) | form.live);
    ccf->refused = (uint8_t)(tu->vectors & ~bt->vectors);
    ccf->polls = form.polls;
    if (form.polls)
        align_loop_head(&tc->hot);
    if (form.called && !ccf->needs) {
        ccf->called = tc->hot.at;
        put_take_return(&tc->hot, bt);
    }
    ccf->alone = form.single;
    ccf->first_site = tc->site_count;
    const uint8_t *cold = tc->cold.at;
    if (!translate(bt, tu, ccf, form.polls, form.single))
        return NULL;
    ccf->end_site = tc->site_count;
    tc->arena_used += (sizeof *ccf + ccf->points * sizeof(struct point) + 7) & ~(size_t)7; // the next one is aligned
    tc->order[tc->ccf_count++] = ccf;
    stats_add(&bt->stats, ccf, (uint64_t)(tc->cold.at - cold));
    return ccf;
}

static struct ccf *make_from(struct bt *bt, const struct tu *tu, struct form form)
{
    struct ccf *ccf = try_make(bt, tu, form);
    if (!ccf) {
        tc_flush(bt);
        ccf = try_make(bt, tu, form);
    }
    count(bt, EV_blocks);
    bt->vcpu->counters.n[EV_insns_decoded] += tu->count;
    if (!form.single)
        tc_enlist(bt, ccf);
    bt->stats.cycles += __rdtsc() - bt->stats.started;
    return ccf;
}

static unsigned tu_cap(const struct bt *bt)
{
    return bt->options.tu ? bt->options.tu : TU_MAX_INSNS;
}

static struct ccf *make(struct bt *bt, bool polls, bool single)
{
    struct tu tu;
    bt->stats.started = __rdtsc();
    tu_read(bt, &tu, single ? 1 : tu_cap(bt));
    return make_from(bt, &tu, (struct form){.polls = polls, .single = single});
}

// C code goes there: vector registers are live as the CCF needs them.
static uint8_t *enter(struct bt *bt, const struct ccf *ccf)
{
    if (ccf->needs)
        vectors_wake(bt);
    else
        vectors_sleep(bt);
    return ccf->start;
}

// A breakpoint at bt->rip comes before what fetching from there raises (SDM vol. 3, table 6-2).
static void look_at_breakpoint(struct bt *bt)
{
    if (bt->break_at)
        debug_raise_at(bt);
}

uint8_t *tc_enter(struct bt *bt)
{
    count(bt, EV_block_lookups);
    look_at_breakpoint(bt);
    struct ccf *ccf = find(bt, bt->rip, false);
    return enter(bt, ccf ? ccf : make(bt, false, false));
}

uint8_t *tc_enter_single(struct bt *bt)
{
    return enter(bt, make(bt, false, true));
}

uint8_t *tc_guarded(struct bt *bt, struct ccf *ccf)
{
    bt->rip = ccf->rip;
    return !ccf->dead && suits(bt, ccf) ? enter(bt, ccf) : tc_enter(bt);
}

void tc_refused(struct bt *bt, const struct site *site)
{
    bt->rip = site->rip;
    if (vectors_needed(&site->insn) & ~bt->vectors)
        vectors_refuse(bt, &site->insn);
    if (!site->from->alone)
        tc_drop(bt, site->from); // it would come here again and again
}

uint8_t *tc_way_in(struct bt *bt, struct ccf *ccf, unsigned live)
{
    struct tc *tc = bt->tc;
    if (!(ccf->needs & ~live))
        return ccf->start;
    if (ccf->guard)
        return ccf->guard;
    struct site *site = tc_new_site(tc, SITE_GUARD, ccf->rip);
    if (!site)
        return NULL;
    site->from = ccf;
    uint8_t *stub = tc_stub(tc, site), *guard = tc->cold.at;
    put_guard(&tc->cold, bt, ccf, stub);
    if (!tc->cold.full)
        ccf->guard = guard;
    return ccf->guard;
}

uint8_t *tc_call_in(struct bt *bt, struct ccf *ccf, unsigned live)
{
    struct tc *tc = bt->tc;
    if (ccf->called)
        return ccf->called;
    uint8_t *in = tc_way_in(bt, ccf, live), *called = tc->cold.at;
    if (!in)
        return NULL;
    put_take_return(&tc->cold, bt);
    put_jmp(&tc->cold, in);
    if (tc->cold.full)
        return NULL;
    if (!ccf->needs) // else the next one may be called with other vector registers live
        ccf->called = called;
    return called;
}

// A jump may come to stand where the last instruction's code begins, and must not reach into what follows.
static void leave_room_for_jump(struct code *hot, const struct ccf *ccf)
{
    unsigned last = ccf->points - 1u;
    while (last && ccf->point[last].guest == ccf->tu_bytes) // the jump that is elided
        last--;
    while (last && ccf->point[last - 1].guest == ccf->point[last].guest)
        last--;
    while (hot->at < ccf->start + ccf->point[last].host + 5)
        *hot->at++ = 0x90;
}

// User code falls through into what sleeps and wakes with it only.
static bool same_page(const struct site *site)
{
    return site->from && (site->from->rip ^ site->rip) < GUEST_PAGE_SIZE;
}

static bool stays_with(const struct ccf *from, const struct tu *tu)
{
    return tu->second_page == NO_PAGE && (from->gpa & GUEST_PAGE_MASK) == (tu->gpa & GUEST_PAGE_MASK);
}

// Could the branch's target follow it directly in memory, so that no jump is needed? Where the branch is a jmp and the
// last thing written.
static bool may_elide(const struct bt *bt, const struct site *site)
{
    const struct tc *tc = bt->tc;
    if (bt->options.no_elision || bt->options.no_chaining || (bt->world >= WORLD_USER && !same_page(site)))
        return false;
    return site->from && site->field && site->field + 4 == tc->hot.at && site->field[-1] == 0xe9 && !site->backward;
}

// A target that is there already is translated once more rather than jumped to, a few times: it saves the jump each
// time that the guest comes this way, as a compiler's tail duplication does.
static bool worth_a_copy(struct bt *bt, uint64_t rip)
{
    unsigned copies = 0;
    for (const struct ccf *ccf = *tc_hash_slot(bt->tc, rip); ccf; ccf = ccf->hash_next)
        copies += ccf->rip == rip && ccf->world == bt->world && ccf_awake(ccf);
    return copies < CCF_MAX_COPIES;
}

static bool elide(struct bt *bt, struct site *site, const struct tu *tu)
{
    struct tc *tc = bt->tc;
    if (!may_elide(bt, site) || (bt->world >= WORLD_USER && !stays_with(site->from, tu)))
        return false;
    if (tu->vectors & bt->vectors & ~site->live) // there is a guard to come by
        return false;
    count(bt, EV_elisions);
    tc->hot.at = site->field - 1;
    if (site->from) {
        leave_room_for_jump(&tc->hot, site->from);
        site->from->end = tc->hot.at;
    }
    site->field = NULL;
    return true;
}

uint8_t *tc_branch(struct bt *bt, struct site *site)
{
    struct tc *tc = bt->tc;
    bt->rip = site->rip;
    count(bt, EV_block_lookups);
    look_at_breakpoint(bt);
    unsigned flushes = tc->flushes;
    struct ccf *to = find(bt, site->rip, site->backward);
    if (!to || (may_elide(bt, site) && !(to->needs & ~site->live) && worth_a_copy(bt, site->rip))) {
        struct tu tu;
        bt->stats.started = __rdtsc();
        tu_read(bt, &tu, tu_cap(bt)); // raises before anything has moved
        bool elided = elide(bt, site, &tu);
        struct form form = {.polls = site->backward, .called = site->calls, .live = elided ? site->live : 0};
        to = make_from(bt, &tu, form);
        if (elided && flushes == tc->flushes)
            return enter(bt, to);
    }
    if (flushes == tc->flushes && !bt->options.no_chaining)
        tc_chain(bt, site, to);
    return enter(bt, to);
}

// A check in front of the CCF: bt->target has to be the CCF's own address, flags and registers kept.
static uint8_t *check_of(struct bt *bt, struct ccf *ccf)
{
    struct tc *tc = bt->tc;
    if (ccf->check)
        return ccf->check;
    uint8_t *in = tc_way_in(bt, ccf, 0);
    if (!in)
        return NULL;
    bool fast = ccf->world == WORLD_FAST;
    const uint8_t *miss = tc->cold.at;
    if (fast)
        put_jmp(&tc->cold, tc->miss_stub);
    uint8_t *check = tc->cold.at;
    if (fast)
        put_target_check(&tc->cold, bt, ccf->rip, miss);
    else
        put_parked_target_check(&tc->cold, ccf->rip, tc->miss_stub);
    put_jmp(&tc->cold, in);
    if (!tc->cold.full)
        ccf->check = check;
    return ccf->check;
}

uint8_t *tc_miss(struct bt *bt)
{
    bt->rip = bt->target;
    count(bt, EV_block_lookups);
    look_at_breakpoint(bt);
    struct ccf *to = find(bt, bt->rip, true);
    if (!to)
        to = make(bt, true, false);
    uint8_t *check = check_of(bt, to);
    if (check)
        tc_set_target(bt, bt->world, to->rip, check);
    return enter(bt, to);
}

// ---- Faults ----

struct ccf *tc_ccf_at(struct tc *tc, const uint8_t *host, const struct point **point)
{
    uint32_t low = 0, high = tc->ccf_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (tc->order[middle]->end <= host)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == tc->ccf_count || host < tc->order[low]->start)
        return NULL;
    struct ccf *ccf = tc->order[low];
    unsigned n = 0;
    while (n + 1 < ccf->points && ccf->start + ccf->point[n + 1].host <= host)
        n++;
    *point = &ccf->point[n];
    return ccf->points ? ccf : NULL;
}

void tc_guilty(struct bt *bt, struct ccf *ccf, const struct point *point, const char *reason)
{
    struct tc *tc = bt->tc;
    if (bt->options.log_adapt)
        fprintf(stderr, "bt: 0x%" PRIx64 " met %s: checked from now on\n", bt->rip, reason);
    guilt_convict(&tc->guilt, bt->rip);
    count(bt, EV_adaptations);
    unsigned flushes = tc->flushes;
    for (struct ccf *old = find(bt, bt->rip, false); old; old = find(bt, bt->rip, false))
        tc_drop(bt, old); // those that begin with it would make the same mistake again
    struct ccf *checked = make(bt, ccf->rip == bt->rip && ccf->polls, false);
    while (point > ccf->point && point[-1].guest == point->guest) // where the instruction's code begins
        point--;
    const uint8_t *in = tc_way_in(bt, checked, ccf->needs);
    if (flushes == tc->flushes && !ccf->dead && in)
        tc_overwrite(bt, ccf, ccf->start + point->host, in);
}

// With the translations that hold the instruction go its forwarding jumps too: what is made next is IDENT.
bool tc_tried(struct bt *bt, const struct site *site, bool special)
{
    struct verdict *v = guilt_verdict(&bt->tc->guilt, site->rip);
    if (v ? !guilt_try(v, special) : special)
        return false;
    uint64_t at = site->from->gpa + (site->rip - site->from->rip), index;
    if (tc_page_index(bt, at & GUEST_PAGE_MASK, &index))
        tc_invalidate(bt, index * GUEST_PAGE_SIZE + at % GUEST_PAGE_SIZE, 1);
    if (!v)
        return true;
    count(bt, EV_reversions);
    if (bt->options.log_adapt)
        fprintf(stderr, "bt: 0x%" PRIx64 " met nothing for %" PRIu32 " times: IDENT again\n", site->rip, v->patience);
    return true;
}

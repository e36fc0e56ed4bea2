// SPDX-License-Identifier: BSD-2-Clause
// Translates the code at an address and what its direct branches lead to, just as running it would: each branch is
// followed as if the guest had taken it, so that chains and elisions come about in the same way. Calls are not
// followed: what is seen is one function.
#include "engines/bt/view.h"

#include <stdio.h>
#include <string.h>

#include "engines/bt/tc.h"
#include "engines/bt/translate.h"
#include "engines/bt/vectors.h"

enum { SITES_MAX = 4096 };

// As if the guest went to rip, through site where that is not NULL. False where it cannot: bt->event says why.
static bool go_there(struct bt *bt, uint64_t rip, struct site *site)
{
    if (setjmp(bt->fault))
        return false;
    bt->rip = rip;
    if (site)
        tc_branch(bt, site);
    else
        tc_enter(bt);
    return true;
}

static bool in_hot_code(const struct site *site)
{
    return site->field >= site->from->start && site->field < site->from->end;
}

static bool to_be_followed(const struct site *site)
{
    return site->kind == SITE_BRANCH && site->from && site->field && !site->calls && !site->to && in_hot_code(site);
}

// The newest first: so what a unit falls through to comes right behind it.
static void follow_branches(struct bt *bt, unsigned max)
{
    bool tried[SITES_MAX] = {false};
    uint32_t n = tc_site_count(bt->tc);
    while (n-- > 0 && tc_ccf(bt->tc, max) == NULL) {
        struct site *site = tc_site(bt->tc, n);
        if (n >= SITES_MAX || tried[n] || !to_be_followed(site))
            continue;
        tried[n] = true;
        go_there(bt, site->rip, site);
        n = tc_site_count(bt->tc);
    }
}

// ---- Telling ----

// Host code of the instruction at this offset in the TU, and its kind.
static void tell_host(const struct ccf *ccf, unsigned offset, struct view_insn *insn)
{
    const uint8_t *end = ccf->end;
    enum how how = HOW_NONE;
    insn->host = NULL;
    for (unsigned i = 0; i < ccf->points; i++) {
        const struct point *p = &ccf->point[i];
        const uint8_t *at = ccf->start + p->host;
        if (p->guest == offset && !insn->host && (i > 0 || !ccf->polls))
            insn->host = at;
        if (p->guest == offset && p->how != HOW_NONE)
            how = (enum how)p->how;
        if (p->guest > offset && at < end)
            end = at;
    }
    if (!insn->host)
        insn->host = end;
    insn->host_length = (unsigned)(end - insn->host);
    insn->kind = how_table[how].name;
}

// A unit that polls begins with that: the first two points are both at the TU's start.
static void tell_poll(const struct ccf *ccf, struct view_unit *unit)
{
    if (ccf->polls && ccf->points > 1)
        unit->insn[unit->insn_count++] =
            (struct view_insn){.rip = ccf->rip, .host = ccf->start, .host_length = ccf->point[1].host, .kind = "poll"};
}

static void tell_insns(const struct ccf *ccf, const struct tu *tu, struct view_unit *unit)
{
    tell_poll(ccf, unit);
    for (unsigned i = 0; i < tu->count && unit->insn_count < VIEW_INSNS_MAX - 1; i++) {
        struct view_insn *insn = &unit->insn[unit->insn_count++];
        const struct tu_insn *in = &tu->insn[i];
        insn->rip = tu->rip + in->offset;
        insn->length = in->insn.length;
        memcpy(insn->bytes, in->bytes, in->insn.length);
        tell_host(ccf, in->offset, insn);
    }
    if (ccf->point[ccf->points - 1].guest != tu->bytes)
        return;
    struct view_insn *jump = &unit->insn[unit->insn_count++];
    jump->rip = tu->rip + tu->bytes;
    tell_host(ccf, tu->bytes, jump);
    jump->kind = "continuation";
    for (unsigned i = 0; i < unit->link_count; i++)
        if (unit->link[i].elided)
            jump->kind = "elided";
}

static void tell_links(struct bt *bt, const struct ccf *ccf, const struct ccf *next, struct view_unit *unit)
{
    for (uint32_t n = ccf->first_site; n < ccf->end_site && unit->link_count < VIEW_LINKS_MAX; n++) {
        const struct site *site = tc_site(bt->tc, n);
        if (site->kind != SITE_BRANCH)
            continue;
        bool elided = !site->field && next;
        const struct ccf *to = elided ? next : site->to;
        unit->link[unit->link_count++] =
            (struct view_link){.rip = site->rip, .host = to ? to->start : NULL, .elided = elided};
    }
}

static bool read_again(struct bt *bt, const struct ccf *ccf, struct tu *tu)
{
    if (setjmp(bt->fault))
        return false;
    bt->rip = ccf->rip;
    tu_read(bt, tu, ccf->insns);
    return true;
}

static void tell(struct bt *bt, uint32_t from, view_fn *fn, void *ctx)
{
    const struct ccf *ccf;
    for (uint32_t i = from; (ccf = tc_ccf(bt->tc, i)); i++) {
        struct view_unit unit = {.rip = ccf->rip, .host = ccf->start};
        struct tu tu;
        if (ccf->dead || !read_again(bt, ccf, &tu))
            continue;
        tell_links(bt, ccf, tc_ccf(bt->tc, i + 1), &unit);
        tell_insns(ccf, &tu, &unit);
        fn(ctx, &unit);
    }
}

int bt_view(struct vcpu *v, uint64_t rip, unsigned max, view_fn *fn, void *ctx)
{
    struct bt *bt = v->engine_data;
    uint64_t old_rip = bt->rip, old_cr2 = bt->cr2;
    uint32_t old_vectors = bt->vectors;
    struct bt_event old_event = bt->event;
    tc_flush(bt);
    bt->vectors = VECTORS_ALL; // as when the guest has switched on what it will use
    bool found = go_there(bt, rip, NULL);
    if (!found)
        snprintf(v->error, sizeof v->error, "there is no code at 0x%llx: fetching it raises exception %u",
                 (unsigned long long)rip, bt->event.vector);
    if (found) {
        follow_branches(bt, max);
        tell(bt, 0, fn, ctx);
    }
    tc_flush(bt);
    vectors_sleep(bt);
    bt->vectors = old_vectors;
    bt->rip = old_rip;
    bt->cr2 = old_cr2;
    bt->event = old_event;
    bt->exit = VCPU_CONTINUE;
    return found ? 0 : -1;
}

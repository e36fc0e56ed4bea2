// SPDX-License-Identifier: BSD-2-Clause
// Flushes, and looking again: see flush.h. The software TLB knows of PCIDs (tlb.h).
#include "engines/bt/flush.h"

#include "engines/bt/direct.h"
#include "engines/bt/map.h"
#include "engines/bt/tc.h"
#include "engines/bt/tlb.h"

#define ENTRY_WALKS 64u // that a way into the kernel, or out of it, does not come near to

enum stale { FRESH, STALE_LOCAL, STALE_ALL }; // LOCAL: but for what is of global pages

// ---- Looking ----

// What decides about translations besides the tables: bits that do not meet.
static uint64_t mode_of(const struct bt *bt)
{
    return (bt->cr0 & CR0_WP) | (bt->efer & EFER_NXE) | (bt->cr4 & (CR4_SMEP | CR4_SMAP));
}

static uint64_t changes_of(const struct bt *bt) // of traced tables
{
    return bt->options.trace_tables ? map_changes(bt) : 0;
}

static bool is_written(const struct bt *bt, const struct look *l) // a traced table has been, or there are no traces
{
    return !bt->options.trace_tables || l->changes != map_changes(bt);
}

// The same tables, and what they say is the same.
static bool nothing_new(const struct bt *bt, const struct look *l)
{
    return l->cr3 == bt->cr3 && l->mode == mode_of(bt) && !is_written(bt, l);
}

static void look_at_mappings(struct bt *bt, const struct look *l)
{
    bool trace = bt->options.trace_tables;
    if (trace && is_written(bt, l))
        map_look_at_changes(bt, bt->map, l->changes);
    if (trace && l->cr3 == bt->cr3 && l->mode == mode_of(bt))
        return;
    if (l->stale == STALE_ALL)
        map_revalidate(bt, bt->map);
    else
        map_revalidate_local(bt, bt->map);
}

void flush_look_again(struct bt *bt)
{
    struct look *l = &bt->look[bt->world];
    if (!nothing_new(bt, l)) {
        if (bt->world == WORLD_FAST)
            look_at_mappings(bt, l);
        bool all = l->stale == STALE_ALL || (bt->options.trace_tables && is_written(bt, l));
        tc_revalidate(bt, bt->world, all);
    }
    *l = (struct look){.cr3 = bt->cr3, .mode = mode_of(bt), .changes = changes_of(bt)};
}

static void look_at_page(struct bt *bt, enum world world, uint64_t va)
{
    struct look *l = &bt->look[world];
    if (l->cr3 != bt->cr3 || l->stale != FRESH) { // there may be a global page, and other tables lead to it
        l->stale = STALE_ALL;
        return;
    }
    if (nothing_new(bt, l))
        return;
    if (world == WORLD_FAST)
        map_invlpg(bt, bt->map, va);
    tc_invlpg(bt, world, va);
}

// ---- Whose tables? ----

// Is there anything in the 2 MiB at 0xffff810000000000, of which the TLB has some (layout.h)?
static bool maps_lowest(const struct bt *bt)
{
    uint64_t entry = bt->cr3;
    static const unsigned index[] = {258, 0, 0};
    for (unsigned i = 0; i < 3; i++) {
        const uint64_t *at = (const uint64_t *)ram_at(bt->ram, gpa((entry & PTE_ADDR) + index[i] * 8), 8);
        if (!at || !(*at & PTE_P))
            return false;
        entry = *at;
        if (i && (entry & PTE_PS))
            return true;
    }
    return true;
}

// While the guest maps something where the fast world has the monitor (layout.h; one entry of the top level covers the
// greater part of it), its kernel runs in the checked world.
static bool maps_monitor(const struct bt *bt)
{
    const uint64_t *entry = (const uint64_t *)ram_at(bt->ram, gpa((bt->cr3 & PTE_ADDR) + 8), 8);
    return (entry && (*entry & PTE_P)) || maps_lowest(bt);
}

static void leave_monitor_alone(struct bt *bt)
{
    bool meets = maps_monitor(bt);
    if (meets == bt->meets_monitor)
        return;
    bt->meets_monitor = meets;
    bt_mode_changed(bt);
}

// Tables that have lost most of the kernel's code, or of its data, have no more of it than the way in and out. All that
// was made for the kernel would go by them, each time that it is entered and left: so what runs by them has a world of
// its own.
static bool is_way_in(const struct bt *bt)
{
    enum world kernel = flush_kernel_world(bt);
    uint64_t before = bt->look[kernel].cr3;
    if (((before ^ bt->cr3) & PTE_ADDR) == 0 || tc_shares_tables(bt, kernel, before))
        return false;
    return tc_is_lost(bt, kernel) || (kernel == WORLD_FAST && map_is_lost(bt, bt->map));
}

static void tell_entry(struct bt *bt)
{
    bool is = is_way_in(bt);
    bt->entry_walks = 0;
    if (is == bt->on_entry)
        return;
    bt->on_entry = is;
    bt_mode_changed(bt);
}

void flush_note_walk(struct bt *bt)
{
    if (++bt->entry_walks == ENTRY_WALKS)
        bt->attention = 1;
}

void flush_settle(struct bt *bt)
{
    if (!bt->on_entry || bt->entry_walks < ENTRY_WALKS)
        return;
    bt->on_entry = false;
    bt_mode_changed(bt);
}

// ---- Flushes ----

static void make_stale(struct bt *bt, enum world world, enum stale stale)
{
    if (bt->look[world].stale < stale)
        bt->look[world].stale = (uint8_t)stale;
}

static uint64_t pcid_of(const struct bt *bt, uint64_t cr3)
{
    return bt->cr4 & CR4_PCIDE ? cr3 & CR3_PCID : 0;
}

static void make_pcid_stale(struct bt *bt, uint64_t pcid)
{
    for (enum world world = 0; world < WORLDS; world++)
        if (pcid_of(bt, bt->look[world].cr3) == pcid)
            make_stale(bt, world, STALE_LOCAL);
}

void flush_all(struct bt *bt)
{
    bt->flushes++;
    tlb_flush(bt->tlb);
    bt->tlb->seen = changes_of(bt);
    for (enum world world = 0; world < WORLDS; world++)
        make_stale(bt, world, STALE_ALL);
    leave_monitor_alone(bt);
    tell_entry(bt);
    flush_look(bt);
}

// The TLB behind a mov to cr3. changed: so have traced tables.
static void load_tlb(struct bt *bt, uint64_t old, bool keep, bool changed)
{
    struct tlb *tlb = bt->tlb;
    bool trace = bt->options.trace_tables, pcids = bt->cr4 & CR4_PCIDE;
    uint64_t changes = changes_of(bt);
    if (changed)
        tlb_flush_loaded(tlb);
    if (old == bt->cr3) {
        if (!keep && (!trace || tlb->unsure))
            tlb_flush_local(tlb);
    } else if (trace || pcids) {
        tlb_park(tlb, old, changes);
        if (trace || keep)
            tlb_unpark(tlb, bt->cr3, keep, changes);
    } else {
        tlb_flush_local(tlb);
    }
    if (pcids && !keep)
        tlb_forget_pcid(tlb, bt->cr3 & CR3_PCID);
    tlb->seen = changes;
}

void flush_load_cr3(struct bt *bt, uint64_t cr3, bool keep)
{
    uint64_t old = bt->cr3;
    bool changed = bt->tlb->seen != changes_of(bt);
    bt->cr3 = cr3;
    bt->flushes += !keep || changed; // processes' mappings rest on no traces
    load_tlb(bt, old, keep, changed);
    if (!keep)
        make_pcid_stale(bt, pcid_of(bt, cr3));
    leave_monitor_alone(bt);
    tell_entry(bt);
    flush_look(bt);
}

void flush_pcid(struct bt *bt, uint64_t pcid)
{
    bt->flushes++;
    tlb_forget_pcid(bt->tlb, pcid);
    make_pcid_stale(bt, pcid);
}

void flush_page(struct bt *bt, uint64_t va)
{
    if (!canonical(va)) // SDM vol. 2, INVLPG: nothing is done then
        return;
    leave_monitor_alone(bt);
    direct_invlpg(bt, va);
    tlb_invlpg(bt->tlb, va);
    for (enum world world = 0; world < WORLDS; world++)
        look_at_page(bt, world, va);
}

// SPDX-License-Identifier: BSD-2-Clause
// Running user code directly, and what follows from each way in which it stops. What the process reports is only as
// good as a register's value in the guest: everything else is looked up in the guest's own tables, and any exception
// that is not simply a page fault or a trap is left to the translator, which carries the instruction out by the
// architecture.
#include <string.h>
#include <x86intrin.h>

#include "engines/bt/debug.h"
#include "engines/bt/deliver.h"
#include "engines/bt/direct_inside.h"
#include "engines/bt/emulations.h"
#include "engines/bt/tc.h"
#include "engines/bt/vectors.h"

// rflags that user code changes by itself. TF too: the trap that follows says so.
#define USER_FLAGS (FLAGS_ARITH | FLAG_TF | FLAG_DF | FLAG_NT | FLAG_AC | FLAG_ID)
#define INT3 0xcc
#define SYSCALL_BYTES 2u
#define REFUSALS 8 // of the host to map what it is told, one after the other, before the address space is translated

// An instruction left to the translator costs two hand-overs and a translation. Where more than every 16th stop leads
// there, for some time, directly is not the way.
#define ODD_STEP 16
#define ODD_MOST (ODD_STEP * 64)

// ---- Registers ----

static void give_registers(const struct bt *bt, struct process_regs *r)
{
    memcpy(r->gpr, bt->gpr, sizeof r->gpr);
    r->rip = bt->rip;
    r->rflags = flags_read(bt);
    r->fs_base = bt->seg_base[SEG_FS];
    r->gs_base = bt->seg_base[SEG_GS];
}

// The bases come from a process that may lie: they are loaded by the host's CPU later on, which wants them canonical.
static void take_registers(struct bt *bt, const struct process_regs *r)
{
    memcpy(bt->gpr, r->gpr, sizeof bt->gpr);
    bt->rip = r->rip;
    flags_write(bt, (flags_read(bt) & ~(uint64_t)USER_FLAGS) | (r->rflags & USER_FLAGS));
    if (canonical(r->fs_base))
        bt->seg_base[SEG_FS] = r->fs_base;
    if (canonical(r->gs_base))
        bt->seg_base[SEG_GS] = r->gs_base;
}

// ---- Stops ----
// Each gives whether the code is to be run on directly, at once.

static bool translate_now(struct bt *bt, struct space *space)
{
    policy_ban(&space->policy);
    space->odd = 0;
    count(bt, EV_user_to_translated);
    bt_mode_changed(bt);
    return false;
}

// One instruction, by the translator.
static bool leave_to_translator(struct bt *bt, struct space *space)
{
    count(bt, EV_direct_singles);
    bt->once = true;
    space->odd += ODD_STEP;
    return space->odd > ODD_MOST ? translate_now(bt, space) : false;
}

static bool page_fault(struct bt *bt, struct slot *slot, const struct process_info *info)
{
    uint32_t access = info->error & (PF_WRITE | PF_FETCH), error = 0;
    uint64_t offset, va = info->address;
    if (!canonical(va))
        return leave_to_translator(bt, slot->space);
    enum map_result result = map_fault_user(bt, slot->map, va, access, &error);
    // A page that translated code was made from: without that code it can be written to.
    if (result == MAP_CHECKED && (access & PF_WRITE) && map_user_code_page(bt, va, &offset)) {
        count(bt, EV_traced_writes);
        tc_invalidate(bt, offset, GUEST_PAGE_SIZE);
        result = map_fault_user(bt, slot->map, va, access, &error);
    }
    if (result == MAP_TRUE)
        raise_page_fault(bt, va, error);
    if (result == MAP_CHECKED)
        return leave_to_translator(bt, slot->space);
    return true;
}

// Behind the instruction already. TF: the single-step trap (SDM vol. 3, 17.3.1.4); else it was int1.
static _Noreturn void own_debug_trap(struct bt *bt)
{
    if (bt->rflags & FLAG_TF)
        bt->dr6 = (bt->dr6 & ~DR6_B) | DR6_BS;
    raise_exception(bt, VEC_DB);
}

// int3, or int with that vector, as emulate_int3() does it: what goes wrong is a fault at the instruction.
static bool breakpoint(struct bt *bt)
{
    uint64_t next = bt->rip;
    const uint8_t *last = mem_plain(bt, next - 1, 1, false);
    bt->rip -= last && *last == INT3 ? 1 : 2;
    deliver_for(bt, (struct bt_event){.vector = VEC_BP, .type = EVENT_SOFTWARE}, next);
    count(bt, EV_exceptions);
    return false;
}

static bool exception(struct bt *bt, struct slot *slot, const struct process_info *info)
{
    count(bt, EV_direct_exceptions);
    if (bt->rip >= PROCESS_HIGHEST) // the host's kernel may have acted for its vsyscall page: the guest has none
        return leave_to_translator(bt, slot->space);
    switch (info->vector) {
    case VEC_PF:
        return page_fault(bt, slot, info);
    case VEC_DB:
        own_debug_trap(bt);
    case VEC_BP:
        return breakpoint(bt);
    default:
        return leave_to_translator(bt, slot->space);
    }
}

static bool stopped(struct bt *bt, struct slot *slot, enum process_stop stop, const struct process_info *info)
{
    struct space *space = slot->space;
    slot->refusals = stop == PROCESS_REFUSED ? slot->refusals + 1 : 0;
    space->odd -= !!space->odd;
    switch (stop) {
    case PROCESS_SYSCALL:
        count(bt, EV_direct_syscalls);
        bt->rip -= SYSCALL_BYTES;
        enter_by_syscall(bt, bt->rip + SYSCALL_BYTES);
        debug_trap(bt, bt->step_trap);
        return false;
    case PROCESS_EXCEPTION:
        return exception(bt, slot, info);
    case PROCESS_KICKED:
        count(bt, EV_direct_kicks);
        return false;
    case PROCESS_REFUSED:
        map_drop_all(slot->map);
        return slot->refusals > REFUSALS ? translate_now(bt, space) : true;
    default:
        raise_engine_error(bt, "%s", process_died(bt->direct->pool));
    }
}

// own: as the process says, from guest code's first instruction until the stub is back. The least that was ever seen is
// what the host's kernel takes to get there.
static void note_time(struct direct *d, enum process_stop stop, uint64_t cycles, uint64_t own)
{
    if (own > cycles)
        own = cycles;
    if (own < d->delivery)
        d->delivery = own;
    own -= d->delivery;
    d->ran += own;
    d->spent += cycles - own;
    if (stop == PROCESS_SYSCALL)
        d->hand_over = policy_hand_over(d->hand_over, cycles - own);
}

static void give_vectors(struct bt *bt)
{
    if (bt->vectors_away)
        return;
    process_give_vectors(bt->direct->pool, bt->xsave);
    bt->vectors_away = true;
}

void direct_take_vectors(struct bt *bt)
{
    uint8_t image[XSAVE_BYTES];
    process_take_vectors(bt->direct->pool, image);
    vectors_from_image(bt, image);
}

void direct_run(struct bt *bt)
{
    struct direct *d = bt->direct;
    struct slot *slot = direct_slot(bt, direct_find_space(bt));
    struct process_regs regs;
    struct process_info info = {.vector = 0};
    bool again;
    give_registers(bt, &regs);
    give_vectors(bt);
    do {
        uint64_t start = __rdtsc();
        count(bt, EV_direct_entries);
        enum process_stop stop = process_run(slot->process, &regs, &bt->attention, &info);
        note_time(d, stop, __rdtsc() - start, process_ran(slot->process));
        take_registers(bt, &regs);
        again = stopped(bt, slot, stop, &info);
    } while (again && !bt->attention);
}

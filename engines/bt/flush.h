// SPDX-License-Identifier: BSD-2-Clause
// What the guest's flushes make doubtful: the software TLB, which is emptied at once; and what was made from the
// guest's page tables, CCFs and the mappings of the fast world, which are held against the tables again, world by
// world, when the guest goes on in that world. While it is in another one nothing leads there: so a kernel that has one
// top-level table for itself and one for each program, as Linux has with page-table isolation, costs a look at user
// code when user code goes on, and none where nothing of its PCID has been flushed meanwhile. (The mappings of a
// process for user code are looked at before it runs: direct.h.)
#ifndef RINGSIDE_BT_FLUSH_H
#define RINGSIDE_BT_FLUSH_H

#include "engines/bt/bt.h"

// Everything, or one page: of the PCID that is loaded, and of global pages.
void flush_all(struct bt *bt);
void flush_page(struct bt *bt, uint64_t va);
// mov to cr3. keep: with CR3_NOFLUSH, which cr3 is without; what is of the PCID may go on being used. Else what is
// neither of global pages nor of other PCIDs is flushed.
void flush_load_cr3(struct bt *bt, uint64_t cr3, bool keep);
void flush_pcid(struct bt *bt, uint64_t pcid); // that is not loaded

// bt->world is the one where the guest goes on: what flushes have made doubtful there is looked at.
void flush_look_again(struct bt *bt);
static inline void flush_look(struct bt *bt)
{
    const struct look *l = &bt->look[bt->world];
    if (l->cr3 != bt->cr3 || l->stale)
        flush_look_again(bt);
}

// The world of kernel code, where its page tables are not those of its way in (WORLD_ENTRY).
static inline enum world flush_kernel_world(const struct bt *bt)
{
    return bt->options.checked || bt->meets_monitor || bt->break_data ? WORLD_CHECKED : WORLD_FAST;
}
// In WORLD_ENTRY a page table was walked. So many times in a row, and it is no mere way in: flush_settle(), from the
// run loop, makes the tables those that the kernel runs by.
void flush_note_walk(struct bt *bt);
void flush_settle(struct bt *bt);

#endif

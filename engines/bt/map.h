// SPDX-License-Identifier: BSD-2-Clause
// The guest's address spaces as the host's own: mappings of the guest-RAM memfd, made on hidden faults from the guest's
// page tables. The fast world has them at guest address + BT_BIAS with the rights of CPL 0; each process for user code
// (process.h) at the guest's addresses with those of CPL 3. They are a cache of the guest's translations, as a TLB is:
// a guest flush looks at all of them again, and drops those that no longer agree.
//
// A page with translated code is traced: mapped read-only, so that a write to it faults (tc.h wants to know).
#ifndef RINGSIDE_BT_MAP_H
#define RINGSIDE_BT_MAP_H

#include "engines/bt/bt.h"
#include "engines/bt/process.h"

struct map *map_create(const struct guest_ram *ram); // of the fast world; NULL where memory is short
void map_destroy(struct map *m);                     // and unmaps everything; those of processes first

// Who carries out what a map of a process wants: process_queue() and process_clear(), or a test.
struct map_host {
    bool (*change)(void *context, const struct process_command *command); // false: it cannot be done
    void (*clear)(void *context);
    void *context;
};
struct map *map_create_user(struct map *kernel, const struct map_host *host); // beside that of the fast world
void map_drop_all(struct map *m);                                             // what is mapped; the process is cleared

enum map_result {
    MAP_DONE,    // mapped: run the instruction again
    MAP_TRUE,    // a true fault: *error is the page-fault error code
    MAP_CHECKED, // not to be mapped: a device, a traced page, an address that cannot be reached, the monitor's own
};
// CPL 0 accessed guest address va (write, or read/fetch where not). Called from the signal handler: no locks, no
// malloc.
enum map_result map_fault(struct bt *bt, uint64_t va, bool write, uint32_t *error);
// CPL 3 did, in a process: access is of PF_WRITE and PF_FETCH.
enum map_result map_fault_user(struct bt *bt, struct map *m, uint64_t va, uint32_t access, uint32_t *error);

// Was that because code has been translated from the page, and nothing else? Then it is the one at *ram_offset.
bool map_user_code_page(const struct bt *bt, uint64_t va, uint64_t *ram_offset);

// Why map_fault() said MAP_CHECKED, in words.
const char *map_refusal(const struct bt *bt, uint64_t va);
// Can translated code reach va at all, whatever is mapped there?
bool map_reaches(uint64_t va);

// The guest flushed: see which mappings still agree with its page tables (cr3, cr0, cr4, efer as they are now).
void map_revalidate(struct bt *bt, struct map *m);
void map_revalidate_local(struct bt *bt, struct map *m); // mov to cr3: need not see that a global page has changed
void map_invlpg(struct bt *bt, struct map *m, uint64_t va);
// Do the tables have nothing where most of what is mapped is, by a sample? Changes nothing.
bool map_is_lost(const struct bt *bt, const struct map *m);

// The page of RAM at this offset has got, or has lost, its trace: writable mappings of it become read-only at once, in
// processes before they run on; they become writable again on the next write fault.
void map_set_trace(struct bt *bt, uint64_t ram_offset, bool traced);
bool map_is_traced(const struct map *m, uint64_t ram_offset);
bool map_is_traced_table(const struct map *m, uint64_t ram_offset);

// ---- mmu=trace: page tables that mappings, CCFs and TLB entries were made from are traced, so that flushes need not
// look at what nobody wrote. All of it does nothing under mmu=vtlb.
void map_trace_tables(struct bt *bt, uint64_t va); // those that translate va now
// The RAM at this offset is about to get other values: what rests on them may not agree any more from the next flush
// on.
void map_note_write(struct bt *bt, uint64_t ram_offset, unsigned size);
void map_note_all(struct bt *bt);          // something unknown may have been written
uint64_t map_changes(const struct bt *bt); // a number that is another one when a table has been written
// Looks at the mappings that what was written since then may concern.
void map_look_at_changes(struct bt *bt, struct map *m, uint64_t since);

#endif

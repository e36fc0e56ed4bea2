// SPDX-License-Identifier: BSD-2-Clause
// The fast world's shadow page tables are the host's own: mappings of the guest-RAM memfd at guest address + BT_BIAS,
// made on hidden faults from the guest's page tables, with the rights that CPL 0 has there. They are a cache of the
// guest's translations, as a TLB is: a guest flush looks at all of them again, and drops those that no longer agree.
//
// A page with translated code is traced: mapped read-only, so that a write to it faults (tc.h wants to know).
#ifndef RINGSIDE_BT_MAP_H
#define RINGSIDE_BT_MAP_H

#include "engines/bt/bt.h"

struct map *map_create(const struct guest_ram *ram); // NULL where memory is short
void map_destroy(struct map *m);                     // and unmaps everything

enum map_result {
    MAP_DONE,    // mapped: run the instruction again
    MAP_TRUE,    // a true fault: *error is the page-fault error code
    MAP_CHECKED, // not to be mapped: a device, a traced page, an address that the bias cannot reach, the monitor's own
};
// CPL 0 accessed guest address va (write, or read/fetch where not). Called from the signal handler: no locks, no
// malloc.
enum map_result map_fault(struct bt *bt, uint64_t va, bool write, uint32_t *error);

// Why map_fault() said MAP_CHECKED, in words.
const char *map_refusal(const struct bt *bt, uint64_t va);
// Can translated code reach va at all, whatever is mapped there?
bool map_reaches(uint64_t va);

// The guest flushed: see which mappings still agree with its page tables (cr3, cr0, cr4, efer as they are now).
void map_revalidate(struct bt *bt);
void map_invlpg(struct bt *bt, uint64_t va);

// The page of RAM at this offset has got, or has lost, its trace: writable mappings of it become read-only at once;
// they become writable again on the next write fault.
void map_set_trace(struct bt *bt, uint64_t ram_offset, bool traced);
bool map_is_traced(const struct map *m, uint64_t ram_offset);

// ---- mmu=trace: page tables that mappings and CCFs were made from are traced, so that flushes need not look at what
// nobody wrote. All of it does nothing under mmu=vtlb.
void map_trace_tables(struct bt *bt, uint64_t va); // those that translate va now
// The RAM at this offset is about to get another value: mappings may not agree any more from the next flush on.
void map_note_write(struct bt *bt, uint64_t ram_offset);
void map_note_all(struct bt *bt);               // something unknown may have been written
bool map_tables_unchanged(const struct bt *bt); // since the last map_looked_at_all(), in the same circumstances
// All mappings and CCFs have been looked at: what they do not rest on any more loses its trace. The caller then traces
// what CCFs rest on; mappings are done here.
void map_looked_at_all(struct bt *bt);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// 4-level paging (SDM vol. 3, 4.5 to 4.7): the walk of a guest's page tables in guest-physical memory, with permission
// checks, error code, and accessed and dirty bits. The format's truth for all engines that walk in software.
#ifndef RINGSIDE_X86_PAGING_H
#define RINGSIDE_X86_PAGING_H

#include <stdbool.h>
#include <stdint.h>

#include "include/guest_ram.h"

// What decides about a walk besides the tables.
struct paging {
    uint64_t cr3;
    bool wp;   // CR0.WP
    bool nxe;  // EFER.NXE
    bool smep; // CR4.SMEP
    bool smap; // CR4.SMAP, and neither RFLAGS.AC nor an access that AC excuses
};

struct translation {
    gpa_t page;         // guest-physical address of the 4 KiB page that holds the address
    uint64_t page_size; // of the guest's own mapping: 4 KiB, 2 MiB or 1 GiB
    bool writable;      // by every level
    bool user;          // by every level
    bool no_execute;    // by any level
    bool dirty;         // the leaf's D bit, after this access
    bool global;
};

// Translate va for an access of PF_WRITE, PF_USER (CPL 3) and PF_FETCH bits. True: *out is filled, and A (and for a
// write D) bits are set in the tables. False: *error is the page-fault error code. va is canonical.
bool paging_walk(const struct guest_ram *ram, const struct paging *mode, uint64_t va, uint32_t access,
                 struct translation *out, uint32_t *error);

// What the tables say about an address, whoever asks: for looking at translations again, and at those beside one.
struct paging_leaf {
    const uint64_t *entry; // the last one, in guest RAM; in a PTE's table, its neighbours are the next pages'
    uint64_t above;        // AND of the entries above it, in their bits W, U and A; all other bits are set
    bool no_execute_above; // one of those has NX set
    gpa_t page;            // as in struct translation
    uint64_t page_size;
};

// False where nothing is mapped there, or by an entry with reserved bits set. Changes nothing. va is canonical.
bool paging_peek(const struct guest_ram *ram, const struct paging *mode, uint64_t va, struct paging_leaf *out);

// Would an access of these bits be allowed now, to which page, and of what size is the guest's own mapping? As
// paging_walk, but without a trace in the tables.
bool paging_allows(const struct guest_ram *ram, const struct paging *mode, uint64_t va, uint32_t access, gpa_t *page,
                   uint64_t *size);

#endif

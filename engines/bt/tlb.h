// SPDX-License-Identifier: BSD-2-Clause
// The software TLB behind memory.h: guest-virtual pages to host addresses, one array for each way of access, so that a
// change of privilege needs no flush. Tags are page addresses; TLB_NONE equals none of them.
#ifndef RINGSIDE_BT_TLB_H
#define RINGSIDE_BT_TLB_H

#include "engines/bt/bt.h"
#include "x86/paging.h"

enum tlb_mode {
    TLB_KERNEL,      // CPL 0, user pages allowed (no SMAP, or AC set)
    TLB_KERNEL_SMAP, // CPL 0, user pages are faults for data
    TLB_USER,        // CPL 3
    TLB_MODES
};

#define TLB_SIZE 512u
#define TLB_NONE 1ull
#define TLB_FLUSH_FEW 64u // up to so many filled slots are remembered, for flushes that cost what was filled

struct tlb_entry {
    uint64_t read, write, exec; // tags: set where the A bit is, write where the D bit is too
    uint64_t addend;            // host-virtual minus guest-virtual address
};

// A run of bytes within one page.
struct part {
    gpa_t at;
    uint8_t *host; // NULL: not RAM
    unsigned size;
};

struct tlb {
    struct tlb_entry entry[TLB_MODES][TLB_SIZE];
    unsigned filled; // slots filled since the last flush; more than TLB_FLUSH_FEW: not all are remembered
    uint16_t filled_slot[TLB_FLUSH_FEW];
    uint64_t large_filter; // by 2 MiB region: a page of a larger guest mapping may be here

    // mem_access() to mem_commit(): the operand that is not plain RAM within one page.
    struct part pending[2];
    unsigned pending_parts;
    uint8_t *pending_at;                              // in bounce
    uint8_t bounce[128] __attribute__((aligned(64))); // 64 bytes at any alignment that the guest's address has
};

static inline struct tlb_entry *tlb_slot(struct tlb *tlb, enum tlb_mode mode, uint64_t va)
{
    return &tlb->entry[mode][(va >> 12) % TLB_SIZE];
}

// Remembers a walk that was allowed: access is its PF_WRITE and PF_FETCH, host the page in RAM.
void tlb_fill(struct tlb *tlb, enum tlb_mode mode, uint64_t va, uint32_t access, const struct translation *t,
              const uint8_t *host);
void tlb_flush(struct tlb *tlb);
void tlb_invlpg(struct tlb *tlb, uint64_t va);

#endif

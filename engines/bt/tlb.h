// SPDX-License-Identifier: BSD-2-Clause
// The software TLB behind memory.h: guest-virtual pages to host addresses, one table for each way of access, so that a
// change of privilege needs no flush. Translated code of the checked worlds looks into it as well (inline_tlb.c), so it
// lies at a fixed address, and its form is what makes that lookup short.
//
// A tag is minus the address of its page: an access of [va, va + size) hits where va + size - 1 + tag is below 4096.
// The slot is chosen by va, and neighbouring pages have different ones; so what begins in the page in front of the
// tag's has looked at another slot, and no hit crosses pages. A slot that holds nothing has the tag of a page that
// belongs to another, far one.
#ifndef RINGSIDE_BT_TLB_H
#define RINGSIDE_BT_TLB_H

#include "engines/bt/bt.h"
#include "x86/paging.h"

enum tlb_mode {
    TLB_KERNEL,    // CPL 0; where CR4.SMAP is set, user pages are faults for data
    TLB_KERNEL_AC, // CPL 0 with CR4.SMAP, while RFLAGS.AC excuses that
    TLB_USER,      // CPL 3
    TLB_SYSTEM, // the processor's own reads: of descriptors and the TSS, which would meet with a kernel's stack in one
                // slot
    TLB_MODES
};

#define TLB_SIZE 256u     // a byte's worth of slots: translated code masks by movzbl, which keeps the flags
#define TLB_SHIFT 12u     // added to what is added: translated code shifts by the addend's low six bits
#define STACK_SHIFT 9u    // the same for bt->stack_addend
#define TLB_FLUSH_FEW 64u // up to so many filled slots are remembered, for flushes that cost what was filled
#define TLB_CONTEXTS 8u   // address spaces that are not loaded, whose entries are kept

struct tlb_table {
    // Tags are set where the A bit is, store and write where the D bit is too. Translated code looks at the first two;
    // store is missing for pages with a trace, for there the write means more.
    uint64_t read[TLB_SIZE], store[TLB_SIZE];
    uint64_t addend[TLB_SIZE]; // host-virtual minus guest-virtual address, plus TLB_SHIFT
    uint64_t write[TLB_SIZE], exec[TLB_SIZE];
};

// A run of bytes within one page.
struct part {
    gpa_t at;
    uint8_t *host; // NULL: not RAM
    unsigned size;
};

// Slots filled since the last flush: by global pages, or by others.
struct tlb_filled {
    unsigned count; // more than TLB_FLUSH_FEW: not all are remembered
    uint16_t slot[TLB_FLUSH_FEW];
};

struct tlb_entry {
    uint16_t slot;
    uint64_t read, store, addend, write, exec;
};

// The entries of an address space while another one is loaded, but for those of global pages.
struct tlb_context {
    uint64_t cr3;     // root and PCID
    uint64_t changes; // of page tables, then (tlb_park)
    uint64_t used_at; // 0: nothing is kept here
    uint64_t large_filter, huge_filter;
    unsigned count;
    struct tlb_entry entry[TLB_FLUSH_FEW];
};

struct tlb {
    struct tlb_table table[TLB_MODES];
    struct tlb_filled local, global;
    bool is_global[TLB_MODES * TLB_SIZE]; // where it was noted in the one
    uint64_t large_filter;                // by 2 MiB region, hashed: a page of a larger guest mapping may be here
    uint64_t huge_filter;                 // the same by GiB, for mappings of more than 2 MiB
    bool unsure;                          // entries came back although page tables had changed (tlb_unpark)
    uint64_t seen;                        // map_changes() when all that is here was true
    uint64_t clock;
    struct tlb_context *context; // TLB_CONTEXTS

    // mem_access() to mem_commit(): the operand that is not plain RAM within one page.
    struct part pending[2];
    unsigned pending_parts;
    uint8_t *pending_at;                              // in bounce
    uint8_t bounce[128] __attribute__((aligned(64))); // 64 bytes at any alignment that the guest's address has
};

static inline unsigned tlb_slot(uint64_t va)
{
    return va / GUEST_PAGE_SIZE % TLB_SIZE;
}

static inline bool tlb_hit(uint64_t tag, uint64_t va, unsigned size)
{
    return va + size - 1 + tag < GUEST_PAGE_SIZE;
}

static inline uint8_t *tlb_host(const struct tlb_table *t, uint64_t va)
{
    return (uint8_t *)(uintptr_t)(va + t->addend[tlb_slot(va)] - TLB_SHIFT);
}

// Remembers a walk that was allowed: access is its PF_WRITE and PF_FETCH, host the page in RAM. plain: no trace there.
void tlb_fill(struct tlb *tlb, enum tlb_mode mode, uint64_t va, uint32_t access, const struct translation *t,
              const uint8_t *host, bool plain);
// The page that va hits by its write tag has no trace any more.
void tlb_allow_stores(struct tlb *tlb, enum tlb_mode mode, uint64_t va);
// This page of RAM has got a trace: translated code does not write there by itself.
void tlb_forbid_stores(struct tlb *tlb, const uint8_t *host);
void tlb_forget_stack(void);            // bt->stack_tag: another world goes on
void tlb_flush(struct tlb *tlb);        // everything
void tlb_flush_loaded(struct tlb *tlb); // but for what is kept of other address spaces
void tlb_flush_local(struct tlb *tlb);  // and but for what is of global pages
void tlb_invlpg(struct tlb *tlb, uint64_t va);

// Another address space is loaded (cr3 with PCID): what is not of global pages goes, and is kept for when this one is
// back. changes: a number that is another one where entries that are kept may be no longer true; any: the guest has not
// asked that they be.
void tlb_park(struct tlb *tlb, uint64_t cr3, uint64_t changes);
void tlb_unpark(struct tlb *tlb, uint64_t cr3, bool any, uint64_t changes);
void tlb_forget_pcid(struct tlb *tlb, uint64_t pcid); // what is kept for it, with any root

#endif

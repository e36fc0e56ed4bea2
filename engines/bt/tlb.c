// SPDX-License-Identifier: BSD-2-Clause
// The software TLB: filling and flushing. A flush costs what was filled since the last one, as guests flush often and
// touch little in between.
#include "engines/bt/tlb.h"

#include <stdlib.h>

#include "engines/bt/memory.h"

static void clear(struct tlb_entry *e)
{
    e->read = e->write = e->exec = TLB_NONE;
}

static void clear_all(struct tlb *tlb)
{
    struct tlb_entry *e = tlb->entry[0];
    for (unsigned i = 0; i < TLB_MODES * TLB_SIZE; i++)
        clear(&e[i]);
}

struct tlb *tlb_create(void)
{
    struct tlb *tlb = aligned_alloc(64, (sizeof *tlb + 63) & ~(size_t)63);
    if (!tlb)
        return NULL;
    *tlb = (struct tlb){.filled = 0};
    clear_all(tlb);
    return tlb;
}

void tlb_destroy(struct tlb *tlb)
{
    free(tlb);
}

static void note_filled(struct tlb *tlb, const struct tlb_entry *e)
{
    if (tlb->filled < TLB_FLUSH_FEW)
        tlb->filled_slot[tlb->filled] = (uint16_t)(e - tlb->entry[0]);
    tlb->filled++;
}

void tlb_fill(struct tlb *tlb, enum tlb_mode mode, uint64_t va, uint32_t access, const struct translation *t,
              const uint8_t *host)
{
    uint64_t page = va & GUEST_PAGE_MASK;
    uint64_t addend = (uint64_t)(uintptr_t)host - page;
    struct tlb_entry *e = tlb_slot(tlb, mode, va);
    bool same = (e->read == page || e->write == page || e->exec == page) && e->addend == addend;
    if (!same) {
        clear(e);
        e->addend = addend;
        note_filled(tlb, e);
    }
    if (t->page_size > GUEST_PAGE_SIZE)
        tlb->large_filter |= t->page_size > (1u << 21) ? ~0ull : 1ull << ((va >> 21) & 63);
    if (access & PF_FETCH)
        e->exec = page;
    else
        e->read = page;
    if (access & PF_WRITE)
        e->write = page;
}

void tlb_flush(struct tlb *tlb)
{
    if (tlb->filled <= TLB_FLUSH_FEW) {
        for (unsigned i = 0; i < tlb->filled; i++)
            clear(&tlb->entry[0][tlb->filled_slot[i]]);
    } else {
        clear_all(tlb);
    }
    tlb->filled = 0;
    tlb->large_filter = 0;
}

void tlb_invlpg(struct tlb *tlb, uint64_t va)
{
    if (tlb->large_filter & (1ull << ((va >> 21) & 63))) { // any part of a large page may be anywhere
        tlb_flush(tlb);
        return;
    }
    for (unsigned mode = 0; mode < TLB_MODES; mode++)
        clear(tlb_slot(tlb, mode, va));
}

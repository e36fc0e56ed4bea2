// SPDX-License-Identifier: BSD-2-Clause
// The software TLB: filling and flushing. A flush costs what was filled since the last one, as guests flush often and
// touch little in between.
#include "engines/bt/tlb.h"

#include <sys/mman.h>

#include "engines/bt/memory.h"

_Static_assert(sizeof(struct tlb) <= BT_TLB_END - BT_TLB, "the TLB has its place");

static uint64_t tag_of(uint64_t page)
{
    return 0 - page;
}

// Of a page that never comes to this slot, nor does one beside it.
static uint64_t tag_of_nothing(unsigned slot)
{
    return tag_of((slot ^ TLB_SIZE / 2) * GUEST_PAGE_SIZE);
}

static void clear(struct tlb_table *t, unsigned slot)
{
    t->read[slot] = t->store[slot] = t->write[slot] = t->exec[slot] = tag_of_nothing(slot);
}

// The one page that push, pop, call and ret look at first (inline_stack.c): no address hits that but one that is not
// canonical, with which the access then faults on the host.
void tlb_forget_stack(void)
{
    struct bt *bt = (struct bt *)BT_REGION;
    bt->stack_tag = 1ull << 63;
    bt->stack_addend = 0;
}

static void clear_all(struct tlb *tlb)
{
    for (unsigned mode = 0; mode < TLB_MODES; mode++)
        for (unsigned slot = 0; slot < TLB_SIZE; slot++)
            clear(&tlb->table[mode], slot);
}

struct tlb *tlb_create(void)
{
    struct tlb *tlb = mmap((void *)BT_TLB, BT_TLB_END - BT_TLB, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (tlb == MAP_FAILED)
        return NULL;
    clear_all(tlb);
    tlb_forget_stack();
    return tlb;
}

void tlb_destroy(struct tlb *tlb)
{
    munmap(tlb, BT_TLB_END - BT_TLB);
}

static void note_filled(struct tlb *tlb, enum tlb_mode mode, unsigned slot)
{
    if (tlb->filled < TLB_FLUSH_FEW)
        tlb->filled_slot[tlb->filled] = (uint16_t)(mode * TLB_SIZE + slot);
    tlb->filled++;
}

void tlb_fill(struct tlb *tlb, enum tlb_mode mode, uint64_t va, uint32_t access, const struct translation *t,
              const uint8_t *host, bool plain)
{
    struct tlb_table *table = &tlb->table[mode];
    unsigned slot = tlb_slot(va);
    uint64_t page = va & GUEST_PAGE_MASK, tag = tag_of(page);
    uint64_t addend = (uint64_t)(uintptr_t)host - page + TLB_SHIFT;
    bool known = table->read[slot] == tag || table->write[slot] == tag || table->exec[slot] == tag;
    if (!known || table->addend[slot] != addend) {
        clear(table, slot);
        table->addend[slot] = addend;
        note_filled(tlb, mode, slot);
    }
    if (t->page_size > GUEST_PAGE_SIZE)
        tlb->large_filter |= t->page_size > (1u << 21) ? ~0ull : 1ull << ((va >> 21) & 63);
    if (access & PF_FETCH)
        table->exec[slot] = tag;
    else
        table->read[slot] = tag;
    if (access & PF_WRITE)
        table->write[slot] = tag;
    if ((access & PF_WRITE) && plain)
        table->store[slot] = tag;
}

void tlb_allow_stores(struct tlb *tlb, enum tlb_mode mode, uint64_t va)
{
    struct tlb_table *table = &tlb->table[mode];
    table->store[tlb_slot(va)] = table->write[tlb_slot(va)];
}

static void forbid_stores(struct tlb_table *t, unsigned slot, const uint8_t *host)
{
    if (t->addend[slot] - t->store[slot] - TLB_SHIFT == (uint64_t)(uintptr_t)host)
        t->store[slot] = tag_of_nothing(slot);
}

void tlb_forbid_stores(struct tlb *tlb, const uint8_t *host)
{
    tlb_forget_stack();
    if (tlb->filled <= TLB_FLUSH_FEW) {
        for (unsigned i = 0; i < tlb->filled; i++)
            forbid_stores(&tlb->table[tlb->filled_slot[i] / TLB_SIZE], tlb->filled_slot[i] % TLB_SIZE, host);
        return;
    }
    for (unsigned mode = 0; mode < TLB_MODES; mode++)
        for (unsigned slot = 0; slot < TLB_SIZE; slot++)
            forbid_stores(&tlb->table[mode], slot, host);
}

void tlb_flush(struct tlb *tlb)
{
    tlb_forget_stack();
    if (tlb->filled <= TLB_FLUSH_FEW) {
        for (unsigned i = 0; i < tlb->filled; i++)
            clear(&tlb->table[tlb->filled_slot[i] / TLB_SIZE], tlb->filled_slot[i] % TLB_SIZE);
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
    tlb_forget_stack();
    for (unsigned mode = 0; mode < TLB_MODES; mode++)
        clear(&tlb->table[mode], tlb_slot(va));
}

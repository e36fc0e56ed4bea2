// SPDX-License-Identifier: BSD-2-Clause
// The software TLB: filling and flushing. A flush costs what was filled since the last one, as guests flush often and
// touch little in between.
#include "engines/bt/tlb.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "engines/bt/memory.h"

_Static_assert(sizeof(struct tlb) <= BT_LOW_END - BT_TLB, "the TLB has its place");

#define LARGE_SHIFT 21
#define NEVER (~0ull) // a number of changes that never is
#define HUGE_SHIFT 30

static uint64_t filter_bit(uint64_t region)
{
    return 1ull << ((region * 0x9e3779b97f4a7c15ull) >> 58);
}

static bool may_be_large(const struct tlb *tlb, uint64_t va)
{
    return (tlb->large_filter & filter_bit(va >> LARGE_SHIFT)) || (tlb->huge_filter & filter_bit(va >> HUGE_SHIFT));
}

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
    struct tlb *tlb = mmap((void *)BT_TLB, BT_LOW_END - BT_TLB, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (tlb == MAP_FAILED)
        return NULL;
    tlb->context = calloc(TLB_CONTEXTS, sizeof *tlb->context);
    if (!tlb->context) {
        tlb_destroy(tlb);
        return NULL;
    }
    clear_all(tlb);
    tlb_forget_stack();
    return tlb;
}

void tlb_destroy(struct tlb *tlb)
{
    free(tlb->context);
    munmap(tlb, BT_LOW_END - BT_TLB);
}

static void note_filled(struct tlb_filled *filled, unsigned slot)
{
    if (filled->count < TLB_FLUSH_FEW)
        filled->slot[filled->count] = (uint16_t)slot;
    filled->count++;
}

static bool all_known(const struct tlb *tlb)
{
    return tlb->local.count <= TLB_FLUSH_FEW && tlb->global.count <= TLB_FLUSH_FEW;
}

static struct tlb_table *table_of(struct tlb *tlb, unsigned slot) // of those that are remembered
{
    return &tlb->table[slot / TLB_SIZE];
}

void tlb_fill(struct tlb *tlb, enum tlb_mode mode, uint64_t va, uint32_t access, const struct translation *t,
              const uint8_t *host, bool plain)
{
    struct tlb_table *table = &tlb->table[mode];
    unsigned slot = tlb_slot(va);
    uint64_t page = va & GUEST_PAGE_MASK, tag = tag_of(page);
    uint64_t addend = (uint64_t)(uintptr_t)host - page + TLB_SHIFT;
    bool known = table->read[slot] == tag || table->write[slot] == tag || table->exec[slot] == tag;
    if (!known || table->addend[slot] != addend || (tlb->is_global[mode * TLB_SIZE + slot] && !t->global)) {
        clear(table, slot);
        table->addend[slot] = addend;
        tlb->is_global[mode * TLB_SIZE + slot] = t->global;
        note_filled(t->global ? &tlb->global : &tlb->local, mode * TLB_SIZE + slot);
    }
    if (t->page_size > 1u << LARGE_SHIFT)
        tlb->huge_filter |= filter_bit(va >> HUGE_SHIFT);
    else if (t->page_size > GUEST_PAGE_SIZE)
        tlb->large_filter |= filter_bit(va >> LARGE_SHIFT);
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

static void forbid_stores_in_context(struct tlb_context *context, const uint8_t *host)
{
    for (unsigned i = 0; i < context->count; i++) {
        struct tlb_entry *e = &context->entry[i];
        if (e->addend - e->store - TLB_SHIFT == (uint64_t)(uintptr_t)host)
            e->store = tag_of_nothing(e->slot % TLB_SIZE);
    }
}

void tlb_forbid_stores(struct tlb *tlb, const uint8_t *host)
{
    tlb_forget_stack();
    for (unsigned i = 0; i < TLB_CONTEXTS; i++)
        forbid_stores_in_context(&tlb->context[i], host);
    if (!all_known(tlb)) {
        for (unsigned mode = 0; mode < TLB_MODES; mode++)
            for (unsigned slot = 0; slot < TLB_SIZE; slot++)
                forbid_stores(&tlb->table[mode], slot, host);
        return;
    }
    for (unsigned i = 0; i < tlb->local.count; i++)
        forbid_stores(table_of(tlb, tlb->local.slot[i]), tlb->local.slot[i] % TLB_SIZE, host);
    for (unsigned i = 0; i < tlb->global.count; i++)
        forbid_stores(table_of(tlb, tlb->global.slot[i]), tlb->global.slot[i] % TLB_SIZE, host);
}

// ---- Flushes ----

static void clear_filled(struct tlb *tlb, struct tlb_filled *filled)
{
    for (unsigned i = 0; i < filled->count; i++)
        clear(table_of(tlb, filled->slot[i]), filled->slot[i] % TLB_SIZE);
    filled->count = 0;
}

void tlb_flush_loaded(struct tlb *tlb)
{
    tlb_forget_stack();
    if (all_known(tlb)) {
        clear_filled(tlb, &tlb->local);
        clear_filled(tlb, &tlb->global);
    } else {
        clear_all(tlb);
        tlb->local.count = tlb->global.count = 0;
    }
    tlb->large_filter = tlb->huge_filter = 0;
    tlb->unsure = false;
}

void tlb_flush(struct tlb *tlb)
{
    tlb_flush_loaded(tlb);
    for (unsigned i = 0; i < TLB_CONTEXTS; i++)
        tlb->context[i].used_at = tlb->context[i].count = 0;
}

// What the filters know of pages that are not global stays, and makes an invlpg look in vain.
void tlb_flush_local(struct tlb *tlb)
{
    tlb_forget_stack();
    if (tlb->local.count > TLB_FLUSH_FEW)
        tlb_flush_loaded(tlb);
    else
        clear_filled(tlb, &tlb->local);
    tlb->unsure = false;
}

// Of pages in the same GiB, be they larger than 4 KiB or not.
static void clear_beside(struct tlb *tlb, const struct tlb_filled *filled, uint64_t va)
{
    for (unsigned i = 0; i < filled->count; i++) {
        struct tlb_table *t = table_of(tlb, filled->slot[i]);
        unsigned slot = filled->slot[i] % TLB_SIZE;
        if (((0 - t->read[slot]) ^ va) >> HUGE_SHIFT == 0 || ((0 - t->exec[slot]) ^ va) >> HUGE_SHIFT == 0 ||
            ((0 - t->write[slot]) ^ va) >> HUGE_SHIFT == 0)
            clear(t, slot);
    }
}

void tlb_invlpg(struct tlb *tlb, uint64_t va)
{
    tlb_forget_stack();
    if (may_be_large(tlb, va)) { // any part of a large page may be anywhere
        if (all_known(tlb)) {
            clear_beside(tlb, &tlb->local, va);
            clear_beside(tlb, &tlb->global, va);
        } else {
            tlb_flush_loaded(tlb);
        }
    }
    for (unsigned mode = 0; mode < TLB_MODES; mode++)
        clear(&tlb->table[mode], tlb_slot(va));
}

// ---- Address spaces that are not loaded ----

static struct tlb_context *find_context(struct tlb *tlb, uint64_t cr3)
{
    for (unsigned i = 0; i < TLB_CONTEXTS; i++)
        if (tlb->context[i].used_at && tlb->context[i].cr3 == cr3)
            return &tlb->context[i];
    return NULL;
}

static struct tlb_context *take_context(struct tlb *tlb, uint64_t cr3)
{
    struct tlb_context *context = find_context(tlb, cr3);
    for (unsigned i = 0; i < TLB_CONTEXTS && !context; i++)
        if (!tlb->context[i].used_at)
            context = &tlb->context[i];
    if (context)
        return context;
    context = &tlb->context[0];
    for (unsigned i = 1; i < TLB_CONTEXTS; i++)
        if (tlb->context[i].used_at < context->used_at)
            context = &tlb->context[i];
    return context;
}

void tlb_park(struct tlb *tlb, uint64_t cr3, uint64_t changes)
{
    struct tlb_context *context = take_context(tlb, cr3);
    context->cr3 = cr3;
    context->changes = tlb->unsure ? NEVER : changes;
    context->used_at = ++tlb->clock;
    context->large_filter = tlb->large_filter;
    context->huge_filter = tlb->huge_filter;
    context->count = 0;
    for (unsigned i = 0; i < tlb->local.count && tlb->local.count <= TLB_FLUSH_FEW; i++) {
        unsigned number = tlb->local.slot[i], slot = number % TLB_SIZE;
        const struct tlb_table *t = table_of(tlb, number);
        if (!tlb->is_global[number]) // a global page may have come to its slot since, and no invlpg looks for it here
            context->entry[context->count++] = (struct tlb_entry){(uint16_t)number, t->read[slot],  t->store[slot],
                                                                  t->addend[slot],  t->write[slot], t->exec[slot]};
    }
    tlb_flush_local(tlb);
}

void tlb_unpark(struct tlb *tlb, uint64_t cr3, bool any, uint64_t changes)
{
    struct tlb_context *context = find_context(tlb, cr3);
    if (!context || !(any || context->changes == changes))
        return;
    for (unsigned i = 0; i < context->count; i++) {
        const struct tlb_entry *e = &context->entry[i];
        struct tlb_table *t = table_of(tlb, e->slot);
        unsigned slot = e->slot % TLB_SIZE;
        t->read[slot] = e->read, t->store[slot] = e->store, t->addend[slot] = e->addend;
        t->write[slot] = e->write, t->exec[slot] = e->exec;
        tlb->is_global[e->slot] = false;
        note_filled(&tlb->local, e->slot);
    }
    tlb->large_filter |= context->large_filter;
    tlb->huge_filter |= context->huge_filter;
    tlb->unsure = context->changes != changes;
    context->used_at = context->count = 0;
}

void tlb_forget_pcid(struct tlb *tlb, uint64_t pcid)
{
    for (unsigned i = 0; i < TLB_CONTEXTS; i++)
        if ((tlb->context[i].cr3 & CR3_PCID) == pcid)
            tlb->context[i].used_at = tlb->context[i].count = 0;
}

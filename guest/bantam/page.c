// SPDX-License-Identifier: BSD-2-Clause
// Physical pages: given out, counted, taken back. What is kept of a page is in an array beside it, so that giving one
// back touches neither the page nor the cache lines it had.
#include "guest/bantam/kernel.h"

struct page {
    uint32_t next; // of the free list: a page's number
    uint32_t holders;
};

// Pages from `fresh` on have never been given out: a list of all free pages would be a loop over all of RAM at the
// start.
static struct {
    struct page page[DIRECT_MAP_BYTES / PAGE_BYTES];
    uint32_t free; // 0: none
    uint32_t first, fresh, end;
} memory;

extern const char image_end[]; // image.ld

void pages_init(void)
{
    uint64_t end = ram_end() < DIRECT_MAP_BYTES ? ram_end() : DIRECT_MAP_BYTES;
    memory.first = (uint32_t)((phys_of(image_end) + PAGE_BYTES - 1) / PAGE_BYTES);
    memory.fresh = memory.first;
    memory.end = (uint32_t)(end / PAGE_BYTES);
}

uint64_t pages_all(void)
{
    return memory.end - memory.first;
}

void *page_take(void)
{
    uint32_t number = memory.free;
    if (number)
        memory.free = memory.page[number].next;
    else if (memory.fresh < memory.end)
        number = memory.fresh++;
    else
        return NULL;
    memory.page[number].holders = 1;
    return direct((uint64_t)number * PAGE_BYTES);
}

void page_clear(void *page)
{
    uint64_t count = PAGE_BYTES / 8;
    __asm__ volatile("rep stosq" : "+D"(page), "+c"(count) : "a"(0ull) : "memory");
}

void page_copy(void *to, const void *from)
{
    uint64_t count = PAGE_BYTES / 8;
    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}

void *page_take_zeroed(void)
{
    void *page = page_take();
    if (page)
        page_clear(page);
    return page;
}

static uint32_t number_of(uint64_t physical)
{
    return (uint32_t)(physical / PAGE_BYTES);
}

void page_hold(uint64_t physical)
{
    if (number_of(physical) >= memory.first)
        memory.page[number_of(physical)].holders++;
}

void page_drop(uint64_t physical)
{
    uint32_t number = number_of(physical);
    if (number < memory.first || --memory.page[number].holders)
        return;
    memory.page[number].next = memory.free;
    memory.free = number;
}

bool page_is_shared(uint64_t physical)
{
    uint32_t number = number_of(physical);
    return number < memory.first || memory.page[number].holders > 1;
}

void page_chain(uint32_t *list, void *page)
{
    uint32_t number = number_of(physical_of_direct(page));
    memory.page[number].next = *list;
    *list = number;
}

void pages_drop_chain(uint32_t list)
{
    while (list) {
        uint32_t next = memory.page[list].next;
        page_drop((uint64_t)list * PAGE_BYTES);
        list = next;
    }
}

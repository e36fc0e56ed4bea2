// SPDX-License-Identifier: BSD-2-Clause
// Address spaces: made, filled by exec, brought in page by page by faults, and what brk(), mmap() and munmap() do.
#include "guest/bantam/space.h"
#include "guest/insn.h"

static bool aligned(uint64_t x)
{
    return x % PAGE_BYTES == 0;
}

static uint64_t page_up(uint64_t x)
{
    return (x + PAGE_BYTES - 1) & -(uint64_t)PAGE_BYTES;
}

struct space *space_create(void)
{
    struct space *s = page_take();
    if (!s)
        return NULL;
    s->tables = 0;
    s->stale = true;
    s->break_start = s->break_end = 0;
    s->count = s->last = 0;
    if (!tables_init(s)) {
        page_drop(physical_of_direct(s));
        return NULL;
    }
    return s;
}

// Also of the space that is loaded: nothing of a freed page is changed until somebody takes it, which is not before
// another space is loaded.
void space_destroy(struct space *s)
{
    for (unsigned i = 0; i < s->count; i++)
        tables_forget(s, s->areas[i].start, s->areas[i].end, false);
    pages_drop_chain(s->tables);
    page_drop(physical_of_direct(s));
}

void space_switch(struct space *s, unsigned pcid)
{
    s->pcid = has_pcid ? pcid : 0;
    write_cr3(s->root | s->pcid | (has_pcid && !s->stale ? CR3_NOFLUSH : 0));
    s->stale = false;
}

int space_map(struct space *s, uint64_t start, uint64_t end, uint32_t prot, const char *bytes, uint64_t size)
{
    if (!aligned(start) || !aligned(end) || start >= end || end > USER_TOP)
        return -EINVAL;
    return area_add(s, (struct area){.start = start, .end = end, .prot = prot, .bytes = bytes, .size = size});
}

int space_map_stack(struct space *s)
{
    return area_add(
        s, (struct area){
               .start = STACK_TOP - PAGE_BYTES, .end = STACK_TOP, .prot = PROT_READ | PROT_WRITE, .grows_down = true});
}

// The stack's area where va is within what it may grow to and there is nothing else.
static struct area *grow_stack(struct space *s, uint64_t va)
{
    struct area *area = area_above(s, va);
    if (!area || !area->grows_down || va < area->end - STACK_MOST)
        return NULL;
    area->start = va & -(uint64_t)PAGE_BYTES;
    return area;
}

static bool may(const struct area *area, bool write, bool fetch)
{
    return write ? area->prot & PROT_WRITE : fetch ? area->prot & PROT_EXEC : area->prot != 0;
}

static uint64_t leaf(const struct area *area, const void *page, bool writable)
{
    return physical_of_direct(page) | PTE_P | PTE_U | PTE_A | (writable ? PTE_W | PTE_D : 0) |
           (area->prot & PROT_EXEC ? 0 : PTE_NX);
}

// A page that is there and not to be written: somebody else has it, too. The last one who has it keeps it.
static enum fault copy_on_write(uint64_t *entry, uint64_t va)
{
    uint64_t physical = *entry & PTE_ADDR;
    if (page_is_shared(physical)) {
        void *copy = page_take();
        if (!copy)
            return FAULT_NO_MEMORY;
        page_copy(copy, direct(physical));
        page_drop(physical);
        *entry = (*entry & ~PTE_ADDR) | physical_of_direct(copy) | PTE_W | PTE_D;
        invlpg((const void *)va);
    } else {
        *entry |= PTE_W | PTE_D; // more rights: nothing to flush (SDM vol. 3, 4.10.4.3)
    }
    return FAULT_CURED;
}

// A page of an area that starts out with bytes of the image: the image's own page where it can be.
static enum fault bring_in_bytes(const struct area *area, uint64_t *entry, uint64_t page_va, bool write)
{
    uint64_t offset = page_va - area->start, size = area->size - offset;
    const char *from = area->bytes + offset;
    if (size >= PAGE_BYTES && aligned((uint64_t)from) && !write) {
        *entry = leaf(area, direct(phys_of(from)), false);
        return FAULT_CURED;
    }
    char *page = page_take();
    if (!page)
        return FAULT_NO_MEMORY;
    if (size < PAGE_BYTES) {
        page_clear(page);
        __builtin_memcpy(page, from, size);
    } else {
        page_copy(page, from);
    }
    *entry = leaf(area, page, area->prot & PROT_WRITE);
    return FAULT_CURED;
}

enum fault space_fault(struct space *s, uint64_t va, bool write, bool fetch)
{
    struct area *area = area_find(s, va);
    if (!area && !(area = grow_stack(s, va)))
        return FAULT_UNMAPPED;
    if (!may(area, write, fetch))
        return FAULT_RIGHTS;
    uint64_t *entry = table_entry(s, va), page_va = va & -(uint64_t)PAGE_BYTES;
    if (!entry)
        return FAULT_NO_MEMORY;
    if (*entry & PTE_P)
        return write && !(*entry & PTE_W) ? copy_on_write(entry, va) : FAULT_CURED;
    if (area->bytes && page_va - area->start < area->size)
        return bring_in_bytes(area, entry, page_va, write);
    void *page = page_take_zeroed();
    if (!page)
        return FAULT_NO_MEMORY;
    *entry = leaf(area, page, area->prot & PROT_WRITE);
    return FAULT_CURED;
}

// The page with va in it, to be written by the kernel whatever the area's rights.
static char *page_for_write(struct space *s, uint64_t va)
{
    struct area *area = area_find(s, va);
    if (!area && !(area = grow_stack(s, va)))
        return NULL;
    uint32_t prot = area->prot;
    area->prot |= PROT_WRITE;
    enum fault fault = space_fault(s, va, true, false);
    area->prot = prot;
    if (fault != FAULT_CURED)
        return NULL;
    uint64_t *entry = table_entry(s, va);
    if (!(prot & PROT_WRITE))
        *entry &= ~PTE_W;
    return (char *)direct(*entry & PTE_ADDR) + va % PAGE_BYTES;
}

int space_write(struct space *s, uint64_t to, const void *from, size_t size)
{
    while (size) {
        size_t part = PAGE_BYTES - to % PAGE_BYTES;
        if (part > size)
            part = size;
        char *at = page_for_write(s, to);
        if (!at)
            return -EFAULT;
        __builtin_memcpy(at, from, part);
        to += part, from = (const char *)from + part, size -= part;
    }
    return 0;
}

void space_set_break(struct space *s, uint64_t start)
{
    s->break_start = s->break_end = page_up(start);
}

static int unmap(struct space *s, uint64_t start, uint64_t end)
{
    int error = area_remove(s, start, end);
    if (!error)
        tables_forget(s, start, end, true);
    return error;
}

static bool too_much(uint64_t size)
{
    return size > pages_all() * PAGE_BYTES;
}

int64_t sys_brk(struct trap_frame *frame)
{
    struct space *s = current()->space;
    uint64_t wanted = ARG0(frame), old_end = page_up(s->break_end), end = page_up(wanted);
    if (wanted < s->break_start || wanted > USER_TOP)
        return (int64_t)s->break_end;
    if (end > old_end) {
        if (too_much(end - s->break_start) || space_map(s, old_end, end, PROT_READ | PROT_WRITE, NULL, 0))
            return (int64_t)s->break_end;
    } else if (end < old_end && unmap(s, end, old_end)) {
        return (int64_t)s->break_end;
    }
    s->break_end = wanted;
    return (int64_t)wanted;
}

// Anonymous private memory; the address is taken for a wish only with MAP_FIXED.
int64_t sys_mmap(struct trap_frame *frame)
{
    struct space *s = current()->space;
    uint64_t start = ARG0(frame), size = ARG1(frame), prot = ARG2(frame), flags = ARG3(frame);
    if (!size || prot & ~(uint64_t)(PROT_READ | PROT_WRITE | PROT_EXEC))
        return -EINVAL;
    if ((flags & ~(uint64_t)MAP_FIXED) != (MAP_PRIVATE | MAP_ANONYMOUS))
        return -EINVAL;
    if (too_much(size))
        return -ENOMEM;
    size = page_up(size);
    if (flags & MAP_FIXED) {
        if (!aligned(start))
            return -EINVAL;
        if (start > USER_TOP - size)
            return -ENOMEM;
        if (unmap(s, start, start + size))
            return -ENOMEM;
    } else {
        start = area_gap(s, size);
    }
    if (!start || space_map(s, start, start + size, (uint32_t)prot, NULL, 0))
        return -ENOMEM;
    return (int64_t)start;
}

int64_t sys_munmap(struct trap_frame *frame)
{
    uint64_t start = ARG0(frame), size = ARG1(frame);
    if (!aligned(start) || !size || size > USER_TOP || start > USER_TOP - page_up(size))
        return -EINVAL;
    return unmap(current()->space, start, start + page_up(size));
}

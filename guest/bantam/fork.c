// SPDX-License-Identifier: BSD-2-Clause
// fork(): a process with a copy of everything, of which only the page tables are copied at once. Both spaces then name
// the same pages, neither may write, and who writes first gets a copy (copy_on_write() in space.c).
#include "guest/bantam/space.h"

// The parent's entries of one page table that lie in [va, end), from *from on. True where the parent lost a right.
static bool share(const uint64_t *stop, uint64_t *from, uint64_t *to)
{
    bool lost = false;
    for (; from < stop; from++, to++) {
        if (!(*from & PTE_P))
            continue;
        if (*from & PTE_W) {
            *from &= ~PTE_W;
            lost = true;
        }
        page_hold(*from & PTE_ADDR);
        *to = *from;
    }
    return lost;
}

static bool share_area(struct space *child, struct space *parent, const struct area *area, bool *lost)
{
    uint64_t *from;
    for (uint64_t va = area->start; (from = table_next(parent, &va, area->end));) {
        uint64_t *to = table_entry(child, va);
        if (!to)
            return false;
        uint64_t next = (va | (REGION_BYTES - 1)) + 1;
        if (next > area->end)
            next = area->end;
        *lost |= share(from + (next - va) / PAGE_BYTES, from, to);
        va = next;
    }
    return true;
}

struct space *space_fork(struct space *parent)
{
    struct space *child = space_create();
    if (!child)
        return NULL;
    child->break_start = parent->break_start;
    child->break_end = parent->break_end;
    child->count = parent->count;
    __builtin_memcpy(child->areas, parent->areas, parent->count * sizeof *parent->areas);
    bool lost = false, ok = true;
    for (unsigned i = 0; i < parent->count && ok; i++)
        ok = share_area(child, parent, &parent->areas[i], &lost);
    if (lost)
        space_flush(parent);
    if (!ok) {
        space_destroy(child);
        return NULL;
    }
    return child;
}

int64_t sys_fork(struct trap_frame *frame)
{
    struct process *parent = current(), *child = process_take();
    if (!child)
        return -EAGAIN;
    child->space = space_fork(parent->space);
    if (!child->space) {
        process_release(child);
        return -ENOMEM;
    }
    *child->frame = *frame;
    child->frame->rax = 0;
    child->fs_base = parent->fs_base;
    fpu_fork(child);
    child->pending = 0;
    child->blocked = parent->blocked;
    __builtin_memcpy(child->actions, parent->actions, sizeof parent->actions);
    files_fork(child, parent);
    child->parent = parent;
    child->sibling = parent->children;
    parent->children = child;
    process_make_runnable(child);
    return child->pid;
}

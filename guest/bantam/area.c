// SPDX-License-Identifier: BSD-2-Clause
// The areas of an address space: a short array sorted by address. What a fault there means, space.c decides.
#include "guest/bantam/space.h"

#define MMAP_LEAST 0x10000 // mmap() gives nothing below

// Index of the first area that ends above va.
static unsigned index_above(const struct space *s, uint64_t va)
{
    unsigned i = 0;
    while (i < s->count && s->areas[i].end <= va)
        i++;
    return i;
}

struct area *area_above(struct space *s, uint64_t va)
{
    unsigned i = index_above(s, va);
    return i < s->count ? &s->areas[i] : NULL;
}

struct area *area_find(struct space *s, uint64_t va)
{
    unsigned i = s->last; // faults come in runs
    if (i >= s->count || va < s->areas[i].start || va >= s->areas[i].end) {
        i = index_above(s, va);
        if (i == s->count || va < s->areas[i].start)
            return NULL;
        s->last = i;
    }
    return &s->areas[i];
}

static void insert_at(struct space *s, unsigned i, struct area area)
{
    __builtin_memmove(&s->areas[i + 1], &s->areas[i], (s->count - i) * sizeof *s->areas);
    s->areas[i] = area;
    s->count++;
}

static void remove_at(struct space *s, unsigned i)
{
    s->count--;
    __builtin_memmove(&s->areas[i], &s->areas[i + 1], (s->count - i) * sizeof *s->areas);
}

static bool can_merge(const struct area *low, const struct area *high)
{
    return low->end == high->start && low->prot == high->prot && !low->bytes && !high->bytes && !low->grows_down &&
           !high->grows_down;
}

int area_add(struct space *s, struct area area)
{
    unsigned i = index_above(s, area.start);
    if (i < s->count && s->areas[i].start < area.end)
        return -EINVAL;
    if (i > 0 && can_merge(&s->areas[i - 1], &area)) {
        area.start = s->areas[i - 1].start;
        remove_at(s, --i);
    }
    if (i < s->count && can_merge(&area, &s->areas[i])) {
        area.end = s->areas[i].end;
        remove_at(s, i);
    }
    if (s->count == AREAS_MAX)
        return -ENOMEM;
    insert_at(s, i, area);
    return 0;
}

// [at, end) of an area, with the bytes that belong there.
static struct area upper_part(struct area area, uint64_t at)
{
    uint64_t skipped = at - area.start;
    area.start = at;
    if (area.bytes && area.size > skipped) {
        area.bytes += skipped;
        area.size -= skipped;
    } else {
        area.bytes = NULL;
        area.size = 0;
    }
    return area;
}

int area_remove(struct space *s, uint64_t start, uint64_t end)
{
    unsigned i = index_above(s, start);
    while (i < s->count && s->areas[i].start < end) {
        struct area area = s->areas[i];
        if (area.start < start && area.end > end) {
            if (s->count == AREAS_MAX)
                return -ENOMEM;
            insert_at(s, i + 1, upper_part(area, end));
            s->areas[i].end = start;
        } else if (area.start < start) {
            s->areas[i].end = start;
        } else if (area.end > end) {
            s->areas[i] = upper_part(area, end);
        } else {
            remove_at(s, i);
            continue;
        }
        i++;
    }
    return 0;
}

uint64_t area_gap(struct space *s, uint64_t size)
{
    uint64_t top = MMAP_TOP;
    for (unsigned i = s->count; i > 0; i--) {
        const struct area *area = &s->areas[i - 1];
        if (area->start >= top)
            continue;
        if (area->end <= top && top - area->end >= size)
            break;
        top = area->start;
    }
    return top >= size + MMAP_LEAST ? top - size : 0;
}

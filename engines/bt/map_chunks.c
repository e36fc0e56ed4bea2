// SPDX-License-Identifier: BSD-2-Clause
// What is mapped: keeping the books by chunks of 2 MiB of guest-virtual addresses, which is what one page table or one
// large page covers, and carrying changes out, in the monitor's own address space or by whoever keeps a process's. All
// memory is reserved beforehand, as faults arrive in a signal handler.
#include "engines/bt/map_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define KERNEL_CHUNKS 8192u
#define USER_CHUNKS 2048u

// ---- The monitor's own address space as a host ----

static void *here(const struct process_command *c)
{
    return (void *)(uintptr_t)(c->va + BT_BIAS);
}

static bool change_here(void *context, const struct process_command *c)
{
    const struct guest_ram *ram = context;
    const int flags = MAP_SHARED | MAP_FIXED | (c->populate ? MAP_POPULATE : 0);
    switch ((enum process_op)c->op) {
    case PROCESS_MAP:
        return mmap(here(c), c->bytes, c->prot, flags, ram->memfd, (off_t)c->ram_offset) != MAP_FAILED;
    case PROCESS_UNMAP:
        return munmap(here(c), c->bytes) == 0;
    default:
        return mprotect(here(c), c->bytes, c->prot) == 0;
    }
}

// There is nothing else below BT_VMM_START. In one piece, as the host may not be able to split an area any more.
static void clear_here(void *context)
{
    (void)context;
    munmap((void *)LOWEST_HOST, BT_VMM_START - LOWEST_HOST);
}

// ---- Creation ----

static void *reserve(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static void release(void *p, size_t bytes)
{
    if (p)
        munmap(p, bytes);
}

static unsigned host_areas_limit(void)
{
    unsigned long limit = 65530; // Linux's default
    FILE *f = fopen("/proc/sys/vm/max_map_count", "re");
    if (f) {
        if (fscanf(f, "%lu", &limit) != 1)
            limit = 65530;
        fclose(f);
    }
    return limit > 1u << 30 ? 1u << 29 : (unsigned)(limit / 2);
}

static void frames_destroy(struct frames *f)
{
    release(f->traced, f->count);
    release(f->writable, f->count * sizeof *f->writable);
    release(f->use, f->count * sizeof *f->use);
    munmap(f, sizeof *f);
}

static struct frames *frames_create(const struct guest_ram *ram)
{
    struct frames *f = reserve(sizeof *f);
    if (!f)
        return NULL;
    f->ram = ram;
    f->count = ram->size / GUEST_PAGE_SIZE;
    f->traced = reserve(f->count);
    f->writable = reserve(f->count * sizeof *f->writable);
    f->use = reserve(f->count * sizeof *f->use);
    f->changes = MAP_CHANGES + 1; // nothing has been looked at
    if (f->use && f->traced && f->writable)
        return f;
    frames_destroy(f);
    return NULL;
}

static void space_destroy(struct map *m)
{
    release(m->chunks, m->max_chunks * sizeof *m->chunks);
    release(m->noted, m->max_chunks * sizeof *m->noted);
    release(m->live, m->max_chunks * sizeof *m->live);
    munmap(m, sizeof *m);
}

static struct map *space_create(struct frames *frames, uint32_t chunks, const struct map_host *host)
{
    struct map *m = reserve(sizeof *m);
    if (!m)
        return NULL;
    m->frames = frames;
    m->ram = frames->ram;
    m->host = *host;
    m->areas_limit = host_areas_limit();
    m->max_chunks = chunks;
    m->chunks = reserve(chunks * sizeof *m->chunks);
    m->noted = reserve(chunks * sizeof *m->noted);
    m->live = reserve(chunks * sizeof *m->live);
    m->first_free = NO_CHUNK;
    memset(m->hash, 0xff, sizeof m->hash); // NO_CHUNK
    if (!m->chunks || !m->noted || !m->live) {
        space_destroy(m);
        return NULL;
    }
    m->next = frames->maps;
    frames->maps = m;
    return m;
}

struct map *map_create(const struct guest_ram *ram)
{
    const struct map_host host = {change_here, clear_here, (void *)(uintptr_t)ram};
    struct frames *frames = frames_create(ram);
    struct map *m = frames ? space_create(frames, KERNEL_CHUNKS, &host) : NULL;
    if (!m && frames)
        frames_destroy(frames);
    return m;
}

struct map *map_create_user(struct map *kernel, const struct map_host *host)
{
    struct map *m = space_create(kernel->frames, USER_CHUNKS, host);
    if (m)
        m->user = true;
    return m;
}

void map_destroy(struct map *m)
{
    struct frames *frames = m->frames;
    map_drop_all(m);
    struct map **at = &frames->maps;
    while (*at != m)
        at = &(*at)->next;
    *at = m->next;
    if (!m->user)
        frames_destroy(frames);
    space_destroy(m);
}

// ---- Chunks ----

static uint32_t *hash_slot(struct map *m, uint64_t chunk_va)
{
    return &m->hash[((chunk_va >> CHUNK_SHIFT) * 0x9e3779b97f4a7c15ull) >> 52];
}

struct chunk *map_find_chunk(struct map *m, uint64_t va)
{
    va &= ~(CHUNK_SIZE - 1);
    for (uint32_t i = *hash_slot(m, va); i != NO_CHUNK; i = m->chunks[i].hash_next)
        if (m->chunks[i].va == va)
            return &m->chunks[i];
    return NULL;
}

bool map_is_full(const struct map *m)
{
    return (m->first_free == NO_CHUNK && m->used_chunks == m->max_chunks) || m->areas + 3 > m->areas_limit;
}

struct chunk *map_new_chunk(struct map *m, uint64_t va)
{
    uint32_t i = m->first_free;
    if (i == NO_CHUNK)
        i = m->used_chunks++;
    else
        m->first_free = m->chunks[i].hash_next;
    struct chunk *c = &m->chunks[i];
    *c = (struct chunk){.va = va & ~(CHUNK_SIZE - 1), .live_at = m->live_count, .ram_low = ~0u};
    m->live[m->live_count++] = i;
    m->local_count++;
    uint32_t *slot = hash_slot(m, c->va);
    c->hash_next = *slot;
    *slot = i;
    return c;
}

void map_free_chunk(struct map *m, struct chunk *c)
{
    map_set_global(m, c, true); // not counted any more
    uint32_t i = (uint32_t)(c - m->chunks);
    uint32_t *at = hash_slot(m, c->va);
    while (*at != i)
        at = &m->chunks[*at].hash_next;
    *at = c->hash_next;
    uint32_t last = m->live[--m->live_count];
    m->live[c->live_at] = last;
    m->chunks[last].live_at = c->live_at;
    c->hash_next = m->first_free;
    m->first_free = i;
}

static void forget_chunk(struct map *m, const struct chunk *c)
{
    for (unsigned i = 0, seen = 0; i < PAGES && seen < c->mapped; i++) {
        seen += !!c->page[i];
        if (c->page[i] & WRITABLE)
            m->frames->writable[c->page[i] >> RAM_PAGE_SHIFT]--;
    }
    *hash_slot(m, c->va) = NO_CHUNK;
}

void map_drop_all(struct map *m)
{
    if (m->live_count)
        m->host.clear(m->host.context);
    for (uint32_t i = 0; i < m->live_count; i++)
        forget_chunk(m, &m->chunks[m->live[i]]);
    m->first_free = NO_CHUNK;
    m->used_chunks = 0;
    m->live_count = 0;
    m->local_count = 0;
    m->huge = false;
    m->areas = 0;
}

// Areas that begin at pages [from, to]: the host merges what goes on in the same way.
static unsigned areas_in(const struct chunk *c, unsigned from, unsigned to)
{
    unsigned n = 0;
    for (unsigned i = from; i <= to && i < PAGES; i++)
        n += c->page[i] && (i == 0 || c->page[i] != c->page[i - 1] + NEXT_PAGE);
    return n;
}

// Notes value for page [from, from + count), counting up in RAM, or 0 for all of them.
static void note(struct map *m, struct chunk *c, unsigned from, unsigned count, uint32_t value)
{
    unsigned before = areas_in(c, from, from + count);
    for (unsigned i = from; i < from + count; i++) {
        uint32_t old = c->page[i];
        if (old & WRITABLE)
            m->frames->writable[old >> RAM_PAGE_SHIFT]--;
        if (value & WRITABLE)
            m->frames->writable[value >> RAM_PAGE_SHIFT]++;
        c->mapped += !!value - !!old;
        c->page[i] = value;
        if (value)
            value += NEXT_PAGE;
    }
    m->areas += areas_in(c, from, from + count) - before;
}

// ---- Carrying out ----

static uint8_t protection(uint32_t value)
{
    return PROT_READ | (value & WRITABLE ? PROT_WRITE : 0) | (value & EXECUTABLE ? PROT_EXEC : 0);
}

static bool change(const struct map *m, const struct chunk *c, unsigned first, unsigned count, enum process_op op,
                   uint32_t value)
{
    const struct process_command command = {
        .va = c->va + first * GUEST_PAGE_SIZE,
        .bytes = count * GUEST_PAGE_SIZE,
        .ram_offset = (uint64_t)(value >> RAM_PAGE_SHIFT) * GUEST_PAGE_SIZE,
        .op = (uint8_t)op,
        .prot = protection(value),
        .populate = count <= POPULATE_PAGES,
    };
    return m->host.change(m->host.context, &command);
}

bool map_pages(struct map *m, struct chunk *c, unsigned first, unsigned count, uint32_t value)
{
    uint32_t ram_page = value >> RAM_PAGE_SHIFT;
    if (!change(m, c, first, count, PROCESS_MAP, value))
        return false;
    note(m, c, first, count, value);
    if (ram_page < c->ram_low)
        c->ram_low = ram_page;
    if (ram_page + count - 1 > c->ram_high)
        c->ram_high = ram_page + count - 1;
    return true;
}

bool map_drop_pages(struct map *m, struct chunk *c, unsigned first, unsigned count)
{
    bool done = change(m, c, first, count, PROCESS_UNMAP, 0);
    if (done)
        note(m, c, first, count, 0);
    else // the host cannot split an area any more
        map_drop_all(m);
    return done;
}

bool map_write_protect(struct map *m, struct chunk *c, unsigned page)
{
    uint32_t value = c->page[page] & ~WRITABLE;
    bool done = change(m, c, page, 1, PROCESS_PROTECT, value);
    if (done)
        note(m, c, page, 1, value);
    else
        map_drop_all(m);
    return done;
}

// SPDX-License-Identifier: BSD-2-Clause
// The decoded-block cache: finding, building, linking and dropping blocks.
#include "engines/interp/block.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "engines/interp/debug.h"
#include "engines/interp/fault.h"
#include "engines/interp/lower.h"
#include "engines/interp/lowering.h"
#include "engines/interp/mmu.h"

#define ARENA_BYTES (64u << 20)
#define HASH_SIZE (1u << 14)

struct block_cache {
    uint8_t *arena; // blocks one behind the other; emptied as a whole when full
    size_t used;
    unsigned flushes;
    uint64_t ram_pages;
    struct block **page; // per page of RAM: the blocks with bytes on it
    struct block *hash[HASH_SIZE];
    struct jump_entry jumps[2][JUMP_CACHE_SIZE];
    // block_single's block; in a cell of its own so that it never meets the cache
    _Alignas(struct block) uint8_t single[sizeof(struct block) + BLOCK_MAX_OPS * sizeof(struct op)];
};

struct block_cache *block_cache_create(const struct guest_ram *ram)
{
    struct block_cache *cache = calloc(1, sizeof *cache);
    if (!cache)
        return NULL;
    cache->ram_pages = ram->size / GUEST_PAGE_SIZE;
    cache->page = calloc(cache->ram_pages, sizeof(struct block *));
    cache->arena = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (cache->arena == MAP_FAILED)
        cache->arena = NULL;
    if (!cache->page || !cache->arena) {
        block_cache_destroy(cache);
        return NULL;
    }
    return cache;
}

void block_cache_destroy(struct block_cache *cache)
{
    if (cache->arena)
        munmap(cache->arena, ARENA_BYTES);
    free(cache->page);
    free(cache);
}

struct jump_entry *block_jump_cache(struct block_cache *cache, unsigned cpl)
{
    return cache->jumps[cpl ? 1 : 0];
}

void block_void_links(struct cpu *c)
{
    c->link_generation++;
    memset(c->code_filter, 0, sizeof c->code_filter);
}

void block_flush(struct cpu *c)
{
    struct block_cache *cache = c->cache;
    memset(cache->hash, 0, sizeof cache->hash);
    memset(cache->page, 0, cache->ram_pages * sizeof cache->page[0]);
    cache->used = 0;
    cache->flushes++;
    block_void_links(c);
}

// ---- Lists ----

static struct block **hash_slot(struct block_cache *cache, uint64_t gpa, uint64_t rip)
{
    uint64_t h = (gpa ^ (rip >> 20)) * 0x9e3779b97f4a7c15ull;
    return &cache->hash[h >> (64 - 14)];
}

// Index of the page of RAM at guest-physical page address page; false where it is not RAM.
static bool page_index(const struct cpu *c, uint64_t page, uint64_t *index)
{
    if (page == NO_PAGE || !ram_at(c->ram, gpa(page), GUEST_PAGE_SIZE))
        return false;
    *index = ram_offset(gpa(page)) / GUEST_PAGE_SIZE;
    return true;
}

static void enlist(struct cpu *c, struct block *b)
{
    struct block_cache *cache = c->cache;
    struct block **slot = hash_slot(cache, b->gpa, b->rip);
    b->hash_next = *slot;
    *slot = b;

    uint64_t pages[2] = {b->gpa & GUEST_PAGE_MASK, b->second_page};
    for (unsigned i = 0; i < 2; i++) {
        uint64_t index;
        if (!page_index(c, pages[i], &index))
            continue;
        if (!cache->page[index])
            mmu_drop_write_tags(c);
        b->page_next[i] = cache->page[index];
        cache->page[index] = b;
    }
}

// The pointer that continues the list of page `page` behind b: a block can be on two lists.
static struct block **next_on_page(struct block *b, uint64_t page)
{
    return &b->page_next[(b->gpa & GUEST_PAGE_MASK) == page ? 0 : 1];
}

static void unlist(struct cpu *c, struct block *dead)
{
    struct block_cache *cache = c->cache;
    struct block **at = hash_slot(cache, dead->gpa, dead->rip);
    while (*at != dead)
        at = &(*at)->hash_next;
    *at = dead->hash_next;

    uint64_t pages[2] = {dead->gpa & GUEST_PAGE_MASK, dead->second_page};
    for (unsigned i = 0; i < 2; i++) {
        uint64_t index;
        if (!page_index(c, pages[i], &index))
            continue;
        at = &cache->page[index];
        while (*at != dead)
            at = next_on_page(*at, pages[i]);
        *at = *next_on_page(dead, pages[i]);
    }
}

// ---- Invalidation ----

static HANDLER(op_stale)
{
    return leave_before(c, op);
}

bool block_page_has_code(const struct block_cache *cache, uint64_t ram_offset)
{
    return cache->page[ram_offset / GUEST_PAGE_SIZE] != NULL;
}

static bool overlaps(const struct block *b, uint64_t page, unsigned first, unsigned last)
{
    if (b->second_page == page) // the tail of a block across two pages
        return first < (b->gpa + b->bytes) % GUEST_PAGE_SIZE;
    unsigned start = b->gpa % GUEST_PAGE_SIZE;
    return start <= last && first < start + b->bytes;
}

void block_invalidate(struct cpu *c, uint64_t ram_offset, unsigned size)
{
    uint64_t page = ram_offset & GUEST_PAGE_MASK;
    if (page >= RAM_HOLE_START)
        page += RAM_HOLE_END - RAM_HOLE_START;
    unsigned first = ram_offset % GUEST_PAGE_SIZE;
    struct block *next, *b = c->cache->page[ram_offset / GUEST_PAGE_SIZE];
    for (; b; b = next) {
        next = *next_on_page(b, page);
        if (!overlaps(b, page, first, first + size - 1))
            continue;
        unlist(c, b);
        for (unsigned i = 0; i < b->ops; i++)
            b->op[i].fn = op_stale;
        block_void_links(c);
        count(c, EV_blocks_invalidated);
    }
}

// ---- Building ----

// A breakpoint of a debugger outside stands before the instruction that is not here.
static HANDLER(op_breakpoint)
{
    c->exit = VCPU_EXIT_BREAKPOINT;
    return leave_before(c, op);
}

// One instruction that may go on in the next page. Sets b->second_page where it does.
static void build_first(struct cpu *c, struct lowering *low, struct block *b)
{
    struct x86_code s = x86_code_at(c->ram, gpa(b->gpa));
    if (s.left >= X86_MAX_INSN || lowering_fits(low, s.bytes, s.left)) {
        lowering_insn(low, s.bytes, s.left);
        return;
    }
    uint8_t both[X86_MAX_INSN];
    gpa_t second = mmu_fetch(c, (b->rip & GUEST_PAGE_MASK) + GUEST_PAGE_SIZE);
    struct x86_code tail = x86_code_at(c->ram, second);
    memcpy(both, s.bytes, s.left);
    memcpy(both + s.left, tail.bytes, X86_MAX_INSN - s.left);
    b->second_page = second.v & GUEST_PAGE_MASK;
    lowering_insn(low, both, X86_MAX_INSN);
}

static void build_breakpoint(struct lowering *low)
{
    emit(&low->l, op_breakpoint);
    low->l.ends = true;
    low->insns = low->bytes = 1; // of which none is executed
}

// An instruction with a breakpoint, the guest's or a debugger's, is in no block with what stands before it.
static bool may_go_on(const struct cpu *c, uint64_t rip)
{
    return !breakpoint_at(&c->breakpoints, rip) && (!c->break_at || !debug_breaks_at(c, rip));
}

// A block for the cache ends before a debugger's breakpoint, or consists of it. single: one instruction, whatever it
// is.
static void build(struct cpu *c, struct block *b, uint64_t rip, uint64_t at, bool single)
{
    unsigned max_insns = single || c->break_data ? 1 : BLOCK_MAX_INSNS;
    memset(b, 0, sizeof *b);
    b->rip = rip;
    b->gpa = at;
    b->second_page = NO_PAGE;
    b->cpl = (uint8_t)c->cpl;

    struct lowering low;
    lowering_start(&low, c, rip, b->op);
    if (!single && breakpoint_at(&c->breakpoints, rip))
        build_breakpoint(&low);
    else
        build_first(c, &low, b);
    struct x86_code s = x86_code_at(c->ram, gpa(at));
    const struct op *full = b->op + BLOCK_MAX_OPS - 2 * LOWER_MAX_OPS; // room for one more and the closing jump
    while (!low.l.ends && b->second_page == NO_PAGE && low.insns < max_insns && low.l.next < full &&
           low.bytes < s.left && may_go_on(c, low.l.rip) &&
           lowering_fits(&low, s.bytes + low.bytes, s.left - low.bytes))
        lowering_insn(&low, s.bytes + low.bytes, s.left - low.bytes);
    lowering_finish(&low);

    b->bytes = (uint16_t)low.bytes;
    b->insns = (uint8_t)low.insns;
    b->ops = (uint16_t)(low.l.next - b->op);
    c->vcpu->counters.n[EV_insns_decoded] += low.insns;
    count(c, EV_blocks);
}

const struct block *block_single(struct cpu *c)
{
    struct block *b = (struct block *)c->cache->single;
    build(c, b, c->rip, mmu_fetch(c, c->rip).v, true);
    return b;
}

const struct block *block_find(struct cpu *c, uint64_t rip)
{
    if (UNLIKELY(c->break_at))
        debug_raise_at(c);
    uint64_t at = mmu_fetch(c, rip).v;
    struct block_cache *cache = c->cache;
    count(c, EV_block_lookups);
    for (struct block *b = *hash_slot(cache, at, rip); b; b = b->hash_next) {
        if (b->gpa != at || b->rip != rip || b->cpl != c->cpl)
            continue;
        if (b->second_page != NO_PAGE &&
            (mmu_fetch(c, (rip & GUEST_PAGE_MASK) + GUEST_PAGE_SIZE).v & GUEST_PAGE_MASK) != b->second_page)
            continue;
        mmu_note_code(c, rip);
        if (b->second_page != NO_PAGE)
            mmu_note_code(c, rip + b->bytes - 1);
        return b;
    }

    size_t worst = sizeof(struct block) + BLOCK_MAX_OPS * sizeof(struct op);
    if (cache->used + worst > ARENA_BYTES)
        block_flush(c);
    struct block *b = (struct block *)(cache->arena + cache->used);
    build(c, b, rip, at, false);
    cache->used += sizeof *b + b->ops * sizeof(struct op);
    enlist(c, b);
    mmu_note_code(c, rip);
    mmu_note_code(c, rip + b->bytes - 1);
    return b;
}

// ---- Going on ----

COLD const struct op *block_attention(struct cpu *c, const struct block *b)
{
    c->icount -= b->insns;
    c->rip = b->rip;
    return NULL;
}

static const struct op *enter(struct cpu *c, const struct block *b)
{
    ENTER(b);
}

const struct op *block_follow(struct cpu *c, const struct op *op, unsigned slot, uint64_t rip)
{
    c->rip = rip;
    if (c->stepping || c->debug_hits) // the run loop wants its turn before anything of the next instruction happens
        return NULL;
    unsigned flushes = c->cache->flushes;
    const struct block *b = block_find(c, rip);
    if (flushes == c->cache->flushes) {
        struct link *link = (struct link *)(uintptr_t)(op + slot);
        link->to = b;
        link->generation = c->link_generation;
    }
    return enter(c, b);
}

const struct op *block_jump(struct cpu *c, uint64_t rip)
{
    c->rip = rip;
    if (c->stepping || c->debug_hits)
        return NULL;
    const struct block *b = block_find(c, rip);
    struct jump_entry *entry = &c->jumps[(rip ^ (rip >> 10)) % JUMP_CACHE_SIZE];
    *entry = (struct jump_entry){.rip = rip, .generation = c->link_generation, .to = b};
    return enter(c, b);
}

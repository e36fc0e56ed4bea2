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
#include "engines/interp/window.h"
#include "x86/encoding.h"

#define ARENA_BYTES (64u << 20)
#define HASH_SIZE (1u << 14)

struct block_cache {
    uint8_t *arena; // blocks one behind the other; emptied as a whole when full
    size_t used;
    unsigned flushes;
    uint64_t ram_pages;
    struct block **page; // per page of RAM: the blocks with bytes on it
    struct block *hash[HASH_SIZE];
    struct jump_entry jumps[X86_MODES][2][JUMP_CACHE_SIZE];
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

struct jump_entry *block_jump_cache(struct block_cache *cache, unsigned cpl, enum x86_mode mode)
{
    return cache->jumps[mode][cpl ? 1 : 0];
}

void block_void_links(struct cpu *c)
{
    c->link_generation++;
    memset(c->code_filter, 0, sizeof c->code_filter);
}

// ---- Lists ----

static size_t block_size(const struct block *b)
{
    return sizeof *b + b->ops * sizeof(struct op);
}

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

// The arena's blocks one by one, while they are few; the lists as a whole, where that is less.
static void empty_lists(struct cpu *c)
{
    enum { FEW_BYTES = 1 << 16 };
    struct block_cache *cache = c->cache;
    if (cache->used > FEW_BYTES) {
        memset(cache->hash, 0, sizeof cache->hash);
        memset(cache->page, 0, cache->ram_pages * sizeof cache->page[0]);
        return;
    }
    for (size_t at = 0; at < cache->used;) {
        const struct block *b = (const struct block *)(cache->arena + at);
        uint64_t index;
        *hash_slot(cache, b->gpa, b->rip) = NULL;
        if (page_index(c, b->gpa & GUEST_PAGE_MASK, &index))
            cache->page[index] = NULL;
        if (page_index(c, b->second_page, &index))
            cache->page[index] = NULL;
        at += block_size(b);
    }
}

void block_flush(struct cpu *c)
{
    empty_lists(c);
    c->cache->used = 0;
    c->cache->flushes++;
    block_void_links(c);
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

// ---- Where code lies ----

// Bytes from rip on that the code segment has.
static uint64_t code_room(const struct cpu *c, uint64_t rip)
{
    if (c->mode == X86_CODE64)
        return UINT64_MAX;
    return rip > c->code_limit ? 0 : c->code_limit - rip + 1;
}

// Where the instruction at c->rip lies; raises what fetching its first byte raises. Outside 64-bit mode the instruction
// pointer has 32 bits and has wrapped around.
static uint64_t fetch(struct cpu *c)
{
    if (LIKELY(c->mode == X86_CODE64))
        return mmu_fetch(c, c->rip).v;
    c->rip = (uint32_t)c->rip;
    if (code_room(c, c->rip) == 0)
        raise_error(c, NULL, VEC_GP, 0);
    return mmu_fetch(c, code_linear(c, c->rip)).v;
}

// The page behind that of the instruction at rip.
static gpa_t fetch_second_page(struct cpu *c, uint64_t rip)
{
    uint64_t second = (code_linear(c, rip) & GUEST_PAGE_MASK) + GUEST_PAGE_SIZE;
    return mmu_fetch(c, c->mode == X86_CODE64 ? second : (uint32_t)second);
}

// ---- Building ----

// A breakpoint of a debugger outside stands before the instruction that is not here.
static HANDLER(op_breakpoint)
{
    c->exit = VCPU_EXIT_BREAKPOINT;
    return leave_before(c, op);
}

// One instruction that may go on in the next page. Sets b->second_page where it does. The limit comes before the fault
// of a page behind it, and both before what the bytes are (SDM vol. 3, 6.9).
static void build_first(struct cpu *c, struct lowering *low, struct block *b)
{
    struct x86_code s = x86_code_at(c->ram, gpa(b->gpa));
    uint64_t room = code_room(c, b->rip);
    uint8_t both[X86_MAX_INSN];
    if (room > s.left && !x86_encoding_fits(c->mode, s.bytes, s.left)) {
        gpa_t second = fetch_second_page(c, b->rip);
        struct x86_code tail = x86_code_at(c->ram, second);
        memcpy(both, s.bytes, s.left);
        memcpy(both + s.left, tail.bytes, X86_MAX_INSN - s.left);
        b->second_page = second.v & GUEST_PAGE_MASK;
        s = (struct x86_code){both, X86_MAX_INSN};
    }
    unsigned left = s.left < room ? s.left : (unsigned)room;
    if (x86_encoding_fits(c->mode, s.bytes, left))
        lowering_insn(low, s.bytes, left);
    else
        lowering_beyond(low);
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
    b->mode = (uint8_t)c->mode;
    b->code_limit = c->code_limit;

    struct lowering low;
    lowering_start(&low, c, rip, b->op);
    if (!single && breakpoint_at(&c->breakpoints, rip))
        build_breakpoint(&low);
    else
        build_first(c, &low, b);
    struct x86_code s = x86_code_at(c->ram, gpa(at));
    uint64_t room = code_room(c, rip);
    unsigned left = s.left < room ? s.left : (unsigned)room;
    const struct op *full = b->op + BLOCK_MAX_OPS - 2 * LOWER_MAX_OPS; // room for one more and the closing jump
    while (!low.l.ends && b->second_page == NO_PAGE && low.insns < max_insns && low.l.next < full && low.bytes < left &&
           may_go_on(c, low.l.rip) && x86_encoding_fits(c->mode, s.bytes + low.bytes, left - low.bytes))
        lowering_insn(&low, s.bytes + low.bytes, left - low.bytes);
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
    uint64_t at = fetch(c);
    build(c, b, c->rip, at, true);
    return b;
}

static bool is_block(const struct cpu *c, const struct block *b, uint64_t at, uint64_t rip)
{
    return b->gpa == at && b->rip == rip && b->cpl == c->cpl && b->mode == c->mode &&
           (b->mode == X86_CODE64 || b->code_limit == c->code_limit);
}

static void note_code(struct cpu *c, const struct block *b, unsigned last)
{
    uint64_t linear = code_linear(c, b->rip);
    mmu_note_code(c, linear);
    if (last)
        mmu_note_code(c, linear + last);
}

const struct block *block_find(struct cpu *c)
{
    if (UNLIKELY(c->break_at))
        debug_raise_at(c);
    uint64_t at = fetch(c), rip = c->rip;
    struct block_cache *cache = c->cache;
    count(c, EV_block_lookups);
    for (struct block *b = *hash_slot(cache, at, rip); b; b = b->hash_next) {
        if (!is_block(c, b, at, rip))
            continue;
        if (b->second_page != NO_PAGE && (fetch_second_page(c, rip).v & GUEST_PAGE_MASK) != b->second_page)
            continue;
        note_code(c, b, b->second_page != NO_PAGE ? b->bytes - 1 : 0);
        return b;
    }

    size_t worst = sizeof(struct block) + BLOCK_MAX_OPS * sizeof(struct op);
    if (cache->used + worst > ARENA_BYTES)
        block_flush(c);
    struct block *b = (struct block *)(cache->arena + cache->used);
    build(c, b, rip, at, false);
    cache->used += block_size(b);
    enlist(c, b);
    note_code(c, b, b->bytes - 1);
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
    const struct block *b = block_find(c);
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
    const struct block *b = block_find(c);
    struct jump_entry *entry = &c->jumps[(rip ^ (rip >> 10)) % JUMP_CACHE_SIZE];
    *entry = (struct jump_entry){.rip = rip, .generation = c->link_generation, .to = b};
    return enter(c, b);
}

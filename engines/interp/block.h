// SPDX-License-Identifier: BSD-2-Clause
// The decoded-block cache. A block is a run of instructions within one page (or a single one across two), decoded once,
// found by guest-physical address, rip, CPL and mode, and dropped when its bytes are written.
//
// Blocks are linked: a direct branch remembers the block that it leads to, an indirect one asks a small cache by
// target. Both are valid only under the link_generation at which they were made, which changes whenever a mapping or
// code may have. The memory of a dropped block stays until the whole cache is flushed, so that the instruction that
// overwrote its own block can still finish; all its ops are turned into op_stale, which looks the next one up anew.
#ifndef RINGSIDE_INTERP_BLOCK_H
#define RINGSIDE_INTERP_BLOCK_H

#include "engines/interp/op.h"

#define BLOCK_MAX_INSNS 64
#define BLOCK_MAX_OPS (BLOCK_MAX_INSNS * 2 + 8)
#define NO_PAGE (~0ull)

struct block {
    uint64_t rip;
    uint64_t gpa;
    uint64_t second_page; // guest-physical page of the last bytes where the block crosses into it, else NO_PAGE
    struct block *hash_next;
    struct block *page_next[2]; // lists of the blocks on the first and second page
    uint16_t bytes;
    uint16_t ops;
    uint8_t insns;
    uint8_t cpl;
    uint8_t mode;        // enum x86_mode
    uint32_t code_limit; // CS.limit outside 64-bit mode
    struct op op[];
};

// Data slots behind a branch op: op[1] for the taken link, op[2] for the one not taken.
struct link {
    const struct block *to;
    uint64_t generation;
    uint64_t unused[2];
};
_Static_assert(sizeof(struct link) == sizeof(struct op), "a link takes the place of an op");

// Like the TLB, one jump cache for CPL 0 and one for CPL 3, in each mode; c->jumps is the present one
// (mmu_mode_changed).
#define JUMP_CACHE_SIZE 1024
struct jump_entry {
    uint64_t rip;
    uint64_t generation;
    const struct block *to;
};
struct jump_entry *block_jump_cache(struct block_cache *cache, unsigned cpl, enum x86_mode mode);

struct block_cache *block_cache_create(const struct guest_ram *ram); // NULL where memory is short
void block_cache_destroy(struct block_cache *cache);

// The block at c->rip for the present CPL and mode, decoded if need be. Raises the breakpoint there, or what fetching
// its first byte raises.
const struct block *block_find(struct cpu *c);
// One instruction at c->rip on its own, not cached: for single-stepping, interrupt shadows and exact budgets.
const struct block *block_single(struct cpu *c);

// RAM at [offset, offset + size) within one page is about to be written.
bool block_page_has_code(const struct block_cache *cache, uint64_t ram_offset);
void block_invalidate(struct cpu *c, uint64_t ram_offset, unsigned size);

// A mapping or code has changed: no link and no jump cache entry made so far may be followed any more.
void block_void_links(struct cpu *c);
// Drops all blocks: memory may have changed unseen.
void block_flush(struct cpu *c);

static inline bool last_of_block(const struct cpu *c, const struct op *op)
{
    return op->nth + 1u == c->block->insns;
}

// Slow ends of the macros below.
const struct op *block_attention(struct cpu *c, const struct block *b);
const struct op *block_follow(struct cpu *c, const struct op *op, unsigned slot, uint64_t rip);
const struct op *block_jump(struct cpu *c, uint64_t rip);

// Go on with block b; the run loop gets its turn here when it wants one.
#define ENTER(b)                                                                                                       \
    do {                                                                                                               \
        const struct block *enter_ = (b);                                                                              \
        c->block = enter_;                                                                                             \
        c->icount += enter_->insns;                                                                                    \
        if (UNLIKELY(c->icount > atomic_load_explicit(&c->limit, memory_order_relaxed)))                               \
            return block_attention(c, enter_);                                                                         \
        GO(enter_->op);                                                                                                \
    } while (0)

// Direct branch to rip by the link in slot 1 or 2 behind op.
#define FOLLOW(slot, rip)                                                                                              \
    do {                                                                                                               \
        const struct link *link_ = (const struct link *)(op + (slot));                                                 \
        if (UNLIKELY(link_->generation != c->link_generation))                                                         \
            return block_follow(c, op, slot, rip);                                                                     \
        ENTER(link_->to);                                                                                              \
    } while (0)

// Indirect branch to rip.
#define JUMP(rip)                                                                                                      \
    do {                                                                                                               \
        uint64_t jump_ = (rip);                                                                                        \
        const struct jump_entry *entry_ = &c->jumps[(jump_ ^ (jump_ >> 10)) % JUMP_CACHE_SIZE];                        \
        if (UNLIKELY(entry_->rip != jump_ || entry_->generation != c->link_generation))                                \
            return block_jump(c, jump_);                                                                               \
        ENTER(entry_->to);                                                                                             \
    } while (0)

#endif

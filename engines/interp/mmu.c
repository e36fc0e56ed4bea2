// SPDX-License-Identifier: BSD-2-Clause
// The slow half of memory: page walks, software TLB fills and flushes, accesses across pages, devices, code pages.
#include "engines/interp/mmu.h"

#include <string.h>

#include "engines/interp/block.h"
#include "engines/interp/bus.h"
#include "engines/interp/debug.h"
#include "engines/interp/fault.h"
#include "x86/paging.h"

// ---- Translation ----

static struct paging paging_of(const struct cpu *c, enum tlb_mode mode)
{
    return (struct paging){
        .cr3 = c->cr3,
        .wp = c->cr0 & CR0_WP,
        .nxe = c->efer & EFER_NXE,
        .smep = c->cr4 & CR4_SMEP,
        .smap = mode == TLB_KERNEL_SMAP,
    };
}

static bool is_user(enum tlb_mode mode)
{
    return mode == TLB_USER || mode == TLB_USER_ALIGN;
}

static void slot_clear(struct tlb_entry *e)
{
    e->read = e->write = e->exec = TLB_NONE;
}

static void note_filled(struct cpu *c, enum tlb_mode mode, uint64_t va)
{
    if (c->filled < TLB_FLUSH_FEW)
        c->filled_slot[c->filled] = (uint16_t)((unsigned)mode << TLB_BITS | ((va >> 12) & (TLB_SIZE - 1)));
    c->filled++;
}

static void fill(struct cpu *c, enum tlb_mode mode, uint64_t va, uint32_t access, const struct translation *t,
                 const uint8_t *host)
{
    uint64_t page = va & GUEST_PAGE_MASK;
    if (UNLIKELY(c->break_data) && !(access & PF_FETCH) && debug_watches(c, page, GUEST_PAGE_SIZE))
        return;
    struct tlb_entry *e = &c->tlb_modes[mode][(va >> 12) & (TLB_SIZE - 1)];
    uint64_t addend = (uint64_t)(uintptr_t)host - page;
    bool same = (e->read == page || e->write == page || e->exec == page) && e->addend == addend;
    if (!same) {
        slot_clear(e);
        e->addend = addend;
        note_filled(c, mode, va);
    }
    if (t->page_size > GUEST_PAGE_SIZE)
        c->large_filter |= t->page_size > (1u << 21) ? ~0ull : 1ull << ((va >> 21) & 63);
    if (access & PF_FETCH)
        e->exec = page;
    else
        e->read = page;
    if ((access & PF_WRITE) && !block_page_has_code(c->cache, (uint64_t)(host - c->ram->base)))
        e->write = page;
}

struct target {
    gpa_t at;
    uint8_t *host; // NULL: not RAM
};

// Where va lies for this access, or the fault that it gives. Accesses do not cross a page.
static struct target translate(struct cpu *c, const struct op *op, enum tlb_mode mode, uint64_t va, uint32_t access)
{
    if (!canonical(va))
        raise_error(c, op, op && op->stack ? VEC_SS : VEC_GP, 0);
    struct paging paging = paging_of(c, mode);
    struct translation t = {.page = gpa(va & GUEST_PAGE_MASK), .page_size = GUEST_PAGE_SIZE}; // without paging
    uint32_t error;
    count(c, EV_tlb_misses);
    if (LIKELY(c->cr0 & CR0_PG) &&
        !paging_walk(c->ram, &paging, va, access | (is_user(mode) ? PF_USER : 0), &t, &error))
        raise_page_fault(c, op, va, error);
    uint8_t *page = ram_at(c->ram, t.page, GUEST_PAGE_SIZE);
    if (page && mode != TLB_USER_ALIGN)
        fill(c, mode, va, access, &t, page);
    unsigned offset = va % GUEST_PAGE_SIZE;
    return (struct target){gpa(t.page.v + offset), page ? page + offset : NULL};
}

// ---- One page ----

static uint64_t read_target(struct cpu *c, struct target t, unsigned size)
{
    if (!t.host)
        return bus_memory_read(c, t.at, size);
    uint64_t value = 0;
    memcpy(&value, t.host, size);
    return value;
}

static void write_target(struct cpu *c, struct target t, unsigned size, uint64_t value)
{
    if (!t.host) {
        bus_memory_write(c, t.at, size, value);
        return;
    }
    uint64_t offset = (uint64_t)(t.host - c->ram->base);
    if (block_page_has_code(c->cache, offset))
        block_invalidate(c, offset, size);
    memcpy(t.host, &value, size);
}

// ---- Across pages ----

// How many of the size bytes at va lie in the first page.
static unsigned first_part(uint64_t va, unsigned size)
{
    unsigned room = GUEST_PAGE_SIZE - va % GUEST_PAGE_SIZE;
    return room < size ? room : size;
}

// #AC: CPL 3, CR0.AM and RFLAGS.AC, unaligned (SDM vol. 3, 6.15). The mode keeps the fast path away.
static void check_alignment(struct cpu *c, const struct op *op, enum tlb_mode mode, uint64_t va, unsigned size)
{
    if (mode == TLB_USER_ALIGN && va % size)
        raise_error(c, op, VEC_AC, 0);
}

// The last that can stand in an access's way, and the breakpoints that it then meets.
static void check_bytes(struct cpu *c, const struct op *op, enum tlb_mode mode, uint64_t va, unsigned size,
                        unsigned align, bool write)
{
    check_alignment(c, op, mode, va, align);
    if (UNLIKELY(c->break_data))
        debug_note_access(c, va, size, write);
}

static void check_access(struct cpu *c, const struct op *op, enum tlb_mode mode, uint64_t va, unsigned size, bool write)
{
    check_bytes(c, op, mode, va, size, size, write);
}

// The address n bytes on; outside 64-bit mode linear addresses have 32 bits.
static uint64_t behind(const struct cpu *c, uint64_t va, unsigned n)
{
    return c->mode == X86_CODE64 ? va + n : (uint32_t)(va + n);
}

static uint64_t read_access(struct cpu *c, const struct op *op, enum tlb_mode mode, uint64_t va, unsigned size,
                            uint32_t access)
{
    unsigned n = first_part(va, size);
    struct target low = translate(c, op, mode, va, access);
    if (n == size) {
        check_access(c, op, mode, va, size, false);
        return read_target(c, low, size);
    }
    struct target high = translate(c, op, mode, behind(c, va, n), access);
    check_access(c, op, mode, va, size, false);
    return read_target(c, low, n) | read_target(c, high, size - n) << (8 * n);
}

static void write_access(struct cpu *c, const struct op *op, enum tlb_mode mode, uint64_t va, unsigned size,
                         uint64_t value)
{
    unsigned n = first_part(va, size);
    struct target low = translate(c, op, mode, va, PF_WRITE);
    if (n == size) {
        check_access(c, op, mode, va, size, true);
        write_target(c, low, size, value);
        return;
    }
    struct target high = translate(c, op, mode, behind(c, va, n), PF_WRITE);
    check_access(c, op, mode, va, size, true);
    write_target(c, low, n, value);
    write_target(c, high, size - n, value >> (8 * n));
}

COLD uint64_t mem_read_slow(struct cpu *c, const struct op *op, uint64_t va, unsigned size)
{
    return read_access(c, op, c->tlb_mode, va, size, 0);
}

COLD uint64_t mem_read_rmw_slow(struct cpu *c, const struct op *op, uint64_t va, unsigned size)
{
    return read_access(c, op, c->tlb_mode, va, size, PF_WRITE);
}

COLD void mem_write_slow(struct cpu *c, const struct op *op, uint64_t va, unsigned size, uint64_t value)
{
    write_access(c, op, c->tlb_mode, va, size, value);
}

void mem_probe_write(struct cpu *c, const struct op *op, uint64_t va, unsigned size)
{
    if (mem_ptr_write(c, va, size))
        return;
    unsigned n = first_part(va, size);
    translate(c, op, c->tlb_mode, va, PF_WRITE);
    if (n < size)
        translate(c, op, c->tlb_mode, behind(c, va, n), PF_WRITE);
    check_alignment(c, op, c->tlb_mode, va, size);
}

// ---- Operands of other sizes ----

static void read_bytes(struct cpu *c, struct target t, uint8_t *to, unsigned size)
{
    for (unsigned n; size; size -= n, to += n, t.at.v += n, t.host += t.host ? n : 0) {
        n = size < 8 ? (size & 4 ? 4 : size & 2 ? 2 : 1) : 8;
        uint64_t value = read_target(c, t, n);
        memcpy(to, &value, n);
    }
}

static void write_bytes(struct cpu *c, struct target t, const uint8_t *from, unsigned size)
{
    for (unsigned n; size; size -= n, from += n, t.at.v += n, t.host += t.host ? n : 0) {
        n = size < 8 ? (size & 4 ? 4 : size & 2 ? 2 : 1) : 8;
        uint64_t value = 0;
        memcpy(&value, from, n);
        write_target(c, t, n, value);
    }
}

void mem_check_area(struct cpu *c, const struct op *op, uint64_t va, unsigned align)
{
    if (!canonical(va))
        raise_error(c, op, op->stack ? VEC_SS : VEC_GP, 0);
    check_alignment(c, op, c->tlb_mode, va, align);
}

void mem_read_bytes(struct cpu *c, const struct op *op, uint64_t va, void *to, unsigned size, unsigned align)
{
    const void *p = mem_ptr_read(c, va, size);
    if (p) {
        memcpy(to, p, size);
        return;
    }
    unsigned n = first_part(va, size);
    struct target low = translate(c, op, c->tlb_mode, va, 0), high = {0};
    if (n < size)
        high = translate(c, op, c->tlb_mode, behind(c, va, n), 0);
    check_bytes(c, op, c->tlb_mode, va, size, align, false);
    read_bytes(c, low, to, n);
    read_bytes(c, high, (uint8_t *)to + n, size - n);
}

void mem_write_bytes(struct cpu *c, const struct op *op, uint64_t va, const void *from, unsigned size, unsigned align)
{
    void *p = mem_ptr_write(c, va, size);
    if (p) {
        memcpy(p, from, size);
        return;
    }
    unsigned n = first_part(va, size);
    struct target low = translate(c, op, c->tlb_mode, va, PF_WRITE), high = {0};
    if (n < size)
        high = translate(c, op, c->tlb_mode, behind(c, va, n), PF_WRITE);
    check_bytes(c, op, c->tlb_mode, va, size, align, true);
    write_bytes(c, low, from, n);
    write_bytes(c, high, (const uint8_t *)from + n, size - n);
}

// ---- The processor's own accesses ----

static enum tlb_mode system_mode(const struct cpu *c)
{
    return c->cr4 & CR4_SMAP ? TLB_KERNEL_SMAP : TLB_KERNEL;
}

uint64_t sys_read(struct cpu *c, const struct op *op, uint64_t va, unsigned size)
{
    enum tlb_mode mode = system_mode(c);
    const struct tlb_entry *e = &c->tlb_modes[mode][(va >> 12) & (TLB_SIZE - 1)];
    if (LIKELY(e->read == ((va + size - 1) & GUEST_PAGE_MASK))) {
        uint64_t value = 0;
        memcpy(&value, (void *)(uintptr_t)(va + e->addend), size);
        return value;
    }
    return read_access(c, op, mode, va, size, 0);
}

void sys_write(struct cpu *c, const struct op *op, uint64_t va, unsigned size, uint64_t value)
{
    enum tlb_mode mode = system_mode(c);
    const struct tlb_entry *e = &c->tlb_modes[mode][(va >> 12) & (TLB_SIZE - 1)];
    if (LIKELY(e->write == ((va + size - 1) & GUEST_PAGE_MASK)))
        memcpy((void *)(uintptr_t)(va + e->addend), &value, size);
    else
        write_access(c, op, mode, va, size, value);
}

// ---- Instruction fetch ----

gpa_t mmu_fetch(struct cpu *c, uint64_t va)
{
    enum tlb_mode mode = c->tlb_mode == TLB_USER_ALIGN ? TLB_USER : c->tlb_mode;
    const struct tlb_entry *e = &c->tlb_modes[mode][(va >> 12) & (TLB_SIZE - 1)];
    if (LIKELY(e->exec == (va & GUEST_PAGE_MASK))) {
        uint64_t offset = va + e->addend - (uint64_t)(uintptr_t)c->ram->base;
        return gpa(offset < RAM_HOLE_START ? offset : offset + (RAM_HOLE_END - RAM_HOLE_START));
    }
    return translate(c, NULL, mode, va, PF_FETCH).at;
}

// ---- Modes and flushes ----

void mmu_mode_changed(struct cpu *c)
{
    if (c->cpl == 3)
        c->tlb_mode = (c->cr0 & CR0_AM) && (c->rflags & FLAG_AC) ? TLB_USER_ALIGN : TLB_USER;
    else
        c->tlb_mode = (c->cr4 & CR4_SMAP) && !(c->rflags & FLAG_AC) ? TLB_KERNEL_SMAP : TLB_KERNEL;
    c->tlb = c->tlb_modes[c->tlb_mode];
    c->jumps = block_jump_cache(c->cache, c->cpl, c->mode);
}

void mmu_flush(struct cpu *c)
{
    struct tlb_entry *all = c->tlb_modes[0];
    if (c->filled <= TLB_FLUSH_FEW) {
        for (unsigned i = 0; i < c->filled; i++)
            slot_clear(&all[c->filled_slot[i]]);
    } else {
        for (unsigned i = 0; i < TLB_MODES * TLB_SIZE; i++)
            slot_clear(&all[i]);
    }
    c->filled = 0;
    c->large_filter = 0;
    block_void_links(c);
}

void mmu_invlpg(struct cpu *c, uint64_t va)
{
    if (c->large_filter & (1ull << ((va >> 21) & 63))) { // any part of a large page may be anywhere in the TLB
        mmu_flush(c);
        return;
    }
    for (unsigned mode = 0; mode < TLB_MODES; mode++)
        slot_clear(&c->tlb_modes[mode][(va >> 12) & (TLB_SIZE - 1)]);
    if (c->code_filter[(va >> 18) % CODE_FILTER_WORDS] & (1ull << ((va >> 12) & 63)))
        block_void_links(c);
}

void mmu_drop_write_tags(struct cpu *c)
{
    struct tlb_entry *all = c->tlb_modes[0];
    if (c->filled <= TLB_FLUSH_FEW) {
        for (unsigned i = 0; i < c->filled; i++)
            all[c->filled_slot[i]].write = TLB_NONE;
    } else {
        for (unsigned i = 0; i < TLB_MODES * TLB_SIZE; i++)
            all[i].write = TLB_NONE;
    }
}

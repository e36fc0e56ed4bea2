// SPDX-License-Identifier: BSD-2-Clause
// Guest memory as C code sees it: TLB in front, page walk behind, devices beside, and pages with translated code, whose
// translations go before a byte of them changes.
#include "engines/bt/memory.h"

#include <string.h>

#include "engines/bt/debug.h"
#include "engines/bt/flush.h"
#include "engines/bt/map.h"
#include "engines/bt/segment.h"
#include "engines/bt/tc.h"
#include "engines/bt/tlb.h"

// ---- Translation ----

static enum tlb_mode mode_of(const struct bt *bt)
{
    if (bt->cpl == 3)
        return TLB_USER;
    return (bt->cr4 & CR4_SMAP) && (bt->rflags & FLAG_AC) ? TLB_KERNEL_AC : TLB_KERNEL;
}

static struct paging paging_of(const struct bt *bt, enum tlb_mode mode)
{
    return (struct paging){
        .cr3 = bt->cr3,
        .wp = bt->cr0 & CR0_WP,
        .nxe = bt->efer & EFER_NXE,
        .smep = bt->cr4 & CR4_SMEP,
        .smap = (bt->cr4 & CR4_SMAP) && mode != TLB_KERNEL_AC,
    };
}

// CPL 3, CR0.AM and RFLAGS.AC (SDM vol. 3, 6.15).
bool mem_checks_alignment(const struct bt *bt)
{
    return bt->cpl == 3 && (bt->cr0 & CR0_AM) && (bt->rflags & FLAG_AC);
}

static bool is_traced(const struct bt *bt, const uint8_t *host)
{
    return map_is_traced(bt->map, (uint64_t)(host - bt->ram->base));
}

// What is watched stays out of the TLB (debug.h).
static bool is_watched(const struct bt *bt, uint64_t va)
{
    return bt->break_data && debug_watches(bt, va & GUEST_PAGE_MASK, GUEST_PAGE_SIZE);
}

// Walks, and fills the TLB. False: *error is the page-fault error code. va is canonical.
static bool walk(struct bt *bt, enum tlb_mode mode, uint64_t va, uint32_t access, struct part *out, uint32_t *error)
{
    struct paging paging = paging_of(bt, mode);
    struct translation t;
    count(bt, EV_tlb_misses);
    if (bt->world == WORLD_ENTRY)
        flush_note_walk(bt);
    if (!paging_walk(bt->ram, &paging, va, access | (mode == TLB_USER ? PF_USER : 0), &t, error))
        return false;
    uint8_t *page = ram_at(bt->ram, t.page, GUEST_PAGE_SIZE);
    t.global = t.global && bt->cr4 & CR4_PGE;
    if (t.writable && t.dirty &&
        !(access & PF_FETCH)) // a write would be allowed, and would change nothing in the tables
        access |= PF_WRITE;
    map_trace_tables(bt, va);
    if (page && ((access & PF_FETCH) || !is_watched(bt, va)))
        tlb_fill(bt->tlb, mode, va, access, &t, page, !is_traced(bt, page));
    unsigned offset = va % GUEST_PAGE_SIZE;
    out->at = gpa(t.page.v + offset);
    out->host = page ? page + offset : NULL;
    return true;
}

static struct part translate(struct bt *bt, enum tlb_mode mode, uint64_t va, uint32_t access, bool stack)
{
    if (!canonical(va))
        raise_error(bt, stack ? VEC_SS : VEC_GP, 0);
    struct part part = {.size = 0};
    uint32_t error;
    if (!walk(bt, mode, va, access, &part, &error))
        raise_page_fault(bt, va, error);
    return part;
}

// Host address of [va, va + size), where a TLB entry says so and all of it lies in one page.
static uint8_t *hit_read(struct bt *bt, enum tlb_mode mode, uint64_t va, unsigned size)
{
    const struct tlb_table *t = &bt->tlb->table[mode];
    return tlb_hit(t->read[tlb_slot(va)], va, size) ? tlb_host(t, va) : NULL;
}

static uint8_t *hit_write(struct bt *bt, enum tlb_mode mode, uint64_t va, unsigned size)
{
    const struct tlb_table *t = &bt->tlb->table[mode];
    return tlb_hit(t->write[tlb_slot(va)], va, size) ? tlb_host(t, va) : NULL;
}

// Operands that may lie anywhere have other sizes than these; of 10 bytes, an x87 one asks for 8.
static bool misaligned(const struct bt *bt, uint64_t va, unsigned size)
{
    unsigned natural = size == 10 ? 8 : size <= 8 ? size : 1;
    return mem_checks_alignment(bt) && va & (natural - 1);
}

// Translated code does not look at alignment: with nothing in the TLB it leaves for each access.
void mem_begin_world(struct bt *bt)
{
    if (mem_checks_alignment(bt))
        tlb_flush(bt->tlb);
}

// Where [va, va + size) lies, in one part or two; raises what the access would raise.
static unsigned locate(struct bt *bt, enum tlb_mode mode, uint64_t va, unsigned size, uint32_t access, bool stack,
                       struct part part[2])
{
    unsigned room = GUEST_PAGE_SIZE - va % GUEST_PAGE_SIZE;
    unsigned n = room < size ? room : size;
    part[0] = translate(bt, mode, va, access, stack);
    part[0].size = n;
    if (n == size)
        return 1;
    part[1] = translate(bt, mode, va + n, access, stack);
    part[1].size = size - n;
    return 2;
}

static unsigned locate_aligned(struct bt *bt, uint64_t va, unsigned size, uint32_t access, bool stack,
                               struct part part[2])
{
    unsigned parts = locate(bt, mode_of(bt), va, size, access, stack, part);
    if (misaligned(bt, va, size))
        raise_error(bt, VEC_AC, 0);
    return parts;
}

// ---- Devices ----

static void device_exit(struct bt *bt, enum vcpu_exit exit)
{
    bt->met_special = true;
    count(bt, EV_exits);
    count(bt, EV_exit_mmio);
    if (exit != VCPU_CONTINUE) {
        bt->exit = exit;
        bt->attention = 1;
    }
}

// Devices see naturally aligned accesses of 1, 2, 4 or 8 bytes, and those of more as several of 8; anything else
// reaches them byte by byte.
static unsigned device_unit(const struct part *part)
{
    unsigned size = part->size > 8 && part->size % 8 == 0 ? 8 : part->size;
    return size <= 8 && (size & (size - 1)) == 0 && part->at.v % size == 0 ? size : 1;
}

static void device_read(struct bt *bt, const struct part *part, uint8_t *to)
{
    struct vcpu_bus *bus = &bt->vcpu->bus;
    unsigned unit = device_unit(part);
    for (unsigned i = 0; i < part->size; i += unit) {
        uint64_t value = 0;
        device_exit(bt, bus->mmio_read(bus->machine, gpa(part->at.v + i), unit, &value));
        memcpy(to + i, &value, unit);
    }
}

static void device_write(struct bt *bt, const struct part *part, const uint8_t *from)
{
    struct vcpu_bus *bus = &bt->vcpu->bus;
    unsigned unit = device_unit(part);
    for (unsigned i = 0; i < part->size; i += unit) {
        uint64_t value = 0;
        memcpy(&value, from + i, unit);
        device_exit(bt, bus->mmio_write(bus->machine, gpa(part->at.v + i), unit, value));
    }
}

// ---- Parts ----

static void read_parts(struct bt *bt, const struct part *part, unsigned parts, uint8_t *to)
{
    for (unsigned i = 0; i < parts; to += part[i++].size) {
        if (part[i].host)
            memcpy(to, part[i].host, part[i].size);
        else
            device_read(bt, &part[i], to);
    }
}

// To a traced page.
static void about_to_write(struct bt *bt, const uint8_t *host, unsigned size)
{
    uint64_t offset = (uint64_t)(host - bt->ram->base);
    bt->met_special = true;
    count(bt, EV_traced_writes);
    map_note_write(bt, offset, size);
    tc_invalidate(bt, offset, size);
}

static void write_ram(struct bt *bt, uint8_t *host, unsigned size, const uint8_t *from)
{
    if (is_traced(bt, host)) {
        if (memcmp(host, from, size)) {
            about_to_write(bt, host, size);
        } else { // it means nothing to anybody
            bt->met_special = true;
            count(bt, EV_traced_writes);
            tc_invalidate(bt, (uint64_t)(host - bt->ram->base), size);
        }
    }
    memcpy(host, from, size);
}

static void write_parts(struct bt *bt, const struct part *part, unsigned parts, const uint8_t *from)
{
    for (unsigned i = 0; i < parts; from += part[i++].size) {
        if (part[i].host)
            write_ram(bt, part[i].host, part[i].size, from);
        else
            device_write(bt, &part[i], from);
    }
}

static uint64_t load(const uint8_t *host, unsigned size)
{
    uint64_t value = 0;
    switch (size) {
    case 1:
        return *host;
    case 8:
        memcpy(&value, host, 8);
        return value;
    default:
        memcpy(&value, host, size);
        return value;
    }
}

// ---- Accesses of instructions ----

static void note_access(struct bt *bt, uint64_t va, unsigned size, bool write)
{
    if (bt->break_data)
        debug_note_access(bt, va, size, write);
}

static uint64_t read_access(struct bt *bt, uint64_t va, unsigned size, uint32_t access, bool stack)
{
    struct part part[2];
    uint64_t value = 0;
    unsigned parts = locate_aligned(bt, va, size, access, stack, part);
    note_access(bt, va, size, false);
    read_parts(bt, part, parts, (uint8_t *)&value);
    return value;
}

uint64_t mem_read(struct bt *bt, uint64_t va, unsigned size, bool stack)
{
    const uint8_t *host = hit_read(bt, mode_of(bt), va, size);
    if (host && !misaligned(bt, va, size))
        return load(host, size);
    return read_access(bt, va, size, 0, stack);
}

uint64_t mem_read_rmw(struct bt *bt, uint64_t va, unsigned size, bool stack)
{
    const uint8_t *host = hit_write(bt, mode_of(bt), va, size);
    if (host && !misaligned(bt, va, size))
        return load(host, size);
    return read_access(bt, va, size, PF_WRITE, stack);
}

void mem_write(struct bt *bt, uint64_t va, unsigned size, uint64_t value, bool stack)
{
    uint8_t *host = hit_write(bt, mode_of(bt), va, size);
    if (host && !misaligned(bt, va, size)) {
        write_ram(bt, host, size, (const uint8_t *)&value);
        return;
    }
    struct part part[2];
    unsigned parts = locate_aligned(bt, va, size, PF_WRITE, stack, part);
    note_access(bt, va, size, true);
    write_parts(bt, part, parts, (const uint8_t *)&value);
}

void mem_probe_write(struct bt *bt, uint64_t va, unsigned size, bool stack)
{
    if (hit_write(bt, mode_of(bt), va, size) && !misaligned(bt, va, size))
        return;
    struct part part[2];
    locate_aligned(bt, va, size, PF_WRITE, stack, part);
}

static void read_block(struct bt *bt, uint64_t va, void *to, unsigned size, uint32_t access, bool stack)
{
    const uint8_t *host =
        access & PF_WRITE ? hit_write(bt, mode_of(bt), va, size) : hit_read(bt, mode_of(bt), va, size);
    if (host) {
        memcpy(to, host, size);
        return;
    }
    struct part part[2];
    unsigned parts = locate(bt, mode_of(bt), va, size, access, stack, part);
    if (!(access & PF_WRITE)) // else the write will say so
        note_access(bt, va, size, false);
    read_parts(bt, part, parts, to);
}

void mem_read_block(struct bt *bt, uint64_t va, void *to, unsigned size, bool stack)
{
    read_block(bt, va, to, size, 0, stack);
}

void mem_read_rmw_block(struct bt *bt, uint64_t va, void *to, unsigned size, bool stack)
{
    read_block(bt, va, to, size, PF_WRITE, stack);
}

void mem_write_block(struct bt *bt, uint64_t va, const void *from, unsigned size, bool stack)
{
    uint8_t *host = hit_write(bt, mode_of(bt), va, size);
    if (host) {
        write_ram(bt, host, size, from);
        return;
    }
    struct part part[2];
    unsigned parts = locate(bt, mode_of(bt), va, size, PF_WRITE, stack, part);
    note_access(bt, va, size, true);
    write_parts(bt, part, parts, from);
}

void *mem_plain(struct bt *bt, uint64_t va, unsigned size, bool write)
{
    enum tlb_mode mode = mode_of(bt);
    if (!canonical(va) || (va ^ (va + size - 1)) & GUEST_PAGE_MASK || misaligned(bt, va, size) || is_watched(bt, va))
        return NULL;
    uint8_t *host = write ? hit_write(bt, mode, va, size) : hit_read(bt, mode, va, size);
    struct part part;
    uint32_t error;
    if (!host && walk(bt, mode, va, write ? PF_WRITE : 0, &part, &error))
        host = part.host;
    if (host && write && is_traced(bt, host))
        about_to_write(bt, host, size);
    return host;
}

void *mem_quick(struct bt *bt, uint64_t va, unsigned size, bool write)
{
    enum tlb_mode mode = mode_of(bt);
    if (!canonical(va) || (va ^ (va + size - 1)) & GUEST_PAGE_MASK)
        return NULL;
    uint8_t *host = write ? hit_write(bt, mode, va, size) : hit_read(bt, mode, va, size);
    struct part part;
    uint32_t error;
    if (!host && walk(bt, mode, va, write ? PF_WRITE : 0, &part, &error))
        host = part.host;
    if (!host || (write && is_traced(bt, host)))
        return NULL;
    if (write)
        tlb_allow_stores(bt->tlb, mode, va);
    return host;
}

// ---- The checked form of memory operands ----

bool mem_access(struct bt *bt, uint64_t va, unsigned size, struct mem_how how, void **host)
{
    bool read = how.read, write = how.write, odd = !how.anywhere && misaligned(bt, va, size);
    struct tlb *tlb = bt->tlb;
    uint8_t *at = write ? hit_write(bt, mode_of(bt), va, size) : hit_read(bt, mode_of(bt), va, size);
    if (at && !odd && !(write && is_traced(bt, at))) {
        if (write)
            tlb_allow_stores(tlb, mode_of(bt), va);
        *host = at;
        return true;
    }
    struct part *first = tlb->pending;
    *first = (struct part){.host = at, .size = size};
    tlb->pending_parts = 1;
    if (!at || odd)
        tlb->pending_parts = locate(bt, mode_of(bt), va, size, write ? PF_WRITE : 0, how.stack, tlb->pending);
    if (odd)
        raise_error(bt, VEC_AC, 0);
    note_access(bt, va, size, write);
    if (tlb->pending_parts == 1 && first->host && !(write && is_traced(bt, first->host))) {
        *host = first->host;
        return true;
    }
    // As far from an aligned address as the guest's: instructions that insist on alignment fault here as there.
    tlb->pending_at = tlb->bounce + va % 64;
    if (read)
        read_parts(bt, tlb->pending, tlb->pending_parts, tlb->pending_at);
    *host = tlb->pending_at;
    return false;
}

void mem_commit(struct bt *bt)
{
    write_parts(bt, bt->tlb->pending, bt->tlb->pending_parts, bt->tlb->pending_at);
}

// ---- The processor's own accesses ----

uint64_t sys_read(struct bt *bt, uint64_t va, unsigned size)
{
    const uint8_t *host = hit_read(bt, TLB_SYSTEM, va, size);
    if (host)
        return load(host, size);
    struct part part[2];
    uint64_t value = 0;
    unsigned parts = locate(bt, TLB_SYSTEM, va, size, 0, false, part);
    note_access(bt, va, size, false);
    read_parts(bt, part, parts, (uint8_t *)&value);
    return value;
}

void sys_write(struct bt *bt, uint64_t va, unsigned size, uint64_t value)
{
    uint8_t *host = hit_write(bt, TLB_KERNEL, va, size);
    if (host) {
        write_ram(bt, host, size, (const uint8_t *)&value);
        return;
    }
    struct part part[2];
    unsigned parts = locate(bt, TLB_KERNEL, va, size, PF_WRITE, false, part);
    note_access(bt, va, size, true);
    write_parts(bt, part, parts, (const uint8_t *)&value);
}

gpa_t mem_fetch(struct bt *bt, uint64_t va)
{
    const struct tlb_table *table = &bt->tlb->table[mode_of(bt)];
    if (tlb_hit(table->exec[tlb_slot(va)], va, 1)) {
        uint64_t offset = (uint64_t)(tlb_host(table, va) - bt->ram->base);
        return gpa(offset < RAM_HOLE_START ? offset : offset + (RAM_HOLE_END - RAM_HOLE_START));
    }
    return translate(bt, mode_of(bt), va, PF_FETCH, false).at;
}

// ---- Addresses ----

static uint64_t offset_of(const struct bt *bt, const struct insn *in, const struct x86_operand *o)
{
    uint64_t ea = (uint64_t)o->mem.disp;
    if (o->mem.base != X86_NO_REG)
        ea += bt->gpr[o->mem.base];
    if (o->mem.index != X86_NO_REG)
        ea += bt->gpr[o->mem.index] << o->mem.shift;
    return in->addr_size == 8 ? ea : ea & (in->addr_size == 4 ? UINT32_MAX : 0xffff);
}

uint64_t effective_address64(const struct bt *bt, const struct insn *in, const struct x86_operand *o)
{
    return offset_of(bt, in, o) + bt->seg_base[o->mem.seg];
}

uint64_t effective_address(struct bt *bt, const struct insn *in, const struct x86_operand *o)
{
    if (in->mode != X86_CODE64)
        return segment_linear(bt, o->mem.seg, offset_of(bt, in, o), o->size, o->written);
    return effective_address64(bt, in, o);
}

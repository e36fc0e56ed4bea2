// SPDX-License-Identifier: BSD-2-Clause
// Guest memory as instructions see it: software TLB in front, page walk behind, devices beside. All functions raise
// the architectural fault themselves and then do not return.
#ifndef RINGSIDE_INTERP_MMU_H
#define RINGSIDE_INTERP_MMU_H

#include "engines/interp/op.h"

static inline struct tlb_entry *tlb_slot(const struct cpu *c, uint64_t va)
{
    return &c->tlb[(va >> 12) & (TLB_SIZE - 1)];
}

// Slow paths: any alignment, page crossing, devices, pages with code. size 1, 2, 4, 8.
uint64_t mem_read_slow(struct cpu *c, const struct op *op, uint64_t va, unsigned size);
void mem_write_slow(struct cpu *c, const struct op *op, uint64_t va, unsigned size, uint64_t value);
// The reading half of a read-modify-write: as mem_read_slow, but faults as a write would.
uint64_t mem_read_rmw_slow(struct cpu *c, const struct op *op, uint64_t va, unsigned size);

// The same for operands of other sizes, at most a page: size bytes to or from host memory. align: the alignment that
// #AC is about (SDM vol. 3, table 6-7), a power of two.
void mem_read_bytes(struct cpu *c, const struct op *op, uint64_t va, void *to, unsigned size, unsigned align);
void mem_write_bytes(struct cpu *c, const struct op *op, uint64_t va, const void *from, unsigned size, unsigned align);

// Raises the fault that a write of [va, va + size) would raise, or returns. For instructions with several writes.
void mem_probe_write(struct cpu *c, const struct op *op, uint64_t va, unsigned size);

// Tells the compiler that a TLB hit is never NULL, which saves a test in every handler.
static inline void *host_pointer(uint64_t address)
{
    if (!address)
        __builtin_unreachable();
    return (void *)(uintptr_t)address;
}

// Host pointer to va for plain reading or writing of size bytes within one page of RAM, or NULL: then use the slow
// path, which also raises faults.
static inline void *mem_ptr_read(const struct cpu *c, uint64_t va, unsigned size)
{
    const struct tlb_entry *e = tlb_slot(c, va);
    return LIKELY(e->read == ((va + size - 1) & GUEST_PAGE_MASK)) ? host_pointer(va + e->addend) : NULL;
}
static inline void *mem_ptr_write(const struct cpu *c, uint64_t va, unsigned size)
{
    const struct tlb_entry *e = tlb_slot(c, va);
    return LIKELY(e->write == ((va + size - 1) & GUEST_PAGE_MASK)) ? host_pointer(va + e->addend) : NULL;
}

#define MEM_ACCESS(bits)                                                                                               \
    static inline uint##bits##_t load##bits(struct cpu *c, const struct op *op, uint64_t va)                           \
    {                                                                                                                  \
        void *p = mem_ptr_read(c, va, bits / 8);                                                                       \
        return LIKELY(p) ? *(u##bits##a *)p : (uint##bits##_t)mem_read_slow(c, op, va, bits / 8);                      \
    }                                                                                                                  \
    static inline void store##bits(struct cpu *c, const struct op *op, uint64_t va, uint64_t v)                        \
    {                                                                                                                  \
        void *p = mem_ptr_write(c, va, bits / 8);                                                                      \
        if (LIKELY(p))                                                                                                 \
            *(u##bits##a *)p = (uint##bits##_t)v;                                                                      \
        else                                                                                                           \
            mem_write_slow(c, op, va, bits / 8, v);                                                                    \
    }                                                                                                                  \
    /* Read for a following store##bits to the same address. */                                                        \
    static inline uint##bits##_t load_rmw##bits(struct cpu *c, const struct op *op, uint64_t va)                       \
    {                                                                                                                  \
        void *p = mem_ptr_write(c, va, bits / 8);                                                                      \
        return LIKELY(p) ? *(u##bits##a *)p : (uint##bits##_t)mem_read_rmw_slow(c, op, va, bits / 8);                  \
    }
MEM_ACCESS(8)
MEM_ACCESS(16)
MEM_ACCESS(32)
MEM_ACCESS(64)

// Accesses of the processor itself to its tables (GDT, LDT, IDT, TSS): CPL 0 whatever the CPL is, SMAP enforced (SDM
// vol. 3, 4.6.1, "implicit supervisor-mode accesses").
uint64_t sys_read(struct cpu *c, const struct op *op, uint64_t va, unsigned size);
void sys_write(struct cpu *c, const struct op *op, uint64_t va, unsigned size, uint64_t value);

// What an area is checked for before its pages are: raises #GP or #SS where va is not canonical, and #AC where it does
// not have this alignment and is asked to. (SDM vol. 3, table 6-2, leaves #AC and #PF to the processor; Intel's do so.)
void mem_check_area(struct cpu *c, const struct op *op, uint64_t va, unsigned align);

static inline bool canonical(uint64_t va)
{
    return (uint64_t)((int64_t)(va << 16) >> 16) == va;
}

// Sets c->tlb from CPL, SMAP and AC; call after any of them changed.
void mmu_mode_changed(struct cpu *c);
void mmu_flush(struct cpu *c); // all translations; links between blocks with them
void mmu_invlpg(struct cpu *c, uint64_t va);
// The write permission of every TLB entry goes: a page has just become one with code.
void mmu_drop_write_tags(struct cpu *c);
// A block link may now lead to the page of va.
static inline void mmu_note_code(struct cpu *c, uint64_t va)
{
    c->code_filter[(va >> 18) % CODE_FILTER_WORDS] |= 1ull << ((va >> 12) & 63);
}

// Guest-physical address of the instruction at va, or raises #PF/#GP with rip as in c->rip.
gpa_t mmu_fetch(struct cpu *c, uint64_t va);

#endif

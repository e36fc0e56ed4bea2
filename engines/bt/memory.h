// SPDX-License-Identifier: BSD-2-Clause
// Guest memory as C code sees it: translated by the guest's page tables through a small TLB, with the faults that the
// architecture gives, devices, and pages with translated code. For callouts, and for the checked form of operands.
#ifndef RINGSIDE_BT_MEMORY_H
#define RINGSIDE_BT_MEMORY_H

#include "engines/bt/bt.h"

struct tlb *tlb_create(void); // NULL where memory is short
void tlb_destroy(struct tlb *tlb);

// Accesses of the instruction at bt->rip, at the present CPL, under SMAP as RFLAGS.AC says. size 1, 2, 4, 8. stack: a
// non-canonical address is #SS. They raise and do not return where the architecture says so.
uint64_t mem_read(struct bt *bt, uint64_t va, unsigned size, bool stack);
void mem_write(struct bt *bt, uint64_t va, unsigned size, uint64_t value, bool stack);
uint64_t mem_read_rmw(struct bt *bt, uint64_t va, unsigned size, bool stack); // faults as a write would
void mem_probe_write(struct bt *bt, uint64_t va, unsigned size, bool stack);

// Of size bytes, at most a page, without a look at alignment. Writing raises before anything is written; read_rmw
// faults as writing would.
void mem_read_block(struct bt *bt, uint64_t va, void *to, unsigned size, bool stack);
void mem_read_rmw_block(struct bt *bt, uint64_t va, void *to, unsigned size, bool stack);
void mem_write_block(struct bt *bt, uint64_t va, const void *from, unsigned size, bool stack);
bool mem_checks_alignment(const struct bt *bt); // #AC is on

// Of the processor itself (GDT, LDT, IDT, TSS): CPL 0 whatever the CPL is, SMAP enforced.
uint64_t sys_read(struct bt *bt, uint64_t va, unsigned size);
void sys_write(struct bt *bt, uint64_t va, unsigned size, uint64_t value);

// Host pointer to the plain RAM at [va, va + size) within a page that may be read, or with write will be written now:
// nothing in it is code or a traced table any more. NULL where it takes more. Never raises.
void *mem_plain(struct bt *bt, uint64_t va, unsigned size, bool write);

// The same for an access of an instruction, where it is nothing but that: no trace, no fault, nothing to note. Uses no
// vector register and no library (quick.c).
void *mem_quick(struct bt *bt, uint64_t va, unsigned size, bool write);

// Guest-physical address of the instruction at va, or raises #PF/#GP at bt->rip.
gpa_t mem_fetch(struct bt *bt, uint64_t va);

// For the checked form of a memory operand, 1 to 64 bytes: true where [va, va + size) is plain RAM in one page, *host
// is then the RAM itself. Else *host is a bounce buffer, as far from an aligned address as va is, filled by reading
// where how.read is set, which mem_commit() writes to va. Raises what such an access raises; reading for a
// read-modify-write faults as writing would.
struct mem_how {
    bool read, write;
    bool stack;    // #SS in place of #GP
    bool anywhere; // is never asked to be aligned, whatever RFLAGS.AC says
};
bool mem_access(struct bt *bt, uint64_t va, unsigned size, struct mem_how how, void **host);
void mem_commit(struct bt *bt);

// Before the guest goes on in translated code.
void mem_begin_world(struct bt *bt);

// Linear address of a memory operand: segment base included, and outside 64-bit mode what its limit and type raise.
uint64_t effective_address64(const struct bt *bt, const struct insn *in, const struct x86_operand *o); // raises nothing
uint64_t effective_address(struct bt *bt, const struct insn *in, const struct x86_operand *o);

#endif

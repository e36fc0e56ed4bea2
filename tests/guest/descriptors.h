// SPDX-License-Identifier: BSD-2-Clause
// A GDT of the test's own: the library's entries and room behind them. Descriptor bits as SDM vol. 3, 3.4.5 draws them.
#ifndef RINGSIDE_TESTS_GUEST_DESCRIPTORS_H
#define RINGSIDE_TESTS_GUEST_DESCRIPTORS_H

#include "guest/insn.h"
#include "guest/state.h"

struct table_pointer {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

// Type and attribute bits, at their place in the descriptor.
#define D_TYPE(type) ((uint64_t)(type) << 40)
#define D_S (1ull << 44)
#define D_DPL(dpl) ((uint64_t)(dpl) << 45)
#define D_P (1ull << 47)
#define D_L (1ull << 53)
#define D_DB (1ull << 54)
#define D_G (1ull << 55)
#define D_BASE(base) (((uint64_t)(base)&0xffffff) << 16 | ((uint64_t)(base) >> 24 & 0xff) << 56)
#define D_LIMIT(limit) (((uint64_t)(limit)&0xffff) | ((uint64_t)(limit) >> 16 & 0xf) << 48)
#define TYPE_READ_ONLY 0
#define TYPE_READ_WRITE 2
#define TYPE_EXPAND_DOWN 6
#define TYPE_EXECUTE 8
#define TYPE_EXECUTE_READ 10
#define TYPE_CONFORMING 14
#define DATA_DESCRIPTOR(dpl) (D_TYPE(TYPE_READ_WRITE) | D_S | D_DPL(dpl) | D_P | D_DB | D_G | D_LIMIT(0xfffff))
#define CODE64_DESCRIPTOR(dpl) (D_TYPE(TYPE_EXECUTE_READ) | D_S | D_DPL(dpl) | D_P | D_L | D_G | D_LIMIT(0xfffff))

extern uint64_t gdt[]; // guest/tables.S
#define LIBRARY_ENTRIES (GDT_BYTES / 8)
#define OWN_ENTRIES 24
#define OWN_SELECTOR(i) ((LIBRARY_ENTRIES + (i)) * 8) // of the i'th entry of the test's own

// Copies the library's GDT to table and loads it with room for OWN_ENTRIES more.
static inline void own_gdt(uint64_t *table)
{
    for (unsigned i = 0; i < LIBRARY_ENTRIES; i++)
        table[i] = gdt[i];
    struct table_pointer pointer = {(LIBRARY_ENTRIES + OWN_ENTRIES) * 8 - 1, (uint64_t)table};
    __asm__ volatile("lgdt %0" : : "m"(pointer));
}

#endif

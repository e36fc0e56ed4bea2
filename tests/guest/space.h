// SPDX-License-Identifier: BSD-2-Clause
// Address spaces of a test's own, beside the one that an image starts in.
#ifndef RINGSIDE_TESTS_GUEST_SPACE_H
#define RINGSIDE_TESTS_GUEST_SPACE_H

#include "guest/lib.h"

// Physical addresses, of a table and of its copy; PTE_ADDR picks them out of an entry.
static inline uint64_t copy_of_table(uint64_t table)
{
    uint64_t *copy = page_alloc(), *original = (uint64_t *)((table & PTE_ADDR) + KERNEL_VIRT_BASE);
    for (unsigned k = 0; k < 512; k++)
        copy[k] = original[k];
    return phys_of(copy);
}

// The root of a space that is like another, but has tables of its own for the lowest 2^39 bytes, open to CPL 3.
static inline uint64_t space_like(uint64_t root)
{
    uint64_t own = copy_of_table(root), *top = (uint64_t *)(own + KERNEL_VIRT_BASE);
    top[0] = copy_of_table(top[0]) | (top[0] & ~PTE_ADDR) | PTE_U;
    return own;
}

#endif

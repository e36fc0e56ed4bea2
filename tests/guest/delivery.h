// SPDX-License-Identifier: BSD-2-Clause
// An int n from both privileges by a gate that lies in a page of its own, and what it came to.
#ifndef RINGSIDE_TESTS_GUEST_DELIVERY_H
#define RINGSIDE_TESTS_GUEST_DELIVERY_H

#include "tests/guest/access.h"
#include "tests/guest/descriptors.h"

#define EXCEPTIONS 32 // gates of the first page
#define VECTOR (EXCEPTIONS + 16)

static volatile unsigned taken;
static void on_vector(struct trap_frame *frame)
{
    (void)frame;
    taken++;
}

static void interrupt(void *arg)
{
    (void)arg;
    __asm__ volatile("int %0" : : "i"(VECTOR) : "memory");
}

static USER_CODE uint64_t user_interrupt_code(void *arg)
{
    __asm__ volatile("int %0" : : "i"(VECTOR) : "memory");
    return (uint64_t)arg;
}

static void user_interrupt(void *arg)
{
    run_user(user_interrupt_code, arg);
}

// The same from both privileges. cr2 to 8 bytes: how many of a descriptor's are written to mark it is not said.
static inline bool gives(int vector, uint64_t error, uint64_t cr2)
{
    struct caught k = catch_fault(interrupt, NULL), u = catch_fault(user_interrupt, NULL);
    unsigned count = taken;
    taken = 0;
    bool same = k.vector == vector && u.vector == vector && k.error == error && u.error == error;
    bool rips = *(uint8_t *)k.rip == 0xcd && u.rip != k.rip;
    return same && rips && (vector != VEC_PF || (((k.cr2 | u.cr2) & ~7ull) == cr2)) && !count;
}

static inline bool works(void)
{
    struct caught k = catch_fault(interrupt, NULL), u = catch_fault(user_interrupt, NULL);
    unsigned count = taken;
    taken = 0;
    return k.vector == -1 && u.vector == -1 && count == 2;
}

// Loads a copy of the IDT at va, where two pages are mapped: all that the library needs of it is in the first one.
// Gives VECTOR's gate, which CPL 3 may use; it begins the second one.
static inline struct gate *own_idt(uint64_t va)
{
    trap_set(VECTOR, on_vector);
    struct gate *idt = (struct gate *)(va + PAGE - EXCEPTIONS * sizeof(struct gate));
    for (unsigned i = 0; i <= VECTOR; i++)
        idt[i] = guest.idt[i];
    idt[VECTOR].attributes |= 3 << 13; // DPL 3
    struct table_pointer pointer = {(VECTOR + 1) * sizeof(struct gate) - 1, (uint64_t)idt};
    __asm__ volatile("lidt %0" : : "m"(pointer));
    return &idt[VECTOR];
}

#endif

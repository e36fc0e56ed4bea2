// SPDX-License-Identifier: BSD-2-Clause
// One memory access each, at CPL 0 and at CPL 3, in the shape that catch_fault() wants, and what it came to.
#ifndef RINGSIDE_TESTS_GUEST_ACCESS_H
#define RINGSIDE_TESTS_GUEST_ACCESS_H

#include "guest/insn.h"
#include "guest/state.h"

// Nothing is there until a test maps it: a region of the lower half with page tables of its own.
#define TEST_VA 0x400000000000ull
#define PAGE 4096ull

static inline void load(void *va)
{
    __asm__ volatile("movb (%0), %%al" : : "r"(va) : "rax", "memory");
}

static inline void store(void *va)
{
    __asm__ volatile("movb $0x77, (%0)" : : "r"(va) : "memory");
}

static inline void fetch(void *va) // what is there must be a ret
{
    __asm__ volatile("call *%0" : : "r"(va) : "memory");
}

static USER_CODE __attribute__((unused)) uint64_t user_load_code(void *va)
{
    __asm__ volatile("movb (%0), %%al" : : "r"(va) : "rax", "memory");
    return 0;
}

static USER_CODE __attribute__((unused)) uint64_t user_store_code(void *va)
{
    __asm__ volatile("movb $0x77, (%0)" : : "r"(va) : "memory");
    return 0;
}

static USER_CODE __attribute__((unused)) uint64_t user_fetch_code(void *va)
{
    __asm__ volatile("call *%0" : : "r"(va) : "memory");
    return 0;
}

static inline void user_load(void *va)
{
    run_user(user_load_code, va);
}

static inline void user_store(void *va)
{
    run_user(user_store_code, va);
}

static inline void user_fetch(void *va)
{
    run_user(user_fetch_code, va);
}

// Deliver an exception on a stack of its own: for tests that break the one they run on.
static inline void use_ist(unsigned vector, unsigned ist)
{
    tss_set_ist(ist, (uint64_t)page_alloc() + PAGE);
    idt_set_raw(vector, (void (*)(void))(trap_stubs + (size_t)vector * TRAP_STUB_BYTES), ist, 0);
}

// The page fault's error code with cr2 as expected, or NO_FAULT, or OTHER_FAULT where it was something else.
#define NO_FAULT 0x1000u
#define OTHER_FAULT 0x2000u
static inline uint64_t fault_of(void (*access)(void *), uint64_t va)
{
    struct caught c = catch_fault(access, (void *)va);
    if (c.vector < 0)
        return NO_FAULT;
    return c.vector == VEC_PF && c.cr2 == va ? c.error : OTHER_FAULT | (uint64_t)c.vector;
}

// Change what the page at va is mapped with, and let go of what the TLB knows.
static inline void remap(uint64_t va, uint64_t entry)
{
    *pte_of(va, 1) = entry;
    invlpg((void *)va);
}

static inline void change_bits(uint64_t va, unsigned level, uint64_t clear, uint64_t set)
{
    uint64_t *entry = pte_of(va, level);
    *entry = (*entry & ~clear) | set;
    invlpg((void *)va);
}

#define RET_INSTRUCTION 0xc3

#endif

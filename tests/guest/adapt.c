// SPDX-License-Identifier: BSD-2-Clause
// One and the same instruction meets plain memory, a page table, a device and code, by turns and each for a long time:
// an engine that adapts instructions to what they meet must not be caught in what they met before.
#include "tests/guest/pc.h"

IMAGE("adapt");

#define ROUNDS 3000u // more than a reversible adaptation waits for
#define COUNT ((volatile uint32_t *)(LAPIC + LAPIC_TIMER_INITIAL))
#define VA 0x4000000000ull // of nobody else
#define CODE_VA (VA + 4096)

static __attribute__((noinline)) void set(volatile void *at, uint32_t value)
{
    __asm__ volatile("movl %1, (%0)" : : "r"(at), "r"(value) : "memory");
}

static __attribute__((noinline)) void add(volatile void *at, uint32_t value)
{
    __asm__ volatile("addl %1, (%0)" : : "r"(at), "r"(value) : "memory", "cc");
}

static __attribute__((noinline)) void fill(volatile void *at, uint32_t value)
{
    __asm__ volatile("stosl" : "+D"(at) : "a"(value) : "memory");
}

typedef void put_fn(volatile void *, uint32_t);

static void plain(put_fn *put)
{
    static volatile uint32_t cell;
    unsigned bad = 0;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        cell = 0;
        put(&cell, i);
        bad += cell != i;
    }
    CHECK_EQ(bad, 0);
}

// The lower half of an entry, without and with a flush behind it.
static void page_table(put_fn *put, uint8_t *const *pages)
{
    uint64_t *entry = pte_of(VA, 1);
    unsigned bad = 0;
    for (uint32_t i = 0; i < 100; i++) {
        *entry = 0;
        put(entry, (uint32_t)phys_of(pages[i % 2]) | PTE_P);
        invlpg((void *)VA);
        bad += *(volatile uint8_t *)VA != 'a' + i % 2;
    }
    CHECK_EQ(bad, 0);
    for (uint32_t i = 0; i < 20; i++) {
        *entry = 0;
        put(entry, (uint32_t)phys_of(pages[i % 2]) | PTE_P);
        write_cr3(read_cr3());
        bad += *(volatile uint8_t *)VA != 'a' + i % 2;
    }
    CHECK_EQ(bad, 0);
}

static void device(put_fn *put)
{
    unsigned bad = 0;
    for (uint32_t i = 1; i < 50; i++) {
        *COUNT = 0;
        put(COUNT, i);
        bad += *COUNT != i;
    }
    CHECK_EQ(bad, 0);
}

// movl $value, %eax; ret
static void code(put_fn *put)
{
    volatile uint8_t *at = (uint8_t *)CODE_VA;
    unsigned bad = 0;
    at[0] = 0xb8;
    at[5] = 0xc3;
    for (uint32_t i = 0; i < 20; i++) {
        uint32_t got;
        at[1] = at[2] = at[3] = at[4] = 0;
        put(at + 1, i * 0x01010101);
        __asm__ volatile("call *%1" : "=a"(got) : "r"(at) : "memory", "cc");
        bad += got != i * 0x01010101;
    }
    CHECK_EQ(bad, 0);
}

int image_main(void)
{
    put_fn *const stores[] = {set, add, fill};
    uint8_t *pages[2] = {page_alloc(), page_alloc()};
    *pages[0] = 'a', *pages[1] = 'b';
    map_page(VA, phys_of(pages[0]), PTE_P);
    map_page(CODE_VA, phys_of(page_alloc()), PTE_P | PTE_W);
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned round = 0; round < 3; round++) {
            page_table(stores[i], pages);
            plain(stores[i]);
            device(stores[i]);
            plain(stores[i]);
            code(stores[i]);
            plain(stores[i]);
        }
    }
    return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
// More mappings than a monitor may want to keep: 100,000 pages that all lead to the same few pages of RAM, so that no
// two neighbours go together; each looked at twice, unmapped, mapped elsewhere; and storms of cr3, invlpg and rdtsc.
#include "tests/guest/access.h"

IMAGE("abuse_map");

#define MANY_VA 0x500000000000ull
#define TABLES 196u // of 512 pages: 100,352
#define FRAMES 2u

static uint64_t *table[TABLES];
static uint64_t frame[FRAMES];

static void map_all(void)
{
    for (unsigned t = 0; t < TABLES; t++) {
        map_page(MANY_VA + t * 512 * PAGE, frame[0], PTE_P | PTE_W | PTE_A | PTE_D);
        table[t] = pte_of(MANY_VA + t * 512 * PAGE, 1);
        for (unsigned i = 0; i < 512; i++)
            table[t][i] = frame[i % FRAMES] | PTE_P | PTE_W | PTE_A | PTE_D;
    }
}

static uint64_t sum_all(unsigned step)
{
    uint64_t sum = 0;
    for (uint64_t page = 0; page < TABLES * 512; page += step)
        sum += *(volatile uint64_t *)(MANY_VA + page * PAGE);
    return sum;
}

static void storms(void)
{
    bool all = true;
    volatile uint64_t *at = (volatile uint64_t *)MANY_VA;
    for (unsigned i = 0; i < 2000; i++) {
        table[0][0] = frame[i % FRAMES] | PTE_P | PTE_W | PTE_A | PTE_D;
        if (i % 16 == 0)
            write_cr3(read_cr3());
        else
            invlpg((void *)MANY_VA);
        all &= *at == i % FRAMES + 1;
    }
    CHECK(all);
    uint64_t last = tsc_begin();
    for (unsigned i = 0; i < 10000; i++) {
        uint64_t now = tsc_begin();
        all &= now >= last;
        last = now;
    }
    CHECK(all);
}

int image_main(void)
{
    for (unsigned i = 0; i < FRAMES; i++) {
        uint64_t *page = page_alloc();
        *page = i + 1;
        frame[i] = phys_of(page);
    }
    map_all();
    CHECK_EQ(sum_all(1), TABLES * 512 / 2 * 3);
    storms();
    for (unsigned t = 0; t < TABLES; t++)
        for (unsigned i = t % 3; i < 512; i += 3)
            table[t][i] = 0;
    write_cr3(read_cr3());
    CHECK_EQ(fault_of(load, MANY_VA), 0);
    CHECK_EQ(fault_of(load, MANY_VA + 512 * PAGE + PAGE), 0);
    CHECK_EQ(fault_of(load, MANY_VA + PAGE), NO_FAULT);
    map_all();
    write_cr3(read_cr3());
    CHECK_EQ(sum_all(8) + sum_all(8), TABLES * 512 / 8 * 2);
    return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
// bantam: program
// Demand-zero pages: mmap of 256, a write to each, munmap. One iteration is one page: a fault and a zeroed page, and a
// 256th of the two system calls.
#include "guest/bantam/user/lib.h"

IMAGE("mmapstorm");

#define PAGE 4096
#define PAGES 256

// Gives the sum of what was in the pages: 0, as they are new.
static uint64_t map_and_touch(uint64_t pages)
{
    uint64_t sum = 0;
    uint64_t *memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (is_error(memory))
        panic("mmap: error %ld", -(int64_t)memory);
    for (uint64_t i = 0; i < pages; i++) {
        uint64_t *word = memory + i * PAGE / sizeof(uint64_t);
        sum += (*word)++;
    }
    munmap(memory, pages * PAGE);
    return sum;
}

static void body(uint64_t n, void *ctx)
{
    uint64_t *sum = ctx;
    for (; n > PAGES; n -= PAGES)
        *sum += map_and_touch(PAGES);
    *sum += map_and_touch(n);
}

int image_main(void)
{
    uint64_t sum = 0;
    bench_run("mmapstorm", body, &sum);
    bench_value("mmapstorm", sum);
    return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
// bantam: program
// Copy on write: fork, and a child that writes to each of 256 pages it shares with its parent. One iteration is one
// page: a fault and a copied page, and a 256th of fork, exit and wait.
#include "guest/bantam/user/lib.h"

IMAGE("cowstorm");

#define PAGE 4096
#define PAGES 256

static struct {
    uint64_t word, rest[PAGE / 8 - 1];
} pages[PAGES] __attribute__((aligned(PAGE)));

static void write_shared(uint64_t count)
{
    int pid = fork();
    if (pid < 0)
        panic("fork: error %d", -pid);
    if (pid == 0) {
        for (uint64_t i = 0; i < count; i++)
            pages[i].word++;
        _exit(0);
    }
    waitpid(pid, NULL, 0);
}

static void body(uint64_t n, void *ctx)
{
    (void)ctx;
    for (; n > PAGES; n -= PAGES)
        write_shared(PAGES);
    write_shared(n);
}

int image_main(void)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < PAGES; i++)
        pages[i].word = i;
    bench_run("cowstorm", body, NULL);
    for (uint64_t i = 0; i < PAGES; i++)
        sum += pages[i].word; // the parent's are as they were
    bench_value("cowstorm", sum);
    return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
// The process's layout, struct bt's place in it, and the gs base. The program is linked at a high address; the rest
// follows where the kernel does not randomize addresses, so that the program restarts itself without that.
#include "engines/bt/region.h"

#include <asm/hwcap2.h>
#include <asm/prctl.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RESTARTS "RINGSIDE_RESTARTS" // how often, in the environment of a restarted program only
#define MAX_RESTARTS 40              // where randomization has to stay, about every second start is as it should be
#define STACK_LIMIT (8ull << 20)     // in place of none at all, with which the kernel maps from the bottom up

static size_t region_bytes(void)
{
    return (sizeof(struct bt) + GUEST_PAGE_SIZE - 1) & GUEST_PAGE_MASK;
}

// ---- Layout ----

// One line of /proc/self/maps. The vsyscall page is at the same place in every process, beyond any that the bias has.
static bool line_ok(const char *line, char *reason, size_t size)
{
    uint64_t start, end;
    if (sscanf(line, "%" SCNx64 "-%" SCNx64, &start, &end) != 2 || strstr(line, "[vsyscall]"))
        return true;
    if ((start >= BT_VMM_START && end <= BT_VMM_END) || (start >= BT_LOW && end <= BT_LOW_END))
        return true;
    snprintf(reason, size, "host addresses that a guest kernel needs are taken: %" PRIx64 "-%" PRIx64, start, end);
    return false;
}

bool region_layout_ok(char *reason, size_t size)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    if (!maps) {
        snprintf(reason, size, "cannot read /proc/self/maps: %s", strerror(errno));
        return false;
    }
    char *line = NULL;
    size_t room = 0;
    bool ok = true;
    while (ok && getline(&line, &room, maps) > 0)
        ok = line_ok(line, reason, size);
    free(line);
    fclose(maps);
    return ok;
}

// Under AddressSanitizer nothing helps: its shadow memory is where the guest would be.
#ifndef __SANITIZE_ADDRESS__
// The restart by /proc/self/exe has named the process "exe".
static void keep_name(const char *argv0)
{
    const char *slash = argv0 ? strrchr(argv0, '/') : NULL;
    const char *name = slash ? slash + 1 : argv0;
    if (name)
        prctl(PR_SET_NAME, name);
}

// Whether the next start will be without randomization. Containers may forbid that.
static bool stop_randomizing(void)
{
    struct rlimit stack;
    if (getrlimit(RLIMIT_STACK, &stack) == 0 && stack.rlim_cur == RLIM_INFINITY) {
        stack.rlim_cur = STACK_LIMIT;
        setrlimit(RLIMIT_STACK, &stack);
    }
    int now = personality(0xffffffff);
    return now != -1 && personality((unsigned long)now | ADDR_NO_RANDOMIZE) != -1;
}

void region_fix_layout(char **argv)
{
    char reason[160], count[16];
    const char *marker = getenv(RESTARTS);
    unsigned restarts = marker ? (unsigned)strtoul(marker, NULL, 10) : 0;
    if (restarts) {
        unsetenv(RESTARTS);
        keep_name(argv[0]);
    }
    // A layout that is good by chance may still have something of ours where struct bt goes.
    bool ok = region_layout_ok(reason, sizeof reason);
    if (ok && (personality(0xffffffff) & ADDR_NO_RANDOMIZE))
        return;
    bool stops = stop_randomizing();
    if ((ok && !stops) || restarts >= (stops ? 1 : MAX_RESTARTS))
        return;
    snprintf(count, sizeof count, "%u", restarts + 1);
    if (setenv(RESTARTS, count, 1))
        return;
    execv("/proc/self/exe", argv); // where it fails, the engine's probe says what is wrong
    unsetenv(RESTARTS);
}
#else
void region_fix_layout(char **argv)
{
    (void)argv;
}
#endif

// ---- The gs base ----

static bool have_fsgsbase(void)
{
    return getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE;
}

void region_enter_thread(void)
{
    if (!have_fsgsbase()) {
        syscall(SYS_arch_prctl, ARCH_SET_GS, BT_BIAS);
        return;
    }
    uint64_t base;
    __asm__ volatile("rdgsbase %0" : "=r"(base));
    if (base != BT_BIAS)
        __asm__ volatile("wrgsbase %0" : : "r"(BT_BIAS));
}

// ---- struct bt ----

static void *map_at(uint64_t at, size_t bytes)
{
    void *p = mmap((void *)at, bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

struct bt *region_create(char *err, size_t size)
{
    struct bt *bt = map_at(BT_REGION, region_bytes());
    if (!bt) {
        snprintf(err, size, "bt: cannot map its region: %s",
                 errno == EEXIST ? "one process can hold one vCPU of this engine" : strerror(errno));
        return NULL;
    }
    if (!map_at(BT_LOW, BT_TLB - BT_LOW)) {
        snprintf(err, size, "bt: cannot map its tables at address %#x: %s", BT_LOW, strerror(errno));
        munmap(bt, region_bytes());
        return NULL;
    }
    bt->returns = (uint64_t *)BT_RETURNS;
    bt->targets[WORLD_FAST] = (uint64_t *)BT_TARGETS;
    for (enum world world = WORLD_CHECKED; world < WORLDS; world++)
        bt->targets[world] = bt->checked_targets[world - WORLD_CHECKED];
    region_enter_thread();
    return bt;
}

void region_destroy(struct bt *bt)
{
    munmap((void *)BT_LOW, BT_TLB - BT_LOW);
    munmap(bt, region_bytes());
}

// SPDX-License-Identifier: BSD-2-Clause
// Guest RAM: which sizes there can be, and the checked gate at the edges of RAM and of the hole below 4 GiB.
#include "machine/ram.h"

#include <sys/mman.h>
#include <sys/resource.h>

#include "tests/unit/check.h"

static char message[256];

static bool refused(uint64_t bytes, const char *words)
{
    struct guest_ram ram;
    int result = ram_create(&ram, bytes, message, sizeof(message));
    ram_destroy(&ram);
    return result == -1 && strstr(message, words);
}

static void test_sizes(void)
{
    CHECK(refused(0, "must be from 8 MiB to 65536 MiB, not 0 bytes"));
    CHECK(refused(RAM_MIN - RAM_UNIT, "must be from"));
    CHECK(refused(RAM_MAX + RAM_UNIT, "must be from"));
    CHECK(refused(~0ull, "must be from"));
    CHECK(refused(RAM_MIN + 4096, "must be a multiple of 2 MiB"));
}

// Both limits are put back: a process may lower its soft limit and raise it again.
static void test_limits(void)
{
    struct rlimit was, low;
    getrlimit(RLIMIT_FSIZE, &was);
    low = (struct rlimit){.rlim_cur = 1 << 20, .rlim_max = was.rlim_max};
    setrlimit(RLIMIT_FSIZE, &low);
    CHECK(refused(RAM_MIN, "cannot get 8 MiB of guest RAM: the file size limit"));
    setrlimit(RLIMIT_FSIZE, &was);

    getrlimit(RLIMIT_NOFILE, &was);
    low = (struct rlimit){.rlim_cur = 0, .rlim_max = was.rlim_max};
    setrlimit(RLIMIT_NOFILE, &low);
    CHECK(refused(RAM_MIN, "cannot get 8 MiB of guest RAM: memfd_create: Too many open files"));
    setrlimit(RLIMIT_NOFILE, &was);
}

static void test_memory(void)
{
    struct guest_ram ram;
    if (!CHECK_EQ(ram_create(&ram, RAM_MIN, message, sizeof(message)), 0))
        return;
    ram.base[0] = 1;
    ram.base[RAM_MIN - 1] = 2;
    uint8_t *again = mmap(NULL, RAM_MIN, PROT_READ, MAP_SHARED, ram.memfd, 0);
    CHECK(again != MAP_FAILED && again[0] == 1 && again[RAM_MIN - 1] == 2 && again[4096] == 0);
    if (again != MAP_FAILED)
        munmap(again, RAM_MIN);
    ram_destroy(&ram);
    CHECK(!ram.base && ram.memfd == -1);
}

// No memory behind it: the gate only computes.
static void test_gate(void)
{
    uint8_t *base = (uint8_t *)0x10000;
    struct guest_ram ram = {.base = base, .size = RAM_MIN};
    CHECK(ram_at(&ram, gpa(0), RAM_MIN) == base);
    CHECK(!ram_at(&ram, gpa(0), RAM_MIN + 1));
    CHECK(ram_at(&ram, gpa(RAM_MIN - 1), 1) == base + RAM_MIN - 1);
    CHECK(!ram_at(&ram, gpa(RAM_MIN - 1), 2));
    CHECK(!ram_at(&ram, gpa(RAM_MIN), 1));
    CHECK(!ram_at(&ram, gpa(8), ~0ull));
    CHECK(!ram_at(&ram, gpa(~0ull), 1));
    CHECK(!ram_at(&ram, gpa(RAM_HOLE_END), 1));

    ram.size = RAM_HOLE_START + RAM_UNIT; // 2 MiB above 4 GiB
    CHECK(ram_at(&ram, gpa(RAM_HOLE_START - 1), 1) == base + RAM_HOLE_START - 1);
    CHECK(!ram_at(&ram, gpa(RAM_HOLE_START - 1), 2));
    CHECK(!ram_at(&ram, gpa(RAM_HOLE_START), 1));
    CHECK(!ram_at(&ram, gpa(RAM_HOLE_END - 1), 1));
    CHECK(ram_at(&ram, gpa(RAM_HOLE_END), RAM_UNIT) == base + RAM_HOLE_START);
    CHECK(!ram_at(&ram, gpa(RAM_HOLE_END), RAM_UNIT + 1));
}

int main(void)
{
    test_sizes();
    test_limits();
    test_memory();
    test_gate();
    return check_done("ram");
}

// SPDX-License-Identifier: BSD-2-Clause
// The loader of Linux kernels: where kernel and RAM disk go, what the boot parameters say, and one bad kernel for each
// thing that can be wrong. That a real one boots is for `make check-linux` to see.
#include "machine/linux.h"

#include <stdlib.h>

#include "include/guest_abi.h"
#include "machine/ram.h"
#include "tests/unit/check.h"
#include "tests/unit/fake_engine.h"
#include "x86/regs.h"

#define RAM_BYTES (64ull << 20)
#define SETUP_SECTS 2u
#define SETUP_BYTES ((1 + SETUP_SECTS) * 512)
#define KERNEL_BYTES 0x3000u
#define KERNEL_AT 0x1000000ull
#define ROOM 0x600000u
#define INITRD_BYTES 0x1801u

// Offsets of boot.rst, in the file and in the boot parameters alike.
enum {
    E820_ENTRIES = 0x1e8,
    SETUP_SECTS_AT = 0x1f1,
    BOOT_FLAG = 0x1fe,
    JUMP_DISTANCE = 0x201,
    MAGIC = 0x202,
    VERSION = 0x206,
    TYPE_OF_LOADER = 0x210,
    RAMDISK_IMAGE = 0x218,
    RAMDISK_SIZE = 0x21c,
    CMD_LINE_PTR = 0x228,
    INITRD_ADDR_MAX = 0x22c,
    XLOADFLAGS = 0x236,
    CMDLINE_SIZE = 0x238,
    PREF_ADDRESS = 0x258,
    INIT_SIZE = 0x260,
    KERNEL_INFO_OFFSET = 0x268,
    HEADER_END = 0x26c,
    E820_TABLE = 0x2d0,
};

struct kernel {
    uint8_t bytes[SETUP_BYTES + KERNEL_BYTES];
};

static char message[256];

static void put(void *at, size_t offset, uint64_t value, size_t size)
{
    memcpy((uint8_t *)at + offset, &value, size);
}

static uint64_t get(const void *at, size_t offset, size_t size)
{
    uint64_t value = 0;
    memcpy(&value, (const uint8_t *)at + offset, size);
    return value;
}

static struct kernel good_kernel(void)
{
    struct kernel k;
    memset(k.bytes, 0x5a, sizeof k.bytes);
    put(&k, SETUP_SECTS_AT, SETUP_SECTS, 1);
    put(&k, BOOT_FLAG, 0xaa55, 2);
    put(&k, JUMP_DISTANCE, HEADER_END - MAGIC, 1);
    memcpy(k.bytes + MAGIC, "HdrS", 4);
    put(&k, VERSION, 0x020f, 2);
    put(&k, INITRD_ADDR_MAX, 0x7fffffff, 4);
    put(&k, XLOADFLAGS, 1, 2);
    put(&k, CMDLINE_SIZE, 2047, 4);
    put(&k, PREF_ADDRESS, KERNEL_AT, 8);
    put(&k, INIT_SIZE, ROOM, 4);
    memset(k.bytes + SETUP_BYTES, 0xc3, KERNEL_BYTES);
    return k;
}

static int load(const struct guest_ram *ram, const struct kernel *k, size_t size, const char *cmdline,
                size_t initrd_size, struct vcpu_state *state)
{
    uint8_t *initrd = initrd_size ? malloc(initrd_size) : NULL;
    if (initrd)
        memset(initrd, 0xd1, initrd_size);
    const struct linux_guest guest = {k, size, initrd, initrd_size, cmdline};
    message[0] = '\0';
    int result = linux_load(ram, &guest, state, message, sizeof message);
    free(initrd);
    return result;
}

static bool all(const uint8_t *bytes, size_t size, uint8_t value)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != value)
            return false;
    return true;
}

static void test_good(const struct guest_ram *ram, struct vcpu_state *s)
{
    struct kernel k = good_kernel();
    CHECK(linux_is_for(&k, sizeof k));
    memset(ram->base, 0xee, RAM_BYTES);
    CHECK_EQ(load(ram, &k, sizeof k, "quiet -- a=1", INITRD_BYTES, s), 0);
    CHECK_EQ(s->rip, KERNEL_AT + 0x200);
    CHECK(s->seg[SEG_CS].selector == 0x10 && s->seg[SEG_DS].selector == 0x18 && s->seg[SEG_SS].selector == 0x18);
    CHECK(all(ram->base + KERNEL_AT, KERNEL_BYTES, 0xc3) && ram->base[KERNEL_AT + KERNEL_BYTES] == 0xee);

    const uint8_t *p = ram_at(ram, gpa(s->gpr[RSI]), GUEST_PAGE_SIZE);
    CHECK(!memcmp(p + MAGIC, "HdrS", 4) && get(p, TYPE_OF_LOADER, 1) == 0xff && get(p, INIT_SIZE, 4) == ROOM);
    CHECK_EQ(get(p, KERNEL_INFO_OFFSET, 4), 0x5a5a5a5a); // the last field that the header of this version has
    CHECK(all(p + HEADER_END, E820_TABLE - HEADER_END, 0));
    CHECK_STR(ram_at(ram, gpa(get(p, CMD_LINE_PTR, 4)), 16), "quiet -- a=1");
    uint64_t initrd = get(p, RAMDISK_IMAGE, 4);
    CHECK_EQ(initrd, RAM_BYTES - 0x2000); // whole pages from the top of RAM
    CHECK_EQ(get(p, RAMDISK_SIZE, 4), INITRD_BYTES);
    CHECK(all(ram->base + initrd, INITRD_BYTES, 0xd1) && ram->base[initrd + INITRD_BYTES] == 0xee);

    CHECK_EQ(get(p, E820_ENTRIES, 1), 2);
    CHECK(get(p, E820_TABLE, 8) == 0 && get(p, E820_TABLE + 8, 8) == 0x9fc00 && get(p, E820_TABLE + 16, 4) == 1);
    CHECK(get(p, E820_TABLE + 20, 8) == 0x100000 && get(p, E820_TABLE + 28, 8) == RAM_BYTES - 0x100000 &&
          get(p, E820_TABLE + 36, 4) == 1);
}

static void test_variants(const struct guest_ram *ram, struct vcpu_state *s)
{
    struct kernel k = good_kernel();
    CHECK_EQ(load(ram, &k, sizeof k, NULL, 0, s), 0);
    const uint8_t *p = ram_at(ram, gpa(s->gpr[RSI]), GUEST_PAGE_SIZE);
    CHECK(get(p, RAMDISK_IMAGE, 4) == 0 && get(p, RAMDISK_SIZE, 4) == 0);
    // An older header ends earlier; what is behind it is code.
    put(&k, VERSION, 0x020c, 2);
    put(&k, JUMP_DISTANCE, KERNEL_INFO_OFFSET - MAGIC, 1);
    CHECK_EQ(load(ram, &k, sizeof k, NULL, 0, s), 0);
    CHECK_EQ(get(p, KERNEL_INFO_OFFSET, 4), 0);
    // The kernel's own limit for the RAM disk is below the top of RAM.
    put(&k, INITRD_ADDR_MAX, 0x2ffffff, 4);
    CHECK_EQ(load(ram, &k, sizeof k, NULL, INITRD_BYTES, s), 0);
    CHECK_EQ(get(p, RAMDISK_IMAGE, 4), 0x3000000 - 0x2000);
    // Room for exactly the RAM disk behind the kernel.
    k = good_kernel();
    CHECK_EQ(load(ram, &k, sizeof k, NULL, RAM_BYTES - KERNEL_AT - ROOM, s), 0);
    CHECK_EQ(get(p, RAMDISK_IMAGE, 4), KERNEL_AT + ROOM);
    // 0 sectors mean 4, which leave less of the file to be loaded.
    put(&k, SETUP_SECTS_AT, 0, 1);
    memset(ram->base + KERNEL_AT, 0xee, KERNEL_BYTES);
    CHECK_EQ(load(ram, &k, sizeof k, NULL, 0, s), 0);
    CHECK_EQ(ram->base[KERNEL_AT + KERNEL_BYTES - 1024 - 1], 0xc3);
    CHECK_EQ(ram->base[KERNEL_AT + KERNEL_BYTES - 1024], 0xee);
}

static void refused(const struct guest_ram *ram, const struct kernel *k, const char *cmdline, size_t initrd_size,
                    const char *why)
{
    struct vcpu_state s;
    memset(ram->base, 0xee, RAM_BYTES);
    CHECK_EQ(load(ram, k, sizeof *k, cmdline, initrd_size, &s), -1);
    CHECK(strstr(message, why) && !strchr(message, '\n'));
    if (!strstr(message, why))
        printf("%s\n", message);
    CHECK(all(ram->base, RAM_BYTES, 0xee));
}

static void test_refused(const struct guest_ram *ram)
{
    const struct kernel good = good_kernel();
    struct kernel k = good;
    put(&k, VERSION, 0x020b, 2);
    refused(ram, &k, NULL, 0, "boot protocol 2.11, older than 2.12");
    k = good, put(&k, XLOADFLAGS, 0xfffe, 2);
    refused(ram, &k, NULL, 0, "without a 64-bit entry");
    k = good, put(&k, SETUP_SECTS_AT, 255, 1);
    refused(ram, &k, NULL, 0, "truncated");
    k = good, put(&k, PREF_ADDRESS, 0x8000, 8);
    refused(ram, &k, NULL, 0, "wants 6 MiB at 0x8000");
    k = good, put(&k, PREF_ADDRESS, ~0ull, 8);
    refused(ram, &k, NULL, 0, "wants 6 MiB at 0xffffffffffffffff");
    k = good, put(&k, PREF_ADDRESS, RAM_BYTES - ROOM + 1, 8);
    refused(ram, &k, NULL, 0, "has 64 MiB of RAM");
    k = good, put(&k, INIT_SIZE, 0xffffffff, 4);
    refused(ram, &k, NULL, 0, "wants 4095 MiB at 0x1000000");
    k = good, put(&k, CMDLINE_SIZE, 4, 4);
    refused(ram, &k, "12345", 0, "has 5 bytes, and this kernel takes 4");
    refused(ram, &good, NULL, RAM_BYTES - KERNEL_AT - ROOM + 1, "no room for an initial RAM disk of 44040193 bytes");
    refused(ram, &good, NULL, RAM_BYTES + 1, "no room for an initial RAM disk");
    k = good, put(&k, INITRD_ADDR_MAX, 0, 4);
    refused(ram, &k, NULL, 1, "no room for an initial RAM disk of 1 bytes");
}

static void test_no_kernel(void)
{
    struct kernel k = good_kernel();
    CHECK(!linux_is_for(&k, HEADER_END - 1));
    put(&k, BOOT_FLAG, 0, 2);
    CHECK(!linux_is_for(&k, sizeof k));
    k = good_kernel(), k.bytes[MAGIC] = 'h';
    CHECK(!linux_is_for(&k, sizeof k));
    k = good_kernel(), memcpy(k.bytes, "\177ELF", 4);
    CHECK(!linux_is_for(&k, sizeof k));
}

// RAM on both sides of the hole.
static void test_high_ram(struct vcpu_state *s)
{
    struct guest_ram ram;
    const uint64_t bytes = RAM_HOLE_START + (1ull << 30);
    struct kernel k = good_kernel();
    if (!CHECK(ram_create(&ram, bytes, message, sizeof message) == 0))
        return;
    CHECK_EQ(load(&ram, &k, sizeof k, NULL, INITRD_BYTES, s), 0);
    const uint8_t *p = ram_at(&ram, gpa(s->gpr[RSI]), GUEST_PAGE_SIZE);
    CHECK_EQ(get(p, RAMDISK_IMAGE, 4), 0x80000000 - 0x2000);
    CHECK_EQ(get(p, E820_ENTRIES, 1), 3);
    CHECK_EQ(get(p, E820_TABLE + 28, 8), RAM_HOLE_START - 0x100000);
    CHECK(get(p, E820_TABLE + 40, 8) == RAM_HOLE_END && get(p, E820_TABLE + 48, 8) == 1ull << 30);
    ram_destroy(&ram);
}

static void test_machine(void)
{
    static const char disk[] = "disk";
    struct machine_config config = {.ram_bytes = RAM_BYTES, .cmdline = "x", .initrd = disk, .initrd_size = sizeof disk};
    struct kernel k = good_kernel();
    struct machine *m = fake_machine(&fake_engine, &config);
    CHECK_EQ(machine_load(m, &k, sizeof k, message, sizeof message), 0);
    const struct guest_ram *ram = machine_vcpu(m)->ram;
    const struct vcpu_state *s = &fake_of(machine_vcpu(m))->state;
    CHECK_EQ(s->rip, KERNEL_AT + 0x200);
    CHECK_STR(ram_at(ram, gpa(get(ram_at(ram, gpa(s->gpr[RSI]), GUEST_PAGE_SIZE), RAMDISK_IMAGE, 4)), 8), "disk");
    // Any other image has no use for it.
    put(&k, BOOT_FLAG, 0, 2);
    CHECK_EQ(machine_load(m, &k, sizeof k, message, sizeof message), -1);
    CHECK_STR(message, "an initial RAM disk is for a Linux kernel, and this file is none");
    machine_destroy(m);
}

int main(void)
{
    struct guest_ram ram;
    struct vcpu_state *state = malloc(sizeof *state);
    if (!CHECK(state && ram_create(&ram, RAM_BYTES, message, sizeof message) == 0))
        return check_done("linux");
    test_good(&ram, state);
    test_variants(&ram, state);
    test_refused(&ram);
    test_no_kernel();
    ram_destroy(&ram);
    test_high_ram(state);
    test_machine();
    free(state);
    return check_done("linux");
}

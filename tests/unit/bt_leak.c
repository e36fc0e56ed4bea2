// SPDX-License-Identifier: BSD-2-Clause
// A vCPU leaves nothing behind: a hundred of them, made, run to a triple fault and destroyed, with as many host
// mappings and descriptors afterwards as before.
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "include/vcpu.h"
#include "tests/unit/check.h"
#include "x86/regs.h"

enum { RAM_BYTES = 2 << 20, CYCLES = 100, PML4 = 0x1000, PDPT = 0x2000, PAGE_DIR = 0x3000, CODE = 0x8000 };

static unsigned mappings(void)
{
    unsigned lines = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    for (int c; maps && (c = getc(maps)) != EOF;)
        lines += c == '\n';
    if (maps)
        fclose(maps);
    return lines;
}

static unsigned descriptors(void)
{
    unsigned n = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (folder && readdir(folder))
        n++;
    if (folder)
        closedir(folder);
    return n;
}

static void put(struct guest_ram *ram, uint64_t at, uint64_t value)
{
    memcpy(ram->base + at, &value, sizeof value);
}

static void one_life(struct guest_ram *ram)
{
    struct vcpu v = {.engine = &engine_bt, .ram = ram};
    struct vcpu_state s;
    CHECK_EQ(engine_bt.create(&v), 0);
    engine_bt.get_state(&v, &s);
    s.cr3 = PML4;
    s.rip = CODE;
    s.gpr[RSP] = 0x10000;
    s.seg[SEG_CS] = (struct segment){.limit = UINT32_MAX, .selector = 8, .attr = SEG_S | SEG_P | SEG_L | SEG_G | 0xb};
    s.seg[SEG_SS] = (struct segment){.limit = UINT32_MAX, .selector = 16, .attr = SEG_S | SEG_P | SEG_DB | SEG_G | 0x3};
    CHECK_EQ(engine_bt.set_state(&v, &s), 0);
    CHECK_EQ(engine_bt.run(&v, 0), VCPU_EXIT_SHUTDOWN);
    engine_bt.destroy(&v);
}

int main(int argc, char **argv)
{
    (void)argc;
    region_fix_layout(argv);
    struct engine_info info = {0};
    engine_bt.probe(&info);
    if (!info.available) {
        SKIP(info.reason);
        return check_done("bt_leak");
    }
    struct guest_ram ram = {.size = RAM_BYTES, .memfd = memfd_create("ram", MFD_CLOEXEC)};
    CHECK_EQ(ftruncate(ram.memfd, RAM_BYTES), 0);
    ram.base = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, ram.memfd, 0);
    put(&ram, PML4, PDPT | PTE_P | PTE_W);
    put(&ram, PDPT, PAGE_DIR | PTE_P | PTE_W);
    put(&ram, PAGE_DIR, PTE_P | PTE_W | PTE_PS);
    memcpy(ram.base + CODE, "\x50\xe8\0\0\0\0\x0f\x0b", 8); // push; call; ud2, without an IDT
    one_life(&ram);
    unsigned maps = mappings(), files = descriptors();
    for (unsigned i = 0; i < CYCLES && !check_failures; i++)
        one_life(&ram);
    CHECK(mappings() <= maps + 2); // the heap may have been cut differently
    CHECK_EQ(descriptors(), files);
    return check_done("bt_leak");
}
